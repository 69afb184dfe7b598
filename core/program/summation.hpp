// Sums over time that nobody reads until the end: state +- sum over t of a[t], or of a[t] b[t].
//
// Partial sums hide the latency of an addition: step t belongs to part t % parts and is added after step t + parts, so
// that a sum does not depend on how time is cut into chunks. The parts are added up when the last chunk is done. They
// are rows of the state; where a step is one scalar, scalars, so that the lanes of a vector are steps.
#pragma once
#include "pointwise.hpp"

namespace FB_NAMESPACE {

inline constexpr int sum_rows_parts = 4;
template <class S>
inline constexpr int sum_scalars_parts = 4 * native<S>;

// An operand at step t; or a fixed row that serves all rows and steps, which must fill a vector.
template <class S>
struct Summand {
    static constexpr int W = native<S>;
    using V = typename vector_of<S, W>::type;

    const S* data;
    int64_t stride, mask;
    alignas(64) S row[W];

    Summand(const Step<S>& s, int k) : data(s.operand[k]), stride(s.stride[k]), mask(-1) {
        if (stride) return;
        mask = s.L - 1;
        if (s.L >= W || s.filled >> k & 1) return;
        fill_vector(data, s.L, row);
        data = row;
    }
    FB_INLINE V at(int64_t t, int64_t i) const { return load<S, W>(data + t * stride + (i & mask)); }
};

template <bool product, bool negative, class V>
FB_INLINE V plus(V so_far, V a, V b) {
    if constexpr (product) return negative ? so_far - a * b : so_far + a * b;
    return negative ? so_far - a : so_far + a;
}

// scratch: (parts, stride)
template <class S, bool product, bool negative>
void sum_rows_over_time(const Step<S>& s) {
    constexpr int W = native<S>, parts = sum_rows_parts;
    using V = typename vector_of<S, W>::type;
    const Summand<S> a(s, 0), b(s, product ? 1 : 0);
    const int64_t width = s.count / s.steps;
    for (int64_t i = 0; i < width; i += W) {
        V part[parts];  // of step t + k, where t is the next one
        const auto home = [&](int64_t t, int k) { return s.scratch + (s.first + t + k + parts) % parts * width + i; };
        int64_t t = s.steps - parts;
        for (int k = 0; k < parts; ++k) part[k] = load<S, W>(home(t, k));
        for (; t >= 0; t -= parts)
#pragma GCC unroll 4
            for (int k = 0; k < parts; ++k) part[k] = plus<product, negative>(part[k], a.at(t + k, i), b.at(t + k, i));
        for (int k = 0; k < parts; ++k) {
            if (t + k >= 0) part[k] = plus<product, negative>(part[k], a.at(t + k, i), b.at(t + k, i));
            store(home(t, k), part[k]);
        }
    }
}

// scratch: (parts). A step is one scalar.
template <class S, bool product, bool negative>
void sum_scalars_over_time(const Step<S>& s) {
    constexpr int W = native<S>, parts = sum_scalars_parts<S>;
    using V = typename vector_of<S, W>::type;
    const S *a = s.operand[0], *b = product ? s.operand[1] : a;
    const int64_t p = s.stride[0], q = product ? s.stride[1] : p;
    S* const part = s.scratch;
    int64_t t = s.steps;
    const auto one_by_one = [&](int64_t end) {
        while (t > end) {
            --t;
            S& sum = part[(s.first + t) % parts];
            sum = plus<product, negative>(sum, a[t * p], b[t * q]);
        }
    };
    one_by_one(most<int64_t>(0, (s.first + s.steps) / parts * parts - s.first));
    if (t >= parts) {
        V sum[parts / W];
        for (int k = 0; k < parts / W; ++k) sum[k] = load<S, W>(part + k * W);
        for (; t >= parts; t -= parts)
#pragma GCC unroll 4
            for (int k = 0; k < parts / W; ++k) {
                const int64_t at = t - parts + k * W;
                const V x = p ? load<S, W>(a + at) : a[0] + V{}, y = q ? load<S, W>(b + at) : b[0] + V{};
                sum[k] = plus<product, negative>(sum[k], x, y);
            }
        for (int k = 0; k < parts / W; ++k) store(part + k * W, sum[k]);
    }
    one_by_one(0);
}

template <class S, bool product, bool negative>
auto sum_for(bool scalar) -> void (*)(const Step<S>&) {
    return scalar ? sum_scalars_over_time<S, product, negative> : sum_rows_over_time<S, product, negative>;
}

// The function of an instruction that only adds to a state.
template <class S>
auto sum_of(Op op, bool scalar) -> void (*)(const Step<S>&) {
    if (op == Op::add) return sum_for<S, false, false>(scalar);
    if (op == Op::sub) return sum_for<S, false, true>(scalar);
    if (op == Op::fma) return sum_for<S, true, false>(scalar);
    return sum_for<S, true, true>(scalar);
}

// Adds `count` parts (count, width) to a state of `width` scalars.
template <class S>
void add_parts(const S* parts, int64_t count, int64_t width, S* state) {
    for (int64_t i = 0; i < width; ++i) {
        S sum = S(0);
        for (int64_t k = 0; k < count; ++k) sum += parts[k * width + i];
        state[i] += sum;
    }
}

}  // namespace FB_NAMESPACE
