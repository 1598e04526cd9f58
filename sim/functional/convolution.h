// Convolutions by dot products: tiles of pixels of one block of channels.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "finish.h"
#include "layer.h"
#include "vector.h"

namespace {

// isa.py: kRuns runs of at most kGroup pixels of one row, whose sums of kChannels output channels
// are kept in registers together; kVectors of these are a block.
constexpr int kChannels = kVectors * kLanes;   // of a block
constexpr int kStep = 4;                       // bytes of a lane of one dot product
constexpr int kBlockStep = kChannels * kStep;  // bytes of weights

// Where a run begins: its first window, its first results, what is added to them.
struct Run {
  const uint8_t* in;
  uint8_t* out;
  const uint8_t* other;
};

// Two vectors of channels, from `channel` on, of all pixels of a tile, by twos; the sums of a pixel
// are kVectors after those of the one before.
template <int kCount, int kPixels, End kEnd>
__attribute__((always_inline)) inline void finish_wide(const Layer& l, const Finish& f, const Run* runs,
                                                       int channel, int left, const Ints* sums) {
  const int64_t pitch = l.output.channels;
  constexpr int kAll = kCount * kPixels;
  auto at = [=](int i) __attribute__((always_inline)) { return channel + i % kPixels * pitch; };
  auto value = [&](int i) __attribute__((always_inline)) {
    Ints addend[2];
    if constexpr (kEnd == End::kAddition)
      widened(load_bytes(runs[i / kPixels].other + at(i)), addend[0], addend[1]);
    return finish<kEnd>(f, sums + i * kVectors, addend);
  };
  auto all = [&](auto put) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int i = 0; i < kAll; i += 2) {
      const bool alone = i + 1 == kAll;
      const Shorts a = value(i), b = alone ? a : value(i + 1);
      Bytes of_a, of_b;
      separated(bounded<kEnd>(f, a, b), of_a, of_b);
      put(runs[i / kPixels].out + at(i), of_a);
      if (!alone) put(runs[(i + 1) / kPixels].out + at(i + 1), of_b);
    }
  };
  if (left >= kPair) all(store_bytes);
  else all([=](uint8_t* to, Bytes value) { store_some(to, value, left); });
}

// A single vector of channels, of which `left` are there: two pixels are what two vectors are else.
// Behind the sums are as many as make them a multiple of four.
template <int kCount, int kPixels, End kEnd>
__attribute__((always_inline)) inline void finish_narrow(const Layer& l, const Finish& f, const Run* runs,
                                                         int channel, int left, const Ints* sums) {
  const int64_t pitch = l.output.channels;
  constexpr int kAll = kCount * kPixels;
  auto at = [=](int i) __attribute__((always_inline)) { return channel + i % kPixels * pitch; };
  auto values = [&](int i) __attribute__((always_inline)) {
    Ints addend[2];
    if constexpr (kEnd == End::kAddition)
      for (int j = i; j < i + 2; j++) {
        const int there = j < kAll ? j : kAll - 1;
        addend[j - i] = numbers(runs[there / kPixels].other + at(there));
      }
    return finish<kEnd>(f, sums + i, addend);
  };
#pragma GCC unroll 16
  for (int i = 0; i < kAll; i += 4) {
    uint8_t four[4][kLanes];
    store(four, quartered(bounded<kEnd>(f, values(i), values(i + 2))));
#pragma GCC unroll 4
    for (int j = i; j < i + 4 && j < kAll; j++) {
      uint8_t* out = runs[j / kPixels].out + at(j);
      if (left == kLanes) std::memcpy(out, four[j - i], kLanes);
      else std::memcpy(out, four[j - i], left);
    }
  }
}

// kPixels pixels of each of so many runs, for one block of channels, kUsed vectors of it.
template <int kCount, int kPixels, End kEnd, int kUsed>
void tile(const Layer& l, const Finish* f, int block, const Run* runs, const int8_t*& ahead,
          const int8_t* ahead_end) {
  const int64_t pitch = int64_t{l.stride[1]} * l.input.channels;
  constexpr int kAll = kCount * kPixels, kBehind = kUsed == 1 ? -kAll & 3 : 0;
  Ints sums[kAll + kBehind][kUsed];
  for (int v = 0; v < kUsed; v++) {
    const Ints bias = load(l.bias + block * kChannels + v * kLanes);
    for (int i = 0; i < kAll + kBehind; i++) sums[i][v] = bias;
  }
  auto step = [&](auto flips, int64_t offset, const int8_t* w) __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (int r = 0; r < kCount; r++) {
      const uint8_t* a = runs[r].in + offset;
#pragma GCC unroll 8
      for (int i = 0; i < kPixels; i++) {
        int32_t four;
        std::memcpy(&four, a + i * pitch, kStep);
        const Ints x = ints(four);
#pragma GCC unroll 4
        for (int v = 0; v < kUsed; v++) {
          const int8_t *weights = w + v * 4 * kLanes, *mask = weights + kBlockStep;
          Ints& sum = sums[r * kPixels + i][v];
          sum = dot(sum, flips ? flipped(x, load(mask)) : x, load(weights));
        }
      }
    }
  };
  const int8_t* w = l.plain.weights + int64_t{l.plain.first[block]} * kBlockStep;
  const int32_t* end = l.plain.offset + l.plain.first[block + 1];
  for (const int32_t* offset = l.plain.offset + l.plain.first[block]; offset < end; offset++) {
    step(std::false_type(), *offset, w);
    w += kBlockStep;
    if (ahead < ahead_end) {
      __builtin_prefetch(ahead, 0, 2);
      ahead += 64;
    }
  }
  if (kFlips)
    for (int i = l.flipped.first[block]; i < l.flipped.first[block + 1]; i++)
      step(std::true_type(), l.flipped.offset[i], l.flipped.weights + int64_t{i} * 2 * kBlockStep);
  // All unrolled, or the sums would go through memory.
  const int channel = block * kChannels, left = l.output.channels - channel;
  if constexpr (kUsed == 1) {
    finish_narrow<kCount, kPixels, kEnd>(l, f[0], runs, channel, left, sums[0]);
  } else {
#pragma GCC unroll 2
    for (int v = 0; v < kUsed; v += 2)
      if (left > v * kLanes)
        finish_wide<kCount, kPixels, kEnd>(l, f[v / 2], runs, channel + v * kLanes, left - v * kLanes,
                                           &sums[0][v]);
  }
}

