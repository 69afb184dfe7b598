"""What the layers share: Keras's layer over a cell, with its loop in the kernels.

Keras's conventions for masks, as `keras.layers.RNN` has them: a step that is masked leaves the states as they were; its
output is that of the step before, or 0 with ``zero_output_for_mask``. What comes before the first step that is not
masked is 0, on JAX the first state.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from . import backend
from .cell import StructuredCell


class OfCell:
    """An attribute that a layer has from its cell."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        return self if layer is None else getattr(layer.cell, self._name)


class Recurrent(keras.layers.RNN):
    """A layer over a `StructuredCell`."""

    cell: Any

    units = OfCell()
    structure = OfCell()
    activation = OfCell()
    use_bias = OfCell()
    kernel_initializer = OfCell()
    recurrent_initializer = OfCell()
    bias_initializer = OfCell()
    kernel_regularizer = OfCell()
    recurrent_regularizer = OfCell()
    bias_regularizer = OfCell()
    kernel_constraint = OfCell()
    recurrent_constraint = OfCell()
    bias_constraint = OfCell()
    dropout = OfCell()
    recurrent_dropout = OfCell()
    seed = OfCell()

    def __init__(self, cell: StructuredCell, *settings: Any, **more: Any) -> None:
        cell.program(dropped=False, masked=False)  # what no program can do is refused now
        super().__init__(cell, *settings, **more)
        self.input_spec = keras.layers.InputSpec(ndim=3)
        if backend.NAME == "tensorflow":
            self.supports_jit = False  # XLA compiles no kernels but its own

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Make the weights, for sequences (B, T, input)."""
        super().build(sequences_shape, initial_state_shape)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: sequences_shape[-1]})

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """Run the sequences.

        Args:
            sequences: (B, T, input).
            initial_state: The states before the first step, each (B, units); zeros, or those of the last call of a
                stateful layer.
            mask: (B, T), False where a step is left out.
            training: Whether there is dropout.

        Returns:
            The last output (B, units), or all of them (B, T, units) with ``return_sequences``; and with
            ``return_state`` the states after the last step.
        """
        if sequences.shape[1] == 0:  # no step is one that is masked
            sequences = ops.pad(sequences, ((0, 0), (0, 1), (0, 0)))
            mask = ops.zeros(ops.shape(sequences)[:2], dtype="bool")
            results = super().call(sequences, initial_state=initial_state, mask=mask, training=training)
            if not self.return_sequences:
                return results
            return (results[0][:, :0], *results[1:]) if self.return_state else results[:, :0]
        return super().call(sequences, initial_state=initial_state, mask=mask, training=training)

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
        """The last output, all outputs and the states after, by a program."""
        cell = self.cell
        dtype = "float64" if cell.variable_dtype == "float64" else "float32"
        states = [
            ops.cast(s, dtype) for s in (initial_state if isinstance(initial_state, (list, tuple)) else [initial_state])
        ]
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        if training and (seen := cell.get_dropout_mask(sequences[:, 0, :])) is not None:
            sequences = sequences * ops.expand_dims(seen, 1)
        recurrent = cell.get_recurrent_dropout_mask(initial_state[0]) if training else None
        x = ops.cast(sequences, dtype)
        lanes, steps, columns = ops.shape(x)
        flat = ops.reshape(x, (-1, columns))
        inputs = [ops.reshape(cell.of_input(flat), (lanes, steps, cell.gates * cell.units))]
        if mask is not None:
            mask = ops.expand_dims(ops.cast(mask, "bool"), -1)
            inputs.append(ops.cast(mask, dtype))
        held = [] if recurrent is None else [ops.cast(recurrent, dtype)]
        held += [ops.cast(b, dtype) for b in cell.held()]
        step = cell.program(dropped=recurrent is not None, masked=mask is not None)
        tensors = [*held, *cell.matrices(dtype), *inputs, *states]
        (outputs,), after = backend.run(type(self).__name__, step, tensors, self.go_backwards)
        last = after[0]
        if mask is not None:
            last, outputs = self._as_masked(last, outputs, mask)
        if not self.return_sequences:
            return last, ops.expand_dims(last, 1), after
        return last, ops.flip(outputs, 1) if self.go_backwards else outputs, after

    def _as_masked(self, last: Any, outputs: Any, mask: Any) -> tuple[Any, Any]:
        """0 where Keras says so, in the order of time."""
        if self.zero_output_for_mask:
            is_output, is_last = mask, mask[:, 0 if self.go_backwards else -1]
        elif backend.NAME == "jax":
            return last, outputs
        else:
            in_order = ops.flip(mask, 1) if self.go_backwards else mask
            is_output = ops.cumsum(ops.cast(in_order, "int32"), 1) > 0
            is_output = ops.flip(is_output, 1) if self.go_backwards else is_output
            is_last = ops.any(mask, 1)
        last = backend.where(is_last, last, ops.zeros_like(last))
        return last, backend.where(is_output, outputs, ops.zeros_like(outputs)) if self.return_sequences else outputs

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        config = super().get_config()
        own = {"name", "trainable", "dtype"}
        of_cell = {name: value for name, value in config.pop("cell")["config"].items() if name not in own}
        return {**config, **of_cell}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The layer with these arguments."""
        return cls(**config)


def of_cell(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What the cell of a layer gets of the arguments that every layer of Keras takes."""
    return {"name": name, "dtype": settings.get("dtype"), "trainable": settings.get("trainable", True)}
