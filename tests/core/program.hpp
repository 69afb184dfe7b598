// A random program of integers: its words, and the values it is applied to.
//
// Every slot has a bound on what it holds, so that all numbers stay integers that float32 holds exactly; what grows too
// large is brought back by a remainder.
#pragma once
#include <cstring>
#include <map>
#include <string>

#include "value.hpp"

enum Kind { temp, constant, held, sequence, output, state, record, view, forward, before };
constexpr double largest = 1 << 20;

inline std::map<std::string, int64_t> operations() {
    std::map<std::string, int64_t> codes;
    std::string name;
    for (const char* p = fb_operations(); *p; ++p) {
        if (*p != ' ')
            name += *p;
        else if (!name.empty()) {
            const int64_t code = int64_t(codes.size());
            codes[name] = code;
            name.clear();
        }
    }
    return codes;
}
inline std::map<std::string, int64_t> op_codes = operations();
inline std::vector<std::string> op_names = [] {
    std::vector<std::string> names(op_codes.size());
    for (const auto& [name, code] : op_codes) names[size_t(code)] = name;
    return names;
}();

struct Slot {
    int64_t kind, index, rows, extra;
    double bound;  // of what it holds
    bool readable;
};
struct Code {
    int64_t op, rows, dst, operand[3], broadcast, extra;
};
using Lane = std::vector<std::vector<double>>;  // the slots of one lane: (slots, rows); views are empty

struct Matrix {
    int64_t rows, columns;
    std::unique_ptr<Value> value;
    double at(int64_t i, int64_t j) const { return value->at({}, 0, i, j).real(); }
};

// A value of integers; some are the same in all rows, or run backward in memory.
struct Series {
    std::unique_ptr<Value> value;
    fb_value given;
    bool one_row = false, flipped = false;
    int64_t steps;

    Series(fb_dtype dtype, const Sizes& lanes, bool may_broadcast, int64_t steps, int64_t rows, bool may_repeat)
        : steps(steps) {
        std::vector<bool> broadcast(lanes.size());
        for (size_t i = 0; i < lanes.size(); ++i) broadcast[i] = may_broadcast && draw(0, 3) == 0;
        one_row = may_repeat && draw(0, 4) == 0;
        value = std::make_unique<Value>(dtype, lanes, broadcast, steps, 1, one_row ? 1 : rows);
        given = value->given;
        if (one_row) {
            given.columns = rows;
            given.column_stride = 0;
        }
        if (steps && coin()) {
            flipped = true;
            const int64_t size = dtype == FB_FLOAT32 ? 4 : 8;
            given.data = static_cast<char*>(given.data) + (steps - 1) * given.frame_stride * size;
            given.frame_stride = -given.frame_stride;
        }
    }
    void fill() {
        const int64_t count = value->count();
        for (int64_t i = 0; i < count; ++i) value->set(i, double(draw(-4, 4)));
    }
    double at(const Sizes& lane, int64_t t, int64_t row) const {
        return value->at(lane, flipped ? steps - 1 - t : t, 0, one_row ? 0 : row).real();
    }
};
using Many = std::vector<Series>;

// A program under construction, and what it is applied to.
struct Made {
    std::vector<Slot> slots;
    std::vector<Code> codes;
    std::vector<int64_t> table, words;
    std::vector<Matrix> matrices;
    Many held, sequences, outputs, before, after;
    std::vector<bool> no_before, no_after, no_output, no_sequence;
    std::vector<fb_value> given[6];
    fb_dtype dtype;
    bool pointwise;  // nothing mixes rows

    int64_t add(int64_t kind, int64_t index, int64_t rows, int64_t extra, double bound, bool readable) {
        slots.push_back({kind, index, rows, extra, bound, readable});
        return int64_t(slots.size()) - 1;
    }
    int64_t root(int64_t i) const { return slots[size_t(i)].kind == view ? slots[size_t(i)].index : i; }
    bool readable(int64_t i) const { return slots[size_t(root(i))].readable; }
    double bound(int64_t i) const { return slots[size_t(root(i))].bound; }

