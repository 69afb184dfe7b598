"""How tensors are laid out over the lanes of a call, as kernels want to know it.

The lanes are the broadcast of all leading axes, aligned at the right. Axes that every tensor steps through alike are
merged, so that most calls have one or two. A tensor is a pointer to real numbers, a stride for every axis of the lanes
(0 where it is the same for all), and, where it has a time axis, a step; a complex tensor is read through its real view.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """A tensor as kernels see it: ``data`` of real numbers, its strides over the lanes, and its step in time."""

    data: Tensor
    strides: tuple[int, ...]
    step: int
    parts: int

    def width(self, *multiples: int) -> int:
        """V of a run: how many numbers one instruction of 16 bytes moves; 1 where time is not contiguous or aligned.

        ``multiples``: the samples at which runs start or end.
        """
        width = 16 // self.data.element_size()
        aligned = self.data.data_ptr() % 16 == 0 and all(s % width == 0 for s in self.strides)
        whole = all(n * self.parts % width == 0 for n in multiples)
        return width if self.step == self.parts and aligned and whole else 1


class Lanes:
    """The lanes of a call: ``shape`` as the user sees it, ``count``, and after `merge` the axes that kernels see."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self.count = math.prod(self.shape)
        self.sizes: tuple[int, ...] = ()

    def signal(self, tensor: Tensor, dim: int) -> Layout:
        """A tensor with the time axis ``dim`` < 0 among its leading axes; a single sample for all time has step 0."""
        data, parts = real(tensor)
        at = tensor.ndim + dim
        sizes, strides = list(tensor.shape), list(data.stride()[: tensor.ndim])
        steps, step = sizes.pop(at), strides.pop(at)
        return Layout(data, self._strides(sizes, strides), 0 if steps == 1 else step, parts)

    def value(self, tensor: Tensor, own: int) -> Layout:
        """A tensor whose last ``own`` axes are its own, and the others lanes."""
        data, parts = real(tensor)
        lead = tensor.ndim - own
        return Layout(data, self._strides(list(tensor.shape[:lead]), list(data.stride()[:lead])), 0, parts)

    def owns(self, tensor: Tensor, dim: int) -> bool:
        """Whether every lane has a signal of its own in a tensor."""
        return self.shape == (*tensor.shape[: tensor.ndim + dim], *tensor.shape[tensor.ndim + dim + 1 :])

    def sharing(self, tensor: Tensor, dim: int) -> int:
        """How many neighboring lanes share each of the signals of a tensor: the product of the last axes."""
        sizes = [*tensor.shape[: tensor.ndim + dim], *tensor.shape[tensor.ndim + dim + 1 :]]
        sizes = [1] * (len(self.shape) - len(sizes)) + sizes
        count = 1
        for size, lanes in zip(reversed(sizes), reversed(self.shape), strict=True):
            if size != 1:
                break
            count *= lanes
        return count

    def _strides(self, sizes: list[int], strides: list[int]) -> tuple[int, ...]:
        own = [0 if size == 1 else stride for size, stride in zip(sizes, strides, strict=True)]
        return (*(0 for _ in range(len(self.shape) - len(own))), *own)

    def merge(self, *layouts: Layout) -> list[Layout]:
        """The same tensors over as few axes as they can share; sets ``sizes``."""
        sizes: list[int] = []
        columns: list[list[int]] = []  # the strides of all tensors along one axis
        for axis, size in enumerate(self.shape):
            if size == 1:
                continue
            column = [one.strides[axis] for one in layouts]
            if columns and all(a == b * size for a, b in zip(columns[-1], column, strict=True)):
                sizes[-1], columns[-1] = sizes[-1] * size, column
            else:
                sizes.append(size)
                columns.append(column)
        if not sizes:
            sizes, columns = [1], [[0] * len(layouts)]
        self.sizes = tuple(sizes)
        return [replace(one, strides=tuple(column[i] for column in columns)) for i, one in enumerate(layouts)]


def real(tensor: Tensor) -> tuple[Tensor, int]:
    """A tensor as real numbers, and how many of them make one of its own."""
    plain = tensor.resolve_neg().resolve_conj()
    return (torch.view_as_real(plain), 2) if plain.is_complex() else (plain, 1)


def joined(rows: Tensor) -> Tensor:
    """(parts, ...) as one tensor, complex where there are two."""
    return rows[0] if len(rows) == 1 else torch.complex(rows[0], rows[1])


def broadcast(signals: Sequence[tuple[Tensor | None, int]], values: Sequence[tuple[Tensor | None, int]]) -> Lanes:
    """The lanes of signals with their ``dim`` < 0, and of values with the number of their own axes."""
    shapes = [t.shape[: t.ndim + dim] + t.shape[t.ndim + dim + 1 :] for t, dim in signals if t is not None]
    shapes += [t.shape[: t.ndim - own] for t, own in values if t is not None]
    return Lanes(torch.broadcast_shapes(*shapes))


def with_time(shape: Sequence[int], steps: int, dim: int) -> list[int]:
    """A leading shape with the time axis at ``dim`` < 0."""
    at = len(shape) + dim + 1
    return [*shape[:at], steps, *shape[at:]]


def sum_over(whole: Tensor, shape: Sequence[int]) -> Tensor:
    """A gradient that every lane has of its own, summed over the lanes that share the value; in a fixed order.

    It is contiguous, as the operators promise of all that they return.
    """
    return (whole if whole.shape == tuple(shape) else whole.sum_to_size(tuple(shape))).contiguous()
