// y[g R + i] = sum over j < C of m[g R + i, j] a[g C + j]: a block-diagonal matrix of `groups` blocks (R, C).
//
// Adjoint: da is the same with every block transposed.
#pragma once
#include "panel.hpp"

namespace FB_NAMESPACE {

template <class S>
int64_t block_scalars(int64_t rows, int64_t columns, int64_t groups) {
    return groups * panels<S>(rows / groups) * native<S> * columns;
}

template <class S>
void pack_block(const fb_value& m, int64_t groups, S* to) {
    const S* from = static_cast<const S*>(m.data);
    const int64_t rows = m.rows / groups;
    for (int64_t g = 0; g < groups; ++g, to += panels<S>(rows) * native<S> * m.columns)
        pack_panels(from + g * rows * m.row_stride, m.row_stride, m.column_stride, rows, m.columns, to);
}

template <class S>
void block(const Step<S>& s) {
    const int64_t rows = s.rows / s.number, columns = s.source / s.number;
    const int64_t size = panels<S>(rows) * native<S> * columns;
    const S* a = s.operand[0];
    S* y = s.dst;
    for (int64_t g = 0; g < s.number; ++g)
        multiply(s.matrix + g * size, rows, columns, a + g * columns * s.L, s.L, y + g * rows * s.L);
}

}  // namespace FB_NAMESPACE
