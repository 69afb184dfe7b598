"""The functions by which a cell may squash a value, by the names that Keras gives them; identity is torch's for linear.

Each is that of keras.activations with its defaults. Where a function has a corner, its slope there is torch's.
"""

from __future__ import annotations

from collections.abc import Callable

from .ir import Graph, Value
from .pointwise import POINTWISE, Formula, log1p_exp

F = Formula
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al., 2017, equation 14


def _sparse_plus(f: F, x: Value) -> Value:
    raised = f("add", x, 1)
    below = f("where", f("le", x, -1), 0, f("mul", f("mul", raised, raised), 0.25))
    return f("where", f("ge", x, 1), x, below)


def _sparse_sigmoid(f: F, x: Value) -> Value:
    return f("mul", f("add", POINTWISE["hardtanh"](f, x), 1), 0.5)


def _hard_sigmoid(f: F, x: Value) -> Value:
    return f("div", POINTWISE["relu6"](f, f("add", x, 3)), 6)


def _soft_shrink(f: F, x: Value) -> Value:
    return f("where", f("gt", x, 0.5), f("sub", x, 0.5), f("where", f("lt", x, -0.5), f("add", x, 0.5), 0))


def _squareplus(f: F, x: Value) -> Value:
    return f("mul", f("add", x, f("sqrt", f("add", f("mul", x, x), 4))), 0.5)


def _torch(name: str) -> Callable[[F, Value], Value]:
    return POINTWISE[name]


ACTIVATIONS: dict[str, Callable[[F, Value], Value]] = {
    "tanh": _torch("tanh"),
    "relu": _torch("relu"),
    "sigmoid": _torch("sigmoid"),
    "linear": lambda f, x: x,
    "identity": lambda f, x: x,
    "hard_sigmoid": _hard_sigmoid,
    "hard_tanh": _torch("hardtanh"),
    "softsign": lambda f, x: f("div", x, f("add", f("abs", x), 1)),
    "softplus": log1p_exp,
    "squareplus": _squareplus,
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": _sparse_sigmoid,
    "log_sigmoid": _torch("log_sigmoid"),
    "exponential": _torch("exp"),
    "elu": _torch("elu"),
    "celu": _torch("elu"),  # both have a slope of 1 on either side of 0
    "selu": lambda f, x: POINTWISE["elu"](f, x, _SELU_ALPHA, _SELU_SCALE),
    "gelu": _torch("gelu"),
    "silu": _torch("silu"),
    "swish": _torch("silu"),
    "hard_silu": lambda f, x: f("mul", x, _hard_sigmoid(f, x)),
    "hard_swish": lambda f, x: f("mul", x, _hard_sigmoid(f, x)),
    "mish": lambda f, x: f("mul", x, f("tanh", log1p_exp(f, x))),
    "relu6": _torch("relu6"),
    "leaky_relu": lambda f, x: POINTWISE["leaky_relu"](f, x, 0.2),
    "tanh_shrink": lambda f, x: f("sub", x, f("tanh", x)),
    "soft_shrink": _soft_shrink,
    "hard_shrink": lambda f, x: f("where", f("le", f("abs", x), 0.5), 0, x),
}
"""Formulas of one value."""


def activated(g: Graph, name: str, v: Value) -> Value:
    """The value of an activation."""
    return ACTIVATIONS[name](Formula(g, v.rows), v)
