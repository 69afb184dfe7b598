"""The layers in models: trained, saved and loaded, cloned, described, in other precisions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from layers_under_test import EVERY, FEW, UNITS, assert_same, make, numbers

import feedbackward as fb
import feedbackward.keras as fbk

B, T, INPUT = 4, 7, 3
BACKEND = keras.backend.backend()
if BACKEND == "jax":
    import jax
elif BACKEND == "tensorflow":
    import tensorflow as tf


def words_model(entry: Any) -> Any:
    """Words, 0 for none, to one number: masks come from the embedding, and the length is not known."""
    words = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(10, INPUT, mask_zero=True)(words)
    x = keras.layers.Bidirectional(make(entry, return_sequences=True))(x)
    x = make(entry, dropout=0.1, recurrent_dropout=0.1)(x)
    return keras.Model(words, keras.layers.Dense(1)(x))


@pytest.mark.parametrize("name", ["BandRNN", "GRU-dense"] if BACKEND == "jax" else FEW)
def test_a_model_learns(rng: np.random.Generator, name: str) -> None:
    words = rng.integers(1, 10, size=(32, T)).astype("int32")
    words[:16, T - 2 :] = 0
    target = words[:, :5].mean(1, keepdims=True) - 5.0
    model = words_model(FEW[name])
    model.compile(optimizer=keras.optimizers.Adam(0.03), loss="mse")
    model.fit(words, target, batch_size=16, epochs=20, verbose=0)
    assert model.evaluate(words, target, verbose=0) < 0.7 * np.var(target)
    assert model.predict(words[:, : T - 2], verbose=0).shape == (32, 1)


@pytest.mark.parametrize("name", EVERY)
def test_a_saved_model_is_loaded(rng: np.random.Generator, name: str, tmp_path: Path) -> None:
    more = {"go_backwards": True, "recurrent_regularizer": "l2", "kernel_constraint": "non_neg", "seed": 3}
    model = keras.Sequential([keras.Input((None, INPUT)), make(EVERY[name], name="recurrent", dropout=0.1, **more)])
    x = rng.normal(size=(B, T, INPUT)).astype("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numbers(loaded(x)), numbers(model(x)))
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    assert type(loaded.layers[0]) is EVERY[name][0]
    assert loaded.layers[0].structure == model.layers[0].structure


@pytest.mark.parametrize("name", FEW)
def test_weights_are_saved_alone(rng: np.random.Generator, name: str, tmp_path: Path) -> None:
    x = rng.normal(size=(B, T, INPUT)).astype("float32")
    first, second = (keras.Sequential([keras.Input((None, INPUT)), make(FEW[name])]) for _ in range(2))
    first.save_weights(tmp_path / "model.weights.h5")
    second.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(numbers(first(x)), numbers(second(x)))


@pytest.mark.parametrize("name", EVERY)
def test_a_configuration_makes_the_layer_again(name: str) -> None:
    layer = make(EVERY[name], activation="softsign", return_state=True, stateful=True, dtype="float64", name="again")
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    assert again.get_config() == layer.get_config()
    for attribute in ("units", "activation", "structure", "use_bias", "return_state", "stateful", "compute_dtype"):
        assert getattr(again, attribute) == getattr(layer, attribute)
    cell = type(layer.cell).from_config(json.loads(json.dumps(layer.cell.get_config())))
    assert cell.get_config() == layer.cell.get_config()
    assert cell.structure == layer.structure


def test_a_model_is_cloned(rng: np.random.Generator) -> None:
    model = words_model(FEW["LSTM-low_rank"])
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    words = rng.integers(0, 10, size=(B, T)).astype("int32")
    np.testing.assert_array_equal(numbers(clone(words)), numbers(model(words)))


@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("name", FEW)
def test_shapes_are_known_before_a_call(name: str, return_sequences: bool, return_state: bool) -> None:
    layer = make(FEW[name], return_sequences=return_sequences, return_state=return_state)
    output = (None, 9, UNITS) if return_sequences else (None, UNITS)
    states = [(None, UNITS)] * len(layer.state_size)
    expected = [output, *states] if return_state else [output]
    symbolic = layer(keras.Input((9, INPUT)))
    assert [tuple(y.shape) for y in (symbolic if return_state else [symbolic])] == expected
    shapes = layer.compute_output_shape((None, 9, INPUT))
    assert [tuple(s) for s in (shapes if return_state else [shapes])] == expected


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.band = fbk.BandRNN(8, 2, return_sequences=True)
        self.last = fbk.GRU(4, structure=fb.Banded(1))

    def call(self, x: Any) -> Any:
        return self.last(self.band(x))


def test_a_subclassed_model_asks_for_shapes_alone() -> None:
    """PyTorch runs it on its meta device then, JAX and TensorFlow trace it."""
    model = Subclassed()
    y = model(keras.Input((T, INPUT)))
    assert tuple(y.shape) == (None, 4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", FEW)
def test_mixed_precision_rounds_inputs_and_outputs_alone(rng: np.random.Generator, name: str, policy: str) -> None:
    layer = make(FEW[name], return_sequences=True, dtype=policy)
    compute = policy.removeprefix("mixed_")
    x = keras.ops.cast(rng.normal(size=(B, T, INPUT)), compute)
    y = layer(x)
    assert {w.dtype for w in layer.weights} == {"float32"}
    assert keras.backend.standardize_dtype(y.dtype) == compute
    exact = make(FEW[name], return_sequences=True)
    exact.build(x.shape)
    exact.set_weights(layer.get_weights())
    np.testing.assert_array_equal(numbers(y), numbers(keras.ops.cast(exact(keras.ops.cast(x, "float32")), compute)))
    cell = keras.layers.RNN(layer.cell, return_sequences=True, dtype=policy)
    unit = {"float16": 2**-11, "bfloat16": 2**-8}[compute]
    difference = np.abs(numbers(cell(x)).astype("float32") - numbers(y).astype("float32")).max()
    assert difference < 32 * unit


def test_a_mixed_model_learns(rng: np.random.Generator) -> None:
    x = rng.normal(size=(64, T, INPUT)).astype("float32")
    layers = [fbk.BandRNN(8, 2, dtype="mixed_bfloat16"), keras.layers.Dense(1, dtype="float32")]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="mse")
    history = model.fit(x, x[:, -1, :1], batch_size=16, epochs=10, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="XLA refuses the kernels of TensorFlow alone")
def test_xla_is_refused() -> None:
    model = keras.Sequential([keras.Input((T, INPUT)), fbk.BandRNN(4, 1)])
    assert not model.layers[0].supports_jit  # so that jit_compile="auto", the default, leaves it alone
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        model.compile(loss="mse", jit_compile=True)
    compiled = tf.function(model.layers[0], jit_compile=True)
    with pytest.raises(NotImplementedError, match=r"BandRNN: XLA cannot compile it.*without jit_compile=True"):
        compiled(tf.zeros([2, T, INPUT]))


@pytest.mark.skipif(BACKEND != "jax", reason="of JAX")
@pytest.mark.parametrize("name", FEW)
def test_a_call_is_compiled_by_jax(rng: np.random.Generator, name: str) -> None:
    layer = make(FEW[name], return_sequences=True)
    x = rng.normal(size=(B, T, INPUT)).astype("float32")
    y = layer(x)
    weights = [w.value for w in layer.trainable_variables]
    others = [w.value for w in layer.non_trainable_variables]
    compiled = jax.jit(lambda *given: layer.stateless_call(*given)[0])
    assert_same(numbers(compiled(weights, others, x)), numbers(y))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="of TensorFlow")
@pytest.mark.parametrize("name", FEW)
def test_a_function_of_tensorflow_takes_any_length(rng: np.random.Generator, name: str) -> None:
    layer = make(FEW[name], return_sequences=True, return_state=True)
    function = tf.function(layer, input_signature=[tf.TensorSpec([None, None, INPUT], tf.float32)])
    for shape in ((B, T, INPUT), (1, 2, INPUT), (0, 3, INPUT)):
        x = rng.normal(size=shape).astype("float32")
        assert_same(numbers(function(x)), numbers(layer(x)))
    assert function(np.zeros((B, 0, INPUT), "float32"))[0].shape == (B, 0, UNITS)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a SavedModel is TensorFlow's")
def test_an_exported_model_runs_where_there_is_no_keras_model(rng: np.random.Generator, tmp_path: Path) -> None:
    model = words_model(FEW["GRU-dense"])
    words = rng.integers(0, 10, size=(B, T)).astype("int32")
    np.save(tmp_path / "words.npy", words)
    model.export(str(tmp_path / "exported"))
    code = """if True:
        import sys
        import numpy as np, tensorflow as tf
        import feedbackward.tensorflow
        loaded = tf.saved_model.load(sys.argv[1] + "/exported")
        y = loaded.serve(tf.constant(np.load(sys.argv[1] + "/words.npy")))
        np.save(sys.argv[1] + "/y.npy", y.numpy())
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    assert_same(np.load(tmp_path / "y.npy"), numbers(model(words)))
