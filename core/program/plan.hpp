// What all tiles of one width share: both programs bound to their places, and how time is cut.
//
// Forward goes through time in chunks whose frames fit in cache. Backward goes through the same time in reverse, an
// interval at a time, each replayed from its checkpoint; the interval is a function of the forward program alone, so
// that forward can leave checkpoints before anybody knows the adjoint. Nothing is replayed where forward kept
// everything, or wrote all that the adjoint reads.
#pragma once
#include "machine.hpp"

namespace FB_NAMESPACE {

template <class S>
struct Plan {
    int L = 1;
    bool keep_all = false;
    bool known = false;  // whether backward finds all it reads in what forward wrote
    int64_t steps = 0, chunk = 1, interval = 1;
    Machine<S> forward, adjoint;

    Plan() = default;
    // direct: NULL where only sizes matter.
    Plan(const fb_scan& scan, const Program& program, const Program* adjoint_program, const fb_pass& pass,
         const fb_pass* adjoint_pass, const Packs<S>& packs, const Packs<S>& adjoint_packs, bool written,
         const Direct* direct, int L)
        : L(L), keep_all(scan.checkpoint == -1 && scan.saved), steps(most<int64_t>(scan.steps, 1)) {
        const bool backward = adjoint_program;
        known = backward && written && !keep_all;
        const Program* const reader = keep_all ? nullptr : adjoint_program;
        forward = Machine<S>(
            Slots<S>(program, L, {!backward, backward || keep_all, reader, known, direct, &pass}, nullptr), packs);
        interval = scan.checkpoint > 0 ? scan.checkpoint : natural_interval(program, L);
        interval = least(interval, steps);
        chunk = least(steps, in_cache(forward.slots.per_step()));
        if (!backward) return;
        adjoint = Machine<S>(
            Slots<S>(*adjoint_program, L, {true, false, nullptr, false, direct, adjoint_pass}, &forward.slots),
            adjoint_packs);
        const int64_t both = forward.slots.per_step() + adjoint.slots.per_step();
        chunk = keep_all || known ? least(steps, in_cache(both)) : interval;
    }

    // Scalars that forward leaves in `saved` for a tile.
    int64_t saved() const {
        const Slots<S>& f = forward.slots;
        if (keep_all) return f.room(steps) * f.size[kept] + native<S>;
        return checkpoints() * f.states + native<S>;
    }
    int64_t checkpoints() const { return (steps + interval - 1) / interval; }

private:
    static int64_t in_cache(int64_t per_step) {
        constexpr int64_t cache = 256 * 1024, shortest = 16, longest = 1024;
        return most(shortest, least(longest, cache / (most<int64_t>(per_step, 1) * int64_t(sizeof(S)))));
    }
    static int64_t natural_interval(const Program& p, int L) {
        int64_t rows = 0;
        for (int64_t i = 0; i < p.slots; ++i) {
            const Kind k = p.slot[i].kind;
            if (k == Kind::sequence || k == Kind::output || k == Kind::record || k == Kind::state)
                rows += p.slot[i].rows;
        }
        return in_cache(2 * rows * L);
    }
};

}  // namespace FB_NAMESPACE
