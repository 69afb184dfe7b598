// sin, cos, tan.
//
// |x| = n pi/2 + r with |r| <= pi/4; the quadrant n mod 4 says which of sin(r) and cos(r) it is, and its sign. Both are
// even or odd polynomials in r. Past `limit` n has too many bits for this, and the standard library takes the lane.
#pragma once
#include "bits.hpp"

namespace FB_NAMESPACE::math {

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

inline constexpr double turns_of_one = 0.63661977236758134308;  // 2 / pi

// For 0 <= a < limit. pi/2 in parts of 33 bits, whose products with n < 2^20 are exact (Cody and Waite; fdlibm's
// parts). What the second difference rounds off goes into the third.
template <int W>
FB_INLINE Angle<double, W> reduce_angle(Vec<double, W> a) {
    const Vec<double, W> t = a * turns_of_one + integer_shift<double>, n = t - integer_shift<double>;
    const Vec<double, W> first = a - n * 1.57079632673412561417e+00, part = n * 6.07710050630396597660e-11;
    const Vec<double, W> second = first - part, rest = (first - second) - part;
    return {second + (rest - n * 2.02226624879595063154e-21), bits<double, W>(t)};
}
#if defined(__FMA__)
// Products in full length leave exact differences: a float needs three parts of any length.
template <int W>
FB_INLINE Angle<float, W> reduce_angle(Vec<float, W> a) {
    const Vec<float, W> t = a * float(turns_of_one) + integer_shift<float>, n = t - integer_shift<float>;
    const Vec<float, W> first = fused_rest<W>(a, n, 1.57079637e+00f),
                        second = fused_rest<W>(first, n, -4.37113883e-08f);
    return {fused_rest<W>(second, n, -1.71512489e-15f), bits<float, W>(t)};
}
#else
// In double, where the remainder of a float needs two parts.
template <int W>
FB_INLINE void reduce_in_double(Vec<float, W> a, Vec<float, W>& r, Vec<float, W>& n) {
    if constexpr (W > 1 && W * sizeof(double) > size_t(vector_bytes)) {
        Vec<float, W / 2> low, high, low_n, high_n;
        reduce_in_double<W / 2>(half<float, W, 0>(a), low, low_n);
        reduce_in_double<W / 2>(half<float, W, 1>(a), high, high_n);
        r = join<float, W>(low, high);
        n = join<float, W>(low_n, high_n);
    } else {
        const Vec<double, W> d = convert<double, float, W>(a);
        const Vec<double, W> m = (d * turns_of_one + integer_shift<double>)-integer_shift<double>;
        r = convert<float, double, W>((d - m * 1.57079632673412561417e+00) - m * 6.07710050650619224932e-11);
        n = convert<float, double, W>(m);
    }
}
template <int W>
FB_INLINE Angle<float, W> reduce_angle(Vec<float, W> a) {
    Vec<float, W> r, n;
    reduce_in_double<W>(a, r, n);
    return {r, bits<float, W>(n + integer_shift<float>)};
}
#endif

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
    const Angle<S, W> angle = reduce_angle<W>(a);
    const Bits<S, W> n = angle.n + turn, one = n & 1;
    const Vec<S, W> s = choose<S, W>(Bits<S, W>{} - one, short_cos<S, W>(angle.r), short_sin<S, W>(angle.r));
    Vec<S, W> y = number<S, W>(bits<S, W>(s) ^ ((n & 2) << (8 * sizeof(S) - 2)));
    const auto beyond = a > S(circular_limit);
    if (__builtin_expect(any(beyond), 0)) y = where<S, W>(beyond, each<S, W>(far, a), y);
    return y;
}

// Bound: 1.7 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vsin(Vec<S, W> x) {
    const Vec<S, W> y = wave<S, W>(x, 0, [](S s) { return std::sin(s); });
    return number<S, W>(bits<S, W>(y) ^ (bits<S, W>(x) & sign_bit<S>));
}
// Bound: 1.7 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vcos(Vec<S, W> x) {
    return wave<S, W>(x, 1, [](S s) { return std::cos(s); });
}
// The tangent is a quotient of the two, upside down and negative in odd quadrants.
// Bound: 3.8 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vtan(Vec<S, W> x) {
    const Vec<S, W> a = magnitude<S, W>(x);
    const Angle<S, W> angle = reduce_angle<W>(a);
    const Bits<S, W> one = angle.n & 1, odd = Bits<S, W>{} - one;
    const Vec<S, W> s = short_sin<S, W>(angle.r), c = short_cos<S, W>(angle.r);
    const Vec<S, W> q = choose<S, W>(odd, c, s) / choose<S, W>(odd, s, c);
    Vec<S, W> y = number<S, W>(bits<S, W>(q) ^ (one << (8 * sizeof(S) - 1)));
    const auto beyond = a > S(circular_limit);
    if (__builtin_expect(any(beyond), 0)) y = where<S, W>(beyond, each<S, W>([](S s) { return std::tan(s); }, a), y);
    return number<S, W>(bits<S, W>(y) ^ (bits<S, W>(x) & sign_bit<S>));
}

}  // namespace FB_NAMESPACE::math
