// Convolutions by vpdpbusd: tiles of pixels of one block of channels, requantized, with an addition.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "layer.h"

namespace {

constexpr int kGroup = 7;      // pixels of one row whose sums are kept in registers together
constexpr int kChannels = 32;  // output channels of a block: two vectors of int32
constexpr int kStep = 4;       // bytes that one vpdpbusd lane multiplies and adds

// What one block needs after its sums, in registers or near them.
struct Finish {
  __m512 multiplier[2];
  __m512 low, high;  // bounds of the result less its zero point
  __m512i zero_point, lo;  // int16, as uint8 values
  __m512i multiply[2], constant, add_lo, add_hi, add_zero_point;
  __m128i shift;
};

Finish finish_for(const Layer& l, int block) {
  Finish f;
  for (int v = 0; v < 2; v++)
    f.multiplier[v] = _mm512_loadu_ps(l.multiplier + block * kChannels + v * 16);
  f.low = _mm512_set1_ps(float(l.lo - l.zero_point));
  f.high = _mm512_set1_ps(float(l.hi - l.zero_point));
  f.zero_point = _mm512_set1_epi16(int16_t(l.zero_point + 128));
  f.lo = _mm512_set1_epi16(int16_t(l.lo + 128));
  if (l.other.data) {
    f.multiply[0] = _mm512_set1_epi32(l.multiply[0]);
    f.multiply[1] = _mm512_set1_epi32(l.multiply[1]);
    f.constant = _mm512_set1_epi32((1 << (l.shift - 1)) - l.multiply[1] * l.other.zero_point);
    f.shift = _mm_cvtsi32_si128(l.shift);
    f.add_zero_point = _mm512_set1_epi16(int16_t(l.add_zero_point + 128));
    f.add_lo = _mm512_set1_epi16(int16_t(l.add_lo + 128));
    f.add_hi = _mm512_set1_epi16(int16_t(l.add_hi + 128));
  }
  return f;
}

// Sums of one pixel to uint8. packs interleaves its operands by groups of four channels, and Layer's
// order of channels in a block undoes that.
template <bool kFused>
__m256i finish(const Finish& f, __m512i sum0, __m512i sum1, __m256i other) {
  __m512 scaled0 = _mm512_mul_ps(_mm512_cvtepi32_ps(sum0), f.multiplier[0]);
  __m512 scaled1 = _mm512_mul_ps(_mm512_cvtepi32_ps(sum1), f.multiplier[1]);
  // Bounds are whole numbers, so that clamping before rounding gives the same; above, it has to be
  // before, as the conversion turns what does not fit into INT_MIN.
  scaled0 = _mm512_min_ps(scaled0, f.high);
  scaled1 = _mm512_min_ps(scaled1, f.high);
  if (!kFused) {
    __m512i both = _mm512_packs_epi32(_mm512_cvtps_epi32(scaled0), _mm512_cvtps_epi32(scaled1));
    both = _mm512_max_epi16(_mm512_adds_epi16(both, f.zero_point), f.lo);
    return _mm512_cvtepi16_epi8(both);
  }
  __m512i value0 = _mm512_cvtps_epi32(_mm512_max_ps(scaled0, f.low));
  __m512i value1 = _mm512_cvtps_epi32(_mm512_max_ps(scaled1, f.low));
  const __m512i wide = _mm512_cvtepu8_epi16(other), zero = _mm512_setzero_si512();
  __m512i other0 = _mm512_unpacklo_epi16(wide, zero), other1 = _mm512_unpackhi_epi16(wide, zero);
  auto total = [&](__m512i value, __m512i addend) {
    __m512i a = _mm512_mullo_epi32(value, f.multiply[0]);
    __m512i b = _mm512_mullo_epi32(addend, f.multiply[1]);
    return _mm512_sra_epi32(_mm512_add_epi32(_mm512_add_epi32(a, b), f.constant), f.shift);
  };
  __m512i both = _mm512_packs_epi32(total(value0, other0), total(value1, other1));
  both = _mm512_adds_epi16(both, f.add_zero_point);
  return _mm512_cvtepi16_epi8(_mm512_min_epi16(_mm512_max_epi16(both, f.add_lo), f.add_hi));
}

// kPixels pixels of each of kRuns rows, for one block of channels.
template <int kRuns, int kPixels, bool kFused>
void tile(const Layer& l, const Finish& f, int block, const int (&ys)[2], const int (&xs)[2],
          const int8_t*& ahead, const int8_t* ahead_end) {
  const int64_t pitch = int64_t{l.stride[1]} * l.input.channels;
  const uint8_t* in[2];
  for (int r = 0; r < kRuns; r++)
    in[r] = pixel(l.input, ys[r] * l.stride[0] - l.before[0], xs[r] * l.stride[1] - l.before[1]);
  __m512i sums[kRuns][kPixels][2];
  for (int v = 0; v < 2; v++) {
    const __m512i bias = _mm512_loadu_si512(l.bias + block * kChannels + v * 16);
    for (int r = 0; r < kRuns; r++)
      for (int i = 0; i < kPixels; i++) sums[r][i][v] = bias;
  }
  const int8_t* w = l.weights + int64_t{block} * l.kernel[0] * l.steps * kChannels * kStep;
  for (int row = 0; row < l.kernel[0]; row++) {
    const uint8_t* a0 = in[0] + row * l.input.row;
    const uint8_t* a1 = kRuns > 1 ? in[1] + row * l.input.row : a0;
    for (int step = 0; step < l.steps; step++) {
      const __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + 64);
      w += kChannels * kStep;
      if (ahead < ahead_end) {
        _mm_prefetch(ahead, _MM_HINT_T1);
        ahead += 64;
      }
#pragma GCC unroll 7
      for (int i = 0; i < kPixels; i++) {
        int32_t four;
        std::memcpy(&four, a0 + i * pitch, kStep);
        const __m512i x = _mm512_set1_epi32(four);
        sums[0][i][0] = _mm512_dpbusd_epi32(sums[0][i][0], x, w0);
        sums[0][i][1] = _mm512_dpbusd_epi32(sums[0][i][1], x, w1);
      }
      a0 += kStep;
      if (kRuns > 1) {
#pragma GCC unroll 7
        for (int i = 0; i < kPixels; i++) {
          int32_t four;
          std::memcpy(&four, a1 + i * pitch, kStep);
          const __m512i x = _mm512_set1_epi32(four);
          sums[1][i][0] = _mm512_dpbusd_epi32(sums[1][i][0], x, w0);
          sums[1][i][1] = _mm512_dpbusd_epi32(sums[1][i][1], x, w1);
        }
        a1 += kStep;
      }
    }
  }
  const int channel = block * kChannels;
  const int left = l.output.channels - channel;
  const __mmask32 mask = left >= kChannels ? ~0u : (1u << left) - 1;
  for (int r = 0; r < kRuns; r++) {
    uint8_t* out = writable(l.output, ys[r], xs[r]) + channel;
    const uint8_t* other = kFused ? pixel(l.other, ys[r], xs[r]) + channel : nullptr;
    for (int i = 0; i < kPixels; i++) {
      __m256i addend = _mm256_setzero_si256();
      if (kFused) addend = _mm256_maskz_loadu_epi8(mask, other + int64_t{i} * l.other.channels);
      const __m256i value = finish<kFused>(f, sums[r][i][0], sums[r][i][1], addend);
      _mm256_mask_storeu_epi8(out + int64_t{i} * l.output.channels, mask, value);
    }
  }
}

