// Elementary functions of a register of lanes: vexp<S, W>(x) and the like, for S float or double, W = 1 (the plain
// scalar) or any power of two.
//
// The same formulas for every instruction set and no branch, but where a comment says otherwise; a lane's result does
// not depend on its neighbors. A bound beside a function is its largest error in units of the last place, measured by
// tests/core/math.cpp, over float and double and all instruction sets. NaN passes through; infinities, signed zeros,
// subnormals, overflow and underflow are those of the C library.
#pragma once
#include "math/arc.hpp"
#include "math/erf.hpp"
#include "math/exp.hpp"
#include "math/hyperbolic.hpp"
#include "math/log.hpp"
#include "math/pow.hpp"
#include "math/round.hpp"
#include "math/trig.hpp"

namespace FB_NAMESPACE {
using math::vabs, math::vacos, math::vacosh, math::vasin, math::vasinh, math::vatan, math::vatan2, math::vatanh;
using math::vceil, math::vcos, math::vcosh, math::verf, math::verfc, math::vexp, math::vexpm1, math::vfloor;
using math::vfmod, math::vlog, math::vlog10, math::vlog1p, math::vlog2, math::vmax, math::vmin, math::vpow;
using math::vremainder, math::vround, math::vsigmoid, math::vsign, math::vsin, math::vsinh, math::vsqrt, math::vtan;
using math::vtanh, math::vtrunc;
}  // namespace FB_NAMESPACE
