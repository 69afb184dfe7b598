"""The pictures of the command line: plots that a person can read without the program that made them."""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")

# Okabe and Ito's colors, told apart by every kind of color vision; measured things are gray, learned ones blue.
BLUE, ORANGE, GREEN, GRAY, INK = "#0072B2", "#D55E00", "#009E73", "#9A9A9A", "#333333"
_STYLE: dict[Any, Any] = {
    "figure.constrained_layout.w_pad": 0.1,
    "font.size": 11,
    "axes.edgecolor": "#777777",
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "grid.color": "#E4E4E4",
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
_TICKS_HZ = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000)
_DYNAMIC_DB = 80.0  # from the loudest point of a time-frequency picture down to its darkest color


def _style() -> AbstractContextManager[None]:
    import matplotlib as mpl

    return mpl.rc_context(_STYLE)


def _styled(plot: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the style of this file, whatever the user's own settings are."""

    @functools.wraps(plot)
    def draw(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with _style():
            return plot(*args, **kwargs)

    return draw


class Curve(NamedTuple):
    """Levels over frequency."""

    frequencies: NDArray[np.float64]  # (F,) Hz
    level_db: NDArray[np.float64]  # (F,)


@_styled
def response_figure(
    learned: Curve, measured: Curve, difference_db: NDArray[np.float64], sections_db: NDArray[np.float64]
) -> Figure:
    """What the recordings say, what was learned, and the difference.

    Args:
        learned: the response of the equalizer.
        measured: the transfer estimated from the recordings.
        difference_db: learned minus measured, at the frequencies of the measurement.
        sections_db: the response of each section at the frequencies of `learned`, (sections, F).
    """
    figure = new_figure(8, 5.6)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    each = _once("each section", sections_db)
    top.plot(learned.frequencies, sections_db.T, color=GRAY, linewidth=0.9, alpha=0.9, label=each)
    top.plot(*measured, color=ORANGE, linewidth=6, alpha=0.45, label="measured: WET over DRY")
    top.plot(*learned, color=BLUE, linewidth=1.8, label="learned")
    top.set(ylabel="level in dB", title="Response")
    top.legend(loc="best")
    bottom.plot(measured.frequencies, difference_db, color=INK, linewidth=1.2)
    bottom.set(ylabel="difference\nin dB", xlabel="frequency in Hz")
    reach = max(0.1, 1.1 * float(np.abs(difference_db).max()))
    bottom.set_ylim(-reach, reach)
    low, high = measured.frequencies[[0, -1]]
    for axes in (top, bottom):
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.grid(True)
    ticks = _frequency_ticks(low, high)
    bottom.set_xticks(ticks, [_hz(tick) for tick in ticks])
    bottom.minorticks_off()
    figure.align_ylabels()
    return figure


@_styled
def loss_figure(
    before_db: float, search_db: Sequence[float], descent_db: Sequence[float], freed_db: Sequence[float]
) -> Figure:
    """The error of the best so far, from the dry recording itself to the last step.

    Args:
        before_db: the error of DRY itself, relative to WET.
        search_db: after each stage of the search for a first guess.
        descent_db: after each step of gradient descent.
        freed_db: after each further step with all coefficients free; may be empty.
    """
    figure = new_figure(8, 3.4)
    axes = figure.subplots()
    axes.axhline(before_db, color=ORANGE, linestyle="--", linewidth=1.2, label="before: DRY itself")
    at, last = 0, before_db
    for history_db, color, label in (
        (search_db, GRAY, "search for a first guess"),
        (descent_db, BLUE, "gradient descent through sosfilt"),
        (freed_db, GREEN, "the same, all coefficients free"),
    ):
        if history_db:
            steps = np.arange(at, at + len(history_db) + 1)
            axes.plot(steps, [last, *history_db], color=color, linewidth=1.8, marker="o", markersize=3.5, label=label)
            at, last = at + len(history_db), history_db[-1]
    axes.set(xlabel="step", ylabel="error in dB", title="Error relative to WET")
    axes.locator_params(axis="x", integer=True)
    axes.grid(True)
    axes.legend(loc="best")
    return figure


@_styled
def bank_figure(
    level_db: NDArray[np.floating[Any]], duration_s: float, edges_hz: NDArray[np.float64], title: str
) -> Figure:
    """Energy over time and frequency, every band of the same height.

    Args:
        level_db: (filters, columns), in dB re full scale.
        duration_s: of all columns.
        edges_hz: where bands begin and end, (filters + 1,) in Hz, ascending.
        title: above the picture.
    """
    figure = new_figure(10, 5.2)
    axes = figure.subplots()
    loudest = float(level_db.max())
    bands = len(level_db)
    image = axes.imshow(
        level_db,
        cmap="magma",
        vmin=loudest - _DYNAMIC_DB,
        vmax=loudest,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, duration_s, 0, bands),
    )
    ticks = _frequency_ticks(edges_hz[0], edges_hz[-1])
    ticks = _apart(ticks, np.interp(ticks, edges_hz, np.arange(bands + 1)), bands / 25)
    axes.set_yticks(np.interp(ticks, edges_hz, np.arange(bands + 1)), [_hz(tick) for tick in ticks])
    axes.set(xlabel="time in s", ylabel="frequency in Hz", title=title)
    bar = figure.colorbar(image, ax=axes, pad=0.015, aspect=30)
    bar.set_label("level in dB re full scale")
    bar.outline.set_visible(False)
    return figure


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in the style of the others, of a size in inches, independent of pyplot and of any display."""
    from matplotlib.figure import Figure

    with _style():
        return Figure(figsize=(width, height), layout="constrained")


def save_png(figure: Figure, path: Path) -> None:
    """Write the figure at a resolution that prints well."""
    with _style():
        figure.savefig(path, dpi=150)


def as_svg(figure: Figure) -> str:
    """The figure as an <svg> element to put into a page."""
    buffer = io.StringIO()
    with _style():
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _frequency_ticks(low: float, high: float) -> list[int]:
    ticks = [tick for tick in _TICKS_HZ if low <= tick <= high]
    if len(ticks) >= 3:
        return ticks
    return sorted({round(tick) for tick in np.geomspace(max(low, 1.0), high, 5).tolist()})  # a narrow range


def _apart(ticks: list[int], positions: NDArray[np.float64], distance: float) -> list[int]:
    """The ticks, from the top down, whose labels do not touch."""
    kept: list[int] = []
    last = math.inf
    for tick, position in reversed(list(zip(ticks, positions, strict=True))):
        if last - position >= distance:
            kept.append(tick)
            last = position
    return kept[::-1]


def _hz(frequency: int) -> str:
    return f"{frequency // 1000}k" if frequency % 1000 == 0 else str(frequency)


def _once(label: str, rows: NDArray[np.float64]) -> list[str]:
    """One label for many lines: those that begin with an underscore stay out of the legend."""
    return [label, *[f"_{label}"] * (len(rows) - 1)]
