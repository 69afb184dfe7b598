"""Every operator as a plain loop in numpy, in double precision; and numbers to run them on."""

from __future__ import annotations

from typing import Any

import numpy as np

LENGTHS = (0, 1, 2, 15, 17, 129, 509)
LEADING = (  # of b, a, x without time, zi
    ((), (), (), ()),
    ((), (), (5, 3), (5, 3)),
    ((7,), (7,), (3, 1), (3, 7)),
    ((4, 1), (4, 1), (4, 3), (3,)),
    ((5, 1, 1), (1, 4, 1), (1, 1, 3), ()),
    ((), (6,), (), ()),
    ((3,), (3,), (0, 3), (3,)),
    ((130,), (130,), (2, 1), (130,)),
)


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    x = rng.normal(size=shape)
    if np.issubdtype(dtype, np.complexfloating):
        x = x + 1j * rng.normal(size=shape)
    return np.asarray(x, dtype)


def poles(rng: np.random.Generator, lead: tuple[int, ...], order: int, dtype: Any = np.float64) -> np.ndarray:
    """Denominators that are stable whatever their order, with a leading coefficient that is not 1."""
    a = numbers(rng, (*lead, order + 1), dtype)
    a *= 0.9 / (max(order, 1) * np.maximum(np.abs(a), 1))
    a[..., 0] = 1
    return (1.7 * a).astype(dtype)


def wide(dtype: Any) -> Any:
    return np.complex128 if np.issubdtype(dtype, np.complexfloating) else np.float64


def lfilter(b: Any, a: Any, x: Any, zi: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Transposed direct form II along the last axis: y, and the state after it."""
    b, a, x = (np.asarray(v, wide(np.result_type(v))) for v in (b, a, x))
    steps = x.shape[-1]
    n = max(b.shape[-1], a.shape[-1]) - 1
    lead = np.broadcast_shapes(b.shape[:-1], a.shape[:-1], x.shape[:-1], () if zi is None else np.shape(zi)[:-1])
    kind = np.result_type(b, a, x, np.float64 if zi is None else zi)
    b, a = b / a[..., :1], a / a[..., :1]
    pad = [np.concatenate([c, np.zeros((*c.shape[:-1], n + 1 - c.shape[-1]))], -1) for c in (b, a)]
    state = np.zeros((*lead, n), kind) + (0 if zi is None else np.asarray(zi))
    y = np.zeros((*lead, steps), kind)
    for t in range(steps):
        u = x[..., t]
        y[..., t] = pad[0][..., 0] * u + (state[..., 0] if n else 0)
        after = np.concatenate([state[..., 1:], np.zeros((*lead, min(n, 1)))], -1)
        state = after + pad[0][..., 1:] * u[..., None] - pad[1][..., 1:] * y[..., t, None]
    return y, state


def linear_recurrence(decay: Any, x: Any, initial: Any = 0.0) -> np.ndarray:
    """Along the last axis; decay has x's axes."""
    decay, x = np.broadcast_arrays(decay, x)
    lead = np.broadcast_shapes(x.shape[:-1], np.shape(initial))
    h = np.zeros((*lead, x.shape[-1]), np.result_type(decay, x, initial))
    state = np.broadcast_to(initial, lead)
    for t in range(x.shape[-1]):
        state = decay[..., t] * state + x[..., t]
        h[..., t] = state
    return h


def dense(weight: Any, lower: int) -> np.ndarray:
    """The matrix whose diagonals are the rows of weight."""
    n = weight.shape[-1]
    matrix = np.zeros((n, n), weight.dtype)
    for d in range(len(weight)):
        for i in range(n):
            if 0 <= i + d - lower < n:
                matrix[i, i + d - lower] = weight[d, i]
    return matrix


def rnn(x: Any, weight_ih: Any, matrix: Any, bias: Any, h: Any, nonlinearity: str) -> np.ndarray:
    """x (T, B, input), h (B, hidden): the state after every step."""
    states = []
    for x_t in x:
        before = x_t @ weight_ih.T + bias + h @ matrix.T
        h = np.tanh(before) if nonlinearity == "tanh" else np.maximum(before, 0)
        states.append(h)
    return np.stack(states) if states else np.zeros((0, *h.shape))


def tolerance(dtype: Any, steps: int) -> dict[str, float]:
    """Rounding errors add up over time, and these filters forget within some tens of samples."""
    one = np.finfo(dtype).eps
    return {"rtol": 200 * one, "atol": 50 * one * (1 + min(steps, 100) ** 0.5)}
