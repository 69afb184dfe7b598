"""The bank of learnable filters and the band from JAX: the same kernels behind XLA's calls, beside ours from torch."""

from __future__ import annotations

import dataclasses

from ..case import OURS, Case, Target
from ..peers import peer
from . import band, bank

_TORCH = "feedbackward from torch"

forward = dataclasses.replace(
    bank.forward,
    name="bank_jax_forward",
    title="Bank from JAX: [32, 16000] through 128 biquads, forward",
    peers={
        OURS: peer("ours_jax", "cascade"),
        _TORCH: peer("ours", "cascade"),
        "JAX scan": peer("jax_scan", "cascade"),
        "JAX scan, time first": peer("jax_scan", "cascade_time_first"),
    },
    targets=(Target("times", 1.3, _TORCH),),
    memory=False,
)

gradient = dataclasses.replace(
    bank.gradient,
    name="bank_jax_gradient",
    title="Bank from JAX: [32, 16000] through 128 biquads, forward and backward to b, a and x",
    peers={
        OURS: peer("ours_jax", "cascade_gradient"),
        _TORCH: peer("ours", "cascade_gradient"),
        "JAX scan": peer("jax_scan", "cascade_gradient"),
        "JAX scan, time first": peer("jax_scan", "cascade_time_first_gradient"),
    },
    targets=(Target("times", 1.3, _TORCH),),
    memory=False,
)


def _band(function: str) -> Case:
    case = next(one for one in band.cases if one.name == f"band_{function}")
    slices, masked = "JAX scan, by slices", "JAX scan, masked"
    return dataclasses.replace(
        case,
        name=f"band_jax_{function}",
        title=case.title.replace("nn.BandRNN", "band_rnn from JAX"),
        peers={
            OURS: peer("ours_jax", case.name),
            _TORCH: peer("ours_layers", case.name),
            slices: peer("jax_recurrent", case.name),
            masked: peer("jax_recurrent", f"masked_{function}"),
        },
        targets=(Target("speedup", 2.0, slices), Target("speedup", 2.0, masked)) if function == "gradient" else (),
        memory=False,
    )


cases = (forward, gradient, _band("forward"), _band("gradient"))
