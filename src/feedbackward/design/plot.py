"""A picture of any filter: magnitude, phase and group delay over frequency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from .response import freqz, group_delay, sosfreqz

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Panel = Literal["magnitude", "phase", "delay"]

# Okabe and Ito's palette, told apart with any color vision; yellow is left out, it is too light on white.
_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
_STYLES = ("-", "--", "-.", ":")


def plot_response(
    *systems: Any,
    fs: float | None = None,
    labels: Sequence[str] | None = None,
    panels: Sequence[Panel] = ("magnitude", "phase", "delay"),
    points: int = 2048,
    scale: Literal["log", "linear"] = "log",
    floor_db: float = -100.0,
    axes: Sequence[Any] | None = None,
) -> Figure:
    """Plot the response of one filter or of many on top of each other.

    Args:
        systems: each a pair (b, a), sections (..., sections, 6), or a module of ``feedbackward.nn`` (anything with
            ``to_sos()``). Leading axes are banks: one curve per filter.
        fs: sample rate in Hz. By default that of the first module that has one; without any, frequencies are in
            units of the sample rate and delays in samples.
        labels: one for each system; a legend is drawn when they are given.
        panels: what to draw, from top to bottom: "magnitude" (dB), "phase" (degrees, unwrapped), "delay" (group
            delay).
        points: number of frequencies.
        scale: of the frequency axis.
        floor_db: lower limit of the magnitude axis at most this far down.
        axes: one matplotlib axis per panel to draw into, instead of a new figure.

    Returns:
        The matplotlib figure. Nothing is shown or saved.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        ValueError: no system, an unknown panel, or a number of labels or axes that does not fit.

    Example:
        >>> from feedbackward.design import peaking
        >>> figure = plot_response(peaking(1000.0, 2.0, 6.0, sample_rate=48000)[None], fs=48000)
        >>> [axis.get_ylabel() for axis in figure.axes]
        ['Magnitude (dB)', 'Phase (degrees)', 'Group delay (ms)']
    """
    _check(systems, labels, panels, axes)
    fs = fs if fs is not None else next((s.sample_rate for s in systems if hasattr(s, "sample_rate")), None)
    if axes is None:
        axes = _new_axes(len(panels))
    unit = fs if fs is not None else 1.0
    low = unit / 2 / points if scale == "linear" else unit / 2 * 1e-3
    high = unit / 2 * (1 - 1e-6)  # zeros and poles of many designs sit at Nyquist itself
    w = (
        torch.linspace(low, high, points, dtype=torch.float64)
        if scale == "linear"
        else torch.logspace(math.log10(low), math.log10(high), points, dtype=torch.float64)
    )
    with torch.no_grad():
        curves = [_curves(system, w, unit, panels) for system in systems]
    w = w.cpu()
    groups = [len(next(iter(values.values()))) for values in curves]
    for panel, axis in zip(panels, axes, strict=True):
        for index, values in enumerate(curves):
            label = labels[index] if labels is not None else None
            _draw(axis, w, values[panel], panel, index, groups, label, fs)
        _dress(axis, panel, fs, scale, floor_db)
    if scale == "log" and fs is not None:
        from matplotlib.ticker import EngFormatter

        axes[-1].xaxis.set_major_formatter(EngFormatter(sep=""))
    axes[-1].set_xlabel("Frequency (Hz)" if fs is not None else "Frequency (fraction of the sample rate)")
    if labels is not None:
        axes[0].legend()
    figure: Figure = axes[0].figure
    return figure


def _new_axes(count: int) -> Sequence[Any]:
    try:
        from matplotlib import pyplot
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "plot_response needs matplotlib, which is not installed: `pip install feedbackward[plot]`",
            name="matplotlib",
        ) from error
    size = (8.0, 1.2 + 2.2 * count)
    _, grid = pyplot.subplots(count, 1, sharex=True, squeeze=False, figsize=size, layout="constrained")
    return list(grid[:, 0])


def _curves(system: Any, w: Tensor, fs: float, panels: Sequence[Panel]) -> dict[str, Tensor]:
    """Panel name to (filters, points)."""
    if hasattr(system, "to_ba"):
        system = system.to_ba()
    elif hasattr(system, "to_sos"):
        system = system.to_sos()
    pair = isinstance(system, tuple)
    curves: dict[str, Tensor] = {}
    h = (freqz(system[0], system[1], w, fs=fs) if pair else sosfreqz(system, w, fs=fs))[1]
    h = h.reshape(-1, len(w)).to(torch.complex128)
    for panel in panels:
        if panel == "magnitude":
            curves[panel] = 20 * h.abs().clamp(min=1e-15).log10()
        elif panel == "phase":
            curves[panel] = _unwrap(h.angle()) * (180 / math.pi)
        else:
            curves[panel] = group_delay(system, w, fs=fs)[1].reshape(-1, len(w))
    return curves


def _unwrap(phase: Tensor) -> Tensor:
    """Add the multiple of 2 pi that keeps neighbors closest, along the last axis."""
    step = phase.diff(dim=-1)
    turns = torch.round(step / (2 * math.pi)).cumsum(-1)
    return torch.cat([phase[..., :1], phase[..., 1:] - 2 * math.pi * turns], dim=-1)


def _draw(
    axis: Any,
    w: Tensor,
    values: Tensor,
    panel: Panel,
    index: int,
    groups: Sequence[int],
    label: str | None,
    fs: float | None,
) -> None:
    if panel == "delay" and fs is not None:
        values = values * (1000 / fs)
    for row, value in enumerate(values.cpu()):
        if len(groups) == 1 and groups[0] > len(_COLORS):  # a bank: an ordered, perceptually even color map
            from matplotlib import colormaps

            color: Any = colormaps["viridis"](row / (groups[0] - 1) * 0.9)
            style = "-"
        else:
            number = row if len(groups) == 1 else index
            color, style = _COLORS[number % len(_COLORS)], _STYLES[number // len(_COLORS) % len(_STYLES)]
        width = 1.6 if groups[index] <= len(_COLORS) else 0.8
        axis.plot(w, value, color=color, linestyle=style, linewidth=width, label=label if row == 0 else None)


def _dress(axis: Any, panel: Panel, fs: float | None, scale: str, floor_db: float) -> None:
    axis.set_xscale(scale)
    axis.grid(True, which="both", color="0.9", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.margins(x=0)
    if panel == "magnitude":
        axis.set_ylabel("Magnitude (dB)")
        bottom, top = axis.get_ylim()
        axis.set_ylim(max(bottom, floor_db), top if top > floor_db else floor_db + 10)
    elif panel == "phase":
        axis.set_ylabel("Phase (degrees)")
    else:
        axis.set_ylabel("Group delay (ms)" if fs is not None else "Group delay (samples)")


def _check(
    systems: Sequence[Any], labels: Sequence[str] | None, panels: Sequence[str], axes: Sequence[Any] | None
) -> None:
    if not systems:
        raise ValueError("plot_response: no system given, expected (b, a), sections (..., sections, 6) or a module")
    if not panels or any(panel not in ("magnitude", "phase", "delay") for panel in panels):
        raise ValueError(f"plot_response: panels is {panels!r}, expected some of 'magnitude', 'phase', 'delay'")
    if labels is not None and len(labels) != len(systems):
        raise ValueError(f"plot_response: labels has {len(labels)} entries, expected {len(systems)}, one per system")
    if axes is not None and len(axes) != len(panels):
        raise ValueError(f"plot_response: axes has {len(axes)} entries, expected {len(panels)}, one per panel")
