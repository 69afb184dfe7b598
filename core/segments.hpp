// Few lanes of a long signal: time is cut into segments that run side by side, as lanes.
//
// The state at the end of a segment is linear in the state at its start: s' = F s + e. One pass from zero states finds
// every e; F is the same pass, undriven, from the unit states. The true states follow one from the other, and a second
// pass from them gives the output. Backward is the same in reverse, with the conjugate transpose of F.
//
// L segments of the same length are a block, and a lane's blocks are dealt to tasks in shares. Both passes take all
// blocks at once; between them, a lane's states are linked in order.
//
// F amplifies rounding errors when the recurrence is unstable; then, and for what is left at the end of the signal,
// time is walked through sample by sample.
#pragma once
#include <memory>
#include <mutex>
#include <vector>

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
          lanes_(problem.cut.lanes),
          shares_(problem.cut.shares),
          steps_(problem.given.steps),
          states_(problem.body.states()),
          parts_(problem.body.parts),
          walked_(size_t(lanes_)) {
        give(std::make_unique<Wide>(problem, L, true, longest));
        const Wide& wide = *idle_.back();
        for (int i = 1; i < problem.body.inputs; ++i) varying_ |= wide.varies(i);
        size_ = wide.state_size();
        longest_ = wide.chunk();
        full_ = steps_ / (longest_ * L);
        last_ = (steps_ - full_ * longest_ * L) / L;
        if (last_ < shortest) last_ = 0;
        blocks_ = full_ + (last_ > 0);
        arena_.lay([&](Arena& a) {
            a.take(starts_, lanes_ * blocks_ * size_);
            a.take(d_starts_, problem.gradient ? lanes_ * blocks_ * size_ : 0);
            a.take(factors_, lanes_ * (varying_ ? blocks_ : 2) * turns() * size_);
        });
    }

    void run(const fb_threads& threads) {
        parallel(threads, lanes_ * shares_, [this](int64_t i) { find(i / shares_, i % shares_); });
        parallel(threads, lanes_, [this](int64_t lane) { problem_.gradient ? link_back(lane) : link(lane); });
        parallel(threads, lanes_ * shares_, [this](int64_t i) { finish(i / shares_, i % shares_); });
    }

