"""The bank of learnable filters from JAX: the same kernels behind XLA's calls, beside our own from torch."""

from __future__ import annotations

import dataclasses

from ..case import OURS, Target
from ..peers import peer
from . import bank

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
cases = (forward, gradient)
