// The operators for torch: they turn tensors into fb_values, allocate what comes out, and call the core once.
//
// Built against torch's stable ABI (2.10): one library serves every later torch, and no Python symbol is in it.
#include <algorithm>
#include <deque>
#include <optional>
#include <tuple>

#include "tensors.hpp"

namespace {

Tensor nothing(const Tensor& like) { return torch::stable::new_empty(like, Sizes{0}); }

// One call of the core: the lanes are the broadcast of all leading axes, aligned at the right.
class Call {
public:
    // `dim`, negative, is the time axis of the signals, counted from the end.
    Call(fb_kind kind, const Tensor& x, int64_t dim, const Tensor& like) : dim_(dim), signal_(dtype_of(x)) {
        STD_TORCH_CHECK(dim < 0 && -dim <= x.dim(), "feedbackward: dim must be negative and an axis of x");
        problem_.kind = kind;
        problem_.compute = dtype_of(like);
        problem_.steps = x.size(x.dim() + dim);
    }

    // Widens the lanes by the leading axes of a tensor that has `tail` axes of its own, or of a signal.
    void broadcast(const Tensor& tensor, int64_t tail) { widen(lead(tensor, tail)); }
    void broadcast_signal(const Tensor& tensor) { widen(signal_lead(tensor)); }

    // A tensor (..., rows, columns), (..., rows) or (...) with `tail` axes of its own, one of them frames when hop > 0.
    fb_value value(const Tensor& tensor, int64_t tail, int64_t hop, bool linear) {
        fb_value v = base(tensor, problem_.compute);
        const auto size = tensor.sizes();
        const auto stride = tensor.strides();
        const int64_t end = tensor.dim();
        STD_TORCH_CHECK(end >= tail, "feedbackward: a tensor has fewer axes than expected");
        if (tail >= 1) set(v.columns, v.column_stride, size[end - 1], stride[end - 1]);
        if (tail >= 2) set(v.rows, v.row_stride, size[end - 2], stride[end - 2]);
        if (tail >= 3) set(v.frames, v.frame_stride, size[end - 3], stride[end - 3]);
        v.hop = v.frames == 1 ? 0 : hop;
        v.linear = linear;
        const int64_t needed = hop ? (problem_.steps + hop - 1) / hop : 1;
        STD_TORCH_CHECK(v.frames == 1 || v.frames >= needed, "feedbackward: fewer frames than the signal needs");
        v.lane_strides = strides(tensor, lead_axes(tensor, tail));
        return v;
    }

    // A signal: time along dim. One sample for all time is held.
    fb_value signal(const Tensor& tensor, fb_dtype dtype) {
        fb_value v = base(tensor, dtype);
        const int64_t axis = tensor.dim() + dim_;
        STD_TORCH_CHECK(axis >= 0, "feedbackward: a signal lacks the time axis");
        set(v.frames, v.frame_stride, tensor.size(axis), tensor.stride(axis));
        STD_TORCH_CHECK(v.frames == problem_.steps || v.frames == 1, "feedbackward: signals differ in length");
        v.hop = v.frames == problem_.steps ? 1 : 0;
        v.lane_strides = strides(tensor, signal_axes(tensor));
        return v;
    }
    fb_value signal(const Tensor& tensor) { return signal(tensor, signal_); }
    fb_value parameter_signal(const Tensor& tensor) { return signal(tensor, problem_.compute); }

    const Sizes& lanes() const { return lanes_; }
    Sizes lanes_and(std::initializer_list<int64_t> tail) const {
        Sizes sizes = lanes_;
        sizes.insert(sizes.end(), tail);
        return sizes;
    }
    Sizes output_sizes() const {
        Sizes sizes = lanes_;
        sizes.insert(sizes.end() + (dim_ + 1), problem_.steps);
        return sizes;
    }

    void forward() {
        prepare();
        check_code(fb_forward(&problem_, &torch_threads));
    }
    void backward(fb_gradient& gradient) {
        prepare();
        check_code(fb_backward(&problem_, &gradient, &torch_threads));
    }

    fb_problem& problem() { return problem_; }

private:
    using Axes = std::vector<int64_t>;  // the axes of a tensor that are lanes, right-aligned with lanes_

    static void set(int64_t& size_field, int64_t& stride_field, int64_t size, int64_t stride) {
        size_field = size;
        stride_field = stride;
    }

    fb_value base(const Tensor& tensor, fb_dtype dtype) const {
        check_cpu(tensor);
        STD_TORCH_CHECK(dtype_of(tensor) == dtype, "feedbackward: dtypes differ where they must agree");
        fb_value v = {};
        v.data = const_cast<void*>(tensor.const_data_ptr());
        v.dtype = dtype;
        v.frames = v.rows = v.columns = 1;
        return v;
    }

