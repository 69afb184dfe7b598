// Time is more rows: which instructions run for many steps at once, when lanes are too few to fill the machine.
//
// What needs no state can run ahead of all steps of a chunk; what no state needs can follow behind them; only what lies
// between goes step by step:
//
//     early    the longest run of instructions from the first one on that neither read nor write a state
//     core     the others
//     late     the longest run up to the last one of instructions that write no state, or only add to one over time:
//              s = s + v, s = s - v, s = a b + s, s = s - a b, where nobody else reads or writes s
//
// The order of the instructions alone decides, and no order is wrong: whoever writes programs sorts them so that early
// and late are long. Scratch that early or late touch has a place for every step of a chunk, as outputs have.
//
// A state that one instruction writes, or several that write its rows one after the other, leaves a *trail*: the state
// after every step has a place of its own, and the state before a step is found one step back. Nobody has to copy it,
// and late may read it.
#pragma once
#include "../memory.hpp"
#include "program.hpp"

namespace FB_NAMESPACE {

class Sections {
public:
    int64_t early = 0, late = 0;  // instructions [0, early), [early, late) and [late, codes)
    Zeros<bool> moves;            // (slots): scratch that early or late touch
    Zeros<bool> trail;            // (slots): states that leave one
    Zeros<int64_t>
        first_write;  // (slots): where a trail is written; whoever comes later reads the state after the step

    Sections() = default;
    // apart: whether there are sections at all. sums: whether states may be added to behind all steps, which changes
    // the order of a sum.
    Sections(const Program& p, bool apart, bool sums)
        : late(p.codes), moves(p.slots), trail(p.slots), first_write(p.slots), program_(p), sums_(sums) {
        if (!apart) return;
        for (int64_t i = 0; i < p.slots; ++i)
            if (p.slot[i].kind == Kind::state) follow(i);
        while (early < p.codes && !touches_state(early, false)) ++early;
        while (late > early && (is_sum(late - 1) || !touches_state(late - 1, true))) --late;
        for (int64_t i = 0; i < p.codes; ++i) {
            if (i >= early && i < late) continue;
            const Code& c = p.code[i];
            moves[p.root(c.dst)] = true;
            for (int k = 0; k < arity(c.op); ++k) moves[p.root(c.operand[k])] = true;
        }
    }

    bool is_core(int64_t code) const { return code >= early && code < late; }

    // Whether an instruction does nothing but add something that late may read to a state that nobody else has to do
    // with.
    bool is_sum(int64_t code) const {
        if (!only_adds(code)) return false;
        const Code& c = program_.code[code];
        for (int k = 0; k < arity(c.op); ++k)
            if (k != summand(code) && is_hidden(program_.root(c.operand[k]))) return false;
        return true;
    }

    // Which operand of a sum is the state itself, or -1.
    int summand(int64_t code) const {
        const Code& c = program_.code[code];
        const auto is = [&](int k) { return c.operand[k] == c.dst && !(c.broadcast >> k & 1 && c.rows > 1); };
        switch (c.op) {
            case Op::add:
                return is(0) ? 0 : is(1) ? 1 : -1;
            case Op::sub:
                return is(0) ? 0 : -1;
            case Op::fma:
            case Op::fnma:
                return is(2) ? 2 : -1;
            default:
                return -1;
        }
    }

private:
    bool only_adds(int64_t code) const {
        const Program& p = program_;
        const Code& c = p.code[code];
        if (!sums_ || p.slot[c.dst].kind != Kind::state) return false;
        const int at = summand(code);
        if (at < 0) return false;
        for (int64_t i = 0; i < p.slots; ++i)
            if (p.slot[i].kind == Kind::before && p.slot[i].index == c.dst) return false;
        for (int64_t i = 0; i < p.codes; ++i) {
            if (i != code && p.root(p.code[i].dst) == c.dst) return false;
            for (int k = 0; k < arity(p.code[i].op); ++k)
                if ((i != code || k != at) && p.root(p.code[i].operand[k]) == c.dst) return false;
        }
        return true;
    }

    bool is_state(int64_t slot) const {
        const Kind kind = program_.slot[program_.root(slot)].kind;
        return kind == Kind::state || kind == Kind::before;
    }

    // Whether late cannot read a slot: a state that leaves no trail.
    bool is_hidden(int64_t root) const { return program_.slot[root].kind == Kind::state && !trail[root]; }

    // Whether an instruction has to do with a state; behind the core, trails and what was kept may be read.
    bool touches_state(int64_t code, bool behind) const {
        const Code& c = program_.code[code];
        if (is_state(c.dst)) return true;
        for (int k = 0; k < arity(c.op); ++k) {
            const int64_t root = program_.root(c.operand[k]);
            if (behind ? is_hidden(root) : is_state(root)) return true;
        }
        return false;
    }

    // Whether the rows of a state are written one after the other, each once, and by whom first; nobody may read it
    // between the first write and the last.
    void follow(int64_t state) {
        const Program& p = program_;
        int64_t first = -1, last = -1, rows = 0;
        for (int64_t i = 0; i < p.codes; ++i) {
            const Code& c = p.code[i];
            if (p.root(c.dst) != state) continue;
            if ((c.dst == state ? 0 : p.slot[c.dst].extra) != rows) return;
            rows += c.rows;
            if (first < 0) first = i;
            last = i;
        }
        if (first < 0 || rows != p.slot[state].rows || only_adds(first)) return;
        for (int64_t i = first + 1; i <= last; ++i)
            for (int k = 0; k < arity(p.code[i].op); ++k)
                if (p.root(p.code[i].operand[k]) == state) return;
        trail[state] = true;
        first_write[state] = first;
    }

    Program program_;
    bool sums_ = false;
};

}  // namespace FB_NAMESPACE
