// What the functions of this folder are made of: masks, the bits of a number, polynomials, lanes one at a time.
//
// A mask is what a comparison gives: an integer vector of 0 and -1, or for W = 1 a bool. Sums and products here are
// written so that they are right with and without fused multiply-add; none relies on the order of a contraction.
#pragma once
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "../vec.hpp"

namespace FB_NAMESPACE {

template <class S>
struct Format;
template <>
struct Format<float> {
    using Int = int32_t;
    using Unsigned = uint32_t;
    static constexpr int digits = 23, bias = 127;
};
template <>
struct Format<double> {
    using Int = int64_t;
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
inline constexpr S nan = std::numeric_limits<S>::quiet_NaN();

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
// x no larger than high; NaN stays. The order of the operands is that of the processor's minimum and maximum.
template <class S, int W>
FB_INLINE Vec<S, W> at_most(Vec<S, W> x, S high) {
    const Vec<S, W> h = splat<S, W>(high);
    return where<S, W>(h < x, h, x);
}
template <class S, int W>
FB_INLINE Vec<S, W> at_least(Vec<S, W> x, S low) {
    const Vec<S, W> l = splat<S, W>(low);
    return where<S, W>(l > x, l, x);
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

}  // namespace FB_NAMESPACE