    void emit(const std::string& name, int64_t dst, int64_t a, int64_t b, int64_t c, int64_t broadcast, int64_t extra,
              double result) {
        codes.push_back({op_codes.at(name), slots[size_t(dst)].rows, dst, {a, b, c}, broadcast, extra});
        Slot& s = slots[size_t(root(dst))];
        s.bound = root(dst) == dst ? result : std::max(s.bound, result);
        s.readable = true;
    }

    // A readable slot of `rows` rows, or of one; -1 if there is none.
    int64_t pick(int64_t rows, bool or_one, int64_t not_of) const {
        std::vector<int64_t> fit;
        for (int64_t i = 0; i < int64_t(slots.size()); ++i)
            if (readable(i) && (slots[size_t(i)].rows == rows || (or_one && slots[size_t(i)].rows == 1)) &&
                root(i) != not_of)
                fit.push_back(i);
        return fit.empty() ? -1 : fit[size_t(draw(0, int64_t(fit.size()) - 1))];
    }

    void pack() {
        words = {int64_t(slots.size()), int64_t(codes.size()), int64_t(table.size())};
        for (const Slot& s : slots) words.insert(words.end(), {s.kind, s.index, s.rows, s.extra});
        for (const Code& c : codes)
            words.insert(words.end(),
                         {c.op, c.rows, c.dst, c.operand[0], c.operand[1], c.operand[2], c.broadcast, c.extra});
        words.insert(words.end(), table.begin(), table.end());
    }
};

