// Vectors of 8 lanes: AVX2, with or without AVX-VNNI.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace {

using Ints = __m256i;    // kLanes int32, or 4 * kLanes bytes of them
using Floats = __m256;   // kLanes float32
using Shorts = __m256i;  // 2 * kLanes int16
using Bytes = __m128i;   // 2 * kLanes uint8

Ints load(const void* at) { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); }
void store(void* at, Ints value) { _mm256_storeu_si256(static_cast<__m256i*>(at), value); }
Floats load_floats(const float* at) { return _mm256_loadu_ps(at); }
Bytes load_bytes(const uint8_t* at) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
}
Ints ints(int32_t value) { return _mm256_set1_epi32(value); }
Floats floats(float value) { return _mm256_set1_ps(value); }
Shorts shorts(int value) { return _mm256_set1_epi16(int16_t(value)); }
Ints byte(int value) { return _mm256_set1_epi8(int8_t(value)); }

// To each lane of `sum` the products of its four bytes: unsigned by signed, wrapping.
Ints dot(Ints sum, Ints activations, Ints weights) {
#ifdef __AVXVNNI__
  return _mm256_dpbusd_avx_epi32(sum, activations, weights);
#else
  // maddubs saturates the sum of two products: packing.py sees to it that none is so large.
  const __m256i pairs = _mm256_maddubs_epi16(activations, weights);
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
}

// With all bits of some bytes flipped.
Ints flipped(Ints bytes, Ints mask) { return _mm256_xor_si256(bytes, mask); }

Floats as_numbers(Ints value) { return _mm256_cvtepi32_ps(value); }
Floats as_floats(Ints bits) { return _mm256_castsi256_ps(bits); }
Floats product(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
Floats multiply_add(Floats a, Floats by, Floats to) { return _mm256_fmadd_ps(a, by, to); }
Floats least(Floats a, Floats b) { return _mm256_min_ps(a, b); }
Floats most(Floats a, Floats b) { return _mm256_max_ps(a, b); }
Ints rounded(Floats value) { return _mm256_cvtps_epi32(value); }  // halves to even
Ints add(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
Ints multiply(Ints a, Ints b) { return _mm256_mullo_epi32(a, b); }
Ints shift_right(Ints a, int by) { return _mm256_sra_epi32(a, _mm_cvtsi32_si128(by)); }
Shorts add_saturating(Shorts a, Shorts b) { return _mm256_adds_epi16(a, b); }
Ints least_bytes(Ints a, Ints b) { return _mm256_min_epu8(a, b); }
Ints most_bytes(Ints a, Ints b) { return _mm256_max_epu8(a, b); }

// In each 128 bits: the four lanes of `a`, then those of `b`, saturated.
Shorts joined(Ints a, Ints b) { return _mm256_packs_epi32(a, b); }

// In each 128 bits: the eight values of `a`, then those of `b`, as unsigned bytes, saturated.
Ints joined_bytes(Shorts a, Shorts b) { return _mm256_packus_epi16(a, b); }

// What `joined_bytes` put together.
void separated(Ints both, Bytes& a, Bytes& b) {
  const __m256i sorted = _mm256_permute4x64_epi64(both, 0xd8);  // 0, 2, 1, 3
  a = _mm256_castsi256_si128(sorted);
  b = _mm256_extracti128_si256(sorted, 1);
}

// The lanes that `joined` would have made these bytes of.
void widened(Bytes values, Ints& a, Ints& b) {
  const __m256i wide = _mm256_cvtepu8_epi16(values), zero = _mm256_setzero_si256();
  a = _mm256_unpacklo_epi16(wide, zero);
  b = _mm256_unpackhi_epi16(wide, zero);
}

// Of results of two pixels each, joined: the bytes of each of the four.
Ints quartered(Ints both) {
  return _mm256_permutevar8x32_epi32(both, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

// So many bytes as the lanes of a vector.
Ints numbers(const uint8_t* at) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at)));
}

// Bytes as 16 bits.
Shorts words(Bytes values) { return _mm256_cvtepu8_epi16(values); }

// In each 16 bits: the lower byte of `low`, then that of `high`, whose upper ones are zero.
Ints pairs(Shorts low, Shorts high) { return _mm256_or_si256(low, _mm256_slli_epi16(high, 8)); }

// In each 32 bits one byte further up.
Ints one_up(Ints bytes) { return _mm256_slli_epi32(bytes, 8); }

// In each 128 bits, of the lower (upper) halves: a byte of `a`, one of `b`, the next of `a` ...
Ints low_bytes(Ints a, Ints b) { return _mm256_unpacklo_epi8(a, b); }
Ints high_bytes(Ints a, Ints b) { return _mm256_unpackhi_epi8(a, b); }
Ints low_pairs(Ints a, Ints b) { return _mm256_unpacklo_epi16(a, b); }
Ints high_pairs(Ints a, Ints b) { return _mm256_unpackhi_epi16(a, b); }

void store_bytes(uint8_t* to, Bytes value) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), value);
}

void store_some(uint8_t* to, Bytes value, int count) {
  if (count >= 2 * kLanes) return store_bytes(to, value);
  if (count >= kLanes) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), value);
    value = _mm_unpackhi_epi64(value, value);
    to += kLanes, count -= kLanes;
  }
  const int64_t rest = _mm_cvtsi128_si64(value);
  std::memcpy(to, &rest, count);
}

void store_some(uint8_t* to, Ints value, int count) {
  uint8_t bytes[4 * kLanes];
  store(bytes, value);
  std::memcpy(to, bytes, count);
}

// Of a table of 256 bytes nothing is faster here than one load a value.
int looked_up(uint8_t*, const uint8_t*, int, const uint8_t*) { return 0; }

void pause() { _mm_pause(); }

}  // namespace