    static Axes lead_axes(const Tensor& tensor, int64_t tail) {
        Axes axes(size_t(std::max<int64_t>(tensor.dim() - tail, 0)));
        for (size_t i = 0; i < axes.size(); ++i) axes[i] = int64_t(i);
        return axes;
    }
    Axes signal_axes(const Tensor& tensor) const {
        Axes axes;
        for (int64_t i = 0; i < tensor.dim(); ++i)
            if (i != tensor.dim() + dim_) axes.push_back(i);
        return axes;
    }
    static Sizes sizes_of(const Tensor& tensor, const Axes& axes) {
        Sizes sizes;
        for (int64_t axis : axes) sizes.push_back(tensor.size(axis));
        return sizes;
    }
    Sizes lead(const Tensor& tensor, int64_t tail) const { return sizes_of(tensor, lead_axes(tensor, tail)); }
    Sizes signal_lead(const Tensor& tensor) const { return sizes_of(tensor, signal_axes(tensor)); }

    void widen(const Sizes& sizes) {
        if (sizes.size() > lanes_.size()) lanes_.insert(lanes_.begin(), sizes.size() - lanes_.size(), 1);
        for (size_t i = 0; i < sizes.size(); ++i) {
            int64_t& lane = lanes_[lanes_.size() - sizes.size() + i];
            STD_TORCH_CHECK(lane == 1 || sizes[i] == 1 || lane == sizes[i],
                            "feedbackward: leading shapes do not broadcast");
            if (lane == 1) lane = sizes[i];
        }
    }

    const int64_t* strides(const Tensor& tensor, const Axes& axes) {
        Sizes& result = kept_.emplace_back(lanes_.size(), 0);
        STD_TORCH_CHECK(axes.size() <= lanes_.size(), "feedbackward: a tensor has more leading axes than the output");
        for (size_t i = 0; i < axes.size(); ++i) {
            const size_t lane = lanes_.size() - axes.size() + i;
            STD_TORCH_CHECK(tensor.size(axes[i]) == 1 || tensor.size(axes[i]) == lanes_[lane],
                            "feedbackward: a leading shape does not broadcast to the output's");
            if (tensor.size(axes[i]) != 1) result[lane] = tensor.stride(axes[i]);
        }
        return result.data();
    }

    void prepare() {
        problem_.dims = int32_t(lanes_.size());
        problem_.sizes = lanes_.data();
        check_instruction_set();
    }