private:
    using Wide = Walk<M, S>;

    // First pass: what segments that start from zero states, or end in zero adjoints, leave to their neighbors.
    void find(int64_t lane, int64_t share) {
        std::unique_ptr<Wide> walk = take();
        walk->bind(problem_.cut.tile(lane));
        const bool ends = !problem_.gradient || problem_.parameters;
        for (int64_t block = first(share); block < first(share + 1); ++block) {
            const Window w = window(*walk, block);
            walk->stage(w, ends);
            if (varying_ || block == 0 || block == full_) find_factor(*walk, w, factor_at(lane, block));
            if (ends) {
                walk->clear(walk->state(), size_);
                walk->forward(w, false);
                walk->copy(at(starts_, lane, block), walk->state(), size_);
            }
            if (problem_.gradient) {
                walk->stage_d_output(w);
                walk->clear(walk->d_state(), size_);
                walk->adjoint(w, false);
                walk->copy(at(d_starts_, lane, block), walk->d_state(), size_);
            }
        }
        give(std::move(walk));
    }

    void link(int64_t lane) {
        Walk<M, S> walk(problem_, 1, false, steps_);
        walk.bind(problem_.cut.tile(lane));
        walk.load_state(problem_.given.state_before, walk.state());
        link_states(lane, walk.state());
        forward_span(walk, start(walked_[lane]), steps_);
        walk.store_state(problem_.given.state_after, walk.state());
    }

    void link_back(int64_t lane) {
        Walk<M, S> walk(problem_, 1, false, steps_);
        walk.bind(problem_.cut.tile(lane));
        walk.bind_gradients(lane);
        walk.load_state(problem_.given.state_before, walk.state());
        link_states(lane, walk.state());
        walk.load_state(problem_.gradient->d_state_after, walk.d_state());
        backward_span(problem_, walk, start(walked_[lane]), steps_);
        walk.flush_held();
        for (int64_t block = walked_[lane]; block-- > 0;)
            chain<true>(lane, block, at(d_starts_, lane, block), walk.d_state());
        if (problem_.d_before.wanted()) problem_.d_before.add_held(problem_.cut.tile(lane), 1, walk.d_state());
    }

    void link_states(int64_t lane, S* state) {
        int64_t& block = walked_[lane];
        for (block = 0; block < blocks_ && tame(factor_at(lane, block)); ++block)
            if (!problem_.gradient || problem_.parameters) chain<false>(lane, block, at(starts_, lane, block), state);
    }

    // Second pass: from the true states.
    void finish(int64_t lane, int64_t share) {
        std::unique_ptr<Wide> walk = take();
        walk->bind(problem_.cut.tile(lane));
        if (problem_.gradient) walk->bind_gradients(lane);
        for (int64_t block = first(share); block < least(first(share + 1), walked_[lane]); ++block) {
            const Window w = window(*walk, block);
            walk->stage(w, !problem_.gradient || problem_.parameters);
            if (!problem_.gradient) {
                walk->copy(walk->state(), at(starts_, lane, block), size_);
                walk->forward(w, false);
                walk->store_output(w);
                continue;
            }
            if (problem_.parameters) {
                walk->copy(walk->state(), at(starts_, lane, block), size_);
                walk->forward(w, true);
            }
            walk->stage_d_output(w);
            walk->copy(walk->d_state(), at(d_starts_, lane, block), size_);
            walk->adjoint(w, problem_.parameters);
            walk->store_gradients(w);
        }
        if (problem_.gradient) walk->flush_held(share);
        give(std::move(walk));
    }

    // Segments have one length, but in the last block.
    int64_t first(int64_t share) const { return blocks_ * share / shares_; }
    int64_t length(int64_t block) const { return block < full_ ? longest_ : last_; }
    int64_t start(int64_t block) const { return (least(block, full_) * longest_ + (block > full_) * last_) * L; }
    Window window(const Wide& walk, int64_t block) const {
        return walk.window(start(block), length(block), length(block));
    }

    S* at(S* states, int64_t lane, int64_t block) const { return states + (lane * blocks_ + block) * size_; }

    // Walks are large; a thread uses one again that another task has done with.
    std::unique_ptr<Wide> take() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!idle_.empty()) {
                std::unique_ptr<Wide> walk = std::move(idle_.back());
                idle_.pop_back();
                return walk;
            }
        }
        return std::make_unique<Wide>(problem_, L, true, longest);
    }
    void give(std::unique_ptr<Wide> walk) {
        const std::lock_guard<std::mutex> lock(mutex_);
        idle_.push_back(std::move(walk));
    }

    // Where coefficients vary, every segment has an F of its own, and the unit states take turns; otherwise one F
    // serves all segments of one length, and the unit states run side by side.
    int64_t turns() const { return varying_ ? states_ : least<int64_t>(states_, 1); }

    S* factor_at(int64_t lane, int64_t block) const {
        const int64_t slot = varying_ ? lane * blocks_ + block : lane * 2 + (block == full_);
        return factors_ + slot * turns() * size_;
    }

    void find_factor(Wide& walk, const Window& w, S* factor) const {
        S* state = walk.state();
        for (int64_t turn = 0; turn < turns(); ++turn) {
            walk.clear(state, size_);
            if (varying_)
                for (int l = 0; l < L; ++l) state[turn * walk.row() + l] = S(1);
            else
                for (int64_t j = 0; j < states_; ++j) state[j * walk.row() + j] = S(1);
            walk.forward_undriven(w);
            walk.copy(factor + turn * size_, state, size_);
        }
    }

    bool tame(const S* factor) const {
        constexpr S limit = 100;  // two digits
        for (int64_t i = 0; i < turns() * size_; ++i)
            if (!(factor[i] < limit && factor[i] > -limit)) return false;
        return true;
    }

    // From what segments leave to the states they start from, or going back to the adjoints they end with; carry goes
    // from one end of the block to the other.
    template <bool back>
    void chain(int64_t lane, int64_t block, S* states, S* carry) const {
        const S* factor = factor_at(lane, block);
        // A state that a segment outlives leaves no trace in the next one, not even when it is not a number.
        const int64_t memory = problem_.body.memory;
        const int64_t remembered = memory && length(block) >= memory ? 0 : states_;
        if (parts_ == 1 && !varying_ && states_ <= native<S>)
            chain_vectors<back>(factor, remembered, states, carry);
        else if (parts_ == 1)
            chain_states<back, Real<S, 1>>(factor, remembered, states, carry);
        else
            chain_states<back, Complex<S, 1>>(factor, remembered, states, carry);
    }

    template <bool back, class V>
    void chain_states(const S* factor, int64_t remembered, S* states, S* carry) const {
        S next[max_lanes * 2];
        const int64_t row = L * parts_;
        const auto f = [&](int64_t to, int64_t from, int l) {
            return V::load(factor + (varying_ ? from * size_ + l : from) + to * row, L);
        };
        for (int n = 0; n < L; ++n) {
            const int l = back ? L - 1 - n : n;
            for (int64_t i = 0; i < states_; ++i) {
                V sum = V::load(states + i * row + l, L);
                for (int64_t j = 0; j < remembered; ++j)
                    sum = sum + (back ? conj(f(j, i, l)) : f(i, j, l)) * V::load(carry + j * parts_, 1);
                sum.store(next + i * parts_, 1);
            }
            for (int64_t i = 0; i < states_; ++i) {
                V::load(carry + i * parts_, 1).store(states + i * row + l, L);
                V::load(next + i * parts_, 1).store(carry + i * parts_, 1);
            }
        }
    }

    // The same where one F serves all segments and a state fits in one vector: a product with F (its transpose going
    // back) is then a sum of its columns, in two halves that do not wait for each other.
    template <bool back>
    void chain_vectors(const S* factor, int64_t remembered, S* states, S* carry) const {
        constexpr int W = native<S>;
        alignas(64) S column[W][W] = {}, end[L][W] = {}, now[L + 1][W] = {};
        for (int64_t j = 0; j < states_; ++j) {
            for (int64_t i = 0; i < states_; ++i) column[j][i] = factor[back ? j * L + i : i * L + j];
            for (int l = 0; l < L; ++l) end[l][j] = states[j * L + l];
            now[0][j] = carry[j];
        }
        for (int n = 0; n < L; ++n) {
            auto even = read<S, S, W>(end[back ? L - 1 - n : n]);
            decltype(even) odd = {};
            for (int64_t j = 0; j < least<int64_t>(remembered, W); j += 2) {
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

    Problem<M, S>& problem_;
    const int64_t lanes_, shares_, steps_, states_;
    const int parts_;
    std::vector<int64_t> walked_;  // blocks of a lane that are tame: the rest is walked through
    int64_t size_, longest_, last_, full_, blocks_;
    bool varying_ = false;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Wide>> idle_;
    Arena arena_;
    S *starts_, *d_starts_, *factors_;
};

}  // namespace FB_NAMESPACE
