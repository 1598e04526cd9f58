// Depthwise convolutions by the same dot products: a lane adds four rows of the window.
//
// The bytes of four rows of a column are put beside each other once, in `columns`, and every window
// that the column belongs to reads them there.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "convolution.h"
#include "layer.h"
#include "vector.h"

namespace {

constexpr int kQuads = 4;                       // vectors of sums that a vector of bytes becomes
constexpr int kBlockBytes = kQuads * kLanes;    // channels of a block
constexpr int kChunk = 16;                      // windows whose columns are kept in the L1 cache

// kQuads vectors of up to four rows, for one column and one block of channels.
void interleave(const uint8_t* at, int64_t row, int rows, Ints* out) {
  Ints t[4];
  for (int i = 0; i < 4; i++) t[i] = i < rows ? load(at + i * row) : ints(0);
  const Ints a = low_bytes(t[0], t[1]), b = low_bytes(t[2], t[3]);
  const Ints c = high_bytes(t[0], t[1]), d = high_bytes(t[2], t[3]);
  out[0] = low_pairs(a, b);
  out[1] = high_pairs(a, b);
  out[2] = low_pairs(c, d);
  out[3] = high_pairs(c, d);
}

// The window that begins at `columns`: kTaps dot products (0: as many as there are).
template <int kTaps>
void window(const Layer& l, const Finish* f, int block, const Ints* columns, uint8_t* out) {
  auto at = [](const int8_t* w, int64_t index) { return load(w + index * 4 * kLanes); };
  Ints sums[kQuads];
  for (int v = 0; v < kQuads; v++) sums[v] = load(l.bias + block * kBlockBytes + v * kLanes);
  const int first = l.plain.first[block];
  const int taps = kTaps ? kTaps : l.plain.first[block + 1] - first;
  const int8_t* w = l.plain.weights + int64_t{first} * kQuads * 4 * kLanes;
  for (int i = 0; i < taps; i++) {
    const Ints* column = columns + (kTaps ? i : l.plain.offset[first + i]) * kQuads;
    for (int v = 0; v < kQuads; v++)
      sums[v] = dot(sums[v], column[v], at(w, i * kQuads + v));
  }
  if (kFlips)
    for (int i = l.flipped.first[block]; i < l.flipped.first[block + 1]; i++)
      for (int v = 0; v < kQuads; v++) {
        const Ints mask = at(l.flipped.weights, (2 * int64_t{i} + 1) * kQuads + v);
        const Ints x = flipped(columns[l.flipped.offset[i] * kQuads + v], mask);
        sums[v] = dot(sums[v], x, at(l.flipped.weights, 2 * int64_t{i} * kQuads + v));
      }
  const Shorts low = finish(f[0], sums[0], sums[1]), high = finish(f[1], sums[2], sums[3]);
  const Ints value = joined_bytes(low, high);
  const int left = l.output.channels - block * kBlockBytes;
  if (left >= kBlockBytes) return store(out, value);
  uint8_t bytes[kBlockBytes];
  store(bytes, value);
  std::memcpy(out, bytes, left);
}

template <int kTaps>
void depthwise_row(const Layer& l, int y) {
  const int rows = l.kernel[0], groups = (rows + 3) / 4, stride = l.stride[1];
  const int blocks = (l.output.channels + kBlockBytes - 1) / kBlockBytes;
  std::vector<Ints> columns(((kChunk - 1) * stride + l.kernel[1]) * groups * kQuads);
  for (int block = 0; block < blocks; block++) {
    const int channel = block * kBlockBytes;
    const Finish f[] = {finish_for(l, channel), finish_for(l, channel + kPair)};
    for (int x = 0; x < l.output.width; x += kChunk) {
      const int count = std::min(kChunk, l.output.width - x);
      const int wanted = (count - 1) * stride + l.kernel[1];
      for (int column = 0; column < wanted; column++)
        for (int group = 0; group < groups; group++)
          interleave(pixel(l.input, y * l.stride[0] - l.before[0] + 4 * group,
                           x * stride - l.before[1] + column) + channel,
                     l.input.row, rows - 4 * group, &columns[(column * groups + group) * kQuads]);
      for (int i = 0; i < count; i++)
        window<kTaps>(l, f, block, &columns[i * stride * groups * kQuads],
                      writable(l.output, y, x + i) + channel);
    }
  }
}

void depthwise_row(const Layer& l, int y) {
  // Nearly all that there are; where some are flipped, those that are not may be fewer.
  if (!kFlips && l.kernel[0] <= 4 && l.kernel[1] == 3) depthwise_row<3>(l, y);
  else depthwise_row<0>(l, y);
}

}  // namespace
