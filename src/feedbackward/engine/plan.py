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

from ..native import operations
from .ir import LEAVES, POINTWISE, Matrix, Program, Value
from .order import CORE, EARLY, LATE, is_narrow, ordered

TEMP, CONSTANT, HELD, SEQUENCE, OUTPUT, STATE, RECORD, VIEW, FORWARD, BEFORE = range(10)


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


def plan(
    program: Program,
    records: Collection[Value] = (),
    forward: Mapping[Value, int] | None = None,
    lanes: int | None = None,
) -> Plan:
    """The plan of a program.

    Args:
        program: What is planned.
        records: Values that an adjoint will read.
        forward: In an adjoint, the slot of every value of the forward program.
        lanes: For how many lanes; any number, but a plan for few is better for few.
    """
    narrow = lanes is not None and is_narrow(program, lanes)
    return (_NarrowPlanner if narrow else _Planner)(program, records, forward, narrow).plan


class _Planner:
    def __init__(
        self, program: Program, records: Collection[Value], forward: Mapping[Value, int] | None, narrow: bool
    ) -> None:
        self.program, self.forward = program, forward or {}
        self.plan = Plan()
        self.outputs, self.after = program.outputs, program.after
        self.recorded = records
        self.records = {root(v) for v in records}
        self.order = ordered(program, self.records, forward is not None, narrow)
        self.last_use = self._last_uses()
        self.free: dict[tuple[int, bool], list[int]] = {}
        self.busy: list[tuple[int, int, bool]] = []  # (last use, slot, whether it moves)
        self.leaf_slots: dict[tuple[int, object], int] = {}
        for i, rows in enumerate(program.states):
            self.leaf_slots[STATE, i] = self._slot(STATE, i, rows)
        self.output_slots = [self._slot(OUTPUT, i, v.rows) for i, v in enumerate(self.outputs)]
        for number, v in enumerate(self.order.values):
            self._release(number)
            self._compute(number, v)
        self._finish()

    def _last_uses(self) -> dict[Value, int]:
        """For every root, the number of the last value that reads it; those that live on have none."""
        last: dict[Value, int] = {}
        for number, v in enumerate(self.order.values):
            for a in self.order.operands(v):
                last[root(a)] = number
        for v in (*self.after, *self.outputs):
            last[root(v)] = len(self.order.values)
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
        """The slot in which ``v`` lies."""
        place = self.plan.place
        if v not in place:
            place[v] = self._part(v, self._place(v.args[0])) if is_alias(v) else self._leaf(v)
        return place[v]

    def _part(self, v: Value, whole: int) -> int:
        """The slot of an alias, in the slot of its argument."""
        return whole if v.op in ("copy", "stop") else self._view(whole, v.attr[0], v.rows)

    def _read(self, a: Value, v: Value, to: int) -> int:
        """The slot from which ``a`` is read for ``v``, which is computed in ``to``."""
        return self._place(a)

    def _view(self, slot: int, first: int, rows: int) -> int:
        parent = self.plan.slots[slot]
        if parent.kind == VIEW:
            slot, first = parent.index, first + parent.extra
        return self._slot(VIEW, slot, rows, first)

    def _compute(self, number: int, v: Value) -> None:
        if v.op in LEAVES or is_alias(v):
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
        return self._scratch(number, v, moves=False)

    def _scratch(self, number: int, v: Value, moves: bool) -> int:
        waiting = self.free.get((v.rows, moves))
        slot = waiting.pop() if waiting else self._slot(TEMP, 0, v.rows)
        self.busy.append((self.last_use.get(v, number), slot, moves))
        return slot

    def _state_is_read(self, i: int, number: int, v: Value) -> bool:
        """Whether nobody reads state i after instruction ``number``, so that it may be overwritten there."""
        for leaf, last in self.last_use.items():
            if leaf.op == "state" and leaf.attr == i:
                return last < number or (last == number and v.op in POINTWISE and self._only_as_a_whole(v, leaf))
        return True

    def _only_as_a_whole(self, v: Value, leaf: Value) -> bool:
        return all(a is leaf or root(a) is not leaf for a in self.order.operands(v)) and leaf.rows == v.rows

    def _release(self, number: int) -> None:
        for entry in [b for b in self.busy if b[0] < number]:
            self.busy.remove(entry)
            _, slot, moves = entry
            self.free.setdefault((self.plan.slots[slot].rows, moves), []).append(slot)

    def _emit(self, v: Value, to: int) -> None:
        codes, table = self.plan.codes, self.plan.table
        op, operands = self.order.operation.get(v, (v.op, v.args))
        places = tuple(self._read(a, v, to) for a in operands)
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


