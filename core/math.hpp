// Elementary functions of a register of lanes: vexp<S, W>(x) and the like, for S float or double, W = 1 (the plain
// scalar) or any power of two.
//
// The same formulas for every instruction set, without a branch (but where a comment says otherwise), so that a lane's
// result does not depend on its neighbors. A bound beside a function is its largest error in units of the last place,
// measured by tests/core/math.cpp, over float and double and all instruction sets. NaN passes through; infinities,
// signed zeros, subnormals, overflow and underflow are those of the C library.
#pragma once
#include "math/exp.hpp"
#include "math/log.hpp"
#include "math/round.hpp"
#include "math/trig.hpp"
