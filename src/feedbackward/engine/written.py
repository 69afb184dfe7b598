"""What backward finds in the outputs that forward wrote.

An adjoint reads values of the step. One that is an output is there already; so is the state before a step, where the
state after a step is an output: h[t-1] is the output of step t - 1, and before the first step it is the initial state.
If nothing else is wanted, no step is computed again.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .ir import LEAVES, Program, Value
from .plan import root
from .transform import Adjoint, trails

if TYPE_CHECKING:  # programs are planned for other frameworks too
    from torch import Tensor


@dataclass(frozen=True)
class Written:
    """A step and its adjoint."""

    step: Program
    adjoint: Adjoint

    @functools.cached_property
    def trails(self) -> list[int]:
        """For every state, the output that it is after the step, or -1."""
        return [-1 if i is None else i for i in trails(self.step)]

    @functools.cached_property
    def replays(self) -> bool:
        """Whether backward wants more of a step than its outputs, and computes the step again."""
        return any(self._source(v) == -1 for v in self._read)

    @functools.cached_property
    def kept(self) -> tuple[int, ...]:
        """The outputs that backward reads."""
        factors = [a for _, _, a in self.adjoint.products if isinstance(a, Value)]
        sources = {self._source(v) for v in (factors if self.replays else factors + self._read)}
        return tuple(sorted(i for i in sources if i is not None))

    @property
    def _read(self) -> list[Value]:
        return [root(v.attr) for v in self.adjoint.program.order if v.op == "forward"]

    def _source(self, v: Value) -> int | None:
        """The output in which a value of the step is found, -1 if in none; None if it needs none."""
        if v.op == "state":
            return self.trails[v.attr]
        if v.op in LEAVES:
            return None
        return self.step.outputs.index(v) if v in self.step.outputs else -1


def states_before(after: Tensor, initial: Tensor, reverse: bool) -> tuple[tuple[slice, Tensor], ...]:
    """The states before every step, without a copy: stretches of time, and the states before their steps.

    Args:
        after: (T, *lanes, rows), the states after every step.
        initial: The state before the first one, which broadcasts to (*lanes, rows).
        reverse: Whether the last step is the first.
    """
    first = initial.expand(after.shape[1:])[None][: len(after)]
    if reverse:
        return (slice(-1, None), first), (slice(0, -1), after[1:])
    return (slice(1), first), (slice(1, None), after[:-1])
