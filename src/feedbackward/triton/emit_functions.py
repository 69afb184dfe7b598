"""The pointwise operations of the lane IR in Triton.

What the hardware has is Triton's own; the other functions are those of the device's mathematical library (libdevice on
NVIDIA, ocml on AMD; one or two units in the last place). Quotients and square roots of float32 are rounded correctly:
Triton's plain ones are not. NaN passes through everything, and a comparison is 1 or 0.
"""

from __future__ import annotations

import triton
import triton.language as tl

if triton.knobs.runtime.interpret:  # the interpreter has no library of the device's
    from . import emit_interpreted as libdevice
else:
    from triton.language.extra import libdevice


@triton.jit
def divide(a, b):
    """a / b, rounded correctly."""
    if a.dtype == tl.float32:
        return tl.div_rn(a, b)
    else:
        return a / b


@triton.jit
def square_root(a):
    """The square root, rounded correctly."""
    if a.dtype == tl.float32:
        return tl.sqrt_rn(a)
    else:
        return tl.sqrt(a)


@triton.jit
def sigmoid(a):
    """1 / (1 + exp(-a)): exp may overflow, and 1 / inf is 0."""
    return divide(tl.full(a.shape, 1.0, a.dtype), 1.0 + libdevice.exp(-a))


@triton.jit
def sign(a):
    """1, 0 or -1; 0 for NaN, as in torch."""
    return (a > 0).to(a.dtype) - (a < 0).to(a.dtype)


@triton.jit
def minimum(a, b):
    """The smaller one; NaN if either is."""
    return tl.where((a != a) | (a < b), a, b)


@triton.jit
def maximum(a, b):
    """The larger one; NaN if either is."""
    return tl.where((a != a) | (a > b), a, b)


@triton.jit
def remainder(a, b):
    """a less the whole number of times that b is in it, rounded down: the sign is that of b."""
    rest = libdevice.fmod(a, b)
    return tl.where((rest != 0) & ((rest < 0) != (b < 0)), rest + b, rest)


@triton.jit
def greatest(a, valid):
    """The maximum over the second axis where ``valid``; NaN if one is there."""
    flawed = tl.max(tl.where(valid & (a != a), 1, 0), axis=1, keep_dims=True)
    most = tl.max(tl.where(valid & (a == a), a, float("-inf")), axis=1, keep_dims=True)
    return tl.where(flawed > 0, float("nan"), most)


EXPRESSIONS = {
    "copy": "{0}",
    "stop": "{0}",
    "neg": "-{0}",
    "abs": "tl.abs({0})",
    "sqrt": "square_root({0})",
    "rsqrt": "divide({one}, square_root({0}))",
    "reciprocal": "divide({one}, {0})",
    "sigmoid": "sigmoid({0})",
    "floor": "libdevice.floor({0})",
    "ceil": "libdevice.ceil({0})",
    "trunc": "libdevice.trunc({0})",
    "round": "libdevice.rint({0})",
    "sign": "sign({0})",
    "float32": "{0}.to(tl.float32).to({dtype})",
    "is_nan": "({0} != {0}).to({dtype})",
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "divide({0}, {1})",
    "min": "minimum({0}, {1})",
    "max": "maximum({0}, {1})",
    "remainder": "remainder({0}, {1})",
    "lt": "({0} < {1}).to({dtype})",
    "le": "({0} <= {1}).to({dtype})",
    "gt": "({0} > {1}).to({dtype})",
    "ge": "({0} >= {1}).to({dtype})",
    "eq": "({0} == {1}).to({dtype})",
    "ne": "({0} != {1}).to({dtype})",
    "where": "tl.where({0} != 0, {1}, {2})",
    "fma": "tl.fma({0}, {1}, {2})",
    "fms": "tl.fma({0}, {1}, -{2})",
    "fnma": "tl.fma(-{0}, {1}, {2})",
}
EXPRESSIONS |= {
    name: f"libdevice.{name}({{0}})"
    for name in (
        "exp expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh asinh acosh atanh tanh erf erfc"
    ).split()
}
EXPRESSIONS |= {name: f"libdevice.{name}({{0}}, {{1}})" for name in ("pow", "atan2", "fmod")}


def expression(op: str, operands: list[str], one: str, dtype: str) -> str:
    """The source of an operation on names."""
    return EXPRESSIONS[op].format(*operands, one=one, dtype=dtype)
