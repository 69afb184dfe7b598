"""The pictures of the report: times per case, peak memory, and the cost against size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from .case import OURS

OURS_COLOR, PEER_COLOR, FLOOR_COLOR, INK = "#0b6e4f", "#9aa5b1", "#d9dee4", "#1f2933"
CURVES = (("gradient", "forward and backward", "#c05621"), ("forward", "forward", OURS_COLOR))
STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#7b8794",
    "text.color": INK,
    "axes.labelcolor": INK,
    "svg.hashsalt": "feedbackward",
    "figure.facecolor": "white",
}


def seconds_text(seconds: float) -> str:
    """A time with the unit that gives it one to three digits before the point."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale or unit == "µs":
            return f"{seconds / scale:.3g} {unit}" if seconds / scale < 1000 else f"{seconds / scale:,.0f} {unit}"
    raise AssertionError("unreachable")


def save(path: Path) -> None:
    """Write the current figure as SVG, the same bytes for the same numbers."""
    plt.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    plt.close()


def bars(axes: Axes, title: str, rows: dict[str, dict[str, Any]]) -> None:
    """One case: a bar per peer on a logarithmic axis, ours first, floors pale."""
    timed = {name: row for name, row in rows.items() if "seconds" in row}
    names = sorted(timed, key=lambda name: timed[name]["seconds"])
    values = [timed[name]["seconds"] for name in names]
    colors = [
        OURS_COLOR if name.startswith(OURS) else FLOOR_COLOR if timed[name]["floor"] else PEER_COLOR for name in names
    ]
    left = min(values) / 2
    labels = [f"{name} (floor)" if timed[name]["floor"] else name for name in names]
    axes.barh(labels, np.array(values) - left, left=left, color=colors, height=0.72)
    axes.set_xscale("log")
    axes.set_xlim(left, max(values) * 6)
    axes.invert_yaxis()
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        row = timed[name]
        text = seconds_text(value)
        if "ratio" in row and name != OURS:
            text += f"  ({row['ratio']:.2g}×)" if row["ratio"] < 100 else f"  ({row['ratio']:,.0f}×)"
        axes.text(value * 1.08, place, text, va="center", fontsize=10)
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_fontweight("bold" if name == OURS else "normal")
    axes.set_title(title, loc="left", fontsize=11.5, fontweight="bold")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: seconds_text(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def times(path: Path, cases: dict[str, dict[str, Any]], names: list[str]) -> None:
    """The times of a few cases, one below the other."""
    cases = {name: cases[name] for name in names if _any_timed(cases.get(name))}
    if not cases:
        return
    counts = [sum("seconds" in row for row in case["rows"].values()) for case in cases.values()]
    with plt.rc_context(STYLE):
        _, grid = plt.subplots(
            len(cases),
            figsize=(9, sum(0.34 * count + 1.0 for count in counts)),
            gridspec_kw={"height_ratios": [0.34 * count + 0.25 for count in counts]},
            squeeze=False,
            layout="constrained",
        )
        for axes, case in zip(grid[:, 0], cases.values(), strict=True):
            bars(axes, case["title"], case["rows"])
        grid[-1, 0].set_xlabel(f"time of one call, logarithmic; in brackets relative to {OURS}")
        save(path)


def _any_timed(case: dict[str, Any] | None) -> bool:
    return case is not None and any("seconds" in row for row in case["rows"].values())


def relative(
    path: Path, cases: dict[str, dict[str, Any]], names: Sequence[str], peers: Mapping[str, Sequence[str]]
) -> None:
    """Many cases at a glance: the time of each of some peers in units of ours, one row per case.

    ``peers`` has, for every label, the names of the rows that it stands for, of which a case has one at most.
    """
    found = {}
    for name in names:
        rows = cases.get(name, {"rows": {}})["rows"]
        row = {
            label: rows[peer]["ratio"]
            for label, known in peers.items()
            for peer in known
            if "ratio" in rows.get(peer, {})
        }
        if row:
            found[_short(cases[name]["title"])] = row
    if not found:
        return
    with plt.rc_context(STYLE):
        _, axes = plt.subplots(figsize=(9, 0.26 * len(found) + 1.4), layout="constrained")
        axes.axvline(1, color=OURS_COLOR, linewidth=1.8)
        for place, row in enumerate(found.values()):
            axes.plot([1, *row.values()], [place] * (len(row) + 1), color=FLOOR_COLOR, linewidth=1, zorder=0)
        for label, color in zip(peers, ("#c05621", INK, PEER_COLOR), strict=False):
            points = [(row[label], place) for place, row in enumerate(found.values()) if label in row]
            if points:
                axes.plot(*zip(*points, strict=True), "o", color=color, markersize=5, label=label)
        axes.set_yticks(range(len(found)), list(found), fontsize=9)
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(f"time of one call relative to {OURS} (the line), logarithmic")
        axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(peers))
        axes.tick_params(axis="y", length=0)
        save(path)


