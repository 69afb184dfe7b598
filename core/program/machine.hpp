// The interpreter: a program's instructions, bound to the places of its slots: early ones for all steps of a chunk, the
// core step after step, late ones for all steps again.
#pragma once
#include "chain.hpp"
#include "pack.hpp"
#include "summation.hpp"

namespace FB_NAMESPACE {

// The function of an operation.
template <class S>
auto function_of(Op op, int64_t count, bool broadcast, bool scalar) -> void (*)(const Step<S>&) {
    switch (op) {
#define FB_CASE(name) \
    case Op::name:    \
        return scalar ? pointwise_scalar<S, Do_##name> : pointwise_for<S, Do_##name>(count, broadcast);
        FB_UNARY(FB_CASE)
        FB_BINARY(FB_CASE)
        FB_TERNARY(FB_CASE)
#undef FB_CASE
        case Op::gather:
            return gather<S>;
        case Op::sum_rows:
            return reduce<S, false>;
        case Op::max_rows:
            return reduce<S, true>;
        case Op::dense:
            return dense<S>;
        case Op::banded:
            return banded<S>;
        default:
            return block<S>;
    }
}

// A program bound to the places of its slots: the same for all tiles of one width.
template <class S>
class Machine {
public:
    Slots<S> slots;

    Machine() = default;
    Machine(Slots<S>&& given, const Packs<S>& packs) : slots(static_cast<Slots<S>&&>(given)) {
        const Program& p = slots.program;
        step_ = Zeros<Step<S>>(2 * p.slots + p.codes);
        places_ = Zeros<Places>(2 * p.slots + p.codes);
        for (int64_t i = 0; i < slots.sections.early; ++i) bind(i, packs.of(i));
        core_ = steps_;
        for (int64_t i = 0; i < p.slots; ++i)
            if (slots.copied[i]) copy_state(i);
        const Zeros<Place> direct(p.slots);
        const int64_t count = direct_rows(direct), codes = slots.sections.late - slots.sections.early;
        int64_t asked = 0;
        for (int64_t i = 0; i < codes; ++i) {
            for (; asked < count && asked * codes <= i * count; ++asked) prefetch(direct[asked]);
            bind(slots.sections.early + i, packs.of(slots.sections.early + i));
        }
        for (; asked < count; ++asked) prefetch(direct[asked]);
        late_ = steps_;
        for (int64_t i = slots.sections.late; i < p.codes; ++i) bind(i, packs.of(i));
        is_chain_ = is_chain();
    }

    // The constants of a tile; what is held is loaded by whoever has it.
    void prepare(S* fixed_region) const {
        const Program& p = slots.program;
        for (int64_t i = 0; i < p.slots; ++i) {
            if (p.slot[i].kind != Kind::constant) continue;
            double value;
            std::memcpy(&value, &p.slot[i].extra, sizeof value);
            S* to = fixed_region + slots.place[i].offset;
            for (int64_t l = 0; l < most<int64_t>(slots.L, native<S>); ++l) to[l] = S(value);
        }
    }

    // Sums over time begin at zero, and are added to their states when all steps are done.
    void begin_sums(S* fixed_region) const {
        for (int64_t i = late_; i < steps_; ++i)
            for (int64_t k = 0; k < places_[i].parts * places_[i].all; ++k) fixed_region[places_[i].scratch + k] = S(0);
    }
    void end_sums(S* fixed_region) const {
        for (int64_t i = late_; i < steps_; ++i)
            if (const Places& p = places_[i]; p.parts)
                add_parts(fixed_region + p.scratch, p.parts, p.all, fixed_region + p.dst.offset);
    }

    // Held rows that fill less than a vector are repeated.
    void fill(int64_t i, S* row) const {
        if (slots.program.slot[i].rows == 1)
            for (int64_t l = slots.L; l < native<S>; ++l) row[l] = row[l - slots.L];
    }

