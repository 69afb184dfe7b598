// dst[o I + i] = sum (or max) over r < R of a[(o R + r) I + i],   o < rows / I, i < I
//
// The I rows of one o are I * L scalars side by side in dst, and so are they in a for every r. The order of a sum does
// not depend on L. NaN propagates through max.
#pragma once
#include "../../math.hpp"
#include "../step.hpp"

namespace FB_NAMESPACE {

template <bool maximum, class S, int W>
FB_INLINE typename vector_of<S, W>::type reduced(typename vector_of<S, W>::type x, typename vector_of<S, W>::type y) {
    if constexpr (maximum)
        return vmax<S, W>(x, y);
    else
        return x + y;
}

template <class S, bool maximum>
void reduce(const Step<S>& s) {
    constexpr int W = native<S>, parts = 4;
    using V = typename vector_of<S, W>::type;
    const int64_t R = s.table[0], inner = s.table[1], span = inner * s.L;
    S* d = s.dst;
    const S* a = s.operand[0];
    for (int64_t o = 0; o < s.rows / inner; ++o, d += span, a += R * span) {
        if (span == 1) {  // one lane, adjacent rows
            S part[parts];
            for (int k = 0; k < parts; ++k) part[k] = k < R ? a[k] : S(0);
            for (int64_t r = parts; r < R; ++r) part[r % parts] = reduced<maximum, S, 1>(part[r % parts], a[r]);
            for (int k = 1; k < parts && k < R; ++k) part[0] = reduced<maximum, S, 1>(part[0], part[k]);
            d[0] = part[0];
            continue;
        }
        for (int64_t x = 0; x < span; x += W) {
            V part[parts];
            for (int k = 0; k < parts; ++k) part[k] = k < R ? load<S, W>(a + k * span + x) : V{};
            int64_t r = parts;
            for (; r + parts <= R; r += parts)
#pragma GCC unroll 4
                for (int k = 0; k < parts; ++k)
                    part[k] = reduced<maximum, S, W>(part[k], load<S, W>(a + (r + k) * span + x));
            for (int k = 0; r + k < R; ++k)
                part[k] = reduced<maximum, S, W>(part[k], load<S, W>(a + (r + k) * span + x));
            for (int k = 1; k < parts && k < R; ++k) part[0] = reduced<maximum, S, W>(part[0], part[k]);
            store_first(d + x, part[0], span - x);
        }
    }
}

}  // namespace FB_NAMESPACE
