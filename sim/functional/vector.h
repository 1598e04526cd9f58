// The vectors of the instruction set that this is compiled for; isa.py gives kLanes.
#pragma once

#if defined(__AVX512VNNI__)
#include "vector_avx512.h"
#elif defined(__AVX2__)
#include "vector_avx2.h"
#elif defined(__ARM_FEATURE_DOTPROD)
#include "vector_neon.h"
#else
#error "no vectors for this CPU"
#endif
