// Few lanes of a long signal: time is cut into segments that run side by side, as lanes.
//
// The state at the end of a segment is linear in the state at its start: s' = F s + e. One pass from zero states finds
// every e; F is the same pass, undriven, from the unit states. The true states follow one from the other, and a second
// pass from them gives the output. Backward is the same in reverse, with the conjugate transpose of F.
//
// F amplifies rounding errors when the recurrence is unstable; then, and for what is left at the end of the signal,
// time is walked through sample by sample.
#pragma once
#include "walk.hpp"

namespace FB_NAMESPACE {

template <class M, class S>
void forward_span(Walk<M, S>& walk, int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t += walk.chunk()) {
        const Window w = walk.window(t, least(walk.chunk(), end - t));
        walk.stage(w);
        walk.forward(w, false);
        walk.store_output(w);
    }
}

// From state() at `begin` and d_state() at `end` to d_state() at `begin`.
template <class M, class S>
void backward_span(const Problem<M, S>& problem, Walk<M, S>& walk, int64_t begin, int64_t end) {
    const int64_t chunk = walk.chunk(), chunks = (end - begin + chunk - 1) / chunk, size = walk.state_size();
    Arena arena;
    S* checkpoints = nullptr;
    if (problem.parameters) arena.lay([&](Arena& a) { a.take(checkpoints, chunks * size); });
    for (int64_t c = 0; problem.parameters && c < chunks; ++c) {
        walk.copy(checkpoints + c * size, walk.state(), size);
        if (c + 1 == chunks) break;
        const Window w = walk.window(begin + c * chunk, chunk);
        walk.stage(w);
        walk.forward(w, false);
    }
    for (int64_t c = chunks; c-- > 0;) {
        const Window w = walk.window(begin + c * chunk, least(chunk, end - begin - c * chunk));
        walk.stage(w, problem.parameters);
        if (problem.parameters) {
            walk.copy(walk.state(), checkpoints + c * size, size);
            walk.forward(w, true);
        }
        walk.stage_d_output(w);
        walk.adjoint(w, problem.parameters);
        walk.store_gradients(w);
    }
}

template <class M, class S>
class Segments {
    static constexpr int L = max_lanes;
    static constexpr int64_t longest = 256, shortest = 32;

public:
    explicit Segments(Problem<M, S>& problem)
        : problem_(problem),
          wide_(problem, L, true, longest),
          narrow_(problem, 1, false, problem.given.steps),
          parts_(problem.body.parts),
          states_(problem.body.states()) {
        for (int i = 1; i < problem.body.inputs; ++i) varying_ |= wide_.varies(i);
        arena_.lay([&](Arena& a) {
            a.take(carry_, states_ * parts_);
            a.take(d_carry_, states_ * parts_);
            a.take(ends_, wide_.state_size());
            a.take(factor_, turns() * wide_.state_size());
            if (problem.gradient) a.take(starts_, blocks() * wide_.state_size());
        });
    }

    void forward(int64_t lane, int64_t task) {
        bind(lane, task);
        int64_t t = 0;
        for (Window w; next(t, w);) {
            wide_.stage(w);
            if (!states_before(w, wide_.state())) break;
            wide_.forward(w, false);
            wide_.store_output(w);
            t += w.steps * L;
        }
        narrow_.copy(narrow_.state(), carry_, states_ * parts_);
        forward_span(narrow_, t, problem_.given.steps);
        narrow_.store_state(problem_.given.state_after, narrow_.state());
    }

    void backward(int64_t lane, int64_t task) {
        bind(lane, task);
        const int64_t size = wide_.state_size();
        int64_t t = 0, block = 0;
        for (Window w; next(t, w); t += w.steps * L, ++block) {
            wide_.stage(w);
            if (!states_before(w, starts_ + block * size)) break;
        }
        narrow_.copy(narrow_.state(), carry_, states_ * parts_);
        narrow_.load_state(problem_.gradient->d_state_after, narrow_.d_state());
        backward_span(problem_, narrow_, t, problem_.given.steps);
        narrow_.copy(d_carry_, narrow_.d_state(), states_ * parts_);

        while (block-- > 0) {
            const Window w = window_of(block, t);
            wide_.stage(w);
            if (varying_ || w.steps != factor_steps_) find_factor(w);
            wide_.copy(wide_.state(), starts_ + block * size, size);
            if (problem_.parameters) wide_.forward(w, true);
            wide_.stage_d_output(w);
            wide_.clear(wide_.d_state(), size);
            wide_.adjoint(w, false);
            gradients_after();
            wide_.adjoint(w, problem_.parameters);
            wide_.store_gradients(w);
            t = w.start;
        }
        wide_.flush_held();
        narrow_.flush_held();
        narrow_.copy(narrow_.d_state(), d_carry_, states_ * parts_);
        if (problem_.d_before.wanted()) problem_.d_before.add_held(tile_, false, 1, narrow_.d_state());
    }

private:
    int64_t blocks() const { return problem_.given.steps / (shortest * L) + 1; }

    void bind(int64_t lane, int64_t task) {
        tile_ = problem_.cut.tile(lane);
        wide_.bind(tile_, task);
        narrow_.bind(tile_, task);
        narrow_.load_state(problem_.given.state_before, narrow_.state());
        narrow_.copy(carry_, narrow_.state(), states_ * parts_);
        factor_steps_ = 0;
    }

    // The next block of L segments, if enough of the signal is left for one.
    bool next(int64_t t, Window& w) const {
        const int64_t steps = least((problem_.given.steps - t) / L, wide_.chunk());
        if (steps < shortest) return false;
        w = wide_.window(t, steps, steps);
        return true;
    }

