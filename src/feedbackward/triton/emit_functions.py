"""The pointwise operations of the lane IR as source, in terms of `kernels.pointwise`."""

from __future__ import annotations

from collections.abc import Sequence

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


def expression(op: str, operands: Sequence[str], one: str, dtype: str) -> str:
    """The source of an operation on names."""
    return EXPRESSIONS[op].format(*operands, one=one, dtype=dtype)
