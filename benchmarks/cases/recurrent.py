"""A cell of torch.nn under `fb.scan`, against torch.nn's layer.

    h[t] = tanh(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh),    x (T, B, input) -> h (T, B, hidden)

A GRU has torch.nn's equations. Gradients go to x and to every weight. The same layers in JAX are among `layers`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..case import OURS, Build, Case, Inputs, Target
from ..peers import peer

EPSILON = float(np.finfo(np.float32).eps)


def maker(gates: int, batch: int, steps: int = 1000, features: int = 64, hidden: int = 128) -> Callable[[bool], Inputs]:
    """White noise and torch.nn's initialization, with an output gradient g."""

    def make(small: bool) -> Inputs:
        time = 20 if small else steps
        rng = np.random.default_rng(0)
        x, g = (rng.standard_normal((time, batch, size), np.float32) for size in (features, hidden))
        return {"x": x, "g": g} | parameters(rng, gates * hidden, features, hidden, hidden)

    return make


def parameters(rng: np.random.Generator, rows: int, features: int, columns: int, fan: int) -> dict[str, np.ndarray]:
    shapes = {"weight_ih": (rows, features), "weight_hh": (rows, columns), "bias_ih": rows, "bias_hh": rows}
    return {name: rng.uniform(-1, 1, shape).astype(np.float32) / np.float32(fan**0.5) for name, shape in shapes.items()}


def expected(function: str) -> Callable[[Inputs], list[np.ndarray]]:
    """h, and the gradients of sum(g * h) to x and every weight where they are asked for, by torch.nn in float64."""

    def run(inputs: Inputs) -> list[np.ndarray]:
        doubles = {name: value.astype(np.float64) for name, value in inputs.items()}
        return [output.detach().numpy() for output in peer("torch_recurrent", function)(doubles)()]

    return run


def tolerance(inputs: Inputs) -> float:
    """Sums of as many rounded products as a row has, which are remembered while the weights contract.

    A random matrix contracts by its radius, the deviation of an entry times the root of the columns.
    """
    weights = inputs["weight_hh"]
    columns = min(weights.shape)
    radius = float(weights.std() * np.sqrt(columns))
    return (inputs["weight_ih"].shape[1] + columns) * EPSILON / (1 - radius)


def gradient_tolerance(inputs: Inputs) -> float:
    """The adjoint is remembered as long; a weight's gradient is a sum over batch and time."""
    terms = inputs["x"].shape[0] * inputs["x"].shape[1]
    return 3 * tolerance(inputs) + float(np.sqrt(terms)) * EPSILON


def _case(kind: str, batch: int, gradients: bool) -> Case:
    suffix = "_gradient" if gradients else "_forward"
    peers: dict[str, Build] = {
        OURS: peer("ours_recurrent", kind + suffix),
        f"torch.nn.{kind.upper()}": peer("torch_recurrent", kind + suffix),
        "PyTorch loop": peer("torch_recurrent", kind + "_loop" + suffix),
    }
    what = "forward and backward to x and the weights" if gradients else "forward"
    return Case(
        name=f"{kind}{'_single' if batch == 1 else ''}{suffix}",
        title=f"scan, torch.nn.{kind.upper()}Cell, 1000 steps, batch {batch}, 64 to 128 channels, {what}",
        make=maker({"rnn": 1, "gru": 3}[kind], batch),
        expected=expected(kind + suffix),
        tolerance=gradient_tolerance if gradients else tolerance,
        peers=peers,
        floors={},
        targets=(Target("speedup", 5.0 if batch == 1 else 2.0, f"torch.nn.{kind.upper()}"),),
        rounds=5,
    )


cases = [
    *(_case(kind, batch, gradients) for kind in ("rnn", "gru") for batch in (32, 1) for gradients in (False, True)),
]
