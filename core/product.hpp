// c[i, j] = bias[j] + sum over k of a[i, k] b[k, j]: a product of matrices, over all steps and lanes at once.
//
// Both factors are packed in panels, so that the inner loop reads them in order: R rows of a side by side, N registers
// of columns of b. b is packed a slice of the depth at a time, once for all; the rows of a, a block of them at a time,
// by who multiplies them. A sum is taken in registers over `deep` terms, and these are added up in order: c depends on
// neither the number of threads nor the layout of a and b.
#pragma once
#include "io.hpp"
#include "memory.hpp"
#include "parallel.hpp"

namespace FB_NAMESPACE {

template <class S>
class Product {
public:
    explicit Product(const fb_product& p) : p_(p) {
        constexpr int64_t shares = 16, tall = 128, slice_scalars = 1 << 20;
        block_ = least(tall, round_up(most<int64_t>((p.rows + shares - 1) / shares, 1), 2 * R));
        blocks_ = (p.rows + block_ - 1) / block_;
        panels_ = (p.columns + wide - 1) / wide;
        slice_ = most<int64_t>(1, slice_scalars / (deep * most<int64_t>(panels_, 1) * wide));
        slice_ = least(slice_, (p.depth + deep - 1) / deep);
    }

    void run(const fb_threads& threads) {
        constexpr int64_t most_tasks = 32, panels_at_once = 4;
        if (p_.rows == 0 || p_.columns == 0) return;
        if (p_.depth == 0) return begin();
        arena_.lay([&](Arena& arena) { arena.take(b_, slice_ * panels_ * b_pitch); });
        const int64_t shares = (panels_ + panels_at_once - 1) / panels_at_once, tasks = least(blocks_, most_tasks);
        for (int64_t k = 0; k < p_.depth; k += slice_ * deep) {
            const int64_t parts = least(slice_, (p_.depth - k + deep - 1) / deep);
            parallel(threads, parts * shares, [&](int64_t i) {
                const int64_t part = i / shares, first = i % shares * panels_at_once;
                const int64_t from = k + part * deep, j = first * wide;
                pack<wide>(static_cast<const S*>(p_.b) + from * p_.b_strides[0] + j * p_.b_strides[1], p_.b_strides[1],
                           p_.b_strides[0], least(panels_at_once * wide, p_.columns - j), depth_at(from), b_pitch,
                           b_ + (part * panels_ + first) * b_pitch);
            });
            parallel(threads, tasks, [&](int64_t task) {
                S* a = nullptr;
                Arena arena;
                arena.lay([&](Arena& own) { own.take(a, block_ / R * a_pitch); });
                for (int64_t block = blocks_ * task / tasks; block < blocks_ * (task + 1) / tasks; ++block)
                    for (int64_t part = 0; part < parts; ++part) multiply(block * block_, k, part, a);
            });
        }
    }

private:
    static constexpr int W = native<S>, N = 2, R = least(W, registers / 2 / N), wide = N * W;
    static constexpr int64_t deep = 256;
    // Panels begin a cache line apart in what the cache takes for the same address.
    static constexpr int64_t a_pitch = deep * R + W, b_pitch = deep * wide + W;

    static int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
    int64_t depth_at(int64_t k) const { return least(deep, p_.depth - k); }

    // Where nothing is summed up.
    void begin() const {
        S* c = static_cast<S*>(p_.c);
        const S* bias = static_cast<const S*>(p_.bias);
        for (int64_t i = 0; i < p_.rows; ++i)
            for (int64_t j = 0; j < p_.columns; ++j) *c++ = bias ? bias[j] : S(0);
    }

