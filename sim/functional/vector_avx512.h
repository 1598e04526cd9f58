// Vectors of 16 lanes: AVX512 with VNNI.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace {

using Ints = __m512i;    // kLanes int32, or 4 * kLanes bytes of them
using Floats = __m512;   // kLanes float32
using Shorts = __m512i;  // 2 * kLanes int16
using Bytes = __m256i;   // 2 * kLanes uint8

Ints load(const void* at) { return _mm512_loadu_si512(at); }
void store(void* at, Ints value) { _mm512_storeu_si512(at, value); }
Floats load_floats(const float* at) { return _mm512_loadu_ps(at); }
Bytes load_bytes(const uint8_t* at) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}
Ints ints(int32_t value) { return _mm512_set1_epi32(value); }
Floats floats(float value) { return _mm512_set1_ps(value); }
Shorts shorts(int value) { return _mm512_set1_epi16(int16_t(value)); }
Ints byte(int value) { return _mm512_set1_epi8(int8_t(value)); }

// To each lane of `sum` the products of its four bytes: unsigned by signed, wrapping.
Ints dot(Ints sum, Ints activations, Ints weights) {
  return _mm512_dpbusd_epi32(sum, activations, weights);
}

// With all bits of some bytes flipped.
Ints flipped(Ints bytes, Ints mask) { return _mm512_xor_si512(bytes, mask); }

Floats as_numbers(Ints value) { return _mm512_cvtepi32_ps(value); }
Floats as_floats(Ints bits) { return _mm512_castsi512_ps(bits); }
Floats product(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
Floats multiply_add(Floats a, Floats by, Floats to) { return _mm512_fmadd_ps(a, by, to); }
Floats least(Floats a, Floats b) { return _mm512_min_ps(a, b); }
Floats most(Floats a, Floats b) { return _mm512_max_ps(a, b); }
Ints rounded(Floats value) { return _mm512_cvtps_epi32(value); }  // halves to even
Ints add(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
Ints multiply(Ints a, Ints b) { return _mm512_mullo_epi32(a, b); }
Ints shift_right(Ints a, int by) { return _mm512_sra_epi32(a, _mm_cvtsi32_si128(by)); }
Shorts add_saturating(Shorts a, Shorts b) { return _mm512_adds_epi16(a, b); }
Ints least_bytes(Ints a, Ints b) { return _mm512_min_epu8(a, b); }
Ints most_bytes(Ints a, Ints b) { return _mm512_max_epu8(a, b); }

// In each 128 bits: the four lanes of `a`, then those of `b`, saturated.
Shorts joined(Ints a, Ints b) { return _mm512_packs_epi32(a, b); }

// In each 128 bits: the eight values of `a`, then those of `b`, as unsigned bytes, saturated.
Ints joined_bytes(Shorts a, Shorts b) { return _mm512_packus_epi16(a, b); }

// What `joined_bytes` put together.
void separated(Ints both, Bytes& a, Bytes& b) {
  const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  const __m512i sorted = _mm512_permutexvar_epi64(order, both);
  a = _mm512_castsi512_si256(sorted);
  b = _mm512_extracti64x4_epi64(sorted, 1);
}

// The lanes that `joined` would have made these bytes of.
void widened(Bytes values, Ints& a, Ints& b) {
  const __m512i wide = _mm512_cvtepu8_epi16(values), zero = _mm512_setzero_si512();
  a = _mm512_unpacklo_epi16(wide, zero);
  b = _mm512_unpackhi_epi16(wide, zero);
}

// Of results of two pixels each, joined: the bytes of each of the four.
Ints quartered(Ints both) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, both);
}

// So many bytes as the lanes of a vector.
Ints numbers(const uint8_t* at) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
}

// Bytes as 16 bits.
Shorts words(Bytes values) { return _mm512_cvtepu8_epi16(values); }

// In each 16 bits: the lower byte of `low`, then that of `high`, whose upper ones are zero.
Ints pairs(Shorts low, Shorts high) { return _mm512_or_si512(low, _mm512_slli_epi16(high, 8)); }

// In each 32 bits one byte further up.
Ints one_up(Ints bytes) { return _mm512_slli_epi32(bytes, 8); }

// In each 128 bits, of the lower (upper) halves: a byte of `a`, one of `b`, the next of `a` ...
Ints low_bytes(Ints a, Ints b) { return _mm512_unpacklo_epi8(a, b); }
Ints high_bytes(Ints a, Ints b) { return _mm512_unpackhi_epi8(a, b); }
Ints low_pairs(Ints a, Ints b) { return _mm512_unpacklo_epi16(a, b); }
Ints high_pairs(Ints a, Ints b) { return _mm512_unpackhi_epi16(a, b); }

void store_bytes(uint8_t* to, Bytes value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), value);
}

void store_some(uint8_t* to, Bytes value, int count) {
  if (count >= 2 * kLanes) return store_bytes(to, value);
  _mm256_mask_storeu_epi8(to, (1u << count) - 1, value);
}

void store_some(uint8_t* to, Ints value, int count) {
  _mm512_mask_storeu_epi8(to, (uint64_t{1} << count) - 1, value);
}

// The first values of a table of 256 bytes, and how many those are. Lanes of 16 bits choose a pair of
// bytes of the table, then one of the two.
int looked_up(uint8_t* out, const uint8_t* in, int count, const uint8_t* table) {
  const Ints t[4] = {load(table), load(table + 64), load(table + 128), load(table + 192)};
  const Ints byte = _mm512_set1_epi16(0xff), one = _mm512_set1_epi16(1);
  auto chosen = [&](Ints values) {  // 0 to 255, in 16 bits
    const Ints pair = _mm512_srli_epi16(values, 1);
    const Ints low = _mm512_permutex2var_epi16(t[0], pair, t[1]);
    const Ints high = _mm512_permutex2var_epi16(t[2], pair, t[3]);
    const Ints both = _mm512_mask_blend_epi16(_mm512_movepi16_mask(_mm512_slli_epi16(values, 8)), low, high);
    const Ints upper = _mm512_slli_epi16(_mm512_and_si512(values, one), 3);
    return _mm512_and_si512(_mm512_srlv_epi16(both, upper), byte);
  };
  int i = 0;
  for (; i + 64 <= count; i += 64) {
    const Ints values = load(in + i);
    const Ints even = chosen(_mm512_and_si512(values, byte));
    const Ints odd = chosen(_mm512_srli_epi16(values, 8));
    store(out + i, _mm512_or_si512(even, _mm512_slli_epi16(odd, 8)));
  }
  return i;
}

void pause() { _mm_pause(); }

}  // namespace
