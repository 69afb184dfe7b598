"""Pictures of measured numbers, from the committed results of the benchmarks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter

from .style import WIDTH, Ink

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "latest.json"
CASES = json.loads(RESULTS.read_text(encoding="utf-8"))["cases"]
OURS = "feedbackward"


def bank_times(ink: Ink) -> None:
    """The bank, forward and backward: a bar for every library, on a logarithmic axis."""
    rows = CASES["bank_gradient"]["rows"]
    peers = [OURS, "JAX scan, time first", "JAX scan", "torchaudio", "PyTorch loop", "philtorch"]
    _bars(ink, {peer: rows[peer]["seconds"] for peer in peers}, _time, "time of one forward and backward pass")


def bank_memory(ink: Ink) -> None:
    """The same for the memory."""
    rows = CASES["bank_gradient"]["rows"]
    peers = [OURS, "JAX scan, time first", "JAX scan", "torchaudio", "PyTorch loop", "philtorch"]
    values = {peer: rows[peer]["memory"]["extra_mb"] for peer in peers}
    _bars(ink, values, _memory, "memory beyond what the call returns")


def against_lanes(ink: Ink) -> None:
    """What one step of one lane costs, against the number of lanes: an operator's overhead, shared by more and more."""
    steps = {1: 48000, 16: 8000, 512: 2000, 4096: 500}
    _, axes = plt.subplots(figsize=(WIDTH, 3.6), layout="constrained")
    curves = [  # with where their names stand: lanes, time
        ("PyTorch loop", ink.peer, "s", (2, 1.3e-4)),
        ("JAX scan", ink.other, "D", (22, 9e-8)),
        (OURS, ink.ours, "o", (10, 1.6e-9)),
    ]
    for peer, color, marker, place in curves:
        cost = [CASES[f"biquad_{n}_gradient"]["rows"][peer]["seconds"] / (n * t) for n, t in steps.items()]
        axes.plot(list(steps), cost, color=color, marker=marker, linewidth=2, markersize=6)
        axes.text(*place, peer, color=color, fontweight="bold", va="center")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(list(steps), [f"{n:,}" for n in steps])
    axes.set_ylim(1e-9, 4e-4)
    axes.yaxis.set_major_formatter(FuncFormatter(_time))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color=ink.pale, linewidth=0.7)
    axes.set_xlabel("lanes: recurrences that run side by side")
    axes.set_ylabel("time per step and lane")


def _bars(ink: Ink, values: dict[str, float], text: Callable[..., str], label: str) -> None:
    _, axes = plt.subplots(figsize=(WIDTH, 0.42 * len(values) + 0.9), layout="constrained")
    left = min(values.values()) / 3
    colors = [ink.ours if name == OURS else ink.peer for name in values]
    axes.barh(list(values), [value - left for value in values.values()], left=left, color=colors, height=0.68)
    axes.set_xscale("log")
    axes.set_xlim(left, max(values.values()) * 4)
    axes.invert_yaxis()
    for place, value in enumerate(values.values()):
        axes.text(value * 1.1, place, text(value), va="center")
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(FuncFormatter(text))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"{label}, logarithmic")


def _memory(megabytes: float, _: object = None) -> str:
    return f"{megabytes / 1000:.2g} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"


def _time(seconds: float, _: object = None) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)):
        if seconds >= 0.9995 * scale:
            return f"{seconds / scale:.2g} {unit}" if seconds / scale < 99.5 else f"{seconds / scale:.0f} {unit}"
    return ""
