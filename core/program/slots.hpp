// Where the slots of a program live while it runs on a tile of L lanes.
//
// Element (r, l) of a slot is scalar r * L + l at its place. A place is an offset from one of a few bases: what belongs
// to the whole tile is `fixed`; what belongs to a step lies in a frame per step, whose base moves on with every step,
// in the order of execution. Frames are `staged` (sequences and outputs) or `kept` (what the adjoint finds again:
// records, outputs, and states as they were before the step).
//
// Unless all are scalars, every slot is padded to whole vectors, so that loops over it need no remainder: they may
// write what lies behind the last row. A loop that reads a view may also read what lies behind its slot; each region
// ends in room for that.
#pragma once
#include "../lanes.hpp"
#include "../memory.hpp"
#include "program.hpp"

namespace FB_NAMESPACE {

enum Base { fixed, staged, kept, forward_staged, forward_kept, bases };

struct Place {
    int64_t base, offset;
};

// What becomes of a program's values.
struct Role {
    bool outputs;  // outputs that are not kept are staged; otherwise they go nowhere
    bool keeps;    // records are kept, and outputs and states before the step: all of them, or those `adjoint` names
    const Program* adjoint;
};

template <class S>
struct Slots {
    Program program, forward;  // forward: of an adjoint
    int L = 1;
    int64_t unit = 1;          // sizes are multiples of this
    Zeros<Place> place;        // (slots)
    Zeros<Place> before;       // (slots): of a kept state
    Zeros<bool> state_kept;    // (slots)
    int64_t size[bases] = {};  // scalars: of the fixed region, or of one frame
    int64_t states = 0;        // scalars of all states, which lie side by side at `first`
    int64_t first = 0;         // where the fixed region begins

    Slots() = default;

    // `other`: the forward program's slots, when this is an adjoint. Both share the fixed region.
    Slots(const Program& p, int L, const Role& role, const Slots* other)
        : program(p),
          L(L),
          unit(L == 1 && is_scalar(p) ? 1 : native<S>),
          place(p.slots),
          before(p.slots),
          state_kept(p.slots) {
        if (other) forward = other->program;
        first = size[fixed] = other ? other->size[fixed] : 0;
        for (int64_t i = 0; i < p.slots; ++i)
            if (p.slot[i].kind == Kind::state) place[i] = take(fixed, p.slot[i].rows);
        states = size[fixed] - first;
        for (int64_t i = 0; i < p.slots; ++i) {
            const Slot& s = p.slot[i];
            switch (s.kind) {
                case Kind::sequence:
                    place[i] = take(staged, s.rows);
                    break;
                case Kind::output:
                    place[i] = take(kept_by(role, i) ? kept : role.outputs ? staged : fixed, s.rows);
                    break;
                case Kind::record:
                    place[i] = take(role.keeps ? kept : fixed, s.rows);
                    break;
                case Kind::constant:
                case Kind::held:
                    place[i] = {fixed, size[fixed]};
                    // A single row is repeated until it fills a vector.
                    size[fixed] += most<int64_t>(padded(s.rows), native<S>);
                    break;
                case Kind::temp:
                    place[i] = take(fixed, s.rows);
                    break;
                case Kind::forward:
                    place[i] = other->seen_by_adjoint(s.index);
                    break;
                default:
                    break;
            }
        }
        for (int64_t i = 0; i < p.slots; ++i)
            if (p.slot[i].kind == Kind::state && kept_by(role, i)) {
                before[i] = take(kept, p.slot[i].rows);
                state_kept[i] = true;
            }
        for (int64_t i = 0; i < p.slots; ++i)
            if (p.slot[i].kind == Kind::view) {
                place[i] = place[p.slot[i].index];
                place[i].offset += p.slot[i].extra * L;
            }
    }

    int64_t padded(int64_t rows) const { return (rows * L + unit - 1) / unit * unit; }

    // One lane and one row everywhere: nothing but scalars.
    bool scalar() const { return unit == 1; }

    // More of the fixed region, for an instruction.
    void reserve(int64_t scalars) { size[fixed] += (scalars + unit - 1) / unit * unit; }

    // Scalars that a step adds to all that is at work, of this program alone.
    int64_t per_step() const { return size[staged] + size[kept]; }

private:
    static bool is_scalar(const Program& p) {
        for (int64_t i = 0; i < p.slots; ++i)
            if (p.slot[i].rows > 1) return false;
        return true;
    }

    Place take(Base base, int64_t rows) {
        const Place p = {base, size[base]};
        size[base] += padded(rows);
        return p;
    }

    // Whether this output or state is kept.
    bool kept_by(const Role& role, int64_t slot) const {
        if (!role.keeps || !role.adjoint) return role.keeps;
        const Program& adjoint = *role.adjoint;
        for (int64_t i = 0; i < adjoint.slots; ++i)
            if (adjoint.slot[i].kind == Kind::forward && program.root(adjoint.slot[i].index) == slot) return true;
        return false;
    }

    // Where an adjoint finds slot i of this program.
    Place seen_by_adjoint(int64_t i) const {
        const int64_t root = program.root(i);
        Place p = program.slot[root].kind == Kind::state ? before[root] : place[root];
        if (p.base == staged) p.base = forward_staged;
        if (p.base == kept) p.base = forward_kept;
        if (root != i) p.offset += program.slot[i].extra * L;
        return p;
    }
};

}  // namespace FB_NAMESPACE
