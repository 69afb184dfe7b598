// The operators for TensorFlow, against its C API: one library serves every TensorFlow from 2.16 on. They turn tensors
// into fb_values, allocate what comes out, and call the core once.
#include "tensorflow.hpp"

namespace {

bool wants(int64_t wanted, int input) { return wanted >> input & 1; }

// x, b, a, and the state where there is one -> y, state_after
struct Cascade {
    explicit Cascade(const Attributes& given)
        : axis(given.integer("axis")), hop(given.integer("hop")), linear(given.boolean("linear")) {}

    void compute(Run& run) const {
        const Array& b = run.input(1);
        Recurrence call = cascade_of(run.input(0), b, run.input(2), run.optional(3), axis, hop, linear);
        fb_problem& p = call.problem;
        const Array y = run.output(0, run.input(0).dtype, call.output_sizes());
        const Array after = run.output(1, b.dtype, call.lanes_and({p.sections, p.order}));
        p.output = call.signal(y);
        p.output.hop = 1;
        p.state_after = call.value(after, 2, 0, false);
        call.forward(pool_threads);
    }

    int64_t axis, hop;
    bool linear;
};

// d_y, d_state_after, then the inputs of Cascade -> their gradients; bit i of `wanted` asks for that of input i.
struct CascadeGradient {
    explicit CascadeGradient(const Attributes& given) : forward(given), wanted(given.integer("wanted")) {}

    void compute(Run& run) const {
        const Array &x = run.input(2), &b = run.input(3), &a = run.input(4), *state = run.optional(5);
        const bool linear = forward.linear;
        const int64_t hop = forward.hop, tail = hop ? 3 : 2;
        Recurrence call = cascade_of(x, b, a, state, forward.axis, hop, linear);
        fb_gradient gradient = {};
        gradient.d_output = call.problem.output = call.signal(run.input(0));
        gradient.d_state_after = call.value(run.input(1), 2, 0, false);
        const Array d_x = run.gradient(0, x, wants(wanted, 0)), d_b = run.gradient(1, b, wants(wanted, 1));
        const Array d_a = run.gradient(2, a, wants(wanted, 2));
        if (wants(wanted, 0)) gradient.d_inputs[0] = call.signal(d_x);
        if (wants(wanted, 1)) gradient.d_inputs[1] = call.value(d_b, tail, hop, linear);
        if (wants(wanted, 2)) gradient.d_inputs[2] = call.value(d_a, tail, hop, linear);
        if (state) {
            const Array d_state = run.gradient(3, *state, wants(wanted, 3));
            if (wants(wanted, 3)) gradient.d_state_before = call.value(d_state, 2, 0, false);
        }
        call.backward(gradient, pool_threads);
    }

    Cascade forward;
    int64_t wanted;
};

// x, decay, and the initial state where there is one -> h
struct Linear {
    explicit Linear(const Attributes& given) : axis(given.integer("axis")) {}

    void compute(Run& run) const {
        Recurrence call = linear_of(run.input(0), run.input(1), run.optional(2), axis);
        call.problem.output = call.signal(run.output(0, run.input(0).dtype, call.output_sizes()));
        call.problem.output.hop = 1;
        call.forward(pool_threads);
    }

    int64_t axis;
};

struct LinearGradient {
    explicit LinearGradient(const Attributes& given) : forward(given), wanted(given.integer("wanted")) {}

    void compute(Run& run) const {
        const Array &x = run.input(1), &decay = run.input(2), *initial = run.optional(3);
        Recurrence call = linear_of(x, decay, initial, forward.axis);
        fb_gradient gradient = {};
        gradient.d_output = call.problem.output = call.signal(run.input(0));
        const Array d_x = run.gradient(0, x, wants(wanted, 0)), d_decay = run.gradient(1, decay, wants(wanted, 1));
        if (wants(wanted, 0)) gradient.d_inputs[0] = call.signal(d_x);
        if (wants(wanted, 1)) gradient.d_inputs[1] = call.parameter_signal(d_decay);
        if (initial) {
            const Array d_initial = run.gradient(2, *initial, wants(wanted, 2));
            if (wants(wanted, 2)) gradient.d_state_before = call.value(d_initial, 0, 0, false);
        }
        call.backward(gradient, pool_threads);
    }

    Linear forward;
    int64_t wanted;
};

constexpr const char* types = "T: {float, double, complex64, complex128}";
constexpr const char* signals = "S: {float, double, complex64, complex128}";

}  // namespace

extern "C" FB_EXPORT void fb_tensorflow_threads(int64_t threads) { Pool::shared().resize(threads); }

// When the library is loaded.
__attribute__((constructor)) static void register_all() {
    register_operation("FeedbackwardCascade",
                       {signals, types, "states: int >= 0", "axis: int", "hop: int", "linear: bool"},
                       {"x: S", "b: T", "a: T", "state: states * T"}, {"y: S", "state_after: T"});
    register_operation("FeedbackwardCascadeGradient",
                       {signals, types, "states: int >= 0", "axis: int", "hop: int", "linear: bool", "wanted: int"},
                       {"d_y: S", "d_state_after: T", "x: S", "b: T", "a: T", "state: states * T"},
                       {"d_x: S", "d_b: T", "d_a: T", "d_state: states * T"});
    register_operation("FeedbackwardLinear", {types, "states: int >= 0", "axis: int"},
                       {"x: T", "decay: T", "initial: states * T"}, {"h: T"});
    register_operation("FeedbackwardLinearGradient", {types, "states: int >= 0", "axis: int", "wanted: int"},
                       {"d_h: T", "x: T", "decay: T", "initial: states * T"},
                       {"d_x: T", "d_decay: T", "d_initial: states * T"});
    register_kernel<Cascade>("FeedbackwardCascade");
    register_kernel<CascadeGradient>("FeedbackwardCascadeGradient");
    register_kernel<Linear>("FeedbackwardLinear");
    register_kernel<LinearGradient>("FeedbackwardLinearGradient");
}
