// Transposition of one W x W block held in W registers.
//
// At distance d, element j of row i (bit d of i clear) is exchanged with element j - d of row i + d wherever bit d of j
// is set: log2(W) such exchanges swap every bit of the row index with the same bit of the column index.
#pragma once
#include <utility>

#include "vec.hpp"

namespace FB_NAMESPACE {

template <int D, class V, int... J>
FB_INLINE void exchange(V& upper, V& lower, std::integer_sequence<int, J...>) {
    constexpr int W = sizeof...(J);
    V first = __builtin_shufflevector(upper, lower, ((J & D) ? W + J - D : J)...);
    V second = __builtin_shufflevector(upper, lower, ((J & D) ? W + J : J + D)...);
    upper = first;
    lower = second;
}

template <int D, int W, class V>
FB_INLINE void exchange_all(V (&rows)[W]) {
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i)
        if (!(i & D)) exchange<D>(rows[i], rows[i + D], std::make_integer_sequence<int, W>{});
    if constexpr (D > 1) exchange_all<D / 2>(rows);
}

template <class S, int W>
FB_INLINE void transpose(typename vector_of<S, W>::type (&rows)[W]) {
    if constexpr (W > 1) exchange_all<W / 2>(rows);
}

}  // namespace FB_NAMESPACE
