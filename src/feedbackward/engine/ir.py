"""The lane IR: one time step as a graph of values, each of some rows per lane.

    state[t], output[t] = step(state[t-1], sequence[t]; held, matrices)

A value has ``rows`` channels; what is one row serves all rows of a pointwise operation. Lanes do not appear: every
operation does the same in each of them. A `Graph` makes values, each only once.

Leaves
    constant (a float), held, sequence, state (an index): what a step reads;
    forward (a `Value` of another program's): in an adjoint, what the forward step computed.
Pointwise operations
    `UNARY`, `BINARY` and `TERNARY`: their names are the machine's; stop is a copy through which no gradient passes.
Coupled operations, which mix the rows
    gather (table)          v[r] = a[table[r]], and 0 where the table has -1
    concat                  the rows of all arguments, one after the other
    sum_rows, max_rows      (R, inner): a of outer * R * inner rows is reduced over R
    matrix (a `Matrix`)     a linear map whose weights all lanes share
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

UNARY = frozenset(
    (
        "copy neg abs sqrt rsqrt reciprocal exp expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh asinh "
        "acosh atanh tanh sigmoid erf erfc floor ceil trunc round sign float32 is_nan stop"
    ).split()
)
BINARY = frozenset("add sub mul div min max pow atan2 fmod remainder lt le gt ge eq ne".split())
TERNARY = frozenset(("where", "fma", "fms", "fnma"))
POINTWISE = UNARY | BINARY | TERNARY
LEAVES = frozenset(("constant", "held", "sequence", "state", "forward"))


@dataclass(frozen=True)
class Matrix:
    """Which matrix a linear map takes, and how it is stored.

    Attributes:
        index: Among the program's matrices.
        kind: ``"dense"`` (m, n), ``"banded"`` (lower + upper + 1, n) or ``"block"`` (groups, m, n).
        rows: Rows of the result.
        columns: Rows of the argument.
        transposed: Whether the map is the transpose of what is stored.
        lower: Diagonals below the main one (banded).
        groups: Blocks on the diagonal (block).
    """

    index: int
    kind: str
    rows: int
    columns: int
    transposed: bool = False
    lower: int = 0
    upper: int = 0
    groups: int = 1

    def transpose(self) -> Matrix:
        """The transposed map over the same stored weights."""
        return Matrix(
            self.index,
            self.kind,
            self.columns,
            self.rows,
            not self.transposed,
            self.upper,
            self.lower,
            self.groups,
        )


@dataclass(frozen=True, eq=False)
class Value:
    """The result of one operation in every lane; made by a `Graph`."""

    op: str
    args: tuple[Value, ...]
    rows: int
    attr: Any = None

    def __repr__(self) -> str:
        return f"{self.op}({self.attr if self.attr is not None else ''}):{self.rows}"


@dataclass
class Graph:
    """Makes values, the same one for the same operation on the same arguments."""

    known: dict[Any, Value] = field(default_factory=dict)

    def emit(self, op: str, *args: Value, rows: int | None = None, attr: Any = None) -> Value:
        """The value of an operation; without ``rows``, those of the widest argument."""
        if rows is None:
            rows = max(a.rows for a in args)
        if op in POINTWISE and rows > 1:
            args = tuple(a.args[0] if _is_one_row_repeated(a) else a for a in args)
            if all(a.rows == 1 for a in args):
                return self.widen(self.emit(op, *args, attr=attr), rows)
        if (simple := _simplified(self, op, args, rows, attr)) is not None:
            return simple
        key = (op, tuple(id(a) for a in args), rows, attr)
        if key not in self.known:
            self.known[key] = Value(op, args, rows, attr)
        return self.known[key]

    def constant(self, number: float) -> Value:
        """A number, as one row."""
        return self.emit("constant", rows=1, attr=_Number(number))

    def gather(self, value: Value, table: Sequence[int]) -> Value:
        """The rows that ``table`` names; a row of zeros for -1."""
        return self.emit("gather", value, rows=len(table), attr=tuple(table))

    def concat(self, values: Sequence[Value]) -> Value:
        """The rows of all values."""
        values = [part for v in values for part in (v.args if v.op == "concat" else (v,))]
        if len(values) == 1:
            return values[0]
        return self.emit("concat", *values, rows=sum(v.rows for v in values))

    def reduce(self, op: str, value: Value, count: int, inner: int = 1) -> Value:
        """``sum_rows`` or ``max_rows`` over the middle one of the axes (outer, count, inner)."""
        if count == 1:
            return value
        outer = value.rows // (count * inner) if count else value.rows
        return self.emit(op, value, rows=outer * inner, attr=(count, inner))

    def widen(self, value: Value, rows: int) -> Value:
        """One row, repeated; anything else as it is."""
        return value if value.rows == rows else self.gather(value, (0,) * rows)

    def apply(self, matrix: Matrix, value: Value) -> Value:
        """The linear map of ``matrix``."""
        return self.emit("matrix", value, rows=matrix.rows, attr=matrix)


class _Number(float):
    """A float that equals another by its bits, so that 0 and -0, and NaN, are themselves."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and self.hex() == other.hex()

    def __hash__(self) -> int:
        return hash(self.hex())