    // The instructions of one thread, whose addresses move on as time does.
    class Runner {
    public:
        explicit Runner(const Machine& m)
            : machine_(m), step_(m.steps_), moving_(m.steps_ * addresses), scalars_(m.links()), rows_(m.links()) {
            for (int64_t i = 0; i < m.steps_; ++i) step_[i] = m.step_[i];
        }

        // Steps [0, steps) of every region, in the program's direction; the first is step `first` of all.
        void run(const Region<S>* region, int64_t first, int64_t steps) {
            const Machine& m = machine_;
            for (int64_t i = 0; i < m.core_; ++i) at_once(i, region, first, steps);
            const int direction = m.slots.direction;
            const int64_t start = direction > 0 ? 0 : steps - 1;
            move_states(region, start, true);
            if (!m.is_chain_)
                step_by_step(region, start, steps);
            else if (m.slots.scalar())
                chained(scalars_, region, start, steps);
            else
                chained(rows_, region, start, steps);
            move_states(region, direction > 0 ? steps - 1 : 0, false);
            for (int64_t i = m.late_; i < m.steps_; ++i) at_once(i, region, first, steps);
        }

    private:
        static constexpr int addresses = 4;
        struct Moving {
            S** address;
            int64_t stride;
        };

        // Puts the addresses of an instruction to step t, and those that will move behind the first `moving` that do.
        int64_t settle(int64_t i, const Region<S>* region, int64_t t, int direction, int64_t moving) {
            const Places& p = machine_.places_[i];
            const auto place = [&](auto*& address, const Place& at) {
                address = region[at.base].at(at, t);
                if (at.stride) moving_[moving++] = {const_cast<S**>(&address), direction * at.stride};
            };
            place(step_[i].dst, p.dst);
            for (int k = 0; k < p.operands; ++k) place(step_[i].operand[k], p.operand[k]);
            step_[i].scratch = region[fixed].data + p.scratch;
            return moving;
        }

        // The core, from step `start` on.
        void step_by_step(const Region<S>* region, int64_t start, int64_t steps) {
            const Machine& m = machine_;
            int64_t moving = 0;
            for (int64_t i = m.core_; i < m.late_; ++i) moving = settle(i, region, start, m.slots.direction, moving);
            const Step<S>*const core = step_.get() + m.core_, *const end = step_.get() + m.late_;
            for (int64_t t = 0; t < steps; ++t) {
                for (const Step<S>* s = core; s != end; ++s) s->run(*s);
                for (int64_t i = 0; i < moving; ++i) *moving_[i].address += moving_[i].stride;
            }
        }

        template <int W>
        void chained(const Zeros<Link<S, W>>& chain, const Region<S>* region, int64_t start, int64_t steps) {
            const Machine& m = machine_;
            typename vector_of<S, W>::type last = {};
            for (int64_t i = m.core_; i < m.late_; ++i) {
                settle(i, region, start, 1, 0);
                Link<S, W>& l = chain[i - m.core_];
                const Places& p = m.places_[i];
                l.step = &step_[i];
                l.dst = step_[i].dst;
                l.dst_mask = p.dst.stride ? -1 : 0;
                int from = 0;
                for (int k = 0; k < 3; ++k) {
                    const bool exists = k < p.operands;
                    l.operand[k] = exists ? step_[i].operand[k] : l.dst;
                    l.mask[k] = exists && p.operand[k].stride ? -1 : 0;
                    if (exists && m.is_last(i, k)) from |= 1 << k;
                    if (exists && i == m.core_ && m.is_last(i, k)) last = load<S, W>(l.operand[k]);
                }
                bind_link(l, p.op, from);
            }
            run_chain(chain.get(), m.links(), last, steps, m.slots.direction * m.slots.padded(1));
        }

