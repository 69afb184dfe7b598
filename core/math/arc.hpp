// The inverses of the trigonometric functions: asin, acos, atan, atan2.
#pragma once
#include "round.hpp"

namespace FB_NAMESPACE::math {

// asin(x) = x + x z s(z) for |x| <= 1/2, atan(t) = t + t z t(z) for |t| <= tan(pi/8), z the square: minimax, own
// computation. pi/2 and pi/4 are sums of two.
template <class S>
struct Arc;
template <>
struct Arc<float> {
    static constexpr float s[] = {1.6666754e-1f, 7.495249e-2f, 4.5476675e-2f, 2.4147972e-2f, 4.22202e-2f};
    static constexpr float t[] = {-3.3333316e-1f, 1.9998527e-1f, -1.4244345e-1f, 1.0598728e-1f, -6.0887355e-2f};
    static constexpr float right = 1.57079637f, right_rest = -4.37113883e-8f;
};
template <>
struct Arc<double> {
    static constexpr double s[] = {1.6666666666665375e-01, 7.500000000344913e-02,   4.464285682189353e-02,
                                   3.0381959398505066e-02, 2.2371751875785523e-02,  1.7359796396791454e-02,
                                   1.3884344874791852e-02, 1.2174966635965019e-02,  6.503467015208921e-03,
                                   1.9594350168455944e-02, -1.6326504200349118e-02, 3.198143098981282e-02};
    static constexpr double t[] = {-3.333333333333319e-01, 1.9999999999952187e-01, -1.428571428005443e-01,
                                   1.1111110776318849e-01, -9.090897551598193e-02, 7.692056535609179e-02,
                                   -6.663062078486347e-02, 5.8475827556648624e-02, -5.037917881450139e-02,
                                   3.802917898594683e-02,  -1.786829812001947e-02};
    static constexpr double right = 1.57079632679489655800, right_rest = 6.12323399573676603587e-17;
};

// asin of r where |x| <= 1/2, r = |x|; else of r = sqrt((1 - |x|) / 2), which is (pi/2 - asin |x|) / 2.
template <class S, int W>
struct HalfArc {
    Vec<S, W> value;
    decltype(Vec<S, W>{} < Vec<S, W>{}) large;
};
template <class S, int W>
FB_INLINE HalfArc<S, W> half_arc(Vec<S, W> x) {
    const Vec<S, W> a = magnitude<S, W>(x), w = (S(1) - a) * S(0.5);
    const auto large = a > S(0.5);
    const Vec<S, W> z = where<S, W>(large, w, a * a), r = where<S, W>(large, vsqrt<S, W>(w), a);
    return {(r * z) * poly<S, W>(z, Arc<S>::s) + r, large};
}
// Bound: 2.5 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vasin(Vec<S, W> x) {
    const auto [v, large] = half_arc<S, W>(x);
    return with_sign<S, W>(where<S, W>(large, Arc<S>::right - ((v + v) - Arc<S>::right_rest), v), x);
}
// Bound: 1.3 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vacos(Vec<S, W> x) {
    const auto [v, large] = half_arc<S, W>(x);
    const Vec<S, W> signed_v = with_sign<S, W>(v, x), twice = v + v;
    const Vec<S, W> far = where<S, W>(x < S(0), 2 * Arc<S>::right - (twice - 2 * Arc<S>::right_rest), twice);
    return where<S, W>(large, far, Arc<S>::right - (signed_v - Arc<S>::right_rest));
}

// The angle of (x, y), both >= 0, from the axis of the larger, w, to the smaller, v: atan(v / w) = atan(t), or
// pi/4 + atan(t) with t = (v - w) / (v + w). Past the diagonal that is taken from pi/2.
template <class S, int W>
FB_INLINE Vec<S, W> first_quadrant(Vec<S, W> y, Vec<S, W> x) {
    using C = Arc<S>;
    const auto steep = y > x;
    const Vec<S, W> v = where<S, W>(steep, x, y), w = where<S, W>(steep, y, x);
    const auto wide = v > w * S(0.41421356237309504880);
    const Vec<S, W> t = where<S, W>(wide, v - w, v) / where<S, W>(wide, v + w, w), z = t * t;
    const Vec<S, W> u = (t * z) * poly<S, W>(z, C::t) + t, zero = Vec<S, W>{};
    const Vec<S, W> base = where<S, W>(wide, splat<S, W>(C::right / 2), zero);
    const Vec<S, W> rest = where<S, W>(wide, splat<S, W>(C::right_rest / 2), zero);
    // steep: pi/2 - (base + u)
    const Vec<S, W> from = where<S, W>(steep, C::right - base, base);
    const Vec<S, W> more = where<S, W>(steep, C::right_rest - rest, rest);
    return from + (where<S, W>(steep, zero - u, u) + more);
}
// Bound: 2.3 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vatan(Vec<S, W> x) {
    const Vec<S, W> a = magnitude<S, W>(x), one = splat<S, W>(1);
    const auto infinite = a == infinity<S>;
    return with_sign<S, W>(first_quadrant<S, W>(where<S, W>(infinite, one, a), where<S, W>(infinite, Vec<S, W>{}, one)),
                           x);
}
// The angle of the point (x, y). Large points are brought nearer, so that x + y is finite; two infinities are a
// diagonal, two zeros lie on the axis of x.
// Bound: 2.4 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vatan2(Vec<S, W> y, Vec<S, W> x) {
    constexpr S large = std::numeric_limits<S>::max() / 4;
    Vec<S, W> v = magnitude<S, W>(y), w = magnitude<S, W>(x);
    const Vec<S, W> one = splat<S, W>(1), zero = Vec<S, W>{}, m = vmax<S, W>(v, w);
    const auto infinite = m == infinity<S>;
    const Vec<S, W> scale = where<S, W>(m > large, splat<S, W>(S(0.25)), one);
    v = where<S, W>(infinite, where<S, W>(v == m, one, zero), v * scale);
    w = where<S, W>(infinite, where<S, W>(w == m, one, zero), where<S, W>(m == S(0), one, w * scale));
    const Vec<S, W> angle = first_quadrant<S, W>(v, w);
    const Vec<S, W> behind = 2 * Arc<S>::right - (angle - 2 * Arc<S>::right_rest);
    const Vec<S, W> negative = number<S, W>(bits<S, W>(one) | (bits<S, W>(x) & sign_bit<S>));
    return with_sign<S, W>(where<S, W>(negative < S(0), behind, angle), y);
}

}  // namespace FB_NAMESPACE::math
