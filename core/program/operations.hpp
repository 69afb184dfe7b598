// The operations of a program, in the order of their codes. r: a row of dst; every lane for itself.
#pragma once

// clang-format off: it does not settle on lists of macros

// dst[r] = f(a[r]). round: half to even; sign(NaN) is 0; float32 rounds to float32; is_nan is 1 or 0.
#define FB_UNARY(X) \
    X(copy) X(neg) X(abs) X(sqrt) X(rsqrt) X(reciprocal) X(exp) X(expm1) X(log) \
    X(log1p) X(log2) X(log10) X(sin) X(cos) X(tan) X(asin) X(acos) X(atan) \
    X(sinh) X(cosh) X(asinh) X(acosh) X(atanh) X(tanh) X(sigmoid) X(erf) X(erfc) \
    X(floor) X(ceil) X(trunc) X(round) X(sign) X(float32) X(is_nan)

// dst[r] = f(a[r], b[r]). min and max propagate NaN; fmod has the sign of a, remainder of b; comparisons are 1 or 0.
#define FB_BINARY(X) \
    X(add) X(sub) X(mul) X(div) X(min) X(max) X(pow) X(atan2) X(fmod) X(remainder) \
    X(lt) X(le) X(gt) X(ge) X(eq) X(ne)

// dst[r] = a ? b : c,   a b + c,   a b - c,   c - a b. In where, NaN is not 0.
#define FB_TERNARY(X) X(where) X(fma) X(fms) X(fnma)

// gather     dst[r] = a[table[extra + r]], 0 where the table says -1
// sum_rows   dst[o I + i] = sum over r < R of a[(o R + r) I + i], with (R, I) = table[extra], table[extra + 1]
// max_rows   the same with max
// dense      dst[i] = sum over j of m[i, j] a[j],   m = matrices[extra]
// banded     dst[i] = sum over d of m[d, i] a[i + d - c],   terms outside a skipped; c is a number
// block      dst[g R + i] = sum over j of m[g R + i, j] a[g C + j],   c groups of R rows and C columns
#define FB_COUPLED(X) X(gather) X(sum_rows) X(max_rows) X(dense) X(banded) X(block)

#define FB_OPERATIONS(X) FB_UNARY(X) FB_BINARY(X) FB_TERNARY(X) FB_COUPLED(X)
