"""A learnable cascade of second-order sections for Keras that is stable whatever its weights.

The formulas, the weights and their names are those of `feedbackward.nn.SOSFilter`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from ..formulas.arguments import check_count, check_max_radius
from ..formulas.arrays import numpy
from ..formulas.cookbook import BUTTERWORTH, peaking, prototype
from ..formulas.section import FIRST, LAST, inside, mix, reflections, scaled, section, within
from ..formulas.spacing import grid
from .backend import register
from .filter_layer import FilterLayer, Shape
from .sosfilt import operations


@register
class SOSFilter(FilterLayer):
    """A learnable cascade of second-order sections, always stable: (B, T) -> (B, T), (B, T, C) -> (B, T, C).

    With k = tanh(raw_a), every section is::

        a_1 = r k_1 (1 + k_2),    a_2 = r^2 k_2
        b(z) = m_low low (1 + z^-1)^2 + m_band band (1 - z^-2) + m_high high (1 - z^-1)^2,    b_i <- b_i r^i
        low = (1 + k_1) (1 + k_2) / 4,    band = (1 - k_2) / 2,    high = (1 - k_1) (1 + k_2) / 4

    A new cascade is the identity: each section mixes its low, band and high pass at a gain of 1, and the sections are
    spread over the frequencies from 0.005 to 0.45 of the sample rate. `from_sos` starts from a given filter.

    Args:
        sections: Number of sections.
        depthwise: Whether every channel has a cascade of its own. By default all channels share one.
        max_radius: Bound r of every pole's radius, in (0, 1].
        data_format: "channels_last" or "channels_first", where channels are; by default
            `keras.config.image_data_format()`.
        stateful: Whether a call continues where the last one left off, until `reset_state`.
        return_state: Whether to return the state after the last sample beside the outputs.
        filter_dtype: "float32" or "float64", the dtype of coefficients, state and recursion; float64 for poles near the
            unit circle. By default that of the weights, and float32 at least. Signals keep the dtype of the policy.
        **settings: Those of `keras.layers.Layer`: name, dtype, trainable.

    Call arguments:
        inputs: (B, T), or (B, T, C), or (B, C, T) with "channels_first".
        initial_state: Where the block before left off, (B, sections, 2), or (B, C, sections, 2).

    Returns:
        The filtered signals, of the shape of inputs; and with ``return_state``, the state after the last sample.

    Attributes:
        mix: Gains of the low, band and high pass of each section, (sections, 3), or (C, sections, 3) with `depthwise`.
        raw_a: Unconstrained weights of the denominators, (sections, 2), or (C, sections, 2).
        state: Of a stateful layer.

    Raises:
        ValueError: No sections, a max_radius outside of (0, 1], an unknown data_format or dtype, or inputs that are no
            signals, or have no channels, or others than before, with `depthwise`.
        TypeError: `sections` is not an integer.
        NotImplementedError: A tensor is not on the CPU, or XLA of TensorFlow is to compile the call.

    Example:
        >>> import keras, numpy as np
        >>> from feedbackward.keras import SOSFilter
        >>> equalizer = SOSFilter(6, return_state=True)
        >>> x = np.random.default_rng(0).normal(size=(2, 1000)).astype("float32")
        >>> y, state = equalizer(x)
        >>> tuple(y.shape), tuple(state.shape)
        ((2, 1000), (2, 6, 2))
        >>> bool(np.allclose(keras.ops.convert_to_numpy(y), x, atol=1e-4))
        True

    Source:
        V. Zavalishin, "The Art of VA Filter Design" (2012), chapter 4; B. Kuznetsov, J. Parker, F. Esqueda,
        "Differentiable IIR filters for machine learning applications", DAFx 2020.
    """

    mix: Any
    raw_a: Any

    def __init__(
        self,
        sections: int,
        *,
        depthwise: bool = False,
        max_radius: float = 1.0,
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
        check_count("SOSFilter", "sections", sections, 1)
        check_max_radius("SOSFilter", max_radius)
        self.sections, self.depthwise, self.max_radius = sections, depthwise, max_radius
        self.states_per_signal = sections, 2
        self.mix = self.raw_a = None
        if not depthwise:
            self._make_weights(())

    @classmethod
    def from_sos(cls, sos: Any, *, max_radius: float = 1.0, **settings: Any) -> SOSFilter:
        """The layer of a given cascade; `to_sos` gives it back to rounding.

        Args:
            sos: Rows [b0, b1, b2, a0, a1, a2], (sections, 6), or (C, sections, 6) for a cascade per channel; a0
                different from 0.
            max_radius: Bound of every pole's radius, in (0, 1].
            **settings: As in the class.

        Returns:
            A new layer.

        Raises:
            ValueError: sos has another shape, or a pole on or outside of max_radius.
            TypeError: sos is complex.

        Example:
            >>> sos = [[0.25, 0.25, 0.0, 1.0, -0.5, 0.0], [2.0, 0.0, 0.0, 2.0, -0.5, 0.125]]
            >>> rows = ops.convert_to_numpy(SOSFilter.from_sos(sos).to_sos())
            >>> bool(np.allclose(rows[1], [1.0, 0.0, 0.0, 1.0, -0.25, 0.0625], atol=1e-6))
            True
        """
        rows = np.asarray(ops.convert_to_numpy(sos) if hasattr(sos, "dtype") else sos)
        if np.iscomplexobj(rows):
            raise TypeError("SOSFilter.from_sos: sos is complex, expected real coefficients")
        if rows.ndim not in (2, 3) or rows.shape[-1] != 6 or rows.shape[-2] == 0:
            raise ValueError(
                f"SOSFilter.from_sos: sos has shape {rows.shape}, expected (sections, 6) or (C, sections, 6)"
            )
        layer = cls(rows.shape[-2], depthwise=rows.ndim == 3, max_radius=max_radius, **settings)
        if layer.depthwise:
            layer._make_weights(rows.shape[:1])
        raw_a, gains = _invert(rows.astype(np.float64), max_radius, inside(layer._eps))
        layer.raw_a.assign(raw_a)
        layer.mix.assign(gains)
        return layer

    def build(self, inputs_shape: Shape, initial_state_shape: Shape | None = None) -> None:
        """Make the weights of channels that have their own, and the state of a stateful layer."""
        super().build(inputs_shape, initial_state_shape)
        if self.mix is None:
            channels = self._channels(inputs_shape)
            if None in channels:
                raise ValueError(
                    f"SOSFilter: inputs have shape {tuple(inputs_shape)}, expected a known number of channels: with "
                    "depthwise=True each has weights of its own"
                )
            self._make_weights(channels)

    def to_sos(self) -> Any:
        """The sections, rows [b0, b1, b2, 1, a1, a2], (sections, 6) or (C, sections, 6), differentiable."""
        if self.mix is None:
            raise ValueError("SOSFilter: to_sos needs the number of channels, which is not known yet: build the layer")
        raw, gains = self._designed(self.raw_a), self._designed(self.mix)
        b, (a_1, a_2) = section(operations, raw, gains, inside(self._eps), within(self.max_radius))
        return ops.stack([*b, ops.ones_like(a_1), a_1, a_2], -1)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        own = {"sections": self.sections, "depthwise": self.depthwise, "max_radius": self.max_radius}
        return {**super().get_config(), **own}

    def _make_weights(self, channels: Shape) -> None:
        self.mix = self.add_weight(shape=(*channels, self.sections, 3), initializer="ones", autocast=False, name="mix")
        self.raw_a = self.add_weight(
            shape=(*channels, self.sections, 2), initializer="zeros", autocast=False, name="raw_a"
        )
        centers = grid(numpy, FIRST, LAST, self.sections, "octave")[1::2]
        rows = peaking(numpy, prototype(numpy, centers, BUTTERWORTH, 0.0 * centers, 1.0))
        self.raw_a.assign(np.broadcast_to(np.arctanh(_reflections(rows[:, 4:], 1.0)), self.raw_a.shape))

    def _checked_shape(self, shape: Shape) -> Shape:
        state = super()._checked_shape(shape)
        if self.depthwise and len(shape) == 2:
            raise ValueError(
                f"SOSFilter: inputs have shape {tuple(shape)}, expected an axis of channels, which depthwise=True needs"
            )
        channels = self._channels(shape)
        if self.depthwise and self.mix is not None and channels[0] not in (None, self.mix.shape[0]):
            raise ValueError(
                f"SOSFilter: inputs have shape {tuple(shape)}, expected {self.mix.shape[0]} channels, as many as have "
                "a cascade of their own"
            )
        return state

    def _signals(self, x: Any) -> tuple[Any, int]:
        return x, 1 if self.data_format == "channels_last" else len(x.shape) - 1


def _reflections(a: Any, max_radius: float) -> Any:
    """The reflection coefficients of denominators (a_1, a_2), (..., 2)."""
    _, a_1, a_2 = scaled([None, a[..., 0], a[..., 1]], 1 / within(max_radius))
    return np.stack(reflections(a_1, a_2), -1)


def _invert(rows: Any, max_radius: float, limit: float) -> tuple[Any, Any]:
    """The weights of given rows, in float64.

    Raises:
        ValueError: A pole is on or outside of max_radius.
    """
    rows = rows / rows[..., 3:4]
    with np.errstate(divide="ignore", invalid="ignore"):
        k = _reflections(rows[..., 4:], max_radius)
    if not (np.abs(k) <= limit).all():
        raise ValueError(
            f"SOSFilter.from_sos: sos has a pole on or outside of max_radius = {max_radius:g}, or within rounding of "
            "it, expected all poles inside"
        )
    raw = np.arctanh(k)
    return raw, mix(numpy, raw, scaled([rows[..., i] for i in range(3)], 1 / within(max_radius)))
