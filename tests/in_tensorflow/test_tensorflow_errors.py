"""Bad input gets one sentence: the argument, what was expected, what came."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import feedbackward.tensorflow as fbt
from feedbackward.tensorflow.arguments import check_device

one, two, x = np.ones(1), np.ones((2, 6)), np.ones((2, 9))
w, ih = np.ones((3, 4)), np.ones((4, 5))


@pytest.mark.parametrize(
    ("error", "sentence", "call"),
    [
        (TypeError, "lfilter: b has dtype int32, expected float32,", lambda: fbt.lfilter([1], one, x)),
        (TypeError, "lfilter: x is a object, expected a tensor", lambda: fbt.lfilter(one, one, object())),
        (TypeError, "lfilter: axis is a str, expected an int", lambda: fbt.lfilter(one, one, x, "time")),
        (ValueError, "lfilter: axis is 2, but x has shape (2, 9)", lambda: fbt.lfilter(one, one, x, 2)),
        (ValueError, "lfilter: b has shape (), expected (..., n) with n >= 1", lambda: fbt.lfilter(1.0, one, x)),
        (ValueError, "lfilter: zi has shape (1,), expected (..., 5) = ", lambda: fbt.lfilter(two, one, x, zi=one)),
        (ValueError, "lfilter: the leading coefficient a[..., 0] is 0", lambda: fbt.lfilter(one, np.zeros(1), x)),
        (ValueError, "lfilter: the leading shapes do not broadcast: b (3,),", lambda: fbt.lfilter(w, one, x)),
        (ValueError, "lfilter: b has 3 frames, expected 2 (or 1) for 9", lambda: fbt.lfilter(w, w[:1], x, hop=5)),
        (ValueError, "lfilter: interpolation is 3, expected", lambda: fbt.lfilter(w, w, x, hop=3, interpolation=3)),
        (TypeError, "lfilter: compute_dtype is 'float8'", lambda: fbt.lfilter(one, one, x, compute_dtype="float8")),
        (ValueError, "lfilter: compute_dtype float32 is narrower than the signal's float64",
         lambda: fbt.lfilter(one, one, x, compute_dtype=tf.float32)),
        (ValueError, "sosfilt: sos has shape (3, 4), expected (..., sections, 6) with", lambda: fbt.sosfilt(w, x)),
        (ValueError, "sosfilt: zi has shape (1,), expected (..., 2, 2)", lambda: fbt.sosfilt(two, x, zi=one)),
        (ValueError, "linear_recurrence: decay has 4 samples along axis -1, expected 9 or 1",
         lambda: fbt.linear_recurrence(w[:2], x)),
        (ValueError, "linear_recurrence: decay has shape (1, 1, 9), expected at most the 2 axes of x",
         lambda: fbt.linear_recurrence(np.ones((1, 1, 9)), x)),
        (ValueError, "band_matmul: weight has shape (3, 4), expected (2, 9) = (lower + upper + 1, n)",
         lambda: fbt.band_matmul(x, w, 1, 0)),
        (ValueError, "band_matmul: lower is -1 and upper 0, expected at least 0", lambda: fbt.band_matmul(x, w, -1, 0)),
        (ValueError, "band_matmul: x is float64 and weight float32, expected the same dtype",
         lambda: fbt.band_matmul(x, np.ones((1, 9), np.float32), 0, 0)),
        (TypeError, "band_rnn: x has dtype complex128, expected float32 or float64",
         lambda: fbt.band_rnn(x + 0j, ih, w, lower=1)),
        (ValueError, "band_rnn: nonlinearity is 'elu', expected 'tanh' or 'relu'",
         lambda: fbt.band_rnn(x, ih, w, lower=1, nonlinearity="elu")),
        (ValueError, "band_rnn: weight_ih has shape (4, 5), expected (4, 9) = (hidden, input)",
         lambda: fbt.band_rnn(x, ih, w, lower=1)),
        (ValueError, "band_rnn: weight_hh has shape (3, 4), expected (5, 4) = (lower + upper + 1, hidden)",
         lambda: fbt.band_rnn(x[:, :5], ih, w, lower=2)),
        (ValueError, "band_rnn: h_0 has shape (1, 4), expected (4,) = (hidden,) for x without a batch",
         lambda: fbt.band_rnn(x[:, :5], ih, w, None, None, w[:1], lower=1)),
        (ValueError, "band_rnn: weight_hh has shape (4,), expected (3, hidden) = (lower + upper + 1, hidden)",
         lambda: fbt.band_rnn(x[:, :5], ih, w[0], lower=1)),
        (ValueError, "band_rnn: bias_ih is float32, but x is float64, expected the same",
         lambda: fbt.band_rnn(x[:, :5], ih, w, np.ones(4, np.float32), lower=1)),
        (ValueError, "band_rnn: x has shape (9,), expected (T, B, input)", lambda: fbt.band_rnn(x[0], ih, w, lower=1)),
    ],
)  # fmt: skip
def test_sentences(error: type[Exception], sentence: str, call: Any) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_what_is_known_only_when_it_runs() -> None:
    """Shapes that nobody knew while tracing are refused by the kernel, not read out of bounds."""
    signature = [tf.TensorSpec([None, None], tf.float64)] * 3
    bank = tf.function(lambda b, a, x: fbt.lfilter(b, a, x), input_signature=signature)
    with pytest.raises(tf.errors.InvalidArgumentError, match="feedbackward: leading shapes do not broadcast"):
        bank(np.ones((3, 2)), np.ones((3, 2)), np.ones((4, 9)))
    frames = tf.function(lambda b, a, x: fbt.lfilter(b, a, x, hop=2), input_signature=signature)
    with pytest.raises(tf.errors.InvalidArgumentError, match="feedbackward: fewer frames than the signal needs"):
        frames(np.ones((3, 2)), np.ones((3, 2)), np.ones((1, 9)))
    state = tf.function(lambda x, zi: fbt.lfilter(x[0, :3], x[0, :3], x, zi=zi), input_signature=signature[:1] * 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="feedbackward: the state must have shape"):
        state(np.ones((2, 9)), np.ones((2, 5)))


def test_the_channels_of_a_layer_are_known_while_tracing() -> None:
    signature = [tf.TensorSpec([None, 5], tf.float64), tf.TensorSpec([3, None], tf.float64)]
    traced = tf.function(lambda x, w: fbt.band_rnn(x, ih, w, lower=1), input_signature=signature)
    sentence = r"band_rnn: weight_hh has shape \(3, None\), expected \(3, hidden\) with hidden known"
    with pytest.raises(ValueError, match=sentence):
        traced(x[:, :5], w)


def test_an_unknown_rank_is_refused() -> None:
    traced = tf.function(lambda x: fbt.lfilter([1.0], [1.0], x), input_signature=[tf.TensorSpec(None, tf.float32)])
    with pytest.raises(ValueError, match="lfilter: x has an unknown number of axes, expected a known one"):
        traced(np.ones(3, np.float32))


def test_other_devices_are_refused() -> None:
    check_device("lfilter", "x", "/job:localhost/replica:0/task:0/device:CPU:0")
    with pytest.raises(NotImplementedError, match=r"lfilter: x is on GPU, but this version computes on CPU"):
        check_device("lfilter", "x", "/job:localhost/replica:0/task:0/device:GPU:0")
