"""The gated recurrent unit.

    z = s(u_z + W_z h),   r = s(u_r + W_r h),   u = x kernel + bias
    n = act(u_n + r (W_n h + b_n)),             or, where the reset comes first, act(u_n + W_n (r h))
    h' = (1 - z) n + z h

Gates are stacked in Keras's order, z r n. With the reset after the product the bias has two rows, that of x and that of
h; all of the second but b_n joins the first.
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
class GRUCell(StructuredCell, keras.layers.GRUCell):
    """One step of a `GRU`, in Keras's operations.

        z = s(u_z + W_z h),   r = s(u_r + W_r h),   n = act(u_n + r (W_n h + b_n)),   h' = (1 - z) n + z h

    Args:
        units: n, channels of h.
        activation: act, any that Keras takes.
        recurrent_activation: s, any that Keras takes.
        use_bias: Whether there are biases.
        kernel_initializer: This and what follows as for `RNNCell`.
        recurrent_initializer: See `RNNCell`.
        bias_initializer: See `RNNCell`.
        kernel_regularizer: See `RNNCell`.
        recurrent_regularizer: See `RNNCell`.
        bias_regularizer: See `RNNCell`.
        kernel_constraint: See `RNNCell`.
        recurrent_constraint: See `RNNCell`.
        bias_constraint: See `RNNCell`.
        dropout: See `RNNCell`.
        recurrent_dropout: See `RNNCell`.
        reset_after: Whether r scales the product W_n h + b_n, as in torch.nn; otherwise W_n sees r h.
        seed: See `RNNCell`.
        structure: Of W_z, W_r and W_n: see `RNNCell`.
        kwargs: name, dtype, trainable.

    Raises:
        TypeError, ValueError: An argument does not fit.

    Example:
        >>> import keras, feedbackward as fb, feedbackward.keras as fbk
        >>> layer = keras.layers.RNN(fbk.GRUCell(8, activation="softmax", structure=fb.Diagonal()))
        >>> tuple(layer(keras.random.normal((4, 10, 3))).shape), tuple(layer.cell.recurrent_kernel.shape)
        ((4, 8), (24,))
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        reset_after: bool = True,
        seed: Any = None,
        *,
        structure: Structure | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units, activation, recurrent_activation, use_bias,
            kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, reset_after, seed,
            **kwargs,
        )  # fmt: skip
        self._set_structure(structure)

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def _bias_of_input(self) -> Any:
        if not self.reset_after:
            return self.bias
        of_gates = ops.pad(self.bias[1, : 2 * self.units], ((0, self.units),))
        return self.bias[0] + of_gates

    def held(self) -> list[Any]:
        """b_n (1, n), where r scales it."""
        return [self.bias[1:, 2 * self.units :]] if self.use_bias and self.reset_after else []

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, Any]:
        """h' (B, units), as output and as state, from x (B, input) and h."""
        is_list = isinstance(states, (list, tuple))
        h, n = states[0] if is_list else states, self.units
        x, seen = self._dropped(inputs, h, training)
        u = self.of_input(x)
        of_h = self._products(seen, 0, 3 if self.reset_after else 2)
        both = self._activated(self.recurrent_activation, u[:, : 2 * n] + of_h[:, : 2 * n])
        z, r = both[:, :n], both[:, n:]
        if self.reset_after:
            inner = of_h[:, 2 * n :]
            inner = r * (inner + ops.cast(self.bias[1, 2 * n :], inner.dtype) if self.use_bias else inner)
        else:
            inner = self._products(r * seen, 2)
        new = self._activated(self.activation, u[:, 2 * n :] + inner)
        h = new + z * (h - new)
        return h, [h] if is_list else h

    def program(self, *, dropped: bool, masked: bool) -> Program:
        """The step as a program."""
        name = type(self).__name__
        return steps.gru(
            self.units,
            self.structure,
            name_of(name, "activation", self.activation),
            name_of(name, "recurrent_activation", self.recurrent_activation),
            bias=self.use_bias,
            reset_after=self.reset_after,
            update_first=True,
            dropped=dropped,
            masked=masked,
        )


@register
class GRU(Recurrent):
    """A gated recurrent unit in the place of `keras.layers.GRU`, its loop in the kernels.

        z = s(u_z + W_z h),   r = s(u_r + W_r h),   n = act(u_n + r (W_n h + b_n)),   h' = (1 - z) n + z h

    u[t] = x[t] kernel + bias. With dense matrices the weights are those of Keras's GRU. With any other structure the
    recurrent kernel is stored as `feedbackward.nn.GRU` stores it, but in Keras's order of gates, z r n. One mask of
    recurrent dropout serves all gates, where Keras has one for each.

    Args:
        units: n, channels of h.
        activation: act, one of the functions or names of `keras.activations` that the kernels know;
            ``keras.layers.RNN(GRUCell(...))`` runs any other.
        recurrent_activation: s, the same.
        use_bias: Whether there are biases.
        kernel_initializer: This and what follows as for `RNN`.
        recurrent_initializer: See `RNN`.
        bias_initializer: See `RNN`.
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
        reset_after: Whether r scales the product W_n h + b_n, as in torch.nn; otherwise W_n sees r h.
        structure: Of W_z, W_r and W_n: see `RNN`.
        kwargs: See `RNN`.

    Raises:
        TypeError, ValueError: An argument does not fit.
        NotImplementedError: When called: a tensor is not on the CPU, or XLA of TensorFlow is to compile the call.

    Example:
        >>> import keras, feedbackward as fb, feedbackward.keras as fbk
        >>> layer = keras.layers.Bidirectional(fbk.GRU(16, return_sequences=True, structure=fb.Banded(2)))
        >>> tuple(layer(keras.random.normal((4, 10, 3))).shape)
        (4, 10, 32)

    Source:
        Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014, and with ``reset_after`` the
        place of r in cuDNN and torch.nn.
    """

    recurrent_activation = OfCell()
    reset_after = OfCell()

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
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
        seed: Any = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        *,
        structure: Structure | None = None,
        **kwargs: Any,
    ) -> None:
        cell = GRUCell(
            units, activation, recurrent_activation, use_bias,
            kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, reset_after, seed,
            structure=structure, **of_cell("gru_cell", kwargs),
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful, unroll,
            activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip
