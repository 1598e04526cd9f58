// The integer contract (docs/numerics.md), compiled for each instruction set of isa.py.
//
// Feature maps are uint8, each value 128 above its int8 (`dot` multiplies unsigned by signed bytes),
// NHWC, with a border of the zero point wide enough for whoever reads them: no kernel looks at
// padding. A convolution is, for each kernel row, one run of kernel width * channels consecutive
// bytes. Nothing saturates on the way: sums wrap like the contract's int32 accumulator.
//
// Compile without contraction of floating point: the contract rounds after every operation.

#include "threads.h"

extern "C" {
void* dna_create(const Layer* layers, int count, int threads) {
  return new Machine(layers, count, threads);
}
void dna_run(void* machine) { static_cast<Machine*>(machine)->run(); }
void dna_destroy(void* machine) { delete static_cast<Machine*>(machine); }
}
