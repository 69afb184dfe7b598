"""A gated linear recurrence, h[t] = decay[t] h[t-1] + x[t], the inside of many state-space models."""

from __future__ import annotations

import numpy as np

from ..case import OURS, Case, Inputs
from ..peers import peer


def make(small: bool) -> Inputs:
    """decay and x [16, 4096, 256]: batch, time, channels."""
    shape = (2, 100, 8) if small else (16, 4096, 256)
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal(shape, np.float32) for _ in range(2))
    return {"decay": rng.uniform(0.8, 0.99, shape).astype(np.float32), "x": x, "g": g}


def run(inputs: Inputs) -> list[np.ndarray]:
    """h in float64, one step at a time."""
    batch, time, channels = inputs["x"].shape
    h, now = np.empty((batch, time, channels)), np.zeros((batch, channels))
    for t in range(time):
        now = inputs["decay"][:, t] * now + inputs["x"][:, t]
        h[:, t] = now
    return [h]


def run_gradients(inputs: Inputs) -> list[np.ndarray]:
    """h, then the gradients of sum(g * h) to decay and x: d_x[t] = g[t] + decay[t+1] d_x[t+1]."""
    (h,) = run(inputs)
    d_decay, d_x = np.zeros_like(h), np.empty_like(h)
    now = np.zeros(h[:, 0].shape)
    for t in reversed(range(h.shape[1])):
        now = inputs["g"][:, t] + now
        d_x[:, t] = now
        if t > 0:
            d_decay[:, t] = now * h[:, t - 1]
        now = inputs["decay"][:, t] * now
    return [h, d_decay, d_x]


def tolerance(inputs: Inputs) -> float:
    """Two rounded operations per step, kept for 1 / (1 - decay) steps, in the signal and in its adjoint."""
    return float(4 * np.finfo(np.float32).eps / (1 - inputs["decay"].max()))


forward = Case(
    name="linear_forward",
    title="Linear recurrence with its own decay per step, [16, 4096, 256], forward",
    make=make,
    expected=run,
    tolerance=tolerance,
    peers={
        OURS: peer("ours", "linear"),
        "JAX scan": peer("jax_scan", "linear"),
        "JAX associative_scan": peer("jax_scan", "linear_associative"),
        "numba by hand": peer("numba_loop", "linear"),
        "PyTorch loop": peer("torch_loop", "linear"),
        "philtorch": peer("philtorch_lfilter", "linear"),
    },
    floors={"fill": peer("floor", "fill")},
    memory=True,
)

gradient = Case(
    name="linear_gradient",
    title="Linear recurrence with its own decay per step, [16, 4096, 256], forward and backward",
    make=make,
    expected=run_gradients,
    tolerance=tolerance,
    peers={
        OURS: peer("ours", "linear_gradient"),
        "JAX scan": peer("jax_scan", "linear_gradient"),
        "JAX associative_scan": peer("jax_scan", "linear_associative_gradient"),
        "PyTorch loop": peer("torch_loop", "linear_gradient"),
        "philtorch": peer("philtorch_lfilter", "linear_gradient"),
    },
    floors={"fill + sum": peer("floor", "fill_and_sum")},
    memory=True,
)
