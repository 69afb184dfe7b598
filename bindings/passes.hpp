// The arguments of a program as arrays, whatever framework they come from, and as the core wants them.
#pragma once
#include <deque>

#include "arrays.hpp"

using Arrays = std::vector<Array>;

// The values of one pass over all steps. Sequences and outputs are (steps, *lanes, rows), or (*lanes, steps, rows) with
// lanes_first; held and states are (*lanes, rows). A lane axis may have size 1. A sequence, a state before or an output
// read that is empty stands for zeros.
class Pass {
public:
    Pass(const Sizes& lanes, int64_t steps, bool reverse, bool lanes_first = false)
        : lanes_(lanes), steps_(steps), reverse_(reverse), time_axis_(lanes_first ? int64_t(lanes.size()) : 0) {}

    void program(const int64_t* words, int64_t count) { pass.program = {words, count}; }
    void held(const Arrays& arrays) { pass.held = each(arrays, false, false); }
    void sequences(const Arrays& arrays) { pass.sequences = each(arrays, true, true); }
    void outputs(const Arrays& arrays) { pass.outputs = each(arrays, true, false); }
    void before(const Arrays& arrays) { pass.before = each(arrays, false, true); }
    void after(const Arrays& arrays) { pass.after = each(arrays, false, false); }

    void matrices(const Arrays& arrays) {
        std::vector<fb_value>& values = values_.emplace_back();
        for (const Array& array : arrays) {
            require(array.dim() == 2, "a matrix must have two axes");
            fb_value v = base(array);
            v.rows = array.size(0);
            v.row_stride = array.stride(0);
            v.columns = array.size(1);
            v.column_stride = array.stride(1);
            values.push_back(v);
        }
        pass.matrices = {values.data(), int64_t(values.size())};
    }

    // What forward wrote, where backward reads it: the output of every number in `kept`; and for every state, the
    // output that it is after a step, or -1.
    void written(const Arrays& arrays, const Sizes& kept, const Sizes& trails) {
        std::vector<fb_value>&outputs = values_.emplace_back(), &after = values_.emplace_back();
        while (fb_slot_rows(&pass.program, 4, int64_t(outputs.size())) >= 0) outputs.emplace_back();
        require(arrays.size() == kept.size(), "as many outputs are named as given");
        for (size_t i = 0; i < kept.size(); ++i) {
            require(kept[i] >= 0 && size_t(kept[i]) < outputs.size(), "kept names an output that there is not");
            outputs[size_t(kept[i])] = value(arrays[i], true, true);
        }
        for (int64_t i = 0; i < pass.before.count; ++i) {
            const int64_t trail = size_t(i) < trails.size() ? trails[size_t(i)] : -1;
            require(trail < int64_t(outputs.size()), "trails name an output that there is not");
            after.push_back(trail < 0 ? fb_value{} : outputs[size_t(trail)]);
        }
        pass.outputs = {outputs.data(), int64_t(outputs.size())};
        pass.after = {after.data(), int64_t(after.size())};
    }

    // What an output has, or with `time` false a state.
    Sizes sizes(bool time, int64_t rows) const {
        Sizes sizes = lanes_;
        if (time) sizes.insert(sizes.begin() + time_axis_, steps_);
        sizes.push_back(rows);
        return sizes;
    }

    fb_pass pass = {};

private:
    static fb_value base(const Array& array) {
        fb_value v = {};
        v.data = array.data;
        v.dtype = array.dtype;
        v.frames = v.rows = v.columns = 1;
        return v;
    }

    fb_values each(const Arrays& arrays, bool time, bool may_lack) {
        std::vector<fb_value>& values = values_.emplace_back();
        for (const Array& array : arrays) values.push_back(value(array, time, may_lack));
        return {values.data(), int64_t(values.size())};
    }

    fb_value value(const Array& array, bool time, bool may_lack) {
        fb_value v = base(array);
        Sizes& strides = strides_.emplace_back(lanes_.size(), 0);
        v.lane_strides = strides.data();
        if (may_lack && array.empty()) {
            v.data = nullptr;
            return v;
        }
        const int64_t dims = int64_t(lanes_.size()), axes = dims + (time ? 2 : 1);
        require(array.dim() == axes, "an array has ", array.dim(), " axes, expected ", axes, ": ",
                time ? "steps, " : "", "rows and ", dims, " of lanes");
        if (time) {
            const int64_t steps = array.size(time_axis_);
            require(steps == steps_, "a sequence has ", steps, " steps, expected ", steps_);
            v.frames = steps_;
            v.frame_stride = array.stride(time_axis_);
            if (reverse_ && steps_) {
                const int64_t bytes = v.dtype == FB_FLOAT32 ? 4 : 8;
                v.data = static_cast<char*>(v.data) + (steps_ - 1) * v.frame_stride * bytes;
                v.frame_stride = -v.frame_stride;
            }
        }
        for (int64_t d = 0; d < dims; ++d) {
            const int64_t axis = time && d >= time_axis_ ? d + 1 : d, size = array.size(axis);
            require(size == 1 || size == lanes_[size_t(d)], "axis ", axis, " has size ", size,
                    ", which does not broadcast to the ", lanes_[size_t(d)], " lanes there");
            if (size != 1) strides[size_t(d)] = array.stride(axis);
        }
        v.columns = array.size(-1);
        v.column_stride = array.stride(-1);
        return v;
    }

    const Sizes lanes_;
    const int64_t steps_;
    const bool reverse_;
    const int64_t time_axis_;
    std::deque<std::vector<fb_value>> values_;
    std::deque<Sizes> strides_;
};

// The gradient of a band from its factors, (steps, lanes, columns) or (lanes, steps, columns); the one that `late`
// names, 1 for d_y and 2 for a, or 0 for none, is read a step late, after `before` (lanes, columns).
inline fb_band band_of(const Array& d_y, const Array& a, const Array* before, int64_t lower, int64_t upper,
                       bool lanes_first, bool reverse, int64_t late) {
    require(d_y.dim() == 3 && d_y.sizes == a.sizes, "d_y and a must have one shape of three axes");
    require(d_y.dtype == a.dtype && d_y.dtype <= FB_FLOAT64, "d_y and a must both be float32 or both float64");
    require(lower >= 0 && upper >= 0, "lower and upper must not be negative");
    const int64_t steps = d_y.size(lanes_first ? 1 : 0), lanes = d_y.size(lanes_first ? 0 : 1), columns = d_y.size(2);
    require(!late || (before && before->sizes == Sizes{lanes, columns} && before->dtype == a.dtype),
            "before must have the shape (lanes, columns)");
    const auto factor = [&](const Array& array, int64_t which) {
        return fb_factor{array.data, late == which ? before->data : nullptr};
    };
    return {d_y.dtype,   steps,   lanes,          columns,      lower,  upper,
            lanes_first, reverse, factor(d_y, 1), factor(a, 2), nullptr};
}
