// Pointwise instructions: one loop over rows and lanes at once, in whole vectors.
#pragma once
#include <cmath>

#include "../math.hpp"
#include "step.hpp"

namespace FB_NAMESPACE {

template <class S, int W, class V, class F>
FB_INLINE V stopgap(F&& f, V a, V b) {
    if constexpr (W == 1)
        return f(a, b);
    else
        for (int i = 0; i < W; ++i) a[i] = f(a[i], b[i]);
    return a;
}
#define FB_STOPGAP(name, call)                                                                     \
    struct Do_##name {                                                                             \
        static constexpr Op op = Op::name;                                                         \
        template <class S, int W, class V>                                                         \
        static FB_INLINE V of([[maybe_unused]] V a, [[maybe_unused]] V b, V) {                     \
            if constexpr (arity(op) == 1) {                                                        \
                if constexpr (requires { v##name<S, W>(a); })                                      \
                    return v##name<S, W>(a);                                                       \
                else                                                                               \
                    return stopgap<S, W>([](S a, [[maybe_unused]] S b) { return S(call); }, a, b); \
            } else {                                                                               \
                if constexpr (requires { v##name<S, W>(a, b); })                                   \
                    return v##name<S, W>(a, b);                                                    \
                else                                                                               \
                    return stopgap<S, W>([](S a, S b) { return S(call); }, a, b);                  \
            }                                                                                      \
        }                                                                                          \
    };

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
FB_STOPGAP(asin, std::asin(a))
FB_STOPGAP(acos, std::acos(a))
FB_STOPGAP(atan, std::atan(a))
FB_STOPGAP(sinh, std::sinh(a))
FB_STOPGAP(cosh, std::cosh(a))
FB_STOPGAP(asinh, std::asinh(a))
FB_STOPGAP(acosh, std::acosh(a))
FB_STOPGAP(atanh, std::atanh(a))
FB_DEFINE(tanh, (vtanh<S, W>(a)))
FB_DEFINE(sigmoid, (vsigmoid<S, W>(a)))
FB_STOPGAP(erf, std::erf(a))
FB_STOPGAP(erfc, std::erfc(a))
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
FB_STOPGAP(pow, std::pow(a, b))
FB_STOPGAP(atan2, std::atan2(a, b))
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
    for (int l = 0; l < W; l += L) std::memcpy(vector + l, row, size_t(L) * sizeof(S));
}

template <class S, class F>
void pointwise(const Step<S>& s, S* const* base) {
    constexpr int W = native<S>, count = arity(F::op);
    using V = typename vector_of<S, W>::type;
    S* d = s.to(base);
    const S* a = s.template from<0>(base);
    const S* b = count > 1 ? s.template from<1>(base) : a;
    const S* c = count > 2 ? s.template from<2>(base) : a;
    const auto apply = [&](int64_t i, int64_t j, int64_t k, int64_t to) __attribute__((always_inline)) {
        const V x = load<S, W>(a + i);
        const V y = count > 1 ? load<S, W>(b + j) : x;
        const V z = count > 2 ? load<S, W>(c + k) : x;
        store(d + to, F::template of<S, W, V>(x, y, z));
    };
    if (!s.broadcast) {
#pragma GCC unroll 4
        for (int64_t i = 0; i < s.count; i += W) apply(i, i, i, i);
        return;
    }
    alignas(64) S row[count][W];
    int64_t mask[3] = {-1, -1, -1};
    const S** const operand[3] = {&a, &b, &c};
    for (int k = 0; k < count; ++k) {
        if (!(s.broadcast >> k & 1)) continue;
        mask[k] = s.L >= W ? s.L - 1 : 0;
        if (s.L >= W || s.filled >> k & 1) continue;
        fill_vector(*operand[k], s.L, row[k]);
        *operand[k] = row[k];
    }
    for (int64_t i = 0; i < s.count; i += W) apply(i & mask[0], i & mask[1], i & mask[2], i);
}

// A copy into a view writes the rows of the view and nothing else.
template <class S>
void copy_exactly(const Step<S>& s, S* const* base) {
    S* d = s.to(base);
    const S* a = s.template from<0>(base);
    if (!s.broadcast) {
        std::memmove(d, a, size_t(s.count) * sizeof(S));
        return;
    }
    for (int64_t i = 0; i < s.count; ++i) d[i] = a[i & (s.L - 1)];
}

}  // namespace FB_NAMESPACE
