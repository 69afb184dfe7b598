"""What a case of `benchmarks.gpu` is: inputs, what they must give, who computes it on a device, and the targets.

Inputs, expected outputs and tolerances are those of the CPU's benchmarks: NumPy, float64 by scipy or a plain loop, and
a bound on the rounding of float32. Everybody gets the same inputs and is held against the same outputs, we and every
peer, before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .case import Inputs
from .check import error as distance

OURS = "feedbackward"
COPY = "a copy of the same bytes"

Call = Callable[[], Sequence[Tensor]]
Build = Callable[[Inputs, torch.device], Call]


@dataclass(frozen=True)
class Peer:
    """Somebody else who computes a case.

    Attributes:
        build: From the inputs and a device to a call; only the call is timed.
        alike: From what the call returns to the outputs of the case, where it has another form; not timed.
        tolerance: Where its arithmetic is coarser than float32 by design; otherwise it is held to that of the case.
    """

    build: Build
    alike: Callable[[Sequence[Tensor]], Sequence[Tensor]] = lambda outputs: outputs
    tolerance: Callable[[Inputs], float] | None = None


@dataclass(frozen=True)
class Target:
    """A promise: at most ``limit`` times the time of a copy, or at least ``limit`` times as fast as a peer."""

    against: str
    limit: float

    @property
    def text(self) -> str:
        """The promise in words."""
        if self.against == COPY:
            return f"at most {self.limit:g} x {COPY}"
        return f"at least {self.limit:g} x as fast as {self.against}"

    def met(self, value: float) -> bool:
        """Whether a measured ratio keeps it."""
        return value <= self.limit if self.against == COPY else value >= self.limit


@dataclass(frozen=True)
class Case:
    """One thing to compute on a device."""

    name: str
    make: Callable[[bool], Inputs]  # make(small): the real workload, or a tiny one for the interpreter
    expected: Callable[[Inputs], Sequence[np.ndarray]]
    tolerance: Callable[[Inputs], float]  # on `error`
    moved: Callable[[Inputs], int]  # bytes that must be read or written
    ours: Build
    peers: Mapping[str, Peer] = field(default_factory=dict)
    targets: Sequence[Target] = ()


def error(outputs: Sequence[Tensor], expected: Sequence[np.ndarray]) -> float:
    """The largest relative error of any output, of the whole (as norms) or of an element (against the largest one).

    The norm of millions of right numbers hides a single wrong one, and the largest element hides many small ones.
    """
    got = [one.detach().cpu() for one in outputs]
    worst = distance(got, expected)
    if not np.isfinite(worst):
        return worst
    for one, want in zip(got, expected, strict=True):
        worst = max(worst, float(np.abs(one.numpy().reshape(want.shape) - want).max() / np.abs(want).max()))
    return worst


def on(device: torch.device, *arrays: np.ndarray, grad: bool = False) -> list[Tensor]:
    """Arrays as tensors there."""
    return [torch.from_numpy(array).to(device).requires_grad_(grad) for array in arrays]
