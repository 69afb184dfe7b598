"""Recurrent layers in the place of torch.nn's: the same constructor, parameters, call and numbers, faster on CPU.

    RNN     h' = act(W_ih x + b_ih + W_hh h + b_hh)
    GRU     r, z, n gates
    LSTM    i, f, g, o gates                                (the equations stand in `feedbackward.recurrent.cells`)

Beyond torch.nn: a structure for the recurrent matrices, any nonlinearity, lengths instead of packing, all states,
single steps for streams, layer normalization and recurrent dropout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ..recurrent import packed as packing
from ..recurrent.arguments import Given, validated
from ..recurrent.cells import GATES, activation_of, gru_cell, lstm_cell, rnn_cell
from ..recurrent.companion import companion
from ..recurrent.functional import run_gru, run_lstm, run_rnn
from ..recurrent.stack import Options
from ..recurrent.structures import Dense, Matrix, Structure
from ._stream import check_count, wide

INITIALIZATIONS = ("uniform", "orthogonal", "unit_radius")
_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "norm_ih", "norm_hh")


def _selected(states: Tensor | tuple[Tensor, ...], axis: int, order: Tensor) -> Any:
    """h, or (h, c), with the sequences in another order."""
    return (
        states.index_select(axis, order)
        if isinstance(states, Tensor)
        else tuple(s.index_select(axis, order) for s in states)
    )


class Recurrent(nn.Module):
    """What RNN, GRU and LSTM share; see there."""

    kind = ""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        structure: Structure | None = None,
        recurrent_init: str = "uniform",
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        checkpoint: str | int | None = "auto",
    ) -> None:
        super().__init__()
        name = type(self).__name__
        for argument, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            check_count(name, argument, size, 1)
        check_count(name, "proj_size", proj_size, 0)
        for argument, rate in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1:
                raise ValueError(f"{name}: {argument} is {rate!r}, expected a share from 0 to below 1")
        if proj_size >= hidden_size:
            raise ValueError(f"{name}: proj_size is {proj_size}, expected less than hidden_size = {hidden_size}")
        if structure is not None and not isinstance(structure, Structure):
            raise TypeError(f"{name}: structure is {structure!r}, expected one such as fb.Banded(8)")
        if recurrent_init not in INITIALIZATIONS:
            known = ", ".join(map(repr, INITIALIZATIONS))
            raise ValueError(f"{name}: recurrent_init is {recurrent_init!r}, expected one of {known}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self.structure = Dense() if structure is None else structure
        self.recurrent_init, self.layer_norm = recurrent_init, layer_norm
        self.recurrent_dropout, self.checkpoint = float(recurrent_dropout), checkpoint
        if proj_size and not isinstance(self.structure, Dense):
            raise ValueError(f"{name}: a projection needs dense recurrent matrices, but structure is {self.structure}")
        self.structure.check(hidden_size)
        self._parameters_of_layers(device, dtype)
        self.reset_parameters()

    @property
    def _gates(self) -> int:
        return GATES[self.kind]

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _parameters_of_layers(self, device: Any, dtype: Any) -> None:
        rows, out = self._gates * self.hidden_size, self.proj_size or self.hidden_size
        self._suffixes = [f"_l{k}{s}" for k in range(self.num_layers) for s in ("", "_reverse")[: self._directions]]
        for k, suffix in enumerate(self._suffixes):
            columns = self.input_size if k < self._directions else out * self._directions
            stored = self.structure.weight_shape(self.hidden_size, self._gates)
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (rows, columns),
                "weight_hh": (rows, out) if self.proj_size else stored,
            }
            if self.bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if self.proj_size:
                shapes |= {"weight_hr": (out, self.hidden_size)}
            if self.layer_norm:
                shapes |= {"norm_ih": (rows,), "norm_hh": (rows,)}
            for name, shape in shapes.items():
                self.register_parameter(name + suffix, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))

    def reset_parameters(self) -> None:
        """Weights of torch.nn's distribution, uniform in +-1 / sqrt(hidden_size); recurrent ones as asked for."""
        bound = 1 / math.sqrt(self.hidden_size)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if name.startswith("norm_"):
                    weight.fill_(1)
                elif name.startswith("weight_hh") and not self.proj_size:
                    for gate in self.structure.gates(weight, self._gates):
                        self._reset_recurrent(gate)
                else:
                    weight.uniform_(-bound, bound)

    def _reset_recurrent(self, weight: Tensor) -> None:
        if self.recurrent_init == "orthogonal":
            self.structure.orthogonal_(weight)
        else:
            self.structure.uniform_(weight)
        if self.recurrent_init == "unit_radius":
            self.structure.scale_(weight, 1 / self.structure.spectral_radius(weight).item())

    def recurrent_matrix(self, layer: int = 0, gate: int = 0, reverse: bool = False) -> Matrix:
        """The recurrent matrix of a layer and gate, with `Matrix.to_dense`, `Matrix.spectral_radius` and so on."""
        weight = getattr(self, f"weight_hh_l{layer}" + "_reverse" * reverse)
        return self.structure(self.structure.gates(weight, self._gates)[gate])

    # Running

    def _weights(self) -> dict[str, list[Tensor]]:
        first = self._suffixes[0]
        return {n: [getattr(self, n + s) for s in self._suffixes] for n in _WEIGHTS if hasattr(self, n + first)}

    def _validated(self, x: Tensor, states: dict[str, Tensor | None], batch_first: bool, lengths: Any) -> Given:
        return validated(
            type(self).__name__,
            x,
            self._weights(),
            states,
            structure=self.structure,
            num_layers=self.num_layers,
            directions=self._directions,
            batch_first=batch_first,
            lengths=lengths,
            kind=self.kind,
        )

    def _options(self, all_states: bool) -> Options:
        rates = (self.dropout, self.recurrent_dropout) if self.training else (0.0, 0.0)
        return Options(self._directions, *rates, self.checkpoint, all_states)

    def _states(self, hx: Any) -> dict[str, Tensor | None]:
        return {"hx": hx}

    def _cell(self, layer: Any, mask: Tensor | None = None) -> Any:
        raise NotImplementedError

    def _run(self, given: Given, options: Options) -> Any:
        raise NotImplementedError

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Any = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        return_all_states: bool = False,
    ) -> Any:
        """Run the sequence.

        Args:
            input: (T, B, input_size); (B, T, input_size) with ``batch_first``; (T, input_size) without a batch; or a
                PackedSequence.
            hx: The first states, as torch.nn takes them; zeros by default.
            lengths: (B,) numbers of steps, from 0 to T: outputs beyond are 0, and the last states are those at the end.
            return_all_states: Return the states of every layer at every step too.

        Returns:
            ``output, h_n``, as torch.nn (for an LSTM ``output, (h_n, c_n)``), packed where the input is; and with
            ``return_all_states`` h (layers * directions, T, B, hidden), or (h, c).

        Raises:
            ValueError: A shape does not fit.
        """
        if not isinstance(input, PackedSequence):
            given = self._validated(input, self._states(hx), self.batch_first, lengths)
            return self._run(given, self._options(return_all_states))
        if lengths is not None:
            raise ValueError(f"{type(self).__name__}: a PackedSequence has lengths of its own; leave lengths out")
        order, back = input.sorted_indices, input.unsorted_indices
        first = {
            name: h if h is None or order is None else h.index_select(1, order) for name, h in self._states(hx).items()
        }
        given = self._validated(packing.pad(input), first, False, packing.lengths_of(input))
        output, last, *states = self._run(given, self._options(return_all_states))
        if back is not None:
            last = _selected(last, 1, back)
            states = [_selected(every, 2, back) for every in states]
        return packing.pack(output, input), last, *states

    def step(self, x: Tensor, hx: Any = None) -> tuple[Tensor, Any]:
        """One step of a stream: what a call on the whole sequence computes, element by element.

        Args:
            x: (B, input_size) or (input_size,), the next element.
            hx: The states after the element before, as `forward` takes and returns them; None: the stream begins.

        Returns:
            The output (B, hidden) or (hidden,), and the states to go on with.

        Raises:
            ValueError: The layer is bidirectional, or a shape does not fit.
        """
        name = type(self).__name__
        if self.bidirectional:
            raise ValueError(f"{name}.step: a bidirectional layer needs the whole sequence")
        if not isinstance(x, Tensor) or x.ndim not in (1, 2):
            shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"{name}.step: x is {shape}, expected (B, {self.input_size}) or ({self.input_size},)")
        given = self._validated(x.unsqueeze(0), self._states(hx), False, None)
        y, after = given.x[0], []
        options = self._options(False)
        for k, layer in enumerate(given.layers):
            carry = [s[k] for s in given.states]
            if k and options.dropout:
                y = nn.functional.dropout(y, options.dropout)
            last, y = self._cell(layer)(carry[0] if len(carry) == 1 else tuple(carry), y)
            after.append((last,) if isinstance(last, Tensor) else last)
        states = [given.state(torch.stack(column)) for column in zip(*after, strict=True)]
        return y if given.batched else y.squeeze(0), states[0] if len(states) == 1 else tuple(states)

    # To and from torch.nn

    @classmethod
    def from_torch(cls, module: nn.RNNBase, **settings: Any) -> Any:
        """The same layer with a torch.nn layer's weights, which are shared.

        Args:
            module: A `torch.nn.RNN`, `GRU` or `LSTM`.
            settings: More arguments, such as ``checkpoint``.
        """
        expected = getattr(nn, cls.kind.upper())
        if not isinstance(module, expected):
            raise TypeError(
                f"{cls.__name__}.from_torch: module is a {type(module).__name__}, expected torch.nn.{expected.__name__}"
            )
        names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
        given = {name: getattr(module, name) for name in names}
        if cls.kind == "rnn":
            given["nonlinearity"] = module.nonlinearity
        elif cls.kind == "lstm":
            given["proj_size"] = module.proj_size
        mine = cls(**given, device="meta", **settings)
        for name, weight in module.named_parameters():
            mine.register_parameter(name, weight)
        return mine.train(module.training)

    def to_torch(self) -> nn.RNNBase:
        """The torch.nn layer with these weights, which are copied (a structured matrix becomes dense).

        Raises:
            ValueError: torch.nn has no such layer.
        """
        if self.layer_norm or self.recurrent_dropout:
            name = type(self).__name__
            raise ValueError(
                f"{name}.to_torch: torch.nn has no layer normalization and no recurrent dropout within a layer"
            )
        more = {"proj_size": self.proj_size} if self.kind == "lstm" else {}
        weight = next(self.parameters())
        theirs: nn.RNNBase = getattr(nn, self.kind.upper())(
            self.input_size,
            self.hidden_size,
            self.num_layers,
            bias=self.bias,
            batch_first=self.batch_first,
            dropout=self.dropout,
            bidirectional=self.bidirectional,
            device=weight.device,
            dtype=weight.dtype,
            **more,
            **self._more_for_torch(),
        )
        with torch.no_grad():
            for name, mine in self.named_parameters():
                is_structured = name.startswith("weight_hh") and not self.proj_size
                gates = self.structure.gates(mine, self._gates) if is_structured else ()
                dense = torch.cat([self.structure.to_dense(w) for w in gates]) if is_structured else mine
                getattr(theirs, name).copy_(dense)
        return theirs.train(self.training)

    def _more_for_torch(self) -> dict[str, Any]:
        return {}

    def extra_repr(self) -> str:
        """The arguments that differ from their defaults."""
        defaults: dict[str, Any] = {
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
            "proj_size": 0,
            "structure": Dense(),
            "recurrent_init": "uniform",
            "layer_norm": False,
            "recurrent_dropout": 0.0,
            "checkpoint": "auto",
        }
        given = {n: getattr(self, n) for n, default in defaults.items() if getattr(self, n) != default}
        more = "".join(f", {n}={value!r}" for n, value in {**self._more_repr(), **given}.items())
        return f"{self.input_size}, {self.hidden_size}{more}"

    def _more_repr(self) -> dict[str, Any]:
        return {}


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
        weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_ih_l0_reverse, ...: The parameters of torch.nn.RNN,
            by its names; a state_dict goes both ways.

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
        self.nonlinearity = nonlinearity
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
