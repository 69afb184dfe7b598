"""The bank of learnable filters from TensorFlow: the same kernels behind its operators, beside our own from torch."""

from __future__ import annotations

import dataclasses

from ..case import OURS, Target
from ..peers import peer
from ..peers.elsewhere import elsewhere
from . import bank

_TORCH = "feedbackward from torch"

forward = dataclasses.replace(
    bank.forward,
    name="bank_tensorflow_forward",
    title="Bank from TensorFlow: [32, 16000] through 128 biquads, forward",
    peers={OURS: elsewhere("tensorflow", "ours_tensorflow", "cascade"), _TORCH: peer("ours", "cascade")},
    targets=(Target("times", 1.3, _TORCH),),
    memory=False,
)

gradient = dataclasses.replace(
    bank.gradient,
    name="bank_tensorflow_gradient",
    title="Bank from TensorFlow: [32, 16000] through 128 biquads, forward and backward to b, a and x",
    peers={
        OURS: elsewhere("tensorflow", "ours_tensorflow", "cascade_gradient"),
        _TORCH: peer("ours", "cascade_gradient"),
    },
    targets=(Target("times", 1.3, _TORCH),),
    memory=False,
)
cases = (forward, gradient)
