// The matrices of a program's coupled instructions, packed once per call for all tiles.
#pragma once
#include "coupled/banded.hpp"
#include "coupled/block.hpp"
#include "coupled/dense.hpp"
#include "coupled/gather.hpp"
#include "coupled/reduce.hpp"

namespace FB_NAMESPACE {

template <class S>
struct Packed {
    const S* data;
    int64_t diagonals;
};

template <class S>
class Packs {
public:
    Packs() = default;
    explicit Packs(const fb_pass& pass) : program_(pass.program), offset_(program_.codes + 1) {
        diagonals_ = Zeros<int64_t>(program_.codes);
        for (int64_t i = 0; i < program_.codes; ++i) {
            const Code& c = program_.code[i];
            const int64_t source = program_.slot[c.operand[0]].rows;
            int64_t size = 0;
            if (c.op == Op::dense) size = dense_scalars<S>(c.rows, source);
            if (c.op == Op::banded) size = banded_scalars<S>(c.rows, diagonals_[i] = pass.matrices.data[c.extra].rows);
            if (c.op == Op::block) size = block_scalars<S>(c.rows, source / c.operand[2], c.operand[2]);
            offset_[i + 1] = offset_[i] + size;
        }
        arena_.lay([&](Arena& arena) { arena.take(data_, offset_[program_.codes]); });
        for (int64_t i = 0; i < program_.codes; ++i) {
            const Code& c = program_.code[i];
            if (offset_[i + 1] == offset_[i]) continue;
            const fb_value& m = pass.matrices.data[c.extra];
            S* to = data_ + offset_[i];
            if (c.op == Op::dense) pack_dense(m, to);
            if (c.op == Op::banded) pack_banded(m, c.operand[2], to);
            if (c.op == Op::block) pack_block(m, c.operand[2], to);
        }
    }

    Packed<S> of(int64_t code) const {
        if (!data_) return {nullptr, 0};
        return {data_ + offset_[code], diagonals_[code]};
    }

private:
    Program program_;
    Zeros<int64_t> offset_, diagonals_;
    Arena arena_;
    S* data_ = nullptr;
};

}  // namespace FB_NAMESPACE
