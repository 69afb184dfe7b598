"""A layer whose recurrent matrix is a band in Keras, on TensorFlow: ours, and what Keras has for it.

Every call is a tf.function: x (B, T, input) -> h (B, T, hidden), and the gradients to x and the weights.
"""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

from feedbackward.keras import BandRNN, BandRNNCell

from ..case import Call, Inputs


class _Masked(keras.layers.SimpleRNNCell):
    """Keras's own cell, whose recurrent matrix is multiplied by a mask at every call."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.mask = self.add_weight(shape=(self.units, self.units), trainable=False, name="mask")

    def call(self, sequence: Any, states: Any, training: bool = False) -> Any:
        h = states[0] if isinstance(states, (list, tuple)) else states
        product = keras.ops.matmul(h, self.mask * self.recurrent_kernel)
        h = self.activation(keras.ops.matmul(sequence, self.kernel) + self.bias + product)
        return h, [h]


def _dense(band: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and column of every entry of a weight by diagonals, and which of the entries the matrix has."""
    width, hidden = band.shape
    row = np.broadcast_to(np.arange(hidden), band.shape)
    column = row + np.arange(width)[:, None] - width // 2
    return row, column, (column >= 0) & (column < hidden)


def _built(layer: Any, inputs: Inputs) -> Any:
    """The layer with the weights of the inputs; Keras has one bias."""
    layer.build(inputs["x"].shape)
    band = inputs["weight_hh"]
    given = {
        "kernel": inputs["weight_ih"].T,
        "recurrent_kernel": band,
        "bias": inputs["bias_ih"] + inputs["bias_hh"],
        "mask": None,
    }
    if layer.cell.recurrent_kernel.shape != band.shape:
        row, column, inside = _dense(band)
        dense, mask = (np.zeros((band.shape[1],) * 2, np.float32) for _ in range(2))
        dense[column[inside], row[inside]], mask[column[inside], row[inside]] = band[inside], 1  # h W, not W h
        given |= {"recurrent_kernel": dense, "mask": mask}
    for weight in layer.weights:
        weight.assign(given[weight.name])
    return layer


def _forward(layer: Any, inputs: Inputs) -> Call:
    x, call = tf.constant(inputs["x"]), tf.function(_built(layer, inputs))
    return lambda: (call(x),)


def _gradient(layer: Any, inputs: Inputs) -> Call:
    _built(layer, inputs)
    x, g, band = (tf.constant(inputs[name]) for name in ("x", "g", "weight_hh"))

    @tf.function
    def call() -> tuple[Any, ...]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            h = layer(x)
        weights = layer.cell.kernel, layer.cell.recurrent_kernel, layer.cell.bias
        d_x, d_ih, d_hh, d_bias = tape.gradient(h, [x, *(w.value for w in weights)], g)
        if d_hh.shape != band.shape:  # what is compared is the gradient's band, whose copy is small beside the rest
            row, column, inside = _dense(inputs["weight_hh"])
            index = np.stack([column[inside], row[inside]], -1)
            entries = tf.gather_nd(d_hh, index)
            d_hh = tf.scatter_nd(np.argwhere(inside), entries, band.shape)
        return h, d_x, tf.transpose(d_ih), d_hh, d_bias, d_bias

    return call


def _ours(inputs: Inputs) -> Any:
    width, hidden = inputs["weight_hh"].shape
    return BandRNN(hidden, width // 2, return_sequences=True)


def _cell(inputs: Inputs) -> Any:
    width, hidden = inputs["weight_hh"].shape
    return keras.layers.RNN(BandRNNCell(hidden, width // 2), return_sequences=True)


def _masked(inputs: Inputs) -> Any:
    return keras.layers.RNN(_Masked(inputs["weight_hh"].shape[1]), return_sequences=True)


def ours_forward(inputs: Inputs) -> Call:
    """feedbackward.keras.BandRNN."""
    return _forward(_ours(inputs), inputs)


def ours_gradient(inputs: Inputs) -> Call:
    """The same with gradients."""
    return _gradient(_ours(inputs), inputs)


def cell_forward(inputs: Inputs) -> Call:
    """keras.layers.RNN over the same cell in Keras's operations."""
    return _forward(_cell(inputs), inputs)


def cell_gradient(inputs: Inputs) -> Call:
    """The same with gradients."""
    return _gradient(_cell(inputs), inputs)


def masked_forward(inputs: Inputs) -> Call:
    """Keras's simple layer with a masked matrix."""
    return _forward(_masked(inputs), inputs)


def masked_gradient(inputs: Inputs) -> Call:
    """The same with gradients."""
    return _gradient(_masked(inputs), inputs)
