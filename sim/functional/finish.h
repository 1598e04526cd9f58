// Requantization: sums to bytes, with an addition.
#pragma once

#include "layer.h"
#include "vector.h"

namespace {

constexpr int kPair = 2 * kLanes;  // sums that are requantized together

// How sums become results.
enum class End {
  kAny,
  kRectified,  // as `rectified` of layout.py says
  kAddition,   // with an addition behind the convolution
};

End end_of(const Layer& l) {
  return l.other.data ? End::kAddition : l.rectified ? End::kRectified : End::kAny;
}

// What two vectors of sums need, in registers or near them.
struct Finish {
  Floats multiplier[2];
  Floats origin[2];  // what the multiplier makes of 2^23, negative
  Floats low, high;  // bounds of the convolution's result less its zero point
  Shorts zero_point;
  Ints lo, hi;       // of bytes
  Ints multiply[2], constant;
  int shift;
};

// Of the channels from `first` on, the second vector `apart` behind the first: 0 if they are of the
// same channels.
Finish finish_for(const Layer& l, int first, int apart = kLanes) {
  Finish f;
  for (int v = 0; v < 2; v++) {
    f.multiplier[v] = load_floats(l.multiplier + first + v * apart);
    f.origin[v] = product(f.multiplier[v], floats(-0x1p23f));
  }
  f.low = floats(float(l.lo - l.zero_point));
  f.high = floats(float(l.hi - l.zero_point));
  const bool addition = end_of(l) == End::kAddition;
  f.zero_point = shorts((addition ? l.add_zero_point : l.zero_point) + 128);
  f.lo = byte((addition ? l.add_lo : l.lo) + 128);
  f.hi = byte((addition ? l.add_hi : l.hi) + 128);
  if (addition) {
    for (int v = 0; v < 2; v++) f.multiply[v] = ints(l.multiply[v]);
    f.constant = ints((1 << (l.shift - 1)) - l.multiply[1] * l.other.zero_point);
    f.shift = l.shift;
  }
  return f;
}

// Two vectors of sums to results, in the order of `joined`, that `bounded` still has to bound.
template <End kEnd>
__attribute__((always_inline)) inline Shorts finish(const Finish& f, const Ints* sums,
                                                    const Ints* addend = nullptr) {
  Ints result[2];
  if constexpr (kEnd == End::kRectified) {
    // The bias holds the bits of 2^23: read as a float32, a sum s >= 0 is 2^23 + s exactly, and with
    // one rounding its product is that of s, as the contract has it. A negative sum, read as a
    // number below 2^23, gives a negative result, which a byte makes 0, as the ReLU does.
    for (int v = 0; v < 2; v++)
      result[v] = rounded(multiply_add(as_floats(sums[v]), f.multiplier[v], f.origin[v]));
    return joined(result[0], result[1]);
  } else {
    for (int v = 0; v < 2; v++) {
      // Bounds are whole numbers, so that clamping before rounding gives the same; above, it has to
      // be before, as the conversion turns what does not fit into INT_MIN.
      Floats value = least(product(as_numbers(sums[v]), f.multiplier[v]), f.high);
      if constexpr (kEnd == End::kAddition) {
        const Ints whole = multiply(rounded(most(value, f.low)), f.multiply[0]);
        result[v] = shift_right(add(add(whole, multiply(addend[v], f.multiply[1])), f.constant), f.shift);
      } else {
        result[v] = rounded(value);
      }
    }
    return add_saturating(joined(result[0], result[1]), f.zero_point);
  }
}

// Two of what `finish` gives, as bytes in the order of `joined_bytes`.
template <End kEnd>
Ints bounded(const Finish& f, Shorts a, Shorts b) {
  if constexpr (kEnd == End::kRectified) return joined_bytes(a, b);
  else return least_bytes(most_bytes(joined_bytes(a, b), f.lo), f.hi);
}

}  // namespace
