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

// How sums become results.
enum class End {
  kAny,
  kRectified,  // as `rectified` of layout.py says
  kAddition,   // with an addition behind the convolution
};

End end_of(const Layer& l) {
  return l.other.data ? End::kAddition : l.rectified ? End::kRectified : End::kAny;
}

// What two vectors of channels need after their sums, in registers or near them.
struct Finish {
  Floats multiplier[2];
  Floats origin[2];  // what the multiplier makes of 2^23, negative
  Floats low, high;  // bounds of the convolution's result less its zero point
  Shorts zero_point;
  Ints lo, hi;       // of bytes
  Ints multiply[2], constant;
  int shift;
};

Finish finish_for(const Layer& l, int first) {
  Finish f;
  for (int v = 0; v < 2; v++) {
    f.multiplier[v] = load_floats(l.multiplier + first + v * kLanes);
    f.origin[v] = product(f.multiplier[v], floats(-0x1p23f));
  }
  f.low = floats(float(l.lo - l.zero_point));
  f.high = floats(float(l.hi - l.zero_point));
  const bool addition = end_of(l) == End::kAddition;
  f.zero_point = shorts((addition ? l.add_zero_point : l.zero_point) + 128);
  f.lo = byte((addition ? l.add_lo : l.lo) + 128);
  f.hi = byte((addition ? l.add_hi : l.hi) + 128);
  if (addition) {
    for (int v = 0; v < 2; v++) f.multiply[v] = ints(l.multiply[v]);
    f.constant = ints((1 << (l.shift - 1)) - l.multiply[1] * l.other.zero_point);
    f.shift = l.shift;
  }
  return f;
}

// Sums of two vectors of channels to results, in the order of `joined`, that `bounded` still has to
// bound. `other` is what is added.
template <End kEnd>
__attribute__((always_inline)) inline Shorts finish(const Finish& f, const Ints* sums,
                                                    const uint8_t* other = nullptr) {
  Ints result[2];
  if constexpr (kEnd == End::kRectified) {
    // The bias holds the bits of 2^23: read as a float32, a sum s >= 0 is 2^23 + s exactly, and with
    // one rounding its product is that of s, as the contract has it. A negative sum, read as a
    // number below 2^23, gives a negative result, which a byte makes 0, as the ReLU does.
    for (int v = 0; v < 2; v++)
      result[v] = rounded(multiply_add(as_floats(sums[v]), f.multiplier[v], f.origin[v]));
    return joined(result[0], result[1]);
  } else {
    Ints addend[2];
    if constexpr (kEnd == End::kAddition) widened(load_bytes(other), addend[0], addend[1]);
    for (int v = 0; v < 2; v++) {
      // Bounds are whole numbers, so that clamping before rounding gives the same; above, it has to
      // be before, as the conversion turns what does not fit into INT_MIN.
      Floats value = least(product(as_numbers(sums[v]), f.multiplier[v]), f.high);
      if constexpr (kEnd == End::kAddition) {
        const Ints whole = multiply(rounded(most(value, f.low)), f.multiply[0]);
        result[v] = shift_right(add(add(whole, multiply(addend[v], f.multiply[1])), f.constant), f.shift);
      } else {
        result[v] = rounded(value);
      }
    }
    return add_saturating(joined(result[0], result[1]), f.zero_point);
  }
}

// Two of what `finish` gives, as bytes in the order of `joined_bytes`.
template <End kEnd>
Ints bounded(const Finish& f, Shorts a, Shorts b) {
  if constexpr (kEnd == End::kRectified) return joined_bytes(a, b);
  else return least_bytes(most_bytes(joined_bytes(a, b), f.lo), f.hi);
}

// Where a run begins: its first window, its first results, what is added to them.
struct Run {
  const uint8_t* in;
  uint8_t* out;
  const uint8_t* other;
};

