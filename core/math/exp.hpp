// exp, and what follows from it: expm1, tanh, sigmoid.
//
// x = n ln 2 + r with |r| <= ln(2) / 2, so that exp(x) = 2^n exp(r) and exp(r) = 1 + r + r^2 q(r).
#pragma once
#include "bits.hpp"

namespace FB_NAMESPACE::math {

// ln 2 in two parts, the first so short that its product with n is exact (Cody and Waite; the split of Cephes).
// q, and t for tanh below 0.3: minimax for the relative error, own computation.
template <class S>
struct Exponential;
template <>
struct Exponential<float> {
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr float t[] = {-3.333306e-01f, 1.3314801e-01f, -5.036325e-02f};
    static constexpr float lowest = -104, highest = 89;  // 0 below, infinity above
    static constexpr float one = 10, minus_one = -20;    // where tanh is 1, expm1 -1
    static constexpr float q[] = {4.9999994e-1f, 1.6666517e-1f, 4.1668102e-2f, 8.369196e-3f, 1.3838988e-3f};
};
template <>
struct Exponential<double> {
    static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
    static constexpr double t[] = {-3.333333333333326e-01, 1.3333333333306652e-01, -5.396825393535268e-02,
                                   2.186948657176435e-02,  -8.863170522893649e-03, 3.5908703619378264e-03,
                                   -1.441629056278238e-03, 5.023770896637404e-04};
    static constexpr double lowest = -746, highest = 710;
    static constexpr double one = 20, minus_one = -40;
    static constexpr double q[] = {5.000000000000011e-01,  1.6666666666666435e-01, 4.1666666666525735e-02,
                                   8.333333333475666e-03,  1.3888888944890146e-03, 1.9841269557361823e-04,
                                   2.4801491697713465e-05, 2.7557531862198137e-06, 2.7630780450359247e-07,
                                   2.502018329185223e-08};
};

// n; p = exp(r) - 1; and e, n as an integer, plus `offset`. For |x| < 2^20; `rest` is what x leaves out.
template <class S, int W>
struct Reduced {
    Vec<S, W> n, p;
    Bits<S, W> e;
};
template <class S, int W>
FB_INLINE Reduced<S, W> reduce_exp(Vec<S, W> x, int offset, Vec<S, W> rest = Vec<S, W>{}) {
    using C = Exponential<S>;
    constexpr S shift = integer_shift<S>;
    const Vec<S, W> t = x * S(1.44269504088896340736) + shift, n = t - shift;
    const Vec<S, W> r = ((x - n * C::ln2_high) - n * C::ln2_low) + rest;
    return {n, (r * r) * poly<S, W>(r, C::q) + r,
            bits<S, W>(t) - (bits_of(shift) - typename Format<S>::Unsigned(offset))};
}
// The number whose exponent field is e.
template <class S, int W>
FB_INLINE Vec<S, W> field(Bits<S, W> e) {
    return number<S, W>(e << Format<S>::digits);
}

// exp(x + rest) times 2^Extra, for x <= highest, rounded once: the scale is applied in two halves, of which the first
// is exact.
template <class S, int W, int Extra = 0>
FB_INLINE Vec<S, W> scaled_exp(Vec<S, W> x, Vec<S, W> rest = Vec<S, W>{}) {
    const auto [n, p, e] =
        reduce_exp<S, W>(at_least<S, W>(x, Exponential<S>::lowest), 2 * Format<S>::bias + Extra, rest);
#if defined(__AVX512F__)
    if constexpr (sizeof(x) == 64 && std::is_same_v<S, float>)
        return (Vec<S, W>)_mm512_maskz_scalef_ps(0xffff, (__m512)(p + S(1)), (__m512)(n + S(Extra)));
    if constexpr (sizeof(x) == 64 && std::is_same_v<S, double>)
        return (Vec<S, W>)_mm512_maskz_scalef_pd(0xff, (__m512d)(p + S(1)), (__m512d)(n + S(Extra)));
#endif
    const Bits<S, W> first = e >> 1, second = e - first;
    return ((p + S(1)) * field<S, W>(first)) * field<S, W>(second);
}

// Bound: 1.1 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vexp(Vec<S, W> x) {
    return scaled_exp<S, W>(at_most<S, W>(x, Exponential<S>::highest));
}

// exp(x) - 1 = 2^n (exp(r) - 1) + (2^n - 1). Twice 2^(n - 1), because 2^n may overflow where the result does not.
// Bound: 2.2 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vexpm1(Vec<S, W> x) {
    using C = Exponential<S>;
    const Vec<S, W> y = at_least<S, W>(at_most<S, W>(x, C::highest), C::minus_one);
    const auto [n, p, exponent] = reduce_exp<S, W>(y, Format<S>::bias - 1);
    const Vec<S, W> scale = field<S, W>(exponent), e = (scale * p + (scale - S(0.5))) * S(2);
    return where<S, W>(magnitude<S, W>(x) < std::numeric_limits<S>::epsilon() / 4, x, e);
}

// tanh(a) = e / (e + 2), e = expm1(2a), a = |x|; near zero a + a z t(z), z = a^2, which rounds less often.
// Bound: 1.6 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vtanh(Vec<S, W> x) {
    using C = Exponential<S>;
    const Vec<S, W> a = at_most<S, W>(magnitude<S, W>(x), C::one), z = a * a;
    const auto [n, p, exponent] = reduce_exp<S, W>(a + a, Format<S>::bias);
    const Vec<S, W> scale = field<S, W>(exponent), e = scale * p + (scale - S(1));
    const Vec<S, W> small = (a * z) * poly<S, W>(z, C::t) + a;
    return with_sign<S, W>(where<S, W>(a < S(0.3), small, e / (e + S(2))), x);
}

// 1 / (1 + exp(-x)), as e / (1 + e) with e = exp(-|x|) for negative x: its tail is as exact as that of exp.
// Bound: 2.4 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vsigmoid(Vec<S, W> x) {
    const Vec<S, W> e = scaled_exp<S, W>(with_sign<S, W>(x, splat<S, W>(-1))), one = splat<S, W>(1);
    return where<S, W>(x < S(0), e, one) / (e + one);
}

}  // namespace FB_NAMESPACE::math
