// The arguments of the filters as arrays, whatever framework they come from, and as the core wants them.
#pragma once
#include <algorithm>
#include <deque>
#include <new>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "feedbackward.h"

using Sizes = std::vector<int64_t>;

// Without strides it is dense: row after row, nothing between.
struct Array {
    void* data;
    fb_dtype dtype;
    Sizes sizes;
    Sizes strides = {};

    int64_t dim() const { return int64_t(sizes.size()); }
    int64_t size(int64_t axis) const { return sizes[size_t(axis < 0 ? axis + dim() : axis)]; }
    int64_t stride(int64_t axis) const {
        if (axis < 0) axis += dim();
        if (!strides.empty()) return strides[size_t(axis)];
        int64_t stride = 1;
        for (int64_t i = dim() - 1; i > axis; --i) stride *= sizes[size_t(i)];
        return stride;
    }
    bool empty() const { return std::find(sizes.begin(), sizes.end(), 0) != sizes.end(); }
};

template <class... Parts>
void require(bool holds, const Parts&... otherwise) {
    if (holds) return;
    std::ostringstream text;
    (text << "feedbackward: " << ... << otherwise);
    throw std::invalid_argument(text.str());
}

inline void require_instruction_set() {
    require(fb_isa(), "FEEDBACKWARD_ISA names an instruction set that this processor lacks");
}

// The code that a call of the core came back with.
inline void check_code(int code) {
    if (code == 1) throw std::bad_alloc();
    require(code == 0, code ? fb_error() : "");
}

// One problem of the core: the lanes are the broadcast of all leading axes, aligned at the right.
class Recurrence {
public:
    // `axis`, negative, is the time axis of the signals, counted from the end.
    Recurrence(fb_kind kind, const Array& x, int64_t axis, fb_dtype compute)
        : problem{}, axis_(axis), signal_(x.dtype) {
        require(axis < 0 && -axis <= x.dim(), "axis must be negative and an axis of x");
        problem.kind = kind;
        problem.compute = compute;
        problem.steps = x.size(axis);
    }

    // Widens the lanes by the leading axes of an array that has `tail` axes of its own, or of a signal.
    void broadcast(const Array& array, int64_t tail) { widen(lead(array, tail)); }
    void broadcast_signal(const Array& array) { widen(signal_lead(array)); }

    // An array (..., rows, columns), (..., rows) or (...) with `tail` axes of its own, one of them frames when hop > 0.
    fb_value value(const Array& array, int64_t tail, int64_t hop, bool linear) {
        fb_value v = base(array, problem.compute);
        require(array.dim() >= tail, "an array has fewer axes than expected");
        if (tail >= 1) set(v.columns, v.column_stride, array, -1);
        if (tail >= 2) set(v.rows, v.row_stride, array, -2);
        if (tail >= 3) set(v.frames, v.frame_stride, array, -3);
        v.hop = v.frames == 1 ? 0 : hop;
        v.linear = linear;
        const int64_t needed = hop ? (problem.steps + hop - 1) / hop : 1;
        require(v.frames == 1 || v.frames >= needed, "fewer frames than the signal needs");
        Sizes strides;
        for (int64_t i = 0; i < array.dim() - tail; ++i) strides.push_back(array.stride(i));
        v.lane_strides = aligned(lead(array, tail), strides);
        return v;
    }

    // A signal: time along the axis. One sample for all time is held.
    fb_value signal(const Array& array, fb_dtype dtype) {
        fb_value v = base(array, dtype);
        require(array.dim() + axis_ >= 0, "a signal lacks the time axis");
        set(v.frames, v.frame_stride, array, axis_);
        require(v.frames == problem.steps || v.frames == 1, "signals differ in length");
        v.hop = v.frames == problem.steps ? 1 : 0;
        Sizes strides;
        for (int64_t i = 0; i < array.dim(); ++i)
            if (i != array.dim() + axis_) strides.push_back(array.stride(i));
        v.lane_strides = aligned(signal_lead(array), strides);
        return v;
    }
    fb_value signal(const Array& array) { return signal(array, signal_); }
    fb_value parameter_signal(const Array& array) { return signal(array, problem.compute); }

    const Sizes& lanes() const { return lanes_; }
    Sizes lanes_and(std::initializer_list<int64_t> tail) const {
        Sizes sizes = lanes_;
        sizes.insert(sizes.end(), tail);
        return sizes;
    }
    Sizes output_sizes() const {
        Sizes sizes = lanes_;
        require(int64_t(sizes.size()) >= -axis_ - 1, "the signals lack the time axis");
        sizes.insert(sizes.end() + (axis_ + 1), problem.steps);
        return sizes;
    }

