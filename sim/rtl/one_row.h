// A memory of one row has addresses without bits. CXXRTL takes the first 32 of them all the same,
// which are whatever lies behind. Compiled in front of every design.

#pragma once

#include <cxxrtl/cxxrtl.h>

namespace cxxrtl_yosys {

template <>
inline memory_index::memory_index(const cxxrtl::value<0> &, size_t offset, size_t depth)
    : valid(offset == 0 && depth > 0), index(0) {}

} // namespace cxxrtl_yosys
