"""A recurrence that was watched, as plain data: every rendering is made from it, and nothing else.

Explanation             title, equations, weights, axes, checks
  Run                   which steps, which elements of the batch
    Track               one recurrence: a layer in one direction, a section of a filter, a cell
      Quantity          one line of its step: x_t, W_ih x_t, ..., the state after; its values at every step
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from rich.console import RenderableType

ROLES = ("input", "before", "term", "after", "output")


@dataclass(frozen=True)
class Limits:
    """How much is shown.

    Attributes:
        start: The first step.
        steps: How many steps.
        elements: How many elements of a batch.
        filters: How many filters of a bank.
        channels: How many channels of a vector on the page.
    """

    start: int = 0
    steps: int = 64
    elements: int = 4
    filters: int = 16
    channels: int = 64


@dataclass(frozen=True, eq=False)
class Quantity:
    """One line of a step.

    Attributes:
        name: In plain text, ``"W_ih x"``: the key among the values of a `Step`.
        latex: The same in mathematical notation.
        meaning: In words.
        role: One of `ROLES`.
        values: (steps, *choices, channels), real or complex; NaN where a sequence has ended.
        group: What it belongs to, such as a gate.
        labels: Of the channels, where they have names.
        shape: Of what the channels are when they are not flattened.
    """

    name: str
    latex: str
    meaning: str
    role: str
    values: Tensor
    group: str = ""
    labels: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Track:
    """One recurrence of those that run at every step.

    Attributes:
        name: ``"layer 0"``, ``"layer 0, reverse"``, ``"section 2"``, ``"recurrence"``: the key in a `Step`.
        quantities: The lines of its step, in order.
        equation: The step in LaTeX, line by line, with the sizes or numbers filled in.
        layer: Which layer or section.
        reverse: Whether it runs from the last step to the first.
        lengths: The length of every shown element of the batch; empty where all go on.
    """

    name: str
    quantities: tuple[Quantity, ...]
    equation: tuple[str, ...] = ()
    layer: int = 0
    reverse: bool = False
    lengths: tuple[int, ...] = ()

    def __getitem__(self, name: str) -> Quantity:
        for quantity in self.quantities:
            if quantity.name == name:
                return quantity
        known = ", ".join(repr(q.name) for q in self.quantities)
        raise KeyError(f"{self.name} has no quantity {name!r}, but {known}")


@dataclass(frozen=True)
class Choice:
    """An axis of the values along which one looks at one place at a time.

    Attributes:
        name: ``"batch element"``, ``"filter"``.
        places: Which ones are shown.
        total: How many there are.
    """

    name: str
    places: tuple[int, ...]
    total: int


@dataclass(frozen=True, eq=False)
class Step:
    """One step of all tracks: ``step["layer 0"]["h after"]``.

    Attributes:
        time: Which element of the sequence.
        tracks: For every track the values of its quantities, each (*choices, channels).
    """

    time: int
    tracks: dict[str, dict[str, Tensor]]

    def __getitem__(self, track: str) -> dict[str, Tensor]:
        if track not in self.tracks:
            raise KeyError(f"no track {track!r}, but {', '.join(map(repr, self.tracks))}")
        return self.tracks[track]

    def __rich__(self) -> RenderableType:
        from .terminal import step_table

        return step_table(self)

    def __str__(self) -> str:
        from .terminal import to_text

        return to_text(self)


@dataclass(frozen=True, eq=False)
class Run:
    """The steps that are shown.

    Attributes:
        start: The first one.
        steps: How many.
        total: How many the recurrence makes.
        choices: The axes of all values between step and channels.
        tracks: What runs.
        overview: Pairs (track, quantity) that tell the whole story, from input to output.
    """

    start: int
    steps: int
    total: int
    choices: tuple[Choice, ...]
    tracks: tuple[Track, ...]
    overview: tuple[tuple[str, str], ...]

    def track(self, name: str) -> Track:
        """The track of a name."""
        return next(t for t in self.tracks if t.name == name)


@dataclass(frozen=True, eq=False)
class Weight:
    """A tensor that a recurrence learns or is made of.

    Attributes:
        name: As the user has it.
        axes: What its axes are.
        role: What it does.
        values: As it is stored.
        dense: The matrices that a structure stands for, one above the other; None where it is stored as it is.
        inside: Which entries of ``dense`` are stored.
        parts: Names of equal parts along the first axis, such as gates.
        place: Where it belongs, ``"layer 0, reverse"``.
    """

    name: str
    axes: tuple[str, ...]
    role: str
    values: Tensor
    dense: Tensor | None = None
    inside: Tensor | None = None
    parts: tuple[str, ...] = ()
    place: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """That of what is stored."""
        return tuple(self.values.shape)


@dataclass(frozen=True)
class Equation:
    """An equation, for the eye and for a terminal.

    Attributes:
        latex: Line by line.
        text: The same in plain text.
        caption: What it is.
    """

    latex: tuple[str, ...]
    text: tuple[str, ...]
    caption: str = ""


@dataclass(frozen=True)
class Axes:
    """What the axes of a tensor are, in both orders that batch_first can ask for.

    Attributes:
        name: Of the tensor.
        axes: Pairs of a name and a size, as the tensor has them here.
        other: The same with the other ``batch_first``; None where there is no such choice.
    """

    name: str
    axes: tuple[tuple[str, int], ...]
    other: tuple[tuple[str, int], ...] | None = None


@dataclass(frozen=True)
class Check:
    """Numbers that were computed in two ways.

    Attributes:
        what: Which ones.
        difference: The largest difference.
        bound: What rounding can explain.
    """

    what: str
    difference: float
    bound: float

    @property
    def holds(self) -> bool:
        """Whether rounding explains the difference."""
        return self.difference <= self.bound


@dataclass(frozen=True, eq=False)
class Explanation:
    """What `feedbackward.explain` returns: data to be read, printed, shown in a notebook or saved as a page.

    Attributes:
        title: What was called.
        kind: ``"layer"``, ``"filter"``, ``"recurrence"`` or ``"cell"``.
        summary: What happens, in a sentence.
        run: The steps.
        equations: Of a step, in general.
        weights: All of them.
        axes: Of what goes in and out.
        notes: What else there is to know.
        limits: What is not shown.
        checks: How the numbers were checked.
        channels: How many channels of a vector the page shows.
        details: What only one kind has: a `filter_details.Bank`, `decays.Decays`, or a `listing.Listing`.
    """

    title: str
    kind: str
    summary: str
    run: Run
    equations: tuple[Equation, ...] = ()
    weights: tuple[Weight, ...] = ()
    axes: tuple[Axes, ...] = ()
    notes: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    channels: int = 64
    details: Any = field(default=None, repr=False)

    @property
    def steps(self) -> Sequence[Step]:
        """The steps that are shown, in the order of time, as ``explanation.steps[3]["layer 0"]["h after"]``."""
        return _Steps(self.run)

    def __rich__(self) -> RenderableType:
        from .terminal import overview

        return overview(self)

    def __str__(self) -> str:
        from .terminal import to_text

        return to_text(self)

    def __repr__(self) -> str:
        return f"<Explanation of {self.title}: {self.summary}>"

    def html(self) -> str:
        """The page: one HTML document that needs nothing but itself."""
        from .page import render

        return render(self)

    def save(self, path: str | Path) -> Path:
        """Write the page.

        Args:
            path: A file, ``"page.html"``; one that exists is replaced.

        Returns:
            The path.
        """
        path = Path(path)
        path.write_text(self.html(), encoding="utf-8")
        return path

    def _repr_html_(self) -> str:
        from .page import frame

        return frame(self)


class _Steps(Sequence[Step]):
    def __init__(self, run: Run) -> None:
        self.run = run

    def __len__(self) -> int:
        return self.run.steps

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"step {index}, but there are {len(self)} from step {self.run.start}")
        i = index % len(self)
        tracks = {t.name: {q.name: q.values[i] for q in t.quantities} for t in self.run.tracks}
        return Step(self.run.start + i, tracks)

    def __iter__(self) -> Iterator[Step]:
        return (self[i] for i in range(len(self)))


def difference(a: Tensor, b: Tensor) -> float:
    """The largest difference, of complex numbers its magnitude; equal infinities and NaN on both sides are none."""
    if not a.numel():
        return 0.0
    same = (a == b) | (a.isnan() & b.isnan())
    wide = torch.complex128 if a.is_complex() or b.is_complex() else torch.float64
    return float(torch.where(same, 0.0, (a.to(wide) - b.to(wide)).abs()).max())