    // The block that ends at t: all have full length but perhaps the last one.
    Window window_of(int64_t block, int64_t t) const {
        const int64_t start = block * wide_.chunk() * L, steps = (t - start) / L;
        return wide_.window(start, steps, steps);
    }

    // The states at the start of every segment of a staged block; carry_ goes from the block's start to its end.
    bool states_before(const Window& w, S* states) {
        if (varying_ || w.steps != factor_steps_) find_factor(w);
        if (!tame()) return false;
        wide_.clear(wide_.state(), wide_.state_size());
        wide_.forward(w, false);
        wide_.copy(ends_, wide_.state(), wide_.state_size());
        if (in_one_vector())
            chain_vectors<false>(carry_, states);
        else
            parts_ == 2 ? chain<Complex<S, 1>>(states) : chain<Real<S, 1>>(states);
        return true;
    }

    void gradients_after() {
        wide_.copy(ends_, wide_.d_state(), wide_.state_size());
        if (in_one_vector())
            chain_vectors<true>(d_carry_, wide_.d_state());
        else
            parts_ == 2 ? chain_back<Complex<S, 1>>(wide_.d_state()) : chain_back<Real<S, 1>>(wide_.d_state());
    }

    // What the unit states become. Where coefficients vary, every segment has an F of its own and the unit states take
    // turns; otherwise one F serves all, and the unit states run side by side.
    void find_factor(const Window& w) {
        const int64_t size = wide_.state_size();
        S* state = wide_.state();
        for (int64_t turn = 0; turn < turns(); ++turn) {
            wide_.clear(state, size);
            if (varying_)
                for (int l = 0; l < L; ++l) state[turn * wide_.row() + l] = S(1);
            else
                for (int64_t j = 0; j < states_; ++j) state[j * wide_.row() + j] = S(1);
            wide_.forward_undriven(w);
            wide_.copy(factor_ + turn * size, state, size);
        }
        factor_steps_ = w.steps;
    }

    int64_t turns() const { return varying_ ? states_ : least<int64_t>(states_, 1); }

    bool tame() const {
        constexpr S limit = 100;  // two digits
        for (int64_t i = 0; i < turns() * wide_.state_size(); ++i)
            if (!(factor_[i] < limit && factor_[i] > -limit)) return false;
        return true;
    }

    // A state that a segment outlives leaves no trace in the next one, not even when it is not a number.
    int64_t remembered() const {
        const int64_t memory = problem_.body.memory;
        return memory && factor_steps_ >= memory ? 0 : states_;
    }

    template <class V>
    V factor(int64_t to, int64_t from, int l) const {
        return V::load(factor_ + (varying_ ? from * wide_.state_size() + l : from) + to * wide_.row(), L);
    }

    bool in_one_vector() const { return parts_ == 1 && !varying_ && states_ <= native<S>; }

    // chain or chain_back where one F serves all segments and a state fits in one vector: a product with F (its
    // transpose going back) is then a sum of its columns, in two halves that do not wait for each other.
    template <bool back>
    void chain_vectors(S* carry, S* states) {
        constexpr int W = native<S>;
        alignas(64) S column[W][W] = {}, end[L][W] = {}, now[L + 1][W] = {};
        for (int64_t j = 0; j < states_; ++j) {
            for (int64_t i = 0; i < states_; ++i) column[j][i] = factor_[back ? j * L + i : i * L + j];
            for (int l = 0; l < L; ++l) end[l][j] = ends_[j * L + l];
            now[0][j] = carry[j];
        }
        for (int n = 0; n < L; ++n) {
            auto even = read<S, S, W>(end[back ? L - 1 - n : n]);
            decltype(even) odd = {};
            for (int64_t j = 0; j < remembered(); j += 2) {
                even += read<S, S, W>(column[j]) * now[n][j];
                if (j + 1 < W) odd += read<S, S, W>(column[j + 1]) * now[n][j + 1];
            }
            even += odd;
            std::memcpy(now[n + 1], &even, sizeof even);
        }
        for (int64_t i = 0; i < states_; ++i) {
            for (int n = 0; n < L; ++n) states[i * L + (back ? L - 1 - n : n)] = now[n][i];
            carry[i] = now[L][i];
        }
    }

    template <class V>
    void chain(S* states) {
        for (int l = 0; l < L; ++l) {
            for (int64_t i = 0; i < states_; ++i)
                V::load(carry_ + i * parts_, 1).store(states + i * wide_.row() + l, L);
            for (int64_t i = 0; i < states_; ++i) {
                V after = V::load(ends_ + i * wide_.row() + l, L);
                for (int64_t j = 0; j < remembered(); ++j)
                    after = after + factor<V>(i, j, l) * V::load(states + j * wide_.row() + l, L);
                after.store(carry_ + i * parts_, 1);
            }
        }
    }

    template <class V>
    void chain_back(S* d_states) {
        for (int l = L; l-- > 0;) {
            for (int64_t i = 0; i < states_; ++i)
                V::load(d_carry_ + i * parts_, 1).store(d_states + i * wide_.row() + l, L);
            for (int64_t i = 0; i < states_; ++i) {
                V before = V::load(ends_ + i * wide_.row() + l, L);
                for (int64_t j = 0; j < remembered(); ++j)
                    before = before + conj(factor<V>(j, i, l)) * V::load(d_states + j * wide_.row() + l, L);
                before.store(d_carry_ + i * parts_, 1);
            }
        }
    }

    Problem<M, S>& problem_;
    Walk<M, S> wide_, narrow_;
    int parts_;
    int64_t states_, factor_steps_ = 0;
    bool varying_ = false;
    Tile tile_ = {};
    Arena arena_;
    S *carry_, *d_carry_, *ends_, *factor_, *starts_;
};

}  // namespace FB_NAMESPACE
