"""The layers give what `keras.layers.RNN` gives over the same cell, in every way in which Keras can be asked."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import pytest
from layers_under_test import EVERY, FEW, SOME, UNITS, assert_same, make, numbers

from feedbackward.engine.steps import ACTIVATIONS

B, T, INPUT = 4, 7, 3

MASKS = {
    "none": None,
    "right": np.arange(T) < np.array([[T], [4], [1], [0]]),
    "left": np.arange(T) >= np.array([[0], [3], [6], [7]]),
    "holes": np.array([[1, 0, 1, 1, 0, 0, 1], [0, 0, 1, 0, 1, 0, 0], [1, 1, 1, 1, 1, 1, 1], [0, 1, 0, 0, 0, 1, 1]]) > 0,
}
WHOLE = [True] if keras.backend.backend() == "jax" else [False, True]  # JAX compiles every case
NAMES = sorted(name for name in ACTIVATIONS if hasattr(keras.activations, name))[:: 6 if len(WHOLE) == 1 else 1]
SEQUENCES = (
    "return_sequences,go_backwards,zero_output_for_mask,with_initial,mask",
    [
        case
        for case in itertools.product(WHOLE, [False, True], [False, True], [False, True], MASKS)
        if (case[3] if case[4] != "none" else not case[2])
    ],
)


def run_both(
    entry: Any, rng: np.random.Generator, mask: Any, with_initial: bool, steps: int = T, **settings: Any
) -> None:
    layer = make(entry, return_state=True, **settings)
    x = rng.normal(size=(B, steps, INPUT)).astype("float32")
    layer.build(x.shape)
    theirs = keras.layers.RNN(layer.cell, return_state=True, **settings)
    count = len(layer.state_size)
    initial = [rng.normal(size=(B, UNITS)).astype("float32") for _ in range(count)] if with_initial else None
    mask = None if mask is None else keras.ops.convert_to_tensor(mask)
    results = [numbers(run(x, initial_state=initial, mask=mask)) for run in (layer, theirs)]
    assert_same(*results, steps=T)


@pytest.mark.parametrize(*SEQUENCES)
def test_every_way_to_run_a_band(
    rng: np.random.Generator,
    return_sequences: bool,
    go_backwards: bool,
    zero_output_for_mask: bool,
    with_initial: bool,
    mask: str,
) -> None:
    settings = {
        "return_sequences": return_sequences,
        "go_backwards": go_backwards,
        "zero_output_for_mask": zero_output_for_mask,
    }
    run_both(EVERY["BandRNN"], rng, MASKS[mask], with_initial, **settings)


@pytest.mark.parametrize("mask", ["none", "holes"])
@pytest.mark.parametrize("name", SOME)
def test_every_layer_with_every_structure(rng: np.random.Generator, name: str, mask: str) -> None:
    run_both(EVERY[name], rng, MASKS[mask], True, return_sequences=True, go_backwards=mask == "none")


@pytest.mark.parametrize("name", FEW)
def test_stateful_calls_go_on(rng: np.random.Generator, name: str) -> None:
    layer = make(FEW[name], stateful=True, return_sequences=True)
    first, second = rng.normal(size=(2, B, T, INPUT)).astype("float32")
    y = [numbers(layer(first)), numbers(layer(second))]
    whole = keras.layers.RNN(layer.cell, return_sequences=True)(np.concatenate([first, second], 1))
    assert_same(np.concatenate(y, 1), numbers(whole), steps=2 * T)
    layer.reset_state()
    np.testing.assert_array_equal(numbers(layer(first)), y[0])
    with pytest.raises(ValueError, match=r"batch size|initial_state has shape \(4, 6\), expected \(2, 6\)"):
        layer(first[:2])


@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("name", ["BandRNN", "LSTM-dense"])
def test_no_step_and_one(rng: np.random.Generator, name: str, return_sequences: bool, return_state: bool) -> None:
    layer = make(EVERY[name], return_sequences=return_sequences, return_state=return_state)
    x = rng.normal(size=(B, 1, INPUT)).astype("float32")
    initial = [rng.normal(size=(B, UNITS)).astype("float32") for _ in layer.state_size]
    theirs = keras.layers.RNN(layer.cell, return_sequences=return_sequences, return_state=return_state)
    assert_same(numbers(layer(x, initial_state=initial)), numbers(theirs(x, initial_state=initial)))
    results = numbers(layer(x[:, :0], initial_state=initial))
    output, states = (results[0], results[1:]) if return_state else (results, [])
    assert output.shape == ((B, 0, UNITS) if return_sequences else (B, UNITS))
    for state, given in zip(states, initial, strict=False):
        np.testing.assert_array_equal(state, given)
    assert len(states) == (len(initial) if return_state else 0)


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
def test_in_both_directions(rng: np.random.Generator, merge_mode: str | None) -> None:
    layer = make(FEW["GRU-dense"], return_sequences=True, return_state=True)
    both = keras.layers.Bidirectional(layer, merge_mode=merge_mode)
    x = rng.normal(size=(B, T, INPUT)).astype("float32")
    mask = keras.ops.convert_to_tensor(MASKS["right"])
    ours = numbers(both(x, mask=mask))
    forward, backward = (
        keras.layers.RNN(side.cell, return_sequences=True, return_state=True, go_backwards=side.go_backwards)
        for side in (both.forward_layer, both.backward_layer)
    )
    theirs = keras.layers.Bidirectional(forward, merge_mode=merge_mode, backward_layer=backward)
    theirs.build(x.shape)
    theirs.set_weights(both.get_weights())
    assert_same(ours, numbers(theirs(x, mask=mask)), steps=T)


@pytest.mark.parametrize("name", FEW)
def test_dropout_is_that_of_the_cell(rng: np.random.Generator, name: str) -> None:
    """The same seed drops the same channels, of x and of h, at every step alike."""
    settings = {"dropout": 0.4, "recurrent_dropout": 0.3, "seed": 11}
    layer, again = (make(FEW[name], return_sequences=True, **settings) for _ in range(2))
    x = rng.normal(size=(B, T, INPUT)).astype("float32")
    layer.build(x.shape)
    again.build(x.shape)
    again.set_weights(layer.get_weights())
    theirs = keras.layers.RNN(again.cell, return_sequences=True)
    ours = numbers(layer(x, training=True))
    assert_same(ours, numbers(theirs(x, training=True)), steps=T)
    assert np.abs(ours - numbers(layer(x, training=False))).max() > 1e-2
    assert np.abs(ours - numbers(layer(x, training=True))).max() > 1e-2  # other channels


def test_cells_stack(rng: np.random.Generator) -> None:
    cells = [make(FEW[name]).cell for name in ("BandRNN", "LSTM-low_rank", "GRU-dense")]
    x = rng.normal(size=(B, T, INPUT)).astype("float32")
    stacked = keras.layers.RNN(keras.layers.StackedRNNCells(cells), return_sequences=True)
    y = x
    ours = numbers(stacked(x))
    for layer in (make(FEW[name], return_sequences=True) for name in ("BandRNN", "LSTM-low_rank", "GRU-dense")):
        layer.build(y.shape)
        layer.set_weights(cells.pop(0).get_weights())
        y = numbers(layer(y))
    assert_same(ours, y, steps=3 * T)


@pytest.mark.parametrize("name", [None, *NAMES])
def test_activations_are_those_of_keras(rng: np.random.Generator, name: str | None) -> None:
    run_both((EVERY["BandRNN"][0], {"band_width": 1, "activation": name}), rng, None, True, steps=2)