def _is_one_row_repeated(value: Value) -> bool:
    return value.op == "gather" and value.args[0].rows == 1 and not any(value.attr)


def _is(value: Value, number: float) -> bool:
    return value.op == "constant" and value.attr == _Number(number)


_OF_CONSTANTS: dict[str, Callable[[float], float]] = {"log": math.log, "reciprocal": lambda a: 1 / a}


def _simplified(g: Graph, op: str, args: tuple[Value, ...], rows: int, attr: Any) -> Value | None:
    """What an operation comes to without being run; only where it comes to the same for every number, NaN included."""
    if op in _OF_CONSTANTS and args[0].op == "constant" and args[0].attr > 0:  # as derivatives have them
        return g.constant(_OF_CONSTANTS[op](args[0].attr))
    if op in ("mul", "div") and _is(args[1], 1.0) and args[0].rows == rows:
        return args[0]
    if op == "mul" and _is(args[0], 1.0) and args[1].rows == rows:
        return args[1]
    if op == "mul" and _is(args[1], -1.0):
        return g.emit("neg", args[0], rows=rows) if args[0].rows == rows else None
    if op == "copy" and args[0].rows == rows:
        return args[0]
    if op == "neg" and args[0].op == "neg":
        return args[0].args[0]
    if op in ("mul", "div") and rows == max(a.rows for a in args):
        for i, a in enumerate(args):  # signs move outward, into a sum
            if a.op == "neg":
                rest = (*args[:i], a.args[0], *args[i + 1 :])
                return g.emit("neg", g.emit(op, *rest, rows=rows))
    if op in ("add", "sub") and args[1].op == "neg" and args[0].rows == rows:
        return g.emit("sub" if op == "add" else "add", args[0], args[1].args[0], rows=rows)
    if op == "add" and args[0].op == "neg":
        return g.emit("sub", args[1], args[0].args[0], rows=rows)
    if op == "add" and args[0].op == args[1].op == "gather" and args[0].rows == args[1].rows == rows:
        return _merged(g, *args)
    if op == "gather":
        (a,) = args
        if attr == tuple(range(a.rows)):
            return a
        if a.op == "gather":
            return g.gather(a.args[0], [a.attr[r] if r >= 0 else -1 for r in attr])
        if a.op == "concat" and attr:
            start = 0
            for part in a.args:  # a slice of what was put together from parts
                if all(start <= r < start + part.rows for r in attr):
                    return g.gather(part, [r - start for r in attr])
                start += part.rows
    return None


def _merged(g: Graph, a: Value, b: Value) -> Value | None:
    """The sum of two gathers of which one is always zero: the adjoints of slices, put together again."""
    if any(i >= 0 and j >= 0 for i, j in zip(a.attr, b.attr, strict=True)):
        return None
    if _first(b) < _first(a):
        a, b = b, a
    (x,), (y,) = a.args, b.args
    table = [i if i >= 0 else j + x.rows if j >= 0 else -1 for i, j in zip(a.attr, b.attr, strict=True)]
    return g.gather(g.concat([x, y]), table)


