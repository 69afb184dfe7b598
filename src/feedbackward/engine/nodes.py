"""What stands for a node of a traced graph in the loop, and what can be read off a node."""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx

from .ir import Value
from .pointwise import POINTWISE


class Misfit(Exception):
    """The operator does not fit the choice of lanes; fewer of them may do."""

    def __init__(self, node: fx.Node, why: str) -> None:
        super().__init__(why)
        self.node, self.why = node, why


@dataclass(frozen=True)
class Lowered:
    """A value in the loop, and which axes of the tensor it stands for are lanes.

    Where the tensor has an axis that merges lanes with rows, as before a product of matrices, ``unfolded`` is the shape
    without the merger, and ``lanes`` are axes of that.
    """

    value: Value
    lanes: tuple[int, ...]
    unfolded: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Feed:
    """A tensor from outside, as a leaf: its ``lanes`` axes first, the others flattened into rows."""

    node: fx.Node
    lanes: tuple[int | None, ...]  # the axis of every lane axis, or None where the tensor has none


@dataclass(frozen=True)
class Weights:
    """A tensor from outside, as a matrix: its axes permuted, then reshaped."""

    node: fx.Node
    axes: tuple[int, ...]
    shape: tuple[int, ...]


def base_name(node: fx.Node) -> str:
    """The operator's name, without namespace, overload, or the underscore of writing in place."""
    schema = getattr(node.target, "_schema", None)
    name: str = schema.name.split("::")[1] if schema else getattr(node.target, "__name__", str(node.target))
    return name.rstrip("_")


def name_of(node: fx.Node) -> str:
    """The operator as torch prints it."""
    return str(node.target) if node.op == "call_function" else f"{node.op} {node.name}"


def is_pointwise(node: fx.Node) -> bool:
    """Whether every element of the result depends on the same element of the arguments alone."""
    return base_name(node) in POINTWISE or base_name(node) == "_to_copy"


def part_of(node: fx.Node) -> tuple[fx.Node, int, range] | None:
    """The tensor of which a node is a part, the axis, and which elements of it: for what split and slice make."""
    if node.op != "call_function":
        return None
    if base_name(node) == "getitem" and base_name(node.args[0]).startswith("split_with_sizes"):
        whole, sizes, dim = (*node.args[0].args, 0)[:3]
        start = sum(sizes[: node.args[1]])
        return whole, dim % whole.meta["val"].ndim, range(start, start + sizes[node.args[1]])
    if base_name(node) in ("slice", "slice_copy") and len(node.args) == 4:
        whole, dim, start, _ = node.args
        dim %= whole.meta["val"].ndim
        size, kept = whole.meta["val"].shape[dim], node.meta["val"].shape[dim]
        start = max(start + size, 0) if start < 0 else min(start, size)
        return whole, dim, range(start, start + kept)
    return None


def number_of(node: fx.Node) -> float | None:
    """The number that a node is everywhere, if it is made of nothing else."""
    if node.op != "call_function":
        return None
    name = base_name(node)
    if name in ("zeros", "zeros_like", "new_zeros"):
        return 0.0
    if name in ("ones", "ones_like", "new_ones"):
        return 1.0
    if name in ("full", "full_like", "new_full") and isinstance(node.args[1], (int, float)):
        return float(node.args[1])
    if name == "scalar_tensor" and isinstance(node.args[0], (int, float)):
        return float(node.args[0])
    return None


def _remedy(name: str) -> str:
    if any(word in name for word in ("rand", "bernoulli", "dropout", "multinomial", "normal")) and name != "norm":
        return "draw random numbers outside, for the whole sequence, and pass them in xs"
    return "write it with pointwise operators, matrix products and reductions of the last axes"
