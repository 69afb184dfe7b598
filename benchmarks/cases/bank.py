"""A bank of learnable filters over a batch: [32, 16000] through 128 band-pass biquads.

The targets against JAX are held to its faster form, which has time first and so no transposition to make.
"""

from __future__ import annotations

from ..case import OURS, Case, Inputs, Target
from ..peers import peer
from ..signals import bank_gradients, bank_output, bank_tolerance, make_bank


def make(small: bool) -> Inputs:
    """x [32, 16000], 128 biquads."""
    return make_bank(2, 5, 1, 300) if small else make_bank(32, 128, 1, 16000)


def gradient_tolerance(inputs: Inputs) -> float:
    """A gradient passes the filter twice more, once for the adjoint and once for the signal that it multiplies."""
    return 3 * bank_tolerance(inputs)


forward = Case(
    name="bank_forward",
    title="Bank: [32, 16000] through 128 biquads, forward",
    make=make,
    expected=bank_output,
    tolerance=bank_tolerance,
    peers={
        OURS: peer("ours", "cascade"),
        "JAX scan": peer("jax_scan", "cascade"),
        "JAX scan, time first": peer("jax_scan", "cascade_time_first"),
        "numba by hand": peer("numba_loop", "cascade"),
        "scipy lfilter": peer("scipy_signal", "lfilter"),
        "PyTorch loop": peer("torch_loop", "cascade"),
        "torchaudio": peer("torchaudio_lfilter", "cascade"),
        "philtorch": peer("philtorch_lfilter", "cascade"),
        "feedbackward, float64 inside": peer("ours", "cascade_double"),
    },
    floors={"fill": peer("floor", "fill")},
    targets=(Target("times", 3.0, "fill"), Target("speedup", 5.0, "JAX scan, time first")),
    memory=True,
)

gradient = Case(
    name="bank_gradient",
    title="Bank: [32, 16000] through 128 biquads, forward and backward to b, a and x",
    make=make,
    expected=bank_gradients,
    tolerance=gradient_tolerance,
    peers={
        OURS: peer("ours", "cascade_gradient"),
        "JAX scan": peer("jax_scan", "cascade_gradient"),
        "JAX scan, time first": peer("jax_scan", "cascade_time_first_gradient"),
        "PyTorch loop": peer("torch_loop", "cascade_gradient"),
        "torchaudio": peer("torchaudio_lfilter", "cascade_gradient"),
        "philtorch": peer("philtorch_lfilter", "cascade_gradient"),
        "feedbackward, float64 inside": peer("ours", "cascade_double_gradient"),
    },
    floors={"fill + sum": peer("floor", "fill_and_sum")},
    targets=(
        Target("times", 4.0, "fill + sum"),
        Target("memory", 32.0),
        Target("speedup", 4.0, "JAX scan, time first"),
    ),
    memory=True,
)
