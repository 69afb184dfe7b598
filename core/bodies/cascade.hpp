// Sections of transposed direct form II in series; section k, of order N, maps u to y (s[N] = 0):
//     y = b[0] u + s[0];   s[i] <- s[i+1] + b[i+1] u - a[i] y           (a[i] multiplies y one step later: a_{i+1})
//
// Adjoint, with g[i] the adjoint of s[i] after the step (all coefficients and signals conjugated):
//     w = dy - sum a[i] g[i];   du = b[0] w + sum b[i+1] g[i]
//     db[0] = u w;   db[i+1] = u g[i];   da[i] = -y g[i];   g <- (w, g[0], .., g[N-2])
//
// Each section runs over the whole stretch before the next one: its coefficients and its state stay in registers, the
// signal stays in the nearest cache.
#pragma once
#include "../body.hpp"

namespace FB_NAMESPACE {

struct CascadeShape {
    int64_t sections, order, b_terms, a_terms;
};

// What one section reads and writes; every pointer is at its first step and at lane 0.
template <class S>
struct Section {
    int lanes;
    int64_t steps, order, b_terms, a_terms;
    const S *b, *a;  // (order + 1, parts, L), (order, parts, L)
    int64_t b_stride, a_stride;
    const S* u;  // (n, parts, L), or (n, parts) when splat
    bool splat;
    S *state, *y;             // (order, parts, L), (n, parts, L)
    const S *y_before, *d_y;  // adjoint: y of the forward run, its gradient
    S *g, *d_u, *d_b, *d_a;   // adjoint: as state, u, b, a
};

// Order N known: coefficients, states and gradients live in registers. Without feedback there is no a, and an output
// that is not a number stays alone.
template <template <class, int> class E, class S, int N, bool feedback>
struct FixedSection {
    static constexpr int P = E<S, 1>::parts;
    static constexpr int forward_group = registers / (P * (3 * N + 1)) >= 4   ? 4
                                         : registers / (P * (3 * N + 1)) >= 2 ? 2
                                                                              : 1;
    static constexpr int adjoint_group = registers / (P * (5 * N + 2)) >= 4   ? 4
                                         : registers / (P * (5 * N + 2)) >= 2 ? 2
                                                                              : 1;

    static void forward(const Section<S>& s) { s.splat ? forward_of<true>(s) : forward_of<false>(s); }

    static void adjoint(const Section<S>& s, bool parameters) {
        if (!parameters)
            adjoint_of<false, false>(s);
        else
            s.splat ? adjoint_of<true, true>(s) : adjoint_of<false, true>(s);
    }

    template <bool splat>
    static void forward_of(const Section<S>& s) {
        for_lanes<E, S, forward_group>(s.lanes, [&]<class V, int M>(int lane) {
            const int64_t L = s.lanes, row = P * L;
            V b[N + 1][M], a[N][M], z[N + 1][M];
            for (int m = 0; m < M; ++m) {
                const int64_t at = lane + m * V::width;
                for (int i = 0; i <= N; ++i) b[i][m] = V::load(s.b + i * row + at, L);
                for (int i = 0; i < N; ++i) a[i][m] = V::load(s.a + i * row + at, L);
                for (int i = 0; i < N; ++i) z[i][m] = V::load(s.state + i * row + at, L);
                z[N][m] = V::zero();
            }
            for (int64_t t = 0; t < s.steps; ++t) {
#pragma GCC unroll 4
                for (int m = 0; m < M; ++m) {
                    const int64_t at = t * row + lane + m * V::width;
                    const V u = splat ? V::splat(s.u + t * P) : V::load(s.u + at, L);
                    const V y = b[0][m] * u + z[0][m];
#pragma GCC unroll 8
                    for (int i = 0; i < N; ++i) {
                        z[i][m] = z[i + 1][m] + b[i + 1][m] * u;
                        if (feedback) z[i][m] = z[i][m] - a[i][m] * y;
                    }
                    y.store(s.y + at, L);
                }
            }
            for (int m = 0; m < M; ++m)
                for (int i = 0; i < N; ++i) z[i][m].store(s.state + i * row + lane + m * V::width, L);
        });
    }

