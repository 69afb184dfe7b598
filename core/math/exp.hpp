// exp, and what follows from it: expm1, tanh, sigmoid, sinh, cosh.
//
// x = n ln 2 + r with |r| <= ln(2) / 2, so that exp(x) = 2^n exp(r) and exp(r) = 1 + r + r^2 q(r).
#pragma once
#include "bits.hpp"

namespace FB_NAMESPACE {

// ln 2 in two parts, the first so short that its product with n is exact (Cody and Waite; the split of Cephes).
// q: minimax for the relative error of exp(r), own computation.
template <class S>
struct Exponential;
template <>
struct Exponential<float> {
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr float lowest = -104, highest = 89;  // 0 below, infinity above
    static constexpr float one = 10, minus_one = -20;    // where tanh is 1, expm1 -1
    static constexpr float q[] = {4.9999994e-1f, 1.6666517e-1f, 4.1668102e-2f, 8.369196e-3f, 1.3838988e-3f};
};
template <>
struct Exponential<double> {
    static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
    static constexpr double lowest = -746, highest = 710;
    static constexpr double one = 20, minus_one = -40;
    static constexpr double q[] = {5.000000000000011e-01,  1.6666666666666435e-01, 4.1666666666525735e-02,
                                   8.333333333475666e-03,  1.3888888944890146e-03, 1.9841269557361823e-04,
                                   2.4801491697713465e-05, 2.7557531862198137e-06, 2.7630780450359247e-07,
                                   2.502018329185223e-08};
};

// n as an integer, plus `offset`; r; and exp(r) - 1, from |x| < 2^20.
template <class S, int W>
struct Reduced {
    Vec<S, W> r, p;
    Bits<S, W> n;
};
template <class S, int W>
FB_INLINE Reduced<S, W> reduce_exp(Vec<S, W> x, int offset) {
    using C = Exponential<S>;
    // Adding 1.5 * 2^digits leaves the nearest integer in the lowest bits.
    constexpr S shift = S(1.5) * S(int64_t(1) << Format<S>::digits);
    const Vec<S, W> t = x * S(1.44269504088896340736) + shift, n = t - shift;
    const Vec<S, W> r = (x - n * C::ln2_high) - n * C::ln2_low;
    const Vec<S, W> p = (r * r) * poly<S, W>(r, C::q) + r;
    return {r, p, bits<S, W>(t) - (bits_of(shift) - typename Format<S>::Unsigned(offset))};
}
// The number whose exponent field is e.
template <class S, int W>
FB_INLINE Vec<S, W> field(Bits<S, W> e) {
    return number<S, W>(e << Format<S>::digits);
}

// exp(x) times 2^extra, rounded once: the scale is applied in two exact halves but for the last.
template <class S, int W, int Extra>
FB_INLINE Vec<S, W> scaled_exp(Vec<S, W> x) {
    using C = Exponential<S>;
    x = at_least<S, W>(at_most<S, W>(x, C::highest), C::lowest);
    const auto [r, p, n] = reduce_exp<S, W>(x, 2 * Format<S>::bias + Extra);
    const Bits<S, W> first = n >> 1, second = n - first;
    return ((p + S(1)) * field<S, W>(first)) * field<S, W>(second);
}

// Bound: 1.1 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vexp(Vec<S, W> x) {
    return scaled_exp<S, W, 0>(x);
}

// exp(x) - 1 = 2^n (exp(r) - 1) + (2^n - 1). Twice 2^(n - 1), because 2^n may overflow where the result does not.
template <class S, int W>
FB_INLINE Vec<S, W> vexpm1(Vec<S, W> x) {
    using C = Exponential<S>;
    const Vec<S, W> y = at_least<S, W>(at_most<S, W>(x, C::highest), C::minus_one);
    const auto [r, p, n] = reduce_exp<S, W>(y, Format<S>::bias - 1);
    const Vec<S, W> scale = field<S, W>(n), e = (scale * p + (scale - S(0.5))) * S(2);
    return where<S, W>(magnitude<S, W>(x) < std::numeric_limits<S>::epsilon() / 4, x, e);
}

// tanh(a) = e / (e + 2), e = expm1(2a), a = |x|.
template <class S, int W>
FB_INLINE Vec<S, W> vtanh(Vec<S, W> x) {
    const Vec<S, W> a = at_most<S, W>(magnitude<S, W>(x), Exponential<S>::one);
    const auto [r, p, n] = reduce_exp<S, W>(a + a, Format<S>::bias);
    const Vec<S, W> scale = field<S, W>(n), e = scale * p + (scale - S(1));
    return with_sign<S, W>(e / (e + S(2)), x);
}

// 1 / (1 + exp(-x)), as e / (1 + e) with e = exp(-|x|) for negative x: its tail is as exact as that of exp.
template <class S, int W>
FB_INLINE Vec<S, W> vsigmoid(Vec<S, W> x) {
    const Vec<S, W> e = vexp<S, W>(-magnitude<S, W>(x)), one = splat<S, W>(1);
    return where<S, W>(x < S(0), e, one) / (e + one);
}

}  // namespace FB_NAMESPACE