    void forward(const fb_threads& threads) {
        prepare();
        check_code(fb_forward(&problem, &threads));
    }
    void backward(const fb_gradient& gradient, const fb_threads& threads) {
        prepare();
        check_code(fb_backward(&problem, &gradient, &threads));
    }

    fb_problem problem;

private:
    static void set(int64_t& size, int64_t& stride, const Array& array, int64_t axis) {
        size = array.size(axis);
        stride = array.stride(axis);
    }

    static fb_value base(const Array& array, fb_dtype dtype) {
        require(array.dtype == dtype, "dtypes differ where they must agree");
        fb_value v = {};
        v.data = array.data;
        v.dtype = dtype;
        v.frames = v.rows = v.columns = 1;
        return v;
    }

    static Sizes lead(const Array& array, int64_t tail) {
        return Sizes(array.sizes.begin(), array.sizes.end() - std::min(tail, array.dim()));
    }
    Sizes signal_lead(const Array& array) const {
        Sizes sizes = array.sizes;
        if (array.dim() + axis_ >= 0) sizes.erase(sizes.end() + axis_);
        return sizes;
    }

    void widen(const Sizes& sizes) {
        if (sizes.size() > lanes_.size()) lanes_.insert(lanes_.begin(), sizes.size() - lanes_.size(), 1);
        for (size_t i = 0; i < sizes.size(); ++i) {
            int64_t& lane = lanes_[lanes_.size() - sizes.size() + i];
            require(lane == 1 || sizes[i] == 1 || lane == sizes[i], "leading shapes do not broadcast");
            if (lane == 1) lane = sizes[i];
        }
    }

    // The strides of the leading axes, for every axis of the lanes.
    const int64_t* aligned(const Sizes& sizes, const Sizes& strides) {
        Sizes& result = kept_.emplace_back(lanes_.size(), 0);
        require(sizes.size() <= lanes_.size(), "an array has more leading axes than the output");
        for (size_t i = 0; i < sizes.size(); ++i) {
            const size_t lane = lanes_.size() - sizes.size() + i;
            require(sizes[i] == 1 || sizes[i] == lanes_[lane], "a leading shape does not broadcast to the output's");
            if (sizes[i] != 1) result[lane] = strides[i];
        }
        return result.data();
    }

    void prepare() {
        problem.dims = int32_t(lanes_.size());
        problem.sizes = lanes_.data();
        require_instruction_set();
    }

    int64_t axis_;
    fb_dtype signal_;
    Sizes lanes_;
    std::deque<Sizes> kept_;
};

// Section coefficients b (..., [frames,] sections, order + 1 or fewer), a (..., [frames,] sections, order or fewer);
// state (..., sections, order), or null.
inline Recurrence cascade_of(const Array& x, const Array& b, const Array& a, const Array* state, int64_t axis,
                             int64_t hop, bool linear) {
    const int64_t tail = hop ? 3 : 2;
    require(b.dim() >= tail && a.dim() >= tail, "b and a need axes (frames,) sections, terms");
    Recurrence call(FB_CASCADE, x, axis, b.dtype);
    call.broadcast_signal(x);
    call.broadcast(b, tail);
    call.broadcast(a, tail);
    if (state) call.broadcast(*state, 2);
    fb_problem& p = call.problem;
    p.sections = b.size(-2);
    p.order = std::max(b.size(-1) - 1, a.size(-1));
    require(a.size(-2) == p.sections && b.size(-1) > 0, "b and a must have as many sections, and b at least one term");
    p.inputs[0] = call.signal(x);
    p.inputs[1] = call.value(b, tail, hop, linear);
    p.inputs[2] = call.value(a, tail, hop, linear);
    if (state) {
        p.state_before = call.value(*state, 2, 0, false);
        require(p.state_before.rows == p.sections && p.state_before.columns == p.order,
                "the state must have shape (..., sections, order)");
    }
    return call;
}

// x and decay with time along the axis; initial without it, or null.
inline Recurrence linear_of(const Array& x, const Array& decay, const Array* initial, int64_t axis) {
    Recurrence call(FB_LINEAR, x, axis, decay.dtype);
    call.broadcast_signal(x);
    call.broadcast_signal(decay);
    if (initial) call.broadcast(*initial, 0);
    fb_problem& p = call.problem;
    p.inputs[0] = call.signal(x);
    p.inputs[1] = call.parameter_signal(decay);
    if (initial) p.state_before = call.value(*initial, 0, 0, false);
    return call;
}
