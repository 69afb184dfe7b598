// w[d, i] = sum over n of dy[n, i] a[n, i + d - lower]: the gradient of a banded matrix, after the loop over time.
//
// A row n is a lane at a step, in the order in which they lie in memory. A task takes a stretch of rows, a function of
// their number alone. Sums of `group` rows are taken in registers, added
// up over `block` rows, and those sums in double.
#pragma once
#include "../memory.hpp"
#include "../parallel.hpp"
#include "step.hpp"

namespace FB_NAMESPACE {

template <class S>
class BandOuter {
public:
    explicit BandOuter(const fb_band& b)
        : given_(b),
          w_(static_cast<S*>(b.w)),
          rows_(b.steps * b.lanes),
          columns_(b.columns),
          lower_(b.lower),
          diagonals_(b.lower + b.upper + 1),
          pitch_(b.columns + b.lower + b.upper + 2 * W),
          width_((b.columns + W - 1) / W * W) {}

    void run(const fb_threads& threads) {
        constexpr int64_t most_tasks = 32;
        const int64_t blocks = (rows_ + block - 1) / block, tasks = least(blocks, most_tasks);
        const Zeros<double> sums(tasks * diagonals_ * width_);
        parallel(threads, tasks, [&](int64_t task) {
            Zeros<S> padded(group * pitch_), dy(group * width_), part(diagonals_ * width_);
            double* sum = sums.get() + task * diagonals_ * width_;
            for (int64_t k = blocks * task / tasks; k < blocks * (task + 1) / tasks; ++k) {
                for (int64_t i = 0; i < diagonals_ * width_; ++i) part[i] = S(0);
                const int64_t end = least(rows_, (k + 1) * block);
                for (int64_t n = k * block; n < end; n += group)
                    add(n, least<int64_t>(group, end - n), padded.get(), dy.get(), part.get());
                for (int64_t i = 0; i < diagonals_ * width_; ++i) sum[i] += double(part[i]);
            }
        });
        for (int64_t d = 0; d < diagonals_; ++d)
            for (int64_t i = 0; i < columns_; ++i) {
                double total = 0;
                const bool inside = i + d - lower_ >= 0 && i + d - lower_ < columns_;
                for (int64_t t = 0; inside && t < tasks; ++t) total += sums[(t * diagonals_ + d) * width_ + i];
                w_[d * columns_ + i] = S(total);
            }
    }

private:
    static constexpr int W = native<S>;
    static constexpr int64_t group = 8, block = 256;

    const S* row(const fb_factor& factor, int64_t n) const {
        const S* data = static_cast<const S*>(factor.data);
        if (!factor.before) return data + n * columns_;
        const int64_t lane = given_.lanes_first ? n / given_.steps : n % given_.lanes;
        const int64_t step = given_.lanes_first ? n % given_.steps : n / given_.lanes;
        if (step == (given_.reverse ? given_.steps - 1 : 0))
            return static_cast<const S*>(factor.before) + lane * columns_;
        const int64_t apart = given_.lanes_first ? 1 : given_.lanes;
        return data + (given_.reverse ? n + apart : n - apart) * columns_;
    }

    // Adds rows n .. n + count - 1, copied first to where every term can be read in whole vectors.
    void add(int64_t n, int64_t count, S* padded, S* dy, S* part) const {
        for (int64_t k = 0; k < group; ++k) {
            if (k < count) {
                std::memcpy(padded + k * pitch_ + lower_, row(given_.a, n + k), size_t(columns_) * sizeof(S));
                std::memcpy(dy + k * width_, row(given_.d_y, n + k), size_t(columns_) * sizeof(S));
            } else {
                for (int64_t i = 0; i < columns_; ++i) padded[k * pitch_ + lower_ + i] = dy[k * width_ + i] = S(0);
            }
        }
        using V = typename vector_of<S, W>::type;
        for (int64_t i = 0; i < columns_; i += W) {
            V x[group];
#pragma GCC unroll 8
            for (int64_t k = 0; k < group; ++k) x[k] = load<S, W>(dy + k * width_ + i);
            for (int64_t d = 0; d < diagonals_; ++d) {
                S* to = part + d * width_ + i;
                V even = load<S, W>(to), odd = {};
#pragma GCC unroll 8
                for (int64_t k = 0; k < group; k += 2) {
                    even += x[k] * load<S, W>(padded + k * pitch_ + i + d);
                    odd += x[k + 1] * load<S, W>(padded + (k + 1) * pitch_ + i + d);
                }
                store(to, even + odd);
            }
        }
    }

    const fb_band given_;
    S* w_;
    int64_t rows_, columns_, lower_, diagonals_, pitch_, width_;
};

}  // namespace FB_NAMESPACE
