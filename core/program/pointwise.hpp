// Pointwise instructions: one loop over rows and lanes at once, in whole vectors.
#pragma once
#include "../math.hpp"
#include "step.hpp"

namespace FB_NAMESPACE {

// Rounded to float32 and back.
template <class S, int W, class V = typename vector_of<S, W>::type>
FB_INLINE V to_float32(V a) {
    if constexpr (W == 1)
        return S(float(a));
    else
        return __builtin_convertvector(__builtin_convertvector(a, typename vector_of<float, W>::type), V);
}

// What an operation does to vectors (or scalars) a, b, c of type V; S its scalar, W its width.
#define FB_DEFINE(name, expression)                                                               \
    struct Do_##name {                                                                            \
        static constexpr Op op = Op::name;                                                        \
        template <class S, int W, class V>                                                        \
        static FB_INLINE V of([[maybe_unused]] V a, [[maybe_unused]] V b, [[maybe_unused]] V c) { \
            [[maybe_unused]] const V zero = V{}, one = V{} + S(1);                                \
            return expression;                                                                    \
        }                                                                                         \
    };
FB_DEFINE(copy, a)
FB_DEFINE(neg, -a)
FB_DEFINE(abs, (vabs<S, W>(a)))
FB_DEFINE(sqrt, (vsqrt<S, W>(a)))
FB_DEFINE(rsqrt, (one / vsqrt<S, W>(a)))
FB_DEFINE(reciprocal, one / a)
FB_DEFINE(exp, (vexp<S, W>(a)))
FB_DEFINE(expm1, (vexpm1<S, W>(a)))
FB_DEFINE(log, (vlog<S, W>(a)))
FB_DEFINE(log1p, (vlog1p<S, W>(a)))
FB_DEFINE(log2, (vlog2<S, W>(a)))
FB_DEFINE(log10, (vlog10<S, W>(a)))
FB_DEFINE(sin, (vsin<S, W>(a)))
FB_DEFINE(cos, (vcos<S, W>(a)))
FB_DEFINE(tan, (vtan<S, W>(a)))
FB_DEFINE(asin, (vasin<S, W>(a)))
FB_DEFINE(acos, (vacos<S, W>(a)))
FB_DEFINE(atan, (vatan<S, W>(a)))
FB_DEFINE(sinh, (vsinh<S, W>(a)))
FB_DEFINE(cosh, (vcosh<S, W>(a)))
FB_DEFINE(asinh, (vasinh<S, W>(a)))
FB_DEFINE(acosh, (vacosh<S, W>(a)))
FB_DEFINE(atanh, (vatanh<S, W>(a)))
FB_DEFINE(tanh, (vtanh<S, W>(a)))
FB_DEFINE(sigmoid, (vsigmoid<S, W>(a)))
FB_DEFINE(erf, (verf<S, W>(a)))
FB_DEFINE(erfc, (verfc<S, W>(a)))
FB_DEFINE(floor, (vfloor<S, W>(a)))
FB_DEFINE(ceil, (vceil<S, W>(a)))
FB_DEFINE(trunc, (vtrunc<S, W>(a)))
FB_DEFINE(round, (vround<S, W>(a)))
FB_DEFINE(sign, (vsign<S, W>(a)))
FB_DEFINE(float32, (to_float32<S, W>(a)))
FB_DEFINE(is_nan, a != a ? one : zero)
FB_DEFINE(add, a + b)
FB_DEFINE(sub, a - b)
FB_DEFINE(mul, a* b)
FB_DEFINE(div, a / b)
FB_DEFINE(min, (vmin<S, W>(a, b)))
FB_DEFINE(max, (vmax<S, W>(a, b)))
FB_DEFINE(pow, (vpow<S, W>(a, b)))
FB_DEFINE(atan2, (vatan2<S, W>(a, b)))
FB_DEFINE(fmod, (vfmod<S, W>(a, b)))
FB_DEFINE(remainder, (vremainder<S, W>(a, b)))
FB_DEFINE(lt, a < b ? one : zero)
FB_DEFINE(le, a <= b ? one : zero)
FB_DEFINE(gt, a > b ? one : zero)
FB_DEFINE(ge, a >= b ? one : zero)
FB_DEFINE(eq, a == b ? one : zero)
FB_DEFINE(ne, a != b ? one : zero)
FB_DEFINE(where, a != zero ? b : c)
FB_DEFINE(fma, a* b + c)
FB_DEFINE(fms, a* b - c)
FB_DEFINE(fnma, c - a * b)
#undef FB_DEFINE

