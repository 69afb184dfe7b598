"""Programs found again by their text: parsed, differentiated and planned once; and the tensors that they name.

Nothing here knows of a framework: a tensor is whatever the framework calls one.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from .ir import Program, parse
from .plan import Plan, plan
from .transform import Adjoint, Wanted, adjoint
from .written import Written

T = TypeVar("T")
Words = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Compiled:
    """A program with its adjoint, planned."""

    step: Program
    adjoint: Adjoint
    written: Written
    forward: Plan
    backward: Plan
    forward_words: Words
    backward_words: Words

    @property
    def forward_rows(self) -> list[int]:
        """The rows of every output of the step."""
        return [v.rows for v in self.step.outputs]

    @property
    def backward_rows(self) -> list[int]:
        """The rows of every output of the adjoint."""
        return [v.rows for v in self.adjoint.program.outputs]


@functools.lru_cache(maxsize=1024)
def program_of(text: str) -> Program:
    """The program that a text writes down."""
    return parse(text)


@functools.lru_cache(maxsize=1024)
def differentiated(text: str, wanted: tuple[bool, ...]) -> Written:
    """A program and its adjoint, and what backward finds in the outputs."""
    step = program_of(text)
    return Written(step, adjoint(step, split_wanted(step, wanted)))


@functools.lru_cache(maxsize=1024)
def compiled(text: str, wanted: tuple[bool, ...], lanes: int) -> Compiled:
    """The plans of a program and of its adjoint."""
    written = differentiated(text, wanted)
    step, adj = written.step, written.adjoint
    read = [v.attr for v in adj.program.order if v.op == "forward"]
    forward = plan(step, read, lanes=lanes)
    backward = plan(adj.program, (), forward.place, lanes)
    words = [np.array(p.words(), dtype=np.int64) for p in (forward, backward)]
    return Compiled(step, adj, written, forward, backward, *words)


def split_wanted(step: Program, wanted: Sequence[bool]) -> Wanted:
    """The indices behind a flag for every tensor; states always have a gradient."""
    n, m, s = len(step.held), len(step.matrices), len(step.sequences)
    parts = wanted[:n], wanted[n : n + m], wanted[n + m : n + m + s]
    return Wanted(*(tuple(i for i, w in enumerate(part) if w) for part in parts))


@dataclass(frozen=True)
class Tensors(Generic[T]):
    """The tensors of a call, by what they are to the program."""

    held: list[T]
    matrices: list[T]
    sequences: list[T]
    before: list[T]

    @classmethod
    def of(cls, step: Program, flat: Sequence[T]) -> Tensors[T]:
        """From the flat order of the operator."""
        ends = [0]
        for part in (step.held, step.matrices, step.sequences, step.states):
            ends.append(ends[-1] + len(part))
        return cls(*(list(flat[a:b]) for a, b in itertools.pairwise(ends)))
