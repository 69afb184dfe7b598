"""What the filter modules share: a state that goes in and comes out, and checks of their arguments.

A module called as ``m(x)`` starts from silence and returns y. Called as ``m(x, state)`` it returns (y, state), where
state is a tensor, or None for silence: so a stream is filtered block by block,

    state = None
    for block in blocks:
        y, state = m(block, state)

and gives what the whole would give. ``state.detach()`` between blocks truncates back-propagation through time.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from ..design._operands import as_wide
from ..formulas.arguments import check_count as check_count


class _Absent(enum.Enum):
    ABSENT = enum.auto()


ABSENT = _Absent.ABSENT
Absent: TypeAlias = Literal[_Absent.ABSENT]


def check_signal(name: str, x: Any) -> None:
    """Raise unless x is a tensor with a time axis."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: x is a {type(x).__name__}, expected a tensor (..., T)")
    if x.ndim == 0:
        raise ValueError(f"{name}: x has no axis, expected (..., T)")


def check_shape(name: str, shape: Any) -> tuple[int, ...]:
    """The shape as a tuple, or one sentence why it is none."""
    if not isinstance(shape, Sequence) or not all(isinstance(size, int) and size >= 0 for size in shape):
        raise TypeError(f"{name}: shape is {shape!r}, expected a tuple of sizes such as (2,)")
    return tuple(shape)


def wide(name: str, argument: str, value: Any) -> Tensor:
    """Given coefficients in float64, detached, on the CPU, where they are looked at; raise where they are complex."""
    tensor = as_wide(value, "cpu").detach()
    if tensor.is_complex():
        raise TypeError(f"{name}: {argument} is complex, expected real coefficients")
    return tensor.to("cpu", torch.float64)


def check_dtypes(name: str, dtype: torch.dtype | None, compute_dtype: torch.dtype | None) -> None:
    """Raise unless the weights are real and compute_dtype is one that the filters run in."""
    if dtype not in (None, torch.float32, torch.float64):
        raise TypeError(f"{name}: dtype is {dtype}, expected torch.float32 or torch.float64")
    if compute_dtype not in (None, torch.float32, torch.float64, torch.complex64, torch.complex128):
        raise TypeError(f"{name}: compute_dtype is {compute_dtype}, expected a real or complex dtype of 32 or 64 bits")


def design_dtype(weight: Tensor, compute_dtype: torch.dtype | None) -> torch.dtype:
    """The dtype in which weights become coefficients: that of the recursion, without its imaginary part."""
    return weight.dtype if compute_dtype is None else compute_dtype.to_real()


def extra(shape: tuple[int, ...], max_radius: float, compute_dtype: torch.dtype | None) -> str:
    """The part of a repr that two modules share: what differs from the defaults."""
    given = {
        "shape": shape or None,
        "max_radius": max_radius if max_radius != 1 else None,
        "compute_dtype": compute_dtype,
    }
    return "".join(f", {name}={value}" for name, value in given.items() if value is not None)
