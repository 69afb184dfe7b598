"""FilterBank and SOSFilter compute what their weights say: layouts, blocks of a stream, dtypes, gradients, learning."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from filter_oracles import as_numpy, of_bank, of_cascade

from feedbackward.formulas.arrays import numpy
from feedbackward.formulas.bank import Bank
from feedbackward.formulas.cookbook import KINDS
from feedbackward.formulas.section import inside, section
from feedbackward.formulas.spacing import SCALES
from feedbackward.keras import FilterBank, SOSFilter

FS = 16000.0
LAYOUTS = [("channels_last", (3, 50)), ("channels_last", (3, 50, 2)), ("channels_first", (3, 50))]
LAYOUTS += [("channels_first", (3, 2, 50))]
STABLE = [[0.2, 0.1, 0.0, 1.0, -1.2, 0.7], [1.0, 0.5, 0.3, 2.0, 0.4, 0.6]]


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


def close(found: Any, expected: np.ndarray, tolerance: float = 2e-5) -> None:
    found = as_numpy(found)
    assert found.shape == expected.shape
    scale = np.abs(expected).max() if expected.size else 1.0
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * max(scale, 1.0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", SCALES)
def test_the_weights_of_a_bank_are_those_of_the_formulas(kind: str, scale: str) -> None:
    layer = FilterBank(5, FS, kind, low=60.0, high=7000.0, scale=scale, gain_db=-3.0)
    bank = Bank.of(numpy, 5, FS, kind, 60.0, 7000.0, scale)
    frequency, bandwidth = bank.tiles(numpy)
    close(layer.frequency, frequency)
    close(layer.bandwidth, bandwidth)
    weights = [as_numpy(weight).astype(np.float64) for weight in layer.weights]
    if keras.backend.backend() != "jax":  # which has no float64 here
        wide = FilterBank(5, FS, kind, low=60.0, high=7000.0, scale=scale, gain_db=-3.0, filter_dtype="float64")
        close(wide.to_sos(), bank.rows(numpy, *weights)[:, None], 1e-13)
    assert [weight.name for weight in layer.weights][:2] == ["raw_frequency", "raw_bandwidth"]
    close(layer.to_sos(), bank.rows(numpy, *weights)[:, None])


@pytest.mark.parametrize(("data_format", "shape"), LAYOUTS)
def test_a_bank_is_every_filter_over_every_signal(data_format: str, shape: tuple[int, ...], rng: Any) -> None:
    x = normal(rng, *shape)
    layer = FilterBank(4, FS, "peaking", gain_db=6.0, data_format=data_format)
    y = layer(x)
    expected = of_bank(as_numpy(layer.to_sos()), x, data_format)
    close(y, expected)
    assert tuple(y.shape) == layer.compute_output_shape(shape) == expected.shape


def test_filter_k_of_channel_c_is_where_a_depthwise_convolution_has_it(rng: np.random.Generator) -> None:
    layer = FilterBank(3, FS, data_format="channels_last")
    taps = as_numpy(layer(np.eye(1, 20, dtype=np.float32)))[0]  # (T, filters): the impulse responses
    convolution = keras.layers.DepthwiseConv1D(20, depth_multiplier=3, use_bias=False, data_format="channels_last")
    x = normal(rng, 2, 20, 4)
    padded = np.pad(x, ((0, 0), (19, 0), (0, 0)))
    convolution.build(padded.shape)
    convolution.set_weights([np.repeat(taps[::-1, None, :], 4, 1)])
    close(layer(x), as_numpy(convolution(padded)), 1e-4)


@pytest.mark.parametrize(("data_format", "shape"), LAYOUTS)
def test_a_cascade_over_every_signal(data_format: str, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = normal(rng, *shape)
    layer = SOSFilter(3, data_format=data_format)
    close(layer(x), x.astype(np.float64), 1e-4)  # a new one changes nothing
    layer.mix.assign(rng.normal(size=(3, 3)))
    layer.raw_a.assign(rng.normal(size=(3, 2)))
    expected = of_cascade(as_numpy(layer.to_sos()), x, data_format)
    close(layer(x), expected)
    assert layer.compute_output_shape(shape) == shape


@pytest.mark.parametrize(("data_format", "shape"), [LAYOUTS[1], LAYOUTS[3]])
def test_a_cascade_per_channel(data_format: str, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = normal(rng, *shape)
    layer = SOSFilter(3, depthwise=True, data_format=data_format)
    close(layer(x), x.astype(np.float64), 1e-4)
    assert [tuple(weight.shape) for weight in layer.weights] == [(2, 3, 3), (2, 3, 2)]
    layer.mix.assign(rng.normal(size=(2, 3, 3)))
    layer.raw_a.assign(rng.normal(size=(2, 3, 2)))
    close(layer(x), of_cascade(as_numpy(layer.to_sos()), x, data_format))


@pytest.mark.parametrize("radius", [1.0, 0.95])
def test_a_given_cascade_comes_back(radius: float, rng: np.random.Generator) -> None:
    given = np.array(STABLE)
    layer = SOSFilter.from_sos(given, max_radius=radius)
    close(layer.to_sos(), given / given[:, 3:4], 1e-5)
    per_channel = np.stack([given, given[::-1]])
    layer = SOSFilter.from_sos(per_channel, max_radius=radius, data_format="channels_last", name="equalizer")
    close(layer.to_sos(), per_channel / per_channel[..., 3:4], 1e-5)
    x = normal(rng, 3, 40, 2)
    close(layer(x), of_cascade(per_channel, x, "channels_last"))
    assert (layer.depthwise, layer.name) == (True, "equalizer")


@pytest.mark.parametrize("radius", [1.0, 0.5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_weight_makes_a_cascade_unstable(dtype: str, radius: float) -> None:
    if keras.backend.backend() == "jax" and dtype == "float64":
        pytest.skip("JAX has its 64 bits only where a process asks for them")
    corners = [[u, v] for u in (-60.0, -9.0, 0.0, 9.0, 60.0) for v in (-60.0, -9.0, 0.0, 9.0, 60.0)]
    layer = SOSFilter(len(corners), max_radius=radius, dtype=dtype)
    layer.raw_a.assign(np.array(corners))
    sos = as_numpy(layer.to_sos()).astype(np.float64)
    assert np.isfinite(sos).all()
    a_1, a_2 = sos[:, 4], sos[:, 5]
    assert (np.abs(a_2) < radius**2).all()
    assert (np.abs(a_1) < radius + a_2 / radius).all()


@pytest.mark.parametrize("shape", [(0, 7), (3, 0), (3, 1), (2, 7, 1), (2, 0, 3)])
def test_short_and_empty_signals(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = normal(rng, *shape)
    for data_format in ("channels_last", "channels_first"):
        bank, cascade = FilterBank(2, FS, data_format=data_format), SOSFilter(2, data_format=data_format)
        close(bank(x), of_bank(as_numpy(bank.to_sos()), x, data_format))
        close(cascade(x), of_cascade(as_numpy(cascade.to_sos()), x, data_format), 1e-4)


def layers(**settings: Any) -> list[Any]:
    one = {"dtype": settings.pop("dtype", None), **settings}
    return [FilterBank(3, FS, **one), SOSFilter.from_sos(STABLE, **one), SOSFilter.from_sos([STABLE] * 2, **one)]


def cut(x: np.ndarray, data_format: str) -> list[np.ndarray]:
    return np.split(x, [7, 8, 30], 1 if data_format == "channels_last" else x.ndim - 1)


@pytest.mark.parametrize(("data_format", "shape"), [LAYOUTS[1], LAYOUTS[3]])
def test_a_stream_in_blocks_is_the_whole(data_format: str, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = normal(rng, *shape)
    time = 1 if data_format == "channels_last" else 2
    for layer in layers(return_state=True, data_format=data_format):
        whole, last = layer(x)
        blocks, state = [], None
        for block in cut(x, data_format):
            y, state = layer(block) if state is None else layer(block, initial_state=state)
            blocks.append(as_numpy(y))
        np.testing.assert_allclose(np.concatenate(blocks, time), as_numpy(whole), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(as_numpy(state), as_numpy(last), rtol=1e-5, atol=1e-5)
        assert tuple(last.shape) == layer.compute_output_shape(shape)[1] == layer.state_shape(shape)


@pytest.mark.parametrize(("data_format", "shape"), [LAYOUTS[1], LAYOUTS[3]])
def test_a_stateful_layer_goes_on(data_format: str, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = normal(rng, *shape)
    time = 1 if data_format == "channels_last" else 2
    pairs = zip(layers(data_format=data_format), layers(data_format=data_format, stateful=True), strict=True)
    for plain, layer in pairs:
        whole = as_numpy(plain(x))
        for _ in range(2):
            blocks = [as_numpy(layer(block)) for block in cut(x, data_format)]
            np.testing.assert_allclose(np.concatenate(blocks, time), whole, rtol=1e-5, atol=1e-5)
            layer.reset_state()
        assert not as_numpy(layer.state).any()
        assert layer.state in layer.non_trainable_variables


def test_a_stateful_model_predicts_and_learns_block_by_block(rng: np.random.Generator) -> None:
    x = normal(rng, 2, 40)
    model = keras.Sequential([keras.Input(batch_shape=(2, 20)), FilterBank(3, FS, stateful=True)])
    plain = FilterBank(3, FS)
    blocks = [model.predict(block, batch_size=2, verbose=0) for block in np.split(x, 2, 1)]
    close(np.concatenate(blocks, 1), as_numpy(plain(x)).astype(np.float64))
    model.layers[0].reset_state()
    model.compile("sgd", "mse")
    for block, target in zip(np.split(x, 2, 1), np.split(as_numpy(plain(x)), 2, 1), strict=True):
        model.train_on_batch(block, target)
        assert as_numpy(model.layers[0].state).any()


def test_state_goes_through_a_functional_model(rng: np.random.Generator) -> None:
    bank = FilterBank(3, FS, return_state=True)
    x, state = keras.Input((None, 2)), keras.Input((2, 3, 1, 2))
    y, after = bank(x, initial_state=state)
    assert (tuple(y.shape), tuple(after.shape)) == ((None, None, 6), (None, 2, 3, 1, 2))
    model = keras.Model([x, state], [y, after])
    signal = normal(rng, 4, 30, 2)
    first, between = model([signal[:, :11], np.zeros((4, 2, 3, 1, 2), np.float32)])
    second, _ = model([signal[:, 11:], as_numpy(between)])
    found = np.concatenate([as_numpy(first), as_numpy(second)], 1)
    close(found, of_bank(as_numpy(bank.to_sos()), signal, "channels_last"))


def test_shapes_are_known_as_far_as_those_of_inputs_are() -> None:
    for given, expected in {(None,): (None, None, 4), (30,): (None, 30, 4)}.items():
        assert tuple(FilterBank(4, FS)(keras.Input(given)).shape) == expected
    assert FilterBank(4, FS).compute_output_shape((2, None, None)) == (2, None, None)
    first = FilterBank(4, FS, data_format="channels_first")
    assert tuple(first(keras.Input((3, None))).shape) == (None, 12, None)
    assert tuple(first.compute_output_shape((2, None))) == (2, 4, None)
    assert tuple(SOSFilter(2)(keras.Input((None, 3))).shape) == (None, None, 3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_signals_of_half_precision_are_filtered_in_float32(policy: str, rng: np.random.Generator) -> None:
    x = normal(rng, 2, 60, 2)
    half = policy.split("_")[-1]
    for layer in layers(dtype=policy, return_state=True):
        y, state = layer(keras.ops.cast(x, half))
        assert keras.backend.standardize_dtype(y.dtype) == half
        assert keras.backend.standardize_dtype(state.dtype) == layer.filter_dtype == "float32"
        sos = as_numpy(layer.to_sos())
        assert sos.dtype == np.float32
        oracle = of_bank if isinstance(layer, FilterBank) else of_cascade
        signals = as_numpy(keras.ops.cast(keras.ops.cast(x, half), "float32"))
        expected = oracle(sos, signals, "channels_last")
        found = as_numpy(keras.ops.cast(y, "float32"))
        unit = 2.0**-8 if half == "bfloat16" else 2.0**-11
        np.testing.assert_allclose(found, expected, rtol=unit, atol=1e-4)


def test_a_wider_dtype_inside(rng: np.random.Generator) -> None:
    """A resonance at 10 Hz, which float32 cannot tell from its neighbors."""
    if keras.backend.backend() == "jax":
        with pytest.raises(ValueError, match=r"^FilterBank: filter_dtype is float64, which needs jax.config.update"):
            FilterBank(1, 48000, filter_dtype="float64")
        return
    x = normal(rng, 2, 3000)
    bank = FilterBank(1, 48000, low=0.0, filter_dtype="float64", return_state=True)
    bank.initialize(frequency=50.0, bandwidth=10.0)
    y, state = bank(x)
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    assert keras.backend.standardize_dtype(state.dtype) == "float64"
    sos = as_numpy(bank.to_sos())
    assert sos.dtype == np.float64
    close(y, of_bank(sos, x, "channels_last"), 1e-6)
    halves = [bank(x[:, :1000])]
    halves.append(bank(x[:, 1000:], initial_state=halves[0][1]))
    close(np.concatenate([as_numpy(half[0]) for half in halves], 1), as_numpy(y).astype(np.float64), 1e-7)


def test_double_precision_throughout(rng: np.random.Generator) -> None:
    if keras.backend.backend() == "jax":
        pytest.skip("JAX has its 64 bits only where a process asks for them")
    x = rng.normal(size=(2, 60, 2))
    for layer in layers(dtype="float64"):
        y = layer(x)
        assert as_numpy(y).dtype == np.float64
        oracle = of_bank if isinstance(layer, FilterBank) else of_cascade
        close(y, oracle(as_numpy(layer.to_sos()), x, "channels_last"), 1e-12)


def test_integers_are_signals(rng: np.random.Generator) -> None:
    x = rng.integers(-100, 100, (2, 30), dtype=np.int16)
    close(FilterBank(2, FS)(x), as_numpy(FilterBank(2, FS)(x.astype(np.float32))).astype(np.float64), 1e-7)


class Probe(keras.layers.Layer):
    """Says which mask it was given."""

    def call(self, inputs: Any, mask: Any = None) -> Any:
        assert mask is not None
        return keras.ops.cast(mask, "float32")


def test_masks_are_handed_on(rng: np.random.Generator) -> None:
    x = normal(rng, 2, 9, 2)
    x[1, 5:] = 0
    for layer in layers():
        probe = Probe()
        probe.supports_masking = True
        masked = keras.layers.Masking()(x)
        np.testing.assert_array_equal(as_numpy(probe(layer(masked))), (x != 0).any(-1))


def sections_of(weights: list[np.ndarray]) -> np.ndarray:
    gains, raw = weights
    b, a = section(numpy, raw, gains, inside(np.finfo(np.float32).eps), 1.0)
    return np.stack([*b, np.ones_like(a[0]), *a], -1)


def loss_by_oracles(which: str, weights: list[np.ndarray], x: np.ndarray, target: Any, data_format: str) -> float:
    """Of a cascade before the layer in question, so that the gradient to a signal counts, and of that layer."""
    u = of_cascade(sections_of(weights[:2]), x, data_format)
    if which == "bank":
        rows = Bank.of(numpy, 3, FS, "peaking", 50.0, None, "mel").rows(numpy, *weights[2:])
        y = of_bank(rows[:, None], u, data_format)
    else:
        y = of_cascade(sections_of(weights[2:]), u, data_format)
    return float(((y - target) ** 2).mean())


@pytest.mark.parametrize(("data_format", "shape"), [LAYOUTS[0], LAYOUTS[1], LAYOUTS[3]])
@pytest.mark.parametrize("which", ["bank", "cascade", "depthwise"])
def test_a_step_of_gradient_descent_is_that_of_differences(
    which: str, data_format: str, shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    if which == "depthwise" and len(shape) == 2:
        pytest.skip("depthwise needs channels")
    layer: Any
    if which == "bank":
        layer = FilterBank(3, FS, "peaking", gain_db=5.0, data_format=data_format)
    else:
        layer = SOSFilter(2, depthwise=which == "depthwise", data_format=data_format)
    model = keras.Sequential([keras.Input(shape[1:]), SOSFilter(1, data_format=data_format), layer])
    model.set_weights([as_numpy(w) + 0.3 * rng.normal(size=w.shape) for w in model.weights])
    x = normal(rng, *shape)
    target = normal(rng, *layer.compute_output_shape(shape))
    before = [as_numpy(weight).astype(np.float64) for weight in model.weights]
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(x, target)
    for i, (weight, old) in enumerate(zip(model.weights, before, strict=True)):
        expected = np.zeros_like(old)
        for at in np.ndindex(old.shape):
            step = np.zeros_like(old)
            step[at] = 1e-5
            nudged = [[*before[:i], old + s, *before[i + 1 :]] for s in (step, -step)]
            up, down = (loss_by_oracles(which, weights, x, target, data_format) for weights in nudged)
            expected[at] = (up - down) / 2e-5
        np.testing.assert_allclose(old - as_numpy(weight), expected, rtol=2e-3, atol=2e-5)


def test_a_bank_learns_the_filters_that_made_a_signal(rng: np.random.Generator) -> None:
    """What it is for: centers and bandwidths from inputs and outputs, by fit."""
    x = normal(rng, 8, 400)
    teacher = FilterBank(2, FS, low=200.0, high=6000.0)
    teacher.initialize(frequency=[900.0, 2500.0], bandwidth=[300.0, 500.0])
    y = as_numpy(teacher(x))
    bank = FilterBank(2, FS, low=200.0, high=6000.0)
    bank.initialize(frequency=[1100.0, 2200.0], bandwidth=[500.0, 500.0])
    model = keras.Sequential([keras.Input((None,)), bank])
    model.compile(keras.optimizers.Adam(0.05), "mse")
    before = model.evaluate(x, y, verbose=0)
    model.fit(np.tile(x, (120, 1)), np.tile(y, (120, 1, 1)), batch_size=8, verbose=0)
    assert model.evaluate(x, y, verbose=0) < 1e-3 * before
    np.testing.assert_allclose(as_numpy(bank.frequency), [900.0, 2500.0], rtol=0.01)
    np.testing.assert_allclose(as_numpy(bank.bandwidth), [300.0, 500.0], rtol=0.05)
