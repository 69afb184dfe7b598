"""Coefficients that change every 64 samples, held in between, against repeating them for every sample."""

from __future__ import annotations

import numpy as np

from ..case import OURS, Case, Inputs
from ..peers import peer
from ..signals import bandpass, bank_tolerance

HOP = 64


def make(small: bool) -> Inputs:
    """x [32, 16000] through band-passes whose frequency wanders, one set of frames per signal."""
    batch, time = (2, 300) if small else (32, 16000)
    rng = np.random.default_rng(0)
    octave = np.cumsum(rng.uniform(-0.2, 0.2, (batch, -(-time // HOP))), -1)
    b, a = bandpass(1000.0 * 2 ** np.clip(octave, -2, 2), 2.0, 16e3)
    x, g = (rng.standard_normal((batch, time), np.float32) for _ in range(2))
    return {"b": b.astype(np.float32), "a": a.astype(np.float32), "x": x, "g": g, "hop": np.array(HOP)}


def run(inputs: Inputs) -> list[np.ndarray]:
    """y by transposed direct form II in float64, one sample at a time, and the state before every sample's adjoint."""
    b, a, x = (inputs[name].astype(np.float64) for name in "bax")
    y, s1, s2 = np.empty_like(x), np.zeros(len(x)), np.zeros(len(x))
    for t in range(x.shape[1]):
        (b0, b1, b2), (_, a1, a2) = b[:, t // HOP].T, a[:, t // HOP].T
        y[:, t] = b0 * x[:, t] + s1
        s1, s2 = b1 * x[:, t] - a1 * y[:, t] + s2, b2 * x[:, t] - a2 * y[:, t]
    return [y]


def run_gradients(inputs: Inputs) -> list[np.ndarray]:
    """y, then the gradients of sum(g * y) to the frames of b, of a without a0, and to x.

    Going backward, with d_s1 and d_s2 the gradients to the state after sample t:
    d_y = g - a1 d_s1 - a2 d_s2, and the gradients to the state before it are d_y and d_s1.
    """
    b, a, x, g = (inputs[name].astype(np.float64) for name in "baxg")
    (y,) = run(inputs)
    d_b, d_a, d_x = np.zeros_like(b), np.zeros_like(a), np.empty_like(x)
    d_s1, d_s2 = np.zeros(len(x)), np.zeros(len(x))
    for t in reversed(range(x.shape[1])):
        f = t // HOP
        (b0, b1, b2), (_, a1, a2) = b[:, f].T, a[:, f].T
        d_y = g[:, t] - a1 * d_s1 - a2 * d_s2
        d_b[:, f] += np.stack([d_y, d_s1, d_s2], -1) * x[:, t, None]
        d_a[:, f, 1:] -= np.stack([d_s1, d_s2], -1) * y[:, t, None]
        d_x[:, t] = b0 * d_y + b1 * d_s1 + b2 * d_s2
        d_s1, d_s2 = d_y, d_s1
    return [y, d_b, d_a[..., 1:], d_x]


def tolerance(inputs: Inputs) -> float:
    """As for a constant filter, three times over: signal, adjoint and their product."""
    return 3 * bank_tolerance({"b": inputs["b"][:, :1], "a": inputs["a"]})


forward = Case(
    name="varying_forward",
    title="Coefficients that change every 64 samples, [32, 16000], forward",
    make=make,
    expected=run,
    tolerance=tolerance,
    peers={
        OURS: peer("ours", "varying"),
        "feedbackward, per sample": peer("ours", "varying_expanded"),
        "numba by hand": peer("numba_loop", "varying"),
        "JAX scan": peer("jax_scan", "varying"),
        "philtorch": peer("philtorch_lfilter", "varying"),
    },
    floors={"fill": peer("floor", "fill")},
    memory=True,
)

gradient = Case(
    name="varying_gradient",
    title="Coefficients that change every 64 samples, [32, 16000], forward and backward to b, a and x",
    make=make,
    expected=run_gradients,
    tolerance=tolerance,
    peers={
        OURS: peer("ours", "varying_gradient"),
        "feedbackward, per sample": peer("ours", "varying_expanded_gradient"),
        "JAX scan": peer("jax_scan", "varying_gradient"),
        "philtorch": peer("philtorch_lfilter", "varying_gradient"),
    },
    floors={"fill + sum": peer("floor", "fill_and_sum")},
    memory=True,
)
