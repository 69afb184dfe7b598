// Lanes and how they are cut: a function of the problem alone, so that every machine with the same instruction set and
// every number of threads does the same arithmetic in the same order.
#pragma once
#include "body.hpp"
#include "feedbackward.h"
#include "io.hpp"

namespace FB_NAMESPACE {

// The index space of the lanes: the broadcast of all leading axes, row-major.
struct Space {
    int dims;
    const int64_t* sizes;
    int64_t count;

    Space(int dims, const int64_t* sizes) : dims(dims), sizes(sizes), count(1) {
        for (int d = 0; d < dims; ++d) count *= sizes[d];
    }

    // offsets[l] of lanes first .. first + n - 1 under the given strides.
    void offsets(const int64_t* strides, int64_t first, int n, int64_t* offsets) const {
        for (int l = 0; l < n;) {
            int64_t rest = first + l, offset = 0;
            for (int d = dims - 1; d >= 0; --d) {
                offset += rest % sizes[d] * strides[d];
                rest /= sizes[d];
            }
            const int64_t step = dims ? strides[dims - 1] : 0;
            const int64_t row = dims ? sizes[dims - 1] - (first + l) % sizes[dims - 1] : 1;
            for (int64_t i = 0; i < row && l < n; ++i) offsets[l++] = offset + i * step;
        }
    }

    // How many lanes have a place of their own; the others share one, because the value is broadcast to them.
    int64_t distinct(const int64_t* strides) const {
        int64_t product = 1;
        for (int d = 0; d < dims; ++d)
            if (strides[d]) product *= sizes[d];
        return product;
    }

    // Whether the lanes lie side by side in memory.
    bool adjacent(const int64_t* strides) const {
        int64_t step = 1;
        for (int d = dims; d-- > 0; step *= sizes[d])
            if (sizes[d] != 1 && strides[d] != step) return false;
        return true;
    }

    // The place of a lane among the distinct ones.
    int64_t place(const int64_t* strides, int64_t lane) const {
        int64_t index = 0, scale = 1;
        for (int d = dims; d-- > 0; lane /= sizes[d])
            if (strides[d]) {
                index += lane % sizes[d] * scale;
                scale *= sizes[d];
            }
        return index;
    }

    // The offset of a place: the inverse of place(), under the same strides.
    int64_t offset_of_place(const int64_t* strides, int64_t index) const {
        int64_t offset = 0;
        for (int d = dims; d-- > 0;)
            if (strides[d]) {
                offset += index % sizes[d] * strides[d];
                index /= sizes[d];
            }
        return offset;
    }
};

// n lanes side by side in rows of L scalars.
struct Tile {
    int64_t first;
    int n, L;
};

// A stretch of time of a tile. With `apart` == 0 all lanes stand at the same time; otherwise the lanes of the rows are
// segments of one lane of the user's, `apart` samples from one to the next.
struct Window {
    int64_t start, steps, apart;
    int n, L;
};

// How the lanes become tiles. Few lanes of a long signal are cut in time instead: one lane at a time, in segments, and
// very few of them in several shares of time, so that every thread has something to do.
struct Cut {
    static constexpr int64_t few_lanes = 32, long_signal = 2048, share_of_time = 32768, most_shares = 16;
    static constexpr int wide = max_lanes, narrow = 16;

    int64_t lanes, shares = 1;
    bool segmented;

    Cut(int64_t lanes, int64_t steps, bool can_segment, bool can_share)
        : lanes(lanes), segmented(can_segment && lanes < few_lanes && steps >= long_signal) {
        if (segmented && can_share && lanes)
            shares = most<int64_t>(1, least(steps / share_of_time, most_shares / lanes));
    }

    int64_t tiles() const {
        if (segmented || lanes == 1) return lanes;
        return lanes / wide + (lanes % wide + narrow - 1) / narrow;
    }

    Tile tile(int64_t index) const {
        if (segmented || lanes == 1) return {index, 1, 1};
        const int64_t full = lanes / wide;
        if (index < full) return {index * wide, wide, wide};
        const int64_t first = full * wide + (index - full) * narrow;
        return {first, int(least<int64_t>(narrow, lanes - first)), narrow};
    }
};

// Steps per chunk, so that `rows` rows of scalars per step stay in the second-level cache.
template <class S>
int64_t chunk_steps(int64_t rows, int L) {
    constexpr int64_t cache = 256 * 1024;
    const int64_t steps = cache / (most<int64_t>(rows, 1) * L * int64_t(sizeof(S)));
    const int64_t longest = 4096 / L;
    return most<int64_t>(16, least(longest, steps) / 16 * 16);
}

}  // namespace FB_NAMESPACE
