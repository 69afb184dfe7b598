// What needs no approximation: roots, rounding, order, signs, remainders.
#pragma once
#include "bits.hpp"

namespace FB_NAMESPACE::math {

template <class S, int W>
FB_INLINE Vec<S, W> vsqrt(Vec<S, W> x) {
    return each<S, W>([](S s) { return std::sqrt(s); }, x);
}
template <class S, int W>
FB_INLINE Vec<S, W> vabs(Vec<S, W> x) {
    return magnitude<S, W>(x);
}

// To the nearest integer, halves to even: adding 2^digits leaves no room for a fraction. Numbers that large have none.
template <class S, int W>
FB_INLINE Vec<S, W> vround(Vec<S, W> x) {
    constexpr S large = S(int64_t(1) << Format<S>::digits);
    const Vec<S, W> a = magnitude<S, W>(x), r = (a + large) - large;
    return where<S, W>(a < large, with_sign<S, W>(r, x), x);
}
template <class S, int W>
FB_INLINE Vec<S, W> vtrunc(Vec<S, W> x) {
    constexpr S large = S(int64_t(1) << Format<S>::digits);
    const Vec<S, W> a = magnitude<S, W>(x), r = (a + large) - large;
    return where<S, W>(a < large, with_sign<S, W>(where<S, W>(r > a, r - S(1), r), x), x);
}
template <class S, int W>
FB_INLINE Vec<S, W> vfloor(Vec<S, W> x) {
    const Vec<S, W> r = vround<S, W>(x);
    return where<S, W>(r > x, r - S(1), r);
}
template <class S, int W>
FB_INLINE Vec<S, W> vceil(Vec<S, W> x) {
    const Vec<S, W> r = vround<S, W>(x);
    return where<S, W>(r < x, with_sign<S, W>(r + S(1), x), r);
}

// -1, 0 or 1; like torch's, 0 for NaN.
template <class S, int W>
FB_INLINE Vec<S, W> vsign(Vec<S, W> x) {
    const Vec<S, W> one = splat<S, W>(1), zero = Vec<S, W>{};
    return where<S, W>(x > zero, one, where<S, W>(x < zero, -one, zero));
}

// lesser gives y when either is NaN.
template <class S, int W>
FB_INLINE Vec<S, W> vmin(Vec<S, W> x, Vec<S, W> y) {
    return where<S, W>(x != x, x, lesser<S, W>(x, y));
}
template <class S, int W>
FB_INLINE Vec<S, W> vmax(Vec<S, W> x, Vec<S, W> y) {
    return where<S, W>(x != x, x, greater<S, W>(x, y));
}

// x - y trunc(x / y), with the sign of x, exact. Lane by lane.
template <class S, int W>
FB_INLINE Vec<S, W> vfmod(Vec<S, W> x, Vec<S, W> y) {
    return each<S, W>([](S a, S b) { return std::fmod(a, b); }, x, y);
}
// x - y floor(x / y), with the sign of y, as Python has it. Lane by lane.
template <class S, int W>
FB_INLINE Vec<S, W> vremainder(Vec<S, W> x, Vec<S, W> y) {
    const Vec<S, W> r = vfmod<S, W>(x, y);
    return where<S, W>((r != S(0)) & ((r < S(0)) != (y < S(0))), r + y, r);
}

}  // namespace FB_NAMESPACE::math
