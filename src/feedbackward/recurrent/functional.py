"""Recurrent layers as functions of their weights.

    rnn     h[t] = act(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh)
    gru     r, z, n gates;  lstm   i, f, g, o gates                 (the equations stand in `recurrent.cells`)

A layer above the first reads the output of the layer below. Output and states are those of `torch.nn.RNN`, `GRU` and
`LSTM`; `feedbackward.nn` has the modules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from . import cudnn, stack
from .arguments import Given, Weights, check_share, validated
from .cells import Activation, activation_of, gru_cell, lstm_cell, rnn_cell
from .stack import MakeCell, Options
from .structures import Structure


def rnn(
    x: Tensor,
    weight_ih: Weights,
    weight_hh: Weights,
    bias_ih: Weights | None = None,
    bias_hh: Weights | None = None,
    h_0: Tensor | None = None,
    *,
    num_layers: int | None = None,
    nonlinearity: str | Callable[[Tensor], Tensor] = "tanh",
    batch_first: bool = False,
    bidirectional: bool = False,
    dropout: float = 0.0,
    structure: Structure | None = None,
    lengths: Tensor | Sequence[int] | None = None,
    return_all_states: bool = False,
    checkpoint: str | int | None = "auto",
) -> tuple[Tensor, Tensor] | tuple[Tensor, Tensor, Tensor]:
    """A stack of simple recurrent layers, as `torch.nn.RNN` computes it.

        h[t] = act(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh),    t = 0 .. T-1,    h[-1] = h_0

    Args:
        x: (T, B, input); (B, T, input) with ``batch_first``; (T, input) without a batch.
        weight_ih: A list with (hidden, input) for the first layer and (hidden, directions * hidden) for those above:
            one tensor for every layer and direction, in torch's order. One tensor alone is a list of one.
        weight_hh: A list of (hidden, hidden), or of what ``structure`` stores of that.
        bias_ih: A list of (hidden,), or None for no bias.
        bias_hh: The same.
        h_0: The first states (layers * directions, B, hidden), whatever ``batch_first``; zeros by default.
        num_layers: How many layers the lists should have; None takes as many as there are.
        nonlinearity: ``"tanh"``, ``"relu"``, ``"identity"``, ``"sigmoid"``, ``"softsign"``, or any function of a tensor
            that a `scan` can lower.
        batch_first: Whether x and output are (B, T, ...). States never are.
        bidirectional: Whether every layer has a second direction, from T-1 to 0; the outputs stand side by side.
        dropout: The share of a layer's output that the layer above does not see.
        structure: Of W_hh: `Dense` by default, `Banded`, `BlockDiagonal`, `Diagonal`, `LowRankPlusDiagonal`.
        lengths: (B,) numbers of steps, from 0 to T: a sequence ends there, output beyond is 0, and the states are those
            at its end. There is no work on the padding, but for that of 16 lanes of similar lengths.
        return_all_states: Return the states of every layer at every step too.
        checkpoint: What backward keeps, as in `scan`.

    Returns:
        output (T, B, directions * hidden) of the last layer; h_n (layers * directions, B, hidden), the last states;
        with ``return_all_states`` the states (layers * directions, T, B, hidden). Axes as ``batch_first`` says.

    Raises:
        ValueError: A shape does not fit; the message names the layer and the weight.

    Example:
        >>> import torch, feedbackward as fb
        >>> layer = torch.nn.RNN(3, 4)
        >>> x = torch.randn(10, 2, 3)
        >>> output, h_n = fb.rnn(x, layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)
        >>> torch.allclose(output, layer(x)[0], atol=1e-6)
        True

    Source:
        Elman, "Finding structure in time", Cognitive Science 14, 1990.
    """
    activation = activation_of("rnn", nonlinearity)
    check_share("rnn", "dropout", dropout)
    given = validated(
        "rnn",
        x,
        {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": bias_ih, "bias_hh": bias_hh},
        {"h_0": h_0},
        structure=structure,
        num_layers=num_layers,
        directions=1 + bidirectional,
        batch_first=batch_first,
        lengths=lengths,
    )
    options = Options(1 + bidirectional, dropout, 0.0, checkpoint, return_all_states)
    return run_rnn(given, options, activation)


def gru(
    x: Tensor,
    weight_ih: Weights,
    weight_hh: Weights,
    bias_ih: Weights | None = None,
    bias_hh: Weights | None = None,
    h_0: Tensor | None = None,
    *,
    num_layers: int | None = None,
    batch_first: bool = False,
    bidirectional: bool = False,
    dropout: float = 0.0,
    structure: Structure | None = None,
    lengths: Tensor | Sequence[int] | None = None,
    return_all_states: bool = False,
    checkpoint: str | int | None = "auto",
) -> tuple[Tensor, Tensor] | tuple[Tensor, Tensor, Tensor]:
    """A stack of gated recurrent units, as `torch.nn.GRU` computes it.

        r = s(W_ir x + b_ir + W_hr h + b_hr),   z = s(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r (W_hn h + b_hn)),   h' = (1 - z) n + z h

    Args:
        x: As for `rnn`.
        weight_ih: A list of (3 * hidden, input), the gates r, z, n on top of each other.
        weight_hh: A list of (3 * hidden, hidden), or of what ``structure`` stores of that.
        bias_ih: A list of (3 * hidden,), or None.
        bias_hh: The same.
        h_0: As for `rnn`; and so are the others.
        num_layers: How many layers the lists should have.
        batch_first: Whether x and output are (B, T, ...).
        bidirectional: Whether every layer has a second direction.
        dropout: The share of a layer's output that the layer above does not see.
        structure: Of every gate's W_hh.
        lengths: (B,) numbers of steps.
        return_all_states: Return the states of every layer at every step too.
        checkpoint: What backward keeps, as in `scan`.

    Returns:
        As `rnn`.

    Raises:
        ValueError: A shape does not fit; the message names the layer and the weight.

    Example:
        >>> import torch, feedbackward as fb
        >>> layer = torch.nn.GRU(3, 4, batch_first=True)
        >>> x = torch.randn(2, 10, 3)
        >>> weights = layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0
        >>> output, h_n = fb.gru(x, *weights, batch_first=True, lengths=[10, 6])
        >>> output[1, 6:].abs().max().item(), torch.equal(output[1, 5], h_n[0, 1])
        (0.0, True)

    Source:
        Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014, with torch.nn's place of r.
    """
    check_share("gru", "dropout", dropout)
    given = validated(
        "gru",
        x,
        {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": bias_ih, "bias_hh": bias_hh},
        {"h_0": h_0},
        structure=structure,
        num_layers=num_layers,
        directions=1 + bidirectional,
        batch_first=batch_first,
        lengths=lengths,
    )
    options = Options(1 + bidirectional, dropout, 0.0, checkpoint, return_all_states)
    return run_gru(given, options)


def lstm(
    x: Tensor,
    weight_ih: Weights,
    weight_hh: Weights,
    bias_ih: Weights | None = None,
    bias_hh: Weights | None = None,
    h_0: Tensor | None = None,
    c_0: Tensor | None = None,
    *,
    weight_hr: Weights | None = None,
    num_layers: int | None = None,
    batch_first: bool = False,
    bidirectional: bool = False,
    dropout: float = 0.0,
    structure: Structure | None = None,
    lengths: Tensor | Sequence[int] | None = None,
    return_all_states: bool = False,
    checkpoint: str | int | None = "auto",
) -> tuple[Tensor, tuple[Tensor, Tensor]] | tuple[Tensor, tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """A stack of layers with long short-term memory, as `torch.nn.LSTM` computes it.

        i, f, o = s(W_i* x + b_i* + W_h* h + b_h*),   g = tanh(W_ig x + b_ig + W_hg h + b_hg)
        c' = f c + i g,   h' = W_hr (o tanh(c'))

    Args:
        x: As for `rnn`.
        weight_ih: A list of (4 * hidden, input), the gates i, f, g, o on top of each other.
        weight_hh: A list of (4 * hidden, hidden), or of what ``structure`` stores of that; with a projection
            (4 * hidden, projection).
        bias_ih: A list of (4 * hidden,), or None.
        bias_hh: The same.
        h_0: The first h (layers * directions, B, hidden or projection); zeros by default.
        c_0: The first c (layers * directions, B, hidden); zeros by default.
        weight_hr: A list of (projection, hidden), or None for no projection.
        num_layers: As for `rnn`; and so are the others.
        batch_first: Whether x and output are (B, T, ...).
        bidirectional: Whether every layer has a second direction.
        dropout: The share of a layer's output that the layer above does not see.
        structure: Of every gate's W_hh.
        lengths: (B,) numbers of steps.
        return_all_states: Return h and c of every layer at every step too.
        checkpoint: What backward keeps, as in `scan`.

    Returns:
        output, (h_n, c_n), and with ``return_all_states`` (h, c), each as in `rnn`.

    Raises:
        ValueError: A shape does not fit; the message names the layer and the weight.

    Example:
        >>> import torch, feedbackward as fb
        >>> layer = torch.nn.LSTM(3, 4)
        >>> weights = layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0
        >>> output, (h_n, c_n), (h, c) = fb.lstm(torch.randn(10, 2, 3), *weights, return_all_states=True)
        >>> output.shape, h_n.shape, c.shape
        (torch.Size([10, 2, 4]), torch.Size([1, 2, 4]), torch.Size([1, 10, 2, 4]))

    Source:
        Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 9, 1997; the projection: Sak, Senior
        and Beaufays, 2014.
    """
    check_share("lstm", "dropout", dropout)
    given = validated(
        "lstm",
        x,
        {
            "weight_ih": weight_ih,
            "weight_hh": weight_hh,
            "bias_ih": bias_ih,
            "bias_hh": bias_hh,
            "weight_hr": weight_hr,
        },
        {"h_0": h_0, "c_0": c_0},
        structure=structure,
        num_layers=num_layers,
        directions=1 + bidirectional,
        batch_first=batch_first,
        lengths=lengths,
    )
    options = Options(1 + bidirectional, dropout, 0.0, checkpoint, return_all_states)
    return run_lstm(given, options)


def run_rnn(given: Given, options: Options, activation: Activation) -> tuple[Any, ...]:
    """output and h_n of an RNN, and all h where they are wanted."""
    mode = cudnn.mode_of("rnn", activation)
    return _results(given, options, lambda layer, mask: rnn_cell(layer, activation, mask), mode)


def run_gru(given: Given, options: Options) -> tuple[Any, ...]:
    """output and h_n of a GRU, and all h where they are wanted."""
    return _results(given, options, gru_cell, cudnn.mode_of("gru"))


def run_lstm(given: Given, options: Options) -> tuple[Any, ...]:
    """output and (h_n, c_n) of an LSTM, and all (h, c) where they are wanted."""
    mode = cudnn.mode_of("lstm")
    return _results(given, options, lambda layer, mask: lstm_cell(layer, mask, options.all_states), mode)


def _results(given: Given, options: Options, make_cell: MakeCell, mode: Callable[..., Any] | None) -> tuple[Any, ...]:
    def scanned(given: Given) -> stack.Results:
        return stack.run(make_cell, given.layers, given.x, given.states, given.lengths, options)

    if mode is None or cudnn.uncovered(given, options, mode):
        found = scanned(given)
    else:
        found = cudnn.run(given, options, mode, scanned)
    results: list[Any] = [given.output(found.output), [given.state(h) for h in found.last]]
    if found.states is not None:
        results.append([given.output(h, 1) for h in found.states])
    return results[0], *(tuple(part) if len(part) > 1 else part[0] for part in results[1:])