// A tile of fewer runs than kMost.
template <int kMost, int kPixels, End kEnd, int kUsed, class... Rest>
void last_tile(int count, Rest&&... rest) {
  if constexpr (kMost > 2)
    if (count < kMost - 1) return last_tile<kMost - 1, kPixels, kEnd, kUsed>(count, rest...);
  if constexpr (kMost > 1) tile<kMost - 1, kPixels, kEnd, kUsed>(rest...);
}

// One block of channels over some rows. Meanwhile the weights [ahead, ahead_end) come from memory.
template <int kPixels, End kEnd, int kUsed>
void convolve(const Layer& l, int block, Range rows, const int8_t* ahead, const int8_t* ahead_end) {
  Finish f[(kUsed + 1) / 2];
  for (int v = 0; v < kUsed; v += 2)
    f[v / 2] = finish_for(l, block * kChannels + v * kLanes, kUsed == 1 ? 0 : kLanes);
  const int width = l.output.width;
  const int64_t pitch = int64_t{l.stride[1]} * l.input.channels, out_pitch = l.output.channels;
  Run runs[kRuns];
  int waiting = 0;
  for (int y = rows.first; y < rows.end; y++) {
    const uint8_t* in = pixel(l.input, y * l.stride[0] - l.before[0], -l.before[1]);
    uint8_t* out = writable(l.output, y, 0);
    const uint8_t* other = kEnd == End::kAddition ? pixel(l.other, y, 0) : nullptr;
    for (int x = 0; x < width; x += kPixels) {
      const int at = std::min(x, width - kPixels);  // the last one overlaps the one before
      runs[waiting] = {in + at * pitch, out + at * out_pitch, other ? other + at * out_pitch : nullptr};
      if (++waiting == kRuns) {
        tile<kRuns, kPixels, kEnd, kUsed>(l, f, block, runs, ahead, ahead_end);
        waiting = 0;
      }
    }
  }
  if (waiting) last_tile<kRuns, kPixels, kEnd, kUsed>(waiting, l, f, block, runs, ahead, ahead_end);
}

// How many pixels of a row are computed together: the last run overlaps the one before, and what it
// computes again costs as much as new pixels, a run itself about as much as one more.
int pixels_of_run(int width) {
  auto cost = [=](int pixels) { return (width + pixels - 1) / pixels * (pixels + 1); };
  int best = std::min<int>(kGroup, width);
  for (int pixels = best - 1; pixels > 0; pixels--)
    if (cost(pixels) < cost(best)) best = pixels;
  return best;
}

// By runs of so many pixels.
template <End kEnd, int kUsed, int kPixels = kGroup, class... Rest>
void convolve_by(int pixels, const Rest&... rest) {
  if constexpr (kPixels > 1)
    if (pixels < kPixels) return convolve_by<kEnd, kUsed, kPixels - 1>(pixels, rest...);
  convolve<kPixels, kEnd, kUsed>(rest...);
}

template <End kEnd, class... Rest>
void convolve_with(int pixels, const Layer& l, int block, const Rest&... rest) {
  const bool narrow = l.output.channels - block * kChannels <= kLanes;
  if (narrow) convolve_by<kEnd, 1>(pixels, l, block, rest...);
  else convolve_by<kEnd, kVectors>(pixels, l, block, rest...);
}

// By runs of so many pixels, see `convolve`.
template <class... Rest>
void convolution(int pixels, const Layer& l, const Rest&... rest) {
  switch (end_of(l)) {
    case End::kAny: return convolve_with<End::kAny>(pixels, l, rest...);
    case End::kRectified: return convolve_with<End::kRectified>(pixels, l, rest...);
    case End::kAddition: return convolve_with<End::kAddition>(pixels, l, rest...);
  }
}

}  // namespace
