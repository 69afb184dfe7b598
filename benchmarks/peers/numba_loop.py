"""The loops written out by hand and compiled by numba: parallel over lanes where there are lanes, fastmath off.

There is no gradient: numba has none, and a hand-written adjoint would be another library.
"""

from __future__ import annotations

import numba
import numpy as np

from ..case import Call, Inputs


@numba.njit(parallel=True)
def _bank(b, a, x, y):  # type: ignore[no-untyped-def]
    batch, filters, time = y.shape
    for lane in numba.prange(batch * filters):
        i, f = lane // filters, lane % filters
        for k in range(b.shape[1]):
            b0, b1, b2 = b[f, k]
            a1, a2 = a[f, k, 1], a[f, k, 2]
            s1 = s2 = np.float32(0)
            for t in range(time):
                u = x[i, t] if k == 0 else y[i, f, t]
                v = b0 * u + s1
                s1 = b1 * u - a1 * v + s2
                s2 = b2 * u - a2 * v
                y[i, f, t] = v


@numba.njit
def _cascade(b, a, x, zi):  # type: ignore[no-untyped-def]
    y, state = x, zi.copy()
    for k in range(len(b)):
        b0, b1, b2 = b[k]
        a1, a2 = a[k, 1], a[k, 2]
        s1, s2 = state[k]
        u, y = y, np.empty_like(x)
        for t in range(len(x)):
            v = b0 * u[t] + s1
            s1 = b1 * u[t] - a1 * v + s2
            s2 = b2 * u[t] - a2 * v
            y[t] = v
        state[k, 0], state[k, 1] = s1, s2
    return y, state


@numba.njit(parallel=True)
def _varying(b, a, x, hop, y):  # type: ignore[no-untyped-def]
    for i in numba.prange(len(x)):
        s1 = s2 = np.float32(0)
        for t in range(x.shape[1]):
            frame = t // hop
            v = b[i, frame, 0] * x[i, t] + s1
            s1 = b[i, frame, 1] * x[i, t] - a[i, frame, 1] * v + s2
            s2 = b[i, frame, 2] * x[i, t] - a[i, frame, 2] * v
            y[i, t] = v


@numba.njit(parallel=True)
def _linear(decay, x, h):  # type: ignore[no-untyped-def]
    for i in numba.prange(len(x)):
        h[i, 0] = x[i, 0]
        for t in range(1, x.shape[1]):
            for c in range(x.shape[2]):
                h[i, t, c] = decay[i, t, c] * h[i, t - 1, c] + x[i, t, c]


def cascade(inputs: Inputs) -> Call:
    """A bank of biquad cascades, or one cascade over one signal."""
    b, a, x = (inputs[name] for name in "bax")
    if len(b) == 1 and len(x) == 1:
        rest = np.zeros((b.shape[1], 2), np.float32)
        return lambda: (_cascade(b[0], a[0], x[0], rest)[0],)

    def call() -> tuple[np.ndarray, ...]:
        y = np.empty((len(x), len(b), x.shape[-1]), np.float32)
        _bank(b, a, x, y)
        return (y,)

    return call


def block(inputs: Inputs) -> Call:
    """One block of a stream through a cascade, state in and out."""
    b, a, x, zi = inputs["b"][0], inputs["a"][0], inputs["x"][0], inputs["zi"][0]
    return lambda: _cascade(b, a, x, zi)


def varying(inputs: Inputs) -> Call:
    """A biquad whose coefficients hold for a hop."""

    def call() -> tuple[np.ndarray, ...]:
        y = np.empty_like(inputs["x"])
        _varying(inputs["b"], inputs["a"], inputs["x"], int(inputs["hop"]), y)
        return (y,)

    return call


def linear(inputs: Inputs) -> Call:
    """A gated linear recurrence along the middle axis."""

    def call() -> tuple[np.ndarray, ...]:
        h = np.empty_like(inputs["x"])
        _linear(inputs["decay"], inputs["x"], h)
        return (h,)

    return call
