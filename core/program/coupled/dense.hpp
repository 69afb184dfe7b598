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

template <class S>
void pack_dense(const fb_value& m, S* to) {
    pack_panels(static_cast<const S*>(m.data), m.row_stride, m.column_stride, m.rows, m.columns, to);
}

template <class S>
void dense(const Step<S>& s) {
    multiply(s.matrix, s.rows, s.source, s.operand[0], s.L, s.dst);
}

}  // namespace FB_NAMESPACE
