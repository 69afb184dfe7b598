// Forward and backward of any body over all lanes.
//
// A task takes its tiles one after the other; a tile walks through time in chunks that fit in cache. Backward first
// runs forward without output, to leave a checkpoint of the state at every chunk; then it takes the chunks in reverse,
// replays each from its checkpoint into cache, and runs the adjoint over what it finds there.
#pragma once
#include "segments.hpp"

namespace FB_NAMESPACE {

template <class M, class S>
class Driver {
public:
    Driver(const fb_problem& p, const fb_gradient* g, const Body<S>& body) : problem_(p, g, body) {}

    void run(const fb_threads& given) {
        const fb_threads& threads = worth_waking(given, multiplications());
        if (problem_.cut.segmented)
            Segments<M, S>(problem_).run(threads);
        else
            parallel(threads, problem_.tasks, [this](int64_t task) { work(task); });
        problem_.finish(threads);
    }

private:
    double multiplications() const {
        constexpr double backward = 4;  // in units of forward: it replays that
        const double step = double(2 * problem_.body.states() + 1) * (problem_.gradient ? backward : 1);
        return step * double(problem_.space.count) * double(problem_.given.steps);
    }

    void work(int64_t task) {
        const int64_t tiles = problem_.cut.tiles(), begin = tiles * task / problem_.tasks;
        const int64_t end = tiles * (task + 1) / problem_.tasks;
        for (int64_t i = begin; i < end;) {
            const int L = problem_.cut.tile(i).L;
            Walk<M, S> walk(problem_, L, false, most<int64_t>(problem_.given.steps, 1));
            for (; i < end && problem_.cut.tile(i).L == L; ++i)
                problem_.gradient ? backward(walk, i, task) : forward(walk, i);
        }
    }

    void forward(Walk<M, S>& walk, int64_t tile) {
        walk.bind(problem_.cut.tile(tile));
        walk.load_state(problem_.given.state_before, walk.state());
        forward_span(walk, 0, problem_.given.steps);
        walk.store_state(problem_.given.state_after, walk.state());
    }

    void backward(Walk<M, S>& walk, int64_t tile, int64_t task) {
        walk.bind(problem_.cut.tile(tile));
        walk.bind_gradients(task);
        walk.load_state(problem_.given.state_before, walk.state());
        walk.load_state(problem_.gradient->d_state_after, walk.d_state());
        backward_span(problem_, walk, 0, problem_.given.steps);
        walk.flush_held();
        if (problem_.d_before.wanted())
            problem_.d_before.add_held(problem_.cut.tile(tile), walk.lanes(), walk.d_state());
    }

    Problem<M, S> problem_;
};

}  // namespace FB_NAMESPACE
