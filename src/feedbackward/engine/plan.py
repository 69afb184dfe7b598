"""A program becomes instructions: slots, lifetimes, fused multiply-adds, words for the machine.

Every value lives in a slot, rows x lanes scalars. What is an output, a state after the step, or something that the
adjoint wants to find again is computed where it belongs when it can be, and copied there otherwise; the others share
scratch as soon as nobody reads them any more. A run of neighboring rows of another value is a view, not an instruction.
The encoding is explained in core/feedbackward.h.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ..ops.library import operations
from .ir import POINTWISE, Matrix, Program, Value

TEMP, CONSTANT, HELD, SEQUENCE, OUTPUT, STATE, RECORD, VIEW, FORWARD = range(9)
KINDS = "temp constant held sequence output state record view forward".split()


@dataclass(frozen=True)
class Slot:
    """Where a value lives."""

    kind: int
    index: int
    rows: int
    extra: int = 0

    @property
    def number(self) -> float:
        """The number of a constant."""
        return float(struct.unpack("<d", struct.pack("<q", self.extra))[0])


@dataclass(frozen=True)
class Code:
    """One instruction; operands are slots."""

    op: str
    rows: int
    to: int
    operands: tuple[int, ...]
    broadcast: int = 0
    extra: int = 0


@dataclass
class Plan:
    """A program as the machine runs it.

    Attributes:
        slots: Where values live.
        codes: What a step does.
        table: The rows that gathers name.
        matrices: The matrices in the order in which the machine numbers them.
        place: The slot of every value that lives to the end of a step, or that another program may read.
    """

    slots: list[Slot] = field(default_factory=list)
    codes: list[Code] = field(default_factory=list)
    table: list[int] = field(default_factory=list)
    matrices: list[Matrix] = field(default_factory=list)
    place: dict[Value, int] = field(default_factory=dict)

    def words(self) -> list[int]:
        """The encoding."""
        number = operations()
        words = [len(self.slots), len(self.codes), len(self.table)]
        for slot in self.slots:
            words += [slot.kind, slot.index, slot.rows, slot.extra]
        for code in self.codes:
            a, b, c = (*code.operands, 0, 0, 0)[:3]
            words += [number[code.op], code.rows, code.to, a, b, c, code.broadcast, code.extra]
        return words + self.table


def plan(program: Program, records: Collection[Value] = (), forward: Mapping[Value, int] | None = None) -> Plan:
    """The plan of a program.

    Args:
        program: What is planned.
        records: Values that an adjoint will read.
        forward: In an adjoint, the slot of every value of the forward program.
    """
    return _Planner(program, records, forward or {}).plan


class _Planner:
    def __init__(self, program: Program, records: Collection[Value], forward: Mapping[Value, int]) -> None:
        self.program, self.forward = program, forward
        self.plan = Plan()
        self.outputs, self.after = program.outputs, program.after
        self.records = {root(v) for v in records}
        self.order, self.fused = _fuse(program, self.records)
        self.last_use = self._last_uses()
        self.free: dict[int, list[int]] = {}
        self.busy: list[tuple[int, int]] = []  # (last use, slot)
        self.leaf_slots: dict[tuple[int, object], int] = {}
        for i, rows in enumerate(program.states):
            self.leaf_slots[STATE, i] = self._slot(STATE, i, rows)
        self.output_slots = [self._slot(OUTPUT, i, v.rows) for i, v in enumerate(self.outputs)]
        for number, v in enumerate(self.order):
            self._release(number)
            self._compute(number, v)
        self._finish()

    def _operands(self, v: Value) -> tuple[Value, ...]:
        return self.fused[v][1] if v in self.fused else v.args

    def _last_uses(self) -> dict[Value, int]:
        """For every root, the number of the last value that reads it; those that live on have none."""
        last: dict[Value, int] = {}
        for number, v in enumerate(self.order):
            for a in self._operands(v):
                last[root(a)] = number
        for v in (*self.after, *self.outputs):
            last[root(v)] = len(self.order)
        return last

    def _slot(self, kind: int, index: int, rows: int, extra: int = 0) -> int:
        self.plan.slots.append(Slot(kind, index, rows, extra))
        return len(self.plan.slots) - 1

    def _leaf(self, v: Value) -> int:
        kind = {"constant": CONSTANT, "held": HELD, "sequence": SEQUENCE, "state": STATE, "forward": FORWARD}[v.op]
        if (kind, v.attr) not in self.leaf_slots:
            index, extra = v.attr, 0
            if kind == CONSTANT:
                index, extra = 0, struct.unpack("<q", struct.pack("<d", v.attr))[0]
            elif kind == FORWARD:
                index = self.forward[v.attr]
            self.leaf_slots[kind, v.attr] = self._slot(kind, index, v.rows, extra)
        return self.leaf_slots[kind, v.attr]

    def _place(self, v: Value) -> int:
        """The slot from which ``v`` is read."""
        place = self.plan.place
        if v not in place:
            if v.op in ("copy", "stop"):
                place[v] = self._place(v.args[0])
            elif _is_alias(v):
                place[v] = self._view(self._place(v.args[0]), v.attr[0], v.rows)
            else:
                place[v] = self._leaf(v)
        return place[v]

    def _view(self, slot: int, first: int, rows: int) -> int:
        parent = self.plan.slots[slot]
        if parent.kind == VIEW:
            slot, first = parent.index, first + parent.extra
        return self._slot(VIEW, slot, rows, first)

    def _compute(self, number: int, v: Value) -> None:
        if v.op in ("constant", "held", "sequence", "state", "forward") or _is_alias(v):
            self._place(v)
            return
        to = self._target(number, v)
        self.plan.place[v] = to
        self._emit(v, to)

    def _target(self, number: int, v: Value) -> int:
        """Where ``v`` is computed: in its own place if it has one, in scratch otherwise."""
        if v in self.records:  # for the adjoint an output is as good as a record
            written = [self.output_slots[i] for i, output in enumerate(self.outputs) if output is v]
            return written[0] if written else self._slot(RECORD, 0, v.rows)
        for i, after in enumerate(self.after):
            if after is v and self._state_is_read(i, number, v):
                return self.leaf_slots[STATE, i]
        for i, output in enumerate(self.outputs):
            if output is v:
                return self.output_slots[i]
        waiting = self.free.get(v.rows)
        slot = waiting.pop() if waiting else self._slot(TEMP, 0, v.rows)
        self.busy.append((self.last_use.get(v, number), slot))
        return slot

    def _state_is_read(self, i: int, number: int, v: Value) -> bool:
        """Whether nobody reads state i after instruction ``number``, so that it may be overwritten there."""
        for leaf, last in self.last_use.items():
            if leaf.op == "state" and leaf.attr == i:
                return last < number or (last == number and v.op in POINTWISE and self._only_as_a_whole(v, leaf))
        return True

    def _only_as_a_whole(self, v: Value, leaf: Value) -> bool:
        return all(a is leaf or root(a) is not leaf for a in self._operands(v)) and leaf.rows == v.rows

    def _release(self, number: int) -> None:
        for last, slot in [b for b in self.busy if b[0] < number]:
            self.busy.remove((last, slot))
            self.free.setdefault(self.plan.slots[slot].rows, []).append(slot)

    def _emit(self, v: Value, to: int) -> None:
        codes, table = self.plan.codes, self.plan.table
        op, operands = self.fused.get(v, (v.op, v.args))
        places = tuple(self._place(a) for a in operands)
        if op in POINTWISE:
            broadcast = sum(1 << i for i, a in enumerate(operands) if a.rows == 1 and v.rows > 1)
            codes.append(Code(op, v.rows, to, places, broadcast))
        elif op == "concat":
            start = 0
            for place, a in zip(places, operands, strict=True):
                codes.append(Code("copy", a.rows, self._view(to, start, a.rows), (place,)))
                start += a.rows
        elif op == "matrix":
            m: Matrix = v.attr
            if m not in self.plan.matrices:
                self.plan.matrices.append(m)
            number = {"dense": 0, "banded": m.lower, "block": m.groups}[m.kind]
            codes.append(Code(m.kind, v.rows, to, (places[0], 0, number), 0, self.plan.matrices.index(m)))
        else:  # gather, sum_rows, max_rows
            codes.append(Code(op, v.rows, to, places, 0, len(table)))
            table.extend(v.attr)

    def _finish(self) -> None:
        """Copies to where a value was not computed; a state that is still read waits in scratch."""
        moves = [(self.output_slots[i], v) for i, v in enumerate(self.outputs)]
        states = [(self.leaf_slots[STATE, i], v) for i, v in enumerate(self.after)]
        for to, v in moves:
            self._copy(to, self._place(v), v.rows)
        late = []
        for to, v in states:
            source = self._place(v)
            if source != to and root(v).op == "state":
                waiting = self._slot(TEMP, 0, v.rows)
                self._copy(waiting, source, v.rows)
                source = waiting
            late.append((to, source, v.rows))
        for to, source, rows in late:
            self._copy(to, source, rows)

    def _copy(self, to: int, source: int, rows: int) -> None:
        if to != source:
            self.plan.codes.append(Code("copy", rows, to, (source,)))


def root(v: Value) -> Value:
    """The value in whose slot ``v`` lies; an alias, or a run of neighboring rows, has no instruction of its own."""
    while _is_alias(v):
        v = v.args[0]
    return v


def _is_alias(v: Value) -> bool:
    return v.op in ("copy", "stop") or (v.op == "gather" and _is_run(v.attr))


def _is_run(table: tuple[int, ...]) -> bool:
    """Whether rows are neighbors: then they are there already."""
    return bool(table) and table[0] >= 0 and table == tuple(range(table[0], table[0] + len(table)))


def _fuse(
    program: Program, records: Collection[Value]
) -> tuple[list[Value], dict[Value, tuple[str, tuple[Value, ...]]]]:
    """Products that only a sum reads become part of it: the order without them, and what the sums become."""
    uses: dict[Value, int] = {}
    for v in program.order:
        for a in v.args:
            uses[a] = uses.get(a, 0) + 1
    kept = {*program.outputs, *program.after, *records}
    fused: dict[Value, tuple[str, tuple[Value, ...]]] = {}
    gone: set[Value] = set()

    def product(a: Value, rows: int) -> bool:
        return a.op == "mul" and uses[a] == 1 and a not in kept and a.rows == rows

    for v in program.order:
        if v.op not in ("add", "sub"):
            continue
        a, b = v.args
        if product(a, v.rows):
            fused[v] = ("fma" if v.op == "add" else "fms", (*a.args, b))
            gone.add(a)
        elif product(b, v.rows):
            fused[v] = ("fma" if v.op == "add" else "fnma", (*b.args, a))
            gone.add(b)
    return [v for v in program.order if v not in gone], fused
