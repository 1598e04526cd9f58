// CXXRTL's slices and concatenations, quicker. Compiled in front of every design.
//
// CXXRTL shifts the whole of a value to take some bits out of it, and all that a concatenation has
// so far for each of its parts. Here only the chunks are touched that are concerned, in loops that
// the compiler unrolls. Values are the same.

#pragma once

#include <cxxrtl/cxxrtl.h>

namespace cxxrtl {

template <size_t Start, size_t Width, size_t Bits>
CXXRTL_ALWAYS_INLINE value<Width> dna_bits(const value<Bits> &whole) {
    constexpr size_t first = Start / 32, shift = Start % 32;
    value<Width> result;
#pragma GCC unroll 64
    for (size_t n = 0; n < result.chunks; n++) {
        uint32_t chunk = whole.data[first + n] >> shift;
        if (shift != 0 && first + n + 1 < whole.chunks)
            chunk |= uint32_t(uint64_t(whole.data[first + n + 1]) << (32 - shift));
        result.data[n] = chunk;
    }
    result.data[result.chunks - 1] &= result.msb_mask;
    return result;
}

template <size_t Low, size_t Bits, size_t Width>
CXXRTL_ALWAYS_INLINE void dna_place(value<Bits> &result, const value<Width> &part) {
    constexpr size_t first = Low / 32, shift = Low % 32;
#pragma GCC unroll 64
    for (size_t n = 0; n < part.chunks; n++) {
        result.data[first + n] |= part.data[n] << shift;
        if (shift != 0 && first + n + 1 < result.chunks)
            result.data[first + n + 1] |= part.data[n] >> (32 - shift);
    }
}

template <size_t Low, size_t Bits, class T, size_t Stop, size_t Start>
CXXRTL_ALWAYS_INLINE void dna_place(value<Bits> &result, const slice_expr<T, Stop, Start> &part) {
    dna_place<Low>(result, part.val());
}

template <size_t Low, size_t Bits, class T, class U>
CXXRTL_ALWAYS_INLINE void dna_place(value<Bits> &result, const concat_expr<T, U> &parts) {
    dna_place<Low>(result, parts.ls_expr);
    dna_place<Low + U::bits>(result, parts.ms_expr);
}

template <size_t Bits, size_t Stop, size_t Start>
struct slice_expr<const value<Bits>, Stop, Start>
    : public expr_base<slice_expr<const value<Bits>, Stop, Start>> {
    static constexpr size_t bits = Stop - Start + 1;
    const value<Bits> &expr;
    slice_expr(const value<Bits> &expr) : expr(expr) {}
    slice_expr(const slice_expr &) = delete;
    CXXRTL_ALWAYS_INLINE operator value<bits>() const { return val(); }
    CXXRTL_ALWAYS_INLINE value<bits> val() const { return dna_bits<Start, bits>(expr); }
};

template <size_t Bits, size_t Stop, size_t Start>
struct slice_expr<value<Bits>, Stop, Start>
    : public expr_base<slice_expr<value<Bits>, Stop, Start>> {
    static constexpr size_t bits = Stop - Start + 1;
    value<Bits> &expr;
    slice_expr(value<Bits> &expr) : expr(expr) {}
    slice_expr(const slice_expr &) = delete;
    CXXRTL_ALWAYS_INLINE operator value<bits>() const { return val(); }
    CXXRTL_ALWAYS_INLINE value<bits> val() const { return dna_bits<Start, bits>(expr); }
    CXXRTL_ALWAYS_INLINE slice_expr &operator=(const value<bits> &source) {
        expr = expr.template blit<Stop, Start>(source);
        return *this;
    }
};

// Three parts or more: T is a concatenation, of whatever it is made.
template <class T, class U> struct DnaConcat : public expr_base<concat_expr<T, U>> {
    static constexpr size_t bits = T::bits + U::bits;
    T &ms_expr;
    U &ls_expr;
    DnaConcat(T &ms_expr, U &ls_expr) : ms_expr(ms_expr), ls_expr(ls_expr) {}
    DnaConcat(const DnaConcat &) = delete;
    CXXRTL_ALWAYS_INLINE operator value<bits>() const { return val(); }
    CXXRTL_ALWAYS_INLINE value<bits> val() const {
        value<bits> result;
        dna_place<0>(result, ls_expr);
        dna_place<U::bits>(result, ms_expr);
        return result;
    }
    CXXRTL_ALWAYS_INLINE DnaConcat &operator=(const value<bits> &source) {
        ms_expr = dna_bits<U::bits, T::bits>(source);
        ls_expr = dna_bits<0, U::bits>(source);
        return *this;
    }
};

template <class A, class B, class U>
struct concat_expr<concat_expr<A, B>, U> : public DnaConcat<concat_expr<A, B>, U> {
    using DnaConcat<concat_expr<A, B>, U>::DnaConcat;
    using DnaConcat<concat_expr<A, B>, U>::operator=;
};

template <class A, class B, class U>
struct concat_expr<const concat_expr<A, B>, U> : public DnaConcat<const concat_expr<A, B>, U> {
    using DnaConcat<const concat_expr<A, B>, U>::DnaConcat;
    using DnaConcat<const concat_expr<A, B>, U>::operator=;
};

} // namespace cxxrtl
