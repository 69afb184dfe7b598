// What the functions of this folder are made of: masks, the bits of a number, polynomials, lanes one at a time.
//
// A mask is what a comparison gives: an integer vector of 0 and -1, or for W = 1 a bool. Sums and products here are
// written so that they are right with and without fused multiply-add, whichever of them the compiler fuses.
#pragma once
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "../vec.hpp"

namespace FB_NAMESPACE::math {

template <class S>
struct Format;
template <>
struct Format<float> {
    using Unsigned = uint32_t;
    static constexpr int digits = 23, bias = 127;
};
template <>
struct Format<double> {
    using Unsigned = uint64_t;
    static constexpr int digits = 52, bias = 1023;
};

template <class S, int W>
using Vec = typename vector_of<S, W>::type;
// The bits of a vector are unsigned: shifting them right is one instruction everywhere.
template <class S, int W>
using Bits = typename vector_of<typename Format<S>::Unsigned, W>::type;

template <class S>
inline constexpr S infinity = std::numeric_limits<S>::infinity();
template <class S>
inline constexpr S not_a_number = std::numeric_limits<S>::quiet_NaN();

template <class S>
constexpr typename Format<S>::Unsigned bits_of(S x) {
    return __builtin_bit_cast(typename Format<S>::Unsigned, x);
}
template <class S>
inline constexpr typename Format<S>::Unsigned sign_bit = typename Format<S>::Unsigned(1) << (8 * sizeof(S) - 1);

template <class S, int W>
FB_INLINE Vec<S, W> splat(S s) {
    return s + Vec<S, W>{};
}
template <class S, int W>
FB_INLINE Bits<S, W> bits(Vec<S, W> x) {
    Bits<S, W> b;
    std::memcpy(&b, &x, sizeof b);
    return b;
}
template <class S, int W>
FB_INLINE Vec<S, W> number(Bits<S, W> b) {
    Vec<S, W> x;
    std::memcpy(&x, &b, sizeof x);
    return x;
}

// Added to a number below 2^(digits - 1), 1.5 * 2^digits rounds it to an integer, which stands in the lowest bits.
template <class S>
inline constexpr S integer_shift = S(1.5) * S(int64_t(1) << Format<S>::digits);

template <class S, int W, class M>
FB_INLINE Vec<S, W> where(M mask, Vec<S, W> a, Vec<S, W> b) {
    return mask ? a : b;
}
// Bit by bit: a where m is 1, b where it is 0.
template <class S, int W>
FB_INLINE Vec<S, W> choose(Bits<S, W> m, Vec<S, W> a, Vec<S, W> b) {
    const Bits<S, W> x = bits<S, W>(a), y = bits<S, W>(b);
    return number<S, W>((x & m) | (y & ~m));
}
template <class S, int W>
FB_INLINE Vec<S, W> magnitude(Vec<S, W> x) {
    return number<S, W>(bits<S, W>(x) & ~sign_bit<S>);
}
// |a| with the sign of x. The sign of zero is kept by working on bits: the flags allow sums and products to lose it.
template <class S, int W>
FB_INLINE Vec<S, W> with_sign(Vec<S, W> a, Vec<S, W> x) {
    return number<S, W>((bits<S, W>(a) & ~sign_bit<S>) | (bits<S, W>(x) & sign_bit<S>));
}
// a < b ? a : b and a > b ? a : b. These are the processor's minimum and maximum, which the compiler does not find.
// (With a mask of ones: without one, GCC's own header has warnings.)
template <class S, int W>
FB_INLINE Vec<S, W> lesser(Vec<S, W> a, Vec<S, W> b) {
    constexpr bool single [[maybe_unused]] = std::is_same_v<S, float>;
#if defined(__AVX512F__)
    if constexpr (sizeof(a) == 64 && single) return (Vec<S, W>)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b);
    if constexpr (sizeof(a) == 64 && !single) return (Vec<S, W>)_mm512_maskz_min_pd(0xff, (__m512d)a, (__m512d)b);
#endif
#if defined(__AVX__)
    if constexpr (sizeof(a) == 32 && single) return (Vec<S, W>)_mm256_min_ps((__m256)a, (__m256)b);
    if constexpr (sizeof(a) == 32 && !single) return (Vec<S, W>)_mm256_min_pd((__m256d)a, (__m256d)b);
#endif
#if defined(__SSE2__)
    if constexpr (sizeof(a) == 16 && single) return (Vec<S, W>)_mm_min_ps((__m128)a, (__m128)b);
    if constexpr (sizeof(a) == 16 && !single) return (Vec<S, W>)_mm_min_pd((__m128d)a, (__m128d)b);
#endif
    return where<S, W>(a < b, a, b);
}
template <class S, int W>
FB_INLINE Vec<S, W> greater(Vec<S, W> a, Vec<S, W> b) {
    constexpr bool single [[maybe_unused]] = std::is_same_v<S, float>;
#if defined(__AVX512F__)
    if constexpr (sizeof(a) == 64 && single) return (Vec<S, W>)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b);
    if constexpr (sizeof(a) == 64 && !single) return (Vec<S, W>)_mm512_maskz_max_pd(0xff, (__m512d)a, (__m512d)b);
