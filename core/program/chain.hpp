// The core of few lanes, where a row is one register: what an instruction leaves goes to the next one in that register.
//
// The time of such a core is that of a chain of dependent operations. Through memory each of them would wait for the
// store before it. Every instruction still stores its result, and reads from memory what it needs besides.
#pragma once
#include <utility>

#include "pointwise.hpp"

namespace FB_NAMESPACE {

// An instruction of a chain; `now` is how many scalars moving addresses are from where they were at first.
template <class S, int W>
struct Link {
    using V = typename vector_of<S, W>::type;
    using Run = V (*)(const Link&, V last, int64_t now);
    using All = void (*)(const Link&, V last, int64_t steps, int64_t row);
    Run run;
    All all;  // all steps, where this is the only link; NULL where that is no faster
    S* dst;
    const S* operand[3];
    int64_t dst_mask, mask[3];  // -1 for what moves, 0 for what is fixed
    Step<S>* step;              // the same instruction by itself
};

// from: bits; this operand is what the instruction before left.
template <class S, int W, class F, int from>
typename vector_of<S, W>::type link(const Link<S, W>& l, typename vector_of<S, W>::type last, int64_t now) {
    using V = typename vector_of<S, W>::type;
    constexpr int count = arity(F::op);
    const auto operand = [&]<int k>() -> V {
        if constexpr (from >> k & 1)
            return last;
        else
            return load<S, W>(l.operand[k] + (now & l.mask[k]));
    };
    const V a = operand.template operator()<0>();
    V b = a, c = a;
    if constexpr (count > 1) b = operand.template operator()<1>();
    if constexpr (count > 2) c = operand.template operator()<2>();
    const V result = F::template of<S, W, V>(a, b, c);
    store(l.dst + (now & l.dst_mask), result);
    return result;
}

template <class S, int W, class F, int from>
void link_all(const Link<S, W>& l, typename vector_of<S, W>::type last, int64_t steps, int64_t row) {
    for (int64_t t = 0; t < steps; ++t) last = link<S, W, F, from>(l, last, t * row);
}

// What takes long enough by itself is not compiled a second time.
template <class S, int W>
typename vector_of<S, W>::type link_by_step(const Link<S, W>& l, typename vector_of<S, W>::type, int64_t now) {
    Step<S>& s = *l.step;
    s.dst = l.dst + (now & l.dst_mask);
    for (int k = 0; k < 3; ++k) s.operand[k] = l.operand[k] + (now & l.mask[k]);
    s.run(s);
    return load<S, W>(s.dst);
}

template <class S, int W, class F, int... from>
void bind_from(Link<S, W>& l, int which, std::integer_sequence<int, from...>) {
    static constexpr typename Link<S, W>::Run runs[] = {link<S, W, F, from>...};
    static constexpr typename Link<S, W>::All alls[] = {link_all<S, W, F, from>...};
    l.run = runs[which];
    l.all = alls[which];
}

// clang-format off: it does not settle on lists of macros
#define FB_QUICK(X) \
    X(copy) X(neg) X(abs) X(add) X(sub) X(mul) X(div) X(min) X(max) X(lt) X(le) X(gt) X(ge) X(eq) X(ne) \
    X(where) X(fma) X(fms) X(fnma)
// clang-format on

template <class S, int W>
void bind_link(Link<S, W>& l, Op op, int from) {
    switch (op) {
#define FB_CASE(name) \
    case Op::name:    \
        return bind_from<S, W, Do_##name>(l, from, std::make_integer_sequence<int, 1 << arity(Op::name)>());
        FB_QUICK(FB_CASE)
#undef FB_CASE
        default:
            l.run = link_by_step<S, W>;
            l.all = nullptr;
    }
}

// Runs a chain. `row`: scalars from one step to the next, with the sign of the direction.
template <class S, int W>
void run_chain(const Link<S, W>* chain, int64_t links, typename vector_of<S, W>::type last, int64_t steps,
               int64_t row) {
    if (links == 1 && chain->all) return chain->all(*chain, last, steps, row);
    const Link<S, W>* const end = chain + links;
    int64_t now = 0;
    for (int64_t t = 0; t < steps; ++t, now += row)
        for (const Link<S, W>* l = chain; l != end; ++l) last = l->run(*l, last, now);
}

}  // namespace FB_NAMESPACE
