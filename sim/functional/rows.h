// Everything but convolutions, a row (of a mean: some channels) at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "layer.h"

namespace {

// A row of two maps, value by value, or of a map and one pixel for all of it.
template <class Result>
void joint_row(const Layer& l, int y, Result result) {
  const bool one = l.other.height == 1 && l.other.width == 1;
  const int pixels = one ? l.output.width : 1;
  const int n = l.output.width * l.output.channels / pixels;
  const uint8_t* b = pixel(l.other, one ? 0 : y, 0);
  for (int x = 0; x < pixels; x++) {
    const uint8_t* a = pixel(l.input, y, x);
    uint8_t* out = writable(l.output, y, x);
    for (int i = 0; i < n; i++) out[i] = result(a[i], b[i]);
  }
}

void add_row(const Layer& l, int y) {
  joint_row(l, y, [&](int a, int b) {
    const int32_t total = (1 << (l.shift - 1)) + l.multiply[0] * (a - l.input.zero_point) +
                          l.multiply[1] * (b - l.other.zero_point);
    const int32_t value = (total >> l.shift) + l.add_zero_point;
    return uint8_t(std::clamp(value, l.add_lo, l.add_hi) + 128);
  });
}

void multiply_row(const Layer& l, int y) {
  const float multiplier = l.multiplier[0];
  const float low = l.lo - l.zero_point, high = l.hi - l.zero_point;
  joint_row(l, y, [&](int a, int b) {
    const int32_t product = (a - l.input.zero_point) * (b - l.other.zero_point);
    const float scaled = std::min(std::max(float(product) * multiplier, low), high);
    return uint8_t(int(std::nearbyint(scaled)) + l.zero_point + 128);
  });
}

template <bool largest>
void extremum_row(const Layer& l, int y) {
  joint_row(l, y, [](int a, int b) { return uint8_t(largest ? std::max(a, b) : std::min(a, b)); });
}

void lookup_row(const Layer& l, int y) {
  const int n = l.output.width * l.output.channels;
  const uint8_t* in = pixel(l.input, y, 0);
  uint8_t* out = writable(l.output, y, 0);
  for (int i = 0; i < n; i++) out[i] = l.table[in[i]];
}

void copy_row(const Layer& l, int y) {
  for (int x = 0; x < l.output.width; x++)
    std::memcpy(writable(l.output, y, x) + l.at,
                pixel(l.input, y / l.kernel[0], x / l.kernel[1]) + l.first, l.count);
}

void max_pool_row(const Layer& l, int y) {
  const int channels = l.output.channels;
  for (int x = 0; x < l.output.width; x++) {
    uint8_t* out = writable(l.output, y, x);
    const int top = y * l.stride[0] - l.before[0], left = x * l.stride[1] - l.before[1];
    std::memset(out, 0, channels);
    for (int v = std::max(top, 0); v < std::min(top + l.kernel[0], l.input.height); v++)
      for (int u = std::max(left, 0); u < std::min(left + l.kernel[1], l.input.width); u++) {
        const uint8_t* in = pixel(l.input, v, u);
        for (int c = 0; c < channels; c++) out[c] = std::max(out[c], in[c]);
      }
  }
}

void average_pool_row(const Layer& l, int y) {
  const int channels = l.output.channels;
  std::vector<int32_t> sums(channels);
  for (int x = 0; x < l.output.width; x++) {
    const int top = y * l.stride[0] - l.before[0], left = x * l.stride[1] - l.before[1];
    const int top_in = std::max(top, 0), bottom_in = std::min(top + l.kernel[0], l.input.height);
    const int left_in = std::max(left, 0), right_in = std::min(left + l.kernel[1], l.input.width);
    const int count = (bottom_in - top_in) * (right_in - left_in);
    std::fill(sums.begin(), sums.end(), -128 * count);
    for (int v = top_in; v < bottom_in; v++)
      for (int u = left_in; u < right_in; u++) {
        const uint8_t* in = pixel(l.input, v, u);
        for (int c = 0; c < channels; c++) sums[c] += in[c];
      }
    uint8_t* out = writable(l.output, y, x);
    for (int c = 0; c < channels; c++) {
      const int half = sums[c] > 0 ? count / 2 : -(count / 2);
      out[c] = uint8_t((sums[c] + half) / count + 128);
    }
  }
}

void mean_pixel(const Layer& l, Range channels, int row, int column) {
  const int height = l.input.height / l.output.height, width = l.input.width / l.output.width;
  std::vector<int32_t> sums(channels.end - channels.first, -128 * height * width);
  for (int y = row * height; y < (row + 1) * height; y++)
    for (int x = column * width; x < (column + 1) * width; x++) {
      const uint8_t* in = pixel(l.input, y, x) + channels.first;
      for (size_t c = 0; c < sums.size(); c++) sums[c] += in[c];
    }
  uint8_t* out = writable(l.output, row, column) + channels.first;
  for (size_t c = 0; c < sums.size(); c++) {
    const float real = float(sums[c]) * l.mean_multiplier + l.mean_offset;
    out[c] = uint8_t(int(std::nearbyint(std::clamp(real, -128.f, 127.f))) + 128);
  }
}

void mean_of(const Layer& l, Range channels) {
  for (int y = 0; y < l.output.height; y++)
    for (int x = 0; x < l.output.width; x++) mean_pixel(l, channels, y, x);
}

}  // namespace
