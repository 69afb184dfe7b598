"""Cells of pointwise arithmetic, `fb.scan` against what else runs such a cell, at many lanes, few, and one.

x and y are (T, lanes), or (T,) for one lane, whose carry and parameters are then scalars. Gradients go to x and to
every parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..case import OURS, Build, Case, Inputs, Target
from ..cells import CELLS
from ..peers import peer

STEPS = {512: 2000, 4096: 500, 16: 8000, 1: 48000}  # by the number of lanes
ONE_LANE = ("biquad", "one_pole", "compressor")
EPSILON = float(np.finfo(np.float32).eps)


def maker(name: str, lanes: int, length: int | None = None) -> Callable[[bool], Inputs]:
    """White noise x, an output gradient g, and a value of each parameter for every lane; as long as STEPS says."""

    def make(small: bool) -> Inputs:
        steps = 50 if small else length or STEPS[lanes]
        shape = (steps,) if lanes == 1 else (steps, lanes)
        rng = np.random.default_rng(0)
        x, g = (rng.standard_normal(shape, np.float32) for _ in range(2))
        parameters = {
            key: np.asarray(value[0] if lanes == 1 else value, np.float32)
            for key, value in CELLS[name].parameters(lanes).items()
        }
        return {"cell": np.array(name), "x": x, "g": g} | parameters

    return make


def run(inputs: Inputs, gradients: bool = False) -> list[np.ndarray]:
    """y, and the gradients of sum(g * y) to x and every parameter, by a loop in float64 and autograd."""
    from ..peers import torch_cells

    doubles = {name: np.asarray(v, np.float64) if v.dtype == np.float32 else v for name, v in inputs.items()}
    call = (torch_cells.gradient if gradients else torch_cells.forward)(doubles)
    return [output.detach().numpy() for output in call()]


def run_gradients(inputs: Inputs) -> list[np.ndarray]:
    """The same with gradients."""
    return run(inputs, gradients=True)


def tolerance(inputs: Inputs) -> float:
    """The operations of a step, each rounded, times the steps for which the cell remembers an error.

    That is a sum of radius^t. An oscillator is drawn to its phase at a rate of 0.1 coupling cos(x - phase), whose mean
    over white noise is 0.6 times as large. The impulse response of a biquad is 1 / sin(angle of its pole) higher.
    """
    name = str(inputs["cell"])
    height = 1.0
    if name == "biquad":
        radius = float(np.sqrt(inputs["a2"].max()))
        height = float(1 / np.sin(np.arccos(np.abs(inputs["a1"]) / (2 * np.sqrt(inputs["a2"])))).min())
    elif name == "kuramoto":
        radius = 1 - 0.06 * float(inputs["coupling"].min())
    else:
        radius = float(max(inputs[key].max() for key in ("a", "attack", "release") if key in inputs))
    return CELLS[name].operations * height * min(1 / (1 - radius), len(inputs["x"])) * EPSILON


def gradient_tolerance(inputs: Inputs) -> float:
    """The adjoint remembers as long as the cell, and multiplies rounded values; a parameter's is a sum of T terms."""
    return 3 * tolerance(inputs) + float(np.sqrt(len(inputs["x"]))) * EPSILON


def _targets(lanes: int, gradients: bool) -> Sequence[Target]:
    if lanes >= 512:
        return Target("speedup", 2.5 if gradients else 1.0, "JAX scan"), Target("speedup", 10.0, "PyTorch loop")
    if lanes > 1:
        return (Target("speedup", 2.0 if gradients else 0.5, "JAX scan"),)
    return Target("speedup", 0.5, "JAX scan"), Target("speedup", 500.0, "PyTorch loop")


def _case(name: str, lanes: int, gradients: bool) -> Case:
    kind = "gradient" if gradients else "forward"
    peers: dict[str, Build] = {
        OURS: peer("ours_scan", kind),
        "JAX scan": peer("jax_cells", kind),
        "PyTorch loop": peer("torch_cells", kind),
    }
    if CELLS[name].numba and not gradients:
        peers["numba by hand"] = peer("numba_cells", "forward")
    what = "forward and backward to x and the parameters" if gradients else "forward"
    where = "one lane" if lanes == 1 else f"{lanes} lanes"
    return Case(
        name=f"{name}_{lanes}_{kind}",
        title=f"scan, {name.replace('_', ' ')}, {where} of {STEPS[lanes]} steps, {what}",
        make=maker(name, lanes),
        expected=run_gradients if gradients else run,
        tolerance=gradient_tolerance if gradients else tolerance,
        peers=peers,
        floors={},
        targets=_targets(lanes, gradients),
        memory=gradients and name == "biquad" and lanes in (4096, 1),
        rounds=5,
    )


cases = [
    _case(name, lanes, gradients)
    for lanes in STEPS
    for name in (ONE_LANE if lanes == 1 else CELLS)
    for gradients in (False, True)
]
