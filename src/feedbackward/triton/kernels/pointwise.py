"""The pointwise operations of the lane IR in Triton.

What the hardware has is Triton's own; the other functions are those of the device's mathematical library (libdevice on
NVIDIA, ocml on AMD; one or two units in the last place). Quotients and square roots of float32 are rounded correctly:
Triton's plain ones are not. NaN passes through everything, and a comparison is 1 or 0.
"""

from __future__ import annotations

import triton
import triton.language as tl

if triton.knobs.runtime.interpret:
    from . import interpreted as libdevice  # the interpreter has no library of the device's
else:
    from triton.language.extra import libdevice  # type: ignore[no-redef]


@triton.jit
def divide(a, b):
    """a / b, rounded correctly."""
    if a.dtype == tl.float32:
        return tl.div_rn(a, b)
    return a / b


@triton.jit
def square_root(a):
    """The square root, rounded correctly."""
    if a.dtype == tl.float32:
        return tl.sqrt_rn(a)
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
