// sinh, cosh and the inverses asinh, acosh, atanh. (tanh stands beside expm1.)
#pragma once
#include "exp.hpp"
#include "log.hpp"

namespace FB_NAMESPACE::math {

// sinh(x) = x + x z p(z), z = x^2, for |x| < 1: minimax, own computation.
template <class S>
struct Hyperbolic;
template <>
struct Hyperbolic<float> {
    static constexpr float p[] = {1.6666667e-1f, 8.3333105e-3f, 1.9842896e-4f, 2.7822134e-6f};
};
template <>
struct Hyperbolic<double> {
    static constexpr double p[] = {1.6666666666666669e-01, 8.333333333332912e-03, 1.9841269841593424e-04,
                                   2.755731910674562e-06,  2.50521310017522e-08,  1.6056658825638276e-10,
                                   7.776613814707184e-13};
};

// exp(|x|) / 2, which overflows no sooner than sinh and cosh do.
template <class S, int W>
FB_INLINE Vec<S, W> half_exp(Vec<S, W> x) {
    return scaled_exp<S, W, -1>(at_most<S, W>(magnitude<S, W>(x), Exponential<S>::highest + 1));
}
// e - 1 / (4e), e = exp(|x|) / 2, where that does not cancel.
// Bound: 1.8 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vsinh(Vec<S, W> x) {
    const Vec<S, W> a = magnitude<S, W>(x), z = a * a, e = half_exp<S, W>(x);
    const Vec<S, W> small = (a * z) * poly<S, W>(z, Hyperbolic<S>::p) + a;
    return with_sign<S, W>(where<S, W>(a < S(1), small, e - S(0.25) / e), x);
}
// Bound: 1.6 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vcosh(Vec<S, W> x) {
    const Vec<S, W> e = half_exp<S, W>(x);
    return e + S(0.25) / e;
}

// From here on squares would overflow, and a + sqrt(a^2 +- 1) is 2a.
template <class S>
inline constexpr S square_limit = std::is_same_v<S, float> ? S(1 << 30) : S(int64_t(1) << 60);

// log(a + sqrt(a^2 + 1)) = log1p(a + a^2 / (1 + sqrt(a^2 + 1))), a = |x|.
// Bound: 2.1 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vasinh(Vec<S, W> x) {
    const Vec<S, W> a = magnitude<S, W>(x), z = a * a;
    const auto large = a > square_limit<S>;
    const Vec<S, W> u = where<S, W>(large, a, a + z / (vsqrt<S, W>(z + S(1)) + S(1)));
    const Vec<S, W> more = where<S, W>(large, splat<S, W>(0.69314718055994530942), Vec<S, W>{});
    return with_sign<S, W>(vlog1p<S, W>(u) + more, x);
}
// log(x + sqrt(x^2 - 1)) = log1p(t + sqrt(2t + t^2)), t = x - 1.
// Bound: 2.7 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vacosh(Vec<S, W> x) {
    const Vec<S, W> t = x - S(1);
    const auto large = x > square_limit<S>;
    const Vec<S, W> u = where<S, W>(large, x, t + vsqrt<S, W>((t + S(2)) * t));
    const Vec<S, W> more = where<S, W>(large, splat<S, W>(0.69314718055994530942), Vec<S, W>{});
    return where<S, W>(x < S(1), splat<S, W>(not_a_number<S>), vlog1p<S, W>(u) + more);
}
// log((1 + a) / (1 - a)) / 2 = log1p(2a / (1 - a)) / 2, a = |x|.
// Bound: 2.2 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vatanh(Vec<S, W> x) {
    const Vec<S, W> a = magnitude<S, W>(x);
    return with_sign<S, W>(vlog1p<S, W>((a + a) / (S(1) - a)) * S(0.5), x);
}

}  // namespace FB_NAMESPACE::math
