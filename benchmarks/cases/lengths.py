"""Sequences of different lengths: fb.nn's ``lengths=``, against packing, and against torch.nn run on the padding.

    x (T, B, input), lengths (B,) -> h (T, B, hidden), 0 from lengths[b] on, and each sequence's last h

Gradients of sum(g * h) go to x and to every weight.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..case import OURS, Case, Inputs, Target
from ..peers import peer
from . import recurrent
from .layers import GATES

LONGEST, SHORTEST = 1000, 10


def maker(gates: int) -> Callable[[bool], Inputs]:
    """A batch of 32 as in `recurrent`, whose lengths are spread evenly, and in no order; one is the longest."""
    make_padded = recurrent.maker(gates, 32, LONGEST)

    def make(small: bool) -> Inputs:
        inputs = make_padded(small)
        steps, batch = inputs["x"].shape[:2]
        lengths = np.random.default_rng(1).integers(min(SHORTEST, steps), steps, batch, endpoint=True)
        lengths[batch // 2] = steps
        return {**inputs, "lengths": lengths}

    return make


def expected(function: str) -> Callable[[Inputs], list[np.ndarray]]:
    """By torch.nn in float64, on packed sequences."""

    def run(inputs: Inputs) -> list[np.ndarray]:
        doubles = {name: v.astype(np.float64) if v.dtype == np.float32 else v for name, v in inputs.items()}
        return [output.detach().numpy() for output in peer("torch_lengths", function)(doubles)()]

    return run


def _case(kind: str, gradients: bool) -> Case:
    suffix = "_gradient" if gradients else "_forward"
    what = "forward and backward to x and the weights" if gradients else "forward"
    packed = f"torch.nn.{kind.upper()}, packed"
    return Case(
        name=f"lengths_{kind}{suffix}",
        title=f"nn.{kind.upper()}, lengths {SHORTEST} to {LONGEST}, batch 32, 128 channels, {what}",
        make=maker(GATES[kind]),
        expected=expected(f"{kind}_packed{suffix}"),
        tolerance=recurrent.gradient_tolerance if gradients else recurrent.tolerance,
        peers={
            OURS: peer("ours_lengths", kind + suffix),
            packed: peer("torch_lengths", f"{kind}_packed{suffix}"),
            f"torch.nn.{kind.upper()}, padded and masked": peer("torch_lengths", f"{kind}_padded{suffix}"),
        },
        floors={},
        targets=(Target("speedup", 5.0, packed),),
        memory=gradients and kind == "gru",
        rounds=5,
    )


cases = [_case(kind, gradients) for kind in GATES for gradients in (False, True)]