    template <bool splat, bool parameters>
    static void adjoint_of(const Section<S>& s) {
        for_lanes<E, S, adjoint_group>(s.lanes, [&]<class V, int M>(int lane) {
            const int64_t L = s.lanes, row = P * L;
            V b[N + 1][M], a[N][M], g[N][M], db[N + 1][M], da[N][M];
            for (int m = 0; m < M; ++m) {
                const int64_t at = lane + m * V::width;
                for (int i = 0; i <= N; ++i) b[i][m] = conj(V::load(s.b + i * row + at, L));
                for (int i = 0; i < N; ++i) a[i][m] = conj(V::load(s.a + i * row + at, L));
                for (int i = 0; i < N; ++i) g[i][m] = V::load(s.g + i * row + at, L);
                for (int i = 0; i <= N; ++i) db[i][m] = V::zero();
                for (int i = 0; i < N; ++i) da[i][m] = V::zero();
            }
            for (int64_t t = s.steps; t-- > 0;) {
#pragma GCC unroll 4
                for (int m = 0; m < M; ++m) {
                    const int64_t at = t * row + lane + m * V::width;
                    V w = V::load(s.d_y + at, L);
                    V du = V::zero();
#pragma GCC unroll 8
                    for (int i = N - 1; i >= 0; --i) {
                        if (feedback) w = w - a[i][m] * g[i][m];
                        du = du + b[i + 1][m] * g[i][m];
                    }
                    du = du + b[0][m] * w;
                    if (parameters) {
                        const V u = conj(splat ? V::splat(s.u + t * P) : V::load(s.u + at, L));
                        const V y = conj(V::load(s.y_before + at, L));
                        db[0][m] = db[0][m] + u * w;
#pragma GCC unroll 8
                        for (int i = 0; i < N; ++i) {
                            db[i + 1][m] = db[i + 1][m] + u * g[i][m];
                            if (feedback) da[i][m] = da[i][m] - y * g[i][m];
                        }
                    }
#pragma GCC unroll 8
                    for (int i = N - 1; i > 0; --i) g[i][m] = g[i - 1][m];
                    g[0][m] = w;
                    du.store(s.d_u + at, L);
                }
            }
            for (int m = 0; m < M; ++m) {
                const int64_t at = lane + m * V::width;
                for (int i = 0; i < N; ++i) g[i][m].store(s.g + i * row + at, L);
                if (!parameters) continue;
                for (int i = 0; i <= N; ++i) add(db[i][m], s.d_b + i * row + at, L);
                for (int i = 0; i < N; ++i) add(da[i][m], s.d_a + i * row + at, L);
            }
        });
    }

    template <class V>
    static FB_INLINE void add(V value, S* total, int64_t pitch) {
        (V::load(total, pitch) + value).store(total, pitch);
    }
};

// Any order, coefficients that may vary: states and gradients live in rows.
template <template <class, int> class E, class S>
struct AnySection {
    static constexpr int P = E<S, 1>::parts;

    static void forward(const Section<S>& s) {
        for_lanes<E, S, 1>(s.lanes, [&]<class V, int>(int lane) {
            const int64_t L = s.lanes, row = P * L, N = s.order;
            S* z = s.state + lane;
            for (int64_t t = 0; t < s.steps; ++t) {
                const S *b = s.b + t * s.b_stride + lane, *a = s.a + t * s.a_stride + lane;
                const V u = s.splat ? V::splat(s.u + t * P) : V::load(s.u + t * row + lane, L);
                const V y = N ? V::load(b, L) * u + V::load(z, L) : V::load(b, L) * u;
                for (int64_t i = 0; i < N; ++i) {
                    V next = i + 1 < N ? V::load(z + (i + 1) * row, L) : V::zero();
                    if (i + 1 < s.b_terms) next = next + V::load(b + (i + 1) * row, L) * u;
                    if (i < s.a_terms) next = next - V::load(a + i * row, L) * y;
                    next.store(z + i * row, L);
                }
                y.store(s.y + t * row + lane, L);
            }
        });
    }