        // An early or late instruction.
        void at_once(int64_t i, const Region<S>* region, int64_t first, int64_t steps) {
            Step<S>& s = step_[i];
            if (const int64_t stride = machine_.places_[i].all) {
                settle(i, region, 0, 1, 0);
                s.count = steps * stride;
                s.first = first;
                s.steps = steps;
                return s.run(s);
            }
            const int direction = machine_.slots.direction;
            const int64_t moving = settle(i, region, direction > 0 ? 0 : steps - 1, direction, 0);
            for (int64_t t = 0; t < steps; ++t) {
                s.run(s);
                for (int64_t k = 0; k < moving; ++k) *moving_[k].address += moving_[k].stride;
            }
        }

        // States come from home to where trails begin, and go there from where they end.
        void move_states(const Region<S>* region, int64_t t, bool begin) const {
            const Slots<S>& slots = machine_.slots;
            for (int64_t i = 0; i < slots.program.slots; ++i) {
                if (!slots.sections.trail[i]) continue;
                S* const home = region[fixed].at(slots.home[i], 0);
                const Place& place = begin ? slots.before[i] : slots.place[i];
                S* const trail = region[place.base].at(place, t);
                const size_t bytes = size_t(slots.program.slot[i].rows * slots.L) * sizeof(S);
                if (bytes) begin ? std::memcpy(trail, home, bytes) : std::memcpy(home, trail, bytes);
            }
        }

        const Machine& machine_;
        Zeros<Step<S>> step_;
        Zeros<Moving> moving_;
        Zeros<Link<S, 1>> scalars_;
        Zeros<Link<S, native<S>>> rows_;
    };

private:
    struct Places {
        Place dst, operand[3];
        Op op;
        int64_t operands, scratch;
        int64_t all;    // scalars of a step, where one call does all steps of a chunk
        int64_t parts;  // of a sum over time
    };

    // The different rows that lie in the user's memory, and how many there are.
    int64_t direct_rows(const Zeros<Place>& rows) const {
        int64_t count = 0;
        for (int64_t i = 0; i < slots.program.slots; ++i) {
            bool is_new = slots.place[i].base >= bases;
            for (int64_t k = 0; k < count; ++k) is_new &= !(rows[k] == slots.place[i]);
            if (is_new) rows[count++] = slots.place[i];
        }
        return count;
    }

    // They are asked for ahead of their step, as no hardware follows rows that are so far apart: one by one between the
    // instructions, as a processor waits for so many lines at once and no more, and not too early, as rows a power of
    // two apart push each other out of the cache.
    void prefetch(Place ahead) {
        const int64_t steps_ahead = most<int64_t>(2, 512 / slots.L);
        ahead.within += slots.direction * steps_ahead * ahead.stride;
        places_[steps_] = {ahead, {}, Op::copy, 0, 0, 0, 0};
        Step<S>& s = step_[steps_++];
        s.count = slots.L;
        s.run = prefetch_row<S>;
    }

    void copy_state(int64_t i) {
        places_[steps_] = {slots.before[i], {slots.home[i]}, Op::copy, 1, 0, 0, 0};
        Step<S>& s = step_[steps_++];
        s.L = slots.L;
        s.count = slots.program.slot[i].rows * slots.L;
        s.run = function_of<S>(Op::copy, s.count, false, slots.scalar());
    }

    void bind(int64_t code, const Packed<S>& packed) {
        const Program& p = slots.program;
        const Code& c = p.code[code];
        if (c.rows == 0) return;
        Places& places = places_[steps_];
        Step<S>& s = step_[steps_++];
        s.L = slots.L;
        s.rows = c.rows;
        s.count = c.rows * slots.L;
        places.dst = slots.place[c.dst];
        places.op = c.op;
        places.operands = arity(c.op);
        for (int k = 0; k < arity(c.op); ++k) {
            places.operand[k] = slots.read_at(code, c.operand[k]);
            const Kind kind = kind_of(c.operand[k]);
            if (kind == Kind::constant || kind == Kind::held) s.filled |= 1 << k;
        }
        if (!is_coupled(c.op) && c.rows > 1) s.broadcast = int(c.broadcast) & ((1 << arity(c.op)) - 1);
        s.run = function_of<S>(c.op, s.count, s.broadcast, slots.scalar());
        if (!is_coupled(c.op)) {
            if (p.slot[c.dst].kind == Kind::view) s.run = copy_exactly<S>;
            if (!slots.sections.is_core(code)) widen(code, places, s);
            return;
        }
        s.source = p.slot[c.operand[0]].rows;
        s.table = p.table + c.extra;
        s.number = c.operand[2];
        s.matrix = packed.data;
        s.diagonals = packed.diagonals;
        places.scratch = slots.size[fixed];
        if (c.op == Op::banded) slots.reserve(banded_scratch<S>(s.rows, s.diagonals, s.L));
    }

