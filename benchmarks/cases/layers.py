"""The recurrent layers in the place of torch.nn's: fb.nn.RNN, GRU and LSTM, at four sizes.

    x (T, B, input) -> h (T, B, hidden),    with torch.nn's equations and weights

Gradients go to x and to every weight. torch.nn has an LSTM of oneDNN's, and nothing of the kind for the other two.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..case import OURS, Case, Target
from ..peers import peer
from .recurrent import expected, gradient_tolerance, maker, tolerance

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
SIZES = {  # steps, batch, input, hidden, by what a case's name says of them
    "": (1000, 32, 64, 128),
    "_single": (1000, 1, 64, 128),
    "_512": (500, 32, 256, 512),
    "_1024": (500, 16, 128, 1024),
}
FASTER = {"": 2.0, "_single": 5.0, "_512": 1.2, "_1024": 1.2}  # than torch.nn.RNN and GRU


def _targets(kind: str, size: str, gradients: bool) -> Sequence[Target]:
    times = (1.0 if gradients else 0.8) if kind == "lstm" else FASTER[size]
    return (Target("speedup", times, f"torch.nn.{kind.upper()}"),)


def _case(kind: str, size: str, gradients: bool) -> Case:
    suffix = "_gradient" if gradients else "_forward"
    steps, batch, features, hidden = SIZES[size]
    what = "forward and backward to x and the weights" if gradients else "forward"
    return Case(
        name=f"layer_{kind}{size}{suffix}",
        title=f"nn.{kind.upper()}, {steps} steps, batch {batch}, {features} to {hidden} channels, {what}",
        make=maker(GATES[kind], batch, steps, features, hidden),
        expected=expected(kind + suffix),
        tolerance=gradient_tolerance if gradients else tolerance,
        peers={
            OURS: peer("ours_layers", kind + suffix),
            f"torch.nn.{kind.upper()}": peer("torch_recurrent", kind + suffix),
            "JAX scan": peer("jax_recurrent", kind + suffix),
        },
        floors={},
        targets=_targets(kind, size, gradients),
        memory=gradients and not size,
        rounds=2 if hidden > 128 else 5,
    )


cases = [_case(kind, size, gradients) for kind in GATES for size in SIZES for gradients in (False, True)]
