"""The same cells under jax.lax.scan, compiled ahead of time, with jax.vjp inside for gradients."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..case import Call, Inputs
from ..cells import CELLS
from .jax_scan import compiled, with_gradient


def _run(inputs: Inputs) -> tuple[Callable[..., Any], list[str]]:
    cell = CELLS[str(inputs["cell"])]
    names = [name for name in inputs if name not in ("cell", "x", "g")]

    def run(x: Any, *parameters: Any) -> Any:
        carry = (jnp.zeros(x.shape[1:], x.dtype),) * cell.states
        return jax.lax.scan(cell.step(jnp, *parameters), carry, x)[1]

    return run, ["x", *names]


def forward(inputs: Inputs) -> Call:
    """y of a pointwise cell."""
    run, names = _run(inputs)
    call = compiled(run, inputs, *names)
    return lambda: (call(),)


def gradient(inputs: Inputs) -> Call:
    """The same with gradients to x and the parameters."""
    run, names = _run(inputs)
    return compiled(with_gradient(run), inputs, *names, "g")


def unseen(inputs: Inputs) -> Call:
    """The same with a cell that differs from every one before in a number, so that it is compiled anew."""
    run, names = _run(inputs)
    numbers = itertools.count()

    def call() -> Any:
        scale = 1 - next(numbers) * 1e-12
        return compiled(with_gradient(lambda *arguments: scale * run(*arguments)), inputs, *names, "g")()

    return call
