// h[t] = d[t] h[t-1] + x[t]
//
// Adjoint, with g the adjoint of h[t] collected from the future:
//     g <- dh[t] + g;   dx[t] = g;   dd[t] = conj(h[t-1]) g;   g <- conj(d[t]) g
#pragma once
#include "../body.hpp"

namespace FB_NAMESPACE {

template <template <class, int> class E, class S>
struct Linear {
    static constexpr int P = E<S, 1>::parts;

    template <bool varying, bool splat>
    static void forward_of(const Run<S>& r) {
        for_lanes<E, S, 4>(r.lanes, [&]<class V, int M>(int lane) {
            const int64_t L = r.lanes, step = P * L;
            V h[M], d[M];
            for (int m = 0; m < M; ++m) {
                h[m] = V::load(r.state + lane + m * V::width, L);
                if (!varying) d[m] = V::load(r.input[1] + lane + m * V::width, L);
            }
            for (int64_t t = 0; t < r.steps; ++t) {
#pragma GCC unroll 4
                for (int m = 0; m < M; ++m) {
                    const int64_t at = t * step + lane + m * V::width;
                    if (r.trail) h[m].store(r.trail + at, L);
                    if (varying) d[m] = V::load(r.input[1] + t * r.stride[1] + lane + m * V::width, L);
                    const V x = splat ? V::splat(r.input[0] + t * P) : V::load(r.input[0] + at, L);
                    h[m] = d[m] * h[m] + x;
                    h[m].store(r.output + at, L);
                }
            }
            for (int m = 0; m < M; ++m) h[m].store(r.state + lane + m * V::width, L);
        });
    }

    template <bool varying, bool parameters>
    static void adjoint_of(const Adjoint<S>& r) {
        for_lanes<E, S, 4>(r.lanes, [&]<class V, int M>(int lane) {
            const int64_t L = r.lanes, step = P * L;
            V g[M], d[M], dd[M];
            for (int m = 0; m < M; ++m) {
                g[m] = V::load(r.d_state + lane + m * V::width, L);
                dd[m] = V::zero();
                if (!varying) d[m] = conj(V::load(r.input[1] + lane + m * V::width, L));
            }
            for (int64_t t = r.steps; t-- > 0;) {
#pragma GCC unroll 4
                for (int m = 0; m < M; ++m) {
                    const int64_t at = t * step + lane + m * V::width;
                    const int64_t held = t * r.stride[1] + lane + m * V::width;
                    if (varying) d[m] = conj(V::load(r.input[1] + held, L));
                    g[m] = V::load(r.d_output + at, L) + g[m];
                    g[m].store(r.d_input[0] + at, L);
                    if (parameters) {
                        const V before = conj(V::load(r.trail + at, L));
                        if (varying)
                            (before * g[m]).store(r.d_input[1] + held, L);
                        else
                            dd[m] = dd[m] + before * g[m];
                    }
                    g[m] = d[m] * g[m];
                }
            }
            for (int m = 0; m < M; ++m) {
                g[m].store(r.d_state + lane + m * V::width, L);
                S* total = parameters && !varying ? r.d_input[1] + lane + m * V::width : nullptr;
                if (total) (V::load(total, L) + dd[m]).store(total, L);
            }
        });
    }

    static void forward(const Run<S>& r) {
        if (r.stride[1])
            r.splat ? forward_of<true, true>(r) : forward_of<true, false>(r);
        else
            r.splat ? forward_of<false, true>(r) : forward_of<false, false>(r);
    }

    static void adjoint(const Adjoint<S>& r) {
        if (r.stride[1])
            r.parameters ? adjoint_of<true, true>(r) : adjoint_of<true, false>(r);
        else
            r.parameters ? adjoint_of<false, true>(r) : adjoint_of<false, false>(r);
    }

    static Body<S> body() {
        return {.context = nullptr,
                .parts = P,
                .inputs = 2,
                .rows = {1, 1},
                .columns = {1, 1},
                .state_rows = 1,
                .state_columns = 1,
                .trail = 1,
                .memory = 0,
                .forward = forward,
                .adjoint = adjoint};
    }
};

}  // namespace FB_NAMESPACE
