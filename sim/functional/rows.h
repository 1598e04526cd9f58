// Everything but convolutions, a row (of a mean: some channels) at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "layer.h"
#include "vector.h"

namespace {

// A row of two maps, value by value, or of a map and one pixel for all of it. Whatever `result` uses
// of a layer it holds itself: bytes that are stored could be the layer's, for all the compiler knows.
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
  const int by_a = l.multiply[0], by_b = l.multiply[1], shift = l.shift;
  const int constant = (1 << (shift - 1)) - by_a * l.input.zero_point - by_b * l.other.zero_point;
  const int zero_point = l.add_zero_point, lo = l.add_lo, hi = l.add_hi;
  joint_row(l, y, [=](int a, int b) {
    const int value = ((constant + by_a * a + by_b * b) >> shift) + zero_point;
    return uint8_t(std::min(std::max(value, lo), hi) + 128);
  });
}

void multiply_row(const Layer& l, int y) {
  const float multiplier = l.multiplier[0];
  const float low = l.lo - l.zero_point, high = l.hi - l.zero_point;
  const int zero_a = l.input.zero_point, zero_b = l.other.zero_point, zero_point = l.zero_point + 128;
  joint_row(l, y, [=](int a, int b) {
    const float scaled = float((a - zero_a) * (b - zero_b)) * multiplier;
    return uint8_t(int(std::nearbyint(std::min(std::max(scaled, low), high))) + zero_point);
  });
}

template <bool largest>
void extremum_row(const Layer& l, int y) {
  joint_row(l, y, [](int a, int b) { return uint8_t(largest ? std::max(a, b) : std::min(a, b)); });
}

void lookup_row(const Layer& l, int y) {
  const int n = l.output.width * l.output.channels;
  const uint8_t *in = pixel(l.input, y, 0), *table = l.table;
  uint8_t* out = writable(l.output, y, 0);
  const int done = looked_up(out, in, n, table);
  for (int i = done; i < n; i++) out[i] = table[in[i]];
}

// A call for the few bytes of a pixel takes longer than they do.
void copy_bytes(uint8_t* to, const uint8_t* from, int count) {
  constexpr int kPiece = 16;
  for (; count >= kPiece; count -= kPiece, to += kPiece, from += kPiece)
    std::memcpy(to, from, kPiece);
  for (int i = 0; i < count; i++) to[i] = from[i];
}

void copy_row(const Layer& l, int y) {
  const int first = l.first, at = l.at, count = l.count, factor = l.kernel[1], width = l.output.width;
  const int pitch = l.output.channels, in_pitch = l.input.channels;
  const uint8_t* in = pixel(l.input, y / l.kernel[0], 0) + first;
  uint8_t* out = writable(l.output, y, 0) + at;
  for (int x = 0; x < width; x++)
    copy_bytes(out + int64_t{x} * pitch, in + int64_t{x / factor} * in_pitch, count);
}

// The part of a pooling window that is inside of the map.
struct Window {
  int top, bottom, left, right;

  Window(const Layer& l, int y, int x) {
    top = y * l.stride[0] - l.before[0], left = x * l.stride[1] - l.before[1];
    bottom = std::min(top + l.kernel[0], l.input.height), top = std::max(top, 0);
    right = std::min(left + l.kernel[1], l.input.width), left = std::max(left, 0);
  }
};

// So many channels, from `first` on, in a register. Chunk has the operators of a number.
template <class Chunk>
void max_pool_chunk(const Layer& l, Window window, int first, uint8_t* out) {
  Chunk largest = {};
  for (int v = window.top; v < window.bottom; v++)
    for (int u = window.left; u < window.right; u++) {
      Chunk value;
      std::memcpy(&value, pixel(l.input, v, u) + first, sizeof value);
      largest = value > largest ? value : largest;
    }
  std::memcpy(out + first, &largest, sizeof largest);
}

void max_pool_row(const Layer& l, int y) {
  using Chunk [[gnu::vector_size(4 * kLanes)]] = uint8_t;
  for (int x = 0; x < l.output.width; x++) {
    uint8_t* out = writable(l.output, y, x);
    const Window window(l, y, x);
    int first = 0;
    for (; first + int(sizeof(Chunk)) <= l.output.channels; first += sizeof(Chunk))
      max_pool_chunk<Chunk>(l, window, first, out);
    for (; first < l.output.channels; first++) max_pool_chunk<uint8_t>(l, window, first, out);
  }
}

void average_pool_row(const Layer& l, int y) {
  const int channels = l.output.channels;
  std::vector<int32_t> sums(channels);
  for (int x = 0; x < l.output.width; x++) {
    const Window window(l, y, x);
    const int count = (window.bottom - window.top) * (window.right - window.left);
    std::fill(sums.begin(), sums.end(), -128 * count);
    for (int v = window.top; v < window.bottom; v++)
      for (int u = window.left; u < window.right; u++) {
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