// One row, repeated until it fills a vector.
template <class S>
FB_INLINE void fill_vector(const S* row, int L, S* vector) {
    constexpr int W = native<S>;
    if (L == 1) return store(vector, row[0] + typename vector_of<S, W>::type{});
    constexpr int narrow = least(W, 8);  // the only other width that fills no vector
    for (int l = 0; l < W; l += narrow) store(vector + l, load<S, narrow>(row));
}

// F on vectors of up to three operands.
template <class S, class F>
struct Apply {
    static constexpr int W = native<S>, count = arity(F::op);
    using V = typename vector_of<S, W>::type;

    static FB_INLINE void at(S* d, const S* a, const S* b, const S* c) {
        const V x = load<S, W>(a);
        const V y = count > 1 ? load<S, W>(b) : x;
        const V z = count > 2 ? load<S, W>(c) : x;
        store(d, F::template of<S, W, V>(x, y, z));
    }
};

// Every operand has the rows of dst. N: how many vectors that is, 0 if any number; the few that matter have their own.
template <class S, class F, int N>
void pointwise(const Step<S>& s) {
    constexpr int W = native<S>, count = Apply<S, F>::count;
    S* d = s.dst;
    const S* a = s.operand[0];
    const S* b = count > 1 ? s.operand[1] : a;
    const S* c = count > 2 ? s.operand[2] : a;
    if constexpr (N > 0) {
#pragma GCC unroll 8
        for (int i = 0; i < N * W; i += W) Apply<S, F>::at(d + i, a + i, b + i, c + i);
    } else {
        const int64_t end = s.count;
#pragma GCC unroll 4
        for (int64_t i = 0; i < end; i += W) Apply<S, F>::at(d + i, a + i, b + i, c + i);
    }
}

// Some operands are one row that serves all: whole vectors of it if lanes fill them, otherwise a vector filled with it.
template <class S, class F>
void pointwise_broadcast(const Step<S>& s) {
    constexpr int W = native<S>, count = Apply<S, F>::count;
    S* d = s.dst;
    const S* operand[3] = {s.operand[0], nullptr, nullptr};
    if constexpr (count > 1) operand[1] = s.operand[1];
    if constexpr (count > 2) operand[2] = s.operand[2];
    alignas(64) S row[count][W];
    int64_t mask[3] = {-1, -1, -1};
    for (int k = 0; k < count; ++k) {
        if (!(s.broadcast >> k & 1)) continue;
        mask[k] = s.L - 1;
        if (s.L >= W || s.filled >> k & 1) continue;
        fill_vector(operand[k], s.L, row[k]);
        operand[k] = row[k];
    }
    const int64_t end = s.count;
    for (int64_t i = 0; i < end; i += W)
        Apply<S, F>::at(d + i, operand[0] + (i & mask[0]), operand[1] + (i & mask[1]), operand[2] + (i & mask[2]));
}

// One lane, one row.
template <class S, class F>
void pointwise_scalar(const Step<S>& s) {
    constexpr int count = arity(F::op);
    const S a = *s.operand[0], b = count > 1 ? *s.operand[1] : a, c = count > 2 ? *s.operand[2] : a;
    *s.dst = F::template of<S, 1, S>(a, b, c);
}

inline constexpr int64_t any_count = -1;  // what it is is known when it runs

template <class S, class F>
auto pointwise_for(int64_t count, bool broadcast) -> void (*)(const Step<S>&) {
    constexpr int W = native<S>;
    if (broadcast) return pointwise_broadcast<S, F>;
    if (count == any_count) return pointwise<S, F, 0>;
    if (count <= W) return pointwise<S, F, 1>;
    if (count == 4 * W) return pointwise<S, F, 4>;
    return pointwise<S, F, 0>;
}

// The lines of a row.
template <class S>
void prefetch_row(const Step<S>& s) {
    constexpr int64_t line = 64 / sizeof(S);
    for (int64_t i = 0; i < s.count; i += line) __builtin_prefetch(s.dst + i);
}

// A copy into a view writes the rows of the view and nothing else.
template <class S>
void copy_exactly(const Step<S>& s) {
    S* d = s.dst;
    const S* a = s.operand[0];
    if (!s.broadcast) {
        std::memmove(d, a, size_t(s.count) * sizeof(S));
        return;
    }
    for (int64_t i = 0; i < s.count; ++i) d[i] = a[i & (s.L - 1)];
}

}  // namespace FB_NAMESPACE
