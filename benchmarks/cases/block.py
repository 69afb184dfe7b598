"""A stream in blocks of 64 samples: what one call costs, state in and out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import signal

from ..case import OURS, Case, Inputs, Target
from ..peers import peer
from ..signals import bank_tolerance, make_bank


def make_single(small: bool) -> Inputs:
    """One biquad, 64 samples, a state; small or not."""
    return {**make_bank(1, 1, 1, 64), "zi": np.array([[[0.25, -0.5]]], np.float32)}


def make_sections(small: bool) -> Inputs:
    """Four sections, 64 samples, a state; small or not."""
    return {**make_bank(1, 1, 4, 64), "zi": np.linspace(-0.5, 0.5, 8, dtype=np.float32).reshape(1, 4, 2)}


def expected(inputs: Inputs) -> Sequence[np.ndarray]:
    """The output of the block and the state after it."""
    b, a, x, zi = (inputs[name].astype(np.float64) for name in ("b", "a", "x", "zi"))
    return signal.sosfilt(np.concatenate([b[0], a[0]], -1), x[0], zi=zi[0])


single = Case(
    name="block_single",
    title="A block of 64 samples with state, one biquad, inference mode",
    make=make_single,
    expected=expected,
    tolerance=bank_tolerance,
    peers={
        OURS: peer("ours", "block"),
        "scipy lfilter": peer("scipy_signal", "block"),
        "numba by hand": peer("numba_loop", "block"),
        "JAX scan": peer("jax_scan", "block"),
        "philtorch": peer("philtorch_lfilter", "block"),
        "PyTorch loop": peer("torch_loop", "block"),
    },
    floors={},
    targets=(Target("microseconds", 30.0),),
)

sections = Case(
    name="block_sections",
    title="A block of 64 samples with state, four sections, inference mode",
    make=make_sections,
    expected=expected,
    tolerance=bank_tolerance,
    peers={
        OURS: peer("ours", "block_sections"),
        "scipy sosfilt": peer("scipy_signal", "block_sections"),
        "numba by hand": peer("numba_loop", "block"),
        "JAX scan": peer("jax_scan", "block"),
    },
    floors={},
    targets=(Target("microseconds", 30.0),),
)
