// The error function erf(x) = 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, and erfc(x) = 1 - erf(x).
#pragma once
#include "exp.hpp"

namespace FB_NAMESPACE::math {

// For |x| < 1: erf(x) = x + x n(x^2). From there to where it is 1: 1 - exp(-f(|x|)), f minimax for the error of erf.
// For erfc see below. All are own computations.
template <class S>
struct Error;
template <>
struct Error<float> {
    static constexpr float one = 4, none = 10.2f, pole = 3;
    static constexpr float n[] = {1.2837917e-01f, -3.7612626e-01f, 1.1283579e-01f, -2.6853347e-02f,
                                  5.187162e-03f,  -7.997853e-04f,  7.806904e-05f};
    static constexpr float f[] = {3.4165595e-04f,  1.1270887e+00f, 6.381457e-01f,  1.0310602e-01f,
                                  -2.1837713e-02f, 2.94757e-03f,   -1.8637018e-04f};
    static constexpr float c[] = {1.0740069e+00f,  -8.833945e-01f,  5.9022826e-01f,  -3.104663e-01f,
                                  1.19529456e-01f, -2.6837187e-02f, -1.2278791e-03f, 3.070462e-03f,
                                  -4.842225e-04f,  -3.1219947e-04f, 7.774377e-06f};
};
template <>
struct Error<double> {
    static constexpr double one = 6, none = 27.3, pole = 2;
    static constexpr double n[] = {1.2837916709551256e-01,  -3.7612638903183343e-01, 1.1283791670936895e-01,
                                   -2.686617064193915e-02,  5.223977596469759e-03,   -8.548325466996001e-04,
                                   1.205527979398331e-04,   -1.4924448894971905e-05, 1.6443903201740635e-06,
                                   -1.6181782239091612e-07, 1.36057854152644e-08,    -7.584922727533327e-10};
    static constexpr double f[] = {1.0634984546266862e-06,  1.1283687130226565e+00,  6.36667575453037e-01,
                                   1.0263765793376178e-01,  -1.8865397569131935e-02, -5.840496709028998e-04,
                                   2.0987657994027006e-03,  -9.199416933168895e-04,  2.3065109296479538e-04,
                                   -2.8001462590730683e-05, -3.6092065988759927e-06, 2.672431924755011e-06,
                                   -6.876314968129541e-07,  1.0820253899832329e-07,  -1.0901449916074653e-08,
                                   6.516961412431776e-10,   -1.7700821339391682e-11};
    static constexpr double c[] = {
        1.021582705242023e+00,   -6.871606844138106e-01,  2.794720925560548e-01,   -3.644223150687914e-02,
        -2.1510661889496942e-02, 6.479185067736411e-03,   3.090612059689353e-03,   -8.372960621474104e-04,
        -6.630735151983934e-04,  3.437142823369174e-05,   1.4447085118533893e-04,  3.4148981701899506e-05,
        -2.169683434856457e-05,  -1.6121419829795207e-05, -1.1233299168821012e-06, 3.645577973399907e-06,
        1.9968211741667143e-06,  -2.0022966129570863e-09, -5.636491156001388e-07,  -3.1832035130646844e-07,
        -1.0798822184877308e-08, 1.0416684263896763e-07,  6.27804839015806e-08,    -5.879857911462136e-09,
        -2.120107429825681e-08,  -4.906825942438381e-09,  2.681162320520712e-09,   1.0633106691836573e-09};
};

// Bound: 1.8 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> verf(Vec<S, W> x) {
    using C = Error<S>;
    const Vec<S, W> a = at_most<S, W>(magnitude<S, W>(x), C::one);
    const auto [n, p, exponent] = reduce_exp<S, W>(-poly<S, W>(a, C::f), Format<S>::bias);
    const Vec<S, W> scale = field<S, W>(exponent), far = (S(1) - scale) - scale * p;
    const Vec<S, W> near = a * poly<S, W>(a * a, C::n) + a;
    return with_sign<S, W>(where<S, W>(a < S(1), near, far), x);
}

// erfc(a) = exp(-a^2) c(t) / (a + k), t = (a - k) / (a + k), a = |x|, and 2 - erfc(a) for negative x. The square is
// taken with its rounding error, which its exponential would magnify. Near zero it is 1 - erf(x).
// Bound: 4.4 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> verfc(Vec<S, W> x) {
    using C = Error<S>;
    const Vec<S, W> a = at_most<S, W>(magnitude<S, W>(x), C::none), u = a + C::pole;
    Vec<S, W> rest;
    const Vec<S, W> square = product<S, W>(a, a, rest);
    const Vec<S, W> y = scaled_exp<S, W>(-square, -rest) * horner<S, W>((a - C::pole) / u, C::c) / u;
    const Vec<S, W> near = (S(1) - x) - x * poly<S, W>(x * x, C::n);
    return where<S, W>(a < S(0.75), near, where<S, W>(x < S(0), S(2) - y, y));
}

}  // namespace FB_NAMESPACE::math
