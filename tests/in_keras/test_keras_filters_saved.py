"""FilterBank and SOSFilter as layers of a model: saved, exported, interchangeable with torch's; what they refuse."""

from __future__ import annotations

import doctest
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from filter_oracles import as_numpy

from feedbackward.keras import FilterBank, SOSFilter

FS = 16000.0
BACKEND = keras.backend.backend()
SOS = [[0.2, 0.1, 0.0, 1.0, -1.2, 0.7], [1.0, 0.5, 0.3, 2.0, 0.4, 0.6]]
MAKERS: dict[str, Callable[..., Any]] = {
    "bank": lambda **settings: FilterBank(3, FS, "peaking", low=80.0, scale="erb", gain_db=2.0, **settings),
    "cascade": lambda **settings: SOSFilter(2, max_radius=0.999, **settings),
    "depthwise": lambda **settings: SOSFilter(2, depthwise=True, **settings),
}


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": BACKEND, **variables}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=environment)


def unlike_new(layer: Any, rng: np.random.Generator) -> None:
    layer.set_weights([as_numpy(w) + 0.2 * rng.normal(size=w.shape) for w in layer.weights])


@pytest.mark.parametrize("name", MAKERS)
def test_a_config_makes_the_same_layer(name: str) -> None:
    settings = {"data_format": "channels_first", "stateful": True, "return_state": True, "name": "mine"}
    layer = MAKERS[name](**settings, dtype="mixed_float16", trainable=False)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert {key: getattr(again, key) for key in settings} == settings
    assert (again.dtype_policy.name, again.trainable) == ("mixed_float16", False)


@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize("name", MAKERS)
def test_a_saved_model_is_the_same(name: str, stateful: bool, tmp_path: Path, rng: np.random.Generator) -> None:
    layer = MAKERS[name](stateful=stateful)
    model = keras.Sequential([keras.Input(batch_shape=(2, 30, 2)), layer])
    unlike_new(layer, rng)
    x = rng.normal(size=(2, 30, 2)).astype(np.float32)
    model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "of.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    fresh = keras.Sequential([keras.Input(batch_shape=(2, 30, 2)), MAKERS[name](stateful=stateful)])
    fresh.load_weights(tmp_path / "of.weights.h5")
    expected = model.predict(x, verbose=0)
    for other in (loaded, fresh, keras.models.clone_model(model)):
        if other is not loaded and other is not fresh:
            other.set_weights(fresh.get_weights())
            if stateful:  # which has gone on
                continue
        np.testing.assert_array_equal(other.predict(x, verbose=0), expected)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("name", MAKERS)
