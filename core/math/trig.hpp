// sin, cos, tan.
//
// |x| = n pi/2 + r with |r| <= pi/4; the quadrant n mod 4 says which of sin(r) and cos(r) it is, and its sign. Both are
// even or odd polynomials in r. Past `limit` n has too many bits for this, and the standard library takes the lane.
#pragma once
#include "bits.hpp"

namespace FB_NAMESPACE {

// sin(r) = r + r z s(z), cos(r) = 1 - z/2 + z^2 c(z), z = r^2: minimax, own computation.
template <class S>
struct Circular;
template <>
struct Circular<float> {
    static constexpr float s[] = {-1.6666655e-1f, 8.332191e-3f, -1.9518597e-4f};
    static constexpr float c[] = {4.1666646e-2f, -1.388731e-3f, 2.4432327e-5f};
};
template <>
struct Circular<double> {
    static constexpr double s[] = {-1.6666666666666632e-01, 8.333333333322472e-03,   -1.984126982983557e-04,
                                   2.755731369725221e-06,   -2.5050758468502757e-08, 1.5896794761982813e-10};
    static constexpr double c[] = {4.1666666666666595e-02,  -1.3888888888873325e-03, 2.480158728898366e-05,
                                   -2.7557314210061723e-07, 2.0875704268012373e-09,  -1.1358683118216723e-11};
};
inline constexpr double circular_limit = 1048576;

template <class S, int W>
struct Angle {
    Vec<S, W> r;
    Bits<S, W> n;
};

// pi/2 in three parts. The products of the first two with n < 2^20 are exact: 33 bits each (Cody and Waite).
template <int W>
FB_INLINE Vec<double, W> quarter_turns(Vec<double, W> a, Vec<double, W>& r) {
    constexpr double shift = 6755399441055744;  // 1.5 * 2^52
    const Vec<double, W> t = a * 0.63661977236758134308 + shift, n = t - shift;
    r = ((a - n * 1.57079632673412561417e+00) - n * 6.07710050630396597660e-11) - n * 2.02226624879595063154e-21;
    return t;
}
template <int W>
FB_INLINE Vec<float, W> quarter_turns_of_single(Vec<float, W> a, Vec<float, W>& r) {
    if constexpr (W > 1 && W * sizeof(double) > size_t(vector_bytes)) {
        Vec<float, W / 2> low, high;
        const auto low_n = quarter_turns_of_single<W / 2>(half<float, W, 0>(a), low);
        const auto high_n = quarter_turns_of_single<W / 2>(half<float, W, 1>(a), high);
        r = join<float, W>(low, high);
        return join<float, W>(low_n, high_n);
    } else {
        Vec<double, W> d;
        const Vec<double, W> t = quarter_turns<W>(convert<double, float, W>(a), d);
        r = convert<float, double, W>(d);
        return convert<float, double, W>(t - 6755399441055744.0);
    }
}
// For 0 <= a < limit. A float is reduced in double: exactly enough without a third part to its r.
template <class S, int W>
FB_INLINE Angle<S, W> reduce_angle(Vec<S, W> a) {
    Angle<S, W> angle;
    if constexpr (std::is_same_v<S, float>)
        angle.n = bits<S, W>(quarter_turns_of_single<W>(a, angle.r) + 12582912.0f);  // 1.5 * 2^23
    else
        angle.n = bits<S, W>(quarter_turns<W>(a, angle.r));
    return angle;
}

template <class S, int W>
FB_INLINE Vec<S, W> short_sin(Vec<S, W> r) {
    const Vec<S, W> z = r * r;
    return (r * z) * poly<S, W>(z, Circular<S>::s) + r;
}
template <class S, int W>
FB_INLINE Vec<S, W> short_cos(Vec<S, W> r) {
    const Vec<S, W> z = r * r;
    return (z * z) * poly<S, W>(z, Circular<S>::c) + (S(1) - z * S(0.5));
}

// sin(|x| + turn pi/2), past the limit too, where `far` gives it.
template <class S, int W, class F>
FB_INLINE Vec<S, W> wave(Vec<S, W> x, typename Format<S>::Unsigned turn, F&& far) {
    const Vec<S, W> a = magnitude<S, W>(x);
    const Angle<S, W> angle = reduce_angle<S, W>(a);
    const Bits<S, W> n = angle.n + turn, one = n & 1;
    const Vec<S, W> s = choose<S, W>(Bits<S, W>{} - one, short_cos<S, W>(angle.r), short_sin<S, W>(angle.r));
    Vec<S, W> y = number<S, W>(bits<S, W>(s) ^ ((n & 2) << (8 * sizeof(S) - 2)));
    const auto beyond = a > S(circular_limit);
    if (__builtin_expect(any(beyond), 0)) y = where<S, W>(beyond, each<S, W>(far, a), y);
    return y;
}

template <class S, int W>
FB_INLINE Vec<S, W> vsin(Vec<S, W> x) {
    const Vec<S, W> y = wave<S, W>(x, 0, [](S s) { return std::sin(s); });
    return number<S, W>(bits<S, W>(y) ^ (bits<S, W>(x) & sign_bit<S>));
}
template <class S, int W>
FB_INLINE Vec<S, W> vcos(Vec<S, W> x) {
    return wave<S, W>(x, 1, [](S s) { return std::cos(s); });
}
// The tangent is a quotient of the two, upside down and negative in odd quadrants.
template <class S, int W>
FB_INLINE Vec<S, W> vtan(Vec<S, W> x) {
    const Vec<S, W> a = magnitude<S, W>(x);
    const Angle<S, W> angle = reduce_angle<S, W>(a);
    const Bits<S, W> one = angle.n & 1, odd = Bits<S, W>{} - one;
    const Vec<S, W> s = short_sin<S, W>(angle.r), c = short_cos<S, W>(angle.r);
    const Vec<S, W> q = choose<S, W>(odd, c, s) / choose<S, W>(odd, s, c);
    Vec<S, W> y = number<S, W>(bits<S, W>(q) ^ (one << (8 * sizeof(S) - 1)));
    const auto beyond = a > S(circular_limit);
    if (__builtin_expect(any(beyond), 0)) y = where<S, W>(beyond, each<S, W>([](S s) { return std::tan(s); }, a), y);
    return number<S, W>(bits<S, W>(y) ^ (bits<S, W>(x) & sign_bit<S>));
}

}  // namespace FB_NAMESPACE
