"""The simple recurrent layer: h' = act(x kernel + bias + W h)."""

from __future__ import annotations

from typing import Any

import keras

from ..engine import steps
from ..engine.ir import Program
from ..recurrent.structures import Structure
from .backend import register
from .cell import StructuredCell, name_of
from .layer import Recurrent, of_cell


@register
class RNNCell(StructuredCell, keras.layers.SimpleRNNCell):
    """One step of an `RNN`, in Keras's operations.

        h' = act(x kernel + bias + W h)

    Args:
        units: n, channels of h.
        activation: act, any that Keras takes.
        use_bias: Whether there is a bias.
        kernel_initializer: Of the kernel.
        recurrent_initializer: Of the recurrent kernel: an orthogonal one makes W orthogonal, whatever its structure;
            any other is called with the shape that is stored.
        bias_initializer: Of the bias.
        kernel_regularizer: Of the kernel.
        recurrent_regularizer: Of what is stored of W.
        bias_regularizer: Of the bias.
        kernel_constraint: On the kernel.
        recurrent_constraint: On what is stored of W.
        bias_constraint: On the bias.
        dropout: The share of x that the kernel does not see in training, the same channels at every step.
        recurrent_dropout: The share of h that W does not see in training, the same channels at every step.
        seed: Of dropout.
        structure: Of W: `feedbackward.Dense` by default, `Banded`, `BlockDiagonal`, `Diagonal`, `LowRankPlusDiagonal`.
        kwargs: name, dtype, trainable.

    Raises:
        TypeError, ValueError: An argument does not fit.

    Example:
        >>> import keras, feedbackward as fb, feedbackward.keras as fbk
        >>> cells = [fbk.RNNCell(8, activation="softmax"), fbk.RNNCell(8, structure=fb.BlockDiagonal(2))]
        >>> layer = keras.layers.RNN(keras.layers.StackedRNNCells(cells))
        >>> tuple(layer(keras.random.normal((4, 10, 3))).shape)
        (4, 8)
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        *,
        structure: Structure | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed, **kwargs,
        )  # fmt: skip
        self._set_structure(structure)

    def call(self, sequence: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        """h' (B, units), as output and as state, from x (B, input) and h."""
        is_list = isinstance(states, (list, tuple))
        x, h = self._dropped(sequence, states[0] if is_list else states, training)
        h = self._activated(self.activation, self.of_input(x) + self._products(h))
        return h, [h] if is_list else h

    def program(self, *, dropped: bool, masked: bool) -> Program:
        """The step as a program."""
        activation = name_of(type(self).__name__, "activation", self.activation)
        return steps.rnn(self.units, self.structure, activation, dropped=dropped, masked=masked)


@register
class RNN(Recurrent):
    """A simple recurrent layer in the place of `keras.layers.SimpleRNN`, its loop in the kernels.

        h[t] = act(x[t] kernel + bias + W h[t-1]),    t = 0 .. T-1

    With a dense W the weights are those of SimpleRNN. With any other structure the recurrent kernel is stored as
    `feedbackward.nn.RNN` stores it, and work and memory are those of the structure.

    The loop runs in the dtype of the weights, float32 or float64; inputs and outputs have the layer's compute dtype.

    Args:
        units: n, channels of h.
        activation: act, one of the functions or names of `keras.activations` that the kernels know;
            ``keras.layers.RNN(RNNCell(...))`` runs any other.
        use_bias: Whether there is a bias.
        kernel_initializer: This and what follows as for `RNNCell`.
        recurrent_initializer: See `RNNCell`.
        bias_initializer: See `RNNCell`.
        kernel_regularizer: See `RNNCell`.
        recurrent_regularizer: See `RNNCell`.
        bias_regularizer: See `RNNCell`.
        activity_regularizer: Of the output.
        kernel_constraint: See `RNNCell`.
        recurrent_constraint: See `RNNCell`.
        bias_constraint: See `RNNCell`.
        dropout: See `RNNCell`.
        recurrent_dropout: See `RNNCell`.
        return_sequences: Whether to return the outputs of all steps instead of the last one.
        return_state: Whether to return the last state too.
        go_backwards: Whether the last step is the first; the outputs come in the order in which they were computed.
        stateful: Whether a call begins with the states that the call before left, until ``reset_state()``.
        unroll: Taken for Keras's sake; the loop is the same.
        seed: See `RNNCell`.
        structure: See `RNNCell`.
        kwargs: name, dtype, trainable; ``zero_output_for_mask``: whether the output of a masked step is 0.

    Raises:
        TypeError, ValueError: An argument does not fit.
        NotImplementedError: When called: a tensor is not on the CPU, or XLA of TensorFlow is to compile the call.

    Example:
        >>> import keras, feedbackward as fb, feedbackward.keras as fbk
        >>> layer = fbk.RNN(16, return_sequences=True, structure=fb.LowRankPlusDiagonal(2))
        >>> tuple(layer(keras.random.normal((4, 10, 3))).shape), tuple(layer.cell.recurrent_kernel.shape)
        ((4, 10, 16), (5, 16))
        >>> theirs = keras.layers.SimpleRNN(16)
        >>> x = keras.random.normal((4, 10, 3))
        >>> ours = fbk.RNN(16)
        >>> same = theirs(x), ours(x)  # which makes the weights
        >>> ours.set_weights(theirs.get_weights())
        >>> bool(keras.ops.all(keras.ops.isclose(ours(x), theirs(x), atol=1e-5)))
        True

    Source:
        Elman, "Finding structure in time", Cognitive Science 14, 1990.
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: Any = None,
        *,
        structure: Structure | None = None,
        **kwargs: Any,
    ) -> None:
        cell = RNNCell(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed,
            structure=structure, **of_cell("rnn_cell", kwargs),
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful, unroll,
            activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
