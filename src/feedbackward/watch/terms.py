"""What a step of a recurrent layer computes, term by term and for all shown steps at once, in plain PyTorch.

    rnn     h = act(a),   a = W_ih x + b_ih + W_hh h' + b_hh
    gru     h = (1 - z) n + z h'
    lstm    c = f c' + i g,   h = W_hr (o tanh(c))

The states before, h' and c', are those of the real run: every step stands on its own, and what it computes can be held
against what the real run has after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear

from ..recurrent.cells import GATES, Layer, activation_of
from .model import Quantity
from .notation import GATE_NAMES, GATE_WORDS, Notation


def terms(w: Notation, x: Tensor, before: Sequence[Tensor], meaning_of_x: str) -> list[Quantity]:
    """The lines of a step.

    Args:
        w: The layer and its symbols.
        x: (steps, B, input).
        before: The states before, each (steps, B, n).
        meaning_of_x: What x is, in words.
    """
    step = {"rnn": _rnn, "gru": _gru, "lstm": _lstm}[w.kind]
    names = ("h", "c")[: len(before)]
    lines = [Quantity("x", "x_t", meaning_of_x, "input", x)]
    lines += [
        Quantity(f"{n} before", f"{n}_{{{w.earlier}}}", _BEFORE[n], "before", state)
        for n, state in zip(names, before, strict=True)
    ]
    return lines + step(w, _Products(w.layer, x, before[0], GATES[w.kind]), before)


_BEFORE = {"h": "the state that the step before left", "c": "the memory that the step before left"}


class _Products:
    """W_ih x and W_hh h of every gate, with what is added to them."""

    def __init__(self, layer: Layer, x: Tensor, h: Tensor, gates: int) -> None:
        self.layer, self.gates = layer, gates
        of_x, of_h = linear(x, layer.weight_ih), layer.structure.products(layer.weight_hh, h, gates)
        if layer.norm_ih is not None:
            of_x = layer_norm(of_x, layer.norm_ih.shape, layer.norm_ih)
        if layer.norm_hh is not None:
            of_h = layer_norm(of_h, layer.norm_hh.shape, layer.norm_hh)
        self.of_x, self.of_h = of_x.chunk(gates, -1), of_h.chunk(gates, -1)
        self.like = of_x

    def bias(self, which: str, gate: int) -> Tensor | None:
        vector = getattr(self.layer, which)
        return None if vector is None else vector.chunk(self.gates)[gate]

    def input(self, gate: int) -> Tensor:
        bias = self.bias("bias_ih", gate)
        return self.of_x[gate] if bias is None else self.of_x[gate] + bias

    def state(self, gate: int) -> Tensor:
        bias = self.bias("bias_hh", gate)
        return self.of_h[gate] if bias is None else self.of_h[gate] + bias


def _rnn(w: Notation, p: _Products, before: Sequence[Tensor]) -> list[Quantity]:
    norm_x, norm_h = w.layer.norm_ih is not None, w.layer.norm_hh is not None
    of_x = r"\operatorname{norm}(W_{ih}\,x_t)" if norm_x else r"W_{ih}\,x_t"
    of_h = rf"W_{{hh}}\,h_{{{w.earlier}}}"
    of_h = rf"\operatorname{{norm}}({of_h})" if norm_h else of_h
    lines = [Quantity("W_ih x", of_x, "what the input says", "term", p.of_x[0], "sum")]
    if (bias := p.bias("bias_ih", 0)) is not None:
        lines.append(
            Quantity("b_ih", "b_{ih}", "bias, the same at every step", "term", bias.expand_as(p.of_x[0]), "sum")
        )
    lines.append(Quantity("W_hh h", of_h, "what the state before says", "term", p.of_h[0], "sum"))
    if (bias := p.bias("bias_hh", 0)) is not None:
        lines.append(
            Quantity("b_hh", "b_{hh}", "bias, the same at every step", "term", bias.expand_as(p.of_h[0]), "sum")
        )
    total = p.input(0) + p.state(0)
    lines.append(Quantity("a", "a_t", "the sum of these", "term", total, "sum"))
    after = rf"h_t = {w.act}(a_t)" if w.act else "h_t = a_t"
    value = activation_of("explain", w.nonlinearity)(total)
    return [*lines, Quantity("h after", after, "the state that this step leaves", "after", value)]


def _gated(w: Notation, p: _Products, gate: int) -> list[Quantity]:
    """The two sums of a gate."""
    letter = GATE_NAMES[w.kind][gate]
    group = f"{letter}: {GATE_WORDS[letter]}"
    return [
        Quantity(f"{letter} of x", _brief(w, "i", letter), "from the input", "term", p.input(gate), group),
        Quantity(f"{letter} of h", _brief(w, "h", letter), "from the state before", "term", p.state(gate), group),
    ]


def _brief(w: Notation, side: str, letter: str) -> str:
    layer = w.layer
    norm, bias = (layer.norm_ih, layer.bias_ih) if side == "i" else (layer.norm_hh, layer.bias_hh)
    vector = "x_t" if side == "i" else f"h_{{{w.earlier}}}"
    product = rf"W_{{{side}{letter}}}\,{vector}"
    product = rf"\operatorname{{norm}}({product})" if norm is not None else product
    return product if bias is None else f"{product} + b_{{{side}{letter}}}"


def _gate(letter: str, value: Tensor, how: str) -> Quantity:
    return Quantity(letter, f"{letter}_t", how, "term", value, f"{letter}: {GATE_WORDS[letter]}")


def _gru(w: Notation, p: _Products, before: Sequence[Tensor]) -> list[Quantity]:
    h, lines = before[0], list[Quantity]()
    gates: dict[str, Any] = {}
    for k, letter in enumerate("rz"):
        gates[letter] = torch.sigmoid(p.input(k) + p.state(k))
        lines += [*_gated(w, p, k), _gate(letter, gates[letter], "σ of their sum")]
    n = torch.tanh(p.input(2) + gates["r"] * p.state(2))
    new, kept = (1 - gates["z"]) * n, gates["z"] * h
    group = "h: the state"
    return [
        *lines,
        *_gated(w, p, 2),
        _gate("n", n, "tanh(from x + r ⊙ from h)"),
        Quantity("(1 - z) n", r"(1 - z_t) \odot n_t", "what is new", "term", new, group),
        Quantity("z h", rf"z_t \odot h_{{{w.earlier}}}", "what is kept", "term", kept, group),
        Quantity("h after", "h_t", "the state that this step leaves: their sum", "after", new + kept, group),
    ]


def _lstm(w: Notation, p: _Products, before: Sequence[Tensor]) -> list[Quantity]:
    lines, gates = list[Quantity](), dict[str, Tensor]()
    for k, letter in enumerate("ifgo"):
        function = torch.tanh if letter == "g" else torch.sigmoid
        gates[letter] = function(p.input(k) + p.state(k))
        name = "tanh" if letter == "g" else "σ"
        lines += [*_gated(w, p, k), _gate(letter, gates[letter], f"{name} of their sum")]
    kept, new = gates["f"] * before[1], gates["i"] * gates["g"]
    c = kept + new
    shown = gates["o"] * torch.tanh(c)
    memory, state = "c: the memory", "h: the state"
    lines += [
        Quantity("f c", rf"f_t \odot c_{{{w.earlier}}}", "what is kept", "term", kept, memory),
        Quantity("i g", r"i_t \odot g_t", "what is new", "term", new, memory),
        Quantity("c after", "c_t", "the memory that this step leaves: their sum", "after", c, memory),
        Quantity("tanh c", r"\tanh(c_t)", "the memory, bounded", "term", torch.tanh(c), state),
    ]
    if w.layer.weight_hr is None:
        meaning = "the state that this step leaves: o ⊙ tanh(c)"
        return [*lines, Quantity("h after", "h_t", meaning, "after", shown, state)]
    h = linear(shown, w.layer.weight_hr)
    return [
        *lines,
        Quantity("o tanh c", r"o_t \odot \tanh(c_t)", "before the projection", "term", shown, state),
        Quantity("h after", "h_t", "the state that this step leaves: W_hr times that", "after", h, state),
    ]


def rounding(w: Notation, x: Tensor, before: Sequence[Tensor]) -> float:
    """What rounding can do to the state after one step, of these magnitudes: n eps times the largest sum of sizes."""
    layer = w.layer
    sums = linear(x.abs(), layer.weight_ih.abs())
    dense = (
        torch.cat([layer.structure.to_dense(g) for g in layer.structure.gates(layer.weight_hh, GATES[w.kind])])
        if layer.weight_hr is None
        else layer.weight_hh
    )
    sums = sums + linear(before[0].abs(), dense.abs())
    for bias in (layer.bias_ih, layer.bias_hh):
        sums = sums if bias is None else sums + bias.abs()
    largest = max(1.0, *(float(t.abs().nan_to_num(0, 0, 0).max()) for t in (sums, *before)))
    norms = [t for t in (layer.norm_ih, layer.norm_hh) if t is not None]
    if norms:  # a normalization divides by a deviation that may be small
        largest *= 32 * max(1.0, *(float(t.abs().max()) for t in norms))
    count = x.shape[-1] + before[0].shape[-1] + 8
    return 4 * count * torch.finfo(x.dtype).eps * largest
