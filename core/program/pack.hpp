// The matrices of a program's coupled instructions, packed once per call for all tiles.
#pragma once
#include "../parallel.hpp"
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
    Packs(const fb_pass& pass, const fb_threads& threads) : program_(pass.program), offset_(program_.codes + 1) {
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
        const int64_t scalars = offset_[program_.codes];
        arena_.lay([&](Arena& arena) { arena.take(data_, scalars); });
        fb_prepare(data_, scalars * int64_t(sizeof(S)));
        constexpr int64_t shares = 16, worth_sharing = 1 << 16;
        const int64_t tasks = scalars < worth_sharing ? 1 : shares;
        parallel(threads, tasks, [&](int64_t task) {
            for (int64_t i = 0; i < program_.codes; ++i) pack(pass, i, task, tasks);
        });
    }

    Packed<S> of(int64_t code) const {
        if (!data_) return {nullptr, 0};
        return {data_ + offset_[code], diagonals_[code]};
    }

private:
    // A task's share of the matrix of a code: dense ones, which may be large, are shared, others are the first task's.
    void pack(const fb_pass& pass, int64_t code, int64_t task, int64_t tasks) const {
        const Code& c = program_.code[code];
        if (offset_[code + 1] == offset_[code] || (task && c.op != Op::dense)) return;
        const fb_value& m = pass.matrices.data[c.extra];
        S* to = data_ + offset_[code];
        if (c.op == Op::dense) pack_dense(m, task, tasks, to);
        if (c.op == Op::banded) pack_banded(m, c.operand[2], to);
        if (c.op == Op::block) pack_block(m, c.operand[2], to);
    }

    Program program_;
    Zeros<int64_t> offset_, diagonals_;
    Arena arena_;
    S* data_ = nullptr;
};

}  // namespace FB_NAMESPACE
