// A body is one recurrence, as the driver sees it: it advances a tile of lanes through a stretch of time, or takes the
// adjoint of that stretch. It knows nothing of batches, strides, dtypes in memory, threads, frames or chunks; the
// driver knows nothing of filters.
//
// An element is one scalar, or two rows (real, imaginary) when the recurrence is complex. A value of `count` elements
// per step occupies count * parts rows of L scalars.
#pragma once
#include "vec.hpp"

namespace FB_NAMESPACE {

inline constexpr int max_inputs = 3;

// One stretch of time. Strides are scalars per step; 0 marks an input that is held for the whole stretch.
template <class S>
struct Run {
    const void* context;
    int lanes;                   // L, also the pitch of a row
    int64_t steps;               // n
    const S* input[max_inputs];  // (n or 1, count, parts, L)
    int64_t stride[max_inputs];
    bool splat;  // input 0 is the same for all lanes: (n, parts)
    S* state;    // (states, parts, L): before on entry, after on return
    S* output;   // (n, parts, L)
    S* trail;    // (trail, n, parts, L): what adjoint wants to find again; when given, output need not be written
    int64_t trail_pitch;  // scalars from one element of the trail to the next
};

// The adjoint of the same stretch, from its last step to its first.
template <class S>
struct Adjoint : Run<S> {
    const S* d_output;       // (n, parts, L)
    S* d_state;              // (states, parts, L): of the state after on entry, before on return
    S* d_input[max_inputs];  // as input: overwritten where it varies, added to where it is held
    bool parameters;         // whether the gradients of inputs 1.. are wanted; if not, input 0 and trail are not read
};

template <class S>
struct Body {
    const void* context;
    int parts;   // 1 real, 2 complex
    int inputs;  // input 0 drives: it and the state enter linearly, so with it zero the map of states is linear
    int64_t rows[max_inputs];     // the elements per step of an input, as a matrix; columns that the user's value
    int64_t columns[max_inputs];  // lacks are zero
    int64_t state_rows, state_columns;
    int64_t trail;   // elements per step
    int64_t memory;  // steps after which nothing is left of a state; 0: never
    void (*forward)(const Run<S>&);
    void (*adjoint)(const Adjoint<S>&);

    int64_t count(int i) const { return rows[i] * columns[i]; }
    int64_t states() const { return state_rows * state_columns; }
};

// Calls f.template operator()<V, M>(lane) for lanes 0 .. L-1 in groups of M registers, then of one; V = E<S, W>.
template <template <class, int> class E, class S, int M, class F>
FB_INLINE void for_lanes(int lanes, F&& f) {
    constexpr int W = native<S>;
    int lane = 0;
    if constexpr (M > 1)
        for (; lane + M * W <= lanes; lane += M * W) f.template operator()<E<S, W>, M>(lane);
    for (; lane + W <= lanes; lane += W) f.template operator()<E<S, W>, 1>(lane);
    for (; lane < lanes; ++lane) f.template operator()<E<S, 1>, 1>(lane);
}

}  // namespace FB_NAMESPACE
