// What a tile of lanes reads and writes in the user's memory: one value, bound to the lanes of a tile, brought to the
// frames of the program and back a chunk of steps at a time.
//
// Step first + i of the user's is (rows, L) scalars at to + i * pitch.
#pragma once
#include "tiling.hpp"

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

    void load(int64_t first, int64_t steps, S* to, int64_t pitch, int64_t rows) const {
        if (!base_) {
            for (int64_t i = 0; i < steps; ++i)
                for (int64_t j = 0; j < rows * L_; ++j) to[i * pitch + j] = S(0);
            return;
        }
        S* lane[Tiling::widest];
        if (L_ == 1 && row_stride_ == 1 && rows_ > 1) {
            const S* from = base_ + offset_[0] + first * frame_stride_;
            for (int64_t i = 0; i < steps; ++i)
                std::memcpy(to + i * pitch, from + i * frame_stride_, size_t(rows_) * sizeof(S));
            return;
        }
        const int64_t stride = upward(first, steps, to, pitch, lane);
        const int64_t ahead = frame_stride_ > 0 ? stride : -stride;
        if (L_ == 1) {
            for (int64_t r = 0; r < rows_; ++r) copy(lane[0] + r * row_stride_, stride, to + r, pitch, steps);
        } else if (row_stride_ == 1 && rows_ > 1) {
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

    void store(int64_t first, int64_t steps, const S* from, int64_t pitch) const {
        if (!base_) return;
        S* lane[Tiling::widest];
        if (L_ == 1 && row_stride_ == 1 && rows_ > 1) {
            S* to = base_ + offset_[0] + first * frame_stride_;
            for (int64_t i = 0; i < steps; ++i)
                std::memcpy(to + i * frame_stride_, from + i * pitch, size_t(rows_) * sizeof(S));
            return;
        }
        const int64_t stride = upward(first, steps, from, pitch, lane);
        if (L_ == 1) {
            for (int64_t r = 0; r < rows_; ++r) copy(from + r, pitch, lane[0] + r * row_stride_, stride, steps);
        } else if (row_stride_ == 1 && rows_ > 1) {
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
    static constexpr int W = native<S>;

    // Where the lanes stand at the step of lowest address; makes frames and addresses ascend together.
    template <class T>
    int64_t upward(int64_t first, int64_t steps, T*& frames, int64_t& pitch, S** lane) const {
        int64_t stride = frame_stride_, start = first * frame_stride_;
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

    static void copy(const S* from, int64_t stride, S* to, int64_t pitch, int64_t steps) {
        if (stride == 1 && pitch == 1) {
            if (steps) std::memcpy(to, from, size_t(steps) * sizeof(S));
            return;
        }
        for (int64_t i = 0; i < steps; ++i) to[i * pitch] = from[i * stride];
    }

    // Series that are contiguous: in blocks of registers as long as they last, then of narrower ones.
    void contiguous(S* const* lane, int64_t count, int64_t ahead, int64_t pitch, S* to) const {
        const S* at[Tiling::widest] = {};
        for (int l = 0; l < n_; ++l) at[l] = lane[l];
        in_blocks(count, [&]<int U>(int64_t done, int64_t part) {
            load_contiguous<S, S, U>(at, n_, L_, part, ahead, pitch, to + done * pitch);
            for (int l = 0; l < n_; ++l) at[l] += part;
        });
    }
    void store_contiguous_of(S* const* lane, int64_t count, int64_t pitch, const S* from) const {
        S* at[Tiling::widest] = {};
        for (int l = 0; l < n_; ++l) at[l] = lane[l];
        in_blocks(count, [&]<int U>(int64_t done, int64_t part) {
            store_contiguous<Write::plain, S, S, U>(at, n_, L_, part, pitch, from + done * pitch);
            for (int l = 0; l < n_; ++l) at[l] += part;
        });
    }

    // f<width>(done, part): parts of `count` that are multiples of the width, but for the last.
    template <class F>
    void in_blocks(int64_t count, F&& f) const {
        int64_t done = 0;
        if constexpr (W >= 16)
            if (L_ % W == 0 && count >= W) {
                f.template operator()<W>(done, count / W * W);
                done = count / W * W;
            }
        constexpr int eight = least(W, 8), four = least(W, 4);
        if (const int64_t part = (count - done) / eight * eight) {
            f.template operator()<eight>(done, part);
            done += part;
        }
        if (count > done) f.template operator()<four>(done, count - done);
    }

    S* base_ = nullptr;
    int64_t frame_stride_, row_stride_, rows_;
    int n_, L_;
    int64_t offset_[Tiling::widest];
};

}  // namespace FB_NAMESPACE
