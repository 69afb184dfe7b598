// A program over all lanes and all time, forward or backward.
#pragma once
#include "../parallel.hpp"
#include "task.hpp"
#include "tiling.hpp"

namespace FB_NAMESPACE {

template <class S>
class Scan {
public:
    Scan(const fb_scan& scan, const fb_pass& forward, const fb_pass* adjoint)
        : scan_(scan),
          forward_(forward),
          adjoint_(adjoint),
          program_(forward.program),
          space_(scan.dims, scan.sizes),
          tiling_(space_.count, program_, sizeof(S)) {
        if (adjoint) adjoint_program_ = Program(adjoint->program);
        if (scan_.checkpoint == 0 && keeps_all()) scan_.checkpoint = -1;
    }

    int64_t saved_bytes() {
        int64_t scalars = 0;
        for (int shape = 0; shape < 2; ++shape) {
            const int64_t tiles = shape ? tiling_.tiles() - tiling_.wide_tiles : tiling_.wide_tiles;
            if (tiles) scalars += tiles * saved_scalars(tiling_.width(shape));
        }
        return scalars * int64_t(sizeof(S));
    }

    void run(const fb_threads& given) {
        constexpr int64_t most_tasks = 256;
        const fb_threads& threads = worth_waking(given, multiplications());
        const int64_t tiles = tiling_.tiles(), tasks = least(tiles, most_tasks);
        if (!tiles) return;
        const bool replays = !adjoint_ || scan_.checkpoint != -1 || !scan_.saved;
        const Packs<S> packs = replays ? Packs<S>(forward_, threads) : Packs<S>();
        const Packs<S> adjoint_packs = adjoint_ ? Packs<S>(*adjoint_, threads) : Packs<S>();
        for (int shape = 0; shape < 2; ++shape)
            if (shape ? tiles > tiling_.wide_tiles : tiling_.wide_tiles > 0)
                plan_[shape] = plan(shape, packs, adjoint_packs);
        parallel(threads, tasks, [&](int64_t i) { work(tiles * i / tasks, tiles * (i + 1) / tasks); });
    }

private:
    double multiplications() const {
        double step = 0;
        for (const Program* program : {&program_, &adjoint_program_})
            for (int64_t i = 0; i < program->codes; ++i) {
                const Code& c = program->code[i];
                step += double(c.rows) * (c.op == Op::dense ? double(program->slot[c.operand[0]].rows) : 1);
            }
        return step * double(space_.count) * double(scan_.steps);
    }

    void work(int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end;) {
            const int shape = tiling_.shape(i);
            Task<S> task(scan_, forward_, adjoint_, plan_[shape], space_);
            for (; i < end && tiling_.shape(i) == shape; ++i)
                adjoint_ ? task.backward(tiling_.tile(i), saved(i)) : task.forward(tiling_.tile(i), saved(i));
        }
    }

    Plan<S> plan(int shape, const Packs<S>& packs, const Packs<S>& adjoint_packs) const {
        Direct direct(space_, tiling_, shape, native<S>);
        direct.also(program_);
        if (!adjoint_)
            return {scan_, program_,      nullptr, forward_, nullptr,
                    packs, adjoint_packs, false,   &direct,  tiling_.width(shape)};
        direct.also(adjoint_program_);
        return {scan_, program_,      &adjoint_program_, forward_, adjoint_,
                packs, adjoint_packs, written(),         &direct,  tiling_.width(shape)};
    }

    // Whether the caller has all that the adjoint reads of the forward program's results.
    bool written() const {
        for (int64_t i = 0; i < adjoint_program_.slots; ++i) {
            if (adjoint_program_.slot[i].kind != Kind::forward) continue;
            const Slot& read = program_.slot[program_.root(adjoint_program_.slot[i].index)];
            if (read.kind == Kind::record) return false;
            if (read.kind == Kind::output && !forward_.outputs.data[read.index].data) return false;
            if (read.kind == Kind::state && !forward_.after.data[read.index].data) return false;
        }
        return true;
    }

    // Where a tile's part of `saved` begins.
    S* saved(int64_t tile) const {
        if (!scan_.saved) return nullptr;
        const int64_t wide = least(tile, tiling_.wide_tiles);
        S* from = static_cast<S*>(scan_.saved);
        if (wide) from += wide * plan_[0].saved();
        if (tile > wide) from += (tile - wide) * plan_[1].saved();
        return from;
    }

    // Whether backward should find all that forward computed instead of replaying it: where that is so little that it
    // stays in cache from forward to backward, the more so as wide tiles replay faster; and where large matrices make
    // replaying it slower than memory is, as long as there is not too much of it.
    bool keeps_all() const {
        constexpr double dear = 128, bound = 1 << 30;  // multiplications for a scalar that is kept; bytes
        const double little = tiling_.wide_tiles ? 2 << 20 : 4 << 20;
        double scalars = 0, products = 0;
        for (int shape = 0; shape < 2; ++shape) {
            const int64_t tiles = shape ? tiling_.tiles() - tiling_.wide_tiles : tiling_.wide_tiles;
            if (!tiles) continue;
            const Slots<S> slots(program_, tiling_.width(shape), {true, true}, nullptr);
            scalars += double(tiles) * double(slots.room(scan_.steps)) * double(slots.size[kept]);
        }
        for (int64_t i = 0; i < program_.codes; ++i) {
            const Code& c = program_.code[i];
            if (c.op == Op::dense) products += double(c.rows) * double(program_.slot[c.operand[0]].rows);
        }
        products *= double(space_.count) * double(scan_.steps);
        const double bytes = scalars * sizeof(S);
        return bytes <= little || (products >= dear * scalars && bytes <= bound);
    }

    int64_t saved_scalars(int L) const {
        fb_scan scan = scan_;
        char something;
        scan.saved = &something;
        const Packs<S> none;
        return Plan<S>(scan, program_, nullptr, forward_, nullptr, none, none, false, nullptr, L).saved();
    }

    fb_scan scan_;  // the caller's, but for a checkpoint that the core chooses
    const fb_pass& forward_;
    const fb_pass* adjoint_;
    Program program_, adjoint_program_;
    Space space_;
    Tiling tiling_;
    Plan<S> plan_[2];
};

}  // namespace FB_NAMESPACE
