// y[i] = sum over d of m[d, i] a[i + d - lower],   d = 0 .. diagonals - 1, terms outside a skipped
//
// m is packed as panels of rows i with columns d (panel.hpp), zero where a term is skipped. Adjoint: da is the same
// with lower and upper exchanged and the diagonals shifted; dm is a sum over time, taken after the loop (band.hpp).
#pragma once
#include "panel.hpp"

namespace FB_NAMESPACE {

template <class S>
int64_t banded_scalars(int64_t rows, int64_t diagonals) {
    return panels<S>(rows) * native<S> * diagonals;
}

template <class S>
void pack_banded(const fb_value& m, int64_t lower, S* to) {
    constexpr int W = native<S>;
    const S* from = static_cast<const S*>(m.data);
    for (int64_t p = 0; p < m.columns; p += W)
        for (int64_t d = 0; d < m.rows; ++d)
            for (int64_t i = p; i < p + W; ++i) {
                const bool exists = i < m.columns && i + d - lower >= 0 && i + d - lower < m.columns;
                *to++ = exists ? from[d * m.row_stride + i * m.column_stride] : S(0);
            }
}

// One lane: registers hold rows. a is copied between zeros, so that every term can be read.
template <class S>
void banded_rows(const Step<S>& s, const S* a, S* y) {
    S* const padded = s.scratch;
    constexpr int W = native<S>;
    using V = typename vector_of<S, W>::type;
    const int64_t D = s.diagonals, lower = s.number, size = s.rows + D + W;
    for (int64_t i = 0; i < lower; ++i) padded[i] = S(0);
    std::memcpy(padded + lower, a, size_t(s.rows) * sizeof(S));
    for (int64_t i = lower + s.rows; i < size; ++i) padded[i] = S(0);
    const S* m = s.matrix;
    for (int64_t i = 0; i < s.rows; i += W) {
        V sum = {};
        for (int64_t d = 0; d < D; ++d, m += W) sum += load<S, W>(m) * load<S, W>(padded + i + d);
        store_first(y + i, sum, s.rows - i);
    }
}

// Lanes in registers of width U. One row, whose terms in [begin, end) exist.
template <class S, int U>
FB_INLINE void band_of_row(const S* m, int64_t begin, int64_t end, const S* a, int L, S* y) {
    typename vector_of<S, U>::type sum = {};
    for (int64_t d = begin; d < end; ++d) sum += m[d * native<S>] * load<S, U>(a + d * L);
    store(y, sum);
}

// R rows, all of whose D >= R terms exist. A row of a is loaded once for every row of y that it meets: row j of a meets
// row r of y on diagonal j - r. The first and the last R - 1 rows of a meet some of them, the others all.
template <class S, int U, int R>
FB_INLINE void band_of_rows(const S* m, int64_t D, const S* a, int L, S* y) {
    constexpr int W = native<S>;
    using V = typename vector_of<S, U>::type;
    V sum[R] = {};
#pragma GCC unroll 8
    for (int j = 0; j < R - 1; ++j, a += L) {
        const V x = load<S, U>(a);
#pragma GCC unroll 8
        for (int r = 0; r <= j; ++r) sum[r] += m[(j - r) * W + r] * x;
    }
    for (int64_t j = R - 1; j < D; ++j, a += L, m += W) {
        const V x = load<S, U>(a);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) sum[r] += m[(R - 1 - r) * W + r] * x;
    }
#pragma GCC unroll 8
    for (int j = 0; j < R - 1; ++j, a += L) {
        const V x = load<S, U>(a);
#pragma GCC unroll 8
        for (int r = j + 1; r < R; ++r) sum[r] += m[(R - 1 + j - r) * W + r] * x;
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) store(y + r * L, sum[r]);
}

template <class S, int U, int R>
void banded_lanes(const Step<S>& s) {
    constexpr int W = native<S>;
    static_assert(W % R == 0);
    const int64_t D = s.diagonals, lower = s.number;
    const auto first = [&](int64_t i) { return most<int64_t>(0, lower - i); };
    const auto last = [&](int64_t i) { return least(D, s.rows - i + lower); };
    for (int64_t i = 0; i < s.rows;) {
        const S *m = s.matrix + i / W * D * W + i % W, *a = s.operand[0] + (i - lower) * s.L;
        S* y = s.dst + i * s.L;
        const bool whole = R > 1 && i % R == 0 && i + R <= s.rows && first(i) == 0 && last(i + R - 1) == D;
        for (int l = 0; l < s.L; l += U) {
            if (whole)
                band_of_rows<S, U, R>(m, D, a + l, s.L, y + l);
            else
                band_of_row<S, U>(m, first(i), last(i), a + l, s.L, y + l);
        }
        i += whole ? R : 1;
    }
}

template <class S, int U>
void banded_lanes(const Step<S>& s) {
    constexpr int most_rows = least(native<S>, 8);
    if (s.diagonals >= most_rows) return banded_lanes<S, U, most_rows>(s);
    banded_lanes<S, U, 1>(s);
}

template <class S>
void banded(const Step<S>& s) {
    constexpr int W = native<S>;
    if (s.L == 1) return banded_rows(s, s.operand[0], s.dst);
    if (s.L % W == 0) return banded_lanes<S, W>(s);
    banded_lanes<S, least(W, 8)>(s);
}

// Scalars of `padded`.
template <class S>
int64_t banded_scratch(int64_t rows, int64_t diagonals, int L) {
    return L == 1 ? rows + diagonals + native<S> : 0;
}

}  // namespace FB_NAMESPACE
