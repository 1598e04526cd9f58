// Vectors of 4 lanes: Arm with dot products, with or without i8mm.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace {

using Ints = int32x4_t;      // kLanes int32, or 4 * kLanes bytes of them
using Floats = float32x4_t;  // kLanes float32
using Shorts = int16x8_t;    // 2 * kLanes int16
using Bytes = uint8x8_t;     // 2 * kLanes uint8

Ints load(const void* at) { return vld1q_s32(static_cast<const int32_t*>(at)); }
void store(void* at, Ints value) { vst1q_s32(static_cast<int32_t*>(at), value); }
Floats load_floats(const float* at) { return vld1q_f32(at); }
Bytes load_bytes(const uint8_t* at) { return vld1_u8(at); }
Ints ints(int32_t value) { return vdupq_n_s32(value); }
Floats floats(float value) { return vdupq_n_f32(value); }
Shorts shorts(int value) { return vdupq_n_s16(int16_t(value)); }
Ints byte(int value) { return vreinterpretq_s32_s8(vdupq_n_s8(int8_t(value))); }

// To each lane of `sum` the products of its four bytes: unsigned by signed, wrapping.
Ints dot(Ints sum, Ints activations, Ints weights) {
  const uint8x16_t x = vreinterpretq_u8_s32(activations);
  const int8x16_t w = vreinterpretq_s8_s32(weights);
#ifdef __ARM_FEATURE_MATMUL_INT8
  return vusdotq_s32(sum, x, w);
#else
  // sdot takes the activations less 128; packing.py adds that much to the bias.
  return vdotq_s32(sum, vreinterpretq_s8_u8(veorq_u8(x, vdupq_n_u8(128))), w);
#endif
}

// With all bits of some bytes flipped.
Ints flipped(Ints bytes, Ints mask) { return veorq_s32(bytes, mask); }

Floats as_numbers(Ints value) { return vcvtq_f32_s32(value); }
Floats as_floats(Ints bits) { return vreinterpretq_f32_s32(bits); }
Floats product(Floats a, Floats b) { return vmulq_f32(a, b); }
Floats multiply_add(Floats a, Floats by, Floats to) { return vfmaq_f32(to, a, by); }
Floats least(Floats a, Floats b) { return vminq_f32(a, b); }
Floats most(Floats a, Floats b) { return vmaxq_f32(a, b); }
Ints rounded(Floats value) { return vcvtnq_s32_f32(value); }  // halves to even
Ints add(Ints a, Ints b) { return vaddq_s32(a, b); }
Ints multiply(Ints a, Ints b) { return vmulq_s32(a, b); }
Ints shift_right(Ints a, int by) { return vshlq_s32(a, vdupq_n_s32(-by)); }
Shorts add_saturating(Shorts a, Shorts b) { return vqaddq_s16(a, b); }
Ints least_bytes(Ints a, Ints b) {
  return vreinterpretq_s32_u8(vminq_u8(vreinterpretq_u8_s32(a), vreinterpretq_u8_s32(b)));
}
Ints most_bytes(Ints a, Ints b) {
  return vreinterpretq_s32_u8(vmaxq_u8(vreinterpretq_u8_s32(a), vreinterpretq_u8_s32(b)));
}

// The four lanes of `a`, then those of `b`, saturated.
Shorts joined(Ints a, Ints b) { return vcombine_s16(vqmovn_s32(a), vqmovn_s32(b)); }

// The eight values of `a`, then those of `b`, as unsigned bytes, saturated.
Ints joined_bytes(Shorts a, Shorts b) {
  return vreinterpretq_s32_u8(vcombine_u8(vqmovun_s16(a), vqmovun_s16(b)));
}

// What `joined_bytes` put together.
void separated(Ints both, Bytes& a, Bytes& b) {
  a = vget_low_u8(vreinterpretq_u8_s32(both));
  b = vget_high_u8(vreinterpretq_u8_s32(both));
}

// The lanes that `joined` would have made these bytes of.
void widened(Bytes values, Ints& a, Ints& b) {
  const uint16x8_t wide = vmovl_u8(values);
  a = vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)));
  b = vreinterpretq_s32_u32(vmovl_u16(vget_high_u16(wide)));
}

// Of results of two pixels each, joined: the bytes of each of the four.
Ints quartered(Ints both) { return both; }

// So many bytes as the lanes of a vector.
Ints numbers(const uint8_t* at) {
  uint32_t four;
  std::memcpy(&four, at, sizeof four);
  const uint8x8_t bytes = vreinterpret_u8_u32(vdup_n_u32(four));
  return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes))));
}

// Bytes as 16 bits.
Shorts words(Bytes values) { return vreinterpretq_s16_u16(vmovl_u8(values)); }

// In each 16 bits: the lower byte of `low`, then that of `high`, whose upper ones are zero.
Ints pairs(Shorts low, Shorts high) {
  return vreinterpretq_s32_s16(vorrq_s16(low, vshlq_n_s16(high, 8)));
}

// In each 32 bits one byte further up.
Ints one_up(Ints bytes) { return vshlq_n_s32(bytes, 8); }

// Of the lower (upper) halves: a byte of `a`, one of `b`, the next of `a` ...; pairs likewise.
Ints low_bytes(Ints a, Ints b) {
  return vreinterpretq_s32_u8(vzip1q_u8(vreinterpretq_u8_s32(a), vreinterpretq_u8_s32(b)));
}
Ints high_bytes(Ints a, Ints b) {
  return vreinterpretq_s32_u8(vzip2q_u8(vreinterpretq_u8_s32(a), vreinterpretq_u8_s32(b)));
}
Ints low_pairs(Ints a, Ints b) {
  return vreinterpretq_s32_u16(vzip1q_u16(vreinterpretq_u16_s32(a), vreinterpretq_u16_s32(b)));
}
Ints high_pairs(Ints a, Ints b) {
  return vreinterpretq_s32_u16(vzip2q_u16(vreinterpretq_u16_s32(a), vreinterpretq_u16_s32(b)));
}

void store_bytes(uint8_t* to, Bytes value) {
  vst1_u8(to, value);
}

void store_some(uint8_t* to, Bytes value, int count) {
  if (count >= 2 * kLanes) return store_bytes(to, value);
  uint8_t bytes[2 * kLanes];
  vst1_u8(bytes, value);
  std::memcpy(to, bytes, count);
}

void store_some(uint8_t* to, Ints value, int count) {
  uint8_t bytes[4 * kLanes];
  store(bytes, value);
  std::memcpy(to, bytes, count);
}

// Of a table of 256 bytes nothing is faster here than one load a value.
int looked_up(uint8_t*, const uint8_t*, int, const uint8_t*) { return 0; }

void pause() { asm volatile("yield"); }

}  // namespace
