// Nothing but dot products of registers: what a core can do at most of what the kernels do.

#include "vector.h"

namespace {

constexpr int kSums = 12;  // in flight, so that no dot product waits for another one

// What the compiler knows nothing of, so that it computes it each time.
Ints fresh(Ints value) {
#if defined(__aarch64__)
  asm volatile("" : "+w"(value));
#elif defined(__AVX512F__)
  asm volatile("" : "+v"(value));
#else
  asm volatile("" : "+x"(value));
#endif
  return value;
}

}  // namespace

// Multiply-accumulates that `rounds` rounds computed.
extern "C" int64_t dna_peak(int64_t rounds) {
  Ints sums[kSums] = {};
  const Ints activations = {};
  const Ints weights = fresh(activations);  // of a constant the compiler would leave nothing
  for (int64_t round = 0; round < rounds; round++)
    for (int i = 0; i < kSums; i++) sums[i] = dot(sums[i], fresh(activations), weights);
  for (int i = 0; i < kSums; i++) fresh(sums[i]);
  return rounds * kSums * kLanes * 4;
}
