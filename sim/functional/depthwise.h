// Depthwise convolutions by the same dot products: a lane adds four rows of the window.
//
// The bytes of four rows of a column are put beside each other once, in `columns`, and every window
// that the column belongs to reads them there: of windows three rows high and one row apart two,
// whose weights are at different places of the four.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>

#include "convolution.h"
#include "layer.h"
#include "vector.h"

namespace {

constexpr int kQuads = 4;                     // vectors of sums that a vector of bytes becomes
constexpr int kBlockBytes = kQuads * kLanes;  // channels of a block
constexpr int kChunk = 28;                    // windows whose columns are kept in the L1 cache
constexpr int kSmall = 3;                     // rows and columns of nearly all windows that there are

// Up to four rows of a column as kWidth vectors: a block, or half a one if no more channels are left.
template <int kWidth>
void interleave(const uint8_t* at, int64_t row, int rows, Ints* out) {
  if constexpr (kWidth == kQuads) {
    Ints t[4];
    for (int i = 0; i < 4; i++) t[i] = i < rows ? load(at + i * row) : ints(0);
    const Ints a = low_bytes(t[0], t[1]), b = low_bytes(t[2], t[3]);
    const Ints c = high_bytes(t[0], t[1]), d = high_bytes(t[2], t[3]);
    out[0] = low_pairs(a, b);
    out[1] = high_pairs(a, b);
    out[2] = low_pairs(c, d);
    out[3] = high_pairs(c, d);
  } else {
    Shorts t[4];
    for (int i = 0; i < 4; i++) t[i] = i < rows ? words(load_bytes(at + i * row)) : shorts(0);
    const Ints a = pairs(t[0], t[1]), b = pairs(t[2], t[3]);
    out[0] = low_pairs(a, b);
    out[1] = high_pairs(a, b);
  }
}

// What all windows of a block of channels have: kept here, since bytes that are stored could be the
// layer's, for all the compiler knows. Weights only of so many taps; 0 if they are not kept.
template <int kWidth, int kTaps>
struct Block {
  Ints bias[kWidth], weights[2][kTaps * kWidth + 1];  // of a window, of the one a row below
  Finish finish[kWidth / 2];
  int number, first, taps, left;

  Block(const Layer& l, int block)
      : number(block), first(l.plain.first[block]), taps(l.plain.first[block + 1] - first),
        left(std::min<int>(l.output.channels - block * kBlockBytes, kWidth * kLanes)) {
    for (int v = 0; v < kWidth; v++) bias[v] = load(l.bias + block * kBlockBytes + v * kLanes);
    for (int i = 0; i < kWidth / 2; i++) finish[i] = finish_for(l, block * kBlockBytes + i * kPair);
    for (int i = 0; i < kTaps * kWidth; i++) {
      weights[0][i] = tap(l, i / kWidth, i % kWidth);
      weights[1][i] = one_up(weights[0][i]);
    }
  }

