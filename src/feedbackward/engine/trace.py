"""One step of a cell as a graph of ATen operators.

The cell runs once on fake tensors, functionalized, so that writes into tensors of its own become values. What it closes
over appears in the graph as constants, in the order of `Trace.captured`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from ..trees import Tree, flatten
from .errors import LoweringError, line_of, line_of_exception, refusal

Spec = tuple[tuple[int, ...], torch.dtype]  # shape and dtype of one tensor of one step


@dataclass
class Trace:
    """A traced step.

    Attributes:
        module: Placeholders are the leaves of the carry, those of x, and what is given; results are the leaves of the
            new carry, then those of y.
        captured: The tensors that the cell closes over.
        carry, x: How many leaves they have.
        y_tree: The tree of y.
    """

    module: fx.GraphModule
    captured: list[Tensor]
    carry: int
    x: int
    y_tree: Tree


def trace(
    cell: Callable[..., Any],
    carry: Sequence[Spec],
    carry_tree: Tree,
    x: Sequence[Spec],
    x_tree: Tree,
    given: Sequence[Spec] = (),
) -> Trace:
    """Trace ``cell(carry, x, *given) -> (carry, y)``, where what is given is the same for all steps.

    Raises:
        LoweringError: The cell cannot be traced, or its carry changes its form.
    """
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

    y_tree: Any = None

    def flat(*leaves: Tensor) -> list[Any]:
        nonlocal y_tree
        n, m = len(carry), len(carry) + len(x)
        result = cell(carry_tree.unflatten(leaves[:n]), x_tree.unflatten(leaves[n:m]), *leaves[m:])
        if not isinstance(result, tuple) or len(result) != 2:
            raise LoweringError(f"scan: cell returned {_kind(result)}, expected a pair (carry, y)")
        after, after_tree = flatten(result[0])
        if after_tree != carry_tree:
            raise LoweringError(
                f"scan: cell returned a carry of form {after_tree}, expected {carry_tree}, that of init"
            )
        y, y_tree = flatten(result[1])
        for leaf in y:
            if not isinstance(leaf, Tensor):
                raise LoweringError(f"scan: cell returned {_kind(leaf)} in y, expected tensors")
        for n, (leaf, (shape, dtype)) in enumerate(zip(after, carry, strict=True)):
            if not isinstance(leaf, Tensor):
                raise LoweringError(f"scan: cell returned {_kind(leaf)} as leaf {n} of the carry, expected a tensor")
            if tuple(leaf.shape) != shape or leaf.dtype != dtype:
                raise LoweringError(
                    f"scan: cell returned leaf {n} of the carry with shape {tuple(leaf.shape)} and dtype {leaf.dtype}, "
                    f"expected {shape} and {dtype}, those of init: a carry keeps its form from step to step"
                )
        return [*after, *y]

    dummies = [torch.empty(shape, dtype=dtype) for shape, dtype in (*carry, *x, *given)]
    tracer = make_fx(
        torch.func.functionalize(flat, remove="mutations_and_views"),
        decomposition_table=_decompositions(),
        tracing_mode="fake",
        _allow_non_fake_inputs=True,
        record_stack_traces=True,
    )
    try:
        with torch.no_grad():
            module = tracer(*dummies)
    except GuardOnDataDependentSymNode as error:
        raise refusal(
            "the cell asks for the value of a tensor (a data-dependent `if`, `while`, float() or .item())",
            "use torch.where(condition, a, b)",
            line_of_exception(error),
        ) from None
    if any(getattr(n.target, "_schema", None) and n.target._schema.is_mutable for n in module.graph.nodes):
        again = torch.func.functionalize(module, remove="mutations_and_views")  # decompositions write in place too
        with torch.no_grad():
            module = make_fx(again, tracing_mode="fake", _allow_non_fake_inputs=True, record_stack_traces=True)(
                *dummies
            )
    captured: list[Tensor] = []
    for node in module.graph.nodes:
        if node.op == "get_attr":
            node.meta["captured"] = len(captured)
            captured.append(getattr(module, node.target))
    _refuse_what_a_trace_cannot_repeat(module)
    return Trace(module, captured, len(carry), len(x), y_tree)


@functools.cache
def _decompositions() -> dict[Any, Any]:
    from torch._decomp import core_aten_decompositions

    aten = torch.ops.aten
    table = dict(core_aten_decompositions())
    for kept in (aten._softmax.default, aten._log_softmax.default):
        table.pop(kept, None)
    return table


def _refuse_what_a_trace_cannot_repeat(module: fx.GraphModule) -> None:
    given = {n for n in module.graph.nodes if n.op in ("placeholder", "get_attr")}
    for node in module.graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            raise refusal(
                f"{node.target} draws random numbers",
                "draw them outside, for the whole sequence, and pass them in xs",
                line_of(node),
            )
        if node.target is torch.ops.aten.copy_.default and node.args[0] in given:
            raise refusal(
                "the cell writes into a tensor that it was given or closes over",
                "return the new value instead, in the carry if a later step needs it",
                line_of(node),
            )


def _kind(thing: Any) -> str:
    return f"a {type(thing).__name__}"