// One instruction that writes dst, at random; false if nothing fits.
inline bool random_code(Made& m, int64_t dst) {
    const int64_t rows = m.slots[size_t(dst)].rows, root = m.root(dst);
    const bool is_view = root != dst;
    const auto operand = [&](int64_t& slot, int64_t& broadcast, int bit) {
        slot = m.pick(rows, true, -1);
        if (slot < 0) return false;
        const bool one = m.slots[size_t(slot)].rows == 1 && (rows != 1 || coin());
        if (one && rows > 1 && m.root(slot) == root) return false;
        if (m.root(slot) == root && slot != dst && is_view) return false;
        if (one) broadcast |= int64_t(1) << bit;
        return true;
    };
    int64_t a = 0, b = 0, c = 0, broadcast = 0;
    const int64_t choice = m.pointwise ? (is_view ? 0 : draw(7, 13)) : draw(0, is_view ? 3 : 13);
    if (choice <= 1 && is_view) {
        if (!operand(a, broadcast, 0)) return false;
        m.emit("copy", dst, a, 0, 0, broadcast, 0, m.bound(a));
        return true;
    }
    if (choice <= 3) {  // gather from a slot of any size
        std::vector<int64_t> from;
        for (int64_t i = 0; i < int64_t(m.slots.size()); ++i)
            if (m.readable(i) && m.root(i) != root) from.push_back(i);
        if (from.empty()) return false;
        a = from[size_t(draw(0, int64_t(from.size()) - 1))];
        const int64_t extra = int64_t(m.table.size());
        for (int64_t r = 0; r < rows; ++r) m.table.push_back(draw(-1, m.slots[size_t(a)].rows - 1));
        m.emit("gather", dst, a, 0, 0, 0, extra, m.bound(a));
        return true;
    }
    if (choice == 4) {  // a reduction to these rows
        for (int64_t i = 0; i < int64_t(m.slots.size()); ++i) {
            const int64_t r = m.slots[size_t(i)].rows;
            if (!m.readable(i) || m.root(i) == root || r % rows || r == 0 || m.bound(i) * double(r) > largest) continue;
            if (coin()) continue;
            std::vector<int64_t> inner;
            for (int64_t k = 1; k <= rows; ++k)
                if (rows % k == 0) inner.push_back(k);
            const int64_t extra = int64_t(m.table.size());
            m.table.push_back(r / rows);
            m.table.push_back(inner[size_t(draw(0, int64_t(inner.size()) - 1))]);
            m.emit(coin() ? "sum_rows" : "max_rows", dst, i, 0, 0, 0, extra, m.bound(i) * double(r / rows));
            return true;
        }
        return false;
    }
    if (choice <= 6) {  // a matrix
        std::vector<int64_t> from;
        for (int64_t i = 0; i < int64_t(m.slots.size()); ++i)
            if (m.readable(i) && m.root(i) != root && m.bound(i) * 2 * 64 <= largest) from.push_back(i);
        if (from.empty()) return false;
        a = from[size_t(draw(0, int64_t(from.size()) - 1))];
        const int64_t source = m.slots[size_t(a)].rows, extra = int64_t(m.matrices.size());
        const int64_t form = source == rows && rows > 0 ? draw(0, 2) : draw(0, 1);
        const auto matrix = [&](int64_t r, int64_t columns) {
            Matrix made = {r, columns, std::make_unique<Value>(m.dtype, Sizes{}, std::vector<bool>{}, 1, r, columns)};
            for (int64_t i = 0; i < made.value->count(); ++i) made.value->set(i, double(draw(-2, 2)));
            m.matrices.push_back(std::move(made));
        };
        if (form == 0) {
            matrix(rows, source);
            m.emit("dense", dst, a, 0, 0, 0, extra, m.bound(a) * 2 * double(source));
        } else if (form == 1) {
            int64_t groups = 1;
            for (int64_t g = 1; g <= rows; ++g)
                if (rows % g == 0 && source % g == 0 && coin()) groups = g;
            matrix(rows, source / groups);
            m.emit("block", dst, a, 0, groups, 0, extra, m.bound(a) * 2 * double(source));
        } else {
            const int64_t diagonals = draw(1, 9);
            matrix(diagonals, rows);
            m.emit("banded", dst, a, 0, draw(0, diagonals - 1), 0, extra, m.bound(a) * 2 * double(diagonals));
        }
        return true;
    }
    static const char* const unary[] = {"copy",  "neg",   "abs",  "floor",   "ceil",
                                        "trunc", "round", "sign", "float32", "is_nan"};
    static const char* const binary[] = {"add", "sub", "mul", "min", "max", "lt", "le", "gt", "ge", "eq", "ne"};
    static const char* const ternary[] = {"where", "fma", "fms", "fnma"};
    if (!operand(a, broadcast, 0)) return false;
    if (choice <= 8) {
        m.emit(unary[draw(0, 9)], dst, a, 0, 0, broadcast, 0, std::max(m.bound(a), 1.0));
        return true;
    }
    if (!operand(b, broadcast, 1)) return false;
    const double product = m.bound(a) * m.bound(b) + m.bound(a) + m.bound(b) + 1;
    if (product > largest) return false;
    if (choice <= 11) {
        m.emit(binary[draw(0, 10)], dst, a, b, 0, broadcast, 0, product);
        return true;
    }
    if (!operand(c, broadcast, 2) || product + m.bound(c) > largest) return false;
    m.emit(ternary[draw(0, 3)], dst, a, b, c, broadcast, 0, product + m.bound(c));
    return true;
}

