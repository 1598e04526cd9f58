// Convolutions by dot products: tiles of pixels of one block of channels, requantized, with an
// addition.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "layer.h"
#include "vector.h"

namespace {

// isa.py: kRuns runs of at most kGroup pixels of one row, whose sums of kChannels output channels
// are kept in registers together; kVectors of these are a block.
constexpr int kPair = 2 * kLanes;              // channels that are requantized together
constexpr int kChannels = kVectors * kLanes;   // of a block
constexpr int kStep = 4;                       // bytes of a lane of one dot product
constexpr int kBlockStep = kChannels * kStep;  // bytes of weights

// What two vectors of channels need after their sums, in registers or near them.
struct Finish {
  Floats multiplier[2];
  Floats low, high;       // bounds of the result less its zero point
  Shorts zero_point, lo;  // as uint8 values
  Ints multiply[2], constant;
  Shorts add_lo, add_hi, add_zero_point;
  int shift;
};

Finish finish_for(const Layer& l, int first) {
  Finish f;
  for (int v = 0; v < 2; v++) f.multiplier[v] = load_floats(l.multiplier + first + v * kLanes);
  f.low = floats(float(l.lo - l.zero_point));
  f.high = floats(float(l.hi - l.zero_point));
  f.zero_point = shorts(l.zero_point + 128);
  f.lo = shorts(l.lo + 128);
  if (l.other.data) {
    for (int v = 0; v < 2; v++) f.multiply[v] = ints(l.multiply[v]);
    f.constant = ints((1 << (l.shift - 1)) - l.multiply[1] * l.other.zero_point);
    f.shift = l.shift;
    f.add_zero_point = shorts(l.add_zero_point + 128);
    f.add_lo = shorts(l.add_lo + 128);
    f.add_hi = shorts(l.add_hi + 128);
  }
  return f;
}

// Sums of two vectors of channels to values of 0 to 255, in the order of `joined`.
Shorts finish(const Finish& f, Ints sum0, Ints sum1) {
  // Bounds are whole numbers, so that clamping before rounding gives the same; above, it has to be
  // before, as the conversion turns what does not fit into INT_MIN.
  const Floats scaled0 = least(scaled(sum0, f.multiplier[0]), f.high);
  const Floats scaled1 = least(scaled(sum1, f.multiplier[1]), f.high);
  const Shorts both = joined(rounded(scaled0), rounded(scaled1));
  return most_shorts(add_saturating(both, f.zero_point), f.lo);
}

// The same, and the addition of `other` to it.
Shorts finish(const Finish& f, Ints sum0, Ints sum1, Bytes other) {
  Ints addend0, addend1;
  widened(other, addend0, addend1);
  auto total = [&](Ints sum, Floats multiplier, Ints addend) {
    const Ints value = rounded(most(least(scaled(sum, multiplier), f.high), f.low));
    const Ints a = multiply(value, f.multiply[0]), b = multiply(addend, f.multiply[1]);
    return shift_right(add(add(a, b), f.constant), f.shift);
  };
  Shorts both = joined(total(sum0, f.multiplier[0], addend0), total(sum1, f.multiplier[1], addend1));
  both = add_saturating(both, f.add_zero_point);
  return least_shorts(most_shorts(both, f.add_lo), f.add_hi);
}

// Where a run begins: its first window, its first results, what is added to them.
struct Run {
  const uint8_t* in;
  uint8_t* out;
  const uint8_t* other;
};

// Two vectors of channels, from `channel` on, of each pixel of a run; the sums of a pixel are
// kVectors after those of the one before.
template <int kPixels, bool kFused, class Store>
__attribute__((always_inline)) inline void finish_run(const Layer& l, const Finish& f, Run run,
                                                      int channel, const Ints* sums, Store store) {
  uint8_t* out = run.out + channel;
  const int64_t pitch = l.output.channels;
#pragma GCC unroll 8
  for (int i = 0; i < kPixels; i++) {
    const Ints* sum = sums + i * kVectors;
    Shorts value;
    if constexpr (kFused) value = finish(f, sum[0], sum[1], load_bytes(run.other + channel + i * pitch));
    else value = finish(f, sum[0], sum[1]);
    store(out + i * pitch, bytes(value));
  }
}

// kPixels pixels of each of so many runs, for one block of channels.
template <int kCount, int kPixels, bool kFused>
void tile(const Layer& l, const Finish* f, int block, const Run* runs, const int8_t*& ahead,
          const int8_t* ahead_end) {
  const int64_t pitch = int64_t{l.stride[1]} * l.input.channels;
  const uint8_t* in[kCount];
  for (int r = 0; r < kCount; r++) in[r] = runs[r].in;
  Ints sums[kCount][kPixels][kVectors];
  for (int v = 0; v < kVectors; v++) {
    const Ints bias = load(l.bias + block * kChannels + v * kLanes);
    for (int r = 0; r < kCount; r++)
      for (int i = 0; i < kPixels; i++) sums[r][i][v] = bias;
  }
  auto step = [&](auto flips, int64_t offset, const int8_t* w) __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (int r = 0; r < kCount; r++) {
      const uint8_t* a = in[r] + offset;
#pragma GCC unroll 8
      for (int i = 0; i < kPixels; i++) {
        int32_t four;
        std::memcpy(&four, a + i * pitch, kStep);
        const Ints x = ints(four);
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; v++) {
          const int8_t *weights = w + v * 4 * kLanes, *mask = weights + kBlockStep;
          sums[r][i][v] = dot(sums[r][i][v], flips ? flipped(x, load(mask)) : x, load(weights));
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
#pragma GCC unroll 8
  for (int r = 0; r < kCount; r++)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; v += 2) {
      const int channel = block * kChannels + v * kLanes, left = l.output.channels - channel;
      if (left >= kPair)
        finish_run<kPixels, kFused>(l, f[v / 2], runs[r], channel, &sums[r][0][v], store_bytes);
      else if (left > 0)
        finish_run<kPixels, kFused>(l, f[v / 2], runs[r], channel, &sums[r][0][v],
                                    [=](uint8_t* to, Bytes value) { store_some(to, value, left); });
    }
}

// A tile of fewer runs than kMost.
template <int kMost, int kPixels, bool kFused, class... Rest>
void last_tile(int count, Rest&&... rest) {
  if constexpr (kMost > 2)
    if (count < kMost - 1) return last_tile<kMost - 1, kPixels, kFused>(count, rest...);
  if constexpr (kMost > 1) tile<kMost - 1, kPixels, kFused>(rest...);
}

// One block of channels over some rows. Meanwhile the weights [ahead, ahead_end) come from memory.
template <int kPixels, bool kFused>
void convolve(const Layer& l, int block, Range rows, const int8_t* ahead, const int8_t* ahead_end) {
  Finish f[kVectors / 2];
  for (int v = 0; v < kVectors / 2; v++) f[v] = finish_for(l, block * kChannels + v * kPair);
  const int width = l.output.width;
  const int64_t pitch = int64_t{l.stride[1]} * l.input.channels, out_pitch = l.output.channels;
  Run runs[kRuns];
  int waiting = 0;
  for (int y = rows.first; y < rows.end; y++) {
    const uint8_t* in = pixel(l.input, y * l.stride[0] - l.before[0], -l.before[1]);
    uint8_t* out = writable(l.output, y, 0);
    const uint8_t* other = kFused ? pixel(l.other, y, 0) : nullptr;
    for (int x = 0; x < width; x += kPixels) {
      const int at = std::min(x, width - kPixels);  // the last one overlaps the one before
      runs[waiting] = {in + at * pitch, out + at * out_pitch, kFused ? other + at * out_pitch : nullptr};
      if (++waiting == kRuns) {
        tile<kRuns, kPixels, kFused>(l, f, block, runs, ahead, ahead_end);
        waiting = 0;
      }
    }
  }
  if (waiting) last_tile<kRuns, kPixels, kFused>(waiting, l, f, block, runs, ahead, ahead_end);
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
template <int kPixels, bool kFused, class... Rest>
void convolve_by(int pixels, const Rest&... rest) {
  if constexpr (kPixels > 1)
    if (pixels < kPixels) return convolve_by<kPixels - 1, kFused>(pixels, rest...);
  convolve<kPixels, kFused>(rest...);
}

}  // namespace