class _NarrowPlanner(_Planner):
    """For few lanes: early, core and late apart (`engine.order`).

    A state leaves a trail in the machine: both what it was before the step and what it is after it can be read at any
    time. So it is computed in its own place as soon as it can be; outputs and records that are states are copied from
    there for many steps at once.
    """

    def __init__(
        self, program: Program, records: Collection[Value], forward: Mapping[Value, int] | None, narrow: bool
    ) -> None:
        self.written: set[int] = set()  # states
        self.settled = False  # whether all states are written to which more than sums are due
        super().__init__(program, records, forward, narrow)

    def _compute(self, number: int, v: Value) -> None:
        if self.order.section[v] == LATE:
            self._settle()
        super()._compute(number, v)
        for i, after in enumerate(self.after):
            if self.plan.place[v] == self.leaf_slots[STATE, i] and after is v and v.op not in LEAVES:
                self.written.add(i)

    def _target(self, number: int, v: Value) -> int:
        for i, after in enumerate(self.after):
            if after is v and self.order.section[v] != EARLY:
                return self.leaf_slots[STATE, i]
        if v in self.records or any(output is v for output in self.outputs):
            return self._remembered(v)
        readers = (u for u in self.order.values if any(root(a) is v for a in self.order.operands(u)))
        return self._scratch(number, v, any(self.order.section[u] != CORE for u in (v, *readers)))

    def _remembered(self, v: Value) -> int:
        """The slot of an output, or of what the adjoint reads."""
        for i, output in enumerate(self.outputs):
            if output is v:
                return self.output_slots[i]
        return self._slot(RECORD, 0, v.rows)

    def _read(self, a: Value, v: Value, to: int) -> int:
        leaf = root(a)
        if leaf.op != "state":
            return self._place(a)
        slot = self.plan.slots[to]
        overwritten = (slot.index if slot.kind == VIEW else to) == self.leaf_slots[STATE, leaf.attr]
        if overwritten and a is leaf and v.op in POINTWISE:
            return self._place(a)
        is_late = self.order.section[v] == LATE
        return self._before(a) if overwritten or is_late or leaf.attr in self.written else self._place(a)

    def _before(self, a: Value) -> int:
        """The slot of a state, or of a part of one, as it was before the step."""
        if is_alias(a):
            return self._part(a, self._before(a.args[0]))
        if (BEFORE, a.attr) not in self.leaf_slots:
            self.leaf_slots[BEFORE, a.attr] = self._slot(BEFORE, self.leaf_slots[STATE, a.attr], a.rows)
        return self.leaf_slots[BEFORE, a.attr]

    def _settle(self) -> None:
        """Writes the states that are no results of the core."""
        if self.settled:
            return
        self.settled = True
        for i, v in enumerate(self.after):
            if self.order.section[v] == LATE or i in self.written or (v.op == "state" and v.attr == i):
                continue
            to, leaf = self.leaf_slots[STATE, i], root(v)
            is_over = leaf.op == "state" and (leaf.attr == i or leaf.attr in self.written)
            self._copy(to, self._before(v) if is_over else self._place(v), v.rows)
            self.written.add(i)

    def _finish(self) -> None:
        self._settle()
        place = self.plan.place
        for i, v in enumerate(self.outputs):
            self._copy(self.output_slots[i], self._before(v) if root(v).op == "state" else self._place(v), v.rows)
        for v in self.records:  # as the adjoint finds them
            if v.op in LEAVES or self.plan.slots[place[v]].kind != STATE:
                continue
            to = self._remembered(v)
            if self.plan.slots[to].kind == RECORD:
                self._copy(to, place[v], v.rows)
            for a in [a for a in place if root(a) is v]:
                del place[a]
            place[v] = to
        for a in self.recorded:
            self._place(a)


def root(v: Value) -> Value:
    """The value in whose slot ``v`` lies; an alias, or a run of neighboring rows, has no instruction of its own."""
    while is_alias(v):
        v = v.args[0]
    return v


def is_alias(v: Value) -> bool:
    """Whether a value lies in the slot of its argument."""
    return v.op in ("copy", "stop") or (v.op == "gather" and _is_run(v.attr))


def _is_run(table: tuple[int, ...]) -> bool:
    """Whether rows are neighbors: then they are there already."""
    return bool(table) and table[0] >= 0 and table == tuple(range(table[0], table[0] + len(table)))
