"""fb.nn.BandRNN and the layer of Keras, trained from the same weights on the same data, lose the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from fifty_steps import FILE, INPUT, MOMENTUM, OUTPUTS, RATE, STEPS, UNITS, WIDTHS, T, losses_of_torch, numbers_of

import feedbackward.keras as fbk

BACKEND = keras.backend.backend()
THEIRS = json.loads(FILE.read_text())


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "float64" and BACKEND != "tensorflow":
        pytest.skip(f"Keras's products are float32 at most on {BACKEND}")
    keras.config.set_floatx(request.param)
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def assert_losses(ours: Any, dtype: str) -> None:
    """Rounding of T steps in the first loss, and as much again from every step of the descent before it."""
    theirs = np.array(THEIRS[dtype])
    assert len(ours) == STEPS
    assert theirs[-1] < 0.1 * theirs[0]
    allowed = 4 * T * np.finfo(dtype).eps * np.arange(1, 1 + STEPS)
    np.testing.assert_array_less(np.abs(np.array(ours) - theirs) / theirs[0], allowed)


def test_keras_loses_what_torch_loses(dtype: str) -> None:
    given = numbers_of(dtype)
    layer = fbk.BandRNN(UNITS, WIDTHS)
    model = keras.Sequential([keras.Input((T, INPUT)), layer, keras.layers.Dense(OUTPUTS)])
    fbk.copy_weights({name: given[name] for name in given if name.endswith("_l0")}, layer)
    model.layers[1].set_weights([given["weight"].T, given["bias"]])
    model.compile(optimizer=keras.optimizers.SGD(RATE, momentum=MOMENTUM), loss="mse")
    x, target = given["x"], given["target"]
    losses = model.fit(x, target, batch_size=len(x), epochs=STEPS, shuffle=False, verbose=0).history["loss"]
    assert_losses(losses, dtype)


@pytest.mark.skipif(BACKEND != "torch", reason="where Keras runs on torch")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_still_loses_that(dtype: str) -> None:
    assert_losses(losses_of_torch(dtype), dtype)
