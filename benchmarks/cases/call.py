"""What a scan costs beside its loop: a call on three steps, and the first call with a cell that was never seen."""

from __future__ import annotations

from collections.abc import Callable

from ..case import OURS, Case, Inputs, Target
from ..cells import CELLS
from ..peers import peer
from . import cells, recurrent

WHAT = ("forward", "forward and backward")  # without gradients, and with


def _first(steps: int, make: Callable[[bool], Inputs]) -> Callable[[bool], Inputs]:
    """So many steps of a case; from three on, every parameter of a filter of second order has a say."""

    def first(small: bool) -> Inputs:
        return {name: value[:steps] if name in ("x", "g") else value for name, value in make(small).items()}

    return first


def _cell(gradients: bool) -> Case:
    kind = "gradient" if gradients else "forward"
    return Case(
        name=f"call_biquad_{kind}",
        title=f"A call of scan on three steps, biquad on one lane, {WHAT[gradients]}",
        make=_first(3, cells.maker("biquad", 1)),
        expected=cells.run_gradients if gradients else cells.run,
        tolerance=cells.gradient_tolerance if gradients else cells.tolerance,
        peers={OURS: peer("ours_scan", kind), "JAX scan": peer("jax_cells", kind)},
        floors={},
        targets=() if gradients else (Target("microseconds", 150.0),),
    )


def _module(gradients: bool) -> Case:
    suffix = "_gradient" if gradients else "_forward"
    return Case(
        name=f"call_gru{suffix}",
        title=f"A call of scan on three steps, torch.nn.GRUCell, {WHAT[gradients]}",
        make=_first(3, recurrent.maker(3, 1)),
        expected=recurrent.expected("gru" + suffix),
        tolerance=recurrent.gradient_tolerance if gradients else recurrent.tolerance,
        peers={
            OURS: peer("ours_recurrent", "gru" + suffix),
            "torch.nn.GRU": peer("torch_recurrent", "gru" + suffix),
            "JAX scan": peer("jax_recurrent", "gru" + suffix),
        },
        floors={},
        targets=() if gradients else (Target("microseconds", 150.0),),
    )


def _trace(name: str) -> Case:
    return Case(
        name=f"trace_{name}",
        title=f"A cell that was never seen, {name.replace('_', ' ')}, 16 lanes of 16 steps, forward and backward",
        make=_first(16, cells.maker(name, 16)),
        expected=cells.run_gradients,
        tolerance=cells.gradient_tolerance,
        peers={
            OURS: peer("ours_scan", "unseen"),
            "feedbackward, check=False": peer("ours_scan", "unseen_unchecked"),
            "JAX scan": peer("jax_cells", "unseen"),
        },
        floors={},
        targets=(Target("microseconds", 50_000.0),),
    )


cases = [
    _cell(gradients=False),
    _cell(gradients=True),
    _module(gradients=False),
    _module(gradients=True),
    *(_trace(name) for name in CELLS),
]
