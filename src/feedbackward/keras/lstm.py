"""Long short-term memory.

    i, f, o = s(u_* + W_* h),   g = act(u_g + W_g h),   u = x kernel + bias
    c' = f c + i g,             h' = o act(c')

Gates are stacked as everywhere, i f g o.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ..engine import steps
from ..engine.ir import Program
from ..recurrent.structures import Structure
from .backend import register
from .cell import StructuredCell, name_of
from .layer import OfCell, Recurrent, of_cell


@register
class LSTMCell(StructuredCell, keras.layers.LSTMCell):
    """One step of an `LSTM`, in Keras's operations.

        i, f, o = s(u_* + W_* h),   g = act(u_g + W_g h),   c' = f c + i g,   h' = o act(c')

    Args:
        units: n, channels of h and of c.
        activation: act, any that Keras takes.
        recurrent_activation: s, any that Keras takes.
        use_bias: Whether there is a bias.
        kernel_initializer: This and what follows as for `RNNCell`.
        recurrent_initializer: See `RNNCell`.
        bias_initializer: See `RNNCell`.
        unit_forget_bias: Whether the bias of f begins as 1.
        kernel_regularizer: See `RNNCell`.
        recurrent_regularizer: See `RNNCell`.
        bias_regularizer: See `RNNCell`.
        kernel_constraint: See `RNNCell`.
        recurrent_constraint: See `RNNCell`.
        bias_constraint: See `RNNCell`.
        dropout: See `RNNCell`.
        recurrent_dropout: See `RNNCell`.
        seed: See `RNNCell`.
        structure: Of the matrices of all gates: see `RNNCell`.
        kwargs: name, dtype, trainable.

    Raises:
        TypeError, ValueError: An argument does not fit.

    Example:
        >>> import keras, feedbackward as fb, feedbackward.keras as fbk
        >>> layer = keras.layers.RNN(fbk.LSTMCell(8, structure=fb.BlockDiagonal(2)), return_state=True)
        >>> [tuple(y.shape) for y in layer(keras.random.normal((4, 10, 3)))]
        [(4, 8), (4, 8), (4, 8)]
    """

    gates = 4

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
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
            units, activation, recurrent_activation, use_bias,
            kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias,
            kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed, **kwargs,
        )  # fmt: skip
        self._set_structure(structure)

    def _initial_bias(self, shape: Any, dtype: Any = None) -> Any:
        if not self.unit_forget_bias:
            return super()._initial_bias(shape, dtype)
        n = self.units
        before, after = (self.bias_initializer((k * n,), dtype=dtype) for k in (1, 2))
        return ops.concatenate([before, ops.ones((n,), dtype), after])

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        """h' (B, units), and the states h' and c', from x (B, input), h and c."""
        h, c = states
        x, seen = self._dropped(inputs, h, training)
        i, f, g, o = ops.split(self.of_input(x) + self._products(seen), 4, axis=1)
        i, f, o = (self._activated(self.recurrent_activation, v) for v in (i, f, o))
        c = f * c + i * self._activated(self.activation, g)
        h = o * self._activated(self.activation, c)
        return h, [h, c]

    def program(self, *, dropped: bool, masked: bool) -> Program:
        """The step as a program."""
        name = type(self).__name__
        return steps.lstm(
            self.units,
            self.structure,
            name_of(name, "activation", self.activation),
            name_of(name, "recurrent_activation", self.recurrent_activation),
            dropped=dropped,
            masked=masked,
        )


@register
class LSTM(Recurrent):
    """Long short-term memory in the place of `keras.layers.LSTM`, its loop in the kernels.

        i, f, o = s(u_* + W_* h),   g = act(u_g + W_g h),   c' = f c + i g,   h' = o act(c')

    u[t] = x[t] kernel + bias. With dense matrices the weights are those of Keras's LSTM. With any other structure the
    recurrent kernel is stored as `feedbackward.nn.LSTM` stores it. One mask of recurrent dropout serves all gates,
    where Keras has one for each.

    Args:
        units: n, channels of h and of c.
        activation: act, one of the functions or names of `keras.activations` that the kernels know;
            ``keras.layers.RNN(LSTMCell(...))`` runs any other.
        recurrent_activation: s, the same.
        use_bias: Whether there is a bias.
        kernel_initializer: This and what follows as for `RNN`.
        recurrent_initializer: See `RNN`.
        bias_initializer: See `RNN`.
        unit_forget_bias: Whether the bias of f begins as 1.
        kernel_regularizer: See `RNN`.
        recurrent_regularizer: See `RNN`.
        bias_regularizer: See `RNN`.
        activity_regularizer: See `RNN`.
        kernel_constraint: See `RNN`.
        recurrent_constraint: See `RNN`.
        bias_constraint: See `RNN`.
        dropout: See `RNN`.
        recurrent_dropout: See `RNN`.
        seed: See `RNN`.
        return_sequences: See `RNN`.
        return_state: See `RNN`.
        go_backwards: See `RNN`.
        stateful: See `RNN`.
        unroll: See `RNN`.
        structure: Of the matrices of all gates: see `RNN`.
        kwargs: See `RNN`.

    Raises:
        TypeError, ValueError: An argument does not fit.
        NotImplementedError: When called: a tensor is not on the CPU, or XLA of TensorFlow is to compile the call.

    Example:
        >>> import keras, feedbackward.keras as fbk
        >>> layer = fbk.LSTM(16, return_state=True)
        >>> y, h, c = layer(keras.random.normal((4, 10, 3)))
        >>> tuple(y.shape), tuple(h.shape), tuple(c.shape)
        ((4, 16), (4, 16), (4, 16))

    Source:
        Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9, 1997; ``unit_forget_bias``:
        Jozefowicz et al., "An empirical exploration of recurrent network architectures", 2015.
    """

    recurrent_activation = OfCell()
    unit_forget_bias = OfCell()

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        *,
        structure: Structure | None = None,
        **kwargs: Any,
    ) -> None:
        cell = LSTMCell(
            units, activation, recurrent_activation, use_bias,
            kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias,
            kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed,
            structure=structure, **of_cell("lstm_cell", kwargs),
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful, unroll,
            activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
