"""From ATen operators to the lane IR, and what stays outside the loop.

Lanes are the axes of the carry over which every operator does the same thing: as many leading axes as possible. A
value in the loop knows which of its axes are lanes; the others, flattened, are its rows. What depends on x alone runs
outside, over the whole sequence; what depends on neither runs outside once; both may be any operator of torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from .coupled import COUPLED
from .errors import line_of, refusal
from .ir import Graph, Matrix, Program, Value
from .move import MOVES, move
from .nodes import Feed, Lowered, Misfit, Weights, base_name, is_pointwise, name_of, number_of, part_of
from .pointwise import POINTWISE, Formula
from .trace import CPU, Trace

OUTSIDE, SEQUENCE, LOOP = range(3)  # what a node depends on: parameters, x, the state


@dataclass
class Lowering:
    """What a traced cell comes to.

    Attributes:
        program: What runs in the loop.
        lanes: The sizes of the lane axes.
        held, matrices, sequences: Where the program's leaves come from.
        outputs: For every leaf of y: its `Lowered` output in the loop, or the node outside that it is.
        carry: The lane axes of every leaf of the carry.
        dtype: That of the computation.
    """

    program: Program
    lanes: tuple[int, ...]
    held: list[Feed]
    matrices: list[Weights]
    sequences: list[Feed]
    outputs: list[Lowered | fx.Node]
    carry: list[tuple[int, ...]]
    dtype: torch.dtype


def lower(trace: Trace) -> Lowering:
    """Lower a traced cell, with as many lanes as it allows."""
    carried = [n for n in trace.module.graph.nodes if n.op == "placeholder"][: trace.carry]
    shapes = [tuple(n.meta["val"].shape) for n in carried if n.meta["val"].ndim]
    common = 0
    while shapes and all(len(s) > common and s[common] == shapes[0][common] for s in shapes):
        common += 1
    misfit: Misfit | None = None
    for axes in range(common, -1, -1):
        try:
            with CPU:  # where positions are computed, whatever the default device
                return Lowerer(trace, axes).run()
        except Misfit as error:
            misfit = error
    assert misfit is not None
    raise refusal(
        f"{name_of(misfit.node)} {misfit.why}",
        "write it with what scan knows, on the last axes of the state, or move it out of the cell",
        line_of(misfit.node),
    )


def dependencies(trace: Trace) -> dict[fx.Node, int]:
    """For every node, whether it depends on the state, on x, or on neither."""
    kind: dict[fx.Node, int] = {}
    placeholders = 0
    for node in trace.module.graph.nodes:
        if node.op == "placeholder":
            later = placeholders >= trace.carry, placeholders >= trace.carry + trace.x
            kind[node] = (LOOP, SEQUENCE, OUTSIDE)[sum(later)]
            placeholders += 1
        else:
            kind[node] = max((kind[n] for n in node.all_input_nodes), default=OUTSIDE)
    return kind


@dataclass
class Lowerer:
    """Lowers one traced cell with the first ``axes`` axes of the carry as lanes."""

    trace: Trace
    axes: int
    g: Graph = field(default_factory=Graph)
    known: dict[Any, Any] = field(default_factory=dict)
    held: list[Feed] = field(default_factory=list)
    matrices: list[Weights] = field(default_factory=list)
    maps: list[Matrix] = field(default_factory=list)
    sequences: list[Feed] = field(default_factory=list)
    leaf_rows: dict[Feed, int] = field(default_factory=dict)

    def run(self) -> Lowering:
        """Lower every node in order.

        Raises:
            Misfit: Some operator mixes these lanes.
        """
        self.kind = dependencies(self.trace)
        nodes = list(self.trace.module.graph.nodes)
        carried = [n for n in nodes if n.op == "placeholder"][: self.trace.carry]
        whole = [n for n in carried if n.meta["val"].ndim]
        self.lanes: tuple[int, ...] = (
            tuple(s for s in whole[0].meta["val"].shape[: self.axes] if s > 1) if whole else ()
        )
        self.count = math.prod(self.lanes)
        self.dtype = self._dtype(nodes)
        carry_lanes, states = [], []
        for i, node in enumerate(carried):
            shape = node.meta["val"].shape
            lanes = tuple(a for a in range(min(self.axes, len(shape))) if shape[a] > 1)
            rows = math.prod(shape) // math.prod(shape[a] for a in lanes)
            self.known[node] = Lowered(self.g.emit("state", rows=rows, attr=i), lanes)
            carry_lanes.append(lanes)
            states.append(rows)
        for node in nodes:
            if node.op == "call_function" and self.kind[node] == LOOP:
                self.known[node] = self._lower(node)
        (results,) = (n for n in nodes if n.op == "output")
        results = list(results.args[0])
        after = []
        for node, lanes, rows in zip(results, carry_lanes, states, strict=False):
            lowered = self.leaf(node, lanes)
            after.append(self.g.widen(lowered, rows))
        outputs: list[Lowered | fx.Node] = []
        for node in results[self.trace.carry :]:
            outputs.append(self.known[node] if self.kind[node] == LOOP else node)
        program = Program(
            tuple(self.leaf_rows[f] for f in self.held),
            tuple(self.maps),
            tuple(self.leaf_rows[f] for f in self.sequences),
            tuple(states),
            tuple(o.value for o in outputs if isinstance(o, Lowered)),
            tuple(after),
        )
        return Lowering(program, self.lanes, self.held, self.matrices, self.sequences, outputs, carry_lanes, self.dtype)

    def _dtype(self, nodes: Sequence[fx.Node]) -> torch.dtype:
        dtype = torch.float32
        for node in nodes:
            value = node.meta.get("val")
            if self.kind[node] != LOOP or not isinstance(value, torch.Tensor):
                continue
            if value.dtype.is_complex or value.dtype in (torch.float16, torch.bfloat16):
                raise refusal(
                    f"{name_of(node)} computes in {value.dtype}", "use float32 or float64 in the cell", line_of(node)
                )
            if value.dtype == torch.float64:
                dtype = torch.float64
        return dtype

    # Operands

    def in_loop(self, node: fx.Node) -> bool:
        """Whether a node depends on the state."""
        return self.kind[node] == LOOP

    def is_constant(self, node: fx.Node) -> bool:
        """Whether a node is the same for all steps."""
        return self.kind[node] == OUTSIDE

    def number_of(self, node: fx.Node) -> float | None:
        """The number that a node outside the loop is everywhere, if it is made of nothing else."""
        return None if self.in_loop(node) else number_of(node)

    def leaf(self, node: fx.Node, lanes: tuple[int, ...]) -> Value:
        """The rows of a node whose own axes ``lanes`` are lanes."""
        return self._aligned(node, node.meta["val"].ndim, lanes)

    def integers(self, node: fx.Node) -> torch.Tensor:
        """The positions that a node outside the loop holds, on the CPU, where the tables are that they index."""
        if self.kind[node] != OUTSIDE:
            raise refusal("the cell takes positions from x or the state", "use torch.where", line_of(node))
        if node.op in ("get_attr", "placeholder"):
            return self.trace.captured[node.meta["captured"]].detach().cpu()
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), self.integers)
        return node.target(*args, **(kwargs | {"device": torch.device("cpu")} if "device" in kwargs else kwargs))

    def _aligned(self, node: fx.Node, ndim: int, lanes: tuple[int | None, ...]) -> Value:
        """A node as an operand of something with ``ndim`` axes of which ``lanes`` are lanes: aligned at the right."""
        shift = ndim - node.meta["val"].ndim
        if self.in_loop(node):
            lowered: Lowered = self.known[node]
            if lowered.unfolded:
                raise Misfit(node, "has an axis that merges lanes with rows")
            if lowered.lanes and tuple(a + shift for a in lowered.lanes) != lanes:
                raise Misfit(node, "has its lanes on other axes than what it is combined with")
            own = node.meta["val"].shape
            if not lowered.lanes and any(a is not None and a >= shift and own[a - shift] > 1 for a in lanes):
                raise Misfit(node, "has an axis of its own where others have lanes")
            return lowered.value
        shape = node.meta["val"].shape
        mine = [a - shift if a is not None and a >= shift and shape[a - shift] > 1 else None for a in lanes]
        mine += [None] * (len(self.lanes) - len(mine))
        key = (node, tuple(mine))
        if key not in self.known:
            self.known[key] = self._outside(node, tuple(mine))
        return self.known[key]

    def _outside(self, node: fx.Node, lanes: tuple[int | None, ...]) -> Value:
        number = number_of(node)
        if number is not None:
            return self.g.constant(number)
        if self.kind[node] == SEQUENCE and node.op == "call_function" and is_pointwise(node):
            return self.pointwise(node, lanes)
        if self.kind[node] == SEQUENCE and (part := part_of(node)):
            whole, dim, rows = part
            if dim not in lanes:  # a view in the loop: its gradient is written where it belongs
                shape = self.channels(whole, lanes)
                at = torch.arange(math.prod(shape)).reshape(shape)
                at = at.narrow(dim - sum(a is not None and a < dim for a in lanes), rows.start, len(rows))
                return self.g.gather(self._aligned(whole, whole.meta["val"].ndim, lanes), at.flatten().tolist())
        val = node.meta["val"]
        if val.dtype.is_complex:
            raise refusal(f"{name_of(node)} is complex", "use real tensors in the cell", line_of(node))
        for a, size in zip(lanes, self.lanes, strict=True):
            if a is not None and val.shape[a] != size:
                raise Misfit(node, f"has shape {tuple(val.shape)}, which does not fit lanes of shape {self.lanes}")
        feed = Feed(node, lanes)
        feeds, op = (self.held, "held") if self.kind[node] == OUTSIDE else (self.sequences, "sequence")
        if feed not in feeds:
            feeds.append(feed)
            self.leaf_rows[feed] = math.prod(self.channels(node, lanes))
        return self.g.emit(op, rows=self.leaf_rows[feed], attr=feeds.index(feed))

    def matrix(self, weights: Weights, kind: str, rows: int, columns: int, **more: Any) -> Matrix:
        """The linear map by weights from outside."""
        if weights not in self.matrices:
            self.matrices.append(weights)
            self.maps.append(Matrix(len(self.maps), kind, rows, columns, **more))
        return self.maps[self.matrices.index(weights)]

    # Operators

    def _lower(self, node: fx.Node) -> Any:
        name = base_name(node)
        if name == "getitem":
            result = self.known[node.args[0]][node.args[1]]
            if result is None and node.users:
                raise refusal(f"{name_of(node.args[0])} finds positions", "use its values alone", line_of(node))
            return result
        if name in MOVES:
            return move(self, node)
        if name in COUPLED:
            return COUPLED[name](self, node)
        if is_pointwise(node):
            lanes = self.lane_axes(node)
            value = self.pointwise(node, lanes)
            return Lowered(self.g.widen(value, math.prod(self.channels(node, lanes))), lanes)
        raise refusal(
            f"{name_of(node)} has no native form",
            "write it with pointwise operators, products with matrices and reductions, or apply it to x alone",
            line_of(node),
        )

    def lane_axes(self, node: fx.Node, inputs: Iterable[fx.Node] | None = None) -> tuple[int, ...]:
        """The lane axes of a result that is aligned at the right with those inputs that are in the loop."""
        ndim = node.meta["val"].ndim
        found: tuple[int, ...] = ()
        for n in inputs or node.all_input_nodes:
            if self.kind[n] == LOOP and isinstance(self.known[n], Lowered) and self.known[n].lanes:
                lanes = tuple(a + ndim - n.meta["val"].ndim for a in self.known[n].lanes)
                if found and found != lanes:
                    raise Misfit(node, "combines values whose lanes are on different axes")
                found = lanes
        return found

    def channels(self, node: fx.Node, lanes: Sequence[int | None]) -> tuple[int, ...]:
        """The shape of a node's rows."""
        return tuple(s for a, s in enumerate(node.meta["val"].shape) if a not in lanes)

    def pointwise(self, node: fx.Node, lanes: tuple[int | None, ...]) -> Value:
        """The value of a pointwise operator."""
        val = node.meta["val"]
        shape = self.channels(node, lanes)
        rows = math.prod(shape)
        name = base_name(node)
        if name == "_to_copy":
            return self._cast(node, self.operand(node.args[0], val.ndim, lanes, shape), rows)
        if not val.dtype.is_floating_point and val.dtype != torch.bool and name not in _INTEGER:
            raise refusal(
                f"{name_of(node)} computes in {val.dtype}", "keep what changes with the state in floats", line_of(node)
            )
        args = [self.operand(a, val.ndim, lanes, shape) for a in node.args]
        kwargs = {k: self.operand(v, val.ndim, lanes, shape) for k, v in node.kwargs.items() if k not in _MEANINGLESS}
        result = POINTWISE[name](Formula(self.g, rows), *args, **kwargs)
        return result if isinstance(result, Value) else self.g.constant(float(result))

    def operand(self, arg: Any, ndim: int, lanes: tuple[int | None, ...], shape: tuple[int, ...]) -> Any:
        """An argument of a pointwise operator whose rows have ``shape``; numbers and settings as they are."""
        if not isinstance(arg, fx.Node):
            return arg
        value = self._aligned(arg, ndim, lanes)
        shift = ndim - arg.meta["val"].ndim
        own = tuple(s for a, s in enumerate(arg.meta["val"].shape) if a + shift not in lanes)
        return self.fit(value, own, shape)

    def fit(self, value: Value, own: tuple[int, ...], shape: tuple[int, ...]) -> Value:
        """Rows of shape ``own``, broadcast to rows of ``shape``; one row stays one row."""
        if value.rows == 1 or own == shape or math.prod(own) == math.prod(shape):
            return value
        table = torch.arange(math.prod(own)).reshape(own).expand(shape).flatten().tolist()
        return self.g.gather(value, table)

    def _cast(self, node: fx.Node, value: Value, rows: int) -> Value:
        source, target = node.args[0].meta["val"].dtype, node.meta["val"].dtype
        f = Formula(self.g, rows)
        if target == torch.bool and source != torch.bool:
            return f("ne", value, 0)
        if not target.is_floating_point and source.is_floating_point:
            return f("trunc", value)
        if target == torch.float32 and self.dtype == torch.float64 and source == torch.float64:
            return f("float32", value)
        return value


_INTEGER = frozenset(
    (
        "where eq ne lt le gt ge logical_not logical_and logical_or bitwise_not bitwise_and bitwise_or clone alias add "
        "sub mul maximum minimum clamp copy fill zeros_like ones_like full_like detach detach_copy"
    ).split()
)
_MEANINGLESS = frozenset("dtype layout device pin_memory memory_format non_blocking".split())