def test_weights_and_numbers_are_those_of_torch(name: str, data_format: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    from feedbackward import nn

    layer = MAKERS[name](data_format=data_format, return_state=True)
    x = rng.normal(size=(2, 2, 60)).astype(np.float32)
    given = x.swapaxes(1, 2) if data_format == "channels_last" else x
    layer.build(given.shape)
    module = {
        "bank": lambda: nn.FilterBank(3, FS, "peaking", low=80.0, scale="erb", gain_db=2.0),
        "cascade": lambda: nn.SOSFilter(2, max_radius=0.999),
        "depthwise": lambda: nn.SOSFilter(2, shape=(2,)),
    }[name]()
    theirs = dict(module.named_parameters())
    assert {w.name: tuple(w.shape) for w in layer.weights} == {key: tuple(w.shape) for key, w in theirs.items()}
    for weight in layer.weights:
        np.testing.assert_allclose(as_numpy(weight), theirs[weight.name].numpy(force=True), rtol=1e-3, atol=1e-5)
    unlike_new(layer, rng)
    module.load_state_dict({w.name: torch.tensor(as_numpy(w)) for w in layer.weights})
    expected, state = module(torch.tensor(x), None)
    y, after = layer(given)
    found = as_numpy(y).swapaxes(1, 2) if data_format == "channels_last" else as_numpy(y)
    np.testing.assert_allclose(found, expected.numpy(force=True).reshape(found.shape), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(as_numpy(after), state.numpy(force=True), rtol=1e-4, atol=1e-5)


def test_no_other_framework_is_imported() -> None:
    code = """if True:
        import sys
        import keras, numpy as np
        before = set(sys.modules)  # Keras looks for other frameworks by itself
        from feedbackward.keras import FilterBank, SOSFilter
        FilterBank(2, 16000.0)(np.ones((2, 9), "float32")), SOSFilter(2)(np.ones((2, 9), "float32"))
        print("done", *{"torch", "jax", "tensorflow"} & (set(sys.modules) - before))
    """
    result = run(code)
    assert result.stdout.split() == ["done"], result.stderr


@pytest.mark.skipif(BACKEND != "jax", reason="the other backends have their 64 bits in any process")
def test_coefficients_and_state_in_double_precision() -> None:
    """With JAX's 64 bits, which a process has from its start or not at all."""
    code = """if True:
        import numpy as np
        import keras
        from feedbackward.keras import FilterBank
        from feedbackward.formulas.arrays import numpy
        from feedbackward.formulas.bank import Bank
        bank = FilterBank(1, 48000, low=0.0, filter_dtype="float64", return_state=True)
        bank.initialize(frequency=50.0, bandwidth=10.0)
        x = np.random.default_rng(0).normal(size=(2, 3000)).astype("float32")
        y, state = bank(x)
        (b0, b1, b2, _, a1, a2), *_ = keras.ops.convert_to_numpy(bank.to_sos())[0]
        s = np.zeros((2, 2))
        expected = np.zeros(x.shape)
        for t, u in enumerate(x.T.astype("float64")):
            expected[:, t] = v = b0 * u + s[0]
            s = np.stack([s[1] + b1 * u - a1 * v, b2 * u - a2 * v])
        error = keras.ops.convert_to_numpy(y)[..., 0] - expected
        print(keras.backend.standardize_dtype(y.dtype), keras.backend.standardize_dtype(state.dtype))
        weights = [keras.ops.convert_to_numpy(weight).astype("float64") for weight in bank.weights]
        rows = Bank.of(numpy, 1, 48000, "bandpass", 0.0, None, "mel").rows(numpy, *weights)
        print(np.abs(error).max() < 1e-7, np.abs(keras.ops.convert_to_numpy(bank.to_sos())[:, 0] - rows).max() < 1e-14)
    """
    result = run(code, JAX_ENABLE_X64="1")
    assert result.stdout.split() == ["float32", "float64", "True", "True"], result.stderr


@pytest.mark.parametrize("module", ["filter_bank", "sos_filter"])
def test_examples_of_the_docstrings(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"feedbackward.keras.{module}"))
    assert result.failed == 0
    assert result.attempted >= 8


@pytest.mark.parametrize("layer", [FilterBank, SOSFilter])
def test_docstrings_say_everything(layer: Any) -> None:
    parts = ">>> ", "Args:", "Call arguments:", "Returns:", "Attributes:", "Raises:", "Source:"
    assert all(part in layer.__doc__ for part in parts)


X = np.ones((2, 9), np.float32)
X3 = np.ones((2, 9, 3), np.float32)
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "filters": (lambda: FilterBank(0, FS), "FilterBank: filters is 0, expected at least 1"),
    "kind": (lambda: FilterBank(2, FS, "comb"), "FilterBank: kind is 'comb', expected one of lowpass, highpass"),
    "range": (
        lambda: FilterBank(2, FS, low=9000.0),
        "FilterBank: low and high are 9000 and 8000 Hz, expected 0 <= low < high <= sample_rate / 2 = 8000 Hz",
    ),
    "data_format": (
        lambda: SOSFilter(2, data_format="channels"),
        "SOSFilter: data_format is 'channels', expected 'channels_last' or 'channels_first'",
    ),
    "filter_dtype": (
        lambda: FilterBank(2, FS, filter_dtype="float16"),
        "FilterBank: filter_dtype is float16, expected float32 or float64",
    ),
    "narrow": (
        lambda: SOSFilter(2, dtype="float64", filter_dtype="float32"),
        "SOSFilter: filter_dtype is float32, expected float64 for weights and signals of float64",
    ),
    "axes": (lambda: FilterBank(2, FS)(X[0]), "FilterBank: inputs have shape (9,), expected (B, T) or (B, T, C)"),
    "axes_first": (
        lambda: SOSFilter(2, data_format="channels_first")(X3[None]),
        "SOSFilter: inputs have shape (1, 2, 9, 3), expected (B, T) or (B, C, T)",
    ),
    "axes_after": (
        lambda: MAKERS["bank"]()(X).shape and _built(MAKERS["cascade"](), X)(X3[None]),
        "SOSFilter: inputs have shape (1, 2, 9, 3), expected (B, T) or (B, T, C)",
    ),
    "no_channels": (
        lambda: SOSFilter(2, depthwise=True)(X),
        "SOSFilter: inputs have shape (2, 9), expected an axis of channels, which depthwise=True needs",
    ),
    "unknown_channels": (
        lambda: SOSFilter(2, depthwise=True)(keras.Input((9, None))),
        "SOSFilter: inputs have shape (None, 9, None), expected a known number of channels",
    ),
    "other_channels": (
        lambda: SOSFilter.from_sos([SOS, SOS])(X3),
        "SOSFilter: inputs have shape (2, 9, 3), expected 2 channels, as many as have a cascade of their own",
    ),
    "not_built": (
        lambda: SOSFilter(2, depthwise=True).to_sos(),
        "SOSFilter: to_sos needs the number of channels, which is not known yet: build the layer",
    ),
    "unknown_batch": (
        lambda: FilterBank(2, FS, stateful=True)(keras.Input((9,))),
        "FilterBank: inputs have shape (None, 9), but a stateful layer has to know the number of signals and channels",
    ),
    "other_batch": (
        lambda: _built(FilterBank(2, FS, stateful=True), X)(X[:1]),
        "FilterBank: inputs have shape (1, 9), expected as many signals and channels as the layer keeps states of",
    ),
    "state": (
        lambda: FilterBank(2, FS)(X, initial_state=np.zeros((2, 2, 2), np.float32)),
        "FilterBank: initial_state has shape (2, 2, 2), expected (2, 2, 1, 2) for inputs of shape (2, 9)",
    ),
    "max_radius": (lambda: SOSFilter(2, max_radius=2.0), "SOSFilter: max_radius is 2, expected a number above 0"),
    "sos": (
        lambda: SOSFilter.from_sos(np.ones((2, 5))),
        "SOSFilter.from_sos: sos has shape (2, 5), expected (sections, 6) or (C, sections, 6)",
    ),
    "pole": (
        lambda: SOSFilter.from_sos([[1.0, 0.0, 0.0, 1.0, 0.0, 1.0]]),
        "SOSFilter.from_sos: sos has a pole on or outside of max_radius = 1, or within rounding of it",
    ),
    "gain": (
        lambda: FilterBank(2, FS).initialize(gain_db=1.0),
        "FilterBank: gain_db is given, expected None: a bandpass has no gain",
    ),
    "frequency": (
        lambda: FilterBank(2, FS).initialize(frequency=9000.0),
        "FilterBank: frequency holds 9000, expected values between 50 and 7992",
    ),
    "bandwidths": (
        lambda: FilterBank(2, FS).initialize(bandwidth=[1.0, 2.0, 3.0]),
        "FilterBank: bandwidth has shape (3,), expected () or (2,)",
    ),
}


