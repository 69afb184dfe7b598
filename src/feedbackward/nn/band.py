"""Recurrent layers whose recurrent matrix is a band: every channel hears its neighbors, and pays for them alone.

    h' = act(W_ih x + b_ih + W_hh h + b_hh),    W_hh[i, j] = 0 unless -lower <= j - i <= upper

W_hh is stored by diagonals, weight_hh (lower + upper + 1, hidden) with weight_hh[d, i] = W_hh[i, i + d - lower]:
memory, work and the optimizer's state are proportional to the band.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..recurrent.cells import Layer, activation_of, rnn_cell
from ..recurrent.structures import Banded, Matrix
from ._stream import check_count
from .recurrent import RNN


def _banded(name: str, band_width: int | Sequence[int]) -> Banded:
    if isinstance(band_width, int) and not isinstance(band_width, bool):
        widths: tuple[Any, ...] = (band_width, band_width)
    elif isinstance(band_width, Sequence) and len(band_width) == 2:
        widths = tuple(band_width)
    else:
        raise TypeError(f"{name}: band_width is {band_width!r}, expected an integer or a pair (lower, upper)")
    for width in widths:
        check_count(name, "band_width", width, 0)
    return Banded(*widths)


class BandRNN(RNN):
    """A stack of recurrent layers whose recurrent matrices are bands.

        h[t] = act(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh),    W_hh[i, j] = 0 unless -lower <= j - i <= upper

    Args:
        input_size: Channels of x.
        hidden_size: Channels of h.
        band_width: Diagonals on either side of the main one, or a pair (lower, upper).
        num_layers: As for `RNN`; and so are the others.
        nonlinearity: As for `RNN`.
        bias: As for `RNN`.
        batch_first: As for `RNN`.
        dropout: As for `RNN`.
        bidirectional: As for `RNN`.
        device: Of the weights.
        dtype: Of the weights.
        settings: recurrent_init, layer_norm, recurrent_dropout, checkpoint, as for `RNN`.

    Attributes:
        weight_hh_l0: (lower + upper + 1, hidden), and so for every layer: ``weight[d, i]`` is W_hh[i, i + d - lower].
            Entries that would lie outside of the matrix are zero and stay zero.

    Example:
        >>> import torch, feedbackward as fb
        >>> layer = fb.nn.BandRNN(16, 256, band_width=(2, 3))
        >>> output, h_n = layer(torch.randn(50, 8, 16))
        >>> output.shape, layer.weight_hh_l0.shape, layer.recurrent_matrix().to_dense().shape
        (torch.Size([50, 8, 256]), torch.Size([6, 256]), torch.Size([256, 256]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        band_width: int | Sequence[int],
        num_layers: int = 1,
        nonlinearity: str | Callable[[Tensor], Tensor] = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **settings: Any,
    ) -> None:
        structure = _banded("BandRNN", band_width)
        self.band_width = structure.widths
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            nonlinearity,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device,
            dtype,
            structure=structure,
            **settings,
        )


class BandRNNCell(nn.Module):
    """One step of a `BandRNN`, in the form of `torch.nn.RNNCell`.

        h' = act(W_ih x + b_ih + W_hh h + b_hh),    W_hh[i, j] = 0 unless -lower <= j - i <= upper

    Under `feedbackward.scan` it is a cell as it is, and a layer of its own is `BandRNN`.

    Args:
        input_size: Channels of x.
        hidden_size: Channels of h.
        band_width: Diagonals on either side of the main one, or a pair (lower, upper).
        bias: Whether there are biases.
        nonlinearity: As for `RNN`.
        device: Of the weights.
        dtype: Of the weights.

    Attributes:
        weight_ih: (hidden, input).
        weight_hh: (lower + upper + 1, hidden), by diagonals.
        bias_ih: (hidden,).
        bias_hh: (hidden,).

    Example:
        >>> import torch, feedbackward as fb
        >>> cell = fb.nn.BandRNNCell(3, 32, band_width=2)
        >>> cell(torch.randn(5, 3)).shape
        torch.Size([5, 32])
        >>> last, output = fb.scan(cell, torch.zeros(5, 32), torch.randn(10, 5, 3))
        >>> output.shape
        torch.Size([10, 5, 32])
    """

    weight_ih: Tensor
    weight_hh: Tensor
    like_torch_cell = True  # to feedbackward.scan

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        band_width: int | Sequence[int],
        bias: bool = True,
        nonlinearity: str | Callable[[Tensor], Tensor] = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_count("BandRNNCell", "input_size", input_size, 1)
        check_count("BandRNNCell", "hidden_size", hidden_size, 1)
        activation_of("BandRNNCell", nonlinearity)
        self.structure = _banded("BandRNNCell", band_width)
        self.input_size, self.hidden_size, self.band_width = input_size, hidden_size, self.structure.widths
        self.bias, self.nonlinearity = bias, nonlinearity
        shapes = {"weight_ih": (hidden_size, input_size), "weight_hh": self.structure.weight_shape(hidden_size)}
        biases = {"bias_ih": (hidden_size,), "bias_hh": (hidden_size,)} if bias else {}
        for name, shape in {**shapes, **biases}.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights of torch.nn's distribution; of the band, uniform in +-1 / sqrt(entries of a row)."""
        bound = 1 / math.sqrt(self.hidden_size)
        with torch.no_grad():
            for weight in self.parameters(recurse=False):
                weight.uniform_(-bound, bound)
            self.structure.uniform_(self.weight_hh)

    def recurrent_matrix(self) -> Matrix:
        """W_hh."""
        return self.structure(self.weight_hh)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """h' (B, hidden) or (hidden,) from x (B, input) or (input,) and h, zeros by default.

        Raises:
            ValueError: A shape does not fit.
        """
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise ValueError(
                f"BandRNNCell: input has shape {tuple(input.shape)}, expected (B, {self.input_size}) or "
                f"({self.input_size},) = (B, input_size)"
            )
        expected = (*input.shape[:-1], self.hidden_size)
        h = input.new_zeros(expected) if hx is None else hx
        if tuple(h.shape) != expected:
            raise ValueError(f"BandRNNCell: hx has shape {tuple(h.shape)}, expected {expected} = (B, hidden_size)")
        weights = {name: getattr(self, name, None) for name in ("bias_ih", "bias_hh")}
        layer = Layer(self.structure, self.weight_ih, self.weight_hh, **weights)
        return rnn_cell(layer, activation_of("BandRNNCell", self.nonlinearity))(h, input)[0]

    def extra_repr(self) -> str:
        """The arguments that made it."""
        more = "" if self.bias else ", bias=False"
        more += "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity!r}"
        return f"{self.input_size}, {self.hidden_size}, band_width={self.band_width}{more}"
