"""A call of a recurrent layer, whoever made it: a module of fb.nn or torch.nn, one of their cells, or a function.

Each becomes a `Call`: the weights of every layer and direction, the sequence, the first states, and what the call
itself returned.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from ..nn import GRU, LSTM, RNN, BandRNNCell
from ..nn._recurrent import Recurrent
from ..recurrent.arguments import Given, validated
from ..recurrent.functional import gru, lstm, rnn
from ..recurrent.structures import Structure

CELLS = (nn.RNNCell, nn.GRUCell, nn.LSTMCell, BandRNNCell)
FUNCTIONS: dict[str, Callable[..., Any]] = {"rnn": rnn, "gru": gru, "lstm": lstm}
_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "norm_ih", "norm_hh")
_TWINS: dict[type[nn.RNNBase], type[Recurrent]] = {nn.RNN: RNN, nn.GRU: GRU, nn.LSTM: LSTM}


@dataclass(frozen=True)
class Call:
    """A call of a recurrent layer.

    Attributes:
        title: What was called.
        kind: ``"rnn"``, ``"gru"`` or ``"lstm"``.
        names: For every layer and direction, the user's name of every weight of it.
        given: Weights, sequence (T, B, input), first states and lengths.
        nonlinearity: Of an RNN.
        directions: 1 or 2.
        output: What the call returned, (T, B, directions * n).
        last: The states at the end, each (layers * directions, B, n).
        form: ``"sequence"``; ``"cell"`` for a single step; ``"scan"``.
        rates: The dropout between layers, and within.
        packed: Whether the input was a PackedSequence.
    """

    title: str
    kind: str
    names: tuple[Mapping[str, str], ...]
    given: Given
    nonlinearity: Any
    directions: int
    output: Tensor
    last: tuple[Tensor, ...]
    form: str = "sequence"
    rates: tuple[float, float] = (0.0, 0.0)
    packed: bool = False


def of_module(module: nn.Module, args: Any, kwargs: Any) -> Call:
    """The call of a recurrent module of torch.nn or of ours."""
    mine: Any = module
    title = f"{'torch' if isinstance(module, nn.RNNBase) else 'fb'}.nn.{_describe(module)}"
    if isinstance(module, nn.RNNBase):
        twin = next((t for theirs, t in _TWINS.items() if isinstance(module, theirs)), None)
        if twin is None:
            raise TypeError(f"explain: f is a {type(module).__name__}, expected torch.nn.RNN, GRU or LSTM")
        mine = twin.from_torch(module)
    asked = bound(module.forward, args, kwargs, title)
    asked.pop("return_all_states", None)
    x, hx = asked["input"], asked.get("hx")
    lengths = asked.get("lengths")
    packed = isinstance(x, PackedSequence)
    with evaluating(module):
        output, last = module(**asked)
    if packed:
        x, lengths = pad_packed_sequence(x)
        output, _ = pad_packed_sequence(output)
    suffixes = [f"_l{k}{s}" for k in range(mine.num_layers) for s in ("", "_reverse")[: 1 + mine.bidirectional]]
    present = [w for w in _WEIGHTS if hasattr(mine, w + suffixes[0])]
    states = {"h_0": hx} if mine.kind != "lstm" else dict(zip(("h_0", "c_0"), hx or (None, None), strict=True))
    batch_first = mine.batch_first and not packed
    given = validated(
        type(module).__name__,
        x,
        {w: [getattr(mine, w + s).detach() for s in suffixes] for w in present},
        states,
        structure=mine.structure,
        num_layers=mine.num_layers,
        directions=1 + mine.bidirectional,
        batch_first=batch_first,
        lengths=lengths,
        kind=mine.kind,
    )
    return Call(
        title,
        mine.kind,
        tuple({w: w + s for w in present} for s in suffixes),
        given,
        getattr(mine, "nonlinearity", "tanh"),
        1 + mine.bidirectional,
        _time_first(output, given),
        _states(last, given),
        rates=(mine.dropout, mine.recurrent_dropout),
        packed=packed,
    )


def of_function(function: Callable[..., Any], args: Any, kwargs: Any) -> Call:
    """The call of `rnn`, `gru` or `lstm`."""
    kind = next(name for name, f in FUNCTIONS.items() if f is function)
    asked = bound(function, args, kwargs, f"fb.{kind}")
    rate = asked.get("dropout", 0.0)
    output, last = function(**{**asked, "dropout": 0.0, "return_all_states": False})
    lists = {w: asked[w] for w in _WEIGHTS if asked.get(w) is not None}
    lists = {w: [t] if isinstance(t, Tensor) else list(t) for w, t in lists.items()}
    directions = 1 + bool(asked.get("bidirectional"))
    given = validated(
        kind,
        asked["x"],
        {w: [t.detach() for t in tensors] for w, tensors in lists.items()},
        {n: asked.get(n) for n in (("h_0", "c_0") if kind == "lstm" else ("h_0",))},
        structure=asked.get("structure"),
        num_layers=asked.get("num_layers"),
        directions=directions,
        batch_first=asked.get("batch_first", False),
        lengths=asked.get("lengths"),
    )
    count = len(given.layers)
    names = tuple({w: w if count == 1 else f"{w}[{k}]" for w in lists} for k in range(count))
    return Call(
        f"fb.{kind}",
        kind,
        names,
        given,
        asked.get("nonlinearity", "tanh"),
        directions,
        _time_first(output, given),
        _states(last, given),
        rates=(rate, 0.0),
    )


def of_cell(cell: nn.Module, args: Any, kwargs: Any) -> Call:
    """One step of a cell: ``cell(input, hx)``."""
    title = f"{'fb' if isinstance(cell, BandRNNCell) else 'torch'}.nn.{_describe(cell)}"
    asked = bound(cell.forward, args, kwargs, title)
    x, hx = asked["input"], asked.get("hx")
    after = cell(x, hx)
    after = after if isinstance(after, tuple) else (after,)
    before = hx if isinstance(hx, (tuple, list)) else (hx,) if hx is not None else None
    given = _given_of_cell(cell, x.unsqueeze(0), before)
    last = tuple(s.unsqueeze(0) if given.batched else s.view(1, 1, -1) for s in after)
    return _call_of_cell(cell, title, given, last[0], last, "cell")


def of_scan(cell: nn.Module, init: Any, xs: Any, options: dict[str, Any]) -> Call:
    """``scan(cell, init, xs, **options)`` of one of those cells."""
    from ..engine.scan import scan

    title = f"fb.scan of {'fb' if isinstance(cell, BandRNNCell) else 'torch'}.nn.{_describe(cell)}"
    dim = options.get("dim", 0)
    last, output = scan(cell, init, xs, **options)
    last = last if isinstance(last, (tuple, list)) else (last,)
    first = init if isinstance(init, (tuple, list)) else (init,)
    x = xs.movedim(dim, 0)
    output = output.movedim(dim, 0)
    given = _given_of_cell(cell, x, first)
    states = tuple(s.unsqueeze(0) if given.batched else s.view(1, 1, -1) for s in last)
    return _call_of_cell(cell, title, given, output if given.batched else output.unsqueeze(1), states, "scan")


def _given_of_cell(cell: nn.Module, x: Tensor, before: Any) -> Given:
    kind = _kind_of_cell(cell)
    names = ("h_0", "c_0") if kind == "lstm" else ("h_0",)
    states = dict(zip(names, before or (None,) * len(names), strict=True))
    structure: Structure | None = getattr(cell, "structure", None)
    return validated(
        type(cell).__name__,
        x,
        {w: [weight.detach()] for w in _WEIGHTS if (weight := getattr(cell, w, None)) is not None},
        {n: s if s is None else s.unsqueeze(0) for n, s in states.items()},
        structure=structure,
        num_layers=1,
        directions=1,
        batch_first=False,
        lengths=None,
        kind=kind,
    )


def _call_of_cell(
    cell: nn.Module, title: str, given: Given, output: Tensor, last: tuple[Tensor, ...], form: str
) -> Call:
    names = {w: w for w in _WEIGHTS if getattr(cell, w, None) is not None}
    activation = getattr(cell, "nonlinearity", "tanh")
    return Call(title, _kind_of_cell(cell), (names,), given, activation, 1, output, last, form)


def _kind_of_cell(cell: nn.Module) -> str:
    return "gru" if isinstance(cell, nn.GRUCell) else "lstm" if isinstance(cell, nn.LSTMCell) else "rnn"


def is_recurrent(f: Any) -> bool:
    """Whether f is a recurrent module of torch.nn or of ours."""
    return isinstance(f, (nn.RNNBase, Recurrent))


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Without dropout, whose numbers would be others at the next call."""
    before = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for m, training in before:
            m.training = training


def as_real(t: Tensor) -> Tensor:
    """The real part of what became complex only because another argument is."""
    return t.real if t.is_complex() else t


def bound(function: Callable[..., Any], args: Any, kwargs: Any, title: str) -> dict[str, Any]:
    """What a function's parameters are given.

    Raises:
        TypeError: The arguments do not fit its signature.
    """
    try:
        return dict(inspect.signature(function).bind(*args, **kwargs).arguments)
    except TypeError as error:
        raise TypeError(f"explain: {title} cannot be called with these arguments: {error}") from None


def _time_first(output: Tensor, given: Given) -> Tensor:
    if not given.batched:
        return output.unsqueeze(1)
    return output.transpose(0, 1) if given.batch_first else output


def _states(last: Any, given: Given) -> tuple[Tensor, ...]:
    states = last if isinstance(last, (tuple, list)) else (last,)
    return tuple(s if given.batched else s.unsqueeze(1) for s in states)


def _describe(module: nn.Module) -> str:
    text = " ".join(repr(module).split())
    return text if len(text) <= 90 else f"{type(module).__name__}({text.split('(', 1)[1][:70]}...)"
