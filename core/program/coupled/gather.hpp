// dst[r] = a[table[r]], or 0 where the table says -1. A permutation, a shift, a slice, a concatenation.
//
// The adjoint of a gather is a gather too where no row is read twice; Python writes it so.
#pragma once
#include "../step.hpp"

namespace FB_NAMESPACE {

template <class S>
void gather(const Step<S>& s) {
    S* d = s.dst;
    const S* a = s.operand[0];
    if (s.L == 1) {
        for (int64_t r = 0; r < s.rows; ++r) d[r] = s.table[r] < 0 ? S(0) : a[s.table[r]];
        return;
    }
    const size_t row = size_t(s.L) * sizeof(S);
    for (int64_t r = 0; r < s.rows; ++r, d += s.L) {
        if (s.table[r] < 0)
            std::memset(d, 0, row);
        else
            std::memcpy(d, a + s.table[r] * s.L, row);
    }
}

}  // namespace FB_NAMESPACE
