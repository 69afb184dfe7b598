// Which values of the user's a tile reads and writes where they are, instead of staging them.
//
// One row of lanes that lie side by side is already what an instruction wants, if every tile is full and its lanes fill
// whole vectors. Such a slot has a region of its own, whose steps are as far apart as the user's frames are.
#pragma once
#include "tiling.hpp"

namespace FB_NAMESPACE {

class Direct {
public:
    Direct() = default;
    Direct(const Space& space, const Tiling& tiling, int shape, int64_t vector)
        : space_(&space), possible_(tiling.width(shape) % vector == 0 && tiling.is_full(shape)) {}

    // Whether nothing but pointwise instructions touches what a program reads and writes.
    void also(const Program& p) {
        for (int64_t i = 0; i < p.codes; ++i) possible_ &= !is_coupled(p.code[i].op);
    }

    bool takes(const fb_value& v, int64_t rows) const {
        return possible_ && v.data && rows == 1 && v.columns == 1 && space_->adjacent(v.lane_strides);
    }

private:
    const Space* space_ = nullptr;
    bool possible_ = false;
};

}  // namespace FB_NAMESPACE