// `other`: the forward program, when this is its adjoint.
inline Made random_program(fb_dtype dtype, const Sizes& lanes, int64_t steps, const Made* other) {
    Made m;
    m.dtype = dtype;
    m.pointwise = other ? other->pointwise : draw(0, 3) == 0;
    const int64_t sizes[] = {1, 1, 2, 3, 4, 6, 12, 16, 17, 24, 35};
    const bool narrow = draw(0, 3) == 0;  // one row everywhere
    const int64_t common[] = {narrow ? 1 : sizes[draw(0, 10)], narrow ? 1 : sizes[draw(0, 10)]};
    const auto rows = [&] { return draw(0, 4) ? common[draw(0, 1)] : 1; };
    m.add(constant, 0, 1, 0, 0, true);
    const double thirteen = 13, two = 2;
    int64_t bits;
    std::memcpy(&bits, &thirteen, 8);
    const int64_t modulus = m.add(constant, 0, 1, bits, 13, true);
    std::memcpy(&bits, &two, 8);
    m.add(constant, 0, 1, bits, 2, true);
    for (int64_t i = other ? 0 : draw(0, 3); i > 0; --i) {
        const int64_t r = rows();
        m.add(held, int64_t(m.held.size()), r, 0, 4, true);
        m.held.emplace_back(dtype, lanes, true, 1, r, true).fill();
    }
    for (int64_t i = draw(0, 3); i > 0; --i) {
        const int64_t r = rows();
        m.add(sequence, int64_t(m.sequences.size()), r, 0, 4, true);
        m.sequences.emplace_back(dtype, lanes, true, steps, r, true).fill();
        m.no_sequence.push_back(draw(0, 5) == 0);
    }
    std::vector<int64_t> states, outputs, records, temps;
    for (int64_t i = draw(0, 3); i > 0; --i) {
        const int64_t r = rows();
        states.push_back(m.add(state, int64_t(m.before.size()), r, 0, 13, true));
        m.before.emplace_back(dtype, lanes, true, 1, r, true).fill();
        m.after.emplace_back(dtype, lanes, false, 1, r, false).value->poison();
        m.no_before.push_back(draw(0, 3) == 0);
        m.no_after.push_back(draw(0, 3) == 0);
    }
    for (int64_t i = draw(0, 3); i > 0; --i) {
        const int64_t r = rows();
        outputs.push_back(m.add(output, int64_t(m.outputs.size()), r, 0, 0, false));
        m.outputs.emplace_back(dtype, lanes, false, steps, r, false).value->poison();
        m.no_output.push_back(draw(0, 5) == 0);
    }
    for (int64_t i = draw(0, 3); i > 0; --i) records.push_back(m.add(record, 0, rows(), 0, 0, false));
    for (int64_t i = draw(1, 4); i > 0; --i) temps.push_back(m.add(temp, 0, rows(), 0, 0, false));
    if (other)
        for (int64_t i = draw(0, 6); i > 0; --i) {
            const int64_t from = draw(0, int64_t(other->slots.size()) - 1);
            const Slot& s = other->slots[size_t(from)];
            const Slot& root = other->slots[size_t(other->root(from))];
            if (root.kind == temp || root.kind == before || !root.readable) continue;
            m.add(forward, from, s.rows, 0, root.kind == state ? std::max(13.0, root.bound) : root.bound, true);
        }
    for (int64_t slot : states)
        if (draw(0, 2) == 0) m.add(before, slot, m.slots[size_t(slot)].rows, 0, 13, true);
    for (int64_t i = draw(0, 4); i > 0; --i) {
        const int64_t parent = draw(0, int64_t(m.slots.size()) - 1);
        const Slot s = m.slots[size_t(parent)];
        if (s.kind == view || s.rows == 0) continue;
        const int64_t first = draw(0, s.rows - 1);
        m.add(view, parent, draw(1, s.rows - first), first, 0, false);
    }

    for (int64_t i = draw(0, 12); i > 0; --i) {
        std::vector<int64_t> writable;
        for (int64_t k = 0; k < int64_t(m.slots.size()); ++k) {
            const int64_t kind = m.slots[size_t(m.root(k))].kind;
            const bool whole = m.root(k) == k;
            if (kind == temp || kind == output || kind == record || kind == state)
                if (whole || m.readable(k)) writable.push_back(k);
        }
        random_code(m, writable[size_t(draw(0, int64_t(writable.size()) - 1))]);
    }
    // Every output and record is written; states stay below the modulus.
    for (const std::vector<int64_t>* some : {&outputs, &records})
        for (int64_t slot : *some)
            while (!m.readable(slot)) random_code(m, slot);
    for (int64_t slot : states)
        if (m.bound(slot) > 13)
            m.emit(coin() ? "remainder" : "fmod", slot, slot, modulus, 0, m.slots[size_t(slot)].rows > 1 ? 2 : 0, 0,
                   13);
    m.pack();
    return m;
}
