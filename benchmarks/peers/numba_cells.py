"""Pointwise cells by hand: a loop over time in every thread, and over its share of the lanes inside."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log
from typing import Any

import numba
import numpy as np

from ..case import Call, Inputs
from ..cells import CELLS

ONE = np.float32(1)


@numba.njit
def _biquad(p, s, i, x):  # type: ignore[no-untyped-def]
    y = p[0, i] * x + s[0, i]
    s[0, i] = p[1, i] * x - p[3, i] * y + s[1, i]
    s[1, i] = p[2, i] * x - p[4, i] * y
    return y


@numba.njit
def _one_pole(p, s, i, x):  # type: ignore[no-untyped-def]
    s[0, i] = p[0, i] * s[0, i] + (ONE - p[0, i]) * x
    return s[0, i]


@numba.njit
def _compressor(p, s, i, x):  # type: ignore[no-untyped-def]
    over = np.float32(8.685889638) * log(abs(x) + np.float32(1e-5)) - p[2, i]
    wanted = p[3, i] * max(over, np.float32(0))
    k = p[0, i] if wanted > s[0, i] else p[1, i]
    s[0, i] = k * s[0, i] + (ONE - k) * wanted
    return x * exp(np.float32(-0.1151292546) * s[0, i])


def _loop(step: Callable[..., Any]) -> Callable[..., Any]:
    @numba.njit(parallel=True)
    def run(p, s, x, y, shares):  # type: ignore[no-untyped-def]
        steps, lanes = x.shape
        for share in numba.prange(shares):
            for t in range(steps):
                for i in range(share * lanes // shares, (share + 1) * lanes // shares):
                    y[t, i] = step(p, s, i, x[t, i])

    return run


def forward(inputs: Inputs) -> Call:
    """y of a pointwise cell."""
    name, x = str(inputs["cell"]), inputs["x"]
    run = _loop({"biquad": _biquad, "one_pole": _one_pole, "compressor": _compressor}[name])
    p = np.stack([np.atleast_1d(v) for key, v in inputs.items() if key not in ("cell", "x", "g")])
    flat = x.reshape(len(x), -1)
    shares = min(numba.get_num_threads(), flat.shape[1])

    def call() -> tuple[np.ndarray, ...]:
        y, s = np.empty_like(flat), np.zeros((CELLS[name].states, flat.shape[1]), np.float32)
        run(p, s, flat, y, shares)
        return (y.reshape(x.shape),)

    return call