    static void adjoint(const Section<S>& s, bool parameters) {
        for_lanes<E, S, 1>(s.lanes, [&]<class V, int>(int lane) {
            const int64_t L = s.lanes, row = P * L, N = s.order;
            S* g = s.g + lane;
            const auto put = [&](V value, S* target, bool varies) {
                (varies ? value : V::load(target, L) + value).store(target, L);
            };
            for (int64_t t = s.steps; t-- > 0;) {
                const S *b = s.b + t * s.b_stride + lane, *a = s.a + t * s.a_stride + lane;
                V w = V::load(s.d_y + t * row + lane, L), du = V::zero();
                for (int64_t i = N; i-- > 0;) {
                    const V gi = V::load(g + i * row, L);
                    if (i < s.a_terms) w = w - conj(V::load(a + i * row, L)) * gi;
                    if (i + 1 < s.b_terms) du = du + conj(V::load(b + (i + 1) * row, L)) * gi;
                }
                du = du + conj(V::load(b, L)) * w;
                V u, y;
                S *d_b = nullptr, *d_a = nullptr;
                if (parameters) {
                    u = conj(s.splat ? V::splat(s.u + t * P) : V::load(s.u + t * row + lane, L));
                    y = V::zero() - conj(V::load(s.y_before + t * row + lane, L));
                    d_b = s.d_b + t * s.b_stride + lane;
                    d_a = s.d_a + t * s.a_stride + lane;
                    put(u * w, d_b, s.b_stride);
                }
                V newest = w;
                for (int64_t i = 0; i < N; ++i) {
                    const V gi = V::load(g + i * row, L);
                    if (parameters && i + 1 < s.b_terms) put(u * gi, d_b + (i + 1) * row, s.b_stride);
                    if (parameters && i < s.a_terms) put(y * gi, d_a + i * row, s.a_stride);
                    newest.store(g + i * row, L);
                    newest = gi;
                }
                du.store(s.d_u + t * row + lane, L);
            }
        });
    }
};

template <template <class, int> class E, class S>
struct Cascade {
    static constexpr int P = E<S, 1>::parts;
    static constexpr int largest_fixed = P == 1 ? 4 : 2;

    struct Kernel {
        void (*forward)(const Section<S>&);
        void (*adjoint)(const Section<S>&, bool parameters);
    };

    template <int N = 1>
    static Kernel kernel(const Run<S>& r) {
        if constexpr (N <= largest_fixed) {
            const bool held = !r.stride[1] && !r.stride[2];
            if (held && shape(r).order == N)
                return shape(r).a_terms
                           ? Kernel{FixedSection<E, S, N, true>::forward, FixedSection<E, S, N, true>::adjoint}
                           : Kernel{FixedSection<E, S, N, false>::forward, FixedSection<E, S, N, false>::adjoint};
            return kernel<N + 1>(r);
        }
        return {AnySection<E, S>::forward, AnySection<E, S>::adjoint};
    }

    static const CascadeShape& shape(const Run<S>& r) { return *static_cast<const CascadeShape*>(r.context); }

    static Section<S> section(const Run<S>& r, int64_t k) {
        const int64_t row = int64_t(P) * r.lanes, order = shape(r).order;
        Section<S> s = {};
        s.lanes = r.lanes;
        s.steps = r.steps;
        s.order = order;
        s.b_terms = shape(r).b_terms;
        s.a_terms = shape(r).a_terms;
        s.b = r.input[1] + k * (order + 1) * row;
        s.a = r.input[2] + k * order * row;
        s.b_stride = r.stride[1];
        s.a_stride = r.stride[2];
        s.splat = r.splat && k == 0;
        return s;
    }

    static void forward(const Run<S>& r) {
        const Kernel sweep = kernel(r);
        const S* u = r.input[0];
        for (int64_t k = 0; k < shape(r).sections; ++k) {
            Section<S> s = section(r, k);
            s.u = u;
            s.state = r.state + k * s.order * P * r.lanes;
            s.y = r.trail ? r.trail + k * r.trail_pitch : r.output;
            sweep.forward(s);
            u = s.y;
        }
    }

    static void adjoint(const Adjoint<S>& r) {
        const Kernel sweep = kernel(r);
        const S* d_y = r.d_output;
        for (int64_t k = shape(r).sections; k-- > 0;) {
            Section<S> s = section(r, k);
            const int64_t row = int64_t(P) * r.lanes;
            s.d_y = d_y;
            s.d_u = r.d_input[0];
            s.g = r.d_state + k * s.order * row;
            if (r.parameters) {
                s.u = k ? r.trail + (k - 1) * r.trail_pitch : r.input[0];
                s.y_before = r.trail + k * r.trail_pitch;
                s.d_b = r.d_input[1] + k * (s.order + 1) * row;
                s.d_a = r.d_input[2] + k * s.order * row;
            }
            sweep.adjoint(s, r.parameters);
            d_y = s.d_u;
        }
    }

    static Body<S> body(const CascadeShape& shape) {
        return {.context = &shape,
                .parts = P,
                .inputs = 3,
                .rows = {1, shape.sections, shape.sections},
                .columns = {1, shape.order + 1, shape.order},
                .state_rows = shape.sections,
                .state_columns = shape.order,
                .trail = shape.sections,
                .memory = shape.a_terms ? 0 : shape.sections * shape.order + 1,
                .forward = forward,
                .adjoint = adjoint};
    }
};

}  // namespace FB_NAMESPACE
