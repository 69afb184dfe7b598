// The gradient of a value, brought from staged rows to the user's memory.
//
// A value that is broadcast over lanes receives the sum of their gradients, always in the same order: lanes within a
// task add to rows of that task, and the tasks' rows are added up at the end. How the lanes are dealt to tasks depends
// on the problem alone.
#pragma once
#include "memory.hpp"
#include "parallel.hpp"
#include "source.hpp"

namespace FB_NAMESPACE {

// Where the lanes of one tile write: T is M for the user's memory, S for a partial sum.
template <class T>
struct Target {
    T* lane[max_lanes];
    int64_t frame_stride, row_stride, column_stride;
    bool same;
};

template <Write mode, class T, class S>
void store_samples(const Target<T>& to, int parts, const Window& w, int64_t rows, int64_t columns, int64_t width,
                   const S* block) {
    const int64_t items = rows * width * parts;
    T* lane[max_lanes];
    for (int l = 0; l < w.n; ++l) lane[l] = to.lane[w.apart ? 0 : l] + (w.start + l * w.apart) * to.frame_stride;
    const bool packed = to.frame_stride == items && (columns == 1 || to.column_stride == parts) &&
                        (rows == 1 || to.row_stride == columns * parts) && columns == width;
    if (packed) return store_contiguous<mode>(lane, w.n, w.L, w.steps * items, w.L, block);
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < columns; ++c)
            for (int p = 0; p < parts; ++p) {
                T* item[max_lanes];
                for (int l = 0; l < w.n; ++l) item[l] = lane[l] + r * to.row_stride + c * to.column_stride + p;
                const S* first = block + ((r * width + c) * parts + p) * w.L;
                store_strided<mode>(item, to.frame_stride, w.n, w.steps, items * w.L, first);
            }
}

template <class M, class S>
class Sink {
public:
    Sink() = default;
    Sink(const fb_value& v, int parts, const Space& space, int64_t width, int64_t tasks, int64_t shares, int64_t steps)
        : v_(&v), parts_(parts), space_(&space), width_(width), tasks_(tasks), shares_(shares) {
        if (!wanted()) return;
        places_ = space.distinct(v.lane_strides);
        shared_ = places_ < space.count;
        if (v.hop == 0)
            held_ = Zeros<S>(space.count * shares * items());
        else if (shared_)
            partial_ = Zeros<Zeros<S>*>(tasks * places_);
        else if (v.hop > 1 || v.frames != steps || !space.count)
            clear();  // not every frame is sure to be written, or some are added to
    }
    Sink(const Sink&) = delete;
    Sink& operator=(const Sink&) = delete;
    ~Sink() {
        if (partial_.get())
            for (int64_t i = 0; i < tasks_ * places_; ++i) delete partial_[i];
    }

    bool wanted() const { return v_ && v_->data; }
    bool needs_partial_sums() const {
        return wanted() && v_->hop && space_->distinct(v_->lane_strides) < space_->count;
    }
    int64_t items() const { return v_->rows * width_ * parts_; }

    // Held values: adds the rows (rows, width, parts, L) of a tile.
    void add_held(const Tile& tile, int L, const S* rows) {
        for (int64_t i = 0; i < items(); ++i)
            for (int l = 0; l < tile.n; ++l) held_[(tile.first + l) * shares_ * items() + i] += rows[i * L + l];
    }

    // The same of a share of one lane's time, whose L rows are segments: they are summed.
    void add_held_segments(int64_t lane, int64_t share, int L, const S* rows) {
        for (int64_t i = 0; i < items(); ++i)
            sum_lanes(rows + i * L, L, L, 1, &held_[(lane * shares_ + share) * items() + i]);
    }

    // Binds the sink to the lanes of a tile.
    struct Bound {
        Target<M> direct;
        Target<S> partial;
    };
    void bind(int64_t task, const Tile& tile, Bound& bound) {
        int64_t offset[max_lanes];
        space_->offsets(v_->lane_strides, tile.first, tile.n, offset);
        const int64_t step = v_->rows * v_->columns * parts_;
        bound.partial = {{}, step, v_->columns * parts_, parts_, true};
        bound.direct = {{}, v_->frame_stride * parts_, v_->row_stride * parts_, v_->column_stride * parts_, false};
        for (int l = 0; l < tile.n; ++l) {
            bound.direct.lane[l] = static_cast<M*>(v_->data) + offset[l] * parts_;
            if (!shared_) continue;
            Zeros<S>*& row = partial_[task * places_ + space_->place(v_->lane_strides, tile.first + l)];
            if (!row) row = new Zeros<S>(v_->frames * step);
            bound.partial.lane[l] = row->get();
            bound.partial.same &= bound.partial.lane[l] == bound.partial.lane[0];
        }
    }

