// What a tile of lanes reads and writes in the user's memory: one value, bound to the lanes of a tile, brought to the
// frames of the program and back a chunk of steps at a time.
//
// Frame i of a chunk holds (rows, L) scalars at to + i * pitch; it belongs to the user's step first + i * sign.
#pragma once
#include "../lanes.hpp"

namespace FB_NAMESPACE {

template <class S>
class Bound {
public:
    Bound() = default;
    // base: a tensor (frames, lanes, columns); rows of the slot.
    Bound(const fb_value& v, const Space& space, const Tile& tile)
        : base_(static_cast<S*>(v.data)),
          frame_stride_(v.frame_stride),
          row_stride_(v.column_stride),
          rows_(v.columns),
          n_(tile.n),
          L_(tile.L) {
        if (base_) space.offsets(v.lane_strides, tile.first, tile.n, offset_);
    }

    void load(int64_t first, int sign, int64_t steps, S* to, int64_t pitch, int64_t rows) const {
        if (!base_) {
            for (int64_t i = 0; i < steps; ++i)
                for (int64_t j = 0; j < rows * L_; ++j) to[i * pitch + j] = S(0);
            return;
        }
        S* lane[max_lanes];
        const int64_t stride = upward(first, sign, steps, to, pitch, lane);
        const int64_t ahead = sign * frame_stride_ > 0 ? stride : -stride;
        if (row_stride_ == 1 && rows_ > 1) {
            for (int64_t i = 0; i < steps; ++i, advance(lane, stride))
                contiguous(lane, rows_, frames_ahead * ahead, L_, to + i * pitch);
        } else if (stride == 1 && steps > 1) {
            for (int64_t r = 0; r < rows_; ++r, advance(lane, row_stride_))
                contiguous(lane, steps, steps * ahead, pitch, to + r * L_);
        } else {
            for (int64_t r = 0; r < rows_; ++r, advance(lane, row_stride_))
                load_strided<S, S>(lane, stride, n_, L_, steps, pitch, to + r * L_);
        }
    }

    void store(int64_t first, int sign, int64_t steps, const S* from, int64_t pitch) const {
        if (!base_) return;
        S* lane[max_lanes];
        const int64_t stride = upward(first, sign, steps, from, pitch, lane);
        if (row_stride_ == 1 && rows_ > 1) {
            for (int64_t i = 0; i < steps; ++i, advance(lane, stride))
                store_contiguous_of(lane, rows_, L_, from + i * pitch);
        } else if (stride == 1 && steps > 1) {
            for (int64_t r = 0; r < rows_; ++r, advance(lane, row_stride_))
                store_contiguous_of(lane, steps, pitch, from + r * L_);
        } else {
            for (int64_t r = 0; r < rows_; ++r, advance(lane, row_stride_))
                store_strided<Write::plain>(lane, stride, n_, steps, pitch, from + r * L_);
        }
    }

private:
    static constexpr int64_t frames_ahead = 4;
    static constexpr int W = native<S>, narrow = least(W, 8);  // vectors of a tile that is narrower than a register

    // Where the lanes stand at the step of lowest address; makes frames and addresses ascend together.
    template <class T>
    int64_t upward(int64_t first, int sign, int64_t steps, T*& frames, int64_t& pitch, S** lane) const {
        int64_t stride = sign * frame_stride_, start = first * frame_stride_;
        if (stride < 0) {
            start += (steps - 1) * stride;
            frames += (steps - 1) * pitch;
            stride = -stride;
            pitch = -pitch;
        }
        for (int l = 0; l < n_; ++l) lane[l] = base_ + offset_[l] + start;
        return stride;
    }

    void advance(S** lane, int64_t stride) const {
        for (int l = 0; l < n_; ++l) lane[l] += stride;
    }

    void contiguous(S* const* lane, int64_t count, int64_t ahead, int64_t pitch, S* to) const {
        if (L_ >= W || L_ == 1)
            load_contiguous<S, S>(lane, n_, L_, count, ahead, pitch, to);
        else
            load_contiguous<S, S, narrow>(lane, n_, L_, count, ahead, pitch, to);
    }
    void store_contiguous_of(S* const* lane, int64_t count, int64_t pitch, const S* from) const {
        if (L_ >= W || L_ == 1)
            store_contiguous<Write::plain, S, S>(lane, n_, L_, count, pitch, from);
        else
            store_contiguous<Write::plain, S, S, narrow>(lane, n_, L_, count, pitch, from);
    }

    S* base_ = nullptr;
    int64_t frame_stride_, row_stride_, rows_;
    int n_, L_;
    int64_t offset_[max_lanes];
};

}  // namespace FB_NAMESPACE
