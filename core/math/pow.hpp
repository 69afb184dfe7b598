// Powers: x^y = exp(y log x), where the logarithm has the bits that y then multiplies up.
#pragma once
#include "exp.hpp"
#include "log.hpp"

namespace FB_NAMESPACE::math {

// log(a) = high + low to about 68 bits, for a normal or subnormal a > 0. With s = (m - 1) / (m + 1) and z = s^2,
// log(m) = 2s + s z (2/3 + z p(z)); all but p is carried in two parts.
template <int W>
FB_INLINE Vec<double, W> long_log(Vec<double, W> a, Vec<double, W>& low) {
    using V = Vec<double, W>;
    // Minimax, own computation.
    constexpr double p[] = {3.999999999999998e-01,  2.8571428571443847e-01, 2.2222222217787335e-01,
                            1.81818188443887e-01,   1.5384558396096445e-01, 1.3336265915744536e-01,
                            1.1675749146388989e-01, 1.1982035795913372e-01};
    constexpr double third = 2.0 / 3, third_rest = 3.70074341541718826e-17;
    const auto [k, f, exponent] = split_any<double, W>(a);
    V e;
    const V d = f + 2.0, d_rest = f - (d - 2.0), inverse = 1.0 / d, s = f * inverse;
    const V sd = product<double, W>(s, d, e), s_rest = (((f - sd) - e) - s * d_rest) * inverse;
    V z_rest;
    const V z = product<double, W>(s, s, z_rest);
    z_rest = z_rest + 2.0 * s * s_rest;
    const V w = z * poly<double, W>(z, p), u = w + third, u_rest = (w - (u - third)) + third_rest;
    const V v = product<double, W>(z, u, e), v_rest = e + z * u_rest + z_rest * u;
    const V t = product<double, W>(s, v, e), t_rest = e + s * v_rest + s_rest * v;
    // Sums of a larger and a smaller term, with what they round off.
    const V large = k * Logarithm<double>::ln2_high, s2 = s + s, sum = large + s2, sum_rest = s2 - (sum - large);
    const V all = sum + t, all_rest = t - (all - sum);
    const V rest = sum_rest + all_rest + (k * Logarithm<double>::ln2_low + 2.0 * s_rest + t_rest);
    const V high = all + rest;
    low = rest - (high - all);
    return high;
}

// a^y for a >= 0, but for the cases in which y log(a) is 0 times infinity.
template <int W>
FB_INLINE Vec<double, W> power_of(Vec<double, W> a, Vec<double, W> y) {
    using V = Vec<double, W>;
    V low, e;
    const V high = log_ends<double, W>(a, long_log<W>(a, low));
    const V x = product<double, W>(y, high, e), rest = e + y * low;
    // Past the ends of exp `rest` may be anything.
    const V kept = where<double, W>(magnitude<double, W>(x) < 1000.0, rest, V{});
    return scaled_exp<double, W>(at_most<double, W>(x, Exponential<double>::highest), kept);
}
// In double y log(a) has bits enough.
template <int W>
FB_INLINE Vec<float, W> power_of(Vec<float, W> a, Vec<float, W> y) {
    if constexpr (W > 1 && W * sizeof(double) > size_t(vector_bytes)) {
        return join<float, W>(power_of<W / 2>(half<float, W, 0>(a), half<float, W, 0>(y)),
                              power_of<W / 2>(half<float, W, 1>(a), half<float, W, 1>(y)));
    } else {
        const Vec<double, W> l = vlog<double, W>(convert<double, float, W>(a));
        return convert<float, double, W>(vexp<double, W>(convert<double, float, W>(y) * l));
    }
}

// As in C: 1 for y = 0 or x = 1 whatever the other is, signs of odd integers y kept, NaN for x < 0 and a broken y.
// Bound: 1.3 (float 0.5) ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vpow(Vec<S, W> x, Vec<S, W> y) {
    using V = Vec<S, W>;
    const V a = magnitude<S, W>(x), one = splat<S, W>(1), half_y = y * S(0.5), nearest = vround<S, W>(y);
    const Bits<S, W> sign = bits<S, W>(x) & sign_bit<S>, none = sign ^ sign;
    V r = power_of<W>(a, y);
    // |x| = 1 with an infinite y.
    r = where<S, W>((a == S(1)) & (y == y), one, r);
    r = number<S, W>(bits<S, W>(r) ^ ((nearest == y) & (vround<S, W>(half_y) != half_y) ? sign : none));
    r = where<S, W>((x < S(0)) & (x > -infinity<S>)&(nearest != y), splat<S, W>(not_a_number<S>), r);
    return where<S, W>((y == S(0)) | (x == S(1)), one, r);
}

}  // namespace FB_NAMESPACE::math