    // All steps at once, where that is one loop: over operands that move on as the result does, or are one fixed row.
    void widen(int64_t code, Places& places, Step<S>& s) {
        const Program& p = slots.program;
        const Code& c = p.code[code];
        const bool sum = slots.sections.is_sum(code);
        const int64_t stride = slots.padded(c.rows);
        if (p.slot[c.dst].kind == Kind::view || (!sum && places.dst.stride != stride)) return;
        const int state = sum ? slots.sections.summand(code) : -1;
        int fixed_row = 0;
        for (int k = 0; k < places.operands; ++k) {
            if (k == state) continue;
            const bool one = s.broadcast >> k & 1;
            if (places.operand[k].stride ? one || places.operand[k].stride != stride : !one && c.rows > 1) return;
            if (!places.operand[k].stride) fixed_row |= 1 << k;
        }
        places.all = stride;
        s.broadcast = fixed_row;
        if (!sum) {
            s.run = function_of<S>(c.op, any_count, s.broadcast, false);
            return;
        }
        // The state is read where it is written.
        if (state == 0) places.operand[0] = places.operand[1];
        if (state == 0) s.filled >>= 1, s.broadcast >>= 1;
        places.operands = arity(c.op) - 1;
        for (int k = 0; k < places.operands; ++k) s.stride[k] = places.operand[k].stride;
        s.run = sum_of<S>(c.op, slots.scalar());
        places.parts = slots.scalar() ? sum_scalars_parts<S> : sum_rows_parts;
        places.scratch = slots.size[fixed];
        slots.reserve(places.parts * stride);
    }

    // Whether the core is a chain of instructions on one row each, which is one scalar or one register.
    bool is_chain() const {
        const int64_t row = slots.padded(1);
        if (!slots.planar || row > native<S>) return false;
        for (int64_t i = core_; i < late_; ++i) {
            const Places& p = places_[i];
            const Step<S>& s = step_[i];
            if (is_coupled(p.op) || s.count > row || s.broadcast || s.run == copy_exactly<S>) return false;
            if (p.dst.stride && p.dst.stride != row) return false;
            for (int k = 0; k < p.operands; ++k)
                if (p.operand[k].stride && p.operand[k].stride != row) return false;
        }
        return true;
    }
    int64_t links() const { return is_chain_ ? late_ - core_ : 0; }

    // Whether operand k of step i is what the step before it left; before the first one that is the last one, a step of
    // time ago.
    bool is_last(int64_t i, int k) const {
        Place from = places_[i > core_ ? i - 1 : late_ - 1].dst;
        if (i == core_) from.within -= slots.direction * from.stride;
        return from == places_[i].operand[k];
    }

    // Constant and held slots as they are, not views of them, fill a vector; also when an adjoint names them.
    Kind kind_of(int64_t i) const {
        const Slot& s = slots.program.slot[i];
        if (s.kind != Kind::forward) return s.kind;
        return slots.forward.slot[s.index].kind;
    }

    Zeros<Step<S>> step_;
    Zeros<Places> places_;
    int64_t core_ = 0, late_ = 0, steps_ = 0;  // where the core begins and ends; how many there are in all
    bool is_chain_ = false;
};

}  // namespace FB_NAMESPACE
