// A walk: one tile's way through time, forward and back, chunk by chunk, with everything it holds in cache.
#pragma once
#include "problem.hpp"

namespace FB_NAMESPACE {

template <class M, class S>
class Walk {
public:
    // With `segments`, the L lanes of the rows are segments of one lane of the user's.
    Walk(Problem<M, S>& problem, int L, bool segments, int64_t longest)
        : problem_(problem), body_(problem.body), L_(L), segments_(segments) {
        const bool backward = problem.gradient;
        int64_t per_step = 2 + (backward ? 2 + body_.trail : 0);
        for (int i = 1; i < body_.inputs; ++i) {
            pace_[i] = pace_of(problem.given.inputs[i], segments);
            if (varies(i)) per_step += (backward ? 2 : 1) * body_.count(i);
        }
        pace_[0] = Pace::samples;
        chunk_ = least(longest, chunk_steps<S>(per_step * body_.parts, L));
        arena_.lay([&](Arena& arena) { lay(arena); });
    }

    int lanes() const { return L_; }
    int64_t chunk() const { return chunk_; }
    int64_t row() const { return int64_t(body_.parts) * L_; }
    int64_t state_size() const { return body_.states() * row(); }
    S* state() { return state_; }
    S* d_state() { return d_state_; }
    const Body<S>& body() const { return body_; }
    bool varies(int i) const { return pace_[i] == Pace::samples || pace_[i] == Pace::expanded; }

    Window window(int64_t start, int64_t steps, int64_t apart = 0) const {
        return {start, steps, apart, apart ? L_ : tile_.n, L_};
    }

    void bind(const Tile& tile) {
        const fb_problem& p = problem_.given;
        tile_ = tile;
        drive_ = Source<M, S>(p.inputs[0], body_.parts, problem_.space, tile);
        output_to_ = target(p.output, tile);
        for (int i = 1; i < body_.inputs; ++i) {
            source_[i] = Source<S, S>(p.inputs[i], body_.parts, problem_.space, tile, segments_ ? L_ : 0);
            if (pace_[i] == Pace::held) source_[i].frame(0, body_.columns[i], L_, input_[i]);
        }
        if (problem_.gradient)
            d_output_from_ = Source<M, S>(problem_.gradient->d_output, body_.parts, problem_.space, tile);
    }

    // After bind(): where the gradients go; those of broadcast signals to the rows of a task.
    void bind_gradients(int64_t task) {
        if (problem_.d_drive.wanted()) problem_.d_drive.bind(task, tile_, d_drive_to_);
        for (int i = 1; i < body_.inputs; ++i) {
            if (problem_.d_input[i].wanted() && pace_[i] != Pace::held)
                problem_.d_input[i].bind(task, tile_, d_input_to_[i]);
            if (!varies(i)) clear(d_input_[i], body_.count(i) * row());
        }
    }

    // Brings what varies from sample to sample into the rows of this chunk.
    void stage(const Window& w, bool drive = true) {
        splat_ = drive_.same && !w.apart;
        drive_rows_ = input_[0];
        if (drive && splat_)
            stage_splat(drive_.at(0, w.start), w.steps);
        else if (drive)
            drive_.samples(w, 1, input_[0]);
        for (int i = 1; i < body_.inputs; ++i) {
            if (pace_[i] == Pace::samples) source_[i].samples(w, body_.columns[i], input_[i]);
            if (pace_[i] == Pace::expanded) source_[i].expanded(w, body_.columns[i], pair_, input_[i]);
        }
    }

    // Advances the state through a staged chunk; leaves the trail where asked, the output otherwise.
    void forward(const Window& w, bool trail) {
        for (int64_t t = 0; t < w.steps;) {
            const int64_t end = run_end(w.start + t, w.start + w.steps) - w.start;
            Run<S> run = this->run(w, t, end);
            run.trail = trail ? trail_ + t * row() : nullptr;
            run.trail_pitch = chunk_ * row();
            body_.forward(run);
            t = end;
        }
    }

    // As forward, with input 0 at zero: what the state alone becomes.
    void forward_undriven(const Window& w) {
        Run<S> run = this->run(w, 0, w.steps);
        run.input[0] = zeros_;
        run.splat = true;
        run.trail = nullptr;
        body_.forward(run);
    }

