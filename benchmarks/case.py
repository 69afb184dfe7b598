"""What a benchmark is made of: a case, the peers that compute it, and the targets it is held to.

A case makes its inputs, and says in float64 what the outputs must be. A peer is a function that takes the inputs,
imports and prepares whatever it needs (copies, compilation), and returns a call without arguments. Only the call is
timed, and only after its outputs were compared with the expected ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Inputs = Mapping[str, np.ndarray]
Call = Callable[[], Sequence[Any]]
Build = Callable[[Inputs], Call]

OURS = "feedbackward"


class NotMeasuredError(Exception):
    """Raised by a peer that cannot run this case; its message becomes the row's reason."""


@dataclass(frozen=True)
class Target:
    """A promise about our time, our memory, or the ratio to one peer.

    ``times`` is our time in units of the peer's, ``speedup`` the peer's time in units of ours; ``memory`` is in MB and
    ``microseconds`` is per call. The first, third and fourth are met at or below the limit, ``speedup`` at or above it.
    """

    quantity: Literal["times", "speedup", "memory", "microseconds"]
    limit: float
    peer: str = OURS

    @property
    def text(self) -> str:
        """The promise in words, for a table."""
        return {
            "times": f"at most {self.limit:g} × {self.peer}",
            "speedup": f"at least {self.limit:g} × faster than {self.peer}",
            "memory": f"at most {self.limit:g} MB extra memory",
            "microseconds": f"at most {self.limit:g} µs per call"
            if self.limit < 1000
            else f"at most {self.limit / 1000:g} ms per call",
        }[self.quantity]

    def met(self, value: float) -> bool:
        """Whether a measured value keeps the promise."""
        return value >= self.limit if self.quantity == "speedup" else value <= self.limit


@dataclass(frozen=True)
class Case:
    """One thing to compute, and everyone who computes it."""

    name: str
    title: str
    make: Callable[[bool], Inputs]  # make(small): the real workload, or a small one of the same kind
    expected: Callable[[Inputs], Sequence[np.ndarray]]  # in float64, by scipy or a plain loop
    tolerance: Callable[[Inputs], float]  # on ||got - expected|| / ||expected||
    peers: Mapping[str, Build]
    floors: Mapping[str, Build]  # work that bounds the time from below; their outputs are not compared
    targets: Sequence[Target] = ()
    memory: bool = False  # whether peak memory is measured, too
    rounds: int | None = None  # at most so many interleaved rounds, where a call takes long
