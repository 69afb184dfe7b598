// The operators for torch: they turn tensors into fb_values, allocate what comes out, and call the core once.
//
// Built against torch's stable ABI (2.10): one library serves every later torch, and no Python symbol is in it.
#include <optional>
#include <tuple>

#include "tensors.hpp"

namespace {

Tensor nothing(const Tensor& like) { return torch::stable::new_empty(like, Sizes{0}); }

Recurrence cascade_call(const Tensor& x, const Tensor& b, const Tensor& a, const std::optional<Tensor>& state,
                        int64_t dim, int64_t hop, bool linear) {
    const Array before = state ? array_of(*state) : Array{};
    return cascade_of(array_of(x), array_of(b), array_of(a), state ? &before : nullptr, dim, hop, linear);
}

std::tuple<Tensor, Tensor> cascade(const Tensor& x, const Tensor& b, const Tensor& a, std::optional<Tensor> state,
                                   int64_t dim, int64_t hop, bool linear) {
    Recurrence call = cascade_call(x, b, a, state, dim, hop, linear);
    fb_problem& p = call.problem;
    Tensor y = allocate(x, call.output_sizes());
    Tensor state_after = allocate(b, call.lanes_and({p.sections, p.order}));
    p.output = call.signal(array_of(y));
    p.output.hop = 1;
    p.state_after = call.value(array_of(state_after), 2, 0, false);
    call.forward(torch_threads);
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
    Recurrence call = cascade_call(x, b, a, state, dim, hop, linear);
    fb_problem& p = call.problem;
    p.output = call.signal(array_of(d_y));
    fb_gradient gradient = {};
    gradient.d_output = p.output;
    gradient.d_state_after = call.value(array_of(d_state_after), 2, 0, false);
    const int64_t tail = hop ? 3 : 2;
    Tensor d_x = gradient_of(x, wanted, 0), d_b = gradient_of(b, wanted, 1), d_a = gradient_of(a, wanted, 2);
    Tensor d_state = state ? gradient_of(*state, wanted, 3) : nothing(b);
    if (wants(wanted, 0)) gradient.d_inputs[0] = call.signal(array_of(d_x));
    if (wants(wanted, 1)) gradient.d_inputs[1] = call.value(array_of(d_b), tail, hop, linear);
    if (wants(wanted, 2)) gradient.d_inputs[2] = call.value(array_of(d_a), tail, hop, linear);
    if (state && wants(wanted, 3)) gradient.d_state_before = call.value(array_of(d_state), 2, 0, false);
    call.backward(gradient, torch_threads);
    return {d_x, d_b, d_a, d_state};
}

Recurrence linear_call(const Tensor& x, const Tensor& decay, const std::optional<Tensor>& initial, int64_t dim) {
    const Array before = initial ? array_of(*initial) : Array{};
    return linear_of(array_of(x), array_of(decay), initial ? &before : nullptr, dim);
}

Tensor linear_recurrence(const Tensor& x, const Tensor& decay, std::optional<Tensor> initial, int64_t dim) {
    Recurrence call = linear_call(x, decay, initial, dim);
    Tensor h = allocate(x, call.output_sizes());
    call.problem.output = call.signal(array_of(h));
    call.forward(torch_threads);
    return h;
}

std::tuple<Tensor, Tensor, Tensor> linear_recurrence_backward(const Tensor& d_h, const Tensor& x, const Tensor& decay,
                                                              std::optional<Tensor> initial, int64_t dim,
                                                              int64_t wanted) {
    Recurrence call = linear_call(x, decay, initial, dim);
    call.problem.output = call.signal(array_of(d_h));
    fb_gradient gradient = {};
    gradient.d_output = call.problem.output;
    Tensor d_x = gradient_of(x, wanted, 0), d_decay = gradient_of(decay, wanted, 1);
    Tensor d_initial = initial ? gradient_of(*initial, wanted, 2) : nothing(x);
    if (wants(wanted, 0)) gradient.d_inputs[0] = call.signal(array_of(d_x));
    if (wants(wanted, 1)) gradient.d_inputs[1] = call.parameter_signal(array_of(d_decay));
    if (initial && wants(wanted, 2)) gradient.d_state_before = call.value(array_of(d_initial), 0, 0, false);
    call.backward(gradient, torch_threads);
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
