// Random numbers for stalls, as sim/memory/stalls.py draws them: a pure function of state and cycle.

#pragma once

#include <cstdint>

namespace {

// SplitMix64 (Steele, Lea and Flood, 2014).
inline uint32_t draw(uint64_t state, uint64_t cycle) {
    uint64_t z = state + (cycle + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return uint32_t((z ^ (z >> 31)) >> 32);
}

// Whether a stream whose state at cycle 0 is `state` stalls in `cycle`.
inline bool stalls(uint64_t state, uint64_t threshold, uint64_t cycle) {
    return threshold && draw(state, cycle) < threshold;
}

} // namespace