  Ints tap(const Layer& l, int number, int v) const {
    return load(l.plain.weights + ((int64_t{first} + number) * kQuads + v) * 4 * kLanes);
  }
};

// The sums of the window that begins at `columns`, `below` rows below it: kTaps dot products (0: as
// many as there are).
template <int kWidth, int kTaps>
__attribute__((always_inline)) inline void sum_up(const Layer& l, const Block<kWidth, kTaps>& own,
                                                  const Ints* columns, int below, Ints* sums) {
  for (int v = 0; v < kWidth; v++) sums[v] = own.bias[v];
  if constexpr (kTaps > 0) {
#pragma GCC unroll 16
    for (int i = 0; i < kTaps * kWidth; i++)
      sums[i % kWidth] = dot(sums[i % kWidth], columns[i], own.weights[below][i]);
  } else {
    for (int i = 0; i < own.taps; i++) {
      const Ints* column = columns + l.plain.offset[own.first + i] * kWidth;
      for (int v = 0; v < kWidth; v++) sums[v] = dot(sums[v], column[v], own.tap(l, i, v));
    }
  }
  if (kFlips)
    for (int i = l.flipped.first[own.number]; i < l.flipped.first[own.number + 1]; i++)
      for (int v = 0; v < kWidth; v++) {
        const int8_t* weights = l.flipped.weights + (int64_t{i} * 2 * kQuads + v) * 4 * kLanes;
        const Ints mask = load(weights + kBlockBytes * 4);
        const Ints x = flipped(columns[l.flipped.offset[i] * kWidth + v], mask);
        sums[v] = dot(sums[v], x, load(weights));
      }
}

// kRows windows below each other, the results of the second `row` bytes behind those of the first.
template <int kWidth, int kTaps, int kRows, End kEnd>
void windows(const Layer& l, const Block<kWidth, kTaps>& own, const Ints* columns, uint8_t* out,
             int64_t row) {
  Shorts results[2][kWidth / 2];
  for (int y = 0; y < kRows; y++) {
    Ints sums[kWidth];
    sum_up<kWidth, kTaps>(l, own, columns, y, sums);
    for (int i = 0; i < kWidth / 2; i++) results[y][i] = finish<kEnd>(own.finish[i], sums + 2 * i);
  }
  auto put = [&](int y, auto value) {
    if (own.left == int(sizeof value)) std::memcpy(out + y * row, &value, sizeof value);
    else store_some(out + y * row, value, own.left);
  };
  if constexpr (kWidth == kQuads) {
    for (int y = 0; y < kRows; y++) put(y, bounded<kEnd>(own.finish[0], results[y][0], results[y][1]));
  } else {
    Bytes value[2];
    separated(bounded<kEnd>(own.finish[0], results[0][0], results[kRows - 1][0]), value[0], value[1]);
    for (int y = 0; y < kRows; y++) put(y, value[y]);
  }
}

// kRows rows of a block, from `y` on.
template <int kWidth, int kTaps, int kRows, End kEnd>
void depthwise_rows(const Layer& l, const Block<kWidth, kTaps>& own, int y, Ints* columns) {
  const int high = (kTaps ? kSmall : l.kernel[0]) + kRows - 1, groups = kTaps ? 1 : (high + 3) / 4;
  const int channel = own.number * kBlockBytes, stride = l.stride[1];
  for (int x = 0; x < l.output.width; x += kChunk) {
    const int count = std::min(kChunk, l.output.width - x);
    const int wanted = (count - 1) * stride + l.kernel[1];
    for (int group = 0; group < groups; group++) {
      const uint8_t* in = pixel(l.input, y * l.stride[0] - l.before[0] + 4 * group,
                                x * stride - l.before[1]) + channel;
      for (int column = 0; column < wanted; column++)
        interleave<kWidth>(in + int64_t{column} * l.input.channels, l.input.row, high - 4 * group,
                           &columns[(column * groups + group) * kWidth]);
    }
    for (int i = 0; i < count; i++)
      windows<kWidth, kTaps, kRows, kEnd>(l, own, &columns[i * stride * groups * kWidth],
                                          writable(l.output, y, x + i) + channel, l.output.row);
  }
}

template <int kWidth, int kTaps, End kEnd>
void depthwise_block(const Layer& l, int block, Range rows) {
  const Block<kWidth, kTaps> own(l, block);
  const int groups = (l.kernel[0] + 3) / 4, most = (kChunk - 1) * l.stride[1] + l.kernel[1];
  const std::unique_ptr<Ints[]> columns(new Ints[most * groups * kWidth]);
  int y = rows.first;
  if (kTaps && l.stride[0] == 1)
    for (; y + 1 < rows.end; y += 2) depthwise_rows<kWidth, kTaps, 2, kEnd>(l, own, y, columns.get());
  for (; y < rows.end; y++) depthwise_rows<kWidth, kTaps, 1, kEnd>(l, own, y, columns.get());
}

template <int kWidth, End kEnd>
void depthwise_block(const Layer& l, int block, Range rows) {
  // Where some are flipped, those that are not may be fewer.
  if (!kFlips && l.kernel[0] == kSmall && l.kernel[1] == kSmall)
    depthwise_block<kWidth, kSmall, kEnd>(l, block, rows);
  else depthwise_block<kWidth, 0, kEnd>(l, block, rows);
}

// Some rows of a block of channels.
void depthwise(const Layer& l, int block, Range rows) {
  const bool half = l.output.channels - block * kBlockBytes <= kPair, rectified = end_of(l) == End::kRectified;
  if (half) {
    if (rectified) depthwise_block<kQuads / 2, End::kRectified>(l, block, rows);
    else depthwise_block<kQuads / 2, End::kAny>(l, block, rows);
  } else {
    if (rectified) depthwise_block<kQuads, End::kRectified>(l, block, rows);
    else depthwise_block<kQuads, End::kAny>(l, block, rows);
  }
}

}  // namespace
