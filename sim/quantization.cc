// float32 to int8 as sim/quantization.py defines it, for CPUs with AVX512.
//
// Compile without contraction of floating point: the contract rounds after every operation.

#include <immintrin.h>

#include <cstdint>

namespace {

constexpr int64_t kLanes = 16;

// Of the lanes in `mask`; returns those that are NaN.
inline __mmask16 quantize(const float* real, int8_t* out, __mmask16 mask, __m512 scale,
                          __m512 zero_point) {
  const __m512 value = _mm512_maskz_loadu_ps(mask, real);
  const __m512 steps = _mm512_roundscale_ps(
      _mm512_div_ps(value, scale), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 moved = _mm512_add_ps(steps, zero_point);
  const __m512 low = _mm512_max_ps(moved, _mm512_set1_ps(-128));
  const __m512 clamped = _mm512_min_ps(low, _mm512_set1_ps(127));
  _mm512_mask_cvtsepi32_storeu_epi8(out, mask, _mm512_cvtps_epi32(clamped));
  return _mm512_cmp_ps_mask(moved, moved, _CMP_UNORD_Q);
}

}  // namespace

// Whether none of the values is NaN.
extern "C" bool dna_quantize(const float* real, int8_t* out, int64_t count, float scale,
                             float zero_point) {
  const __m512 scales = _mm512_set1_ps(scale), zero_points = _mm512_set1_ps(zero_point);
  __mmask16 nan = 0;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    nan |= quantize(real + i, out + i, 0xffff, scales, zero_points);
  if (i < count)
    nan |= quantize(real + i, out + i, __mmask16((1 << (count - i)) - 1), scales, zero_points);
  return nan == 0;
}
