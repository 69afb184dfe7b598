"""Operators that only move elements: slices, views, stacks, rolls. They become index arithmetic on rows.

Instead of a rule per operator, the operator itself runs on numbers that say where every element comes from: its row
and its lane. A result whose elements stay in their lanes, in the same way in all of them, is a gather of rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx

from .ir import Value
from .nodes import Lowered, Misfit, base_name

if TYPE_CHECKING:
    from .lower import Lowerer

MOVES = frozenset(
    (
        "select slice view _unsafe_view reshape permute transpose t unsqueeze squeeze expand cat stack split "
        "split_with_sizes unbind flip roll index_select repeat constant_pad_nd narrow diagonal select_scatter "
        "slice_scatter select_copy slice_copy view_copy permute_copy transpose_copy t_copy unsqueeze_copy squeeze_copy "
        "expand_copy split_copy split_with_sizes_copy unbind_copy diagonal_copy movedim gather index unfold "
        "unfold_copy chunk as_strided_copy"
    ).split()
)
_ANY = -1  # the lane of what is the same in all of them


def move(lowerer: Lowerer, node: fx.Node) -> Any:
    """Lower an operator of `MOVES`: a `Lowered`, or a list where it has several results."""
    tensors = [n for n in node.all_input_nodes if n not in _positions(node)]
    rows, lanes, values, total = {}, {}, [], 0
    for n in tensors:
        on = _lanes_of_input(lowerer, node, n, tensors)
        shape = tuple(n.meta["val"].shape)
        unfolded = (lowerer.known[n].unfolded if lowerer.in_loop(n) else None) or shape
        value = lowerer.known[n].value if unfolded != shape else lowerer.leaf(n, on)
        rest = [a for a in range(len(unfolded)) if a not in on]
        rows[n] = _numbers(unfolded, rest, value.rows).reshape(shape) + total
        lanes[n] = (_numbers(unfolded, on, lowerer.count) if on else torch.full(unfolded, _ANY)).reshape(shape)
        values.append(value)
        total += value.rows
    padding = -1
    if base_name(node) == "constant_pad_nd" and len(node.args) > 2 and node.args[2]:
        values.append(lowerer.g.constant(float(node.args[2])))
        padding = total
    everything = lowerer.g.concat(values)
    moved_rows, moved_lanes = _run(lowerer, node, rows, padding), _run(lowerer, node, lanes, _ANY)
    several = isinstance(moved_rows, (list, tuple))
    results = []
    for row, lane in zip(*((moved_rows, moved_lanes) if several else ([moved_rows], [moved_lanes])), strict=True):
        axes = _lane_axes(lane, lowerer.count)
        if axes is None and len(tensors) == 1 and (folded := _folded(lowerer, tensors[0], row, everything)):
            return folded
        order = [*(axes or ()), *(a for a in range(row.ndim) if a not in (axes or ()))]
        table = row.permute(order).reshape(lowerer.count if axes else 1, -1)
        if axes is None or not bool((table == table[:1]).all()):
            raise Misfit(node, "moves elements between lanes, or in different ways in different lanes")
        results.append(Lowered(lowerer.g.gather(everything, table[0].tolist()), axes))
    return results if several else results[0]


def _folded(lowerer: Lowerer, node: fx.Node, rows: Tensor, value: Value) -> Lowered | None:
    """A view that merges leading axes, lanes among them, into one, and moves nothing."""
    before, after = tuple(node.meta["val"].shape), tuple(rows.shape)
    for merged in range(2, len(before) + 1):
        if (math.prod(before[:merged]), *before[merged:]) == after:
            return Lowered(value, lowerer.known[node].lanes, before)
    return None


def _numbers(shape: Sequence[int], axes: Any, count: int) -> Tensor:
    """Numbers that count along ``axes`` and are the same along the others; zeros where there is one of them only."""
    sizes = [shape[a] for a in axes]
    numbers = torch.arange(count).reshape(sizes) if count == math.prod(sizes) else torch.zeros(sizes, dtype=torch.int64)
    for a in sorted(set(range(len(shape))) - set(axes)):
        numbers = numbers.unsqueeze(a)
    return numbers.expand(shape).contiguous()


def _lanes_of_input(lowerer: Lowerer, node: fx.Node, n: fx.Node, tensors: list[fx.Node]) -> tuple[int, ...]:
    """The lane axes of one of several tensors that are put together."""
    if lowerer.in_loop(n):
        return lowerer.known[n].lanes
    if lowerer.number_of(n) is not None:
        return ()
    for other in tensors:
        if lowerer.in_loop(other) and lowerer.known[other].lanes:
            lanes = lowerer.known[other].lanes
            more = n.meta["val"].ndim - other.meta["val"].ndim
            if more:  # select_scatter: one of both lacks the axis
                axis = node.args[2] % node.meta["val"].ndim if len(node.args) > 2 else 0
                lanes = tuple(a + more * (a >= axis + (more < 0)) for a in lanes)
            return lanes if math.prod(n.meta["val"].shape[a] for a in lanes) == lowerer.count else ()
    return ()


def _positions(node: fx.Node) -> set[fx.Node]:
    """Arguments that are positions, not elements."""
    if base_name(node) == "index":
        return {n for n in node.args[1] if n is not None}
    return {node.args[2]} if base_name(node) in ("index_select", "gather") else set()


def _run(lowerer: Lowerer, node: fx.Node, numbers: dict[fx.Node, Tensor], padding: int) -> Any:
    args, kwargs = fx.node.map_arg(
        (node.args, node.kwargs), lambda n: numbers[n] if n in numbers else lowerer.integers(n)
    )
    if base_name(node) == "constant_pad_nd":
        args = (args[0], args[1], padding)
    if base_name(node) in ("view", "_unsafe_view", "view_copy"):  # of numbers that lie in another order
        return args[0].reshape(args[1])
    return node.target(*args, **kwargs)


def _lane_axes(lane: Tensor, count: int) -> tuple[int, ...] | None:
    """The axes along which the lane changes, if they are all lanes in order; none where nothing belongs to a lane."""
    if bool((lane == _ANY).all()):
        return ()
    axes = []
    for a in range(lane.ndim):
        if lane.shape[a] > 1:
            first, second = lane.select(a, 0), lane.select(a, 1)
            if bool(((first != second) & (first != _ANY) & (second != _ANY)).any()):
                axes.append(a)
    if math.prod(lane.shape[a] for a in axes) != count:
        return None
    front = lane.permute(*axes, *(a for a in range(lane.ndim) if a not in axes)).reshape(count, -1)
    right = (front == torch.arange(count)[:, None]) | (front == _ANY)
    return tuple(axes) if bool(right.all()) else None
