"""The same layers under jax.lax.scan; the product with x is taken for all steps at once, outside of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..case import Call, Inputs
from .jax_scan import compiled, with_gradient
from .torch_recurrent import WEIGHTS


def _scan(step: Callable[[Any, Any], Any], x: Any, hidden: int) -> Any:
    def both(h: Any, now: Any) -> tuple[Any, Any]:
        h = step(h, now)
        return h, h

    return jax.lax.scan(both, jnp.zeros((x.shape[1], hidden), x.dtype), x)[1]


def _rnn(x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Any:
    return _scan(lambda h, now: jnp.tanh(now + h @ w_hh.T), x @ w_ih.T + b_ih + b_hh, len(w_hh))


def _gru(x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Any:
    def step(h: Any, now: Any) -> Any:
        (xr, xz, xn), (hr, hz, hn) = (jnp.split(gates, 3, -1) for gates in (now, h @ w_hh.T + b_hh))
        r, z = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
        n = jnp.tanh(xn + r * hn)
        return (1 - z) * n + z * h

    return _scan(step, x @ w_ih.T + b_ih, w_hh.shape[1])


def _lstm(x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Any:
    def step(carry: Any, now: Any) -> tuple[Any, Any]:
        h, c = carry
        i, f, g, o = jnp.split(now + h @ w_hh.T, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zero = jnp.zeros((x.shape[1], w_hh.shape[1]), x.dtype)
    return jax.lax.scan(step, (zero, zero), x @ w_ih.T + b_ih + b_hh)[1]


def _band(x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Any:
    width, hidden = w_hh.shape

    def step(h: Any, now: Any) -> Any:
        padded = jnp.pad(h, ((0, 0), (width // 2, width // 2)))
        return jnp.tanh(now + sum(w_hh[d] * padded[:, d : d + hidden] for d in range(width)))

    return _scan(step, x @ w_ih.T + b_ih + b_hh, hidden)


def _masked(x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any) -> Any:
    width, hidden = w_hh.shape
    row = jnp.arange(hidden)
    diagonal = row - row[:, None] + width // 2  # of every entry of the dense matrix
    dense = jnp.where((diagonal >= 0) & (diagonal < width), w_hh[diagonal.clip(0, width - 1), row[:, None]], 0)
    return _scan(lambda h, now: jnp.tanh(now + h @ dense.T), x @ w_ih.T + b_ih + b_hh, hidden)


def _forward(run: Callable[..., Any], inputs: Inputs) -> Call:
    call = compiled(run, inputs, "x", *WEIGHTS)
    return lambda: (call(),)


def _gradient(run: Callable[..., Any], inputs: Inputs) -> Call:
    return compiled(with_gradient(run), inputs, "x", *WEIGHTS, "g")


def rnn_forward(inputs: Inputs) -> Call:
    """A tanh layer."""
    return _forward(_rnn, inputs)


def rnn_gradient(inputs: Inputs) -> Call:
    """The same with gradients."""
    return _gradient(_rnn, inputs)


def gru_forward(inputs: Inputs) -> Call:
    """A GRU layer."""
    return _forward(_gru, inputs)


def gru_gradient(inputs: Inputs) -> Call:
    """The same with gradients."""
    return _gradient(_gru, inputs)


def lstm_forward(inputs: Inputs) -> Call:
    """An LSTM layer."""
    return _forward(_lstm, inputs)


def lstm_gradient(inputs: Inputs) -> Call:
    """The same with gradients."""
    return _gradient(_lstm, inputs)


def band_forward(inputs: Inputs) -> Call:
    """A tanh layer whose matrix is a band, as a sum of shifted products."""
    return _forward(_band, inputs)


def band_gradient(inputs: Inputs) -> Call:
    """The same with gradients."""
    return _gradient(_band, inputs)


def masked_forward(inputs: Inputs) -> Call:
    """The same as a product with the dense matrix, whose entries outside of the band are 0."""
    return _forward(_masked, inputs)


def masked_gradient(inputs: Inputs) -> Call:
    """The same with gradients."""
    return _gradient(_masked, inputs)
