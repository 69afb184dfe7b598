"""What the filter layers share: Keras's conventions for signals, and a state that goes in, comes out or stays.

Signals are (B, T), or (B, T, C) with ``data_format="channels_last"`` and (B, C, T) with ``"channels_first"``. The
kernel reads and writes either as it is: nothing is transposed, and no signal is copied for the filters that share it.

Filters run in float32 or float64, whatever the dtype policy of the layer says of signals.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from .backend import NAME
from .sosfilt import check_available, sosfilt

Shape = tuple[Any, ...]


class FilterLayer(keras.layers.Layer):
    """A layer that is a cascade of second-order sections over every signal.

    Subclasses have `to_sos`, and say what becomes of channels.
    """

    states_per_signal: Shape  # the shape of the state, without batch and channels

    def __init__(
        self,
        *,
        data_format: str | None,
        stateful: bool,
        return_state: bool,
        filter_dtype: str | None,
        **settings: Any,
    ) -> None:
        super().__init__(autocast=False, **settings)
        self.data_format = keras.config.image_data_format() if data_format is None else data_format
        if self.data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                f"{type(self).__name__}: data_format is {data_format!r}, expected 'channels_last' or 'channels_first'"
            )
        self.stateful, self.return_state = stateful, return_state
        self.filter_dtype = self._checked_dtype(filter_dtype)
        self.state: Any = None
        self.supports_masking = True
        if NAME == "tensorflow":
            self.supports_jit = False  # XLA compiles no kernels but its own

    def _checked_dtype(self, given: str | None) -> str:
        name = type(self).__name__
        least = "float64" if self.variable_dtype == "float64" else "float32"
        dtype = least if given is None else keras.backend.standardize_dtype(given)
        if dtype not in ("float32", "float64"):
            raise ValueError(f"{name}: filter_dtype is {dtype}, expected float32 or float64")
        if (dtype, least) == ("float32", "float64"):
            raise ValueError(f"{name}: filter_dtype is float32, expected float64 for weights and signals of float64")
        check_available(name, dtype)
        return dtype

    def build(self, inputs_shape: Shape, initial_state_shape: Shape | None = None) -> None:
        """Make what depends on the shape of the signals: the state of a stateful layer."""
        shape = self._checked_shape(inputs_shape)
        if self.stateful and self.state is None:
            if None in shape:
                raise ValueError(
                    f"{type(self).__name__}: inputs have shape {tuple(inputs_shape)}, but a stateful layer has to know "
                    "the number of signals and channels: give keras.Input its batch_shape"
                )
            self.state = self.add_weight(
                shape=shape,
                initializer="zeros",
                dtype=self.filter_dtype,
                trainable=False,
                autocast=False,
                name="state",
            )

    def call(self, inputs: Any, initial_state: Any = None) -> Any:
        """Filter signals.

        Args:
            inputs: Signals, (B, T) or with channels.
            initial_state: Where the block before left off; by default silence, or, of a stateful layer, where its last
                call left off.

        Returns:
            The filtered signals; with ``return_state``, also the state after the last sample.
        """
        wanted = self._checked_shape(inputs.shape)
        state = initial_state
        if state is not None and not _fits(state.shape, wanted):
            raise ValueError(
                f"{type(self).__name__}: initial_state has shape {tuple(state.shape)}, expected {wanted} for inputs of "
                f"shape {tuple(inputs.shape)}"
            )
        if self.stateful:
            if not _fits(self.state.shape, wanted):
                raise ValueError(
                    f"{type(self).__name__}: inputs have shape {tuple(inputs.shape)}, expected as many signals and "
                    f"channels as the layer keeps states of, {tuple(self.state.shape)}; it is stateful"
                )
            if state is None:
                state = ops.copy(self.state.value)  # which torch overwrites before it goes backward
        elif state is None and self.return_state:
            state = ops.zeros(self.state_shape(ops.shape(inputs)), self.filter_dtype)
        x = ops.cast(inputs, self.compute_dtype if self.compute_dtype in ("float32", "float64") else "float32")
        signals, axis = self._signals(x)
        state = None if state is None else ops.cast(state, self.filter_dtype)
        y, after = sosfilt(self.to_sos(), signals, axis, state, self.filter_dtype)
        y = ops.cast(self._outputs(y), self.compute_dtype)
        if self.stateful:
            self.state.assign(after)
        return (y, after) if self.return_state else y

    def to_sos(self) -> Any:
        """The sections, as `feedbackward.sosfilt` takes them."""
        raise NotImplementedError

    def reset_state(self) -> None:
        """Back to silence: the next block of a stateful layer begins a new stream."""
        if self.state is not None:
            self.state.assign(ops.zeros_like(self.state.value))

    def state_shape(self, inputs_shape: Shape) -> Shape:
        """The shape of the state for inputs of a shape."""
        batch, channels = inputs_shape[0], self._channels(inputs_shape)
        return (batch, *channels, *self.states_per_signal)

    def compute_output_shape(self, inputs_shape: Shape, initial_state_shape: Shape | None = None) -> Any:
        """The shape of the outputs; with ``return_state``, also that of the state."""
        y = self._output_shape(tuple(inputs_shape))
        return (y, self.state_shape(inputs_shape)) if self.return_state else y

    def compute_output_spec(self, inputs: Any, initial_state: Any = None) -> Any:
        """The shapes and dtypes of `call`."""
        self._checked_shape(inputs.shape)
        y = keras.KerasTensor(self._output_shape(tuple(inputs.shape)), dtype=self.compute_dtype)
        if not self.return_state:
            return y
        return y, keras.KerasTensor(self.state_shape(inputs.shape), dtype=self.filter_dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            **super().get_config(),
            "data_format": self.data_format,
            "stateful": self.stateful,
            "return_state": self.return_state,
            "filter_dtype": self.filter_dtype,
        }

    def _channels(self, shape: Shape) -> Shape:
        """The number of channels, or nothing where signals have none."""
        if len(shape) == 2:
            return ()
        return (shape[-1] if self.data_format == "channels_last" else shape[1],)

    def _checked_shape(self, shape: Shape) -> Shape:
        """The shape of the state of such inputs; raises ValueError where they are no signals."""
        if len(shape) not in (2, 3):
            layout = "(B, T, C)" if self.data_format == "channels_last" else "(B, C, T)"
            raise ValueError(f"{type(self).__name__}: inputs have shape {tuple(shape)}, expected (B, T) or {layout}")
        return self.state_shape(tuple(shape))

    def _signals(self, x: Any) -> tuple[Any, int]:
        """x as it broadcasts with the sections, and its time axis."""
        raise NotImplementedError

    def _outputs(self, y: Any) -> Any:
        """What is filtered, in the layout of Keras."""
        return y

    def _output_shape(self, shape: Shape) -> Shape:
        return shape

    def _designed(self, weight: Any) -> Any:
        """A weight in the dtype in which it becomes coefficients."""
        return ops.cast(weight, self.filter_dtype)

    @property
    def _eps(self) -> float:
        return float(np.finfo(self.filter_dtype).eps)


def _fits(shape: Shape, wanted: Shape) -> bool:
    """Whether a shape is the wanted one, as far as both are known."""
    return len(shape) == len(wanted) and all(
        a is None or b is None or a == b for a, b in zip(shape, wanted, strict=True)
    )
