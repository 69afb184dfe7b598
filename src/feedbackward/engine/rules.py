"""The derivative of every operation, once, for both directions.

An operation v = f(a, b, ...) is linear in small changes: dv = p_a da + p_b db + ... For a pointwise operation the
partials p are values, and multiply; the others are linear maps. `push` takes tangents of the arguments to the tangent
of the result; `pull` takes the adjoint of the result to those of the arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .ir import POINTWISE, Graph, Value

Partial = Callable[[Graph, Value], Sequence[Value | None]]  # None: no change, whatever the argument does


class _Algebra:
    """Arithmetic on values, to write formulas as they are."""

    def __init__(self, g: Graph) -> None:
        self.g = g

    def __call__(self, op: str, *args: Value | float) -> Value:
        values = [a if isinstance(a, Value) else self.g.constant(a) for a in args]
        return self.g.emit(op, *values)


def _unary(formula: Callable[[_Algebra, Value, Value], Value | None]) -> Partial:
    return lambda g, v: (formula(_Algebra(g), v.args[0], v),)


def _one_over(f: _Algebra, a: Value) -> Value:
    return f("reciprocal", a)


def _square(f: _Algebra, a: Value) -> Value:
    return f("mul", a, a)


def _none(g: Graph, v: Value) -> Sequence[Value | None]:
    return (None,) * len(v.args)


def _div(g: Graph, v: Value) -> Sequence[Value]:
    f, (_, b) = _Algebra(g), v.args
    return f("reciprocal", b), f("neg", f("div", v, b))


def _pow(g: Graph, v: Value) -> Sequence[Value]:
    f, (a, b) = _Algebra(g), v.args
    d_a = f("where", f("eq", b, 0.0), 0.0, f("mul", b, f("pow", a, f("sub", b, 1.0))))
    if a.op == "constant" and a.attr != 0:
        return d_a, f("mul", v, f("log", a))
    at_zero = f("mul", f("eq", a, 0.0), f("ge", b, 0.0))
    return d_a, f("where", at_zero, 0.0, f("mul", v, f("log", a)))


def _atan2(g: Graph, v: Value) -> Sequence[Value]:
    f, (a, b) = _Algebra(g), v.args
    radius = f("add", _square(f, a), _square(f, b))
    scale = f("where", f("eq", radius, 0.0), 0.0, f("reciprocal", radius))
    return f("mul", b, scale), f("neg", f("mul", a, scale))


def _remainder(g: Graph, v: Value) -> Sequence[Value]:
    f, (a, b) = _Algebra(g), v.args
    return g.constant(1.0), f("div", f("sub", v, a), b)  # less the whole number of times that b is in a


def _fmod(g: Graph, v: Value) -> Sequence[Value]:
    f, (a, b) = _Algebra(g), v.args
    return g.constant(1.0), f("neg", f("trunc", f("div", a, b)))


def _extremum(chosen: str) -> Partial:
    """Where both are the same, each has half, as in torch."""

    def partials(g: Graph, v: Value) -> Sequence[Value]:
        f, (a, b) = _Algebra(g), v.args
        tie = f("mul", f("eq", a, b), 0.5)
        return f("add", f(chosen, a, b), tie), f("add", f(chosen, b, a), tie)

    return partials


_PARTIALS: dict[str, Partial] = {
    "copy": _unary(lambda f, a, v: f.g.constant(1.0)),
    "float32": _unary(lambda f, a, v: f.g.constant(1.0)),
    "neg": _unary(lambda f, a, v: f.g.constant(-1.0)),
    "abs": _unary(lambda f, a, v: f("sign", a)),
    "sqrt": _unary(lambda f, a, v: f("div", 0.5, v)),
    "rsqrt": _unary(lambda f, a, v: f("mul", f("mul", v, _square(f, v)), -0.5)),
    "reciprocal": _unary(lambda f, a, v: f("neg", _square(f, v))),
    "exp": _unary(lambda f, a, v: v),
    "expm1": _unary(lambda f, a, v: f("add", v, 1.0)),
    "log": _unary(lambda f, a, v: _one_over(f, a)),
    "log1p": _unary(lambda f, a, v: _one_over(f, f("add", a, 1.0))),
    "log2": _unary(lambda f, a, v: f("div", 1 / math.log(2), a)),
    "log10": _unary(lambda f, a, v: f("div", 1 / math.log(10), a)),
    "sin": _unary(lambda f, a, v: f("cos", a)),
    "cos": _unary(lambda f, a, v: f("neg", f("sin", a))),
    "tan": _unary(lambda f, a, v: f("add", _square(f, v), 1.0)),
    "asin": _unary(lambda f, a, v: f("rsqrt", f("sub", 1.0, _square(f, a)))),
    "acos": _unary(lambda f, a, v: f("neg", f("rsqrt", f("sub", 1.0, _square(f, a))))),
    "atan": _unary(lambda f, a, v: _one_over(f, f("add", _square(f, a), 1.0))),
    "sinh": _unary(lambda f, a, v: f("cosh", a)),
    "cosh": _unary(lambda f, a, v: f("sinh", a)),
    "asinh": _unary(lambda f, a, v: f("rsqrt", f("add", _square(f, a), 1.0))),
    "acosh": _unary(lambda f, a, v: f("rsqrt", f("sub", _square(f, a), 1.0))),
    "atanh": _unary(lambda f, a, v: _one_over(f, f("sub", 1.0, _square(f, a)))),
    "tanh": _unary(lambda f, a, v: f("sub", 1.0, _square(f, v))),
    "sigmoid": _unary(lambda f, a, v: f("mul", v, f("sub", 1.0, v))),
    "erf": _unary(lambda f, a, v: f("mul", f("exp", f("neg", _square(f, a))), 2 / math.sqrt(math.pi))),
    "erfc": _unary(lambda f, a, v: f("mul", f("exp", f("neg", _square(f, a))), -2 / math.sqrt(math.pi))),
    "add": lambda g, v: (g.constant(1.0), g.constant(1.0)),
    "sub": lambda g, v: (g.constant(1.0), g.constant(-1.0)),
    "mul": lambda g, v: (v.args[1], v.args[0]),
    "div": _div,
    "pow": _pow,
    "atan2": _atan2,
    "fmod": _fmod,
    "remainder": _remainder,
    "min": _extremum("lt"),
    "max": _extremum("gt"),
}
_STEPS = frozenset("floor ceil trunc round sign is_nan stop lt le gt ge eq ne".split())  # flat wherever they are smooth


def push(g: Graph, v: Value, tangents: Sequence[Value | None]) -> Value | None:
    """The tangent of ``v``, from those of its arguments; None is zero."""
    if v.op in _STEPS or all(t is None for t in tangents):
        return None
    if v.op == "where":
        zero = g.constant(0.0)
        return g.emit("where", v.args[0], *(t or zero for t in tangents[1:]), rows=v.rows)
    if v.op in POINTWISE:
        terms = [
            g.emit("mul", t, p, rows=v.rows)
            for p, t in zip(_PARTIALS[v.op](g, v), tangents, strict=True)
            if p is not None and t is not None
        ]
        return add(g, *terms)
    if v.op == "concat":
        zero = g.constant(0.0)
        return g.concat([t or g.widen(zero, a.rows) for a, t in zip(v.args, tangents, strict=True)])
    (tangent,) = tangents
    assert tangent is not None
    if v.op == "max_rows":
        return g.reduce("sum_rows", g.emit("mul", tangent, _share_of_maximum(g, v)), *v.attr)
    return g.emit(v.op, tangent, rows=v.rows, attr=v.attr)


def pull(g: Graph, v: Value, d: Value) -> Sequence[Value | None]:
    """The adjoint of every argument of ``v``, from that of ``v``; None is zero."""
    if v.op in _STEPS:
        return (None,) * len(v.args)
    if v.op == "where":
        mask, zero = v.args[0], g.constant(0.0)
        parts = (None, g.emit("where", mask, d, zero, rows=v.rows), g.emit("where", mask, zero, d, rows=v.rows))
        return tuple(p and _narrow(g, p, a.rows) for p, a in zip(parts, v.args, strict=True))
    if v.op in POINTWISE:
        return tuple(
            None if p is None else _narrow(g, g.emit("mul", d, p, rows=v.rows), a.rows)
            for p, a in zip(_PARTIALS[v.op](g, v), v.args, strict=True)
        )
    if v.op == "concat":
        starts = [sum(a.rows for a in v.args[:i]) for i in range(len(v.args))]
        return tuple(g.gather(d, range(s, s + a.rows)) for s, a in zip(starts, v.args, strict=True))
    (a,) = v.args
    if v.op == "gather":
        return (_scatter(g, d, v.attr, a.rows),)
    if v.op == "sum_rows":
        return (_spread(g, d, *v.attr),)
    if v.op == "max_rows":
        return (g.emit("mul", _spread(g, d, *v.attr), _share_of_maximum(g, v)),)
    assert v.op == "matrix"
    return (g.apply(v.attr.transpose(), d),)


def add(g: Graph, *terms: Value) -> Value:
    """The sum of at least one value."""
    total = terms[0]
    for term in terms[1:]:
        total = g.emit("add", total, term)
    return total


def _narrow(g: Graph, d: Value, rows: int) -> Value:
    """The adjoint of what served ``d.rows`` rows: their sum."""
    return d if d.rows == rows else g.reduce("sum_rows", d, d.rows)


def _spread(g: Graph, d: Value, count: int, inner: int) -> Value:
    """(outer, inner) repeated to (outer, count, inner)."""
    table = [o * inner + i for o in range(d.rows // inner) for _ in range(count) for i in range(inner)]
    return g.gather(d, table)


def _share_of_maximum(g: Graph, v: Value) -> Value:
    """1 where a row is the maximum of its group, shared evenly by those that are: torch's amax."""
    (a,) = v.args
    chosen = g.emit("eq", a, _spread(g, v, *v.attr))
    return g.emit("div", chosen, _spread(g, g.reduce("sum_rows", chosen, *v.attr), *v.attr))


def _scatter(g: Graph, d: Value, table: Sequence[int], rows: int) -> Value:
    """The adjoint of a gather: every source row receives the sum over the rows that took it."""
    takers: list[list[int]] = [[] for _ in range(rows)]
    for row, source in enumerate(table):
        if source >= 0:
            takers[source].append(row)
    most = max((len(t) for t in takers), default=0)
    arranged = g.gather(d, [t[k] if k < len(t) else -1 for k in range(most) for t in takers])
    return g.reduce("sum_rows", arranged, most, rows) if most else g.widen(g.constant(0.0), rows)