    // `count` series of `depth` scalars, in panels of P: scalar k of series i at (i / P) * pitch + k * P + i % P, and
    // zeros beside the last one.
    template <int P>
    static void pack(const S* from, int64_t stride, int64_t depth_stride, int64_t count, int64_t depth, int64_t pitch,
                     S* to) {
        const int64_t whole = stride == 1 ? count / P * P : 0;
        if (whole)
            for (int64_t k = 0; k < depth; ++k)
                for (int64_t i = 0; i < whole; i += P)
                    std::memcpy(to + i / P * pitch + k * P, from + k * depth_stride + i, P * sizeof(S));
        for (int64_t i = whole; i < count; i += P) {
            const int n = int(least<int64_t>(P, count - i));
            const S* series[P] = {};
            for (int l = 0; l < n; ++l) series[l] = from + (i + l) * stride;
            if (depth_stride == 1)
                load_contiguous<S, S, least(P, W)>(series, n, P, depth, depth, P, to + i / P * pitch);
            else
                load_strided<S, S>(series, depth_stride, n, P, depth, P, to + i / P * pitch);
        }
    }

    // Rows from `i` on, by all columns, over part `part` of the slice that begins at depth `k`.
    void multiply(int64_t i, int64_t k, int64_t part, S* a) const {
        const int64_t from = k + part * deep, rows = least(block_, p_.rows - i), depth = depth_at(from);
        pack<R>(static_cast<const S*>(p_.a) + i * p_.a_strides[0] + from * p_.a_strides[1], p_.a_strides[0],
                p_.a_strides[1], rows, depth, a_pitch, a);
        S* const c = static_cast<S*>(p_.c) + i * p_.columns;
        alignas(64) S nothing[wide] = {}, edge[R * wide], bias[wide];
        for (int64_t p = 0; p < panels_; ++p) {
            const S* b = b_ + (part * panels_ + p) * b_pitch;
            const int64_t j = p * wide, columns = least<int64_t>(wide, p_.columns - j);
            for (int64_t r = 0; r < rows; r += R) {
                const int64_t n = least<int64_t>(R, rows - r);
                S* to = c + r * p_.columns + j;
                const S* before = to;
                int64_t pitch = p_.columns;
                if (from == 0) {
                    before = nothing;
                    pitch = 0;
                    if (p_.bias) {
                        std::memcpy(bias, static_cast<const S*>(p_.bias) + j, size_t(columns) * sizeof(S));
                        before = bias;
                    }
                }
                if (n == R && columns == wide) {
                    tile(a + r / R * a_pitch, b, depth, before, pitch, to, p_.columns);
                    continue;
                }
                for (int64_t l = 0; l < n; ++l)
                    std::memcpy(edge + l * wide, before + l * pitch, size_t(columns) * sizeof(S));
                tile(a + r / R * a_pitch, b, depth, edge, wide, edge, wide);
                for (int64_t l = 0; l < n; ++l)
                    std::memcpy(to + l * p_.columns, edge + l * wide, size_t(columns) * sizeof(S));
            }
        }
    }

    // R rows by N registers of columns.
    static FB_INLINE void tile(const S* a, const S* b, int64_t depth, const S* before, int64_t before_pitch, S* c,
                               int64_t pitch) {
        using V = typename vector_of<S, W>::type;
        V sum[R][N] = {};
        for (int64_t k = 0; k < depth; ++k) {
            V x[N];
#pragma GCC unroll 2
            for (int n = 0; n < N; ++n) x[n] = read<S, S, W>(b + k * wide + n * W);
#pragma GCC unroll 16
            for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
                for (int n = 0; n < N; ++n) sum[r][n] += a[k * R + r] * x[n];
        }
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
            for (int n = 0; n < N; ++n) {
                const V total = read<S, S, W>(before + r * before_pitch + n * W) + sum[r][n];
                std::memcpy(c + r * pitch + n * W, &total, sizeof total);
            }
    }

    const fb_product& p_;
    int64_t block_, blocks_, panels_, slice_;  // slice_: in parts of `deep`
    Arena arena_;
    S* b_ = nullptr;
};

}  // namespace FB_NAMESPACE
