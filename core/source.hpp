// A value that the recurrence reads, brought from the user's memory into staged rows.
#pragma once
#include "lanes.hpp"

namespace FB_NAMESPACE {

// How the frames of a value meet the steps of a run.
enum class Pace {
    held,      // one frame for all time
    frames,    // a frame holds for many samples: runs are cut at its borders, the body sees it held
    samples,   // a frame per sample
    expanded,  // interpolated, or cut in time with the segments: expanded in cache to one frame per sample
};

inline Pace pace_of(const fb_value& v, bool segmented) {
    constexpr int64_t worth_a_run = 16;
    if (v.hop == 0) return Pace::held;
    if (v.hop == 1) return Pace::samples;
    return v.linear || segmented || v.hop < worth_a_run ? Pace::expanded : Pace::frames;
}

// The lanes of a tile of one value; all strides in scalars. M: the scalar type in memory, S: of the computation.
template <class M, class S>
struct Source {
    const M* base = nullptr;
    int parts;
    int64_t hop, frames, frame_stride, rows, row_stride, columns, column_stride;
    bool linear, same;
    int64_t offset[max_lanes];
    int n;

    Source() = default;
    // With `segments`, the one lane of the tile serves all L lanes of the rows.
    Source(const fb_value& v, int parts, const Space& space, const Tile& tile, int segments = 0)
        : base(static_cast<const M*>(v.data)),
          parts(parts),
          hop(v.hop),
          frames(v.frames),
          frame_stride(v.frame_stride * parts),
          rows(v.rows),
          row_stride(v.row_stride * parts),
          columns(v.columns),
          column_stride(v.column_stride * parts),
          linear(v.linear),
          same(true),
          n(segments ? segments : tile.n) {
        if (!base) return;
        space.offsets(v.lane_strides, tile.first, tile.n, offset);
        for (int l = 0; l < n; ++l) {
            offset[l] = l < tile.n ? offset[l] * parts : offset[0];
            same &= offset[l] == offset[0];
        }
    }

    const M* at(int lane, int64_t frame) const { return base + offset[lane] + frame * frame_stride; }
    int64_t last(int64_t frame) const { return least(frame, frames - 1); }

    // One frame: target (rows, width, parts, L), width >= columns.
    void frame(int64_t f, int64_t width, int L, S* target) const {
        for (int64_t r = 0; r < rows; ++r)
            for (int64_t c = 0; c < width; ++c)
                for (int p = 0; p < parts; ++p, target += L) {
                    const int64_t item = r * row_stride + c * column_stride + p;
                    int l = 0;
                    if (c < columns && same) {
                        const S value = S(at(0, f)[item]);
                        for (; l < n; ++l) target[l] = value;
                    } else if (c < columns) {
                        for (; l < n; ++l) target[l] = S(at(l, f)[item]);
                    }
                    for (; l < L; ++l) target[l] = S(0);
                }
    }

    // A frame per sample: target (steps, rows, width, parts, L).
    void samples(const Window& w, int64_t width, S* target, bool reverse = false) const {
        const int64_t items = rows * width * parts, pitch = items * w.L;
        const M* lane[max_lanes];
        for (int l = 0; l < w.n; ++l) lane[l] = at(w.apart ? 0 : l, w.start + l * w.apart);
        const bool packed = frame_stride == items && (columns == 1 || column_stride == parts) &&
                            (rows == 1 || row_stride == columns * parts) && columns == width;
        const int64_t length = w.steps * items;
        if (packed && (w.apart || !same))
            return load_contiguous(lane, w.n, w.L, length, reverse ? -length : length, w.L, target);
        for (int64_t r = 0; r < rows; ++r)
            for (int64_t c = 0; c < width; ++c)
                for (int p = 0; p < parts; ++p, target += w.L) {
                    const M* item[max_lanes];
                    for (int l = 0; l < w.n; ++l) item[l] = lane[l] + r * row_stride + c * column_stride + p;
                    load_strided(item, frame_stride, c < columns ? w.n : 0, w.L, w.steps, pitch, target);
                }
    }

    // Frames expanded to samples: target (steps, rows, width, parts, L); pair holds two frames.
    void expanded(const Window& w, int64_t width, S* pair, S* target) const {
        const int64_t items = rows * width * parts * w.L;
        if (w.apart) return expanded_apart(w, width, target);
        for (int64_t t = 0, staged = -1; t < w.steps; ++t, target += items) {
            const int64_t f = (w.start + t) / hop, r = (w.start + t) % hop;
            if (f != staged) {
                frame(last(f), width, w.L, pair);
                if (linear) frame(last(f + 1), width, w.L, pair + items);
                staged = f;
            }
            const S weight = linear ? S(r) / S(hop) : S(0);
            for (int64_t i = 0; i < items; ++i)
                target[i] = weight != S(0) ? pair[i] + weight * (pair[items + i] - pair[i]) : pair[i];
        }
    }

private:
    void expanded_apart(const Window& w, int64_t width, S* target) const {
        for (int64_t t = 0; t < w.steps; ++t)
            for (int64_t r = 0; r < rows; ++r)
                for (int64_t c = 0; c < width; ++c)
                    for (int p = 0; p < parts; ++p, target += w.L)
                        for (int l = 0; l < w.L; ++l) {
                            if (c >= columns || l >= w.n) {
                                target[l] = S(0);
                                continue;
                            }
                            const int64_t time = w.start + l * w.apart + t, f = time / hop;
                            const int64_t item = r * row_stride + c * column_stride + p;
                            const S here = S(at(0, last(f))[item]);
                            target[l] = here;
                            if (linear) target[l] += S(time % hop) / S(hop) * (S(at(0, last(f + 1))[item]) - here);
                        }
    }
};

}  // namespace FB_NAMESPACE
