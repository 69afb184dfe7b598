"""The recurrent layer whose matrix is a band: every channel hears its neighbors, and pays for them alone.

    h' = act(x kernel + bias + W h),    W[i, j] = 0 unless -lower <= j - i <= upper

W is stored by diagonals, recurrent_kernel (lower + upper + 1, n) with recurrent_kernel[d, i] = W[i, i + d - lower].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..recurrent.structures import Banded
from .backend import register
from .layer import Recurrent, of_cell
from .rnn import RNNCell


def banded(name: str, band_width: Any) -> Banded:
    """The structure that a band width means.

    Raises:
        TypeError: It is neither an integer nor a pair of them.
        ValueError: It is negative.
    """
    widths = (band_width, band_width) if type(band_width) is int else band_width
    if not isinstance(widths, (tuple, list)) or len(widths) != 2 or any(type(width) is not int for width in widths):
        raise TypeError(f"{name}: band_width is {band_width!r}, expected an integer or a pair (lower, upper)")
    if min(widths) < 0:
        raise ValueError(f"{name}: band_width is {band_width!r}, expected at least 0")
    return Banded(*widths)


@register
class BandRNNCell(RNNCell):
    """One step of a `BandRNN`, in Keras's operations.

        h' = act(x kernel + bias + W h),    W[i, j] = 0 unless -lower <= j - i <= upper

    Args:
        units: n, channels of h.
        band_width: Diagonals on either side of the main one, or a pair (lower, upper).
        activation: act, any that Keras takes.
        use_bias: Whether there is a bias.
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
        seed: See `RNNCell`.
        kwargs: name, dtype, trainable.

    Raises:
        TypeError, ValueError: An argument does not fit.

    Example:
        >>> import keras, feedbackward.keras as fbk
        >>> layer = keras.layers.RNN(fbk.BandRNNCell(32, band_width=(2, 1), activation="softmax"))
        >>> tuple(layer(keras.random.normal((4, 10, 3))).shape)
        (4, 32)
    """

    def __init__(
        self,
        units: int,
        band_width: int | Sequence[int],
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
        **kwargs: Any,
    ) -> None:
        super().__init__(
            units, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed,
            structure=banded(type(self).__name__, band_width), **kwargs,
        )  # fmt: skip

    @property
    def band_width(self) -> tuple[int, int]:
        """(lower, upper)."""
        assert isinstance(self.structure, Banded)
        return self.structure.widths

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        config = super().get_config()
        del config["structure"]
        return {**config, "band_width": list(self.band_width)}


@register
class BandRNN(Recurrent):
    """A recurrent layer whose recurrent matrix is a band, its loop in the kernels.

        h[t] = act(x[t] kernel + bias + W h[t-1]),    W[i, j] = 0 unless -lower <= j - i <= upper

    Memory and work are proportional to n (lower + upper + 1). The loop runs in the dtype of the weights, float32 or
    float64; inputs and outputs have the layer's compute dtype.

    Args:
        units: n, channels of h.
        band_width: Diagonals on either side of the main one, or a pair (lower, upper).
        activation: act, one of the functions or names of `keras.activations` that the kernels know;
            ``keras.layers.RNN(BandRNNCell(...))`` runs any other.
        use_bias: Whether there is a bias.
        kernel_initializer: This and what follows as for `RNN`.
        recurrent_initializer: See `RNN`; by default W is orthogonal.
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
        return_sequences: See `RNN`.
        return_state: See `RNN`.
        go_backwards: See `RNN`.
        stateful: See `RNN`.
        unroll: See `RNN`.
        seed: See `RNN`.
        kwargs: See `RNN`.

    Raises:
        TypeError, ValueError: An argument does not fit.
        NotImplementedError: When called: a tensor is not on the CPU, or XLA of TensorFlow is to compile the call.

    Example:
        >>> import keras, feedbackward.keras as fbk
        >>> model = keras.Sequential([fbk.BandRNN(64, 4, return_sequences=True), fbk.BandRNN(64, (2, 3))])
        >>> tuple(model(keras.random.normal((8, 20, 16))).shape)
        (8, 64)
        >>> tuple(model.layers[1].cell.recurrent_kernel.shape), model.layers[1].band_width
        ((6, 64), (2, 3))

    Source:
        Elman, "Finding structure in time", Cognitive Science 14, 1990, for the layer; the band storage of LAPACK
        (Anderson et al., LAPACK Users' Guide, 1999, section 5.3.3), indexed by row.
    """

    def __init__(
        self,
        units: int,
        band_width: int | Sequence[int],
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
        **kwargs: Any,
    ) -> None:
        cell = BandRNNCell(
            units, band_width, activation, use_bias, kernel_initializer, recurrent_initializer, bias_initializer,
            kernel_regularizer, recurrent_regularizer, bias_regularizer,
            kernel_constraint, recurrent_constraint, bias_constraint, dropout, recurrent_dropout, seed,
            **of_cell("band_rnn_cell", kwargs),
        )  # fmt: skip
        super().__init__(
            cell, return_sequences, return_state, go_backwards, stateful, unroll,
            activity_regularizer=activity_regularizer, **kwargs,
        )  # fmt: skip

    @property
    def band_width(self) -> tuple[int, int]:
        """(lower, upper)."""
        widths: tuple[int, int] = self.cell.band_width
        return widths