    int64_t dim_;
    fb_dtype signal_;
    fb_problem problem_ = {};
    Sizes lanes_;
    std::deque<Sizes> kept_;
};

// Section coefficients b (..., [frames,] sections, order + 1 or fewer), a (..., [frames,] sections, order or fewer).
Call cascade_call(const Tensor& x, const Tensor& b, const Tensor& a, const std::optional<Tensor>& state, int64_t dim,
                  int64_t hop, bool linear) {
    const int64_t tail = hop ? 3 : 2;
    STD_TORCH_CHECK(b.dim() >= tail && a.dim() >= tail, "feedbackward: b and a need axes (frames,) sections, terms");
    Call call(FB_CASCADE, x, dim, b);
    call.broadcast_signal(x);
    call.broadcast(b, tail);
    call.broadcast(a, tail);
    if (state) call.broadcast(*state, 2);
    fb_problem& p = call.problem();
    p.sections = b.size(b.dim() - 2);
    p.order = std::max(b.size(b.dim() - 1) - 1, a.size(a.dim() - 1));
    STD_TORCH_CHECK(a.size(a.dim() - 2) == p.sections && b.size(b.dim() - 1) > 0,
                    "feedbackward: b and a must have as many sections, and b at least one term");
    p.inputs[0] = call.signal(x);
    p.inputs[1] = call.value(b, tail, hop, linear);
    p.inputs[2] = call.value(a, tail, hop, linear);
    if (state) {
        p.state_before = call.value(*state, 2, 0, false);
        STD_TORCH_CHECK(p.state_before.rows == p.sections && p.state_before.columns == p.order,
                        "feedbackward: the state must have shape (..., sections, order)");
    }
    return call;
}

std::tuple<Tensor, Tensor> cascade(const Tensor& x, const Tensor& b, const Tensor& a, std::optional<Tensor> state,
                                   int64_t dim, int64_t hop, bool linear) {
    Call call = cascade_call(x, b, a, state, dim, hop, linear);
    fb_problem& p = call.problem();
    Tensor y = allocate(x, call.output_sizes());
    Tensor state_after = allocate(b, call.lanes_and({p.sections, p.order}));
    p.output = call.signal(y);
    p.output.hop = 1;
    p.state_after = call.value(state_after, 2, 0, false);
    call.forward();
    return {y, state_after};
}

// Bit i of `wanted` asks for the gradient of input i.
bool wants(int64_t wanted, int input) { return wanted >> input & 1; }

Tensor gradient_of(const Tensor& tensor, int64_t wanted, int input) {
    return wants(wanted, input) ? allocate(tensor, Sizes(tensor.sizes().begin(), tensor.sizes().end()))
                                : nothing(tensor);
}

std::tuple<Tensor, Tensor, Tensor, Tensor> cascade_backward(const Tensor& d_y, const Tensor& d_state_after,
                                                            const Tensor& x, const Tensor& b, const Tensor& a,
                                                            std::optional<Tensor> state, int64_t dim, int64_t hop,
                                                            bool linear, int64_t wanted) {
    Call call = cascade_call(x, b, a, state, dim, hop, linear);
    fb_problem& p = call.problem();
    p.output = call.signal(d_y);
    fb_gradient gradient = {};
    gradient.d_output = p.output;
    gradient.d_state_after = call.value(d_state_after, 2, 0, false);
    const int64_t tail = hop ? 3 : 2;
    Tensor d_x = gradient_of(x, wanted, 0), d_b = gradient_of(b, wanted, 1), d_a = gradient_of(a, wanted, 2);
    Tensor d_state = state ? gradient_of(*state, wanted, 3) : nothing(b);
    if (wants(wanted, 0)) gradient.d_inputs[0] = call.signal(d_x);
    if (wants(wanted, 1)) gradient.d_inputs[1] = call.value(d_b, tail, hop, linear);
    if (wants(wanted, 2)) gradient.d_inputs[2] = call.value(d_a, tail, hop, linear);
    if (state && wants(wanted, 3)) gradient.d_state_before = call.value(d_state, 2, 0, false);
    call.backward(gradient);
    return {d_x, d_b, d_a, d_state};
}

Call linear_call(const Tensor& x, const Tensor& decay, const std::optional<Tensor>& initial, int64_t dim) {
    Call call(FB_LINEAR, x, dim, decay);
    call.broadcast_signal(x);
    call.broadcast_signal(decay);
    if (initial) call.broadcast(*initial, 0);
    fb_problem& p = call.problem();
    p.inputs[0] = call.signal(x);
    p.inputs[1] = call.parameter_signal(decay);
    if (initial) p.state_before = call.value(*initial, 0, 0, false);
    return call;
}

Tensor linear_recurrence(const Tensor& x, const Tensor& decay, std::optional<Tensor> initial, int64_t dim) {
    Call call = linear_call(x, decay, initial, dim);
    Tensor h = allocate(x, call.output_sizes());
    call.problem().output = call.signal(h);
    call.forward();
    return h;
}

std::tuple<Tensor, Tensor, Tensor> linear_recurrence_backward(const Tensor& d_h, const Tensor& x, const Tensor& decay,
                                                              std::optional<Tensor> initial, int64_t dim,
                                                              int64_t wanted) {
    Call call = linear_call(x, decay, initial, dim);
    call.problem().output = call.signal(d_h);
    fb_gradient gradient = {};
    gradient.d_output = call.problem().output;
    Tensor d_x = gradient_of(x, wanted, 0), d_decay = gradient_of(decay, wanted, 1);
    Tensor d_initial = initial ? gradient_of(*initial, wanted, 2) : nothing(x);
    if (wants(wanted, 0)) gradient.d_inputs[0] = call.signal(d_x);
    if (wants(wanted, 1)) gradient.d_inputs[1] = call.parameter_signal(d_decay);
    if (initial && wants(wanted, 2)) gradient.d_state_before = call.value(d_initial, 0, 0, false);
    call.backward(gradient);
    return {d_x, d_decay, d_initial};
}

}  // namespace

STABLE_TORCH_LIBRARY(feedbackward, m) {
    m.def(
        "cascade(Tensor x, Tensor b, Tensor a, Tensor? state, int dim, int hop, bool linear) -> (Tensor y, Tensor "
        "state_after)");
    m.def(
        "cascade_backward(Tensor d_y, Tensor d_state_after, Tensor x, Tensor b, Tensor a, Tensor? state, int dim, int "
        "hop, "
        "bool linear, int wanted) -> (Tensor d_x, Tensor d_b, Tensor d_a, Tensor d_state)");
    m.def("linear_recurrence(Tensor x, Tensor decay, Tensor? initial, int dim) -> Tensor");
    m.def(
        "linear_recurrence_backward(Tensor d_h, Tensor x, Tensor decay, Tensor? initial, int dim, int wanted) "
        "-> (Tensor d_x, Tensor d_decay, Tensor d_initial)");
}

STABLE_TORCH_LIBRARY_IMPL(feedbackward, CPU, m) {
    m.impl("cascade", TORCH_BOX(&cascade));
    m.impl("cascade_backward", TORCH_BOX(&cascade_backward));
    m.impl("linear_recurrence", TORCH_BOX(&linear_recurrence));
    m.impl("linear_recurrence_backward", TORCH_BOX(&linear_recurrence_backward));
}
