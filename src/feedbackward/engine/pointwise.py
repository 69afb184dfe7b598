"""ATen's pointwise operators in terms of the lane IR's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .ir import Graph, Value

Operand = Value | float


class Formula:
    """Writes pointwise formulas of ``rows`` rows into a graph."""

    def __init__(self, g: Graph, rows: int) -> None:
        self.g, self.rows = g, rows

    def __call__(self, op: str, *args: Operand) -> Value:
        """The value of one operation."""
        values = [a if isinstance(a, Value) else self.g.constant(float(a)) for a in args]
        return self.g.emit(op, *values, rows=self.rows)


F = Formula
_HALF, _ROOT_2, _ROOT_2_OVER_PI = 0.5, math.sqrt(2), math.sqrt(2 / math.pi)


def _scaled(f: F, x: Operand, alpha: float) -> Operand:
    return x if alpha == 1 else f("mul", x, alpha)


def _div(f: F, a: Operand, b: Operand, rounding_mode: str | None = None) -> Value:
    quotient = f("div", a, b)
    if rounding_mode == "floor":  # of the exact quotient, not of the rounded one
        rest = f("fmod", a, b)
        below = f("mul", f("ne", rest, 0), f("ne", f("lt", b, 0), f("lt", rest, 0)))
        exact = f("round", f("sub", f("div", f("sub", a, rest), b), below))
        return f("where", f("eq", b, 0), quotient, exact)
    return quotient if rounding_mode is None else f(rounding_mode, quotient)


def _pow(f: F, a: Operand, b: Operand) -> Value:
    known: dict[float, Callable[[], Value]] = {
        1.0: lambda: f("copy", a),
        2.0: lambda: f("mul", a, a),
        3.0: lambda: f("mul", f("mul", a, a), a),
        4.0: lambda: f("mul", f("mul", a, a), f("mul", a, a)),
        0.5: lambda: f("sqrt", a),
        -0.5: lambda: f("rsqrt", a),
        -1.0: lambda: f("reciprocal", a),
        -2.0: lambda: f("reciprocal", f("mul", a, a)),
    }
    if not isinstance(b, Value) and float(b) in known:
        return known[float(b)]()
    return f("pow", a, b)


def _clamp(f: F, x: Operand, low: Operand | None = None, high: Operand | None = None) -> Operand:
    for sign, bound in (("lt", low), ("gt", high)):
        if bound is not None:
            x = f("where", f(sign, x, bound), bound, x)
        if isinstance(bound, Value):
            x = f("where", f("is_nan", bound), bound, x)
    return x


def _hardtanh(f: F, x: Operand, low: float = -1, high: float = 1) -> Value:
    """A clamp that is flat at its bounds already."""
    return f("where", f("le", x, low), low, f("where", f("ge", x, high), high, x))


def _relu(f: F, x: Operand) -> Value:
    return f("where", f("le", x, 0), 0, x)


def _gelu(f: F, x: Operand, approximate: str = "none") -> Value:
    if approximate == "tanh":
        inner = f("mul", f("mul", x, f("add", f("mul", f("mul", x, x), 0.044715), 1)), _ROOT_2_OVER_PI)
        return f("mul", f("mul", x, _HALF), f("add", f("tanh", inner), 1))
    return f("mul", f("mul", x, _HALF), f("add", f("erf", f("mul", x, 1 / _ROOT_2)), 1))


def _elu(f: F, x: Operand, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Value:
    safe = f("where", f("gt", x, 0), 0, x)  # no infinity on the side that is not taken
    below = f("mul", f("expm1", f("mul", safe, input_scale)), alpha * scale)
    return f("where", f("gt", x, 0), f("mul", x, scale), below)


def _softplus(f: F, x: Operand, beta: float = 1, threshold: float = 20) -> Value:
    scaled = f("mul", x, beta)
    safe = f("where", f("gt", scaled, threshold), 0, scaled)
    return f("where", f("gt", scaled, threshold), x, f("div", f("log1p", f("exp", safe)), beta))


def log1p_exp(f: F, x: Operand) -> Value:
    """log(1 + exp x): the exponential never overflows, and the slope at 0 is 1/2 like from either side."""
    is_above = f("gt", x, 0)
    small = f("where", is_above, f("neg", x), x)
    return f("add", f("where", is_above, x, 0), f("log1p", f("exp", small)))


def _log_sigmoid(f: F, x: Operand) -> Value:
    return f("neg", log1p_exp(f, f("neg", x)))


def _lerp(f: F, a: Operand, b: Operand, weight: Operand) -> Value:
    return f("add", a, f("mul", weight, f("sub", b, a)))


def _not(f: F, a: Operand) -> Value:
    return f("eq", a, 0)


def _and(f: F, a: Operand, b: Operand) -> Value:
    return f("mul", f("ne", a, 0), f("ne", b, 0))


def _or(f: F, a: Operand, b: Operand) -> Value:
    return f("max", f("ne", a, 0), f("ne", b, 0))


def _xor(f: F, a: Operand, b: Operand) -> Value:
    return f("ne", f("ne", a, 0), f("ne", b, 0))


def _is_infinite(f: F, a: Operand) -> Value:
    return f("eq", f("abs", a), math.inf)


def _is_finite(f: F, a: Operand) -> Value:
    return f("lt", f("abs", a), math.inf)


def _logaddexp(f: F, a: Operand, b: Operand) -> Value:
    return f("add", f("max", a, b), f("log1p", f("exp", f("neg", f("abs", f("sub", a, b))))))


def _hypot(f: F, a: Operand, b: Operand) -> Value:
    return f("sqrt", f("add", f("mul", a, a), f("mul", b, b)))


def _xlogy(f: F, a: Operand, b: Operand) -> Value:
    """a log b, and 0 for a = 0, where the derivative to a is log b all the same."""
    nothing = f("mul", f("eq", a, 0), f("max", f("le", b, 0), f("eq", b, math.inf)))
    return f("mul", a, f("log", f("where", nothing, 1, b)))


def _round(f: F, a: Operand, decimals: int = 0) -> Value:
    scale = 10.0**decimals
    return f("round", a) if decimals == 0 else f("div", f("round", f("mul", a, scale)), scale)


def _threshold(f: F, x: Operand, threshold: float, value: float) -> Value:
    return f("where", f("le", x, threshold), value, x)


def _hardsigmoid(f: F, x: Operand) -> Operand:
    return _clamp(f, f("add", f("div", x, 6), _HALF), 0, 1)


def _named(op: str) -> Callable[..., Value]:
    return lambda f, *args: f(op, *args)


POINTWISE: dict[str, Callable[..., Any]] = {
    **{
        name: _named(name)
        for name in (
            "neg abs sqrt rsqrt reciprocal exp expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh asinh "
            "acosh atanh tanh sigmoid erf erfc floor ceil trunc sign mul atan2 fmod remainder lt le gt ge eq ne"
        ).split()
    },
    "add": lambda f, a, b, alpha=1: f("add", a, _scaled(f, b, alpha)),
    "sub": lambda f, a, b, alpha=1: f("sub", a, _scaled(f, b, alpha)),
    "rsub": lambda f, a, b, alpha=1: f("sub", b, _scaled(f, a, alpha)),
    "div": _div,
    "true_divide": _div,
    "floor_divide": lambda f, a, b: _div(f, a, b, "floor"),
    "pow": _pow,
    "square": lambda f, a: f("mul", a, a),
    "exp2": lambda f, a: f("exp", f("mul", a, math.log(2))),
    "maximum": _named("max"),
    "minimum": _named("min"),
    "where": lambda f, m, a, b: f("where", m, a, b),
    "masked_fill": lambda f, a, m, value: f("where", m, value, a),
    "clamp": _clamp,
    "clip": _clamp,
    "clamp_min": lambda f, x, low: _clamp(f, x, low),
    "clamp_max": lambda f, x, high: _clamp(f, x, None, high),
    "hardtanh": _hardtanh,
    "relu": _relu,
    "relu6": lambda f, x: _hardtanh(f, x, 0, 6),
    "threshold": _threshold,
    "leaky_relu": lambda f, x, slope=0.01: f("where", f("gt", x, 0), x, f("mul", x, slope)),
    "gelu": _gelu,
    "elu": _elu,
    "celu": lambda f, x, alpha=1: _elu(f, x, alpha, 1, 1 / alpha),
    "softplus": _softplus,
    "silu": lambda f, x: f("mul", x, f("sigmoid", x)),
    "mish": lambda f, x: f("mul", x, f("tanh", _softplus(f, x))),
    "hardsigmoid": _hardsigmoid,
    "hardswish": lambda f, x: f("mul", x, _hardsigmoid(f, x)),
    "log_sigmoid": _log_sigmoid,
    "lerp": _lerp,
    "addcmul": lambda f, a, b, c, value=1: f("add", a, _scaled(f, f("mul", b, c), value)),
    "addcdiv": lambda f, a, b, c, value=1: f("add", a, _scaled(f, f("div", b, c), value)),
    "logical_not": _not,
    "bitwise_not": _not,
    "logical_and": _and,
    "bitwise_and": _and,
    "logical_or": _or,
    "bitwise_or": _or,
    "logical_xor": _xor,
    "bitwise_xor": _xor,
    "isnan": lambda f, a: f("is_nan", a),
    "isinf": _is_infinite,
    "isfinite": _is_finite,
    "sgn": _named("sign"),
    "round": _round,
    "logaddexp": _logaddexp,
    "hypot": _hypot,
    "xlogy": _xlogy,
    "logit": lambda f, a: f("log", f("div", a, f("sub", 1, a))),
    "frac": lambda f, a: f("sub", a, f("trunc", a)),
    "clone": _named("copy"),
    "alias": _named("copy"),
    "contiguous": _named("copy"),
    "lift_fresh_copy": _named("copy"),
    "detach": _named("stop"),
    "detach_copy": _named("stop"),
    "copy": lambda f, a, b: f("copy", b),
    "fill": lambda f, a, b: f("copy", b),
    "zeros_like": lambda f, a: f("copy", 0),
    "ones_like": lambda f, a: f("copy", 1),
    "full_like": lambda f, a, value: f("copy", value),
}
"""By the operator's name without its overload; arguments are values or numbers."""