def _short(title: str) -> str:
    """What a row of many can do without: the gradients of a backward are those of the other rows."""
    return title.removeprefix("scan, ").removeprefix("band_matmul, ").split(" to x and the ")[0]


def memory(path: Path, cases: dict[str, dict[str, Any]], names: Sequence[str]) -> None:
    """Peak memory beyond inputs and outputs of a few cases, one below the other."""
    found = {}
    for name in names:
        rows = cases.get(name, {"rows": {}})["rows"]
        extra = {peer: row["memory"]["extra_mb"] for peer, row in rows.items() if "extra_mb" in row.get("memory", {})}
        if extra:
            found[cases[name]["title"]] = extra
    if not found:
        return
    heights = [0.38 * len(extra) + 0.45 for extra in found.values()]
    with plt.rc_context(STYLE):
        _, grid = plt.subplots(
            len(found),
            figsize=(9, sum(heights) + 0.55),
            gridspec_kw={"height_ratios": heights},
            squeeze=False,
            layout="constrained",
        )
        for axes, (title, extra) in zip(grid[:, 0], found.items(), strict=True):
            _memory_bars(axes, title, extra)
        grid[-1, 0].set_xlabel("peak memory beyond inputs and outputs, MB")
        save(path)


def _memory_bars(axes: Axes, title: str, extra: dict[str, float]) -> None:
    names = sorted(extra, key=lambda peer: extra[peer])
    colors = [OURS_COLOR if peer.startswith(OURS) else PEER_COLOR for peer in names]
    axes.barh(names, [extra[peer] for peer in names], color=colors, height=0.72)
    for place, peer in enumerate(names):
        axes.text(extra[peer] + max(extra.values()) * 0.01, place, f"{extra[peer]:,.0f} MB", va="center", fontsize=10)
    for label, peer in zip(axes.get_yticklabels(), names, strict=True):
        label.set_fontweight("bold" if peer == OURS else "normal")
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.tick_params(axis="y", length=0)
    axes.set_title(title, loc="left", fontsize=11.5, fontweight="bold")


def scaling(path: Path, sweeps: dict[str, list[dict[str, float]]]) -> None:
    """Cost against each size, both axes logarithmic, with a line of slope one through the largest size."""
    labels = {
        "time": "samples of each of 256 lanes",
        "lanes": "lanes of 4096 samples",
        "sections": "sections, 256 lanes of 4096 samples",
        "one signal: time": "samples of one signal",
        "scan: time": "scan of a biquad cell: steps of 256 lanes",
        "scan, one lane: time": "scan of a biquad cell: steps of one lane",
        "BandRNN: channels": "channels of a BandRNN: ±8, batch 16, 100 steps",
    }
    with plt.rc_context(STYLE):
        rows = -(-len(sweeps) // 2)
        figure, grid = plt.subplots(rows, 2, figsize=(9, 3.4 * rows), layout="constrained", squeeze=False)
        for axes, (axis, points) in zip(grid.flat, sweeps.items(), strict=False):
            sizes = np.array([point["size"] for point in points], float)
            for name, label, color in CURVES:
                values = np.array([point[name] for point in points])
                axes.loglog(sizes, values[-1] * sizes / sizes[-1], color="#9aa5b1", linewidth=1, linestyle=(0, (4, 3)))
                axes.loglog(sizes, values, "o-", color=color, markersize=4, linewidth=1.8, label=label)
            axes.plot([], [], color="#9aa5b1", linewidth=1, linestyle=(0, (4, 3)), label="proportional")
            axes.set_xlabel(labels[axis])
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: seconds_text(value)))
            axes.yaxis.set_minor_formatter(NullFormatter())
            if axis == "sections":
                axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
                axes.xaxis.set_minor_formatter(NullFormatter())
                axes.minorticks_off()
            axes.grid(True, which="major", color="#e4e7eb", linewidth=0.8)
        for axes in grid.flat[len(sweeps) :]:
            axes.set_visible(False)
        figure.legend(*grid[0, 0].get_legend_handles_labels(), frameon=False, loc="outside upper center", ncols=3)
        save(path)
