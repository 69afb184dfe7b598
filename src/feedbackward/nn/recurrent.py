"""Recurrent layers in the place of torch.nn's: the same constructor, parameters, call and numbers, faster on CPU.

    RNN     h' = act(W_ih x + b_ih + W_hh h + b_hh)
    GRU     r, z, n gates
    LSTM    i, f, g, o gates                                (the equations stand in `feedbackward.recurrent.cells`)

Beyond torch.nn: a structure for the recurrent matrices, any nonlinearity, lengths instead of packing, all states,
single steps for streams, layer normalization and recurrent dropout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..recurrent.arguments import Given
from ..recurrent.cells import activation_of, gru_cell, lstm_cell, rnn_cell
from ..recurrent.companion import companion
from ..recurrent.functional import run_gru, run_lstm, run_rnn
from ..recurrent.stack import Options
from ..recurrent.structures import Structure
from ._recurrent import Recurrent
from ._stream import wide


class RNN(Recurrent):
    """A stack of simple recurrent layers, in the place of `torch.nn.RNN`.

        h[t] = act(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh)

    Args:
        input_size: Channels of x.
        hidden_size: Channels of h.
        num_layers: Layers on top of each other.
        nonlinearity: ``"tanh"``, ``"relu"``, ``"identity"``, ``"sigmoid"``, ``"softsign"``, or any function of a tensor
            that a `feedbackward.scan` can lower.
        bias: Whether there are biases.
        batch_first: Whether x and output are (B, T, ...); states never are.
        dropout: The share of a layer's output that the layer above does not see in training.
        bidirectional: Whether every layer runs in both directions.
        device: Of the weights.
        dtype: Of the weights, float32 or float64.
        structure: Of the recurrent matrices: `feedbackward.Dense` by default, `Banded`, `BlockDiagonal`, `Diagonal`,
            `LowRankPlusDiagonal`; ``weight_hh_l{k}`` has the shape that it stores.
        recurrent_init: Of the recurrent matrices: ``"uniform"`` as torch.nn, in +-1 / sqrt(entries of a row);
            ``"orthogonal"``; ``"unit_radius"``, uniform and scaled to a spectral radius of 1.
        layer_norm: Normalize W_ih x and W_hh h over the channels, each with a gain ``norm_ih``, ``norm_hh``.
        recurrent_dropout: The share of h that W_hh does not see in training, the same channels at every step.
        checkpoint: What backward keeps, as in `feedbackward.scan`.

    Attributes:
        weight_ih_l0: With weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_ih_l0_reverse and so on the parameters of
            torch.nn.RNN, by its names; a state_dict goes both ways.

    Raises:
        ValueError, TypeError: An argument does not fit.

    Example:
        >>> import torch, feedbackward as fb
        >>> layer = fb.nn.RNN(3, 64, num_layers=2, structure=fb.Banded(4))
        >>> output, h_n = layer(torch.randn(10, 5, 3))
        >>> output.shape, h_n.shape, layer.weight_hh_l1.shape
        (torch.Size([10, 5, 64]), torch.Size([2, 5, 64]), torch.Size([9, 64]))

    Source:
        Elman, "Finding structure in time", Cognitive Science 14, 1990.
    """

    kind = "rnn"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str | Callable[[Tensor], Tensor] = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        structure: Structure | None = None,
        recurrent_init: str = "uniform",
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        checkpoint: str | int | None = "auto",
    ) -> None:
        activation_of(type(self).__name__, nonlinearity)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
            structure=structure,
            recurrent_init=recurrent_init,
            layer_norm=layer_norm,
            recurrent_dropout=recurrent_dropout,
            checkpoint=checkpoint,
        )
        self.nonlinearity = nonlinearity  # a module among its modules, if it is one

    def _cell(self, layer: Any, mask: Tensor | None = None) -> Any:
        return rnn_cell(layer, activation_of("RNN", self.nonlinearity), mask)

    def _run(self, given: Given, options: Options) -> Any:
        return run_rnn(given, options, activation_of("RNN", self.nonlinearity))

    @classmethod
    def from_filter(cls, b: Any, a: Any, *, scale: float | None = None, **settings: Any) -> RNN:
        """The layer that is a recursive filter: ``output[..., :1]`` is ``lfilter(b, a, x)``, for x (..., T, 1).

            h = (y, s_1 .. s_n),   h[t] = W_hh h[t-1] + W_ih x[t],   W_hh a companion matrix of the filter

        With a ``scale`` e it is the layer that `torch.nn.RNN` can be too (see `to_torch`): the nonlinearity is tanh, x
        comes in multiplied by e, which leaves it nearly linear, and ``output[..., :1] / e`` is nearly y. As
        tanh(u) = u - u^3 / 3 + ..., each step is off by at most (e |h|)^2 / 3 of |h|, and the error of y by as much as
        the filter amplifies that: about e^2 max |h|^2 / 3 times the length of its impulse response. Below an e of about
        1e-4, rounding in float32 is larger.

        Args:
            b: Numerator (nb,): a tensor, an array or a list.
            a: Denominator (na,), a[0] not 0.
            scale: e; None for the filter itself.
            settings: batch_first, device, dtype, checkpoint.

        Returns:
            A new layer without biases, with input_size 1 and hidden_size max(nb, na), at least 2.

        Raises:
            ValueError: b or a is empty or no vector, a[0] is 0, or scale is not positive.

        Example:
            >>> import torch, feedbackward as fb
            >>> b, a = torch.tensor([0.2, 0.3]), torch.tensor([1.0, -0.5])
            >>> x = torch.randn(100)
            >>> y = fb.nn.RNN.from_filter(b, a)(x.unsqueeze(-1))[0][:, 0]
            >>> torch.allclose(y, fb.lfilter(b, a, x), atol=1e-6)
            True
        """
        wide_b, wide_a = wide("RNN.from_filter", "b", b), wide("RNN.from_filter", "a", a)
        for name, c in (("b", wide_b), ("a", wide_a)):
            if c.ndim != 1 or not len(c):
                raise ValueError(f"RNN.from_filter: {name} has shape {tuple(c.shape)}, expected (n,), n at least 1")
        if wide_a[0] == 0:
            raise ValueError("RNN.from_filter: a[0] is 0, expected another number: it divides all coefficients")
        if scale is not None and not scale > 0:
            raise ValueError(f"RNN.from_filter: scale is {scale!r}, expected a positive number or None")
        weight_ih, weight_hh = companion(wide_b, wide_a)
        nonlinearity = "identity" if scale is None else "tanh"
        layer = cls(1, weight_hh.shape[0], nonlinearity=nonlinearity, bias=False, **settings)
        with torch.no_grad():
            layer.get_parameter("weight_ih_l0").copy_(weight_ih * (scale or 1))
            layer.get_parameter("weight_hh_l0").copy_(weight_hh)
        return layer

    def _more_for_torch(self) -> dict[str, Any]:
        if self.nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"RNN.to_torch: torch.nn.RNN has no nonlinearity {self.nonlinearity!r}, only tanh and relu"
            )
        return {"nonlinearity": self.nonlinearity}

    def _more_repr(self) -> dict[str, Any]:
        return {} if self.nonlinearity == "tanh" else {"nonlinearity": self.nonlinearity}


class GRU(Recurrent):
    """A stack of gated recurrent units, in the place of `torch.nn.GRU`.

        r = s(W_ir x + b_ir + W_hr h + b_hr),   z = s(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r (W_hn h + b_hn)),   h' = (1 - z) n + z h

    Args:
        input_size: Channels of x.
        hidden_size: Channels of h.
        num_layers: As for `RNN`; and so are all others. A structure is that of every gate.

    Example:
        >>> import torch, feedbackward as fb
        >>> torch_layer = torch.nn.GRU(3, 8)
        >>> layer = fb.nn.GRU(3, 8)
        >>> layer.load_state_dict(torch_layer.state_dict())
        <All keys matched successfully>
        >>> x = torch.randn(10, 5, 3)
        >>> torch.allclose(layer(x)[0], torch_layer(x)[0], atol=1e-6)
        True

    Source:
        Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014, with torch.nn's place of r.
    """

    kind = "gru"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
            **settings,
        )

    def _cell(self, layer: Any, mask: Tensor | None = None) -> Any:
        return gru_cell(layer, mask)

    def _run(self, given: Given, options: Options) -> Any:
        return run_gru(given, options)


class LSTM(Recurrent):
    """A stack of layers with long short-term memory, in the place of `torch.nn.LSTM`.

        i, f, o = s(W_i* x + b_i* + W_h* h + b_h*),   g = tanh(W_ig x + b_ig + W_hg h + b_hg)
        c' = f c + i g,   h' = W_hr (o tanh(c'))

    Args:
        input_size: Channels of x.
        hidden_size: Channels of c, and of h where there is no projection.
        num_layers: As for `RNN`; and so are all others. A structure is that of every gate.
        proj_size: Channels of h; 0 for no projection.

    Example:
        >>> import torch, feedbackward as fb
        >>> layer = fb.nn.LSTM(3, 8, batch_first=True)
        >>> output, (h_n, c_n) = layer(torch.randn(5, 10, 3), lengths=[10, 7, 10, 1, 0])
        >>> output.shape, h_n.shape, output[1, 7:].abs().max().item()
        (torch.Size([5, 10, 8]), torch.Size([1, 5, 8]), 0.0)

    Source:
        Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9, 1997.
    """

    kind = "lstm"

    def _states(self, hx: Any) -> dict[str, Tensor | None]:
        if hx is None:
            return {"h_0": None, "c_0": None}
        if not isinstance(hx, (tuple, list)) or len(hx) != 2:
            raise TypeError(f"LSTM: hx is a {type(hx).__name__}, expected a pair (h_0, c_0)")
        return {"h_0": hx[0], "c_0": hx[1]}

    def _cell(self, layer: Any, mask: Tensor | None = None) -> Any:
        return lstm_cell(layer, mask)

    def _run(self, given: Given, options: Options) -> Any:
        return run_lstm(given, options)
