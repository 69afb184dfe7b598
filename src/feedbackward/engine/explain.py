"""What a cell became: the operators outside the loop, and the instructions of a step, forward and back, to be read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .adapt import as_cell
from .arguments import validated
from .ir import Matrix
from .plan import BEFORE, CONSTANT, FORWARD, HELD, OUTPUT, RECORD, SEQUENCE, STATE, VIEW, Code, Plan
from .prepare import prepare
from .programs import Compiled, compiled

_SIGNS = dict(zip("add sub mul div lt le gt ge eq ne".split(), "+ - * / < <= > >= == !=".split(), strict=True))


@dataclass(frozen=True)
class CellProgram:
    """A cell as a program; printed, it is a listing.

    Attributes:
        dtype: In which a step computes.
        lanes: The sizes of the axes over which the same step runs independently.
        once: The operators that run once, on what the cell closes over.
        along: The operators that run over the whole sequence at once.
        forward: The instructions of a step.
        adjoint: Those of its adjoint, from the last step to the first.
        recorded: Numbers per lane and step that forward leaves for the adjoint of the same step.
        state: Numbers per lane that are carried from step to step, and kept at every checkpoint.
        device: Where the tensors are. On a GPU the same steps are a Triton kernel, and another one the adjoint's.
    """

    dtype: str
    lanes: tuple[int, ...]
    once: tuple[str, ...]
    along: tuple[str, ...]
    forward: tuple[str, ...]
    adjoint: tuple[str, ...]
    recorded: int
    state: int
    device: str = "cpu"

    def __str__(self) -> str:
        lines = [
            f"{self.dtype}, lanes {self.lanes or 'none'}; per lane: {_numbers(self.state)} of state, "
            f"{_numbers(self.recorded)} recorded per step in backward",
            f"outside, once: {', '.join(self.once) or 'nothing'}",
            f"outside, over the sequence: {', '.join(self.along) or 'nothing'}",
        ]
        if self.device != "cpu":
            lines.insert(1, f"on {self.device}: the steps forward are one Triton kernel, those of the adjoint another")
        for title, listing in (("forward", self.forward), ("adjoint", self.adjoint)):
            lines += [f"in the loop, {title}: {len(listing)} instructions", *(f"    {line}" for line in listing)]
        return "\n".join(lines)


def explain_cell(
    cell: Callable[..., Any], init: Any, xs: Any, *, dim: int = 0, length: int | None = None
) -> CellProgram:
    """The program that `scan` runs for a cell: print it to see why the cell is as fast as it is.

    In the listing, x, p and s are the sequences, the constants in time and the states, W the matrices, y the outputs, t
    scratch, r what the adjoint reads again; d marks adjoints; ``t0[2:4]`` are rows of t0, and ``(3)`` behind a name how
    many rows it has, where it is not one.

    Args:
        cell: As for `scan`.
        init: As for `scan`.
        xs: As for `scan`.
        dim: As for `scan`.
        length: As for `scan`.

    Returns:
        The program; its ``str`` is the listing.

    Raises:
        LoweringError: The cell has no program.

    Example:
        >>> import torch, feedbackward as fb
        >>> def leaky(s, x):
        ...     s = torch.tanh(0.9 * s + x)
        ...     return s, s
        >>> print(fb.explain_cell(leaky, torch.zeros(640), torch.zeros(100, 640)))
        float32, lanes (640,); per lane: 1 number of state, 1 number recorded per step in backward
        outside, once: nothing
        outside, over the sequence: nothing
        in the loop, forward: 3 instructions
            t0 = s0 * 0.9 + x0
            y0 = tanh(t0)
            s0 = y0
        in the loop, adjoint: 4 instructions
            t0 = dy0 + ds0
            t1 = 1 - y0 * y0
            dx0 = t0 * t1
            ds0 = dx0 * 0.9
    """
    prepared, _ = prepare(cell, as_cell(cell), validated(init, xs, dim, length).form)
    program = prepared.program
    leaves = program.held + program.matrices + program.sequences + program.states
    made = compiled(prepared.text, (True,) * len(leaves), math.prod(prepared.lanes))
    forward = _names(made.forward, made, None)
    adjoint = _names(made.backward, made, forward)
    return CellProgram(
        str(prepared.dtype).removeprefix("torch."),
        prepared.lanes,
        prepared.outside.once_names,
        prepared.outside.along_names,
        tuple(_line(made.forward, forward, code) for code in made.forward.codes),
        tuple(_line(made.backward, adjoint, code) for code in made.backward.codes),
        _recorded(made),
        sum(made.step.states),
        str(prepared.device),
    )


def _recorded(made: Compiled) -> int:
    """The rows that replay leaves for the adjoint: records, and outputs that serve as such."""
    slots = made.forward.slots
    read = {s.index for s in made.backward.slots if s.kind == FORWARD}
    roots = {slots[i].index if slots[i].kind == VIEW else i for i in read}
    return sum(slots[i].rows for i in roots if slots[i].kind in (RECORD, OUTPUT))


def _names(plan: Plan, made: Compiled, forward: list[str] | None) -> list[str]:
    """What every slot is called."""
    back, states = forward is not None, len(made.step.states)
    names: list[str] = []
    scratch = records = 0
    for slot in plan.slots:
        if slot.kind == VIEW:
            names.append(f"{names[slot.index].split('(')[0]}[{slot.extra}:{slot.extra + slot.rows}]")
            continue
        if slot.kind == BEFORE:
            names.append(f"{names[slot.index].split('(')[0]}'")
            continue
        if slot.kind == FORWARD:
            assert forward is not None
            names.append(forward[slot.index])
            continue
        rows = f"({slot.rows})" if slot.rows != 1 else ""
        if slot.kind == CONSTANT:
            name = f"{slot.number:.7g}"
        elif slot.kind == HELD:
            name = f"p{slot.index}"
        elif slot.kind == SEQUENCE:
            name = f"dy{slot.index}" if back else f"x{slot.index}"
        elif slot.kind == OUTPUT:
            name = _adjoint_output(made, slot.index) if back else f"y{slot.index}"
        elif slot.kind == STATE:
            held = made.adjoint.wanted.held
            name = f"dp{held[slot.index - states]}" if slot.index >= states else f"{'d' * back}s{slot.index}"
        elif slot.kind == RECORD:
            name, records = f"r{records}", records + 1
        else:
            name, scratch = f"t{scratch}", scratch + 1
        names.append(name + rows)
    return names


def _adjoint_output(made: Compiled, index: int) -> str:
    named = [f"dx{i}" for i, n in zip(made.adjoint.wanted.sequences, made.adjoint.sequences, strict=True) if n == index]
    for m, d_y, a in made.adjoint.products:
        named += [f"W{m.index}.dy"] * (d_y == index) + [f"W{m.index}.a"] * (a == index)
    return "=".join(named)


def _line(plan: Plan, names: list[str], code: Code) -> str:
    to, (a, *more) = names[code.to], [names[o] for o in code.operands]
    if code.op in ("dense", "banded", "block"):
        m: Matrix = plan.matrices[code.extra]
        size = f"{m.lower}+1+{m.upper} diagonals" if m.kind == "banded" else f"{m.rows} x {m.columns}"
        return f"{to} = W{m.index}{'.T' if m.transposed else ''} {a}    {code.op}, {size}"
    if code.op == "gather":
        return f"{to} = {a}{_rows(plan.table[code.extra : code.extra + code.rows])}"
    if code.op == "copy":
        return f"{to} = {a}"
    if code.op in ("sum_rows", "max_rows"):
        return f"{to} = {code.op}({a}) over {plan.table[code.extra]}"
    if code.op in ("fma", "fms"):
        return f"{to} = {a} * {more[0]} {'+' if code.op == 'fma' else '-'} {more[1]}"
    if code.op == "fnma":
        return f"{to} = {more[1]} - {a} * {more[0]}"
    if code.op in _SIGNS:
        return f"{to} = {a} {_SIGNS[code.op]} {more[0]}"
    return f"{to} = {code.op}({', '.join([a, *more])})"


def _rows(table: list[int]) -> str:
    shown = ["-" if r < 0 else str(r) for r in table]
    return f"[{', '.join(shown if len(shown) <= 8 else [*shown[:6], '...', shown[-1]])}]"


def _numbers(count: int) -> str:
    return f"{count} number" + "s" * (count != 1)
