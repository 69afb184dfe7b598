// How lanes become tiles: a function of the program and the number of lanes alone.
//
// Few lanes are tiles of their own, whose vectors run along rows. Otherwise a tile is as wide as its working set
// allows; what wide tiles leave over is cut into narrower ones.
#pragma once
#include "../lanes.hpp"
#include "program.hpp"

namespace FB_NAMESPACE {

struct Tiling {
    static constexpr int64_t few = 4, half = 8, narrow = 16, wide = max_lanes;

    int64_t lanes, wide_tiles = 0;
    int rest;  // lanes per tile beside the wide ones

    Tiling(int64_t lanes, const Program& p, int64_t scalar_bytes) : lanes(lanes) {
        constexpr int64_t cache = 128 * 1024, large = 64, worth_wide = 2 * wide;
        int64_t rows = 0;
        for (int64_t i = 0; i < p.slots; ++i)
            if (p.slot[i].kind != Kind::view) rows += p.slot[i].rows;
        if (lanes <= few)
            rest = 1;
        else if (lanes <= half || (lanes <= narrow && rows >= large))
            rest = half;  // two threads share 16 lanes
        else
            rest = narrow;
        if (lanes >= worth_wide && rows * wide * scalar_bytes <= cache) wide_tiles = lanes / wide;
    }

    int64_t tiles() const { return wide_tiles + (lanes - wide_tiles * wide + rest - 1) / rest; }

    Tile tile(int64_t index) const {
        if (index < wide_tiles) return {index * wide, wide, wide};
        const int64_t first = wide_tiles * wide + (index - wide_tiles) * rest;
        return {first, int(least<int64_t>(rest, lanes - first)), rest};
    }

    // 0 for wide tiles, 1 for the rest.
    int shape(int64_t index) const { return index >= wide_tiles; }
    int width(int shape) const { return shape ? rest : int(wide); }
};

}  // namespace FB_NAMESPACE
