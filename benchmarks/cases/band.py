"""A recurrent layer whose matrix is a band: every channel hears its neighbors alone.

    h[t] = tanh(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh),    W_hh[i, j] = 0 unless |i - j| <= 8

The weights on the band are stored by diagonals: W_hh[i, j] is weight_hh[j - i + 8, i]. Gradients go to x and to every
weight.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..case import OURS, Case, Inputs, Target
from ..peers import peer
from .recurrent import gradient_tolerance, parameters, tolerance

BAND = 8  # diagonals below the main one, and above it


def maker(steps: int, batch: int, features: int, hidden: int) -> Callable[[bool], Inputs]:
    """White noise, an output gradient g, and weights as torch.nn draws them; what is outside of W_hh is 0."""

    def make(small: bool) -> Inputs:
        time, lanes, inputs, n = (20, 2, 8, 64) if small else (steps, batch, features, hidden)
        rng = np.random.default_rng(0)
        x, g = (rng.standard_normal((time, lanes, size), np.float32) for size in (inputs, n))
        weights = parameters(rng, n, inputs, 2 * BAND + 1, 2 * BAND + 1)
        band = np.ascontiguousarray(weights["weight_hh"].T)
        column = np.arange(n) + np.arange(-BAND, BAND + 1)[:, None]
        band[(column < 0) | (column >= n)] = 0
        return {"x": x, "g": g} | weights | {"weight_hh": band}

    return make


def expected(function: str) -> Callable[[Inputs], list[np.ndarray]]:
    """h, and the gradients of sum(g * h) where they are asked for, by a masked torch.nn.RNN in float64."""

    def run(inputs: Inputs) -> list[np.ndarray]:
        doubles = {name: value.astype(np.float64) for name, value in inputs.items()}
        return [output.detach().numpy() for output in peer("torch_band", function)(doubles)()]

    return run


def _case(gradients: bool) -> Case:
    function = "band_gradient" if gradients else "band_forward"
    what = "forward and backward to x and the weights" if gradients else "forward"
    return Case(
        name=function,
        title=f"nn.BandRNN, ±{BAND}, 500 steps, batch 16, 1024 channels, {what}",
        make=maker(500, 16, 128, 1024),
        expected=expected(function),
        tolerance=gradient_tolerance if gradients else tolerance,
        peers={
            OURS: peer("ours_layers", function),
            "feedbackward, scan of a cell": peer("ours_recurrent", function),
            "feedbackward, scan by slices": peer("ours_recurrent", function.replace("band", "band_slices")),
            "torch.nn.RNN, masked": peer("torch_band", function),
            "JAX scan, by slices": peer("jax_recurrent", function),
        },
        floors={},
        targets=(Target("speedup", 15.0, "torch.nn.RNN, masked"),),
        memory=gradients,
        rounds=5,
    )


cases = [_case(gradients=False), _case(gradients=True)]
