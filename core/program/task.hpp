// One thread's way through tiles of one width: memory for a tile, and the passes over its time.
#pragma once
#include "plan.hpp"
#include "staging.hpp"

namespace FB_NAMESPACE {

template <class S>
class Task {
public:
    Task(const fb_scan& scan, const fb_pass& forward, const fb_pass* adjoint, const Plan<S>& plan, const Space& space)
        : scan_(scan),
          plan_(plan),
          space_(space),
          forward_(forward, plan.forward),
          region_(bases + plan.forward.slots.directs + plan.adjoint.slots.directs),
          run_forward_(plan.forward),
          run_adjoint_(plan.adjoint) {
        if (adjoint) adjoint_ = Side(*adjoint, plan.adjoint);
        arena_.lay([&](Arena& arena) { lay(arena); });
        for (int64_t i = 0; i < fixed_scalars(); ++i) fixed_[i] = S(0);
        plan_.forward.prepare(fixed_);
        if (adjoint) plan_.adjoint.prepare(fixed_);
    }

    // saved: of this tile; NULL: nothing is kept.
    void forward(const Tile& tile, S* saved) {
        bind(tile);
        load_states(forward_);
        const int64_t states = plan_.forward.slots.states;
        for (int64_t t = 0; t < scan_.steps;) {
            int64_t end = least(t + plan_.chunk, scan_.steps);
            if (saved && !plan_.keep_all) {
                if (t % plan_.interval == 0) copy(saved + t / plan_.interval * states, fixed_, states);
                end = least(end, (t / plan_.interval + 1) * plan_.interval);
            }
            run_forward(t, end - t, saved);
            store_outputs(forward_, t, end - t);
            t = end;
        }
        store_states(forward_);
    }

    // saved: what forward left for this tile; NULL: it is made here.
    void backward(const Tile& tile, const S* saved) {
        bind(tile);
        load_states(adjoint_);
        plan_.adjoint.begin_sums(fixed_);
        if (plan_.keep_all) {
            for (int64_t end = scan_.steps; end > 0;) {
                const int64_t t = (end - 1) / plan_.chunk * plan_.chunk;
                load_sequences(forward_, frames_, t, end - t);
                run_adjoint(t, end - t, const_cast<S*>(saved));
                end = t;
            }
        } else if (plan_.known) {
            for (int64_t end = scan_.steps; end > 0;) {
                const int64_t t = end > 1 ? most<int64_t>((end - 1) / plan_.chunk * plan_.chunk, first_apart()) : 0;
                load_sequences(forward_, frames_, t, end - t);
                load_written(t, end - t);
                run_adjoint(t, end - t, nullptr);
                end = t;
            }
        } else {
            const int64_t states = plan_.forward.slots.states, interval = plan_.interval;
            int64_t replayed = -1;
            if (!saved) {
                load_states(forward_);
                for (int64_t t = 0; t < scan_.steps; t += interval) {
                    copy(checkpoints_ + t / interval * states, fixed_, states);
                    run_forward(t, least(interval, scan_.steps - t), nullptr);
                    replayed = t;
                }
                saved = checkpoints_;
            }
            for (int64_t k = plan_.checkpoints(); k-- > 0 && scan_.steps;) {
                const int64_t t = k * interval;
                if (t != replayed) {
                    copy(fixed_, saved + k * states, states);
                    run_forward(t, least(interval, scan_.steps - t), nullptr);
                }
                run_adjoint(t, least(interval, scan_.steps - t), nullptr);
            }
        }
        plan_.adjoint.end_sums(fixed_);
        store_states(adjoint_);
    }

private:
    // The values of one pass, bound to the lanes of a tile.
    struct Side {
        const fb_pass* pass = nullptr;
        const Machine<S>* machine = nullptr;
        Zeros<Bound<S>> sequences, outputs;
        Zeros<S*> direct;  // where the tile's lanes begin in what has a region of its own

        Side() = default;
        Side(const fb_pass& p, const Machine<S>& m)
            : pass(&p), machine(&m), sequences(p.sequences.count), outputs(p.outputs.count), direct(m.slots.directs) {}
    };

