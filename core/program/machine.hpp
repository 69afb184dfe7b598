// The interpreter: a program's instructions, bound to the places of its slots, run step after step.
#pragma once
#include "pack.hpp"
#include "pointwise.hpp"

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
        step_ = Zeros<Step<S>>(p.slots + p.codes);
        places_ = Zeros<Places>(p.slots + p.codes);
        for (int64_t i = 0; i < p.slots; ++i)
            if (slots.state_kept[i]) keep_state(i);
        for (int64_t i = 0; i < p.codes; ++i) bind(p.code[i], packs.of(i));
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

    // Held rows that fill less than a vector are repeated.
    void fill(int64_t i, S* row) const {
        if (slots.program.slot[i].rows == 1)
            for (int64_t l = slots.L; l < native<S>; ++l) row[l] = row[l - slots.L];
    }

    // The steps of one thread, whose addresses move on as time does.
    class Runner {
    public:
        explicit Runner(const Machine& m) : machine_(m), step_(m.steps_), moving_(m.steps_ * addresses) {
            for (int64_t i = 0; i < m.steps_; ++i) step_[i] = m.step_[i];
        }

        // `base` moves on by `stride` with every step.
        void run(S* const* base, const int64_t* stride, int64_t steps) {
            int64_t moving = 0;
            const auto settle = [&](auto*& address, const Place& place) {
                address = base[place.base] + place.offset;
                if (stride[place.base]) moving_[moving++] = {const_cast<S**>(&address), stride[place.base]};
            };
            for (int64_t i = 0; i < machine_.steps_; ++i) {
                const Places& p = machine_.places_[i];
                settle(step_[i].dst, p.dst);
                for (int k = 0; k < p.operands; ++k) settle(step_[i].operand[k], p.operand[k]);
                step_[i].scratch = base[fixed] + p.scratch;
            }
            const Step<S>* const end = step_.get() + machine_.steps_;
            for (int64_t t = 0; t < steps; ++t) {
                for (const Step<S>* s = step_.get(); s != end; ++s) s->run(*s);
                for (int64_t i = 0; i < moving; ++i) *moving_[i].address += moving_[i].stride;
            }
        }

    private:
        static constexpr int addresses = 4;
        struct Moving {
            S** address;
            int64_t stride;
        };
        const Machine& machine_;
        Zeros<Step<S>> step_;
        Zeros<Moving> moving_;
    };

private:
    struct Places {
        Place dst, operand[3];
        int64_t operands, scratch;
    };

    void keep_state(int64_t i) {
        places_[steps_] = {slots.before[i], {slots.place[i]}, 1, 0};
        Step<S>& s = step_[steps_++];
        s.L = slots.L;
        s.count = slots.program.slot[i].rows * slots.L;
        s.run = function_of<S>(Op::copy, s.count, false, slots.scalar());
    }

    void bind(const Code& c, const Packed<S>& packed) {
        const Program& p = slots.program;
        if (c.rows == 0) return;
        Places& places = places_[steps_];
        Step<S>& s = step_[steps_++];
        s.L = slots.L;
        s.rows = c.rows;
        s.count = c.rows * slots.L;
        places.dst = slots.place[c.dst];
        places.operands = arity(c.op);
        for (int k = 0; k < arity(c.op); ++k) {
            places.operand[k] = slots.place[c.operand[k]];
            const Kind kind = kind_of(c.operand[k]);
            if (kind == Kind::constant || kind == Kind::held) s.filled |= 1 << k;
        }
        if (!is_coupled(c.op) && c.rows > 1) s.broadcast = int(c.broadcast) & ((1 << arity(c.op)) - 1);
        s.run = function_of<S>(c.op, s.count, s.broadcast, slots.scalar());
        if (!is_coupled(c.op)) {
            if (p.slot[c.dst].kind == Kind::view) s.run = copy_exactly<S>;
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

    // Constant and held slots as they are, not views of them, fill a vector; also when an adjoint names them.
    Kind kind_of(int64_t i) const {
        const Slot& s = slots.program.slot[i];
        if (s.kind != Kind::forward) return s.kind;
        return slots.forward.slot[s.index].kind;
    }

    Zeros<Step<S>> step_;
    Zeros<Places> places_;
    int64_t steps_ = 0;
};

}  // namespace FB_NAMESPACE