#endif
#if defined(__AVX__)
    if constexpr (sizeof(a) == 32 && single) return (Vec<S, W>)_mm256_max_ps((__m256)a, (__m256)b);
    if constexpr (sizeof(a) == 32 && !single) return (Vec<S, W>)_mm256_max_pd((__m256d)a, (__m256d)b);
#endif
#if defined(__SSE2__)
    if constexpr (sizeof(a) == 16 && single) return (Vec<S, W>)_mm_max_ps((__m128)a, (__m128)b);
    if constexpr (sizeof(a) == 16 && !single) return (Vec<S, W>)_mm_max_pd((__m128d)a, (__m128d)b);
#endif
    return where<S, W>(a > b, a, b);
}
// x no larger than high, no smaller than low. When an operand is NaN the second one comes out: x, and NaN stays.
template <class S, int W>
FB_INLINE Vec<S, W> at_most(Vec<S, W> x, S high) {
    return lesser<S, W>(splat<S, W>(high), x);
}
template <class S, int W>
FB_INLINE Vec<S, W> at_least(Vec<S, W> x, S low) {
    return greater<S, W>(splat<S, W>(low), x);
}

// c[0] + c[1] x + c[2] x^2 + ..., by halves (Estrin): the chain of dependent steps is as long as log2 N.
template <class S, int W, int P>
FB_INLINE Vec<S, W> power(Vec<S, W> x) {
    if constexpr (P == 1) {
        return x;
    } else {
        const Vec<S, W> root = power<S, W, P / 2>(x);
        return root * root;
    }
}
template <class S, int W, int N>
FB_INLINE Vec<S, W> poly_part(Vec<S, W> x, const S* c) {
    if constexpr (N == 1) {
        return splat<S, W>(c[0]);
    } else {
        constexpr int low = N <= 2 ? 1 : N <= 4 ? 2 : N <= 8 ? 4 : N <= 16 ? 8 : 16;
        return poly_part<S, W, N - low>(x, c + low) * power<S, W, low>(x) + poly_part<S, W, low>(x, c);
    }
}
template <class S, int W, int N>
FB_INLINE Vec<S, W> poly(Vec<S, W> x, const S (&c)[N]) {
    return poly_part<S, W, N>(x, c);
}

// The same from the highest term down: rounds less where terms cancel.
template <class S, int W, int N>
FB_INLINE Vec<S, W> horner(Vec<S, W> x, const S (&c)[N]) {
    Vec<S, W> y = splat<S, W>(c[N - 1]);
    for (int i = N - 2; i >= 0; --i) y = y * x + c[i];
    return y;
}

