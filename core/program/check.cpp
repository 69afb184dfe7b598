#define FB_NAMESPACE fb_check
#include "check.hpp"

#include <stdexcept>
#include <string>
#include <vector>

#include "program.hpp"

namespace fb_check {

namespace {

constexpr int64_t most_rows = int64_t(1) << 28;

const char* const op_names[] = {
#define FB_NAME(name) #name,
    FB_OPERATIONS(FB_NAME)
#undef FB_NAME
};

[[noreturn]] void refuse(const std::string& sentence) { throw std::invalid_argument(sentence); }

std::string number(int64_t n) { return std::to_string(n); }

// One program of a call; `forward` is the program that an adjoint belongs to.
class Checker {
public:
    Checker(const fb_scan& scan, const fb_pass& pass, const Checker* forward)
        : scan_(scan), pass_(pass), forward_(forward), name_(forward ? "adjoint" : "program") {
        check_header(pass.program);
        program_ = Program(pass.program);
    }

    void run() const {
        if (pass_.before.count != pass_.after.count) fail("before and after differ in number");
        for (int64_t i = 0; i < program_.slots; ++i) check_slot(i);
        check_each_once(Kind::output, pass_.outputs.count, "output");
        check_each_once(Kind::state, pass_.before.count, "state");
        for (int64_t i = 0; i < program_.codes; ++i) check_code(i);
    }

private:
    [[noreturn]] void fail(const std::string& what) const { refuse(name_ + ": " + what); }
    [[noreturn]] void slot_fails(int64_t i, const std::string& what) const { fail("slot " + number(i) + " " + what); }
    [[noreturn]] void code_fails(int64_t i, const std::string& what) const {
        const int64_t op = int64_t(program_.code[i].op);
        const bool known = op >= 0 && op < int64_t(Op::count);
        fail("instruction " + number(i) + (known ? std::string(" (") + op_names[op] + ") " : " ") + what);
    }

    void check_slot(int64_t i) const {
        const Slot& s = program_.slot[i];
        if (s.rows < 0 || s.rows > most_rows) slot_fails(i, "has " + number(s.rows) + " rows");
        switch (s.kind) {
            case Kind::temp:
            case Kind::record:
                return;
            case Kind::constant:
                if (s.rows != 1) slot_fails(i, "is a constant of " + number(s.rows) + " rows, not 1");
                return;
            case Kind::held:
                return check_value(i, pass_.held, "held");
            case Kind::sequence:
                return check_value(i, pass_.sequences, "sequences");
            case Kind::output:
                return check_value(i, pass_.outputs, "outputs");
            case Kind::state:
                check_value(i, pass_.before, "before");
                return check_value(i, pass_.after, "after");
            case Kind::view: {
                if (s.index < 0 || s.index >= program_.slots) slot_fails(i, "is a view of no slot");
                const Slot& parent = program_.slot[s.index];
                if (parent.kind == Kind::view) slot_fails(i, "is a view of a view");
                if (s.extra < 0 || s.extra > parent.rows || s.rows > parent.rows - s.extra)
                    slot_fails(i, "is a view that leaves slot " + number(s.index));
                return;
            }
            case Kind::forward: {
                if (!forward_) slot_fails(i, "names a forward slot, but this is no adjoint");
                const Program& other = forward_->program_;
                if (s.index < 0 || s.index >= other.slots) slot_fails(i, "names a forward slot that there is not");
                const Kind kind = other.slot[other.root(s.index)].kind;
                if (kind == Kind::temp || kind == Kind::before || other.slot[s.index].rows != s.rows)
                    slot_fails(i, "names forward slot " + number(s.index) + ", which is not kept or has other rows");
                return;
            }
            case Kind::before:
                if (s.index < 0 || s.index >= program_.slots || program_.slot[s.index].kind != Kind::state ||
                    program_.slot[s.index].rows != s.rows)
                    slot_fails(i, "is what was before slot " + number(s.index) + ", which is no state of its rows");
                return;
            default:
                slot_fails(i, "is of unknown kind " + number(int64_t(s.kind)));
        }
    }

    void check_value(int64_t i, const fb_values& values, const char* what) const {
        const Slot& s = program_.slot[i];
        if (s.index < 0 || s.index >= values.count)
            slot_fails(i, std::string("names ") + what + "[" + number(s.index) + "] of " + number(values.count));
        const fb_value& v = values.data[s.index];
        const std::string which = std::string(what) + "[" + number(s.index) + "]";
        if (!v.data) return;
        if (v.dtype != scan_.dtype) slot_fails(i, "differs in dtype from " + which);
        if (v.columns != s.rows)
            slot_fails(i, "has " + number(s.rows) + " rows, but " + which + " has " + number(v.columns));
    }

    void check_each_once(Kind kind, int64_t count, const char* what) const {
        std::vector<bool> seen(static_cast<size_t>(count));
        int64_t found = 0;
        for (int64_t i = 0; i < program_.slots; ++i) {
            if (program_.slot[i].kind != kind) continue;
            if (seen[size_t(program_.slot[i].index)]) slot_fails(i, std::string("is a second slot of one ") + what);
            seen[size_t(program_.slot[i].index)] = true;
            ++found;
        }
        if (found != count) fail(number(count) + " of " + what + " were given, the program has " + number(found));
    }

    void check_code(int64_t i) const {
        const Code& c = program_.code[i];
        if (c.op < Op(0) || c.op >= Op::count) code_fails(i, "is unknown");
        check_destination(i);
        for (int k = 0; k < arity(c.op); ++k)
            if (c.operand[k] < 0 || c.operand[k] >= program_.slots) code_fails(i, "reads a slot that there is not");
        if (is_coupled(c.op))
            check_coupled(i);
        else
            check_pointwise(i);
    }

