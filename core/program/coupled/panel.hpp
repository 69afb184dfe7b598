// Products of a packed matrix with the rows of a slot: y[i] = sum over j of m[i, j] a[j], for every lane.
//
// m is packed in panels of W rows, W the width of a register: element (i, j) at ((i / W) * columns + j) * W + i % W,
// zero where i is beyond the last row. Tiles of whole registers of lanes splat elements of m over lanes of a; narrower
// tiles splat elements of a over rows of m. Either way a sum goes through j in order: it does not depend on L.
#pragma once
#include "../../io.hpp"
#include "../step.hpp"

namespace FB_NAMESPACE {

template <class S>
constexpr int64_t panels(int64_t rows) {
    return (rows + native<S> - 1) / native<S>;
}

// m[i * row_stride + j * column_stride] into `to` (panels, columns, W): the rows of a panel are lanes to be staged.
template <class S>
void pack_panels(const S* m, int64_t row_stride, int64_t column_stride, int64_t rows, int64_t columns, S* to) {
    constexpr int W = native<S>;
    for (int64_t p = 0; p < rows; p += W, to += columns * W) {
        const int n = int(least<int64_t>(W, rows - p));
        const S* row[W] = {};
        for (int i = 0; i < n; ++i) row[i] = m + (p + i) * row_stride;
        if (column_stride == 1)
            load_contiguous<S, S>(row, n, W, columns, 0, W, to);
        else
            load_strided<S, S>(row, column_stride, n, W, columns, W, to);
    }
}

// R rows of a panel, from m on, by N registers of lanes.
template <class S, int R, int N>
FB_INLINE void rows_by_lanes(const S* m, int64_t columns, const S* a, int L, S* y) {
    constexpr int W = native<S>;
    using V = typename vector_of<S, W>::type;
    V sum[R][N] = {};
    for (int64_t j = 0; j < columns; ++j) {
        V x[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) x[n] = load<S, W>(a + j * L + n * W);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
            for (int n = 0; n < N; ++n) sum[r][n] += m[j * W + r] * x[n];
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) store(y + r * L + n * W, sum[r][n]);
}

// L a multiple of W.
template <class S, int N>
void multiply_lanes(const S* m, int64_t rows, int64_t columns, const S* a, int L, S* y) {
    constexpr int W = native<S>, tall = least(W, registers / 2 / N);
    for (int64_t p = 0; p < rows; p += W, m += columns * W)
        for (int l = 0; l < L; l += N * W) {
            const int64_t end = least<int64_t>(W, rows - p);
            int64_t r = 0;
            for (; r + tall <= end; r += tall) rows_by_lanes<S, tall, N>(m + r, columns, a + l, L, y + (p + r) * L + l);
            if constexpr (tall > 4)
                for (; r + 4 <= end; r += 4) rows_by_lanes<S, 4, N>(m + r, columns, a + l, L, y + (p + r) * L + l);
            for (; r < end; ++r) rows_by_lanes<S, 1, N>(m + r, columns, a + l, L, y + (p + r) * L + l);
        }
}

// y[i * L + l] = part[l][i] for the first `rows` of them. A function of its own, because a compiler that sees halves of
// registers being used keeps the sums in memory, and not in registers.
template <class S, int L>
[[gnu::noinline]] void store_turned(const S (&part)[L][native<S>], int64_t rows, S* y) {
    constexpr int W = native<S>, B = least(W, L);
    for (int i = 0; i < W; i += B)
        for (int l = 0; l < L; l += B) {
            typename vector_of<S, B>::type square[B];
            for (int k = 0; k < B; ++k) square[k] = load<S, B>(part[l + k] + i);
            transpose<S, B>(square);
            for (int k = 0; k < B && i + k < rows; ++k) store(y + (i + k) * L + l, square[k]);
        }
}

// N whole panels by L lanes. `rows`: how many of their rows there are.
template <class S, int N, int L>
FB_INLINE void panels_by_lanes(const S* m, int64_t rows, int64_t columns, const S* a, S* y) {
    constexpr int W = native<S>;
    using V = typename vector_of<S, W>::type;
    V sum[N][L] = {};
    for (int64_t j = 0; j < columns; ++j) {
        V x[N];
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) x[n] = load<S, W>(m + (n * columns + j) * W);
#pragma GCC unroll 8
        for (int l = 0; l < L; ++l)
#pragma GCC unroll 8
            for (int n = 0; n < N; ++n) sum[n][l] += a[j * L + l] * x[n];
    }
#pragma GCC unroll 8
    for (int n = 0; n < N; ++n) {
        if constexpr (L == 1) {
            store_first(y + n * W, sum[n][0], rows - n * W);
        } else {
            alignas(64) S part[L][W];
#pragma GCC unroll 8
            for (int l = 0; l < L; ++l) store(part[l], sum[n][l]);
            store_turned<S, L>(part, rows - n * W, y + n * W * L);
        }
    }
}

template <class S, int N, int L>
void multiply_panels(const S* m, int64_t rows, int64_t columns, const S* a, S* y) {
    constexpr int W = native<S>;
    int64_t p = 0;
    for (; p + (N - 1) * W < rows; p += N * W)
        panels_by_lanes<S, N, L>(m + p * columns, rows - p, columns, a, y + p * L);
    if constexpr (N > 1) multiply_panels<S, N / 2, L>(m + p * columns, rows - p, columns, a, y + p * L);
}

template <class S>
void multiply(const S* m, int64_t rows, int64_t columns, const S* a, int L, S* y) {
    constexpr int W = native<S>, few = 8;
    if (L == 1) return multiply_panels<S, 8, 1>(m, rows, columns, a, y);
    if (L % W) return multiply_panels<S, registers / 16, few>(m, rows, columns, a, y);
    if (L % (2 * W)) return multiply_lanes<S, 1>(m, rows, columns, a, L, y);
    multiply_lanes<S, 2>(m, rows, columns, a, L, y);
}

}  // namespace FB_NAMESPACE
