"""Where a value's rows are cut into tiles, so that slices and stacks need no exchange between threads.

The gates of an LSTM are slices of one sum: if the sum is never put together, nothing has to be taken apart. So a slice
cuts what it is taken from, and what is computed row by row is cut like its arguments, until nothing changes any more.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ..engine.ir import POINTWISE, Program, Value
from ..engine.order import Order

MOST = 16  # tiles of one value


def cuts_of(program: Program, order: Order, every_row: bool) -> dict[Value, tuple[int, ...]]:
    """The rows at which every value is cut, 0 and the end among them.

    Args:
        program: What is computed; a state is cut like the state after the step.
        order: Its values.
        every_row: Whether every row is a tile of its own.
    """
    values = list(dict.fromkeys([*order.values, *program.order, *program.outputs, *program.after]))
    if every_row:
        return {v: tuple(range(v.rows + 1)) for v in values}
    ties = list(_ties(program, order, values))
    cuts: dict[Value, set[int]] = {v: set() for v in values}
    for v in values:
        if v.op == "concat":
            cuts[v].update(itertools.accumulate(a.rows for a in v.args[:-1]))
        elif is_run(v):
            cuts[v.args[0]].update((v.attr[0], v.attr[0] + v.rows))
    changed = True
    while changed:
        changed = False
        for a, b, start in ties:  # the rows of b are those of a from start on
            down = {c - start for c in cuts[a] if start < c < start + b.rows}
            up = {c + start for c in cuts[b]}
            if not (down <= cuts[b] and up <= cuts[a]):
                cuts[b] |= down
                cuts[a] |= up
                changed = True
    found = {v: tuple(sorted({0, v.rows, *(c for c in cuts[v] if 0 < c < v.rows)})) for v in values}
    if max((len(c) for c in found.values()), default=0) > MOST + 1:
        return {v: (0, v.rows) for v in values}
    return found


def is_run(v: Value) -> bool:
    """Whether a value is neighboring rows of its argument."""
    return v.op == "gather" and v.attr[0] >= 0 and v.attr == tuple(range(v.attr[0], v.attr[0] + v.rows))


def _ties(program: Program, order: Order, values: list[Value]) -> Iterator[tuple[Value, Value, int]]:
    for v in values:
        if v.op in POINTWISE:
            yield from ((v, a, 0) for a in order.operands(v) if a.rows == v.rows > 1)
        elif v.op == "concat":
            starts = itertools.accumulate((a.rows for a in v.args), initial=0)
            yield from ((v, a, start) for a, start in zip(v.args, starts, strict=False) if a.rows > 1)
        elif is_run(v) and v.rows > 1:
            yield v.args[0], v, v.attr[0]
    leaves = {v.attr: v for v in values if v.op == "state"}
    for i, after in enumerate(program.after):
        if i in leaves and after is not leaves[i]:
            yield leaves[i], after, 0