    void store_output(const Window& w) const {
        if (problem_.stream_output)
            store_samples<Write::streamed>(output_to_, body_.parts, w, 1, 1, 1, output_);
        else
            store_samples<Write::plain>(output_to_, body_.parts, w, 1, 1, 1, output_);
    }

    void stage_d_output(const Window& w) {
        if (problem_.gradient->d_output.data)
            d_output_from_.samples(w, 1, d_output_, true);
        else
            clear(d_output_, w.steps * row());
    }

    // The adjoint of a chunk whose inputs, trail and d_output are in the rows. Without `parameters` it only carries
    // d_state back, and finds the gradient of input 0.
    void adjoint(const Window& w, bool parameters) {
        for (int64_t end = w.steps; end > 0;) {
            const int64_t t = run_begin(w.start + end, w.start) - w.start;
            Adjoint<S> run;
            static_cast<Run<S>&>(run) = this->run(w, t, end);
            run.trail = trail_ + t * row();
            run.trail_pitch = chunk_ * row();
            run.d_output = d_output_ + t * row();
            run.d_state = d_state_;
            run.d_input[0] = d_drive_ + t * row();
            for (int i = 1; i < body_.inputs; ++i) run.d_input[i] = d_input_[i] + (varies(i) ? t * run.stride[i] : 0);
            run.parameters = parameters;
            body_.adjoint(run);
            if (parameters) flush_frames(w.start + t, w);
            end = t;
        }
    }

    // Brings the gradients of what varies from sample to sample to memory.
    void store_gradients(const Window& w) {
        if (problem_.d_drive.wanted()) problem_.d_drive.samples(d_drive_to_, w, problem_.stream_gradient, d_drive_);
        for (int i = 1; i < body_.inputs; ++i) {
            if (!problem_.d_input[i].wanted()) continue;
            if (pace_[i] == Pace::samples) problem_.d_input[i].samples(d_input_to_[i], w, false, d_input_[i]);
            if (pace_[i] == Pace::expanded) problem_.d_input[i].expanded(d_input_to_[i], w, d_input_[i], pair_);
        }
    }

    // Once per tile, or per share of a lane's time: the gradients of what is held for all time.
    void flush_held(int64_t share = 0) {
        for (int i = 1; i < body_.inputs; ++i) {
            if (!problem_.d_input[i].wanted() || pace_[i] != Pace::held) continue;
            if (segments_)
                problem_.d_input[i].add_held_segments(tile_.first, share, L_, d_input_[i]);
            else
                problem_.d_input[i].add_held(tile_, L_, d_input_[i]);
        }
    }

    void load_state(const fb_value& v, S* rows) const {
        if (!v.data) return clear(rows, state_size());
        Source<S, S>(v, body_.parts, problem_.space, tile_).frame(0, body_.state_columns, L_, rows);
    }

    void store_state(const fb_value& v, const S* rows) const {
        if (!v.data) return;
        const Window once = {0, 1, 0, tile_.n, L_};
        Target<S> to = target<S>(v, tile_);
        store_samples<Write::plain>(to, body_.parts, once, v.rows, v.columns, body_.state_columns, rows);
    }

    static void clear(S* rows, int64_t count) {
        for (int64_t i = 0; i < count; ++i) rows[i] = S(0);
    }

    static void copy(S* to, const S* from, int64_t count) { std::memcpy(to, from, size_t(count) * sizeof(S)); }

private:
    void lay(Arena& arena) {
        const int64_t signal = chunk_ * row();
        int64_t widest = 0;
        arena.take(input_[0], signal);
        for (int i = 1; i < body_.inputs; ++i) {
            const int64_t size = body_.count(i) * row();
            arena.take(input_[i], varies(i) ? chunk_ * size : size);
            widest = most(widest, size);
        }
        arena.take(pair_, 2 * widest);
        arena.take(state_, state_size());
        arena.take(output_, signal);
        arena.take(zeros_, chunk_ * body_.parts);
        if (zeros_) clear(zeros_, chunk_ * body_.parts);
        if (!problem_.gradient) return;
        arena.take(trail_, body_.trail * signal);
        arena.take(d_output_, signal);
        arena.take(d_drive_, signal);
        arena.take(d_state_, state_size());
        for (int i = 1; i < body_.inputs; ++i) {
            const int64_t size = body_.count(i) * row();
            arena.take(d_input_[i], varies(i) ? chunk_ * size : size);
        }
    }