// One block of channels over some rows. Meanwhile the weights [ahead, ahead_end) come from memory.
template <int kPixels, bool kFused>
void convolve(const Layer& l, int block, Range rows, const int8_t* ahead, const int8_t* ahead_end) {
  const Finish f = finish_for(l, block);
  const int width = l.output.width;
  int ys[2], xs[2], waiting = 0;
  for (int y = rows.first; y < rows.end; y++)
    for (int x = 0; x < width; x += kPixels) {
      ys[waiting] = y;
      xs[waiting] = std::min(x, width - kPixels);  // the last run overlaps the one before
      if (++waiting == 2) {
        tile<2, kPixels, kFused>(l, f, block, ys, xs, ahead, ahead_end);
        waiting = 0;
      }
    }
  if (waiting) tile<1, kPixels, kFused>(l, f, block, ys, xs, ahead, ahead_end);
}

template <bool kFused>
void convolve(const Layer& l, int block, Range rows, const int8_t* ahead, const int8_t* ahead_end) {
  switch (std::min(l.output.width, kGroup)) {
    case 1: return convolve<1, kFused>(l, block, rows, ahead, ahead_end);
    case 2: return convolve<2, kFused>(l, block, rows, ahead, ahead_end);
    case 3: return convolve<3, kFused>(l, block, rows, ahead, ahead_end);
    case 4: return convolve<4, kFused>(l, block, rows, ahead, ahead_end);
    case 5: return convolve<5, kFused>(l, block, rows, ahead, ahead_end);
    case 6: return convolve<6, kFused>(l, block, rows, ahead, ahead_end);
    default: return convolve<7, kFused>(l, block, rows, ahead, ahead_end);
  }
}

}  // namespace
