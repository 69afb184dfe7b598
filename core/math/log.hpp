// Logarithms: log, log1p, log2, log10, and the inverses asinh, acosh, atanh.
//
// x = 2^k m with sqrt(1/2) <= m < sqrt(2), so that log(x) = k ln 2 + log(1 + f), f = m - 1, and log(1 + f) = f -
// tail(f).
#pragma once
#include "bits.hpp"
#include "round.hpp"

namespace FB_NAMESPACE::math {

// ln 2 and log10(2) in two parts, the first so short that its product with k is exact.
// tail: minimax, own computation.
template <class S>
struct Logarithm;
template <>
struct Logarithm<float> {
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr float p[] = {3.333333e-1f, -2.5000823e-1f, 2.000126e-1f,  -1.6623342e-1f,
                                  1.420106e-1f, -1.3159567e-1f, 1.2765844e-1f, -7.641288e-2f};
};
template <>
struct Logarithm<double> {
    static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    static constexpr double p[] = {6.666666666666735e-01,  3.9999999999409386e-01, 2.8571428743673744e-01,
                                   2.2222198430735618e-01, 1.8183572243940668e-01, 1.5313835428627623e-01,
                                   1.4798222553495546e-01};
};

// f^2/2 - f^3 p(f) for float. For double, with s = f / (2 + f) and log(1 + f) = 2 atanh(s) = 2s + s z p(z), z = s^2:
// 2s = f - s f, and s f = f^2/2 - s f^2/2, hence f^2/2 - s (f^2/2 + z p(z)).
template <class S, int W>
FB_INLINE Vec<S, W> log_tail(Vec<S, W> f) {
    const Vec<S, W> square = f * f * S(0.5);
    if constexpr (std::is_same_v<S, float>) {
        return square - (f * f * f) * poly<S, W>(f, Logarithm<S>::p);
    } else {
        const Vec<S, W> s = f / (f + S(2)), z = s * s;
        return square - s * (square + z * poly<S, W>(z, Logarithm<S>::p));
    }
}

template <class S, int W>
struct Split {
    Vec<S, W> k, f;
    Bits<S, W> e;  // k + bias
};
// For a normal, positive, finite x.
template <class S, int W>
FB_INLINE Split<S, W> split(Vec<S, W> x) {
    using U = typename Format<S>::Unsigned;
    constexpr int digits = Format<S>::digits;
    constexpr U low = (U(1) << digits) - 1, root = bits_of(S(0.70710678118654752440));
    constexpr S large = S(int64_t(1) << digits);
    const Bits<S, W> u = bits<S, W>(x) + ((U(Format<S>::bias) << digits) - root), e = u >> digits;
    // The integer e in the lowest bits of `large`: a conversion that every processor has.
    const Vec<S, W> k = number<S, W>(e | bits_of(large)) - (large + Format<S>::bias);
    return {k, number<S, W>((u & low) + root) - S(1), e};
}
// The same for subnormal x too.
template <class S, int W>
FB_INLINE Split<S, W> split_any(Vec<S, W> x) {
    constexpr S up = S(int64_t(1) << (Format<S>::digits + 1));
    const auto tiny = x < std::numeric_limits<S>::min();
    Split<S, W> r = split<S, W>(where<S, W>(tiny, x * up, x));
    r.k = where<S, W>(tiny, r.k - S(Format<S>::digits + 1), r.k);
    return r;
}
// What a logarithm is at and beyond the ends of (0, inf): x there is `from_zero`, its logarithm r.
template <class S, int W>
FB_INLINE Vec<S, W> log_ends(Vec<S, W> from_zero, Vec<S, W> r) {
    const Vec<S, W> below = where<S, W>(from_zero == S(0), splat<S, W>(-infinity<S>), splat<S, W>(not_a_number<S>));
    r = where<S, W>(from_zero < infinity<S>, r, from_zero);
    return where<S, W>(from_zero > S(0), r, below);
}

// Bound: 1 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vlog(Vec<S, W> x) {
    const auto [k, f, e] = split_any<S, W>(x);
    const Vec<S, W> tail = log_tail<S, W>(f) - k * Logarithm<S>::ln2_low;
    return log_ends<S, W>(x, k * Logarithm<S>::ln2_high + (f - tail));
}

// u = 1 + x leaves out `rest`, of which 2^-k belongs to f. For k = 0 f is x itself.
// Bound: 1.6 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vlog1p(Vec<S, W> x) {
    using U = typename Format<S>::Unsigned;
    const Vec<S, W> u = x + S(1), v = u - S(1), rest = (x - v) + (S(1) - (u - v));
    const auto [k, g, e] = split<S, W>(u);
    const Vec<S, W> unit = number<S, W>((U(2 * Format<S>::bias + 1) - e) << Format<S>::digits);  // 2^(1 - k)
    const Vec<S, W> f = g + rest * S(0.5) * unit;
    const Vec<S, W> tail = log_tail<S, W>(f) - k * Logarithm<S>::ln2_low;
    return with_sign<S, W>(log_ends<S, W>(u, k * Logarithm<S>::ln2_high + (f - tail)), x);
}

// Bound: 1.9 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vlog2(Vec<S, W> x) {
    const auto [k, f, e] = split_any<S, W>(x);
    return log_ends<S, W>(x, k + (f - log_tail<S, W>(f)) * S(1.44269504088896340736));
}

// Bound: 2.1 ulp.
template <class S, int W>
FB_INLINE Vec<S, W> vlog10(Vec<S, W> x) {
    constexpr bool single = std::is_same_v<S, float>;
    constexpr S high = single ? S(0.30078125) : S(3.01029995663611771306e-01);
    constexpr S low = single ? S(2.48745663981195213739e-4) : S(3.69423907715893078616e-13);
    const auto [k, f, e] = split_any<S, W>(x);
    const Vec<S, W> l = (f - log_tail<S, W>(f)) * S(0.43429448190325182765);
    return log_ends<S, W>(x, k * high + (k * low + l));
}

}  // namespace FB_NAMESPACE::math
