// Lanes in registers: fixed-width vectors of one scalar type, and complex numbers made of two of them.
//
// Everything here, and in every header that includes it, lives in a namespace of its own per instruction set
// (FB_NAMESPACE), so that the linker never merges code compiled for different processors.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define FB_INLINE inline __attribute__((always_inline))

namespace FB_NAMESPACE {

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64, registers = 32;
#elif defined(__AVX2__)
inline constexpr int vector_bytes = 32, registers = 16;
#elif defined(__aarch64__)
inline constexpr int vector_bytes = 16, registers = 32;
#else
inline constexpr int vector_bytes = 16, registers = 16;
#endif

template <class S>
inline constexpr int native = vector_bytes / int(sizeof(S));

template <class S, int W>
struct vector_of {
    typedef S type __attribute__((vector_size(W * sizeof(S))));
};
template <class S>
struct vector_of<S, 1> {
    using type = S;
};

// W real lanes, one register.
template <class S, int W>
struct Real {
    using scalar = S;
    using vector = typename vector_of<S, W>::type;
    static constexpr int width = W, parts = 1;
    vector v;

    static FB_INLINE Real zero() { return {vector{}}; }
    static FB_INLINE Real splat(const S* p) { return {*p + vector{}}; }
    static FB_INLINE Real load(const S* p, int64_t) {
        Real r;
        std::memcpy(&r.v, p, sizeof r.v);
        return r;
    }
    FB_INLINE void store(S* p, int64_t) const { std::memcpy(p, &v, sizeof v); }
    FB_INLINE Real operator+(Real o) const { return {v + o.v}; }
    FB_INLINE Real operator-(Real o) const { return {v - o.v}; }
    FB_INLINE Real operator*(Real o) const { return {v * o.v}; }
};

template <class S, int W>
FB_INLINE Real<S, W> conj(Real<S, W> z) {
    return z;
}

// W complex lanes, two registers. In memory the imaginary row follows the real row, `pitch` scalars later.
template <class S, int W>
struct Complex {
    using scalar = S;
    using vector = typename vector_of<S, W>::type;
    static constexpr int width = W, parts = 2;
    vector re, im;

    static FB_INLINE Complex zero() { return {vector{}, vector{}}; }
    static FB_INLINE Complex splat(const S* p) { return {p[0] + vector{}, p[1] + vector{}}; }
    static FB_INLINE Complex load(const S* p, int64_t pitch) {
        Complex r;
        std::memcpy(&r.re, p, sizeof r.re);
        std::memcpy(&r.im, p + pitch, sizeof r.im);
        return r;
    }
    FB_INLINE void store(S* p, int64_t pitch) const {
        std::memcpy(p, &re, sizeof re);
        std::memcpy(p + pitch, &im, sizeof im);
    }
    FB_INLINE Complex operator+(Complex o) const { return {re + o.re, im + o.im}; }
    FB_INLINE Complex operator-(Complex o) const { return {re - o.re, im - o.im}; }
    FB_INLINE Complex operator*(Complex o) const { return {re * o.re - im * o.im, re * o.im + im * o.re}; }
};

template <class S, int W>
FB_INLINE Complex<S, W> conj(Complex<S, W> z) {
    return {z.re, -z.im};
}

// Writes one register past the caches; p must be aligned to its size.
template <class V>
FB_INLINE void stream(void* p, V v) {
#if defined(__AVX512F__)
    if constexpr (sizeof(V) == 64) return _mm512_stream_si512((__m512i*)p, (__m512i)v);
#endif
#if defined(__AVX__)
    if constexpr (sizeof(V) == 32) return _mm256_stream_si256((__m256i*)p, (__m256i)v);
#endif
#if defined(__SSE2__)
    if constexpr (sizeof(V) == 16) return _mm_stream_si128((__m128i*)p, (__m128i)v);
#endif
    std::memcpy(p, &v, sizeof v);
}

// Orders streamed writes before whatever other threads read next.
FB_INLINE void fence() {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

template <class T>
FB_INLINE constexpr T least(T a, T b) {
    return b < a ? b : a;
}
template <class T>
FB_INLINE constexpr T most(T a, T b) {
    return a < b ? b : a;
}

}  // namespace FB_NAMESPACE
