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

// What all windows of a block of channels have: kept here, since bytes that are stored could be the
// layer's, for all the compiler knows. Weights only of so many taps; 0 if they are not kept.
template <int kTaps>
struct Block {
  Ints bias[kQuads], weights[kTaps * kQuads + 1];
  Finish finish[2];
  int first, taps;

  Block(const Layer& l, int block) : first(l.plain.first[block]), taps(l.plain.first[block + 1] - first) {
    for (int v = 0; v < kQuads; v++) bias[v] = load(l.bias + block * kBlockBytes + v * kLanes);
    for (int i = 0; i < 2; i++) finish[i] = finish_for(l, block * kBlockBytes + i * kPair);
    for (int i = 0; i < kTaps * kQuads; i++) weights[i] = tap(l, i);
  }

  Ints tap(const Layer& l, int index) const {
    return load(l.plain.weights + (int64_t{first} * kQuads + index) * 4 * kLanes);
  }
};

// The window that begins at `columns`: kTaps dot products (0: as many as there are).
template <int kTaps>
void window(const Layer& l, const Block<kTaps>& own, int block, const Ints* columns, uint8_t* out) {
  auto at = [](const int8_t* w, int64_t index) { return load(w + index * 4 * kLanes); };
  Ints sums[kQuads];
  for (int v = 0; v < kQuads; v++) sums[v] = own.bias[v];
  if constexpr (kTaps > 0) {
#pragma GCC unroll 16
    for (int i = 0; i < kTaps * kQuads; i++)
      sums[i % kQuads] = dot(sums[i % kQuads], columns[i], own.weights[i]);
  } else {
    for (int i = 0; i < own.taps; i++) {
      const Ints* column = columns + l.plain.offset[own.first + i] * kQuads;
      for (int v = 0; v < kQuads; v++) sums[v] = dot(sums[v], column[v], own.tap(l, i * kQuads + v));
    }
  }
  if (kFlips)
    for (int i = l.flipped.first[block]; i < l.flipped.first[block + 1]; i++)
      for (int v = 0; v < kQuads; v++) {
        const Ints mask = at(l.flipped.weights, (2 * int64_t{i} + 1) * kQuads + v);
        const Ints x = flipped(columns[l.flipped.offset[i] * kQuads + v], mask);
        sums[v] = dot(sums[v], x, at(l.flipped.weights, 2 * int64_t{i} * kQuads + v));
      }
  const Shorts low = finish(own.finish[0], sums[0], sums[1]);
  const Shorts high = finish(own.finish[1], sums[2], sums[3]);
  const Ints value = joined_bytes(low, high);
  const int left = l.output.channels - block * kBlockBytes;
  if (left >= kBlockBytes) store(out, value);
  else store_some(out, value, left);
}

template <int kTaps>
void depthwise_row(const Layer& l, int y) {
  const int rows = l.kernel[0], groups = (rows + 3) / 4, stride = l.stride[1];
  const int blocks = (l.output.channels + kBlockBytes - 1) / kBlockBytes;
  std::vector<Ints> columns(((kChunk - 1) * stride + l.kernel[1]) * groups * kQuads);
  for (int block = 0; block < blocks; block++) {
    const int channel = block * kBlockBytes;
    const Block<kTaps> own(l, block);
    for (int x = 0; x < l.output.width; x += kChunk) {
      const int count = std::min(kChunk, l.output.width - x);
      const int wanted = (count - 1) * stride + l.kernel[1];
      for (int column = 0; column < wanted; column++)
        for (int group = 0; group < groups; group++)
          interleave(pixel(l.input, y * l.stride[0] - l.before[0] + 4 * group,
                           x * stride - l.before[1] + column) + channel,
                     l.input.row, rows - 4 * group, &columns[(column * groups + group) * kQuads]);
      for (int i = 0; i < count; i++)
        window<kTaps>(l, own, block, &columns[i * stride * groups * kQuads],
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
