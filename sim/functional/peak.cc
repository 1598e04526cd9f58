// Nothing but dot products of registers: what a core can do at most of what the kernels do.

#include "vector.h"

namespace {

constexpr int kSums = 12;  // in flight, so that no dot product waits for another one

// The same value, of which the compiler knows nothing, in the same register.
void forget(Ints& value) {
#if defined(__aarch64__)
  asm volatile("" : "+w"(value));
#elif defined(__AVX512F__)
  asm volatile("" : "+v"(value));
#else
  asm volatile("" : "+x"(value));
#endif
}

}  // namespace

// Multiply-accumulates that `rounds` rounds computed.
extern "C" int64_t dna_peak(int64_t rounds) {
  Ints sums[kSums] = {}, activations = {}, weights = {};
  forget(weights);
  for (int64_t round = 0; round < rounds; round++)
#pragma GCC unroll 16
    for (int i = 0; i < kSums; i++) {
      forget(activations);  // or AVX2's products would be computed once for all sums
      sums[i] = dot(sums[i], activations, weights);
    }
#pragma GCC unroll 16
  for (int i = 0; i < kSums; i++) forget(sums[i]);
  return rounds * kSums * kLanes * 4;
}
