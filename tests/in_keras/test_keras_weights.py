"""Weights from torch into Keras and back: the same outputs, or a sentence."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from layers_under_test import EVERY, UNITS, assert_same, make, numbers

import feedbackward as fb
import feedbackward.keras as fbk
from feedbackward.keras import copy_weights

BACKEND = keras.backend.backend()
B, T, INPUT = 3, 6, 4
KERAS = {"rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}
OURS = {"rnn": fbk.RNN, "gru": fbk.GRU, "lstm": fbk.LSTM}
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def layer_of_torch(kind: str, w: dict[str, Any], suffix: str, x: Any) -> Any:
    """One layer by torch.nn's equations, x (B, T, input); backward in time with _reverse."""
    w_ih, w_hh, b_ih, b_hh = (w[name + suffix] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    h = c = np.zeros((x.shape[0], w_hh.shape[1]))
    outputs = np.zeros((*x.shape[:2], h.shape[1]))
    for t in reversed(range(x.shape[1])) if suffix.endswith("_reverse") else range(x.shape[1]):
        of_x, of_h = x[:, t] @ w_ih.T + b_ih, h @ w_hh.T + b_hh
        if kind == "rnn":
            h = np.tanh(of_x + of_h)
        elif kind == "gru":
            (xr, xz, xn), (hr, hz, hn) = np.split(of_x, 3, 1), np.split(of_h, 3, 1)
            r, z = sigmoid(xr + hr), sigmoid(xz + hz)
            h = (1 - z) * np.tanh(xn + r * hn) + z * h
        else:
            i, f, g, o = np.split(of_x + of_h, 4, 1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        outputs[:, t] = h
    return outputs


def torch_like(rng: np.random.Generator, kind: str, layers: int = 1, both: bool = False) -> dict[str, Any]:
    """What a state_dict of torch.nn holds, as arrays."""
    weights, columns, rows = {}, INPUT, GATES[kind] * UNITS
    for k in range(layers):
        for direction in ("", "_reverse")[: 1 + both]:
            shapes = {"weight_ih": (rows, columns), "weight_hh": (rows, UNITS), "bias_ih": (rows,), "bias_hh": (rows,)}
            for name, shape in shapes.items():
                weights[f"{name}_l{k}{direction}"] = rng.normal(0, 0.4, shape).astype("float32")
        columns = UNITS * (1 + both)
    return weights


@pytest.mark.parametrize("makers", [OURS, KERAS], ids=["ours", "keras"])
@pytest.mark.parametrize("kind", GATES)
def test_a_state_dict_becomes_layers_and_comes_back(rng: np.random.Generator, kind: str, makers: Any) -> None:
    weights = torch_like(rng, kind, 2, both=True)
    layers = [keras.layers.Bidirectional(makers[kind](UNITS, return_sequences=True)) for _ in range(2)]
    copy_weights(weights, layers)
    x = rng.normal(size=(B, T, INPUT)).astype("float32")
    y, expected = x, x
    for k, layer in enumerate(layers):
        y = layer(y)
        expected = np.concatenate([layer_of_torch(kind, weights, f"_l{k}{d}", expected) for d in ("", "_reverse")], -1)
    np.testing.assert_allclose(numbers(y), expected, atol=1e-5)
    back = {name: np.full_like(w, np.nan) for name, w in weights.items()}
    copy_weights(layers, back)
    empty: dict[str, Any] = {}
    copy_weights(layers, empty)
    for name, w in weights.items():
        np.testing.assert_array_equal(back[name], empty[name])
        if kind == "gru" or name.startswith("weight"):
            np.testing.assert_array_equal(back[name], w)
    if kind != "gru":
        np.testing.assert_array_equal(back["bias_ih_l1"], weights["bias_ih_l1"] + weights["bias_hh_l1"])
        np.testing.assert_array_equal(back["bias_hh_l1"], 0)


@pytest.mark.parametrize("kind", GATES)
def test_between_layers_of_keras(rng: np.random.Generator, kind: str) -> None:
    x = rng.normal(size=(B, T, INPUT)).astype("float32")
    theirs = KERAS[kind](UNITS, bias_initializer="normal")
    y = numbers(theirs(x))
    ours = OURS[kind](UNITS)
    copy_weights(theirs, ours)
    assert_same(numbers(ours(x)), y)
    again = keras.layers.RNN(ours.cell.__class__(UNITS))
    copy_weights(ours, again)
    assert_same(numbers(again(x)), y)
    ours.set_weights(theirs.get_weights())
    assert_same(numbers(ours(x)), y)


@pytest.mark.parametrize("name", EVERY)
def test_every_structure_comes_back(rng: np.random.Generator, name: str) -> None:
    layer, other = make(EVERY[name]), make(EVERY[name])
    layer.build((B, T, INPUT))
    if getattr(layer, "reset_after", True):
        weights: dict[str, Any] = {}
        copy_weights(layer, weights)
        copy_weights(weights, other)
    else:
        copy_weights(layer, other)
    for a, b in zip(layer.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_cells_on_top_of_each_other(rng: np.random.Generator) -> None:
    weights = torch_like(rng, "lstm", 2)
    stacked = keras.layers.RNN(keras.layers.StackedRNNCells([fbk.LSTMCell(UNITS), fbk.LSTMCell(UNITS)]))
    copy_weights(weights, stacked)
    x = rng.normal(size=(B, T, INPUT)).astype("float32")
    expected = layer_of_torch("lstm", weights, "_l1", layer_of_torch("lstm", weights, "_l0", x))[:, -1]
    np.testing.assert_allclose(numbers(stacked(x)), expected, atol=1e-5)


@pytest.mark.parametrize("trainable", [False, True])
def test_filters_have_the_names_of_torch(rng: np.random.Generator, trainable: bool) -> None:
    makers = (
        lambda: fbk.FilterBank(4, 16000, trainable=trainable),
        lambda: fbk.SOSFilter(3, stateful=True, trainable=trainable),
    )
    for maker, names in zip(makers, ({"raw_frequency", "raw_bandwidth"}, {"mix", "raw_a"}), strict=True):
        first, second = maker(), maker()
        for layer in (first, second):
            layer(rng.normal(size=(2, 50)).astype("float32"))
        for weight in first.weights:
            weight.assign(rng.normal(size=weight.shape))
        weights: dict[str, Any] = {}
        copy_weights(first, weights)
        assert set(weights) == names
        copy_weights(weights, second)
        for a, b in zip(first.weights, second.weights, strict=True):
            assert a.name == "state" or (numbers(a) == numbers(b)).all()
        with pytest.raises(ValueError, match=r"source has the weights .*target .*expected the same"):
            copy_weights({"mix": np.ones((9, 3))}, second)


REFUSED = [
    ("gru", {}, lambda w: fbk.LSTM(UNITS), "18 rows in weight_ih, but target's lstm_cell has 24"),
    ("gru", {"layers": 2}, lambda w: fbk.GRU(UNITS), "source has 2 layers in one direction, target 1 layer in one"),
    ("rnn", {"both": True}, lambda w: fbk.RNN(UNITS), "source has 1 layer in both directions, target 1 layer in one"),
    ("rnn", {}, lambda w: fbk.BandRNN(UNITS, 1), r"weight_hh has shape \(6, 6\), expected \(3, 6\) for Banded"),
    ("rnn", {}, lambda w: fbk.RNN(UNITS, use_bias=False), "only source's layer has a bias"),
    ("gru", {}, lambda w: fbk.GRU(UNITS, reset_after=False), "reset_after is True in source and False in target"),
    ("rnn", {}, lambda w: {**w, "weight_hr_l0": 0}, "neither|expected layers of Keras for one of them"),
    ("rnn", {}, lambda w: "here", "expected layers of Keras for one of them"),
]


@pytest.mark.parametrize(("kind", "more", "target", "message"), REFUSED)
def test_what_does_not_fit_is_said(rng: np.random.Generator, kind: str, more: Any, target: Any, message: str) -> None:
    weights = torch_like(rng, kind, **more)
    with pytest.raises((TypeError, ValueError), match=f"^copy_weights: .*(?:{message})"):
        copy_weights(weights, target(weights))


def test_what_keras_does_not_have_is_said(rng: np.random.Generator) -> None:
    layer = fbk.GRU(UNITS)
    with pytest.raises(ValueError, match=r"^copy_weights: source's gru_cell has no weights yet"):
        copy_weights(layer, {})
    with pytest.raises(ValueError, match=r"weight_hr_l0.*no projection and no layer normalization"):
        copy_weights({**torch_like(rng, "gru"), "weight_hr_l0": np.zeros(3)}, layer)
    with pytest.raises(TypeError, match="got a str, expected a layer of Keras or a list of them, a module of torch"):
        copy_weights("here", layer)
    with pytest.raises(ValueError, match="have the names nothing"):
        copy_weights({}, layer)
    before = fbk.GRU(UNITS, reset_after=False)
    before.build((B, T, INPUT))
    with pytest.raises(ValueError, match=r"reset_after is False in source, but in torch.nn it is True"):
        copy_weights(before, {})
    layer.build((B, T, INPUT))
    with pytest.raises(ValueError, match=r"source makes the weights"):
        copy_weights(layer, torch_like(rng, "rnn"))
    with pytest.raises(ValueError, match=r"is of the kind lstm, but source's layer of gru"):
        copy_weights(layer, fbk.LSTM(UNITS))


def test_nothing_is_written_where_something_does_not_fit(rng: np.random.Generator) -> None:
    layers = [fbk.GRU(UNITS), fbk.GRU(UNITS, use_bias=False)]
    for layer, columns in zip(layers, (INPUT, UNITS), strict=True):
        layer.build((B, T, columns))
    before = layers[0].get_weights()
    with pytest.raises(ValueError, match="bias"):
        copy_weights(torch_like(rng, "gru", 2), layers)
    for a, b in zip(before, layers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(BACKEND != "torch", reason="where Keras runs on torch")
class TestTorch:
    @pytest.mark.parametrize("kind", GATES)
    def test_modules_of_torch(self, rng: np.random.Generator, kind: str) -> None:
        import torch

        theirs = getattr(torch.nn, kind.upper())(INPUT, UNITS, num_layers=2, bidirectional=True, batch_first=True)
        layers = [keras.layers.Bidirectional(OURS[kind](UNITS, return_sequences=True)) for _ in range(2)]
        copy_weights(theirs, layers)
        x = rng.normal(size=(B, T, INPUT)).astype("float32")
        y = layers[1](layers[0](x))
        np.testing.assert_allclose(numbers(y), theirs(torch.as_tensor(x))[0].numpy(force=True), atol=1e-5)
        again = getattr(fb.nn, kind.upper())(INPUT, UNITS, num_layers=2, bidirectional=True, batch_first=True)
        copy_weights(layers, again)
        np.testing.assert_allclose(numbers(y), again(torch.as_tensor(x))[0].numpy(force=True), atol=1e-5)
        state = {name: torch.zeros_like(w) for name, w in again.state_dict().items()}
        copy_weights(layers, state)
        assert all(torch.equal(w, state[name]) for name, w in again.state_dict().items())

    def test_filters(self, rng: np.random.Generator) -> None:
        import torch

        bank, theirs = fbk.FilterBank(4, 16000), fb.nn.FilterBank(4, 16000)
        x = rng.normal(size=(2, 50)).astype("float32")
        y = bank(x)
        with torch.no_grad():
            theirs.raw_frequency.add_(0.1)
        copy_weights(theirs, bank)
        expected = theirs(torch.as_tensor(x)).numpy(force=True).transpose(0, 2, 1)
        assert np.abs(numbers(y) - expected).max() > 1e-3
        np.testing.assert_allclose(numbers(bank(x)), expected, atol=1e-5)

    @pytest.mark.parametrize("name", [name for name in EVERY if "before" not in name])
    def test_structures(self, rng: np.random.Generator, name: str) -> None:
        import torch

        layer = make(EVERY[name], return_sequences=True)
        theirs = getattr(fb.nn, type(layer).__name__ if name != "BandRNN" else "RNN")(
            INPUT, UNITS, structure=layer.structure, batch_first=True
        )
        x = rng.normal(size=(B, T, INPUT)).astype("float32")
        y = layer(x)
        copy_weights(layer, theirs)
        np.testing.assert_allclose(numbers(y), theirs(torch.as_tensor(x))[0].numpy(force=True), atol=1e-5)

    def test_cells_and_bands(self, rng: np.random.Generator) -> None:
        import torch

        cell, theirs = fbk.BandRNNCell(UNITS, (2, 1)), fb.nn.BandRNNCell(INPUT, UNITS, (2, 1))
        copy_weights(theirs, cell)
        x, h = rng.normal(size=(B, INPUT)).astype("float32"), rng.normal(size=(B, UNITS)).astype("float32")
        expected = theirs(torch.as_tensor(x), torch.as_tensor(h)).numpy(force=True)
        np.testing.assert_allclose(numbers(cell(x, [h])[0]), expected, atol=1e-5)
        with pytest.raises(ValueError, match=r"source has Banded\(lower=1, upper=2\), target's .* expected the same"):
            copy_weights(fb.nn.BandRNN(INPUT, UNITS, (1, 2)), fbk.BandRNN(UNITS, (2, 1)))
        layer = fbk.GRU(UNITS)
        layer.build((B, T, INPUT))
        with pytest.raises(ValueError, match="source is of the kind gru, but target is a LSTM"):
            copy_weights(layer, torch.nn.LSTM(INPUT, UNITS))
