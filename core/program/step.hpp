// An instruction as it runs: a function, and the addresses it works on in the present step.
#pragma once
#include "slots.hpp"

namespace FB_NAMESPACE {

template <class S>
struct Step {
    void (*run)(const Step&);
    S* dst;
    const S* operand[3];
    int64_t count;   // scalars of dst, L * rows; of all steps, when it does all at once
    int64_t rows;    // of dst
    int64_t source;  // rows of operand 0
    int L;
    int broadcast;         // bits: this operand is one row for all
    int filled;            // bits: that row is repeated up to a whole vector
    const int64_t* table;  // gather: (rows); reductions: (R, inner)
    const S* matrix;       // packed
    int64_t number;        // banded: lower; block: groups
    int64_t diagonals;     // banded
    S* scratch;            // of this instruction alone
    int64_t first, steps;  // sum over time: the first step in the time of the user, and how many there are
    int64_t stride[2];     // sum over time: scalars from one step to the next of either operand
};

template <class S, int W>
FB_INLINE typename vector_of<S, W>::type load(const S* p) {
    typename vector_of<S, W>::type v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
template <class V, class S>
FB_INLINE void store(S* p, V v) {
    std::memcpy(p, &v, sizeof v);
}
// Its first `count` elements, or all that there are.
template <class V, class S>
FB_INLINE void store_first(S* p, V v, int64_t count) {
    if (count >= int64_t(sizeof v / sizeof(S))) return store(p, v);
    std::memcpy(p, &v, size_t(count) * sizeof(S));
}

}  // namespace FB_NAMESPACE
