// A problem, as all its tasks share it: how it is cut, where its gradients go.
// M: the scalar type of the signals in memory, S: of coefficients, states and the recursion.
#pragma once
#include "sink.hpp"

namespace FB_NAMESPACE {

inline constexpr fb_value absent = {};

template <class M, class S>
struct Problem {
    const fb_problem& given;
    const fb_gradient* gradient;
    const Body<S>& body;
    Space space;
    Cut cut;
    int64_t tasks;
    bool stream_output, stream_gradient, parameters;
    Sink<M, S> d_drive;
    Sink<S, S> d_input[max_inputs];  // [0] is unused: input 0 has its own type
    Sink<S, S> d_before;

    Problem(const fb_problem& p, const fb_gradient* g, const Body<S>& b)
        : given(p),
          gradient(g),
          body(b),
          space(p.dims, p.sizes),
          cut(space.count, p.steps, can_segment(p, b), can_share(p, b)),
          tasks(task_count(g, b)),
          stream_output(streams(p.output)),
          stream_gradient(streams(of(0))),
          parameters(of(1).data || of(2).data),
          d_drive(of(0), b.parts, space, 1, tasks, cut.shares, p.steps),
          d_input{{},
                  {of(1), b.parts, space, b.columns[1], tasks, cut.shares, p.steps},
                  {of(2), b.parts, space, b.columns[2], tasks, cut.shares, p.steps}},
          d_before(g ? g->d_state_before : absent, b.parts, space, b.state_columns, tasks, 1, p.steps) {}

    void finish(const fb_threads& threads) {
        d_drive.finish(threads);
        for (Sink<S, S>& sink : d_input) sink.finish(threads);
        d_before.finish(threads);
    }

private:
    const fb_value& of(int input) const { return gradient ? gradient->d_inputs[input] : absent; }

    // Cutting time costs one more pass, and where coefficients vary one more for every state.
    static bool can_segment(const fb_problem& p, const Body<S>& b) {
        constexpr int64_t states_when_held = max_lanes, states_when_varying = 8;
        bool varies = false;
        for (int i = 1; i < b.inputs; ++i) varies |= p.inputs[i].hop != 0;
        return b.states() <= (varies ? states_when_varying : states_when_held);
    }

    // Shares of time meet where their segments do; a frame of many samples may lie on both sides.
    static bool can_share(const fb_problem& p, const Body<S>& b) {
        for (int i = 1; i < b.inputs; ++i)
            if (p.inputs[i].hop > 1) return false;
        return true;
    }

    // A sum over lanes in memory has one partial sum per task.
    int64_t task_count(const fb_gradient* g, const Body<S>& b) const {
        constexpr int64_t most_tasks = 256, most_with_sums = 32;
        bool sums = false;
        for (int i = 0; g && i < b.inputs; ++i) {
            const fb_value& v = g->d_inputs[i];
            sums |= v.data && v.hop && space.distinct(v.lane_strides) < space.count;
        }
        return least(cut.tiles(), sums ? most_with_sums : most_tasks);
    }

    // Whether a signal is large enough, and aligned, to be written past the caches.
    bool streams(const fb_value& v) const {
        constexpr int64_t large = 32 << 20;
        const int64_t element = int64_t(sizeof(M)) * body.parts;
        bool aligned = v.data && v.frame_stride == 1 && reinterpret_cast<uintptr_t>(v.data) % vector_bytes == 0;
        for (int d = 0; aligned && d < space.dims; ++d) aligned = v.lane_strides[d] * element % vector_bytes == 0;
        return aligned && space.count * given.steps * element >= large;
    }
};

}  // namespace FB_NAMESPACE
