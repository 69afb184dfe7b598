// Where the slots of a program live while it runs on a tile of L lanes.
//
// Element (r, l) of a slot is scalar r * L + l at its place. What belongs to the whole tile is `fixed`; what belongs to
// a step is `staged` (sequences, outputs, scratch that leaves the core) or `kept` (what the adjoint finds again:
// records, outputs, and states as they were before the step), in a region with room for many steps, which lie in the
// order of time. Where there are sections, a slot has its steps side by side, so that they can be run through at once;
// otherwise a step has its slots side by side, which caches like better the wider a tile is.
//
// Unless all are scalars, every slot is padded to whole vectors, so that loops over it need no remainder: they may
// write what lies behind the last row. A loop that reads a view may also read what lies behind its slot; each region
// ends in room for that.
#pragma once
#include "../lanes.hpp"
#include "../memory.hpp"
#include "direct.hpp"
#include "sections.hpp"

namespace FB_NAMESPACE {

// Behind these come the values of the user's that have a region of their own; first those of the forward program.
enum Base { fixed, staged, kept, forward_staged, forward_kept, bases };

// In a region for `apart` steps, at step t: scalar offset * apart + within + t * stride.
struct Place {
    int64_t base, offset, within, stride;

    bool operator==(const Place&) const = default;
};

template <class S>
struct Region {
    S* data;
    int64_t apart;  // 1 where steps, not slots, have their scalars side by side
    int64_t first;  // the step that is meant by 0

    S* at(const Place& p, int64_t t) const { return data + p.offset * apart + p.within + (first + t) * p.stride; }
};

// What becomes of a program's values.
struct Role {
    bool outputs;  // outputs that are not kept are staged; otherwise they go nowhere
    bool keeps;    // records are kept, and outputs and states before the step: all of them, or those `adjoint` names
    const Program* adjoint = nullptr;
    bool known = false;              // what is kept lies in what forward wrote
    const Direct* direct = nullptr;  // NULL: everything is staged
    const fb_pass* pass = nullptr;
};

template <class S>
struct Slots {
    Program program, forward;  // forward: of an adjoint
    int L = 1;
    int64_t unit = 1;  // sizes are multiples of this
    int direction = 1;
    bool planar = false;  // whether there are sections
    Sections sections;
    Zeros<Place> place;     // (slots): of a state, after the step
    Zeros<Place> before;    // (slots): of a state that leaves a trail, or is copied before the step
    Zeros<Place> home;      // (slots): of a state between chunks
    Zeros<bool> copied;     // (slots): states that are copied before the step
    Zeros<int64_t> direct;  // the slots that have a region of their own; of a state, it is what was before the step
    int64_t directs = 0;
    int64_t size[bases] = {};  // scalars: of the fixed region, or of one step
    int64_t states = 0;        // scalars of all states, which lie side by side at `first`
    int64_t first = 0;         // where the fixed region begins

    Slots() = default;

    // `other`: the forward program's slots, when this is an adjoint. Both share the fixed region.
    Slots(const Program& p, int L, const Role& role, const Slots* other)
        : program(p),
          L(L),
          unit(L == 1 && is_scalar(p) ? 1 : native<S>),
          direction(other ? -1 : 1),
          planar(is_narrow(p, L)),
          sections(p, planar, other),
          place(p.slots),
          before(p.slots),
          home(p.slots),
          copied(p.slots),
          direct(p.slots),
          first_direct_(bases + (other ? other->directs : 0)) {
        if (other) forward = other->program;
        first = size[fixed] = other ? other->size[fixed] : 0;
        for (int64_t i = 0; i < p.slots; ++i)
            if (p.slot[i].kind == Kind::state) home[i] = take(fixed, p.slot[i].rows);
        states = size[fixed] - first;
        for (int64_t i = 0; i < p.slots; ++i)
            if (p.slot[i].kind == Kind::state) lay_state(i, role);
        for (int64_t i = 0; i < p.slots; ++i) lay(i, role);
        for (int64_t i = 0; i < p.slots; ++i) {
            if (!planar && place[i].base < bases && place[i].stride) place[i].stride = size[place[i].base];
            if (!planar && before[i].base < bases && before[i].stride) before[i].stride = size[before[i].base];
        }
        for (int64_t i = 0; i < p.slots; ++i) {
            if (p.slot[i].kind == Kind::forward) place[i] = other->seen_by_adjoint(p.slot[i].index);
            if (p.slot[i].kind == Kind::before) place[i] = before[p.slot[i].index];
        }
        for (int64_t i = 0; i < p.slots; ++i)
            if (p.slot[i].kind == Kind::view) {
                place[i] = place[p.slot[i].index];
                place[i].within += p.slot[i].extra * L;
            }
    }

