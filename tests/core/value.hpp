// A strided, possibly broadcast value in a buffer that is exactly as large as it needs to be.
#pragma once
#include <algorithm>
#include <complex>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "feedbackward.h"

using Number = std::complex<double>;
using Sizes = std::vector<int64_t>;

inline std::mt19937_64 engine;
inline int64_t draw(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(engine); }
inline double uniform() { return std::uniform_real_distribution<double>(-1, 1)(engine); }
inline bool coin() { return draw(0, 1) == 1; }

inline bool is_complex(fb_dtype dtype) { return dtype == FB_COMPLEX64 || dtype == FB_COMPLEX128; }
inline bool is_single(fb_dtype dtype) { return dtype == FB_FLOAT32 || dtype == FB_COMPLEX64; }

// A value in memory of its own: axes (lane axes.., frame, row, column), some lane axes broadcast, in any order.
class Value {
public:
    Value(fb_dtype dtype, const Sizes& lanes, const std::vector<bool>& broadcast, int64_t frames, int64_t rows,
          int64_t columns)
        : dims_(lanes.size()), strides_(lanes.size() + 3, 0) {
        Sizes sizes = lanes;
        for (size_t i = 0; i < dims_; ++i)
            if (broadcast[i]) sizes[i] = 1;
        sizes.insert(sizes.end(), {frames, rows, columns});
        sizes_ = sizes;
        std::vector<size_t> order(sizes.size());
        for (size_t i = 0; i < order.size(); ++i) order[i] = i;
        if (coin()) std::shuffle(order.begin(), order.end(), engine);
        int64_t next = draw(1, 2);
        for (size_t i = order.size(); i-- > 0;) {
            const size_t axis = order[i];
            if (axis >= dims_ || !broadcast[axis]) strides_[axis] = next;
            next *= std::max<int64_t>(sizes[axis], 1);
        }
        int64_t last = 0;
        for (size_t i = 0; i < sizes.size(); ++i) {
            empty_ |= sizes[i] == 0;
            last += std::max<int64_t>(sizes[i] - 1, 0) * strides_[i];
        }
        element_ = (is_single(dtype) ? 4 : 8) * (is_complex(dtype) ? 2 : 1);
        count_ = empty_ ? 0 : last + 1;
        memory_.reset(static_cast<char*>(std::malloc(size_t((count_ + 1) * element_))));
        given = {
            memory_.get() + element_, dtype,          0, 0, frames, strides_[dims_], rows, strides_[dims_ + 1], columns,
            strides_[dims_ + 2],      strides_.data()};
    }

    // Uniform in (-scale, scale), real and imaginary part each.
    void fill(double scale) {
        for (int64_t i = 0; i < count_; ++i)
            set(i, {scale * uniform(), is_complex(given.dtype) ? scale * uniform() : 0});
    }
    void poison() {
        constexpr double nan = std::numeric_limits<double>::quiet_NaN();
        for (int64_t i = 0; i < count_; ++i) set(i, {nan, nan});
    }

    // Whether some element was never written.
    bool has_poison() const {
        Sizes at(sizes_.size(), 0);
        for (int64_t size : sizes_)
            if (!size) return false;
        while (true) {
            int64_t index = 0;
            for (size_t i = 0; i < at.size(); ++i) index += at[i] * strides_[i];
            if (get(index) != get(index)) return true;
            size_t i = at.size();
            while (i > 0 && ++at[i - 1] == sizes_[i - 1]) at[--i] = 0;
            if (i == 0) return false;
        }
    }

    int64_t count() const { return count_; }
    int64_t index(const Sizes& lane, int64_t frame, int64_t row, int64_t column) const {
        int64_t at = frame * strides_[dims_] + row * strides_[dims_ + 1] + column * strides_[dims_ + 2];
        for (size_t i = 0; i < dims_; ++i) at += lane[i] * strides_[i];
        return at;
    }
    Number at(const Sizes& lane, int64_t frame, int64_t row, int64_t column) const {
        return get(index(lane, frame, row, column));
    }
    // What sample t of a lane reads.
    Number now(const Sizes& lane, int64_t t, int64_t row, int64_t column) const {
        if (column >= given.columns) return 0;
        if (!given.hop) return at(lane, 0, row, column);
        const int64_t last = given.frames - 1, frame = std::min(t / given.hop, last);
        const Number here = at(lane, frame, row, column);
        if (!given.linear) return here;
        const double weight = double(t % given.hop) / double(given.hop);
        return here + weight * (at(lane, std::min(frame + 1, last), row, column) - here);
    }
    Number get(int64_t i) const {
        const char* p = static_cast<char*>(given.data) + i * element_;
        switch (given.dtype) {
            case FB_FLOAT32:
                return *reinterpret_cast<const float*>(p);
            case FB_FLOAT64:
                return *reinterpret_cast<const double*>(p);
            case FB_COMPLEX64:
                return *reinterpret_cast<const std::complex<float>*>(p);
            case FB_COMPLEX128:
                return *reinterpret_cast<const Number*>(p);
        }
        return 0;
    }
    void set(int64_t i, Number value) {
        char* p = static_cast<char*>(given.data) + i * element_;
        switch (given.dtype) {
            case FB_FLOAT32:
                *reinterpret_cast<float*>(p) = float(value.real());
                break;
            case FB_FLOAT64:
                *reinterpret_cast<double*>(p) = value.real();
                break;
            case FB_COMPLEX64:
                *reinterpret_cast<std::complex<float>*>(p) = std::complex<float>(value);
                break;
            case FB_COMPLEX128:
                *reinterpret_cast<Number*>(p) = value;
                break;
        }
    }

    fb_value given;

private:
    struct Free {
        void operator()(char* p) const { std::free(p); }
    };
    size_t dims_;
    Sizes strides_, sizes_;
    int64_t element_, count_;
    bool empty_ = false;
    std::unique_ptr<char, Free> memory_;
};
