"""A primitive of JAX from the function that computes it and its rules of differentiation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

Function = Callable[..., Any]


def primitive(
    name: str,
    compute: Function,
    *,
    abstract: Function,
    jvp: Function,
    transpose: Function,
    batch: Function,
) -> Primitive:
    """A primitive with several results that runs on the CPU.

    Args:
        name: For messages, and printed programs.
        compute: ``(*arrays, **settings)``: the results, from functions that JAX can lower.
        abstract: ``(*avals, **settings)``: what they look like.
        jvp: The rule of `jax.interpreters.ad.primitive_jvps`.
        transpose: That of `jax.interpreters.ad.primitive_transposes`.
        batch: That of `jax.interpreters.batching.primitive_batchers`.
    """
    made = Primitive(f"feedbackward_{name}")
    made.multiple_results = True

    @functools.lru_cache(maxsize=1024)
    def compiled(**settings: Any) -> Function:
        return jax.jit(lambda *arrays: made.bind(*arrays, **settings))

    def refuse(ctx: Any, *arrays: Any, **settings: Any) -> Any:
        raise NotImplementedError(
            f"feedbackward: {name} was compiled for {', '.join(ctx.module_context.platforms)}, but this version "
            "computes on CPU; move the arrays with jax.device_put(x, jax.devices('cpu')[0])"
        )

    made.def_impl(lambda *arrays, **settings: compiled(**settings)(*arrays))
    made.def_abstract_eval(abstract)
    ad.primitive_jvps[made] = jvp
    ad.primitive_transposes[made] = transpose
    batching.primitive_batchers[made] = batch
    mlir.register_lowering(made, refuse)
    mlir.register_lowering(made, mlir.lower_fun(compute, multiple_results=True), platform="cpu")
    return made
