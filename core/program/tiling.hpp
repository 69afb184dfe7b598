// How lanes become tiles: a function of the program and the number of lanes alone.
//
// Few lanes are tiles of their own, whose vectors run along rows. Otherwise a tile is as wide as its working set
// allows, so that an instruction does much at once; what wide tiles leave over is cut into narrower ones.
#pragma once
#include "../lanes.hpp"
#include "program.hpp"

namespace FB_NAMESPACE {

struct Tiling {
    static constexpr int64_t few = 4, half = 8, narrow = 16, wide = 64, widest = 256;

    int64_t lanes, width_of_wide = wide, wide_tiles = 0;
    int rest;  // lanes per tile beside the wide ones

    Tiling(int64_t lanes, const Program& p, int64_t scalar_bytes) : lanes(lanes) {
        constexpr int64_t cache = 128 * 1024, inner_cache = 16 * 1024, large = 64, enough_tiles = 4;
        int64_t rows = 0;
        for (int64_t i = 0; i < p.slots; ++i)
            if (p.slot[i].kind != Kind::view) rows += p.slot[i].rows;
        if (lanes <= few)
            rest = 1;
        else if (lanes <= half || (lanes <= narrow && rows >= large))
            rest = half;  // two threads share 16 lanes
        else
            rest = narrow;
        if (lanes < 2 * wide || rows * wide * scalar_bytes > cache) return;
        // Both numbers are powers of two: instructions rely on it.
        for (int64_t w = 2 * wide; w <= widest; w *= 2)
            if (lanes >= enough_tiles * w && rows * w * scalar_bytes <= inner_cache &&
                effort(w) < effort(width_of_wide))
                width_of_wide = w;
        wide_tiles = lanes / width_of_wide;
    }

    int64_t tiles() const { return wide_tiles + (lanes - wide_tiles * width_of_wide + rest - 1) / rest; }

    Tile tile(int64_t index) const {
        if (index < wide_tiles) return {index * width_of_wide, int(width_of_wide), int(width_of_wide)};
        const int64_t first = wide_tiles * width_of_wide + (index - wide_tiles) * rest;
        return {first, int(least<int64_t>(rest, lanes - first)), rest};
    }

    // Whether all tiles of a width have as many lanes as that.
    bool is_full(int shape) const { return shape == 0 || (lanes - wide_tiles * width_of_wide) % rest == 0; }

    // 0 for wide tiles, 1 for the rest.
    int shape(int64_t index) const { return index >= wide_tiles; }
    int width(int shape) const { return shape ? rest : int(width_of_wide); }

private:
    // Of all tiles, if the wide ones have w lanes: dispatching an instruction costs as much as its work on 64 lanes.
    int64_t effort(int64_t w) const {
        constexpr int64_t dispatch = 64;
        const int64_t left = lanes % w;
        return lanes / w * (dispatch + w) + (left + rest - 1) / rest * (dispatch + rest);
    }
};

}  // namespace FB_NAMESPACE
