"""A scan inside `torch.compile`: one opaque operator, without a graph break.

Dynamo cannot follow the tracing of a cell, but it can turn the cell into a subgraph whose free variables are operands:
it does so for the subgraph of any operator of higher order. Ours stands for one step that returns y already stacked, so
that shapes are right; when the graph around it is traced for real, the step is taken out of it again, prepared, and
what remains are the operators that an ordinary scan calls.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, fx
from torch._higher_order_ops.base_hop import BaseHOP
from torch.utils import _pytree as pytree

from ..trees import Tree, flatten
from .arguments import Arguments
from .prepare import Form, Prepared
from .trace import CPU, apart, trace


class _ScanStep(BaseHOP):
    def __init__(self) -> None:
        super().__init__("feedbackward_scan")

    def __call__(self, subgraph: fx.GraphModule, *operands: Any, **settings: Any) -> Any:
        carry, xs = settings["carry"], settings["xs"]
        tensors = [o for o in operands if isinstance(o, Tensor)]  # between them stand the sizes that the cell asks for
        prepared = _prepared(subgraph, operands, carry, xs)
        after, y = prepared(
            prepared.tensors(tensors[carry + xs :]),
            tensors[:carry],
            tensors[carry : carry + xs],
            tensors[carry].shape[0] if xs else settings["steps"],
            settings["reverse"],
            settings["checkpoint"],
        )
        return (*after, *y)


_scan_step = _ScanStep()
_known: weakref.WeakKeyDictionary[fx.GraphModule, dict[Any, Prepared]] = weakref.WeakKeyDictionary()


def scan(
    step: Callable[..., Any], given: Arguments, reverse: bool, checkpoint: int
) -> tuple[list[Tensor], list[Tensor], Tree]:
    """The leaves of the last carry, those of y, time first, and the form of y; Dynamo traces this function."""
    carry, xs, steps = given.carry, given.xs, given.steps

    def once(*operands: Tensor) -> Any:
        leaves = [o.clone() for o in operands[: len(carry)]]  # the first use of an operand makes it the next one
        x = [o.select(0, 0) for o in operands[len(carry) :]]
        last, y = step(given.carry_tree.unflatten(leaves), given.x_tree.unflatten(x))
        leaves, y_tree = flatten(y)
        stacked = y_tree.unflatten([leaf.repeat(steps, *(1 for _ in leaf.shape)) for leaf in leaves])
        return [leaf.clone() for leaf in flatten(last)[0]], stacked

    # Each one itself, and nothing that the cell closes over.
    operands = [*(c.clone() for c in carry), *(x.view_as(x) for x in xs)]
    after, stacked = _scan_step(
        once, *operands, carry=len(carry), xs=len(xs), steps=0 if xs else steps, reverse=reverse, checkpoint=checkpoint
    )
    y, y_tree = flatten(stacked)
    return after, y, y_tree


def _prepared(subgraph: fx.GraphModule, operands: Sequence[Any], carry: int, xs: int) -> Prepared:
    step, sizes = _step_of(subgraph, operands, carry, xs)
    tensors = [o for o in operands if isinstance(o, Tensor)]
    shapes = [o.shape[1:] if carry <= i < carry + xs else o.shape for i, o in enumerate(tensors)]
    specs = [(tuple(map(int, shape)), o.dtype) for shape, o in zip(shapes, tensors, strict=True)]
    device = tensors[0].device if tensors else CPU
    known, key = _known.setdefault(subgraph, {}), (tuple(specs), sizes, device)
    if key not in known:
        trees = [flatten([0] * n)[1] for n in (carry, xs)]
        form = Form(tuple(specs[:carry]), trees[0], tuple(specs[carry : carry + xs]), trees[1], device)
        with apart():
            traced = trace(step, form.carry, form.carry_tree, form.x, form.x_tree, specs[carry + xs :], (), device)
            known[key] = Prepared(traced, form, [*range(len(specs) - carry - xs), *traced.captured])
    return known[key]


def _step_of(subgraph: fx.GraphModule, operands: Sequence[Any], carry: int, xs: int) -> tuple[Callable[..., Any], Any]:
    """``(carry, x, *captured) -> (carry, y)``: the subgraph of one x, without the stacking of y; and its sizes."""
    graph = fx.Graph()
    output = graph.graph_copy(subgraph.graph, {})
    graph.output(
        [
            leaf.args[0] if i >= carry and leaf.op == "call_method" and leaf.target == "repeat" else leaf
            for i, leaf in enumerate(pytree.tree_leaves(output))
        ]
    )
    tensors = [n for n, o in zip(graph.nodes, operands, strict=False) if isinstance(o, Tensor)]
    for sequence in tensors[carry : carry + xs]:
        for node in list(sequence.users):
            node.replace_all_uses_with(sequence)
    for node in graph.nodes:
        if node.op == "call_method" and node.target == "item":  # a Python float of the cell that may change
            node.replace_all_uses_with(node.args[0])
    graph.eliminate_dead_code()
    used = [bool(n.users) for n in graph.nodes if n.op == "placeholder"]
    sizes = tuple(
        None if isinstance(o, Tensor) else int(o) if is_used else 1 for o, is_used in zip(operands, used, strict=True)
    )
    module = fx.GraphModule(subgraph, graph)

    def step(state: list[Tensor], x: list[Tensor], *captured: Tensor) -> Any:
        tensors = iter((*state, *x, *captured))
        after = module(*(next(tensors) if size is None else size for size in sizes))
        return list(after[:carry]), list(after[carry:])

    return step, sizes
