// A program as the core reads it: the caller's words, seen as slots and codes. check.cpp has checked them before.
#pragma once
#include <cstdint>

#include "../feedbackward.h"
#include "operations.hpp"

namespace FB_NAMESPACE {

enum class Op : int64_t {
#define FB_NAME(name) name,
    FB_OPERATIONS(FB_NAME)
#undef FB_NAME
        count
};

enum class Kind : int64_t { temp, constant, held, sequence, output, state, record, view, forward, before, count };

struct Slot {
    Kind kind;
    int64_t index, rows, extra;
};

struct Code {
    Op op;
    int64_t rows, dst, operand[3], broadcast, extra;
};

struct Program {
    static constexpr int64_t header = 3, slot_words = 4, code_words = 8;

    int64_t slots = 0, codes = 0, table_words = 0;
    const Slot* slot = nullptr;
    const Code* code = nullptr;
    const int64_t* table = nullptr;

    Program() = default;
    explicit Program(const fb_program& p)
        : slots(p.words[0]),
          codes(p.words[1]),
          table_words(p.words[2]),
          slot(reinterpret_cast<const Slot*>(p.words + header)),
          code(reinterpret_cast<const Code*>(p.words + header + slots * slot_words)),
          table(p.words + header + slots * slot_words + codes * code_words) {}

    // The slot that a slot is part of.
    int64_t root(int64_t i) const { return slot[i].kind == Kind::view ? slot[i].index : i; }
};

static_assert(sizeof(Slot) == Program::slot_words * 8 && sizeof(Code) == Program::code_words * 8);

constexpr bool is_coupled(Op op) { return op >= Op::gather; }
constexpr int arity(Op op) { return op <= Op::is_nan ? 1 : op <= Op::ne ? 2 : op <= Op::fnma ? 3 : 1; }

}  // namespace FB_NAMESPACE
