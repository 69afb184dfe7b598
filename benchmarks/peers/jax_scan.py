"""jax.lax.scan and jax.lax.associative_scan, compiled ahead of time by XLA for the CPU.

Gradients come from ``jax.vjp`` inside one compiled function. Signals and outputs have the user's layout, and the
transpositions that ``scan`` needs to have time first are inside the compiled function, where XLA may fuse them. The
``time_first`` ones are spared them: they get and give everything with time first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..case import Call, Inputs


def compiled(function: Callable[..., Any], inputs: Inputs, *names: str) -> Call:
    arguments = [jnp.asarray(inputs[name]) for name in names]
    ready = jax.jit(function).lower(*arguments).compile()
    return lambda: jax.block_until_ready(ready(*arguments))  # type: ignore[no-untyped-call]


def with_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    def both(*arguments: Any) -> tuple[Any, ...]:
        output, pull = jax.vjp(function, *arguments[:-1])
        return (output, *pull(arguments[-1]))

    return both


def _scan_cascade(b: Any, a: Any, x: Any, zi: Any = None) -> tuple[Any, Any]:
    """Transposed direct form II: b and a (sections, 3, ...), x (time, ...); the carry is one pair per section."""
    shape = jnp.broadcast_shapes(b.shape[2:], x.shape[1:])
    rest = tuple((jnp.zeros(shape, x.dtype),) * 2 for _ in b) if zi is None else zi

    def step(state: Any, signal: Any) -> tuple[Any, Any]:
        after = []
        for (s1, s2), (b0, b1, b2), (_, a1, a2) in zip(state, b, a, strict=True):
            y = b0 * signal + s1
            after.append((b1 * signal - a1 * y + s2, b2 * signal - a2 * y))
            signal = y
        return tuple(after), signal

    return jax.lax.scan(step, rest, x)


def _bank(b: Any, a: Any, x: Any) -> Any:
    """The layout of signals.py; a single signal runs with scalar carries."""
    if len(b) == 1 and len(x) == 1:
        return _scan_cascade(b[0], a[0], x[0])[1][None, None]
    y = _scan_cascade(jnp.moveaxis(b, 0, -1), jnp.moveaxis(a, 0, -1), x.T[..., None])[1]
    return jnp.moveaxis(y, 0, -1)


def cascade(inputs: Inputs) -> Call:
    """A bank of biquad cascades."""
    call = compiled(_bank, inputs, "b", "a", "x")
    return lambda: (call(),)


def cascade_gradient(inputs: Inputs) -> Call:
    """The same with gradients to b, a and x."""
    call = compiled(with_gradient(_bank), inputs, "b", "a", "x", "g")

    def drop_a0() -> tuple[Any, ...]:
        y, d_b, d_a, d_x = call()
        return y, d_b, d_a[..., 1:], d_x

    return drop_a0


class _TimeFirst:
    """An output as ``scan`` leaves it; it is brought to the user's layout only when it is read as an array."""

    def __init__(self, y: Any) -> None:
        self.y = y

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.moveaxis(np.asarray(self.y), 0, -1)


def _bank_time_first(b: Any, a: Any, x: Any) -> Any:
    return _scan_cascade(jnp.moveaxis(b, 0, -1), jnp.moveaxis(a, 0, -1), x[..., None])[1]


def _time_first(inputs: Inputs) -> Inputs:
    turned = {"x": inputs["x"].T, "g": np.moveaxis(inputs["g"], -1, 0)}
    return {**inputs, **{name: np.ascontiguousarray(value) for name, value in turned.items()}}


def cascade_time_first(inputs: Inputs) -> Call:
    """A bank of biquad cascades whose signals and outputs have time first, so that nothing is transposed."""
    call = compiled(_bank_time_first, _time_first(inputs), "b", "a", "x")
    return lambda: (_TimeFirst(call()),)


def cascade_time_first_gradient(inputs: Inputs) -> Call:
    """The same with gradients to b, a and x."""
    call = compiled(with_gradient(_bank_time_first), _time_first(inputs), "b", "a", "x", "g")

    def drop_a0() -> tuple[Any, ...]:
        y, d_b, d_a, d_x = call()
        return _TimeFirst(y), d_b, d_a[..., 1:], _TimeFirst(d_x)

    return drop_a0


def block(inputs: Inputs) -> Call:
    """One block of a stream through a cascade, state in and out."""

    def run(b: Any, a: Any, x: Any, zi: Any) -> tuple[Any, Any]:
        zf, y = _scan_cascade(b[0], a[0], x[0], tuple((s[0], s[1]) for s in zi[0]))
        return y, jnp.asarray(zf)

    return compiled(run, inputs, "b", "a", "x", "zi")


def _varying(b: Any, a: Any, x: Any, hop: int) -> Any:
    def step(state: Any, now: Any) -> tuple[Any, Any]:
        (s1, s2), (signal, taps, poles) = state, now
        y = taps[:, 0] * signal + s1
        return (taps[:, 1] * signal - poles[:, 1] * y + s2, taps[:, 2] * signal - poles[:, 2] * y), y

    each = [jnp.moveaxis(jnp.repeat(frames, hop, axis=1)[:, : x.shape[-1]], 1, 0) for frames in (b, a)]
    rest = (jnp.zeros(len(x), x.dtype),) * 2
    return jax.lax.scan(step, rest, (x.T, *each))[1].T


def varying(inputs: Inputs) -> Call:
    """A biquad whose coefficients hold for a hop, repeated for every sample."""
    hop = int(inputs["hop"])
    call = compiled(lambda b, a, x: _varying(b, a, x, hop), inputs, "b", "a", "x")
    return lambda: (call(),)


def varying_gradient(inputs: Inputs) -> Call:
    """The same with gradients to the frames and the signal."""
    hop = int(inputs["hop"])
    call = compiled(with_gradient(lambda b, a, x: _varying(b, a, x, hop)), inputs, "b", "a", "x", "g")

    def drop_a0() -> tuple[Any, ...]:
        y, d_b, d_a, d_x = call()
        return y, d_b, d_a[..., 1:], d_x

    return drop_a0


def _linear(decay: Any, x: Any) -> Any:
    def step(h: Any, now: Any) -> tuple[Any, Any]:
        h = now[0] * h + now[1]
        return h, h

    first = (jnp.swapaxes(decay, 0, 1), jnp.swapaxes(x, 0, 1))
    return jnp.swapaxes(jax.lax.scan(step, jnp.zeros_like(x[:, 0]), first)[1], 0, 1)


def _linear_associative(decay: Any, x: Any) -> Any:
    def join(left: Any, right: Any) -> tuple[Any, Any]:
        return left[0] * right[0], left[1] * right[0] + right[1]

    return jax.lax.associative_scan(join, (decay, x), axis=1)[1]


def linear(inputs: Inputs) -> Call:
    """A gated linear recurrence along the middle axis, by ``scan``."""
    call = compiled(_linear, inputs, "decay", "x")
    return lambda: (call(),)


def linear_gradient(inputs: Inputs) -> Call:
    """The same with gradients to decay and x."""
    return compiled(with_gradient(_linear), inputs, "decay", "x", "g")


def linear_associative(inputs: Inputs) -> Call:
    """A gated linear recurrence along the middle axis, by ``associative_scan``."""
    call = compiled(_linear_associative, inputs, "decay", "x")
    return lambda: (call(),)


def linear_associative_gradient(inputs: Inputs) -> Call:
    """The same with gradients to decay and x."""
    return compiled(with_gradient(_linear_associative), inputs, "decay", "x", "g")
