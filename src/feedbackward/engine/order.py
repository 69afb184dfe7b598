"""The order in which a step computes its values, and the products that become part of a sum.

For few lanes an instruction costs more than its work, and the machine runs for many steps at once what it can
(core/program/sections.hpp). It goes by the order alone, so values are sorted:

    early   needs no state
    core    needs a state, and a state needs it
    late    no state needs it, but for those to which an adjoint only adds: gradients of what is constant in time
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from .ir import Program, Value

EARLY, CORE, LATE = range(3)
_FEW_LANES, _FEW_SCALARS = 127, 4096  # as in core/program/slots.hpp; more lanes go in tiles that are wider than 16


@dataclass(frozen=True)
class Order:
    """What a step computes, in order.

    Attributes:
        values: Every value that has an instruction or is a leaf.
        section: Of every value; all are core where there are no sections.
        operation: Of a sum that contains a product: what it becomes, and its operands.
    """

    values: list[Value]
    section: dict[Value, int]
    operation: dict[Value, tuple[str, tuple[Value, ...]]]

    def operands(self, v: Value) -> tuple[Value, ...]:
        """What the instruction of a value reads."""
        return self.operation[v][1] if v in self.operation else v.args


def is_narrow(program: Program, lanes: int) -> bool:
    """Whether a step over so many lanes is worth cutting into sections."""
    width = 1 if lanes <= 4 else 8 if lanes <= 8 else 16
    return lanes <= _FEW_LANES and width * sum(v.rows for v in program.order) <= _FEW_SCALARS


def ordered(program: Program, records: Collection[Value], is_adjoint: bool, narrow: bool) -> Order:
    """The order of a program's values, of which ``records`` are read by another one."""
    section = _sections(program, records, is_adjoint) if narrow else dict.fromkeys(program.order, CORE)
    operation, gone = _fused(program, records, section)
    values = [v for v in program.order if v not in gone]
    return Order(sorted(values, key=section.__getitem__), section, operation)


def _sections(program: Program, records: Collection[Value], is_adjoint: bool) -> dict[Value, int]:
    depends: set[Value] = set()
    for v in program.order:
        if v.op == "state" or any(a in depends for a in v.args):
            depends.add(v)
    sums = _sums(program, records) if is_adjoint else set()
    feeds = {v for v in program.after if v not in sums}
    for v in reversed(program.order):
        if v in feeds:
            feeds.update(v.args)
    return {v: EARLY if v not in depends else CORE if v in feeds else LATE for v in program.order}


def _sums(program: Program, records: Collection[Value]) -> set[Value]:
    """The values after a step of states to which the step only adds, and which nobody else reads."""
    reads: dict[Value, int] = {}
    ends = (*program.outputs, *program.after, *records)
    for v in (*(a for u in program.order for a in u.args), *ends):
        reads[v] = reads.get(v, 0) + 1

    def is_sum(i: int, v: Value) -> bool:
        if v.op not in ("add", "sub") or reads[v] > 1:
            return False
        return any(
            a.op == "state" and a.attr == i and a.rows == v.rows and reads[a] == 1
            for a in v.args[: 2 if v.op == "add" else 1]
        )

    return {v for i, v in enumerate(program.after) if is_sum(i, v)}


def _fused(
    program: Program, records: Collection[Value], section: dict[Value, int]
) -> tuple[dict[Value, tuple[str, tuple[Value, ...]]], set[Value]]:
    """Products that only a sum reads become part of it: what the sums become, and the products that vanish.

    A product for many steps at once costs nothing; in a sum of the core it would be one more operand to wait for.
    """
    uses: dict[Value, int] = {}
    for v in program.order:
        for a in v.args:
            uses[a] = uses.get(a, 0) + 1
    kept = {*program.outputs, *program.after, *records}
    operation: dict[Value, tuple[str, tuple[Value, ...]]] = {}
    gone: set[Value] = set()

    def product(a: Value, v: Value) -> bool:
        fits = a.op == "mul" and uses[a] == 1 and a not in kept and a.rows == v.rows
        return fits and not (section[v] == CORE and section[a] == EARLY)

    for v in program.order:
        if v.op not in ("add", "sub"):
            continue
        a, b = v.args
        if product(a, v):
            operation[v] = ("fma" if v.op == "add" else "fms", (*a.args, b))
            gone.add(a)
        elif product(b, v):
            operation[v] = ("fma" if v.op == "add" else "fnma", (*b.args, a))
            gone.add(b)
    return operation, gone
