// Series of scalars between the user's memory and staged rows.
//
// A staged row holds one scalar of each of L lanes, side by side, in the compute type S; consecutive rows are
// consecutive in time. In the user's memory (type M) every lane has a pointer of its own and a stride. Lanes from n to
// L are padding: they read as zero and are never written.
#pragma once
#include "transpose.hpp"

namespace FB_NAMESPACE {

inline constexpr int max_lanes = 64;

enum class Write { plain, streamed, added };

template <class S, class M, int W>
FB_INLINE typename vector_of<S, W>::type read(const M* p) {
    typename vector_of<M, W>::type v;
    std::memcpy(&v, p, sizeof v);
    if constexpr (W == 1)
        return S(v);
    else
        return __builtin_convertvector(v, typename vector_of<S, W>::type);
}

template <Write mode, class M, class S, int W>
FB_INLINE void write(M* p, typename vector_of<S, W>::type v) {
    auto w = __builtin_convertvector(v, typename vector_of<M, W>::type);
    if constexpr (mode == Write::streamed) return stream(p, w);
    if constexpr (mode == Write::added) w += read<M, M, W>(p);
    std::memcpy(p, &w, sizeof w);
}

// rows[t * pitch + l] = lane[l][t]: lanes that are contiguous in time, transposed block by block. What lies `ahead` of
// every block, where the next chunk will be read, is asked for already: no hardware follows so many short rows. L is 1
// or a multiple of W.
template <class M, class S, int W = native<S>>
void load_contiguous(const M* const* lane, int n, int L, int64_t steps, int64_t ahead, int64_t pitch, S* rows) {
    if (L == 1) {
        for (int64_t t = 0; t < steps; ++t) rows[t * pitch] = S(lane[0][t]);
        return;
    }
    for (int l = 0; l < L; l += W) {
        int64_t t = 0;
        for (; t + W <= steps; t += W) {
            typename vector_of<S, W>::type block[W] = {};
#pragma GCC unroll 16
            for (int i = 0; i < W; ++i)
                if (l + i < n) {
                    block[i] = read<S, M, W>(lane[l + i] + t);
                    __builtin_prefetch(lane[l + i] + t + ahead);
                }
            transpose<S, W>(block);
#pragma GCC unroll 16
            for (int i = 0; i < W; ++i) std::memcpy(rows + (t + i) * pitch + l, &block[i], sizeof block[i]);
        }
        for (; t < steps; ++t)
            for (int i = 0; i < W; ++i) rows[t * pitch + l + i] = l + i < n ? S(lane[l + i][t]) : S(0);
    }
}

template <Write mode, class M, class S, int W = native<S>>
void store_contiguous(M* const* lane, int n, int L, int64_t steps, int64_t pitch, const S* rows) {
    for (int l = 0; l < n; l += W) {
        const int valid = least(W, n - l);
        int64_t t = 0;
        for (; L >= W && t + W <= steps; t += W) {
            typename vector_of<S, W>::type block[W];
#pragma GCC unroll 16
            for (int i = 0; i < W; ++i) std::memcpy(&block[i], rows + (t + i) * pitch + l, sizeof block[i]);
            transpose<S, W>(block);
#pragma GCC unroll 16
            for (int i = 0; i < W; ++i)
                if (i < valid) write<mode, M, S, W>(lane[l + i] + t, block[i]);
        }
        for (; t < steps; ++t)
            for (int i = 0; i < valid; ++i) {
                M& target = lane[l + i][t];
                target = mode == Write::added ? target + M(rows[t * pitch + l + i]) : M(rows[t * pitch + l + i]);
            }
    }
}

// rows[t * pitch + l] = lane[l][t * stride], for any stride.
template <class M, class S>
void load_strided(const M* const* lane, int64_t stride, int n, int L, int64_t steps, int64_t pitch, S* rows) {
    constexpr int W = native<S>, steps_ahead = 16;
    bool same = true, adjacent = true;
    for (int l = 1; l < n; ++l) {
        same &= lane[l] == lane[0];
        adjacent &= lane[l] == lane[0] + l;
    }
    for (int64_t t = 0; t < steps; ++t) {
        S* row = rows + t * pitch;
        if (n && same) {
            const S value = S(lane[0][t * stride]);
            for (int l = 0; l < n; ++l) row[l] = value;
        } else if (adjacent) {
            const M* source = lane[0] + t * stride;
            int l = 0;
            for (; l + W <= n; l += W) {
                const auto v = read<S, M, W>(source + l);
                __builtin_prefetch(source + steps_ahead * stride + l);
                std::memcpy(row + l, &v, sizeof v);
            }
            for (; l < n; ++l) row[l] = S(source[l]);
        } else {
            for (int l = 0; l < n; ++l) row[l] = S(lane[l][t * stride]);
        }
        for (int l = n; l < L; ++l) row[l] = S(0);
    }
}

template <Write mode, class M, class S>
void store_strided(M* const* lane, int64_t stride, int n, int64_t steps, int64_t pitch, const S* rows) {
    constexpr int W = native<S>;
    bool adjacent = true;
    for (int l = 1; l < n; ++l) adjacent &= lane[l] == lane[0] + l;
    for (int64_t t = 0; t < steps; ++t) {
        const S* row = rows + t * pitch;
        if (adjacent) {
            M* target = lane[0] + t * stride;
            int l = 0;
            for (; l + W <= n; l += W) write<mode, M, S, W>(target + l, read<S, S, W>(row + l));
            for (; l < n; ++l) target[l] = mode == Write::added ? target[l] + M(row[l]) : M(row[l]);
        } else {
            for (int l = 0; l < n; ++l) {
                M& target = lane[l][t * stride];
                target = mode == Write::added ? target + M(row[l]) : M(row[l]);
            }
        }
    }
}

// sums[t] (+)= the sum over the n valid lanes of row t, always in the same order.
template <class S>
void sum_lanes(const S* rows, int n, int L, int64_t steps, S* sums) {
    constexpr int W = native<S>;
    int64_t t = 0;
    for (; n == L && L >= W && t + W <= steps; t += W) {
        typename vector_of<S, W>::type block[W], total = {};
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) {
            const S* row = rows + (t + i) * L;
            std::memcpy(&block[i], row, sizeof block[i]);
            for (int l = W; l < L; l += W) block[i] += read<S, S, W>(row + l);
        }
        transpose<S, W>(block);
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) total += block[i];
        total += read<S, S, W>(sums + t);
        std::memcpy(sums + t, &total, sizeof total);
    }
    for (; t < steps; ++t) {
        S partial[W] = {}, total = 0;
        for (int l = 0; l < n; ++l) partial[l % W] += rows[t * L + l];
        for (int i = 0; i < W; ++i) total += partial[i];
        sums[t] += total;
    }
}

}  // namespace FB_NAMESPACE
