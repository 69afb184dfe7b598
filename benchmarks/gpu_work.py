"""What a case of `benchmarks.gpu` is: a call on a device, what it must give, the bytes it must move, and its peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Call = Callable[[], Sequence[Tensor]]


@dataclass
class Work:
    """A call; what it must give, in float64 on the CPU; the tolerance relative to the largest value; bytes to move."""

    call: Call
    truth: Call
    tolerance: float
    bytes: int


@dataclass
class Case:
    """A case, and what it is held to: times its floor, and (name, peer, how many times faster we are)."""

    name: str
    make: Callable[[torch.device, bool], Work]
    floors: float = 0.0
    peers: Sequence[tuple[str, Callable[[torch.device, bool], Call], float]] = ()


def outputs_and_gradients(y: Tensor, inputs: Sequence[Tensor], g: Tensor) -> Sequence[Tensor]:
    """y, and the gradients of sum(g y) to the inputs."""
    return y, *torch.autograd.grad(y, inputs, g)
