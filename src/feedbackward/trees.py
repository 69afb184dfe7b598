"""Trees of tensors: tuples, lists, dicts and whatever else torch knows as such, in which None stands for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils import _pytree as pytree


@dataclass(frozen=True)
class Tree:
    """The form of a tree: where its leaves are, and where there is None."""

    spec: pytree.TreeSpec
    present: tuple[bool, ...]

    def unflatten(self, leaves: Sequence[Any]) -> Any:
        """The tree with these leaves."""
        given = iter(leaves)
        return pytree.tree_unflatten([next(given) if here else None for here in self.present], self.spec)

    def __str__(self) -> str:
        return repr(self.unflatten([_Leaf()] * sum(self.present)))


class _Leaf:
    def __repr__(self) -> str:
        return "*"


def flatten(tree: Any) -> tuple[list[Any], Tree]:
    """The leaves that are not None, and the form of the tree."""
    leaves, spec = pytree.tree_flatten(tree)
    return [x for x in leaves if x is not None], Tree(spec, tuple(x is not None for x in leaves))