    // A gradient per sample: block (steps, rows, width, parts, L).
    void samples(const Bound& to, const Window& w, bool streamed, const S* block) const {
        const int64_t rows = v_->rows, columns = v_->columns;
        if (shared_ && to.partial.same && !w.apart && columns == width_)
            sum_lanes(block, w.n, w.L, w.steps * items(), to.partial.lane[0] + w.start * to.partial.frame_stride);
        else if (shared_)
            store_samples<Write::added>(to.partial, parts_, w, rows, columns, width_, block);
        else if (streamed)
            store_samples<Write::streamed>(to.direct, parts_, w, rows, columns, width_, block);
        else
            store_samples<Write::plain>(to.direct, parts_, w, rows, columns, width_, block);
    }

    // The gradient of one frame: rows (rows, width, parts, L).
    void frame(const Bound& to, int64_t f, int n, int L, const S* rows) const {
        const Window one = {f, 1, 0, n, L};
        if (shared_)
            store_samples<Write::added>(to.partial, parts_, one, v_->rows, v_->columns, width_, rows);
        else
            store_samples<Write::added>(to.direct, parts_, one, v_->rows, v_->columns, width_, rows);
    }

    // The gradient of values that were expanded from frames to samples: block as in samples(), one: (items, L) of
    // scratch.
    void expanded(const Bound& to, const Window& w, const S* block, S* one) const {
        const int64_t size = items() * w.L;
        const int segments = w.apart ? w.n : 1, n = w.apart ? 1 : w.n, pitch = w.apart ? 1 : w.L;
        for (int s = 0; s < segments; ++s) {
            const int64_t first = w.start + s * w.apart, end = first + w.steps;
            for (int64_t f = first / v_->hop, stop = (end - 1) / v_->hop + 1; f <= stop; ++f) {
                const int64_t here = f * v_->hop, next = here + v_->hop;
                const int64_t from = most(v_->linear ? here - v_->hop : here, first), to_step = least(next, end);
                if (from >= to_step) continue;
                for (int64_t i = 0; i < items() * pitch; ++i) one[i] = S(0);
                for (int64_t time = from; time < to_step; ++time) {
                    const S slope = S(time - here) / S(v_->hop);
                    const S weight = !v_->linear ? S(1) : time < here ? S(1) + slope : S(1) - slope;
                    const S* sample = block + (time - first) * size;
                    if (w.apart)
                        for (int64_t i = 0; i < items(); ++i) one[i] += weight * sample[i * w.L + s];
                    else
                        for (int64_t i = 0; i < size; ++i) one[i] += weight * sample[i];
                }
                frame(to, least(f, v_->frames - 1), n, pitch, one);
            }
        }
    }

    // After all tasks: the sums of everything broadcast.
    void finish(const fb_threads& threads) {
        if (!wanted()) return;
        if (v_->hop == 0) return finish_held();
        if (!shared_) return;
        parallel(threads, places_, [this](int64_t place) { finish_place(place); });
    }

private:
    // Calls f(scalar of the user's memory, index among the packed scalars) for one place.
    template <class F>
    void for_items(int64_t offset, F&& f) const {
        M* base = static_cast<M*>(v_->data) + offset * parts_;
        int64_t index = 0;
        for (int64_t frame = 0; frame < v_->frames; ++frame)
            for (int64_t r = 0; r < v_->rows; ++r)
                for (int64_t c = 0; c < v_->columns; ++c)
                    for (int p = 0; p < parts_; ++p)
                        f(base[(frame * v_->frame_stride + r * v_->row_stride + c * v_->column_stride) * parts_ + p],
                          index++);
    }

    void clear() const {
        for (int64_t place = 0; place < places_; ++place)
            for_items(space_->offset_of_place(v_->lane_strides, place), [](M& x, int64_t) { x = M(0); });
    }

    void finish_held() const {
        Zeros<double> sum(places_ * items());  // there may be very many lanes
        for (int64_t lane = 0; lane < space_->count; ++lane) {
            double* total = &sum[space_->place(v_->lane_strides, lane) * items()];
            for (int64_t i = 0; i < shares_ * items(); ++i)
                total[i % items()] += double(held_[lane * shares_ * items() + i]);
        }
        for (int64_t place = 0; place < places_; ++place)
            for_items(space_->offset_of_place(v_->lane_strides, place), [&](M& x, int64_t i) {
                const int64_t per_row = v_->columns * parts_;
                x = M(sum[place * items() + i / per_row * width_ * parts_ + i % per_row]);
            });
    }

    void finish_place(int64_t place) const {
        const S* first = nullptr;
        for (int64_t task = 0; task < tasks_; ++task) {
            Zeros<S>* row = partial_[task * places_ + place];
            if (!row) continue;
            if (!first) {
                first = row->get();
                continue;
            }
            S* total = const_cast<S*>(first);
            for (int64_t i = 0; i < v_->frames * v_->rows * v_->columns * parts_; ++i) total[i] += (*row)[i];
        }
        for_items(space_->offset_of_place(v_->lane_strides, place),
                  [&](M& x, int64_t i) { x = first ? M(first[i]) : M(0); });
    }

    const fb_value* v_ = nullptr;
    int parts_ = 1;
    const Space* space_ = nullptr;
    int64_t width_ = 1, tasks_ = 0, shares_ = 1, places_ = 0;
    bool shared_ = false;
    Zeros<S> held_;
    Zeros<Zeros<S>*> partial_;
};

}  // namespace FB_NAMESPACE
