"""What recurrent kernels begin as, and what is refused when a layer is made."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from layers_under_test import EVERY, UNITS, make, numbers

import feedbackward as fb
import feedbackward.keras as fbk
from feedbackward.keras import structures

BACKEND = keras.backend.backend()


def dense_matrices(cell: Any) -> Any:
    """The recurrent matrices of all gates, (gates, n, n), through their products."""
    n, eye = cell.units, keras.ops.eye(cell.units)
    products = numbers(structures.products(cell.structure, cell.recurrent_kernel, eye, cell.gates))
    return products.reshape(n, cell.gates, n).transpose(1, 2, 0)


@pytest.mark.parametrize("floatx", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in EVERY if "dense" not in name])
def test_matrices_begin_orthogonal(name: str, floatx: str) -> None:
    keras.config.set_floatx(floatx)
    try:
        cell = make(EVERY[name], dtype="float32").cell
        cell.build((None, 3))
    finally:
        keras.config.set_floatx("float32")
    found = dense_matrices(cell)
    for w in found:
        np.testing.assert_allclose(w @ w.T, np.eye(UNITS), atol=1e-5)
    assert np.abs(found - np.eye(UNITS)).max() > 0.1
    assert len(found) == 1 or np.abs(found - found[0]).max() > 0.1  # gates are not alike


@pytest.mark.parametrize("widths", [(0, 0), (1, 0), (0, 2), (1, 1), (2, 3), (5, 5), (9, 9)])
@pytest.mark.parametrize("units", [1, 2, 5, 16])
def test_bands_of_any_width_begin_orthogonal(units: int, widths: tuple[int, int]) -> None:
    cell = fbk.BandRNNCell(units, widths, recurrent_initializer=keras.initializers.Orthogonal(gain=0.5, seed=1))
    cell.build((None, 3))
    stored, (lower, upper) = numbers(cell.recurrent_kernel), widths
    rows, columns = np.indices((units, units))
    inside = (columns - rows >= -lower) & (columns - rows <= upper)
    w = np.where(inside, stored[np.clip(columns - rows + lower, 0, lower + upper), rows], 0)
    np.testing.assert_allclose(w @ w.T, 0.25 * np.eye(units), atol=1e-5)
    assert_outside_is_zero(stored, lower, upper)


def test_other_initializers_see_what_is_stored() -> None:
    cell = fbk.BandRNNCell(7, (2, 1), recurrent_initializer="ones")
    cell.build((None, 3))
    stored = numbers(cell.recurrent_kernel)
    assert_outside_is_zero(stored, 2, 1)
    assert stored.sum() == 7 * 4 - (2 + 1) - 1
    cell = fbk.GRUCell(6, structure=fb.BlockDiagonal(3), recurrent_initializer="ones")
    cell.build((None, 3))
    np.testing.assert_array_equal(numbers(cell.recurrent_kernel), np.ones((9, 2, 2), "float32"))


def assert_outside_is_zero(stored: Any, lower: int, upper: int) -> None:
    for d in range(lower + upper + 1):
        columns = np.arange(stored.shape[1]) + d - lower
        assert not stored[d, (columns < 0) | (columns >= stored.shape[1])].any()


def test_lstms_forget_bias_begins_at_one() -> None:
    for unit_forget_bias in (True, False):
        cell = fbk.LSTMCell(3, unit_forget_bias=unit_forget_bias, bias_initializer="zeros")
        cell.build((None, 2))
        expected = np.zeros((4, 3))
        expected[1] = unit_forget_bias
        np.testing.assert_array_equal(numbers(cell.bias).reshape(4, 3), expected)


def identity(x: Any) -> Any:
    return x


KNOWN = "expected one that the kernels know, .*keras.layers.RNN"
REFUSED = [
    (lambda: fbk.BandRNN(8, -1), ValueError, "BandRNNCell: band_width is -1, expected at least 0"),
    (lambda: fbk.BandRNN(8, (1, 2, 3)), TypeError, r"band_width is \(1, 2, 3\), expected an integer or a pair"),
    (lambda: fbk.BandRNN(8, 1.5), TypeError, r"band_width is 1.5, expected an integer or a pair \(lower, upper\)"),
    (lambda: fbk.BandRNN(8, (1, None)), TypeError, r"band_width is \(1, None\), expected an integer or a pair"),
    (lambda: fbk.BandRNN(8, True), TypeError, "band_width is True, expected an integer or a pair"),
    (lambda: fbk.BandRNN(0, 1), ValueError, "BandRNNCell: units is 0, expected an integer of at least 1"),
    (lambda: fbk.GRU("8"), ValueError, "GRUCell: units is '8', expected an integer"),
    (lambda: fbk.RNN(8, structure="band"), TypeError, r"RNNCell: structure is 'band', expected one such as fb.Banded"),
    (lambda: fbk.LSTM(8, structure=fb.BlockDiagonal(3)), ValueError, "8 rows does not divide into 3 blocks"),
    (lambda: fbk.RNN(8, structure=fb.LowRankPlusDiagonal(9)), ValueError, "8 rows has no rank 9"),
    (lambda: fbk.BandRNN(8, 1, activation=lambda x: x), ValueError, rf"BandRNN: activation is .*{KNOWN}\(BandRNNCell"),
    (
        lambda: fbk.GRU(8, recurrent_activation="log_softmax"),
        ValueError,
        rf"GRU: recurrent_activation is .*{KNOWN}\(GRUCell",
    ),
    (lambda: fbk.RNN(8, activation=identity), ValueError, rf"RNN: activation is <function identity .*{KNOWN}"),
    (lambda: fbk.LSTM(8, activation=keras.activations.softmax), ValueError, rf"LSTM: activation is .*{KNOWN}"),
]


@pytest.mark.parametrize(("make_it", "kind", "message"), REFUSED)
def test_arguments_that_do_not_fit_are_refused(make_it: Any, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        make_it()


def test_inputs_that_do_not_fit_are_refused() -> None:
    layer = fbk.BandRNN(8, 1)
    with pytest.raises(ValueError, match="expected ndim=3, found ndim=2"):
        layer(np.zeros((4, 5), "float32"))
    layer(np.zeros((2, 4, 5), "float32"))
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 5"):
        layer(np.zeros((2, 4, 6), "float32"))


@pytest.mark.parametrize("structure", [None, fb.Banded(1)])
def test_a_layer_of_half_precision_is_made(structure: Any) -> None:
    layer = fbk.GRU(6, structure=structure, dtype="float16")
    y = numbers(layer(np.ones((2, 4, 3), "float16")))
    assert y.dtype == "float16"
    assert np.isfinite(y).all()


def test_states_and_masks_that_do_not_fit_are_refused() -> None:
    layer, x = fbk.LSTM(8), np.zeros((2, 4, 5), "float32")
    zeros = keras.ops.zeros
    with pytest.raises(ValueError, match=r"LSTM: initial_state has shape \(2, 7\), expected \(2, 8\) = \(B, units\)"):
        layer(x, initial_state=[zeros((2, 8)), zeros((2, 7))])
    with pytest.raises(ValueError, match=r"LSTM: initial_state has shape \(3, 8\), expected \(2, 8\) = \(B, units\)"):
        layer(x, initial_state=[zeros((3, 8)), zeros((3, 8))])
    with pytest.raises(ValueError, match=r"LSTM: initial_state has 1 tensors, expected 2"):
        layer(x, initial_state=[zeros((2, 8))])
    with pytest.raises(ValueError, match=r"LSTM: mask has shape \(2, 3\), expected \(2, 4\) = \(B, T\)"):
        layer(x, mask=keras.ops.ones((2, 3), dtype="bool"))


def test_a_cell_takes_any_activation() -> None:
    cell = fbk.BandRNNCell(4, 1, activation=lambda x: x * 0 + 2.0)
    layer = keras.layers.RNN(cell)
    np.testing.assert_array_equal(numbers(layer(np.ones((2, 3, 4), "float32"))), np.full((2, 4), 2.0, "float32"))
