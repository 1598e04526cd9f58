// Values that loops over equal instances compute with (see fast/lane_code.py): of one instance, or
// of eight as a vector. g++ makes vectors of short loops by itself, but not of long ones with
// values of all widths.

#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

constexpr int LANES = 8;

// One value of each of eight instances. Comparisons give 0 or 1, without a sign.
template <class T> struct Lanes {
    typedef T Vector __attribute__((vector_size(LANES * sizeof(T))));
    using Unsigned = Lanes<std::make_unsigned_t<T>>;

    Vector v;

    Lanes(Vector v) : v(v) {}
    template <class N, class = std::enable_if_t<std::is_integral_v<N>>>
    Lanes(N number) : v(Vector{} + T(number)) {}
    // g++ takes a vector to pieces if its elements become four times as long or short at once.
    template <class From> explicit Lanes(const Lanes<From> &from) {
        if constexpr (sizeof(T) > 2 * sizeof(From))
            v = Lanes(Lanes<Twice<From>>(from)).v;
        else if constexpr (sizeof(From) > 2 * sizeof(T))
            v = Lanes(Lanes<Twice<T>>(from)).v;
        else
            v = __builtin_convertvector(from.v, Vector);
    }

    Lanes operator~() const { return ~v; }
    Lanes operator-() const { return -v; }
    friend Lanes operator+(Lanes a, Lanes b) { return a.v + b.v; }
    friend Lanes operator-(Lanes a, Lanes b) { return a.v - b.v; }
    friend Lanes operator*(Lanes a, Lanes b) { return a.v * b.v; }
    friend Lanes operator&(Lanes a, Lanes b) { return a.v & b.v; }
    friend Lanes operator|(Lanes a, Lanes b) { return a.v | b.v; }
    friend Lanes operator^(Lanes a, Lanes b) { return a.v ^ b.v; }
    friend Lanes operator<<(Lanes a, int places) { return a.v << places; }
    friend Lanes operator>>(Lanes a, int places) { return a.v >> places; }
    friend Unsigned operator==(Lanes a, Lanes b) { return one(a.v == b.v); }
    friend Unsigned operator!=(Lanes a, Lanes b) { return one(a.v != b.v); }
    friend Unsigned operator<(Lanes a, Lanes b) { return one(a.v < b.v); }
    friend Unsigned operator<=(Lanes a, Lanes b) { return one(a.v <= b.v); }
    friend Unsigned operator>(Lanes a, Lanes b) { return one(a.v > b.v); }
    friend Unsigned operator>=(Lanes a, Lanes b) { return one(a.v >= b.v); }

private:
    template <class U>
    using Twice = std::conditional_t<sizeof(U) == 1, uint16_t, uint32_t>; // elements have no sign
    template <class Mask> static Unsigned one(Mask mask) {
        return typename Unsigned::Vector(mask) & 1;
    }
};

// What lies at `from`, and the other way round: an element, or eight.
template <class T, class Element> static inline T lane_load(const Element *from) {
    if constexpr (std::is_integral_v<T>) {
        return *from;
    } else {
        typename Lanes<Element>::Vector elements;
        std::memcpy(&elements, from, sizeof elements);
        return T(Lanes<Element>(elements));
    }
}
template <class Element, class T> static inline void lane_store(Element *to, T value) {
    if constexpr (std::is_integral_v<T>) {
        *to = Element(value);
    } else {
        const Lanes<Element> elements(value);
        std::memcpy(to, &elements.v, sizeof elements.v);
    }
}

template <class T> static inline T lane_choose(T select, T chosen, T other) {
    if constexpr (std::is_integral_v<T>)
        return select ? chosen : other;
    else
        return T(select.v != 0 ? chosen.v : other.v);
}

// The lowest bits as a number with a sign, extended to the whole of its type.
template <int Width, class T> static inline T lane_extend(T value) {
    if constexpr (!std::is_integral_v<T>) {
        using Number = std::make_signed_t<std::decay_t<decltype(value.v[0])>>;
        constexpr int lost = std::numeric_limits<std::make_unsigned_t<Number>>::digits - Width;
        return T(Lanes<Number>(value << lost) >> lost);
    } else if constexpr (Width == 8) {
        return T(std::make_signed_t<T>(int8_t(value)));
    } else if constexpr (Width == 16) {
        return T(std::make_signed_t<T>(int16_t(value)));
    } else {
        constexpr int lost = std::numeric_limits<T>::digits - Width;
        return T(std::make_signed_t<T>(value << lost) >> lost);
    }
}

// Shifts by any number of places: C++ knows none by as many as there are bits.
template <class T> static inline T lane_shift_left(T value, T places) {
    if constexpr (std::is_integral_v<T>)
        return places < std::numeric_limits<T>::digits ? value << places : 0;
    else
        return T(places.v < 8 * sizeof(value.v[0]) ? value.v << places.v : 0);
}
template <class T> static inline T lane_shift_right(T value, T places) {
    if constexpr (std::is_integral_v<T>)
        return places < std::numeric_limits<T>::digits ? value >> places : 0;
    else
        return T(places.v < 8 * sizeof(value.v[0]) ? value.v >> places.v : 0);
}
// The same with the sign of the value coming in.
template <class T> static inline T lane_shift_signed(T value, T places) {
    if constexpr (std::is_integral_v<T>) {
        constexpr T last = std::numeric_limits<T>::digits - 1;
        return T(std::make_signed_t<T>(value) >> (places < last ? places : last));
    } else {
        using Number = std::make_signed_t<std::decay_t<decltype(value.v[0])>>;
        using Signed = typename Lanes<Number>::Vector;
        constexpr std::make_unsigned_t<Number> last = 8 * sizeof(Number) - 1;
        return T(Lanes<Number>(Signed(value.v) >> Signed(places.v < last ? places.v : last)));
    }
}
