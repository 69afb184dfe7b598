// The interpreter: a program's instructions, bound to the places of its slots, run step after step.
#pragma once
#include "pack.hpp"
#include "pointwise.hpp"

namespace FB_NAMESPACE {

// The function of an operation.
template <class S>
auto function_of(Op op, int64_t count, bool broadcast) -> void (*)(const Step<S>&, S* const*) {
    switch (op) {
#define FB_CASE(name) \
    case Op::name:    \
        return pointwise_for<S, Do_##name>(count, broadcast);
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

template <class S>
class Machine {
public:
    Slots<S> slots;

    Machine() = default;
    Machine(Slots<S>&& given, const Packs<S>& packs) : slots(static_cast<Slots<S>&&>(given)) {
        const Program& p = slots.program;
        step_ = Zeros<Step<S>>(p.slots + p.codes);
        for (int64_t i = 0; i < p.slots; ++i)
            if (slots.state_kept[i]) keep_state(i);
        for (int64_t i = 0; i < p.codes; ++i) bind(p.code[i], packs.of(i));
    }

    // Before a tile: constants; what is held is loaded by whoever has it.
    void prepare(S* const* base) const {
        const Program& p = slots.program;
        for (int64_t i = 0; i < p.slots; ++i) {
            if (p.slot[i].kind != Kind::constant) continue;
            double value;
            std::memcpy(&value, &p.slot[i].extra, sizeof value);
            S* to = base[fixed] + slots.place[i].offset;
            for (int64_t l = 0; l < most<int64_t>(slots.L, slots.unit); ++l) to[l] = S(value);
        }
    }

    // Held rows that fill less than a vector are repeated.
    void fill(int64_t i, S* row) const {
        if (slots.program.slot[i].rows == 1)
            for (int64_t l = slots.L; l < slots.unit; ++l) row[l] = row[l - slots.L];
    }

    // `base` moves on by `stride` with every step.
    void run(S** base, const int64_t* stride, int64_t steps) const {
        const Step<S>* const end = step_.get() + steps_;
        for (int64_t t = 0; t < steps; ++t) {
            for (const Step<S>* s = step_.get(); s != end; ++s) s->run(*s, base);
            for (int b = staged; b < bases; ++b) base[b] += stride[b];
        }
    }

private:
    void keep_state(int64_t i) {
        Step<S>& s = step_[steps_++];
        s.dst = slots.before[i];
        s.operand[0] = slots.place[i];
        s.L = slots.L;
        s.count = slots.program.slot[i].rows * slots.L;
        s.run = pointwise_for<S, Do_copy>(s.count, false);
    }

    void bind(const Code& c, const Packed<S>& packed) {
        const Program& p = slots.program;
        if (c.rows == 0) return;
        Step<S>& s = step_[steps_++];
        s.L = slots.L;
        s.op = int64_t(c.op);
        s.rows = c.rows;
        s.count = c.rows * slots.L;
        s.dst = slots.place[c.dst];
        for (int k = 0; k < arity(c.op); ++k) {
            s.operand[k] = slots.place[c.operand[k]];
            const Kind kind = kind_of(c.operand[k]);
            if (kind == Kind::constant || kind == Kind::held) s.filled |= 1 << k;
        }
        if (!is_coupled(c.op)) {
            if (c.rows > 1) s.broadcast = int(c.broadcast) & ((1 << arity(c.op)) - 1);
            s.run = function_of<S>(c.op, s.count, s.broadcast);
            if (p.slot[c.dst].kind == Kind::view) s.run = copy_exactly<S>;
            return;
        }
        s.run = function_of<S>(c.op, s.count, false);
        s.source = p.slot[c.operand[0]].rows;
        s.table = p.table + c.extra;
        s.number = c.operand[2];
        s.matrix = packed.data;
        s.diagonals = packed.diagonals;
        s.scratch = {fixed, slots.size[fixed]};
        slots.size[fixed] += (scratch_scalars(s) + slots.unit - 1) / slots.unit * slots.unit;
    }

    // Constant and held slots as they are, not views of them, fill a vector; also when an adjoint names them.
    Kind kind_of(int64_t i) const {
        const Slot& s = slots.program.slot[i];
        if (s.kind != Kind::forward) return s.kind;
        return slots.forward.slot[s.index].kind;
    }

    Zeros<Step<S>> step_;
    int64_t steps_ = 0;
};

}  // namespace FB_NAMESPACE
