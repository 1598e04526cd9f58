// float32 to int8 as sim/quantization.py defines it; the compiler makes vectors of the loop.
//
// Compile without contraction of floating point: the contract rounds after every operation.

#include <algorithm>
#include <cmath>
#include <cstdint>

// Whether none of the values is NaN.
extern "C" bool dna_quantize(const float* __restrict real, int8_t* __restrict out, int64_t count,
                             float scale, float zero_point) {
  int32_t nan = 0;
  for (int64_t i = 0; i < count; i++) {
    const float moved = std::nearbyint(real[i] / scale) + zero_point;
    nan |= moved != moved;
    out[i] = int8_t(int32_t(std::min(std::max(moved, -128.f), 127.f)));
  }
  return !nan;
}
