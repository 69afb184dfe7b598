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
        elif v.op == "gather":
            for start, end, source in runs_of(v.attr):
                cuts[v].update((start, end))
                if source >= 0:
                    cuts[v.args[0]].update((source, source + end - start))
    uncut: dict[Value, tuple[int, ...]] = {v: (0, v.rows) for v in values}
    changed = True
    while changed:
        changed = False
        for a, b, start, end, other in ties:  # rows start .. end of a are those of b from other on
            shift = other - start
            down = {c + shift for c in cuts[a] if start < c < end}
            up = {c - shift for c in cuts[b] if other < c < end + shift}
            if not (down <= cuts[b] and up <= cuts[a]):
                cuts[b] |= down
                cuts[a] |= up
                changed = True
            if max(len(cuts[a]), len(cuts[b])) > MOST + 2:
                return uncut
    found = {v: tuple(sorted({0, v.rows, *(c for c in cuts[v] if 0 < c < v.rows)})) for v in values}
    return uncut if max((len(c) for c in found.values()), default=0) > MOST + 1 else found


def runs_of(table: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """A gather as slices: first row, end, and the row of the argument that comes first, or -1; none if there are many.

    Rows that are always 0 are a slice of their own.
    """
    runs: list[tuple[int, int, int]] = []
    for row, source in enumerate(table):
        if runs:
            start, _, first = runs[-1]
            if (source == first == -1) or (first >= 0 and source == first + row - start):
                runs[-1] = start, row + 1, first
                continue
        if len(runs) == MOST:
            return []
        runs.append((row, row + 1, source))
    return runs


Tie = tuple[Value, Value, int, int, int]


def _ties(program: Program, order: Order, values: list[Value]) -> Iterator[Tie]:
    for v in values:
        if v.op in POINTWISE:
            yield from ((v, a, 0, v.rows, 0) for a in order.operands(v) if a.rows == v.rows > 1)
        elif v.op == "concat":
            start = 0
            for a in v.args:
                yield v, a, start, start + a.rows, 0
                start += a.rows
        elif v.op == "gather":
            yield from ((v, v.args[0], start, end, source) for start, end, source in runs_of(v.attr) if source >= 0)
    leaves = {v.attr: v for v in values if v.op == "state"}
    for i, after in enumerate(program.after):
        if i in leaves and after is not leaves[i]:
            yield leaves[i], after, 0, after.rows, 0
