"""What the cells share: a recurrent kernel of some structure, weights in their own dtype, and a program of the step."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from ..engine.ir import Program
from ..engine.steps import ACTIVATIONS, matrices
from ..recurrent.structures import Dense, Structure
from . import structures


class StructuredCell:
    """One step with weights (input, gates n), ``stored_shape(structure, n, gates)`` and biases.

    It stands before a cell of Keras among the bases of a class: arguments, regularizers, constraints and dropout are
    Keras's. The weights are read in the dtype of the step's input, so that a layer can compute in their own where a
    cell computes in a narrower one.
    """

    gates = 1
    reset_after = True

    units: int
    use_bias: bool
    kernel: Any
    recurrent_kernel: Any
    bias: Any
    structure: Structure

    def __init__(self, units: Any, *arguments: Any, **settings: Any) -> None:
        if isinstance(units, bool) or not hasattr(units, "__index__") or units < 1:
            raise ValueError(f"{type(self).__name__}: units is {units!r}, expected an integer of at least 1")
        super().__init__(int(units), *arguments, **settings)  # type: ignore[call-arg]

    def _set_structure(self, structure: Any) -> None:
        self.structure = structures.get(type(self).__name__, structure, self.units)
        self.implementation, self.dropout_mask_count = 2, None  # one mask serves all gates

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _initial_bias(self, shape: Any, dtype: Any = None) -> Any:
        return self.bias_initializer(shape, dtype=dtype)  # type: ignore[attr-defined]

    def _initial_recurrent(self, shape: Any, dtype: Any = None) -> Any:
        initializer = self.recurrent_initializer  # type: ignore[attr-defined]
        return structures.initial(self.structure, initializer, self.units, self.gates, dtype)

    def build(self, input_shape: Any) -> None:
        """Make the weights, for inputs (B, input)."""
        shape = structures.stored_shape(self.structure, self.units, self.gates)
        initial = self.kernel_initializer  # type: ignore[attr-defined]
        self.kernel = self._weight("kernel", (input_shape[-1], self.gates * self.units), initial, "kernel")
        self.recurrent_kernel = self._weight("recurrent_kernel", shape, self._initial_recurrent, "recurrent")
        self.bias = self._weight("bias", self._bias_shape(), self._initial_bias, "bias") if self.use_bias else None

    def _weight(self, name: str, shape: tuple[int, ...], initializer: Any, of: str) -> Any:
        return self.add_weight(  # type: ignore[attr-defined]
            name=name,
            shape=shape,
            initializer=initializer,
            regularizer=getattr(self, f"{of}_regularizer"),
            constraint=getattr(self, f"{of}_constraint"),
            autocast=False,
        )

    # What a layer computes for all steps at once

    def of_input(self, x: Any) -> Any:
        """x kernel + bias (..., gates n), with all of the bias that no gate multiplies."""
        u = x @ ops.cast(self.kernel, x.dtype)
        return u if self.bias is None else u + ops.cast(self._bias_of_input(), x.dtype)

    def _bias_of_input(self) -> Any:
        return self.bias

    def held(self) -> list[Any]:
        """What a program of the step holds beside a mask."""
        return []

    def matrices(self, dtype: Any) -> list[Any]:
        """The matrices of a program of the step."""
        weight = ops.cast(self.recurrent_kernel, dtype)
        if isinstance(self.structure, Dense):
            weight = ops.transpose(weight)
        return matrices(self.structure, weight, self.units, self.gates, ops.reshape, reset_after=self.reset_after)

    def program(self, *, dropped: bool, masked: bool) -> Program:
        """The step as a program."""
        raise NotImplementedError

    # One step

    def _products(self, h: Any, first: int = 0, last: int | None = None) -> Any:
        """The products with the matrices of gates first .. last - 1."""
        last = self.gates if last is None else last
        weight = ops.cast(self.recurrent_kernel, h.dtype)
        if (first, last) != (0, self.gates):
            weight = structures.gates_of(self.structure, weight, self.gates, first, last)
        return structures.products(self.structure, weight, h, last - first)

    def _dropped(self, x: Any, h: Any, training: bool) -> tuple[Any, Any]:
        """What the matrices see of x and of h: in training, a part of their channels, the same at every step."""
        of_x = self.get_dropout_mask(x)  # type: ignore[attr-defined]
        of_h = self.get_recurrent_dropout_mask(h)  # type: ignore[attr-defined]
        if not training:
            return x, h
        return x if of_x is None else x * of_x, h if of_h is None else h * of_h

    @staticmethod
    def _activated(activation: Any, x: Any) -> Any:
        return x if activation is None else activation(x)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "structure": structures.serialize(self.structure)}  # type: ignore[misc]


def name_of(cell: str, argument: str, activation: Any) -> str:
    """The name by which programs know an activation.

    Raises:
        ValueError: They do not know it.
    """
    known = {name: getattr(keras.activations, name) for name in ACTIVATIONS if hasattr(keras.activations, name)}
    for name, function in known.items():
        if function is (keras.activations.linear if activation is None else activation):
            return name
    raise ValueError(
        f"{cell.removesuffix('Cell')}: {argument} is {activation!r}, expected one that the kernels know, "
        f"{', '.join(sorted(known))}; keras.layers.RNN({cell}(...)) runs any function"
    )
