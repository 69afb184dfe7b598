"""Three ways to multiply by a matrix that is a band, and the dense product they replace; when each wins.

    y[..., i] = sum_j W[i, j] x[..., j],    W[i, j] = 0 unless |i - j| <= each side

A product on its own takes x (rows, n). In time the product is a layer's, and 1 / (entries of a row) bounds it:

    h[t] = tanh(W h[t-1] + x[t]),    h[-1] = 0,    x (T, B, n) -> h

Gradients go to x and to the band.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..case import OURS, Case, Inputs
from ..peers import peer
from .recurrent import EPSILON

SIDES = (1, 8, 64)  # diagonals on either side of the main one
CHANNELS = 1024
ROWS = (16, 8000)
STEPS, BATCH = 500, 16
OTHERS = {"by a sparse matrix": "sparse", "by index": "index", "dense": "dense"}  # than the native way


def maker(each_side: int, *shape: int) -> Callable[[bool], Inputs]:
    """White noise x and output gradient g (*shape, n), and a band whose rows sum to less than 1."""

    def make(small: bool) -> Inputs:
        lanes = (min(shape[0], 10), *shape[1:]) if small else shape
        rng = np.random.default_rng(0)
        x, g = (rng.standard_normal((*lanes, CHANNELS), np.float32) for _ in range(2))
        width = 2 * each_side + 1
        band = rng.uniform(-1, 1, (width, CHANNELS)).astype(np.float32) / np.float32(width)
        column = np.arange(CHANNELS) + np.arange(-each_side, each_side + 1)[:, None]
        band[(column < 0) | (column >= CHANNELS)] = 0
        return {"x": x, "g": g, "band": band}

    return make


def expected(function: str) -> Callable[[Inputs], list[np.ndarray]]:
    """The dense product in float64."""

    def run(inputs: Inputs) -> list[np.ndarray]:
        doubles = {name: value.astype(np.float64) for name, value in inputs.items()}
        return [output.detach().numpy() for output in peer("band_products", function)(doubles)()]

    return run


def tolerance(inputs: Inputs) -> float:
    """A sum of as many rounded products as a row has; in time it is remembered while the band contracts.

    A random band contracts by its radius, the deviation of an entry times the root of the entries of a row.
    """
    band = inputs["band"]
    radius = float(band.std() * np.sqrt(len(band)))
    return (len(band) + 4) * EPSILON / (1 - radius)


def gradient_tolerance(inputs: Inputs) -> float:
    """The adjoint has such sums, too; the band's is a sum over all rows."""
    terms = inputs["x"].size / CHANNELS
    return 3 * tolerance(inputs) + float(np.sqrt(terms)) * EPSILON


def _case(each_side: int, shape: tuple[int, ...], gradients: bool) -> Case:
    in_time = len(shape) == 2
    suffix = ("_loop" if in_time else "") + ("_gradient" if gradients else "_forward")
    what = "forward and backward to x and the band" if gradients else "forward"
    where = f"{STEPS} steps, batch {BATCH}" if in_time else f"{shape[0]} rows"
    return Case(
        name=f"product_{each_side}_{'loop' if in_time else shape[0]}_{'gradient' if gradients else 'forward'}",
        title=f"band_matmul, ±{each_side}, {where}, {CHANNELS} channels, {what}",
        make=maker(each_side, *shape),
        expected=expected("dense" + suffix),
        tolerance=gradient_tolerance if gradients else tolerance,
        peers={name: peer("band_products", way + suffix) for name, way in {OURS: "native", **OTHERS}.items()},
        floors={},
        rounds=2 if in_time else 5,
    )


cases = [
    _case(each_side, shape, gradients)
    for shape in (*((rows,) for rows in ROWS), (STEPS, BATCH))
    for each_side in SIDES
    for gradients in (False, True)
]
