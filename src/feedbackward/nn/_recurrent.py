"""What recurrent layers share: parameters, a call as torch.nn's, single steps, and the way to torch.nn and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ..recurrent import packed as packing
from ..recurrent.arguments import Given, check_share, validated
from ..recurrent.cells import GATES
from ..recurrent.stack import Options
from ..recurrent.structures import Dense, Matrix, Structure
from ._stream import check_count

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
        check_share(name, "dropout", dropout)
        check_share(name, "recurrent_dropout", recurrent_dropout)
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
            for name, weight in self.named_parameters(recurse=False):
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
        name = type(self).__name__
        if isinstance(x, Tensor) and x.ndim in (2, 3) and x.shape[-1] != self.input_size:
            expected = f"(..., {self.input_size}): the last axis is input_size"
            raise ValueError(f"{name}: input has shape {tuple(x.shape)}, expected {expected}")
        return validated(
            name,
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
        packed = isinstance(input, PackedSequence)
        if packed and lengths is not None:
            raise ValueError(f"{type(self).__name__}: a PackedSequence has lengths of its own; leave lengths out")
        # How a batch of different lengths is cut depends on the numbers: no graph of torch.compile can hold that.
        uncompiled = torch.compiler.is_dynamo_compiling() and (packed or lengths is not None)
        run: Any = self._forward_packed if packed else self._forward
        run = torch.compiler.disable(run) if uncompiled else run
        return run(input, hx, lengths, return_all_states)

    def _forward(self, input: Tensor, hx: Any, lengths: Any, return_all_states: bool) -> Any:
        given = self._validated(input, self._states(hx), self.batch_first, lengths)
        return self._run(given, self._options(return_all_states))

    def _forward_packed(self, input: PackedSequence, hx: Any, lengths: None, return_all_states: bool) -> Any:
        order, back = input.sorted_indices, input.unsorted_indices
        first = self._states(hx)
        if order is not None:  # a state of another size is left to be refused
            fits = {n: isinstance(h, Tensor) and h.ndim == 3 and h.shape[1] == len(order) for n, h in first.items()}
            first = {n: _selected(h, 1, order) if h is not None and fits[n] else h for n, h in first.items()}
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
    def from_torch(cls, module: nn.RNNBase, *, project: bool = False, **settings: Any) -> Any:
        """The same layer with a torch.nn layer's weights, which are shared; what a structure stores is a copy.

        Args:
            module: A `torch.nn.RNN`, `GRU` or `LSTM`.
            project: With a structure, take the nearest matrix that has it, instead of one that is equal.
            settings: More arguments, such as ``checkpoint``, ``structure``, or ``band_width`` of a `BandRNN`.

        Raises:
            TypeError: The module is another layer.
            ValueError: A recurrent matrix does not have the structure, and project is False.

        Example:
            >>> import torch, feedbackward as fb
            >>> theirs = torch.nn.RNN(3, 8)
            >>> band = fb.nn.BandRNN.from_torch(theirs, band_width=7)
            >>> torch.equal(band.recurrent_matrix().to_dense(), theirs.weight_hh_l0)
            True
            >>> fb.nn.RNN.from_torch(theirs, structure=fb.Diagonal(), project=True).weight_hh_l0.shape
            torch.Size([8])
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
            if name.startswith("weight_hh") and not isinstance(mine.structure, Dense):
                parts = [mine.structure.from_dense(m, project=project) for m in weight.detach().chunk(mine._gates)]
                weight = nn.Parameter(torch.cat([m.weight for m in parts]), weight.requires_grad)
            mine.register_parameter(name, weight)
        for name, gain in list(mine.named_parameters()):
            if gain.is_meta:  # of layer normalization, which the module does not have
                mine.register_parameter(name, nn.Parameter(weight.new_ones(gain.shape)))
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
