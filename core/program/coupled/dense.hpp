// y[i] = sum over j of m[i, j] a[j]
//
// Adjoint: da = m^T dy, the same with the transposed matrix; dm = sum over time of dy a^T, one product after the loop.
#pragma once
#include "panel.hpp"

namespace FB_NAMESPACE {

template <class S>
int64_t dense_scalars(int64_t rows, int64_t columns) {
    return panels<S>(rows) * native<S> * columns;
}

// One of `shares` parts of the panels.
template <class S>
void pack_dense(const fb_value& m, int64_t share, int64_t shares, S* to) {
    const int64_t all = panels<S>(m.rows), begin = all * share / shares * native<S>;
    const int64_t end = least(m.rows, all * (share + 1) / shares * native<S>);
    if (begin < end)
        pack_panels(static_cast<const S*>(m.data) + begin * m.row_stride, m.row_stride, m.column_stride, end - begin,
                    m.columns, to + begin * m.columns);
}

template <class S>
void dense(const Step<S>& s) {
    multiply(s.matrix, s.rows, s.source, s.operand[0], s.L, s.dst);
}

}  // namespace FB_NAMESPACE
