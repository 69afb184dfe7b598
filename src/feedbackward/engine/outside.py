"""What a cell computes outside its loop: once, from parameters; and over the whole sequence at once, from x."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from ..ops.operator import Operator
from ..ops.product import multiply
from .lower import OUTSIDE, SEQUENCE, Lowering, dependencies
from .nodes import base_name, is_pointwise
from .trace import Trace

Graph = Callable[..., list[Tensor]]


class Outside:
    """The two graphs beside the loop, free of any tensor that the cell closes over."""

    def __init__(
        self, once: fx.Graph, along: fx.Graph, xs: list[int], shared: list[int], aligned: bool, by_step: bool
    ) -> None:
        self.once, self.along, self.aligned, self.by_step = _function(once), _function(along), aligned, by_step
        self.once_names, self.along_names = _names(once), _names(along)
        self.xs, self.shared = xs, shared

    def run(self, captured: Sequence[Tensor], xs: Sequence[Tensor], steps: int) -> tuple[list[Tensor], list[Tensor]]:
        """The results of both graphs; xs have time first."""
        once = self.once(*captured)
        inputs = [xs[i] for i in self.xs]
        shared = [once[i] for i in self.shared]
        if self.aligned:
            return once, self.along(*inputs, *shared)
        if steps == 0:
            dummies = self.along(*(x.new_zeros(x.shape[1:]) for x in inputs), *shared)
            return once, [d.new_empty((0, *d.shape)) for d in dummies]
        if self.by_step:
            results = [self.along(*(x[t] for x in inputs), *shared) for t in range(steps)]
            return once, [torch.stack(column) for column in zip(*results, strict=True)]
        over_time = torch.vmap(self.along, in_dims=(*(0 for _ in inputs), *(None for _ in shared)))
        return once, list(over_time(*inputs, *shared))


def _names(graph: fx.Graph) -> tuple[str, ...]:
    targets = [n.target for n in graph.nodes if n.op == "call_function" and n.target is not operator.getitem]
    return tuple(_name(t) for t in targets)


def _name(target: Any) -> str:
    """Of an operator of torch as torch says it; of a function of ours by its name."""
    if isinstance(target, torch._ops.OpOverload):
        return str(target).removeprefix("aten.").split(".")[0]
    return str(getattr(target, "__name__", target)).strip("_")


def _function(graph: fx.Graph) -> Graph:
    """A graph as a function; one that only passes on its inputs costs nothing."""
    nodes = list(graph.nodes)
    if all(n.op in ("placeholder", "output") for n in nodes):
        chosen = [nodes.index(n) for n in nodes[-1].args[0]]
        return lambda *inputs: [inputs[i] for i in chosen]
    return fx.GraphModule(torch.nn.Module(), graph).forward


def split(trace: Trace, lowering: Lowering) -> tuple[Outside, dict[fx.Node, tuple[str, int]]]:
    """What runs outside, and for every node that the loop or the caller needs: ``"once"`` or ``"along"``, and where."""
    kind = dependencies(trace)
    nodes = list(trace.module.graph.nodes)
    needed = [f.node for f in (*lowering.held, *lowering.sequences)] + [w.node for w in lowering.matrices]
    needed += [o for o in lowering.outputs if isinstance(o, fx.Node)]
    along = [n for n in dict.fromkeys(needed) if kind[n] == SEQUENCE]
    inner = _ancestors(along, lambda n: kind[n] == SEQUENCE)
    shared = [n for n in dict.fromkeys(a for n in inner for a in n.all_input_nodes) if kind[n] == OUTSIDE]
    once = [n for n in dict.fromkeys([*needed, *shared]) if kind[n] == OUTSIDE]
    leaves = [n for n in nodes if n.op == "placeholder"][trace.carry :]
    leaves, given = leaves[: trace.x], leaves[trace.x :]
    xs = [i for i, n in enumerate(leaves) if n in inner]
    outside = Outside(
        _graph([*given, *(n for n in nodes if n.op == "get_attr")], once),
        _graph([*(leaves[i] for i in xs), *shared], along),
        xs,
        [once.index(n) for n in shared],
        all(_is_aligned(n, kind) for n in inner),
        any(_is_odd_for_vmap(n) for n in inner),
    )
    place = {n: (name, i) for name, group in (("once", once), ("along", along)) for i, n in enumerate(group)}
    return outside, place


def _is_aligned(node: fx.Node, kind: dict[fx.Node, int]) -> bool:
    """Whether a node of the sequence can be computed with time as one more axis in front, as it is."""
    if node.op == "placeholder":
        return True
    inputs = [n for n in node.all_input_nodes if kind[n] == SEQUENCE]
    if node.target in _PRODUCTS:
        return len(inputs) == 1 and node.args[-2] is inputs[0] and not node.kwargs
    ndim = node.meta["val"].ndim if isinstance(node.meta["val"], Tensor) else 0
    return is_pointwise(node) and all(n.meta["val"].ndim == ndim for n in inputs)


def _is_odd_for_vmap(node: fx.Node) -> bool:
    """A reduction or a move of a tensor without axes: torch allows it an axis 0, vmap does not."""
    if (
        node.op != "call_function"
        or is_pointwise(node)
        or base_name(node) in ("getitem", "view", "unsqueeze", "expand")
    ):
        return False
    return any(isinstance(n.meta["val"], Tensor) and n.meta["val"].ndim == 0 for n in node.all_input_nodes)


def _ancestors(ends: Sequence[fx.Node], inside: Callable[[fx.Node], bool]) -> dict[fx.Node, None]:
    found: dict[fx.Node, None] = {}
    stack = list(ends)
    while stack:
        node = stack.pop()
        if node in found or not inside(node):
            continue
        found[node] = None
        stack.extend(node.all_input_nodes)
    return found


def _graph(inputs: Sequence[fx.Node], ends: Sequence[fx.Node]) -> fx.Graph:
    """The part of a traced graph that leads from ``inputs`` to ``ends``."""
    graph = fx.Graph()
    made: dict[fx.Node, fx.Node] = {n: graph.placeholder(n.name) for n in inputs}
    inner = _ancestors(ends, lambda n: n not in made)
    for node in ends[0].graph.nodes if ends else ():
        if node in inner:
            made[node] = graph.node_copy(node, lambda n: made[n])
            ours = _PRODUCTS.get(node.target) or Operator.of_native.get(node.target)
            made[node].target = ours or _without_copy(node.target)
            if node.target is torch.ops.aten.slice_scatter.default:  # vmap takes no end beyond the end
                args = [*made[node].args, *(0, None, None)[len(node.args) - 2 :]]
                size = node.meta["val"].shape[args[2]]
                args[3] = (args[3] or 0) + size * ((args[3] or 0) < 0)
                args[4] = size if args[4] is None else min(args[4], size)
                made[node].args = tuple(args)
            made[node].meta = {}
    graph.output([made[n] for n in ends])
    return graph


def _without_copy(target: Any) -> Any:
    """The operator that returns a view, for one that functionalizing has made return a copy."""
    if target is torch.ops.aten.copy.default:
        return _in_place_of
    name = str(getattr(target, "_opname", ""))
    if not name.endswith("_copy") or name == "_to_copy" or not hasattr(torch.ops.aten, name.removesuffix("_copy")):
        return target
    return getattr(getattr(torch.ops.aten, name.removesuffix("_copy")), target._overloadname)


def _affine(*arguments: Tensor) -> Tensor:
    """(bias +) x weights for any leading axes of x, as one product."""
    *bias, x, weights = arguments
    rows = x.flatten(0, -2)
    y = multiply(rows, weights, *bias)
    return y.unflatten(0, x.shape[:-1])


_PRODUCTS = {torch.ops.aten.mm.default: _affine, torch.ops.aten.addmm.default: _affine}


def _in_place_of(old: Tensor, new: Tensor) -> Tensor:
    """What `old` is after ``old.copy_(new)``."""
    return new.expand_as(old).to(old.dtype)
