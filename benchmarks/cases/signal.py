"""One long signal: there are no lanes to vectorize over, only time.

The PyTorch loop runs in the first case alone: it takes tens of seconds, and its graph of millions of nodes gigabytes.
"""

from __future__ import annotations

from ..case import OURS, Build, Case, Inputs, Target
from ..peers import peer
from ..signals import bank_gradients, bank_output, bank_tolerance, make_bank
from .bank import gradient_tolerance


def make_single(small: bool) -> Inputs:
    """One biquad, one signal of a million samples."""
    return make_bank(1, 1, 1, 300 if small else 1_000_000)


def make_sections(small: bool) -> Inputs:
    """Four sections, one signal of a million samples."""
    return make_bank(1, 1, 4, 300 if small else 1_000_000)


def _forward(name: str) -> dict[str, Build]:
    return {
        OURS: peer("ours", "cascade"),
        f"scipy {name}": peer("scipy_signal", name),
        "numba by hand": peer("numba_loop", "cascade"),
        "JAX scan": peer("jax_scan", "cascade"),
        "torchaudio": peer("torchaudio_lfilter", "cascade"),
        "philtorch": peer("philtorch_lfilter", "cascade"),
    }


GRADIENT = {
    OURS: peer("ours", "cascade_gradient"),
    "JAX scan": peer("jax_scan", "cascade_gradient"),
    "torchaudio": peer("torchaudio_lfilter", "cascade_gradient"),
    "philtorch": peer("philtorch_lfilter", "cascade_gradient"),
}

forward = Case(
    name="signal_forward",
    title="One signal of 1,000,000 samples, one biquad, forward",
    make=make_single,
    expected=bank_output,
    tolerance=bank_tolerance,
    peers=_forward("lfilter")
    | {
        "PyTorch loop": peer("torch_loop", "cascade"),
        "feedbackward, float64 inside": peer("ours", "cascade_double"),
    },
    floors={"fill": peer("floor", "fill")},
    targets=(Target("speedup", 8.0, "scipy lfilter"),),
)

gradient = Case(
    name="signal_gradient",
    title="One signal of 1,000,000 samples, one biquad, forward and backward to b, a and x",
    make=make_single,
    expected=bank_gradients,
    tolerance=gradient_tolerance,
    peers=GRADIENT,
    floors={"fill + sum": peer("floor", "fill_and_sum")},
    targets=(Target("speedup", 4.0, "JAX scan"),),
    memory=True,
)

sections_forward = Case(
    name="sections_forward",
    title="One signal of 1,000,000 samples, four sections, forward",
    make=make_sections,
    expected=bank_output,
    tolerance=bank_tolerance,
    peers=_forward("sosfilt"),
    floors={"fill": peer("floor", "fill")},
    targets=(Target("speedup", 4.0, "scipy sosfilt"),),
)

sections_gradient = Case(
    name="sections_gradient",
    title="One signal of 1,000,000 samples, four sections, forward and backward to sos and x",
    make=make_sections,
    expected=bank_gradients,
    tolerance=gradient_tolerance,
    peers=GRADIENT,
    floors={"fill + sum": peer("floor", "fill_and_sum")},
    targets=(Target("speedup", 4.0, "JAX scan"),),
    memory=True,
)