    void lay(Arena& arena) {
        const Slots<S>& f = plan_.forward.slots;
        arena.take(fixed_, fixed_scalars());
        arena.take(frames_, f.room(plan_.chunk) * f.size[staged] + slack);
        if (!plan_.keep_all) arena.take(kept_, f.room(plan_.chunk) * f.size[kept] + slack);
        if (!adjoint_.pass) return;
        const Slots<S>& a = plan_.adjoint.slots;
        arena.take(adjoint_frames_, a.room(plan_.chunk) * a.size[staged] + slack);
        if (!scan_.saved) arena.take(checkpoints_, plan_.checkpoints() * f.states);
    }
    int64_t fixed_scalars() const { return (adjoint_.pass ? plan_.adjoint : plan_.forward).slots.size[fixed] + slack; }

    void bind(const Tile& tile) {
        tile_ = tile;
        bind(forward_);
        if (adjoint_.pass) bind(adjoint_);
    }
    void bind(Side& side) {
        const Slots<S>& slots = side.machine->slots;
        for (int64_t i = 0; i < side.pass->sequences.count; ++i)
            side.sequences[i] = Bound<S>(side.pass->sequences.data[i], space_, tile_);
        for (int64_t i = 0; i < side.pass->outputs.count; ++i)
            side.outputs[i] = Bound<S>(side.pass->outputs.data[i], space_, tile_);
        for (int64_t i = 0; i < slots.program.slots; ++i) {
            if (slots.program.slot[i].kind != Kind::held) continue;
            load_once(side.pass->held.data[slots.program.slot[i].index], slots, i);
            side.machine->fill(i, fixed_ + slots.place[i].offset);
        }
        for (int64_t k = 0; k < slots.directs; ++k) {
            const Slot& slot = slots.program.slot[slots.direct[k]];
            const fb_values& values = slot.kind == Kind::sequence ? side.pass->sequences
                                      : slot.kind == Kind::output ? side.pass->outputs
                                                                  : side.pass->after;
            side.direct[k] = static_cast<S*>(values.data[slot.index].data) + tile_.first;
        }
    }

    void load_once(const fb_value& v, const Slots<S>& slots, int64_t i) {
        const Place& place = slots.program.slot[i].kind == Kind::state ? slots.home[i] : slots.place[i];
        Bound<S>(v, space_, tile_).load(0, 1, fixed_ + place.offset, 0, slots.program.slot[i].rows);
    }
    void load_states(const Side& side) {
        const Slots<S>& slots = side.machine->slots;
        for (int64_t i = 0; i < slots.program.slots; ++i)
            if (slots.program.slot[i].kind == Kind::state)
                load_once(side.pass->before.data[slots.program.slot[i].index], slots, i);
    }
    void store_states(const Side& side) {
        const Slots<S>& slots = side.machine->slots;
        for (int64_t i = 0; i < slots.program.slots; ++i)
            if (slots.program.slot[i].kind == Kind::state)
                Bound<S>(side.pass->after.data[slots.program.slot[i].index], space_, tile_)
                    .store(0, 1, fixed_ + slots.home[i].offset, 0);
    }

    // Where everything lies, from step `first` on.
    const Region<S>* regions(S* saved, int64_t first, bool adjoint) {
        region_[fixed] = {fixed_, 1, 0};
        region_[staged] = adjoint ? staged_of(adjoint_, adjoint_frames_) : staged_of(forward_, frames_);
        region_[kept] = region_[forward_kept] = kept_of(saved, first);
        region_[forward_staged] = staged_of(forward_, frames_);
        direct_regions(forward_, bases, first);
        if (adjoint_.pass) direct_regions(adjoint_, bases + plan_.forward.slots.directs, first);
        return region_.get();
    }
    // The state before a step is what forward wrote a step earlier, or what it began with, which is in its home.
    void direct_regions(const Side& side, int64_t region, int64_t first) {
        const Slots<S>& slots = side.machine->slots;
        for (int64_t k = 0; k < slots.directs; ++k) {
            const int64_t i = slots.direct[k];
            const bool before = slots.program.slot[i].kind == Kind::state;
            region_[region + k] = {side.direct[k], 1, first - before};
            if (before && !first) region_[region + k] = {fixed_ + slots.home[i].offset, 1, 0};
        }
    }
    // What is staged lies in `frames`: a chunk of steps.
    Region<S> staged_of(const Side& side, S* frames) const {
        const Slots<S>& slots = side.machine->slots;
        return {frames, slots.apart(plan_.chunk), 0};
    }
    // What is kept, from step t on: in `saved`, with all steps, or in memory for a chunk.
    Region<S> kept_of(S* saved, int64_t t) const {
        const Slots<S>& f = plan_.forward.slots;
        if (plan_.keep_all) return {saved, f.apart(plan_.steps), t};
        return {kept_, f.apart(plan_.chunk), 0};
    }