// Two vectors of channels, from `channel` on, of all pixels of a tile, by twos; the sums of a pixel
// are kVectors after those of the one before.
template <int kCount, int kPixels, End kEnd, class Store>
__attribute__((always_inline)) inline void finish_tile(const Layer& l, const Finish& f, const Run* runs,
                                                       int channel, const Ints* sums, Store store) {
  const int64_t pitch = l.output.channels;
  constexpr int kAll = kCount * kPixels;
  auto at = [=](int i) __attribute__((always_inline)) { return channel + i % kPixels * pitch; };
  auto value = [&](int i) __attribute__((always_inline)) {
    const uint8_t* other = nullptr;
    if constexpr (kEnd == End::kAddition) other = runs[i / kPixels].other + at(i);
    return finish<kEnd>(f, sums + i * kVectors, other);
  };
#pragma GCC unroll 16
  for (int i = 0; i < kAll; i += 2) {
    const bool alone = i + 1 == kAll;
    const Shorts a = value(i), b = alone ? a : value(i + 1);
    Bytes of_a, of_b;
    separated(bounded<kEnd>(f, a, b), of_a, of_b);
    store(runs[i / kPixels].out + at(i), of_a);
    if (!alone) store(runs[(i + 1) / kPixels].out + at(i + 1), of_b);
  }
}

// kPixels pixels of each of so many runs, for one block of channels.
template <int kCount, int kPixels, End kEnd>
void tile(const Layer& l, const Finish* f, int block, const Run* runs, const int8_t*& ahead,
          const int8_t* ahead_end) {
  const int64_t pitch = int64_t{l.stride[1]} * l.input.channels;
  Ints sums[kCount][kPixels][kVectors];
  for (int v = 0; v < kVectors; v++) {
    const Ints bias = load(l.bias + block * kChannels + v * kLanes);
    for (int r = 0; r < kCount; r++)
      for (int i = 0; i < kPixels; i++) sums[r][i][v] = bias;
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
#pragma GCC unroll 2
  for (int v = 0; v < kVectors; v += 2) {
    const int channel = block * kChannels + v * kLanes, left = l.output.channels - channel;
    if (left >= kPair)
      finish_tile<kCount, kPixels, kEnd>(l, f[v / 2], runs, channel, &sums[0][0][v], store_bytes);
    else if (left > 0)
      finish_tile<kCount, kPixels, kEnd>(l, f[v / 2], runs, channel, &sums[0][0][v],
                                         [=](uint8_t* to, Bytes value) { store_some(to, value, left); });
  }
}

// A tile of fewer runs than kMost.
template <int kMost, int kPixels, End kEnd, class... Rest>
void last_tile(int count, Rest&&... rest) {
  if constexpr (kMost > 2)
    if (count < kMost - 1) return last_tile<kMost - 1, kPixels, kEnd>(count, rest...);
  if constexpr (kMost > 1) tile<kMost - 1, kPixels, kEnd>(rest...);
}

// One block of channels over some rows. Meanwhile the weights [ahead, ahead_end) come from memory.
template <int kPixels, End kEnd>
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
    const uint8_t* other = kEnd == End::kAddition ? pixel(l.other, y, 0) : nullptr;
    for (int x = 0; x < width; x += kPixels) {
      const int at = std::min(x, width - kPixels);  // the last one overlaps the one before
      runs[waiting] = {in + at * pitch, out + at * out_pitch, other ? other + at * out_pitch : nullptr};
      if (++waiting == kRuns) {
        tile<kRuns, kPixels, kEnd>(l, f, block, runs, ahead, ahead_end);
        waiting = 0;
      }
    }
  }
  if (waiting) last_tile<kRuns, kPixels, kEnd>(waiting, l, f, block, runs, ahead, ahead_end);
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
template <int kPixels, End kEnd, class... Rest>
void convolve_by(int pixels, const Rest&... rest) {
  if constexpr (kPixels > 1)
    if (pixels < kPixels) return convolve_by<kPixels - 1, kEnd>(pixels, rest...);
  convolve<kPixels, kEnd>(rest...);
}

}  // namespace
