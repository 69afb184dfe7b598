"""Dense layers on a GPU: cuDNN's, through torch, where it computes the same; it is the well-kept library for them.

cuDNN has first derivatives only. A gradient that is to be differentiated again is taken through the scan that this
stands in for, from the same tensors. float32 means float32: its faster formats of 19 bits stay off, which torch leaves
on for these layers.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..ops.operator import is_transformed
from .arguments import Given
from .cells import Activation, Layer
from .stack import Options, Results
from .structures import Dense

Again = Callable[[Given], Results]
_VF: Any = torch._VF
_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")  # in the order in which torch wants them


def mode_of(kind: str, activation: Activation | None = None) -> Callable[..., Any] | None:
    """torch's function for a kind of layer; None where it has none."""
    if kind != "rnn":
        return {"gru": _VF.gru, "lstm": _VF.lstm}[kind]
    known: tuple[tuple[Any, Any], ...] = ((torch.tanh, _VF.rnn_tanh), (torch.relu, _VF.rnn_relu))
    return next((function for its, function in known if its is activation), None)


def uncovered(given: Given, options: Options, mode: Callable[..., Any] | None) -> str:
    """Why cuDNN does not compute a call; empty where it does."""
    if given.x.device.type != "cuda":
        return "the tensors are not on a GPU"
    if torch.compiler.is_compiling():
        return "the call is compiled"
    if not torch.backends.cudnn.is_acceptable(given.x):
        return "torch has no cuDNN for them"
    return _different(given, options, mode)


def place_of(given: Given, options: Options, mode: Callable[..., Any] | None) -> str:
    """A sentence about what computes a call on a GPU; empty on the CPU."""
    if given.x.device.type != "cuda":
        return ""
    reason = uncovered(given, options, mode)
    if reason:
        return f"On {given.x.device} the step is compiled to a Triton kernel of its own, not cuDNN's: {reason}."
    return f"On {given.x.device} cuDNN computes this layer; gradients of gradients go through the scan."


def _different(given: Given, options: Options, mode: Callable[..., Any] | None) -> str:
    layers = given.layers
    biases = {(layer.bias_ih is None, layer.bias_hh is None) for layer in layers}
    reasons = {
        "cuDNN has no such activation": mode is None,
        "the recurrent matrices are not dense": any(not isinstance(layer.structure, Dense) for layer in layers),
        "there is a layer normalization": any(
            layer.norm_ih is not None or layer.norm_hh is not None for layer in layers
        ),
        "there is dropout": bool(options.dropout or options.recurrent_dropout),
        "the states of all steps are wanted": options.all_states,
        "the sequences have lengths": given.lengths is not None,
        "checkpoints are asked for": options.checkpoint != "auto",
        "only some biases are there": len(biases) > 1 or any(ih != hh for ih, hh in biases),
        "a transform of torch.func or forward mode is open": is_transformed(),
        "there is nothing to compute": 0 in given.x.shape,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def run(given: Given, options: Options, mode: Callable[..., Any], again: Again) -> Results:
    """What a stack of layers leaves, of a call that is covered."""
    call = _Call(given, options.directions, mode, again)
    output, *last = _Function.apply(call, *call.tensors())  # type: ignore[no-untyped-call]
    return Results(output, last, None)


@dataclass(frozen=True)
class _Call:
    given: Given
    directions: int
    mode: Callable[..., Any]
    again: Again

    def tensors(self) -> list[Tensor]:
        """x, the first states, and the weights of every layer and direction."""
        weights = [w for layer in self.given.layers for w in _weights(layer)]
        return [self.given.x, *self.given.states, *weights]

    def of_library(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Outputs and last states by torch's own function."""
        count, layers = len(self.given.states), self.given.layers
        states, weights = list(tensors[1 : 1 + count]), list(tensors[1 + count :])
        training = torch.is_grad_enabled()  # or cuDNN keeps nothing for backward; there is no dropout
        depth, biases = len(layers) // self.directions, layers[0].bias_ih is not None
        settings = biases, depth, 0.0, training, self.directions == 2, False
        with warnings.catch_warnings(), torch.autocast(tensors[0].device.type, enabled=False):
            warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous")
            return list(self.mode(tensors[0], states if count > 1 else states[0], weights, *settings))

    def of_scan(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The same by the scan."""
        count, layers, rest = len(self.given.states), [], iter(tensors[1 + len(self.given.states) :])
        for layer in self.given.layers:
            found = {name: next(rest) for name in _PARTS if getattr(layer, name) is not None}
            layers.append(replace(layer, **found))  # type: ignore[arg-type]
        results = self.again(replace(self.given, x=tensors[0], states=list(tensors[1 : 1 + count]), layers=layers))
        return [results.output, *results.last]


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        wanted = ctx.needs_input_grad[1:]
        leaves = [t.detach().requires_grad_(want) for t, want in zip(tensors, wanted, strict=True)]
        with torch.set_grad_enabled(any(wanted)), exact():
            results = call.of_library(leaves)
        ctx.save_for_backward(*tensors)
        ctx.call, ctx.graph = call, (results, leaves)
        return tuple(r.detach() for r in results)

    @staticmethod
    def backward(ctx: Any, *d: Tensor) -> tuple[Tensor | None, ...]:
        tensors, wanted = ctx.saved_tensors, ctx.needs_input_grad[1:]
        results, leaves = ctx.graph
        again = torch.is_grad_enabled()
        if again:
            results, leaves = ctx.call.of_scan(tensors), tensors
        inputs = [t for t, want in zip(leaves, wanted, strict=True) if want]
        with exact():
            found = iter(
                torch.autograd.grad(results, inputs, d, retain_graph=True, create_graph=again, allow_unused=True)
            )
        return None, *(next(found) if want else None for want in wanted)


@contextlib.contextmanager
def exact() -> Iterator[None]:
    """float32 is float32 for cuDNN's layers."""
    settings: Any = torch.backends.cudnn.rnn
    before, settings.fp32_precision = settings.fp32_precision, "ieee"
    try:
        yield
    finally:
        settings.fp32_precision = before


def _weights(layer: Layer) -> list[Tensor]:
    return [w for name in _PARTS if (w := getattr(layer, name)) is not None]