    void check_destination(int64_t i) const {
        const Code& c = program_.code[i];
        if (c.dst < 0 || c.dst >= program_.slots) code_fails(i, "writes a slot that there is not");
        const Kind kind = program_.slot[program_.root(c.dst)].kind;
        if (kind != Kind::temp && kind != Kind::output && kind != Kind::state && kind != Kind::record)
            code_fails(i, "writes slot " + number(c.dst) + ", which can only be read");
        if (program_.slot[c.dst].kind == Kind::view && c.op != Op::copy && c.op != Op::gather)
            code_fails(i, "writes a view; only copy and gather may");
        if (program_.slot[c.dst].rows != c.rows)
            code_fails(i, "is for " + number(c.rows) + " rows, its result has " + number(program_.slot[c.dst].rows));
    }

    // An operand may be the result itself. Through a view it would be read while it is being overwritten.
    void check_pointwise(int64_t i) const {
        const Code& c = program_.code[i];
        if (c.broadcast & ~int64_t(7)) code_fails(i, "has unknown broadcast bits");
        for (int k = 0; k < arity(c.op); ++k) {
            const bool one = c.broadcast >> k & 1;
            const int64_t rows = program_.slot[c.operand[k]].rows;
            if (rows != (one ? 1 : c.rows))
                code_fails(i, "is for " + number(c.rows) + " rows, operand " + number(k) + " has " + number(rows) +
                                  (one ? " and is broadcast" : ""));
            if (one && c.rows > 1 && program_.root(c.operand[k]) == program_.root(c.dst))
                code_fails(i, "overwrites the row that it broadcasts");
        }
    }

    void check_coupled(int64_t i) const {
        const Code& c = program_.code[i];
        const int64_t rows = program_.slot[c.operand[0]].rows;
        if (program_.root(c.operand[0]) == program_.root(c.dst)) code_fails(i, "writes what it reads");
        if (c.op == Op::gather) {
            if (c.extra < 0 || c.extra > program_.table_words || c.rows > program_.table_words - c.extra)
                code_fails(i, "has a table that leaves the program's");
            for (int64_t r = 0; r < c.rows; ++r) {
                const int64_t from = program_.table[c.extra + r];
                if (from < -1 || from >= rows) code_fails(i, "gathers row " + number(from) + " of " + number(rows));
            }
            return;
        }
        if (c.op == Op::sum_rows || c.op == Op::max_rows) {
            if (c.extra < 0 || c.extra > program_.table_words - 2)
                code_fails(i, "has a table that leaves the program's");
            const int64_t count = program_.table[c.extra], inner = program_.table[c.extra + 1];
            if (count < (c.op == Op::max_rows) || count > most_rows || inner < 1 || inner > most_rows ||
                c.rows % inner != 0 || rows != c.rows * count)
                code_fails(i, "reduces " + number(rows) + " rows by (" + number(count) + ", " + number(inner) +
                                  ") to " + number(c.rows));
            return;
        }
        check_matrix(i, rows);
    }

    void check_matrix(int64_t i, int64_t operand_rows) const {
        const Code& c = program_.code[i];
        if (c.extra < 0 || c.extra >= pass_.matrices.count) code_fails(i, "has a matrix that there is not");
        const fb_value& m = pass_.matrices.data[c.extra];
        const int64_t number_of = c.operand[2];
        if (m.dtype != scan_.dtype) code_fails(i, "has a matrix of another dtype");
        bool fits = false;
        if (c.op == Op::dense) fits = m.rows == c.rows && m.columns == operand_rows;
        if (c.op == Op::banded)
            fits = m.columns == c.rows && operand_rows == c.rows && number_of >= 0 && number_of < m.rows;
        if (c.op == Op::block)
            fits = number_of >= 1 && c.rows % number_of == 0 && operand_rows % number_of == 0 && m.rows == c.rows &&
                   m.columns == operand_rows / number_of;
        if (!fits)
            code_fails(i, "has a matrix (" + number(m.rows) + ", " + number(m.columns) + ") for " +
                              number(operand_rows) + " to " + number(c.rows) + " rows (c is " + number(number_of) +
                              ")");
    }

    const fb_scan& scan_;
    const fb_pass& pass_;
    const Checker* forward_;
    std::string name_;
    Program program_;
};

}  // namespace

void check_header(const fb_program& p) {
    constexpr int64_t header = Program::header;
    if (p.count < header) refuse("program: fewer than 3 words");
    const int64_t slots = p.words[0], codes = p.words[1], table = p.words[2];
    const bool fits = slots >= 0 && codes >= 0 && table >= 0 && slots <= p.count && codes <= p.count &&
                      table <= p.count &&
                      header + slots * Program::slot_words + codes * Program::code_words + table == p.count;
    if (!fits) refuse("program: its length is not what its first three words say");
}

int64_t slot_rows(const fb_program& words, int64_t kind, int64_t index) {
    check_header(words);
    const Program p(words);
    for (int64_t i = 0; i < p.slots; ++i)
        if (p.slot[i].kind == Kind(kind) && p.slot[i].index == index) return p.slot[i].rows;
    return -1;
}

void check(const fb_scan& scan, const fb_pass& forward, const fb_pass* adjoint) {
    if (scan.dtype != FB_FLOAT32 && scan.dtype != FB_FLOAT64) refuse("scan: the dtype is neither float32 nor float64");
    if (scan.steps < 0) refuse("scan: steps is negative");
    if (scan.checkpoint < -1) refuse("scan: checkpoint is neither -1, 0 nor a number of steps");
    const Checker program(scan, forward, nullptr);
    program.run();
    if (adjoint) Checker(scan, *adjoint, &program).run();
}

}  // namespace fb_check