    void load_sequences(const Side& side, S* frames, int64_t first, int64_t steps) {
        const Slots<S>& slots = side.machine->slots;
        const Region<S> region = staged_of(side, frames);
        for (int64_t i = 0; i < slots.program.slots; ++i)
            if (slots.program.slot[i].kind == Kind::sequence && slots.place[i].base == staged)
                side.sequences[slots.program.slot[i].index].load(first, steps, region.at(slots.place[i], 0),
                                                                 slots.place[i].stride, slots.program.slot[i].rows);
    }
    // How many steps at the beginning are a chunk of their own: one, whose state before does not lie with the others'.
    int64_t first_apart() const {
        const Slots<S>& slots = plan_.forward.slots;
        for (int64_t k = 0; k < slots.directs; ++k)
            if (slots.program.slot[slots.direct[k]].kind == Kind::state) return 1;
        return 0;
    }
    // What forward wrote and the adjoint reads, instead of a replay. The state before a step is that after the one
    // before it.
    void load_written(int64_t first, int64_t steps) {
        const Slots<S>& slots = plan_.forward.slots;
        const Region<S> region = kept_of(nullptr, first);
        for (int64_t i = 0; i < slots.program.slots; ++i) {
            const Slot& slot = slots.program.slot[i];
            const Place &place = slots.place[i], &before = slots.before[i];
            if (slot.kind == Kind::output && place.base == kept)
                forward_.outputs[slot.index].load(first, steps, region.at(place, 0), place.stride, slot.rows);
            if (slot.kind == Kind::state && before.base >= bases && !first)
                load_once(forward_.pass->before.data[slot.index], slots, i);
            if (slot.kind != Kind::state || before.base != kept) continue;
            const Bound<S> after(forward_.pass->after.data[slot.index], space_, tile_);
            const int64_t initial = first ? 0 : 1;
            if (initial)
                Bound<S>(forward_.pass->before.data[slot.index], space_, tile_)
                    .load(0, 1, region.at(before, 0), 0, slot.rows);
            if (steps > initial)
                after.load(first - 1 + initial, steps - initial, region.at(before, initial), before.stride, slot.rows);
        }
    }
    void store_outputs(const Side& side, int64_t first, int64_t steps) {
        const Slots<S>& slots = side.machine->slots;
        for (int64_t i = 0; i < slots.program.slots; ++i) {
            const Place& place = slots.place[i];
            if (slots.program.slot[i].kind == Kind::output && place.base < bases)
                side.outputs[slots.program.slot[i].index].store(first, steps, region_[place.base].at(place, 0),
                                                                place.stride);
        }
    }

    void run_forward(int64_t first, int64_t steps, S* saved) {
        load_sequences(forward_, frames_, first, steps);
        run_forward_.run(regions(saved, first, false), first, steps);
    }
    void run_adjoint(int64_t first, int64_t steps, S* saved) {
        load_sequences(adjoint_, adjoint_frames_, first, steps);
        run_adjoint_.run(regions(saved, first, true), first, steps);
        store_outputs(adjoint_, first, steps);
    }

    static void copy(S* to, const S* from, int64_t count) {
        if (count) std::memcpy(to, from, size_t(count) * sizeof(S));
    }

    static constexpr int64_t slack = native<S>;  // what loops read behind the last slot

    const fb_scan& scan_;
    const Plan<S>& plan_;
    const Space& space_;
    Side forward_, adjoint_;
    Zeros<Region<S>> region_;
    typename Machine<S>::Runner run_forward_, run_adjoint_;
    Tile tile_ = {};
    Arena arena_;
    S *fixed_ = nullptr, *frames_ = nullptr, *kept_ = nullptr, *adjoint_frames_ = nullptr, *checkpoints_ = nullptr;
};

}  // namespace FB_NAMESPACE
