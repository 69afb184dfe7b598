// The filters for JAX: they call the core once, on arrays that XLA has allocated.
#include "jax.hpp"

namespace {

// Arguments: x, b, a, and the state if there is one. Results: y and the state after.
ffi::Error cascade(ffi::ThreadPool pool, ffi::RemainingArgs arguments, ffi::RemainingRets results, int64_t axis,
                   int64_t hop, bool linear) {
    return guarded(pool, arguments, results, [&](const Arrays& in, const Arrays& out) {
        Recurrence call = cascade_of(in.at(0), in.at(1), in.at(2), in.size() > 3 ? &in[3] : nullptr, axis, hop, linear);
        call.problem.output = call.signal(out.at(0));
        call.problem.output.hop = 1;
        call.problem.state_after = call.value(out.at(1), 2, 0, false);
        call.forward(xla_threads);
    });
}

// Arguments: d_y, d_state_after, then those of cascade. Results: the gradients of the inputs whose bit is in wanted.
ffi::Error cascade_gradient(ffi::ThreadPool pool, ffi::RemainingArgs arguments, ffi::RemainingRets results,
                            int64_t axis, int64_t hop, bool linear, int64_t wanted) {
    return guarded(pool, arguments, results, [&](const Arrays& in, const Arrays& out) {
        Recurrence call = cascade_of(in.at(2), in.at(3), in.at(4), in.size() > 5 ? &in[5] : nullptr, axis, hop, linear);
        fb_gradient gradient = {};
        gradient.d_output = call.problem.output = call.signal(in[0]);
        gradient.d_state_after = call.value(in[1], 2, 0, false);
        const int64_t tail = hop ? 3 : 2;
        size_t next = 0;
        if (wanted & 1) gradient.d_inputs[0] = call.signal(out.at(next++));
        if (wanted & 2) gradient.d_inputs[1] = call.value(out.at(next++), tail, hop, linear);
        if (wanted & 4) gradient.d_inputs[2] = call.value(out.at(next++), tail, hop, linear);
        if (wanted & 8) gradient.d_state_before = call.value(out.at(next++), 2, 0, false);
        call.backward(gradient, xla_threads);
    });
}

// Arguments: x, decay, and the initial state if there is one. Result: h.
ffi::Error linear_recurrence(ffi::ThreadPool pool, ffi::RemainingArgs arguments, ffi::RemainingRets results,
                             int64_t axis) {
    return guarded(pool, arguments, results, [&](const Arrays& in, const Arrays& out) {
        Recurrence call = linear_of(in.at(0), in.at(1), in.size() > 2 ? &in[2] : nullptr, axis);
        call.problem.output = call.signal(out.at(0));
        call.forward(xla_threads);
    });
}

// Arguments: d_h, then those of linear_recurrence. Results: the gradients of the inputs whose bit is in wanted.
ffi::Error linear_recurrence_gradient(ffi::ThreadPool pool, ffi::RemainingArgs arguments, ffi::RemainingRets results,
                                      int64_t axis, int64_t wanted) {
    return guarded(pool, arguments, results, [&](const Arrays& in, const Arrays& out) {
        Recurrence call = linear_of(in.at(1), in.at(2), in.size() > 3 ? &in[3] : nullptr, axis);
        fb_gradient gradient = {};
        gradient.d_output = call.problem.output = call.signal(in[0]);
        size_t next = 0;
        if (wanted & 1) gradient.d_inputs[0] = call.signal(out.at(next++));
        if (wanted & 2) gradient.d_inputs[1] = call.parameter_signal(out.at(next++));
        if (wanted & 4) gradient.d_state_before = call.value(out.at(next++), 0, 0, false);
        call.backward(gradient, xla_threads);
    });
}

}  // namespace

FEEDBACKWARD_OPERATOR(feedbackward_cascade, cascade, .Attr<int64_t>("axis").Attr<int64_t>("hop").Attr<bool>("linear"));
FEEDBACKWARD_OPERATOR(feedbackward_cascade_gradient, cascade_gradient,
                      .Attr<int64_t>("axis").Attr<int64_t>("hop").Attr<bool>("linear").Attr<int64_t>("wanted"));
FEEDBACKWARD_OPERATOR(feedbackward_linear_recurrence, linear_recurrence, .Attr<int64_t>("axis"));
FEEDBACKWARD_OPERATOR(feedbackward_linear_recurrence_gradient, linear_recurrence_gradient,
                      .Attr<int64_t>("axis").Attr<int64_t>("wanted"));