    // One series for all lanes: read where it is when it can be.
    void stage_splat(const M* series, int64_t steps) {
        const int parts = body_.parts;
        if constexpr (sizeof(M) == sizeof(S))
            if (drive_.frame_stride == parts) {
                drive_rows_ = series;
                return;
            }
        for (int64_t t = 0; t < steps; ++t)
            for (int p = 0; p < parts; ++p) input_[0][t * parts + p] = S(series[t * drive_.frame_stride + p]);
    }

    Run<S> run(const Window& w, int64_t t, int64_t end) {
        Run<S> run;
        run.context = body_.context;
        run.lanes = L_;
        run.steps = end - t;
        run.stride[0] = row();
        run.splat = splat_;
        run.input[0] = static_cast<const S*>(drive_rows_) + t * (splat_ ? body_.parts : row());
        for (int i = 1; i < body_.inputs; ++i) {
            run.stride[i] = varies(i) ? body_.count(i) * row() : 0;
            run.input[i] = input_[i] + t * run.stride[i];
            if (pace_[i] == Pace::frames)
                source_[i].frame((w.start + t) / source_[i].hop, body_.columns[i], L_, input_[i]);
        }
        run.state = state_;
        run.output = output_ + t * row();
        return run;
    }

    // Runs end where a frame ends.
    int64_t run_end(int64_t t, int64_t end) const {
        for (int i = 1; i < body_.inputs; ++i)
            if (pace_[i] == Pace::frames) end = least(end, (t / source_[i].hop + 1) * source_[i].hop);
        return end;
    }
    int64_t run_begin(int64_t end, int64_t begin) const {
        for (int i = 1; i < body_.inputs; ++i)
            if (pace_[i] == Pace::frames) begin = most(begin, (end - 1) / source_[i].hop * source_[i].hop);
        return begin;
    }

    // The gradient of a frame is complete for this chunk at the frame's first sample, or at the chunk's.
    void flush_frames(int64_t t, const Window& w) {
        for (int i = 1; i < body_.inputs; ++i) {
            if (pace_[i] != Pace::frames || (t % source_[i].hop && t != w.start)) continue;
            if (problem_.d_input[i].wanted())
                problem_.d_input[i].frame(d_input_to_[i], t / source_[i].hop, tile_.n, L_, d_input_[i]);
            clear(d_input_[i], body_.count(i) * row());
        }
    }

    template <class T = M>
    Target<T> target(const fb_value& v, const Tile& tile) const {
        const int parts = body_.parts;
        Target<T> to = {{}, v.frame_stride * parts, v.row_stride * parts, v.column_stride * parts, false};
        if (!v.data) return to;
        int64_t offset[max_lanes];
        problem_.space.offsets(v.lane_strides, tile.first, tile.n, offset);
        for (int l = 0; l < tile.n; ++l) to.lane[l] = static_cast<T*>(v.data) + offset[l] * parts;
        return to;
    }

    Problem<M, S>& problem_;
    const Body<S>& body_;
    int L_;
    bool segments_, splat_ = false;
    int64_t chunk_;
    Pace pace_[max_inputs];
    Tile tile_ = {};
    Source<M, S> drive_, d_output_from_;
    Source<S, S> source_[max_inputs];
    Target<M> output_to_;
    typename Sink<M, S>::Bound d_drive_to_;
    typename Sink<S, S>::Bound d_input_to_[max_inputs];
    Arena arena_;
    const void* drive_rows_ = nullptr;
    S *input_[max_inputs] = {}, *d_input_[max_inputs] = {};
    S *pair_, *state_, *output_, *zeros_, *trail_, *d_output_, *d_drive_, *d_state_;
};

}  // namespace FB_NAMESPACE
