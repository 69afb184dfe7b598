"""Pictures of how it works: nothing in them is measured."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, Rectangle

from .style import WIDTH, Ink


def _blank(height: float, top: float) -> Axes:
    """Axes without axes: x from 0 to 100, y from 0 to `top`."""
    figure, axes = plt.subplots(figsize=(WIDTH, height))
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.99)
    axes.set(xlim=(0, 100), ylim=(0, top))
    axes.axis("off")
    return axes


def _box(axes: Axes, x: float, y: float, w: float, h: float, color: str, edge: str = "none", **more: object) -> None:
    axes.add_patch(Rectangle((x, y), w, h, facecolor=color, edgecolor=edge, linewidth=1.2, **more))  # type: ignore[arg-type]


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], color: str) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=12, color=color, linewidth=1.3))


def two_loops(ink: Ink) -> None:
    """A step in PyTorch is many calls with little work each; one native call does all steps."""
    axes = _blank(2.9, 60)
    axes.text(0, 56, "A loop in PyTorch: every step is a handful of operators", va="center", fontweight="bold")
    for step in range(4):
        left = step * 23.5
        for call in range(5):
            x = left + call * 4.5
            _box(axes, x, 38, 3.4, 9, ink.pale)
            _box(axes, x + 3.4, 38, 0.6, 9, ink.other)
        axes.text(left + 11, 33.5, f"step {step}", ha="center", va="center")
    axes.text(96, 42, "…", va="center", fontsize=14)
    _box(axes, 0, 24, 3.4, 4, ink.pale)
    axes.text(5, 26, "finding and calling a kernel, allocating", va="center")
    _box(axes, 66, 24, 1.2, 4, ink.other)
    axes.text(69, 26, "arithmetic", va="center")
    axes.text(0, 15.5, "One native loop: one call, then nothing but arithmetic", va="center", fontweight="bold")
    _box(axes, 0, 2, 3.4, 9, ink.pale)
    _box(axes, 3.4, 2, 13, 9, ink.ours)
    axes.text(18, 6.5, "all steps", va="center")


def checkpoints(ink: Ink) -> None:
    """What is in memory when backward begins, and where backward is working."""
    axes = _blank(3.3, 70)
    cells, size = 24, 100 / 24

    def row(y: float, filled: range | list[int], color: str, outline: bool = True) -> None:
        for cell in range(cells):
            edge = ink.pale if outline else "none"
            _box(axes, cell * size, y, size - 0.6, 7, color if cell in filled else "none", edge)

    axes.text(0, 66, "Autograd: every intermediate of every step", va="center", fontweight="bold")
    row(47, range(cells), ink.other)
    row(55, range(cells), ink.other)
    axes.text(0, 38, "feedbackward: the state, once per chunk of steps", va="center", fontweight="bold")
    row(27, [0, 6, 12, 18], ink.ours)
    axes.text(0, 18.5, "backward, chunk by chunk,", va="center")
    axes.text(0, 12.5, "in cache: replay it from", va="center")
    axes.text(0, 6.5, "its checkpoint,", va="center")
    for cell in range(12, 18):
        for y in (2, 10):
            _box(axes, cell * size, y, size - 0.6, 6, ink.ours, alpha=0.6)
    _arrow(axes, (12.5 * size, 26), (12.5 * size, 17), ink.text)
    axes.text(18.4 * size, 12.5, "then its adjoint,", va="center")
    axes.text(18.4 * size, 6.5, "back to front", va="center")


def segments(ink: Ink) -> None:
    """One signal, cut in time: two passes side by side, and a short link between them."""
    axes = _blank(3.0, 62)
    names = ["segment 0", "segment 1", "segment 2", "segment 3"]
    axes.text(0, 58, "1  every segment from a state of zero, side by side", va="center")
    axes.text(0, 36, "2  the true states, one from the other:  s' = F s + e", va="center")
    axes.text(0, 19, "3  every segment again, from its true state", va="center")
    for i, name in enumerate(names):
        x = i * 25
        _box(axes, x, 44, 23.5, 9, ink.pale)
        axes.text(x + 11.75, 48.5, name, ha="center", va="center")
        _box(axes, x, 4, 23.5, 9, ink.ours, alpha=0.55)
        axes.text(x + 11.75, 8.5, name, ha="center", va="center")
        axes.plot([x], [28], "o", color=ink.other, markersize=7, clip_on=False)
        if i < 3:
            _arrow(axes, (x + 1.5, 28), (x + 24, 28), ink.other)