def _first(gather: Value) -> int:
    return next((row for row, source in enumerate(gather.attr) if source >= 0), 0)


@dataclass(frozen=True)
class Program:
    """One step: what it reads, and the values that it leaves.

    Attributes:
        held: Rows of every value that is constant in time.
        matrices: Every stored matrix, as its `Matrix` that is not transposed.
        sequences: Rows of every value that is read step by step.
        states: Rows of every state.
        outputs: What a step writes.
        after: What the states become.
    """

    held: tuple[int, ...]
    matrices: tuple[Matrix, ...]
    sequences: tuple[int, ...]
    states: tuple[int, ...]
    outputs: tuple[Value, ...]
    after: tuple[Value, ...]

    @cached_property
    def order(self) -> tuple[Value, ...]:
        """Every value that is needed, after its arguments."""
        return topological((*self.outputs, *self.after))

    @cached_property
    def text(self) -> str:
        """The program as text, from which `parse` makes it again."""
        number = {v: i for i, v in enumerate(self.order)}
        values = [
            [v.op, [number[a] for a in v.args], v.rows, _attr_to_data(v.attr)] for v in self.order if v.op != "forward"
        ]
        assert len(values) == len(number), "an adjoint is no program of its own"
        matrices = [vars(m) for m in self.matrices]
        ends = [[number[v] for v in vs] for vs in (self.outputs, self.after)]
        return json.dumps([self.held, matrices, self.sequences, self.states, values, *ends], separators=(",", ":"))

    def uses(self, op: str) -> set[int]:
        """The indices of the leaves of one kind that are read."""
        return {v.attr for v in self.order if v.op == op}


def parse(text: str) -> Program:
    """The program that `Program.text` wrote down."""
    held, matrices, sequences, states, listed, outputs, after = json.loads(text)
    graph, values = Graph(), list[Value]()
    for op, args, rows, data in listed:
        key = (op, tuple(id(values[a]) for a in args), rows, attr := _attr_of_data(op, data))
        value = graph.known.setdefault(key, Value(op, tuple(values[a] for a in args), rows, attr))
        values.append(value)
    return Program(
        tuple(held),
        tuple(Matrix(**m) for m in matrices),
        tuple(sequences),
        tuple(states),
        tuple(values[i] for i in outputs),
        tuple(values[i] for i in after),
    )


def _attr_to_data(attr: Any) -> Any:
    if isinstance(attr, _Number):
        return attr.hex()
    return vars(attr) if isinstance(attr, Matrix) else attr


def _attr_of_data(op: str, data: Any) -> Any:
    if op == "constant":
        return _Number(float.fromhex(data))
    if op == "matrix":
        return Matrix(**data)
    return tuple(data) if isinstance(data, list) else data


def topological(ends: Iterable[Value]) -> tuple[Value, ...]:
    """All values that lead to ``ends``, each after its arguments."""
    order: dict[Value, None] = {}
    stack = [(v, False) for v in reversed(list(ends))]
    while stack:
        value, ready = stack.pop()
        if value in order:
            continue
        if ready:
            order[value] = None
        else:
            stack.append((value, True))
            stack.extend((a, False) for a in reversed(value.args) if a not in order)
    return tuple(order)


def rebuild(graph: Graph, ends: Sequence[Value], leaf: Callable[[Value], Value]) -> tuple[Value, ...]:
    """The same values made again in another graph, with other leaves."""
    made: dict[Value, Value] = {}
    for v in topological(ends):
        if v.op in LEAVES and v.op != "constant":
            made[v] = leaf(v)
        else:
            made[v] = graph.emit(v.op, *(made[a] for a in v.args), rows=v.rows, attr=v.attr)
    return tuple(made[v] for v in ends)
