"""The derivatives of every recurrence, of any order, from its tangent.

A recurrence is a pair of operators: `forward`, and `gradient`, the adjoint of its tangent map, which is a kernel too.

- The tangent of `forward` is a recurrence of the same kind, so it is written with `forward` itself.
- The gradient of `forward` is `gradient`.
- With S = <d, tangent(v)>: the gradient of <v, gradient(d)> with respect to d is tangent(v), and with respect to the
  inputs it is the gradient of S.

So forward and gradient express each other's derivatives. TensorFlow's forward mode is made of these too: it takes the
gradient of a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

Tensors = Sequence[Any]  # tensors, or None where there is no tangent
Settings = Mapping[str, Any]


class Recurrence:
    """The operators ``name(*inputs)`` and ``nameGradient(*d_outputs, *inputs, wanted)``, and their gradients.

    The last of the inputs, the state to start from, may be missing. Bit 2**i of ``wanted`` asks for the gradient of
    input i; what is not wanted comes back empty.

    Args:
        name: The operator's name.
        forward: The operator, from ``(*inputs, state as a list)`` and settings as keywords, to its outputs.
        gradient: The operator of its gradient, from ``(*d_outputs, *inputs, state as a list)``.
        shapes: ``(inputs, settings)``: what is known of the outputs' shapes.
        tangent: ``(inputs, v, settings)``: the tangent of every output along v.
        outputs: The number of outputs.
        inputs: The number of inputs without the state.
        settings: The names of the attributes of both operators.
    """

    def __init__(
        self,
        name: str,
        *,
        forward: Callable[..., Any],
        gradient: Callable[..., Any],
        shapes: Callable[[Tensors, Settings], Sequence[tf.TensorShape]],
        tangent: Callable[[Tensors, Tensors, Settings], Tensors],
        outputs: int,
        inputs: int,
        settings: Sequence[str],
    ) -> None:
        self._forward, self._gradient, self._shapes, self._tangent = forward, gradient, shapes, tangent
        self._outputs, self._inputs, self._settings = outputs, inputs, settings
        tf.RegisterGradient(name)(self._backward)
        tf.RegisterGradient(f"{name}Gradient")(self._backward_of_gradient)

    def forward(self, inputs: Tensors, settings: Settings) -> list[Any]:
        """The outputs, with all that is known of their shapes."""
        outputs = _flat(self._forward(*self._listed(inputs), **settings))
        for output, shape in zip(outputs, self._shapes(inputs, settings), strict=True):
            set_shape(output, shape)
        return outputs

    def gradient(self, d: Tensors, inputs: Tensors, settings: Settings, wanted: int) -> list[Any]:
        """The gradient of every input; None where it is not wanted."""
        found = _flat(self._gradient(*d, *self._listed(inputs), **settings, wanted=wanted))
        for i, (one, like) in enumerate(zip(found, inputs, strict=True)):
            if wanted & 1 << i:
                set_shape(one, like.shape)
        return [one if wanted & 1 << i else None for i, one in enumerate(found)]

    def _listed(self, inputs: Tensors) -> list[Any]:
        return [*inputs[: self._inputs], list(inputs[self._inputs :])]

    def _backward(self, op: Any, *d: Any) -> list[Any]:
        unused = skipped(op)
        wanted = sum(1 << i for i in range(len(op.inputs)) if i not in unused)
        return self.gradient(d, list(op.inputs), self._read(op), wanted)

    def _backward_of_gradient(self, op: Any, *v: Any) -> list[Any]:
        d, inputs = list(op.inputs[: self._outputs]), list(op.inputs[self._outputs :])
        settings, wanted = self._read(op), op.get_attr("wanted")
        along = [one if wanted & 1 << i else None for i, one in enumerate(v)]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            tangent = list(self._tangent(inputs, along, settings))
        return [*tangent, *tape.gradient(tangent, inputs, output_gradients=d)]

    def _read(self, op: Any) -> dict[str, Any]:
        return {name: op.get_attr(name) for name in self._settings}


def skipped(op: Any) -> Sequence[int]:
    """The inputs whose gradients nobody asks for: eager execution says so, graphs do not."""
    return tuple(getattr(op, "skip_input_indices", None) or ())


def set_shape(tensor: Any, shape: tf.TensorShape) -> None:
    """Tell a graph what it does not see itself; an eager tensor knows its shape."""
    if not hasattr(tensor, "numpy"):
        tensor.set_shape(shape)


def _flat(results: Any) -> list[Any]:
    """Outputs, and those of outputs that are lists."""
    if not isinstance(results, tuple):
        return [results]
    return [one for part in results for one in (part if isinstance(part, list) else [part])]
