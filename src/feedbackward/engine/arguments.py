"""What a scan is given, validated once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..trees import Tree, flatten
from .prepare import Form
from .trace import CPU


@dataclass(frozen=True)
class Arguments:
    """The arguments of a scan.

    Attributes:
        carry: The leaves of init.
        carry_tree: Their form.
        xs: The leaves of xs, time first.
        x_tree: Their form.
        steps: The number of steps.
    """

    carry: list[Tensor]
    carry_tree: Tree
    xs: list[Tensor]
    x_tree: Tree
    steps: int

    @property
    def device(self) -> torch.device:
        """That of the first tensor; the CPU where there is none."""
        return next((t.device for t in (*self.carry, *self.xs)), CPU)

    @property
    def form(self) -> Form:
        """What a trace depends on."""
        return Form(
            tuple((tuple(map(int, c.shape)), c.dtype) for c in self.carry),
            self.carry_tree,
            tuple((tuple(map(int, x.shape[1:])), x.dtype) for x in self.xs),
            self.x_tree,
            self.device,
        )

    @property
    def empty(self) -> bool:
        """Whether there is nothing to compute in a step."""
        return any(c.numel() == 0 for c in self.carry) or any(x.numel() == 0 and self.steps for x in self.xs)


def validated(init: Any, xs: Any, dim: int, length: int | None) -> Arguments:
    """The arguments, or a sentence about the first one that does not fit.

    Raises:
        ValueError: As the sentence says.
    """
    if not isinstance(dim, int):
        raise ValueError(f"scan: dim is {dim!r}, expected an int")
    carry, carry_tree = flatten(init)
    leaves, x_tree = flatten(xs)
    for name, tensors in (("init", carry), ("xs", leaves)):
        for n, leaf in enumerate(tensors):
            _validate(f"leaf {n} of {name}", leaf)
    for n, leaf in enumerate(carry):
        if leaf.dtype not in (torch.float32, torch.float64, torch.bool):
            raise ValueError(
                f"scan: leaf {n} of init is {leaf.dtype}, expected float32 or float64 (counters too: as floats)"
            )
    steps = _steps(leaves, dim, length)
    return Arguments(carry, carry_tree, [x if dim == 0 else x.movedim(dim, 0) for x in leaves], x_tree, steps)


def _validate(name: str, leaf: Any) -> None:
    if not isinstance(leaf, Tensor):
        raise ValueError(f"scan: {name} is a {type(leaf).__name__}, expected a tensor")
    if leaf.layout != torch.strided:
        raise ValueError(f"scan: {name} is {leaf.layout}, expected a dense tensor: use .to_dense()")


def _steps(xs: list[Tensor], dim: int, length: int | None) -> int:
    if not xs:
        if length is None:
            raise ValueError("scan: xs has no tensors, so length must say how many steps there are")
        if length < 0:
            raise ValueError(f"scan: length is {length}, expected at least 0")
        return length
    for n, leaf in enumerate(xs):
        if not -leaf.ndim <= dim < leaf.ndim:
            raise ValueError(f"scan: dim is {dim}, but leaf {n} of xs has shape {tuple(leaf.shape)}")
    sizes = [leaf.shape[dim] for leaf in xs]
    if any(size != sizes[0] for size in sizes):
        raise ValueError(f"scan: the leaves of xs have different lengths along dim {dim}: {sizes}")
    if length is not None and length != sizes[0]:
        raise ValueError(f"scan: length is {length}, but xs has {sizes[0]} steps along dim {dim}")
    return sizes[0]