    // Where an instruction finds an operand.
    Place read_at(int64_t code, int64_t slot) const {
        const int64_t root = program.root(slot);
        if (program.slot[root].kind != Kind::state || !sections.trail[root] || code > sections.first_write[root])
            return place[slot];
        Place p = before[root];
        if (slot != root) p.within += program.slot[slot].extra * L;
        return p;
    }

    int64_t padded(int64_t rows) const { return (rows * L + unit - 1) / unit * unit; }

    // One lane and one row everywhere: nothing but scalars.
    bool scalar() const { return unit == 1; }

    // More of the fixed region, for an instruction.
    void reserve(int64_t scalars) { size[fixed] += (scalars + unit - 1) / unit * unit; }

    // Scalars that a step adds to all that is at work, of this program alone.
    int64_t per_step() const { return size[staged] + size[kept]; }

    // For how many steps a region of that many has room: whole vectors of them, and one more for the end of a trail.
    int64_t room(int64_t steps) const {
        if (!planar) return steps;
        return scalar() ? (steps + 2 * native<S> - 1) / native<S> * native<S> : steps + 1;
    }
    int64_t apart(int64_t steps) const { return planar ? room(steps) : 1; }

private:
    static bool is_scalar(const Program& p) {
        for (int64_t i = 0; i < p.slots; ++i)
            if (p.slot[i].rows > 1) return false;
        return true;
    }

    // Whether a step is so little that its instructions cost more than their work, and many steps fit in cache.
    static bool is_narrow(const Program& p, int L) {
        constexpr int64_t few_lanes = 16, few_scalars = 4096;
        int64_t rows = 0;
        for (int64_t i = 0; i < p.slots; ++i)
            if (p.slot[i].kind != Kind::view) rows += p.slot[i].rows;
        return L <= few_lanes && rows * L <= few_scalars;
    }

    Place take(Base base, int64_t rows) {
        const Place p = {base, size[base], 0, base == fixed ? 0 : padded(rows)};
        size[base] += padded(rows);
        return p;
    }

    bool takes(const Role& role, fb_values fb_pass::* values, int64_t i) const {
        const Slot& s = program.slot[i];
        return role.direct && !planar && role.direct->takes((role.pass->*values).data[s.index], s.rows);
    }
    Place take_direct(const Role& role, fb_values fb_pass::* values, int64_t i) {
        direct[directs] = i;
        return {first_direct_ + directs++, 0, 0, (role.pass->*values).data[program.slot[i].index].frame_stride};
    }

    void lay_state(int64_t i, const Role& role) {
        const int64_t rows = program.slot[i].rows;
        const bool is_kept = kept_by(role, i);
        place[i] = home[i];
        if (sections.trail[i]) {
            place[i] = before[i] = take(is_kept ? kept : staged, rows);
            Place& later = direction > 0 ? place[i] : before[i];
            later.within += later.stride;
            return;
        }
        bool read = false, moves = false;
        for (int64_t k = 0; k < program.slots; ++k)
            if (program.slot[k].kind == Kind::before && program.slot[k].index == i) {
                read = true;
                moves |= sections.moves[k];
            }
        copied[i] = is_kept || read;
        if (!copied[i]) return;
        if (is_kept && role.known && takes(role, &fb_pass::after, i))
            before[i] = take_direct(role, &fb_pass::after, i);
        else
            before[i] = take(is_kept ? kept : moves ? staged : fixed, rows);
    }

    void lay(int64_t i, const Role& role) {
        const Slot& s = program.slot[i];
        const Base scratch = sections.moves[i] ? staged : fixed;
        switch (s.kind) {
            case Kind::sequence:
                if (takes(role, &fb_pass::sequences, i))
                    place[i] = take_direct(role, &fb_pass::sequences, i);
                else
                    place[i] = take(staged, s.rows);
                break;
            case Kind::output: {
                const bool is_kept = kept_by(role, i);
                if ((is_kept ? role.known : role.outputs) && takes(role, &fb_pass::outputs, i))
                    place[i] = take_direct(role, &fb_pass::outputs, i);
                else
                    place[i] = take(is_kept ? kept : role.outputs ? staged : scratch, s.rows);
                break;
            }
            case Kind::record:
                place[i] = take(role.keeps ? kept : scratch, s.rows);
                break;
            case Kind::temp:
                place[i] = take(scratch, s.rows);
                break;
            case Kind::constant:
            case Kind::held:
                place[i] = {fixed, size[fixed], 0, 0};
                // A single row is repeated until it fills a vector.
                size[fixed] += most<int64_t>(padded(s.rows), native<S>);
                break;
            default:
                break;
        }
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
        if (root != i) p.within += program.slot[i].extra * L;
        return p;
    }

    int64_t first_direct_ = bases;
};

}  // namespace FB_NAMESPACE
