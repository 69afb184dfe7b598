"""Recurrent layers as loops of plain operators on dense matrices, and how a layer is held against them.

Each step is written out from the equations, h_n and all; a layer in float32 is compared with the loop in float64.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from scanning import Outcome, assert_same, gradients_of, learnable, loss_of, tensors_of
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

import feedbackward as fb

KINDS = ("RNN", "GRU", "LSTM")
CLASSES = {"RNN": fb.nn.RNN, "GRU": fb.nn.GRU, "LSTM": fb.nn.LSTM}
WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "norm_ih", "norm_hh")
INPUT, HIDDEN = 3, 4


def twins(
    kind: str, *, dtype: torch.dtype = torch.float64, hidden: int = HIDDEN, **settings: Any
) -> tuple[Any, nn.RNNBase]:
    """A layer of ours and one of torch's with the same weights."""
    theirs = getattr(nn, kind)(INPUT, hidden, dtype=dtype, **settings)
    mine = CLASSES[kind](INPUT, hidden, dtype=dtype, **settings)
    mine.load_state_dict(theirs.state_dict())
    return mine, theirs


def randn(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=dtype)


def sequence(layer: Any, steps: int, batch: int | None, dtype: torch.dtype = torch.float64) -> Tensor:
    """x in the order of axes of the layer; batch None: without one."""
    if batch is None:
        return randn(steps, layer.input_size, dtype=dtype)
    shape = (batch, steps) if layer.batch_first else (steps, batch)
    return randn(*shape, layer.input_size, dtype=dtype)


def first_state(layer: Any, batch: int | None, dtype: torch.dtype = torch.float64) -> Any:
    """States as a layer takes them."""
    lead = (layer.num_layers * (1 + layer.bidirectional), *(() if batch is None else (batch,)))
    h = randn(*lead, layer.proj_size or layer.hidden_size, dtype=dtype)
    is_lstm = isinstance(layer, (nn.LSTM, fb.nn.LSTM))
    return (h, randn(*lead, layer.hidden_size, dtype=dtype)) if is_lstm else h


def packed_of(sequences: Sequence[Tensor], *, enforce_sorted: bool = False) -> PackedSequence:
    """torch's pack_sequence, which counts on the default device, and wants the counts on the CPU."""
    with torch.device("cpu"):
        return pack_sequence(sequences, enforce_sorted=enforce_sorted)


def widened(tree: Any) -> Any:
    """The same numbers in float64, on their own."""
    if isinstance(tree, tuple):
        return tuple(widened(t) for t in tree)
    return tree.detach().double().clone() if isinstance(tree, Tensor) and tree.is_floating_point() else tree


def outcome(run: Callable, inputs: Any, parameters: Sequence[Tensor] = ()) -> Outcome:
    """What run(*inputs) returns, and the gradients of everything with respect to inputs and parameters."""
    leaves = learnable(inputs, list(parameters))
    values = tensors_of(run(*inputs))
    return Outcome(values, gradients_of(loss_of(values), leaves), [])


def assert_agrees(
    mine: Any, theirs: Any, x: Tensor, state: Any = None, note: str = "", conditioning: float = 1.0, **settings: Any
) -> None:
    """Values and every gradient of a layer of ours are those of ``theirs``, a module or function in float64."""
    layers = mine.num_layers
    steps = max(x.shape[:2]) * layers
    found = outcome(lambda x, s: mine(x, s, **settings), (x, state), list(mine.parameters()))
    wide = copy.deepcopy(theirs).double() if isinstance(theirs, nn.Module) else theirs
    owner = wide if isinstance(wide, nn.Module) else mine
    truth = outcome(wide, (widened(x), widened(state)), list(owner.parameters()))
    assert_same(found, truth, x.dtype, steps, note, conditioning)


def weights_of(layer: Any, k: int = 0, reverse: bool = False) -> dict[str, Tensor]:
    """The weights of one layer in one direction, its recurrent matrix dense, by `WEIGHTS`."""
    suffix = f"_l{k}" + "_reverse" * reverse
    found = {name: getattr(layer, name + suffix) for name in WEIGHTS if hasattr(layer, name + suffix)}
    if not layer.proj_size:
        gates = {"rnn": 1, "gru": 3, "lstm": 4}[layer.kind]
        found["weight_hh"] = torch.cat([layer.recurrent_matrix(k, g, reverse).to_dense() for g in range(gates)])
    return found


def _normed(v: Tensor, gain: Tensor | None) -> Tensor:
    if gain is None:
        return v
    centered = v - v.mean(-1, keepdim=True)
    return centered / (centered.square().mean(-1, keepdim=True) + 1e-5).sqrt() * gain


def loop(
    kind: str,
    weights: dict[str, Tensor],
    x: Tensor,
    state: Sequence[Tensor],
    *,
    activation: Callable[[Tensor], Tensor] = torch.tanh,
    mask: Tensor | float = 1.0,
) -> list[list[Tensor]]:
    """One layer in one direction: the states, (h,) or (h, c), of every step of x (T, B, input)."""
    zero = x.new_zeros(())
    b_ih, b_hh = weights.get("bias_ih", zero), weights.get("bias_hh", zero)
    history, state = [], list(state)
    for now in x:
        h = state[0]
        of_x = _normed(now @ weights["weight_ih"].T, weights.get("norm_ih")) + b_ih
        of_h = _normed((h * mask) @ weights["weight_hh"].T, weights.get("norm_hh")) + b_hh
        if kind == "RNN":
            state = [activation(of_x + of_h)]
        elif kind == "GRU":
            (x_r, x_z, x_n), (h_r, h_z, h_n) = of_x.chunk(3, -1), of_h.chunk(3, -1)
            r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
            state = [(1 - z) * torch.tanh(x_n + r * h_n) + z * h]
        else:
            i, f, g, o = (of_x + of_h).chunk(4, -1)
            c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            state = [h @ weights["weight_hr"].T if "weight_hr" in weights else h, c]
        history.append(state)
    return history


def stacked_loop(layer: Any, x: Tensor, state: Any = None, **settings: Any) -> tuple[Tensor, Any, Any]:
    """All layers and directions of a layer of ours: output, last states and all states; x (T, B, input)."""
    kind = layer.kind.upper()
    if state is None:
        state = tuple(torch.zeros_like(s) for s in tensors_of(first_state(layer, x.shape[1], x.dtype)))
    states, lasts, alls, k = tensors_of(state), [], [], 0
    for level in range(layer.num_layers):
        outputs = []
        for reverse in (False, True)[: 1 + layer.bidirectional]:
            first = [s[k] for s in states]
            steps = loop(kind, weights_of(layer, level, reverse), x.flip(0) if reverse else x, first, **settings)
            lasts.append(steps[-1])
            alls.append([torch.stack(column) for column in zip(*(steps[::-1] if reverse else steps), strict=True)])
            outputs.append(alls[-1][0])
            k += 1
        x = torch.cat(outputs, -1)
    last, every = (tuple(torch.stack(column) for column in zip(*rows, strict=True)) for rows in (lasts, alls))
    return (x, last, every) if len(last) > 1 else (x, last[0], every[0])