def _built(layer: Any, x: np.ndarray) -> Any:
    layer(x)
    return layer


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_said_in_a_sentence(name: str) -> None:
    call, sentence = REFUSED[name]
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the sentence is compared
        call()
    assert sentence in str(caught.value)


def test_numbers_of_another_type_are_refused() -> None:
    with pytest.raises(TypeError, match=r"^SOSFilter: sections is a float, expected an integer"):
        SOSFilter(2.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^SOSFilter.from_sos: sos is complex, expected real coefficients"):
        SOSFilter.from_sos(np.ones((1, 6), np.complex64))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="SavedModels, tf.function and XLA are TensorFlow's")
class TestOnTensorFlow:
    @pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
    def test_in_a_function_with_unknown_sizes(self, data_format: str, rng: np.random.Generator) -> None:
        import tensorflow as tf

        for make in (MAKERS["bank"], MAKERS["cascade"]):
            layer = make(data_format=data_format, return_state=True)
            traced = tf.function(layer, input_signature=[tf.TensorSpec([None, None, None], tf.float32)])
            for shape in ((2, 30, 3), (1, 0, 3), (4, 7, 2)):
                x = tf.constant(rng.normal(size=shape), tf.float32)
                for found, expected in zip(traced(x), layer(x), strict=True):
                    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=5e-5)

    def test_exported_and_served(self, tmp_path: Path, rng: np.random.Generator) -> None:
        x = rng.normal(size=(2, 30, 2)).astype(np.float32)
        np.save(tmp_path / "x.npy", x)
        layers = {name: make() for name, make in MAKERS.items()}
        for name, layer in layers.items():
            model = keras.Sequential([keras.Input((None, 2)), layer])
            unlike_new(layer, rng)
            model.export(str(tmp_path / name))
        code = f"""if True:
            import pathlib, sys
            import numpy as np, tensorflow as tf
            import feedbackward.tensorflow
            folder = pathlib.Path({str(tmp_path)!r})
            for name in {list(layers)}:
                model = tf.saved_model.load(str(folder / name))
                np.save(folder / name / "y.npy", model.serve(np.load(folder / "x.npy")))
            print("feedbackward.keras" in sys.modules)
        """
        result = run(code)
        assert result.stdout.split() == ["False"], result.stderr
        for name, layer in layers.items():
            # A graph rounds the coefficients otherwise, which a pole at 0.5% of the sample rate multiplies.
            found = np.load(tmp_path / name / "y.npy")
            np.testing.assert_allclose(found, as_numpy(layer(x)), rtol=1e-4, atol=5e-5)

    def test_xla_is_not_used_and_is_refused(self) -> None:
        import tensorflow as tf

        model = keras.Sequential([keras.Input((9,)), FilterBank(2, FS)])
        model.compile("sgd", "mse")
        assert model.jit_compile is False
        with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
            model.compile("sgd", "mse", jit_compile=True)
        with pytest.raises(NotImplementedError, match="sosfilt: XLA cannot compile it"):
            tf.function(model.layers[0], jit_compile=True)(X)


@pytest.mark.skipif(BACKEND != "jax", reason="jit, grad and vmap are JAX's")
def test_stateless_calls_go_through_the_transformations_of_jax(rng: np.random.Generator) -> None:
    import jax

    bank = _built(FilterBank(3, FS), X)
    x = rng.normal(size=(2, 20)).astype(np.float32)

    def loss(weights: Any, x: Any) -> Any:
        return (bank.stateless_call(weights, [], x)[0] ** 2).mean()

    weights = [w.value for w in bank.trainable_variables]
    plain, jitted = jax.grad(loss)(weights, x), jax.jit(jax.grad(loss))(weights, x)
    per_example = jax.vmap(jax.grad(loss), (None, 0))(weights, x[:, None])
    for a, b, c in zip(plain, jitted, per_example, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(a, c.mean(0), rtol=1e-4, atol=1e-7)
