"""A bank of learnable filters for Keras, each defined by a center frequency and a bandwidth.

The formulas, the weights and their names are those of `feedbackward.nn.FilterBank`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from ..formulas.arrays import numpy
from ..formulas.bank import Bank
from .backend import register
from .filter_layer import FilterLayer, Shape
from .sosfilt import operations


@register
class FilterBank(FilterLayer):
    """N second-order filters over every signal: (B, T) -> (B, T, filters), (B, T, C) -> (B, T, C * filters).

    With u and v the raw weights of a filter, m() a frequency scale and s() the logistic sigmoid::

        frequency = m^-1(m(low) + (m(high) - m(low)) s(u)),    bandwidth = narrow (wide / narrow)^s(v)

    The bands start out tiling `low` .. `high` evenly on the scale; the centers stay between `low` and `high`, at least
    0.001 Nyquist away from 0 and Nyquist, and bandwidths (of -3 dB) between 0.0001 and 0.9 Nyquist. No signal is copied
    for its filters.

    Args:
        filters: Number of filters.
        sample_rate: In Hz.
        kind: "bandpass" (0 dB at the center), "lowpass", "highpass", "notch", "allpass", "peaking", "lowshelf" or
            "highshelf".
        low: Lower edge of the first band in Hz, at least 0.
        high: Upper edge of the last band in Hz, at most, and by default, sample_rate / 2.
        scale: "mel", "mel_htk", "erb", "bark", "octave" or "linear".
        gain_db: Initial gain of "peaking", "lowshelf" and "highshelf".
        data_format: "channels_last" or "channels_first", where channels and filters are; by default
            `keras.config.image_data_format()`. Filter k of channel c is at c * filters + k, as in `DepthwiseConv1D`.
        stateful: Whether a call continues where the last one left off, until `reset_state`.
        return_state: Whether to return the state after the last sample beside the outputs.
        filter_dtype: "float32" or "float64", the dtype of coefficients, state and recursion; float64 for centers below
            about a thousandth of the sample rate. By default that of the weights, and float32 at least. Signals keep
            the dtype of the policy.
        **settings: Those of `keras.layers.Layer`: name, dtype, trainable.

    Call arguments:
        inputs: (B, T), or (B, T, C), or (B, C, T) with "channels_first".
        initial_state: Where the block before left off, (B, filters, 1, 2), or (B, C, filters, 1, 2).

    Returns:
        (B, T, filters) or (B, T, C * filters), with "channels_first" (B, filters, T) or (B, C * filters, T); and with
        ``return_state``, the state after the last sample.

    Attributes:
        raw_frequency: Unconstrained weights of the centers, (filters,).
        raw_bandwidth: Unconstrained weights of the bandwidths, (filters,).
        gain_db: Gains in dB, (filters,), or None for kinds without.
        state: Of a stateful layer.

    Raises:
        ValueError: An unknown kind, scale, data_format or dtype, a range that does not fit into 0 .. sample_rate / 2,
            or inputs that are no signals.
        TypeError: `filters` is not an integer.
        NotImplementedError: A tensor is not on the CPU, or XLA of TensorFlow is to compile the call.

    Example:
        >>> import keras, numpy as np
        >>> from feedbackward.keras import FilterBank
        >>> bank = FilterBank(4, sample_rate=16000, low=100.0, high=1600.0, scale="octave", return_state=True)
        >>> keras.ops.convert_to_numpy(bank.frequency).round().tolist()
        [141.0, 283.0, 566.0, 1131.0]
        >>> y, state = bank(np.ones((2, 1000), "float32"))
        >>> tuple(y.shape), tuple(state.shape)
        ((2, 1000, 4), (2, 4, 1, 2))
        >>> y, state = bank(np.ones((2, 1000), "float32"), initial_state=state)

    Source:
        R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients"; those of the scales are in
        `feedbackward.design.spacing`.
    """

    def __init__(
        self,
        filters: int,
        sample_rate: float,
        kind: str = "bandpass",
        *,
        low: float = 50.0,
        high: float | None = None,
        scale: str = "mel",
        gain_db: float = 0.0,
        data_format: str | None = None,
        stateful: bool = False,
        return_state: bool = False,
        filter_dtype: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(
            data_format=data_format,
            stateful=stateful,
            return_state=return_state,
            filter_dtype=filter_dtype,
            **settings,
        )
        self._bank = bank = Bank.of(numpy, filters, sample_rate, kind, low, high, scale)
        self.filters, self.sample_rate, self.kind = filters, sample_rate, kind
        self.low, self.high, self.scale = low, bank.high, scale
        self.states_per_signal = filters, 1, 2
        self.raw_frequency = self._weight("raw_frequency")
        self.raw_bandwidth = self._weight("raw_bandwidth")
        self.gain_db = self._weight("gain_db") if bank.has_gain else None
        self._initial_gain_db = gain_db
        self.initialize(*bank.tiles(numpy), gain_db if bank.has_gain else None)

    @property
    def frequency(self) -> Any:
        """Center frequencies in Hz, (filters,), differentiable."""
        return self._bank.frequency(operations, self._designed(self.raw_frequency))

    @property
    def bandwidth(self) -> Any:
        """Bandwidths in Hz, (filters,), differentiable."""
        return self._bank.bandwidth(operations, self._designed(self.raw_bandwidth))

    def initialize(self, frequency: Any = None, bandwidth: Any = None, gain_db: Any = None) -> None:
        """Set the weights in place, from values in Hz and dB that broadcast to (filters,); None leaves them.

        Args:
            frequency: Centers, strictly between `low` and `high` and 0.001 Nyquist away from 0 and Nyquist.
            bandwidth: Strictly between 0.0001 and 0.9 Nyquist.
            gain_db: Gains, for the kinds that have one.

        Raises:
            ValueError: A value out of its range, or a gain for a kind that has none.

        Example:
            >>> bank = FilterBank(2, sample_rate=16000)
            >>> bank.initialize(frequency=[440.0, 880.0], bandwidth=100.0)
            >>> ops.convert_to_numpy(bank.frequency).round().tolist()
            [440.0, 880.0]
            >>> ops.convert_to_numpy(bank.bandwidth).round().tolist()
            [100.0, 100.0]
        """
        if frequency is not None:
            wanted = self._broadcast("frequency", frequency, *self._bank.centers)
            self.raw_frequency.assign(self._bank.raw_frequency(numpy, wanted))
        if bandwidth is not None:
            wanted = self._broadcast("bandwidth", bandwidth, *self._bank.widths)
            self.raw_bandwidth.assign(self._bank.raw_bandwidth(numpy, wanted))
        if gain_db is not None:
            if self.gain_db is None:
                raise ValueError(f"FilterBank: gain_db is given, expected None: a {self.kind} has no gain")
            self.gain_db.assign(self._broadcast("gain_db", gain_db, -math.inf, math.inf))

    def to_sos(self) -> Any:
        """One section per filter, rows [b0, b1, b2, 1, a1, a2] (filters, 1, 6), differentiable."""
        weights = [self.raw_frequency, self.raw_bandwidth] + ([] if self.gain_db is None else [self.gain_db])
        return ops.expand_dims(self._bank.rows(operations, *map(self._designed, weights)), -2)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        names = "filters", "sample_rate", "kind", "low", "high", "scale"
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **own, "gain_db": self._initial_gain_db}

    def _weight(self, name: str) -> Any:
        return self.add_weight(shape=(self.filters,), initializer="zeros", autocast=False, name=name)

    def _signals(self, x: Any) -> tuple[Any, int]:
        if self.data_format == "channels_last":
            return ops.expand_dims(x, -1), 1
        return ops.expand_dims(x, -2), len(x.shape)

    def _outputs(self, y: Any) -> Any:
        if len(y.shape) == 3:
            return y
        batch, *sizes = ops.shape(y)
        if self.data_format == "channels_last":
            steps, channels, _ = sizes
            return ops.reshape(y, (batch, steps, channels * self.filters))
        channels, _, steps = sizes
        return ops.reshape(y, (batch, channels * self.filters, steps))

    def _output_shape(self, shape: Shape) -> Shape:
        if len(shape) == 2:
            batch, steps = shape
            channels: Any = self.filters
        elif self.data_format == "channels_last":
            batch, steps, channels = shape
        else:
            batch, channels, steps = shape
        if len(shape) == 3 and channels is not None:
            channels *= self.filters
        return (batch, steps, channels) if self.data_format == "channels_last" else (batch, channels, steps)

    def _broadcast(self, name: str, value: Any, low: float, high: float) -> Any:
        wanted = np.asarray(ops.convert_to_numpy(value) if hasattr(value, "dtype") else value, np.float64)
        if wanted.ndim > 1 or wanted.size not in (1, self.filters):
            raise ValueError(f"FilterBank: {name} has shape {wanted.shape}, expected () or ({self.filters},)")
        outside = ~((wanted > low) & (wanted < high))
        if outside.any():
            raise ValueError(
                f"FilterBank: {name} holds {wanted[outside][0]:g}, expected values between {low:g} and {high:g}"
            )
        return np.broadcast_to(wanted, (self.filters,))
