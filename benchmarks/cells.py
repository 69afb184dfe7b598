"""Pointwise cells, each written once for every library: ``xp`` is torch or jax.numpy, or another of that kind.

    carry[t], y[t] = cell(carry[t-1], x[t]),    t = 0 .. T-1,    carry[-1] = 0

All lanes of x (T, *lanes) run the same cell; a parameter (*lanes) has one value for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .signals import bandpass

Step = Callable[[Any, Any], tuple[Any, Any]]


@dataclass(frozen=True)
class Cell:
    """A cell, values of its parameters, and how an error of rounding grows in it.

    Attributes:
        step: ``step(xp, *parameters)`` is the cell.
        states: How many tensors the carry has.
        parameters: ``parameters(lanes)``, by name, in the order that ``step`` takes them.
        operations: Rounded operations in a step.
        numba: Whether `peers.numba_cells` has the same loop by hand.
    """

    step: Callable[..., Step]
    states: int
    parameters: Callable[[int], Mapping[str, np.ndarray]]
    operations: int
    numba: bool = False


def biquad(xp: Any, b0: Any, b1: Any, b2: Any, a1: Any, a2: Any) -> Step:
    """A filter of second order in transposed direct form II."""

    def step(state: Any, x: Any) -> tuple[Any, Any]:
        s1, s2 = state
        y = b0 * x + s1
        return (b1 * x - a1 * y + s2, b2 * x - a2 * y), y

    return step


def one_pole(xp: Any, a: Any) -> Step:
    """Exponential smoothing, y = a y + (1 - a) x."""

    def step(state: Any, x: Any) -> tuple[Any, Any]:
        (y,) = state
        y = a * y + (1 - a) * x
        return (y,), y

    return step


def compressor(xp: Any, attack: Any, release: Any, threshold: Any, slope: Any) -> Step:
    """A compressor: the reduction r in dB rises with the attack and falls with the release."""

    def step(state: Any, x: Any) -> tuple[Any, Any]:
        (r,) = state
        over = 8.685889638 * xp.log(abs(x) + 1e-5) - threshold
        wanted = slope * xp.where(over > 0, over, 0 * over)
        k = xp.where(wanted > r, attack, release)
        r = k * r + (1 - k) * wanted
        return (r,), x * xp.exp(-0.1151292546 * r)

    return step


def kuramoto(xp: Any, frequency: Any, coupling: Any) -> Step:
    """An oscillator of Kuramoto's, pulled toward a phase x from outside, by Euler's method with a step of 0.1."""

    def step(state: Any, x: Any) -> tuple[Any, Any]:
        (phase,) = state
        phase = phase + 0.1 * (frequency + coupling * xp.sin(x - phase))
        return (phase,), xp.sin(phase)

    return step


def _of_biquad(lanes: int) -> Mapping[str, np.ndarray]:
    b, a = bandpass(np.geomspace(200.0, 7000.0, lanes), 2.0, 16e3)
    return dict(zip(("b0", "b1", "b2", "a1", "a2"), (*b.T, *a[..., 1:].T), strict=True))


def _even(**ranges: tuple[float, float]) -> Callable[[int], Mapping[str, np.ndarray]]:
    return lambda lanes: {name: np.linspace(*ends, lanes) for name, ends in ranges.items()}


CELLS: dict[str, Cell] = {
    "biquad": Cell(biquad, 2, _of_biquad, 8, numba=True),
    "one_pole": Cell(one_pole, 1, _even(a=(0.8, 0.99)), 4, numba=True),
    "compressor": Cell(
        compressor,
        1,
        _even(attack=(0.8, 0.9), release=(0.97, 0.99), threshold=(-20.0, -10.0), slope=(0.5, 0.9)),
        12,
        numba=True,
    ),
    "kuramoto": Cell(kuramoto, 1, _even(frequency=(-0.3, 0.3), coupling=(1.0, 2.0)), 8),
}
