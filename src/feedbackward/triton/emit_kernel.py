"""A program as the source of one Triton kernel: a program instance owns a block of lanes and walks through time.

    forward:   state = initial;  for s = 0 .. T-1:  y[s], state = step(state, x[s])
    backward:  the adjoint's step, from the last s to the first, which reads the states before every step:

    for the chunks of K steps, the last one first:
        state = checkpoint of the chunk;  for its steps: keep state; state = step(state, x[s])
        for its steps, the last one first: the adjoint, which reads what was kept

Bytes moved: every sequence is read once, every output written once; backward reads the sequences twice where it
replays, and writes and reads the states of a chunk, which fit the second-level cache. That memory bounds a program with
some ten thousand lanes or more; with fewer, the latency of its step does.

Addresses are 64-bit. A lane is a position along some axes (`scan` merges those that it can); along an axis of size 1
the stride is 0, so that nothing is expanded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..engine.ir import LEAVES, POINTWISE, Matrix, Program, Value
from ..engine.order import Order, ordered
from .emit_cuts import cuts_of
from .emit_tiles import Cuts, Text, Tiles, Writer, is_written_out, pairs, width_of

SMALL = 400  # what steps may cost, its rows written out one by one; more takes long to compile
_COSTLY = frozenset("sin cos tan pow atan2 fmod remainder erf erfc asin acos sinh cosh asinh acosh atanh".split())
_AHEAD = 16384  # bytes
WIDEST = 16384  # rows of a tile


class TooWide(ValueError):
    """A step has more rows than a program instance can hold."""


@dataclass(frozen=True)
class Before:
    """A sequence that is the state before every step, as replay keeps it, or as an output a step earlier.

    Attributes:
        state: Which state.
        output: Whether it is read from an output.
    """

    state: int
    output: bool


@dataclass(frozen=True)
class Kernel:
    """The source of a kernel, and what it is called with.

    Attributes:
        text: The source; the kernel's name is ``kernel``.
        arguments: In order, what every argument is: ("held", 0), ("sequence", 1), ...
        lanes: Lanes of a program instance.
        warps: Warps of a program instance.
        table: Rows that gathers name.
        matrices: The maps whose weights it reads.
        line_size: Elements of one of the two lines of a program instance, through which products go.
    """

    text: str
    arguments: tuple[tuple[str, Any], ...]
    lanes: int
    warps: int
    table: tuple[int, ...]
    matrices: tuple[Matrix, ...]
    line_size: int


def is_small(programs: Sequence[Program]) -> bool:
    """Whether the rows of the programs of a kernel are written out one by one."""
    work = 0
    for v in (v for program in programs for v in program.order):
        if v.op == "matrix" and not is_written_out(v.attr):
            return False
        if v.op in POINTWISE:
            work += v.rows * (8 if v.op in _COSTLY else 1)
        elif v.op in ("sum_rows", "max_rows"):
            work += v.args[0].rows
        elif v.op == "matrix":
            work += v.rows * v.attr.columns // v.attr.groups
    return work <= SMALL and max((v.rows for program in programs for v in program.order), default=0) <= 64


def emit(
    program: Program,
    dtype: str,
    axes: int,
    *,
    kinds: Sequence[Before | None] = (),
    replay: Program | None = None,
    save: bool = False,
    backward: bool = False,
) -> Kernel:
    """The kernel of a program.

    Args:
        program: The step, or the adjoint as a program of its own.
        dtype: ``"tl.float32"`` or ``"tl.float64"``.
        axes: Axes of lanes.
        kinds: For every sequence, None or where the state before the step is found.
        replay: The step whose states an adjoint wants, without outputs.
        save: Whether states before every K steps are written.
        backward: Whether time runs from the last step to the first.

    Raises:
        TooWide: A tile would have more than `WIDEST` rows.
    """
    given = program, dtype, axes, kinds, replay, save, backward
    kernel = _Emission(*given, exchanges=False).kernel
    return _Emission(*given, exchanges=True).kernel if kernel.line_size else kernel


class _Emission:
    def __init__(
        self,
        program: Program,
        dtype: str,
        axes: int,
        kinds: Sequence[Before | None],
        replay: Program | None,
        save: bool,
        backward: bool,
        exchanges: bool,
    ) -> None:
        self.program, self.replay, self.axes = program, replay, axes
        self.kinds = list(kinds) or [None] * len(program.sequences)
        self.save, self.backward, self.exchanges = save, backward, exchanges
        programs = [p for p in (program, replay) if p is not None]
        self.small = is_small(programs)
        self.steps = {p: _Step(p, self.small) for p in programs}
        rows = max(b - a for step in self.steps.values() for c in step.widths for a, b in pairs(c))
        if (widest := width_of(rows)) > WIDEST:
            raise TooWide(
                f"scan: a step has values of {rows} rows for every lane, and the device's kernels take up to {WIDEST}; "
                'move the tensors to the CPU, or use backend="eager"'
            )
        self.lanes = 32 if self.small else min(max(256 // widest, 1), 16)
        self.warps = 1 if self.small else min(max(self.lanes * widest // 128, 1), 16)
        self.text = Text()
        self.writer = Writer(self.text, self.lanes, self.warps, dtype, _margins(programs))
        self.arguments: dict[tuple[str, Any], list[str]] = {}
        self.early: dict[Any, Tiles] = {}
        self.fetched: dict[Value, Tiles] = {}
        self._walk()
        self.kernel = self._finished()

    def _argument(self, kind: str, index: Any, *strides: str) -> str:
        """The name of a tensor; its strides are arguments too."""
        name = f"{kind}{index}"
        if (kind, index) not in self.arguments:
            self.arguments[kind, index] = [name, *(f"{name}_{s}" for s in strides)]
            if strides:
                terms = " + ".join(f"axis{a} * {name}_axis{a}" for a in range(self.axes))
                self.text.head.append(f"    {name}_lane = {name} + {terms}")
        return name

    def _strided(self, kind: str, index: int, time: bool) -> str:
        lanes = [f"axis{a}" for a in range(self.axes)]
        return self._argument(kind, index, *(["time"] if time else []), "row", *lanes)

    def _at_start(self, kind: str, index: int, cuts: Cuts) -> Tiles:
        """A tensor without time, read before the loops."""
        name = self._strided(kind, index, time=False)
        key = (kind, index, tuple(cuts))
        if key not in self.early:
            body, depth = self.text.body, self.text.depth
            self.text.body, self.text.depth = self.text.head, 1
            self.early[key] = self.writer.load(f"{name}_lane", f"{name}_row", cuts)
            self.text.body, self.text.depth = body, depth
        return self.early[key]

    def _leaf(self, v: Value, cuts: Cuts, states: list[Tiles]) -> Tiles:
        if v.op == "constant":
            return [self.writer.constant(v.attr)]
        if v.op == "held":
            return self._at_start("held", v.attr, cuts)
        if v.op == "state":
            return states[v.attr]
        kind, tiles = self.kinds[v.attr], self.fetched.get(v) or self._fetch(v, cuts)
        if kind is None or not kind.output:
            return tiles
        initial = self._at_start("before", kind.state, cuts)
        return [self.text.let(f"tl.where(s > 0, {e}, {i})") for e, i in zip(tiles, initial, strict=True)]

    def _fetch(self, v: Value, cuts: Cuts) -> Tiles:
        """What is read of a sequence at a step."""
        kind = self.kinds[v.attr]
        if kind is not None and not kind.output:
            return self.writer.load(f"kept_here + {self._offset(kind.state)}", "1", cuts)
        name = self._strided("sequence", v.attr, time=True)
        time = "t" if kind is None else "(first + tl.maximum(s - 1, 0) * direction)"
        return self.writer.load(f"{name}_lane + {time} * {name}_time", f"{name}_row", cuts)

    def _offset(self, state: int) -> int:
        """Where a state begins among all that are kept."""
        assert self.replay is not None or self.save
        return sum((self.replay or self.program).states[:state])

    def _body(self, step: _Step, states: list[Tiles]) -> tuple[list[Tiles], list[Tiles]]:
        """One step: outputs and states after."""
        made: dict[Value, Tiles] = {}
        self.writer.exposed = {}
        for v in step.order.values:
            op, operands = step.order.operation.get(v, (v.op, v.args))
            if v.op in LEAVES:
                made[v] = self._leaf(v, step.cuts[v], states)
            else:
                given = [(made[a], step.cuts[a]) for a in operands]
                made[v] = self.writer.compute(v, op, given, step.cuts[v])
        return [made[v] for v in step.program.outputs], [made[v] for v in step.program.after]

    def _carry(self, states: list[Tiles], after: list[Tiles]) -> None:
        """The states become what they are after the step, all at once."""
        moved = {name for tiles in states for name in tiles}
        new = [[self.text.let(t) if t in moved else t for t in tiles] for tiles in after]
        for names, tiles in zip(states, new, strict=True):
            for name, tile in zip(names, tiles, strict=True):
                if name != tile:
                    self.text.line(f"{name} = {tile}")

    def _names(self, step: _Step, prefix: str, given: list[Tiles]) -> list[Tiles]:
        """Variables for the states, with what they begin as."""
        states = []
        for i, tiles in enumerate(given):
            states.append([f"{prefix}{i}_{k}" for k in range(len(tiles))])
            for name, tile in zip(states[-1], tiles, strict=True):
                self.text.line(f"{name} = {tile}")
        return states

    def _walk(self) -> None:
        step, text = self.steps[self.program], self.text
        initial = [self._at_start("state", i, c) for i, c in enumerate(step.state_cuts)]
        states = self._names(step, "state", initial)
        if self.replay is not None:
            self._replayed(self.steps[self.replay], step, states)
        elif self.save:
            with text.block("for chunk in range(tl.cdiv(steps, every)):"):
                self._keep("checkpoints", "chunk", step, states)
                text.line("start = chunk * every")
                text.line("count = tl.minimum(every, steps - start)")
                self._loop(step, states, "count", "start + {n}")
        else:
            self._loop(step, states, "steps", "steps - 1 - {n}" if self.backward else "{n}")
        for i, tiles in enumerate(states):
            name, rows = self._argument("after", i), self.program.states[i]
            self.writer.store(f"{name} + lane * {rows}", step.state_cuts[i], tiles)

    def _replayed(self, earlier: _Step, step: _Step, states: list[Tiles]) -> None:
        text = self.text
        with text.block("for reached in range(tl.cdiv(steps, every)):"):
            text.line("chunk = tl.cdiv(steps, every) - 1 - reached")
            text.line("start = chunk * every")
            text.line("count = tl.minimum(every, steps - start)")
            text.line(self._kept("checkpoints", "chunk"))
            begun = [
                self.writer.load(f"kept_here + {self._offset(i)}", "1", c) for i, c in enumerate(earlier.state_cuts)
            ]
            replayed = self._names(earlier, "replayed", begun)
            kinds, self.kinds = self.kinds, [None] * len(self.kinds)
            self._loop(earlier, replayed, "count", "start + {n}", keeps=True)
            self.kinds = kinds
            text.line("tl.debug_barrier()")
            self._loop(step, states, "count", "start + count - 1 - {n}", reads="count - 1 - {n}")
            text.line("tl.debug_barrier()")

    def _kept(self, where: str, position: str) -> str:
        """The address of the states before a step, or a chunk."""
        rows = sum((self.replay or self.program).states)
        self._argument(where, "")
        return f"kept_here = {where} + (wide + ({position})) * lanes * {rows} + lane * {rows}"

    def _keep(self, where: str, position: str, step: _Step, states: list[Tiles]) -> None:
        self.text.line(self._kept(where, position))
        for i, tiles in enumerate(states):
            self.writer.store(f"kept_here + {self._offset(i)}", step.state_cuts[i], tiles)

    def _loop(
        self, step: _Step, states: list[Tiles], count: str, position: str, reads: str = "", keeps: bool = False
    ) -> None:
        """Steps, of which ``position`` is the number; the states before them are kept, or ``reads`` says where."""
        text = self.text

        def clock(n: str) -> None:
            text.line(f"s = wide + ({position.format(n=n)})")
            text.line("t = first + s * direction")
            if reads:
                text.line(self._kept("kept", reads.format(n=n)))

        self.fetched = {}
        leaves = [v for v in step.order.values if v.op == "sequence"]
        if self.exchanges:  # Triton runs no loads ahead here: what a step reads is loaded a step earlier
            clock("0")
            given = [self._fetch(v, step.cuts[v]) for v in leaves]
            for v, tiles in zip(leaves, given, strict=True):
                self.fetched[v] = [text.let(tile, "now") for tile in tiles]
        with text.block(f"for n in range({count}):" if self.exchanges else f"for n in {self._ahead(step, count)}:"):
            coming = []
            if self.exchanges:
                clock(f"tl.minimum(n + 1, {count} - 1)")
                coming = [self._fetch(v, step.cuts[v]) for v in leaves]
            clock("n")
            self.writer.parity = "(s % 2)"  # of steps, for lines take turns from chunk to chunk too
            if keeps:
                self._keep("kept", "n", step, states)
            self._advance(step, states)
            for v, tiles in zip(leaves, coming, strict=False):
                for name, tile in zip(self.fetched[v], tiles, strict=True):
                    text.line(f"{name} = {tile}")

    def _ahead(self, step: _Step, count: str) -> str:
        """A loop whose loads Triton runs ahead, by as many steps as fit into a little shared memory."""
        size = 8 * self.lanes * sum(width_of(rows) for rows in step.program.sequences)
        return f"tl.range(0, {count}, num_stages={min(max(1 + _AHEAD // max(size, 1), 2), 6)})"

    def _advance(self, step: _Step, states: list[Tiles]) -> None:
        """One step of the program: outputs written, states moved on."""
        outputs, after = self._body(step, states)
        for i, (v, tiles) in enumerate(zip(step.program.outputs, outputs, strict=True)):
            name = self._argument("output", i)
            self.writer.store(f"{name} + (t * lanes + lane) * {v.rows}", step.cuts[v], tiles)
        self._carry(states, after)

    def _finished(self) -> Kernel:
        writer, names = self.writer, [n for names in self.arguments.values() for n in names]
        names += [f"w{i}" for i in range(len(writer.matrices))] + ["table"] * bool(writer.table)
        sizes = [f"size{a}" for a in range(1, self.axes)]
        numbers = ["steps", "every", "first", "direction", "lanes", *sizes]
        lines = ["line_memory"] if writer.line_rows else []
        fixed = [*numbers, *(n for n in names if "_" in n and not n.endswith("_row"))]
        head = [
            f"@triton.jit(do_not_specialize={fixed!r})",
            f"def kernel({', '.join([*names, *lines, *numbers])}):",
            f"    lane = tl.program_id(0).to(tl.int64) * {self.lanes} + tl.arange(0, {self.lanes})[:, None]",
            "    inside = lane < lanes",
            "    wide = tl.full([], 0, tl.int64)",
        ]
        rest = "lane"
        for a in reversed(range(1, self.axes)):
            head += [f"    axis{a} = {rest} % size{a}", f"    rest{a} = {rest} // size{a}"]
            rest = f"rest{a}"
        head.append(f"    axis0 = {rest}")
        line_size = writer.line_rows * self.lanes
        if lines:
            head += [
                f"    line_size: tl.constexpr = {line_size}",
                "    lines = line_memory + tl.program_id(0).to(tl.int64) * (2 * line_size)",
            ]
        return Kernel(
            "\n".join([*head, *self.text.head, *self.text.body, ""]),
            tuple(self.arguments),
            self.lanes,
            self.warps,
            tuple(writer.table),
            tuple(writer.matrices),
            line_size,
        )


def _margins(programs: Sequence[Program]) -> tuple[int, int]:
    bands = [v.attr for p in programs for v in p.order if v.op == "matrix" and v.attr.kind == "banded"]
    return max((m.lower for m in bands), default=0), max((m.upper for m in bands), default=0)


class _Step:
    """A program with its order and cuts."""

    def __init__(self, program: Program, small: bool) -> None:
        self.program = program
        self.order: Order = ordered(program, (), is_adjoint=False, narrow=False)
        self.cuts = cuts_of(program, self.order, small)
        self.state_cuts = [self.cuts[v] for v in program.after]
        self.widths = [self.cuts[v] for v in (*self.order.values, *program.after)] or [(0, 1)]
