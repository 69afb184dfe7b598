"""One step of every recurrent layer, from the weights of one layer in one direction.

    RNN     h' = act(W_ih x + b_ih + W_hh h + b_hh)

    GRU     r = s(W_ir x + b_ir + W_hr h + b_hr),   z = s(W_iz x + b_iz + W_hz h + b_hz)
            n = tanh(W_in x + b_in + r (W_hn h + b_hn)),   h' = n + z (h - n)

    LSTM    i, f, o = s(W_i* x + b_i* + W_h* h + b_h*),   g = tanh(W_ig x + b_ig + W_hg h + b_hg)
            c' = f c + i g,   h' = W_hr (o tanh(c'))              W_hr where there is a projection

These are torch.nn's equations; gates are stacked in its order (r z n, i f g o). With layer normalization, a W x of all
gates is normalized to mean 0 and variance 1 and scaled by ``norm_*`` before its bias is added (Ba, Kiros and Hinton,
"Layer Normalization", 2016, eq. 20). With recurrent dropout, products see ``mask * h``, one mask for all steps (Gal and
Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks", 2016).

What a step computes from x alone, or from weights alone, `feedbackward.scan` takes out of the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, linear, pad, softsign

from .structures import Structure

Activation = Callable[[Tensor], Tensor]
Cell = Callable[[Any, Any], tuple[Any, Any]]

GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def identity(x: Tensor) -> Tensor:
    """x."""
    return x


NONLINEARITIES: dict[str, Activation] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": identity,
    "sigmoid": torch.sigmoid,
    "softsign": softsign,
}


def activation_of(name: str, nonlinearity: str | Activation) -> Activation:
    """The function that a nonlinearity names, or is.

    Raises:
        ValueError: There is none of that name.
    """
    if callable(nonlinearity):
        return nonlinearity
    if nonlinearity not in NONLINEARITIES:
        known = ", ".join(map(repr, NONLINEARITIES))
        raise ValueError(f"{name}: nonlinearity is {nonlinearity!r}, expected one of {known}, or a function")
    return NONLINEARITIES[nonlinearity]


@dataclass(frozen=True)
class Layer:
    """The weights of one layer in one direction, with G gates of n channels.

    Attributes:
        structure: That of the recurrent matrices.
        weight_ih: (G n, input).
        weight_hh: ``structure.weight_shape(n, G)``; (4 n, projection) in an LSTM with a projection.
        bias_ih, bias_hh: (G n,), or None.
        weight_hr: (projection, n), or None.
        norm_ih, norm_hh: (G n,), or None for no layer normalization.
    """

    structure: Structure
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None
    weight_hr: Tensor | None = None
    norm_ih: Tensor | None = None
    norm_hh: Tensor | None = None

    def of_input(self, x: Tensor, bias_hh: Tensor | None) -> Tensor:
        """W_ih x + b_ih, with as much of b_hh as no gate multiplies."""
        given = [b for b in (self.bias_ih, bias_hh) if b is not None]
        bias = given[0] + given[1] if len(given) == 2 else given[0] if given else None
        if self.norm_ih is None:
            return linear(x, self.weight_ih, bias)
        return layer_norm(linear(x, self.weight_ih), self.norm_ih.shape, self.norm_ih, bias)

    def of_state(self, h: Tensor, gates: int, mask: Tensor | None) -> Tensor:
        """W_hh h."""
        h = h if mask is None else h * mask
        product = self.structure.products(self.weight_hh, h, gates)
        return product if self.norm_hh is None else layer_norm(product, self.norm_hh.shape, self.norm_hh)


def rnn_cell(layer: Layer, activation: Activation = torch.tanh, mask: Tensor | None = None) -> Cell:
    """The RNN's step."""

    def step(h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        h = activation(layer.of_input(x, layer.bias_hh) + layer.of_state(h, 1, mask))
        return h, h

    return step


def gru_cell(layer: Layer, mask: Tensor | None = None) -> Cell:
    """The GRU's step."""

    def step(h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        n, bias = h.shape[-1], layer.bias_hh
        of_x = layer.of_input(x, None if bias is None else pad(bias[: 2 * n], (0, n)))
        of_h = layer.of_state(h, 3, mask)
        r, z = torch.sigmoid(of_x[..., : 2 * n] + of_h[..., : 2 * n]).chunk(2, -1)
        inner = of_h[..., 2 * n :]
        new = torch.tanh(of_x[..., 2 * n :] + r * (inner if bias is None else inner + bias[2 * n :]))
        h = new + z * (h - new)
        return h, h

    return step


def lstm_cell(layer: Layer, mask: Tensor | None = None, with_c: bool = False) -> Cell:
    """The LSTM's step; its y is h, or (h, c)."""

    def step(state: tuple[Tensor, Tensor], x: Tensor) -> tuple[tuple[Tensor, Tensor], Any]:
        h, c = state
        i, f, g, o = (layer.of_input(x, layer.bias_hh) + layer.of_state(h, 4, mask)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        if layer.weight_hr is not None:
            h = linear(h, layer.weight_hr)
        return (h, c), ((h, c) if with_c else h)

    return step
