"""Bad input gets one sentence: which argument, what was expected, what came."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from feedbackward.jax import band_matmul, band_rnn, lfilter, linear_recurrence, sosfilt

ONE, X = np.ones(1), np.ones((2, 5))
SOS = np.array([[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]])
W = np.ones((3, 4))


def rnn(**changes: Any) -> Any:
    given = {"x": np.ones((5, 2, 3)), "weight_ih": np.ones((4, 3)), "weight_hh": W, "lower": 1}
    return lambda: band_rnn(**{**given, **changes})


REFUSALS = {
    "a list": (lambda: lfilter([1.0], ONE, X), TypeError, "lfilter: b is a list, expected an array"),
    "integers": (lambda: lfilter(ONE, np.array([1]), X), TypeError, "a has dtype int64, expected float32, float64"),
    "no such axis": (lambda: lfilter(ONE, ONE, X, 2), ValueError, "axis is 2, but x has shape (2, 5)"),
    "axis": (lambda: lfilter(ONE, ONE, X, 1.0), TypeError, "axis is a float, expected an int"),
    "zi": (
        lambda: lfilter(np.ones(3), ONE, X, zi=np.zeros(1)),
        ValueError,
        "lfilter: zi has shape (1,), expected (..., 2) = (..., max(len(b), len(a)) - 1)",
    ),
    "leading": (
        lambda: lfilter(np.ones((3, 1)), ONE, X),
        ValueError,
        "lfilter: the leading shapes do not broadcast: b (3,), a (), x without time (2,)",
    ),
    "no taps": (lambda: lfilter(np.ones(0), ONE, X), ValueError, "b has shape (0,), expected (..., n) with n >= 1"),
    "a0": (lambda: lfilter(ONE, np.zeros(1), X), ValueError, "leading coefficient a[..., 0] is 0"),
    "hop": (lambda: lfilter(np.ones((3, 1)), ONE[None], X, hop=2.5), TypeError, "hop is a float, expected an int"),
    "frames": (
        lambda: lfilter(np.ones((2, 1)), ONE[None], X, hop=2),
        ValueError,
        "b has 2 frames, expected 3 (or 1) for 5 samples at hop=2",
    ),
    "interpolation": (lambda: lfilter(ONE, ONE, X, interpolation="cubic"), ValueError, "interpolation is 'cubic'"),
    "compute_dtype": (lambda: lfilter(ONE, ONE, X, compute_dtype="int8"), TypeError, "compute_dtype is int8, expected"),
    "narrow": (
        lambda: lfilter(ONE, ONE, X, compute_dtype=np.float32),
        ValueError,
        "compute_dtype float32 is narrower than the signal's float64",
    ),
    "sos": (lambda: sosfilt(np.ones((1, 5)), X), ValueError, "sos has shape (1, 5), expected (..., sections, 6)"),
    "sos zi": (lambda: sosfilt(SOS, X, zi=np.ones((2, 2))), ValueError, "zi has shape (2, 2), expected (..., 1, 2)"),
    "sos a0": (lambda: sosfilt(0 * SOS, X), ValueError, "leading coefficient sos[..., 3] is 0"),
    "decay": (
        lambda: linear_recurrence(np.ones((2, 3)), X),
        ValueError,
        "decay has 3 samples along axis -1, expected 5 or 1, as x has",
    ),
    "decay axes": (lambda: linear_recurrence(np.ones((1, 2, 5)), X), ValueError, "at most the 2 axes of x (2, 5)"),
    "decay type": (lambda: linear_recurrence("0.5", X), TypeError, "decay is a str, expected an array"),
    "band shape": (
        lambda: band_matmul(X, np.ones((2, 5)), 1, 1),
        ValueError,
        "weight has shape (2, 5), expected (3, 5) = (lower + upper + 1, n) for x of shape (2, 5)",
    ),
    "band dtype": (
        lambda: band_matmul(X, np.ones((3, 5), np.float32), 1, 1),
        ValueError,
        "x is float64 and weight float32, expected the same dtype",
    ),
    "width": (lambda: band_matmul(X, W, -1, 1), ValueError, "lower is -1, expected an integer of at least 0"),
    "x of a layer": (rnn(x=np.ones(3)), ValueError, "x has shape (3,), expected (T, B, input), or (T, input)"),
    "weight_ih": (rnn(weight_ih=np.ones((4, 2))), ValueError, "weight_ih has shape (4, 2), expected (4, 3)"),
    "weight_hh": (
        rnn(weight_hh=np.ones((4, 4))),
        ValueError,
        "weight_hh has shape (4, 4), expected (3, 4) = (lower + upper + 1, hidden)",
    ),
    "bias": (rnn(bias_hh=np.ones(3)), ValueError, "bias_hh has shape (3,), expected (4,) = (hidden,)"),
    "h_0": (rnn(h_0=np.ones((1, 4))), ValueError, "h_0 has shape (1, 4), expected (2, 4) = (B, hidden)"),
    "h_0 without a batch": (
        rnn(x=np.ones((5, 3)), h_0=np.ones((1, 4))),
        ValueError,
        "band_rnn: h_0 has shape (1, 4), expected (4,) = (hidden,) for x without a batch",
    ),
    "no axes": (rnn(weight_hh=np.ones(())), ValueError, "weight_hh has shape (), expected (3, hidden)"),
    "layer dtype": (rnn(bias_ih=np.ones(4, np.float32)), ValueError, "bias_ih is float32, but x is float64"),
    "complex": (rnn(x=np.ones((5, 2, 3), complex)), TypeError, "x has dtype complex128, expected float32 or float64"),
    "nonlinearity": (rnn(nonlinearity="cos"), ValueError, "nonlinearity is 'cos', expected 'tanh' or 'relu'"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name: str) -> None:
    call, kind, sentence = REFUSALS[name]
    with pytest.raises(kind, match=re.escape(sentence)):
        call()


def test_what_jit_traces_cannot_be_looked_at() -> None:
    assert not np.isfinite(jax.jit(lfilter)(ONE, np.zeros(1), X)).any()


def test_double_precision_inside_needs_it_switched_on() -> None:
    jax.config.update("jax_enable_x64", False)
    x = jnp.ones(5)
    with pytest.raises(ValueError, match=r"compute_dtype is float64, which needs jax\.config\.update"):
        lfilter(x[:1], x[:1], x, compute_dtype=np.float64)