// f of every lane by itself.
template <class S, int W, class F>
FB_INLINE Vec<S, W> each(F&& f, Vec<S, W> x) {
    if constexpr (W == 1) {
        return f(x);
    } else {
        for (int i = 0; i < W; ++i) x[i] = f(x[i]);
        return x;
    }
}
template <class S, int W, class F>
FB_INLINE Vec<S, W> each(F&& f, Vec<S, W> x, Vec<S, W> y) {
    if constexpr (W == 1) {
        return f(x, y);
    } else {
        for (int i = 0; i < W; ++i) x[i] = f(x[i], y[i]);
        return x;
    }
}

// a b = p + e, e exact to the last bit of its own: the factors are cut in halves (Dekker), because the compiler is free
// to merge a * b - p with the p it stands beside.
template <class S, int W>
FB_INLINE Vec<S, W> product(Vec<S, W> a, Vec<S, W> b, Vec<S, W>& e) {
    constexpr auto upper = ~((typename Format<S>::Unsigned(1) << (Format<S>::digits / 2 + 1)) - 1);
    const Vec<S, W> p = a * b;
    const Vec<S, W> a1 = number<S, W>(bits<S, W>(a) & upper), a2 = a - a1;
    const Vec<S, W> b1 = number<S, W>(bits<S, W>(b) & upper), b2 = b - b1;
    e = (((a1 * b1 - p) + a1 * b2) + a2 * b1) + a2 * b2;
    return p;
}

// c - a b, rounded once, on a processor that has it. (Left to the compiler, fusing depends on the level of
// optimization.)
template <int W>
FB_INLINE Vec<float, W> fused_rest(Vec<float, W> c, Vec<float, W> a, float b) {
    if constexpr (W == 1)
        return __builtin_fmaf(-a, b, c);
    else
        for (int i = 0; i < W; ++i) c[i] = __builtin_fmaf(-a[i], b, c[i]);
    return c;
}

// Whether the mask holds in any lane.
template <class M>
FB_INLINE bool any(M mask) {
    if constexpr (std::is_same_v<M, bool>) {
        return mask;
    } else {
#if defined(__AVX512DQ__)
        if constexpr (sizeof(M) == 64) return _mm512_movepi32_mask((__m512i)mask) != 0;
#endif
#if defined(__AVX__)
        if constexpr (sizeof(M) == 32) return _mm256_movemask_ps((__m256)mask) != 0;
#endif
#if defined(__SSE2__)
        if constexpr (sizeof(M) == 16) return _mm_movemask_ps((__m128)mask) != 0;
#endif
        uint64_t words[(sizeof(M) + 7) / 8] = {}, found = 0;
        std::memcpy(words, &mask, sizeof mask);
        for (uint64_t word : words) found |= word;
        return found != 0;
    }
}

// The lower or upper half of a vector, and back.
template <class S, int W, int Part, int... I>
FB_INLINE Vec<S, W / 2> half(Vec<S, W> x, std::integer_sequence<int, I...>) {
    if constexpr (W == 2)
        return x[Part];
    else
        return __builtin_shufflevector(x, x, (Part * (W / 2) + I)...);
}
template <class S, int W, int Part>
FB_INLINE Vec<S, W / 2> half(Vec<S, W> x) {
    return half<S, W, Part>(x, std::make_integer_sequence<int, W / 2>());
}
template <class S, int W, int... I>
FB_INLINE Vec<S, W> join(Vec<S, W / 2> low, Vec<S, W / 2> high, std::integer_sequence<int, I...>) {
    if constexpr (W == 2)
        return Vec<S, W>{low, high};
    else
        return __builtin_shufflevector(low, high, I...);
}
template <class S, int W>
FB_INLINE Vec<S, W> join(Vec<S, W / 2> low, Vec<S, W / 2> high) {
    return join<S, W>(low, high, std::make_integer_sequence<int, W>());
}
template <class To, class S, int W>
FB_INLINE Vec<To, W> convert(Vec<S, W> x) {
    if constexpr (W == 1)
        return To(x);
    else
        return __builtin_convertvector(x, Vec<To, W>);
}

}  // namespace FB_NAMESPACE::math
