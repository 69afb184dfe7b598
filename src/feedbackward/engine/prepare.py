"""From a cell to something that runs: traced and lowered once for every form of its arguments, then found again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from ..trees import Tree
from . import operator
from .closure import Uncacheable, fingerprint
from .ir import Program
from .lower import lower
from .move import MOVES
from .nodes import base_name
from .outside import split
from .trace import CPU, Spec, Trace, apart, default_device, trace

_MOST = 256  # cells that are remembered
_IN_ORDER = tuple(range(64))


@dataclass(frozen=True)
class Form:
    """The arguments of a scan but for their numbers: what a trace depends on besides the cell."""

    carry: tuple[Spec, ...]
    carry_tree: Tree
    x: tuple[Spec, ...]
    x_tree: Tree
    device: torch.device = CPU


@dataclass(frozen=True)
class _Leaf:
    """How a tensor becomes a leaf of the program: axes in order, then flattened to (*lanes, rows)."""

    place: int
    order: tuple[int, ...]
    shape: tuple[int, ...]

    def of(self, tensor: Tensor, dtype: torch.dtype, time: bool) -> Tensor:
        tensor = _permuted(tensor, self.order, time)
        lead = tensor.shape[:1] if time else ()
        if tensor.shape != (*lead, *self.shape):
            tensor = tensor.reshape([*lead, *self.shape])
        return tensor if tensor.dtype == dtype else tensor.to(dtype)


@dataclass(frozen=True)
class _Result:
    """How a tensor of the program, (*lanes, rows), becomes one of the cell's."""

    place: int
    shape: tuple[int, ...]
    order: tuple[int, ...]
    dtype: torch.dtype
    whole: bool  # whether it has the lanes; otherwise it is the same in all of them

    def of(self, tensor: Tensor, lanes: Sequence[int], time: bool, wide: bool) -> Tensor:
        if not self.whole:
            for _ in lanes:
                tensor = tensor.select(int(time), 0)
        lead = tensor.shape[:1] if time else ()
        if tensor.shape != (*lead, *self.shape):
            tensor = tensor.reshape([*lead, *self.shape])
        tensor = _permuted(tensor, self.order, time)
        return (
            tensor if tensor.dtype == self.dtype or (wide and self.dtype.is_floating_point) else tensor.to(self.dtype)
        )


def _permuted(tensor: Tensor, order: tuple[int, ...], time: bool) -> Tensor:
    if order == _IN_ORDER[: len(order)]:
        return tensor
    return tensor.permute([0, *(a + 1 for a in order)] if time else order)


class Prepared:
    """A cell as a program, with what runs outside of it; holds no tensor of the user's.

    Attributes:
        program: The step.
        lanes: The sizes of the lane axes.
        y_tree: The form of y.
        checked: Whether the program was compared with the cell.
    """

    def __init__(self, traced: Trace, form: Form, captured: list[int | Tensor]) -> None:
        lowering = lower(traced)
        self.outside, place = split(traced, lowering)

        def leaf(node: fx.Node, lanes: Sequence[int | None]) -> _Leaf:
            return _leaf_of(place[node][1], node.meta["val"].shape, lanes)

        self.checked = False
        self.captured, self.y_tree, self.device = captured, traced.y_tree, form.device
        self.program: Program = lowering.program
        self.text = self.program.text
        self.lanes, self.dtype = lowering.lanes, lowering.dtype
        self.held = [leaf(f.node, f.lanes) for f in lowering.held]
        self.sequences = [leaf(f.node, f.lanes) for f in lowering.sequences]
        self.matrices = [(place[w.node][1], w.axes, w.shape) for w in lowering.matrices]
        nowhere = (None,) * len(self.lanes)
        self.states = [_leaf_of(i, form.carry[i][0], lanes or nowhere) for i, lanes in enumerate(lowering.carry)]
        (results,) = (n.args[0] for n in traced.module.graph.nodes if n.op == "output")
        self.after = [_result_of(i, results[i], lanes) for i, lanes in enumerate(lowering.carry)]
        self.outputs: list[tuple[str, Any]] = []
        for node, output in zip(results[traced.carry :], lowering.outputs, strict=True):
            if isinstance(output, fx.Node):
                kind, at = place[output]
                view = output.op != "call_function" or base_name(output) in MOVES | {"alias", "detach"}
                self.outputs.append((f"{kind}, a view" if view else kind, at))
            else:
                in_loop = sum(kind == "loop" for kind, _ in self.outputs)
                self.outputs.append(("loop", _result_of(in_loop, node, output.lanes)))

    def tensors(self, found: Sequence[Tensor]) -> list[Tensor]:
        """What the cell closes over, from the tensors that can be reached through it."""
        return [found[c] if isinstance(c, int) else c for c in self.captured]

    def __call__(
        self,
        captured: Sequence[Tensor],
        carry: Sequence[Tensor],
        xs: Sequence[Tensor],
        steps: int,
        reverse: bool,
        checkpoint: int,
        wide: bool = False,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The leaves of the last carry, and those of all y, time first; when ``wide``, all of it in float64."""
        captured = [c if c.device == self.device else c.to(self.device) for c in captured]  # numbers may be on the CPU
        once, along = self.outside.run(captured, xs, steps)
        dtype = torch.float64 if wide else self.dtype
        tensors = [
            *(leaf.of(once[leaf.place], dtype, False) for leaf in self.held),
            *(once[place].permute(axes).reshape(shape).to(dtype) for place, axes, shape in self.matrices),
            *(leaf.of(along[leaf.place], dtype, True) for leaf in self.sequences),
            *(leaf.of(carry[leaf.place], dtype, False) for leaf in self.states),
        ]
        outputs: list[Tensor] = []
        after: list[Tensor] = []
        if tensors:
            wanted = operator.wanted(tensors)
            outputs, after = operator.run(tensors, self.text, wanted, self.lanes, steps, reverse, checkpoint)
        y = []
        for kind, what in self.outputs:
            if kind == "loop":
                y.append(what.of(outputs[what.place], self.lanes, True, wide))
            elif kind.startswith("once"):
                y.append(once[what].repeat(steps, *(1 for _ in once[what].shape)))
            else:
                y.append(along[what].clone() if "view" in kind else along[what])
        return [r.of(after[r.place], self.lanes, False, wide) for r in self.after], y


def _leaf_of(place: int, shape: Sequence[int], lanes: Sequence[int | None]) -> _Leaf:
    own = [a for a in lanes if a is not None]
    rest = [a for a in range(len(shape)) if a not in own]
    sizes = tuple(1 if a is None else shape[a] for a in lanes)
    rows = torch.Size([shape[a] for a in rest]).numel()
    return _Leaf(place, (*own, *rest), (*sizes, rows))


def _result_of(place: int, node: fx.Node, lanes: tuple[int, ...]) -> _Result:
    val = node.meta["val"]
    order = [*lanes, *(a for a in range(val.ndim) if a not in lanes)]
    back = tuple(order.index(a) for a in range(val.ndim))
    return _Result(place, tuple(val.shape[a] for a in order), back, val.dtype, bool(lanes))


def _surroundings(device: str) -> tuple[Any, ...]:
    """What a cell's operators depend on besides their arguments."""
    of_autocast = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    return *of_autocast, torch.get_default_dtype(), default_device()


_known: OrderedDict[Any, Prepared] = OrderedDict()
_lock = threading.RLock()  # torch traces in one thread at a time


def prepare(cell: Callable[..., Any], adapted: Callable[..., Any], form: Form) -> tuple[Prepared, list[Tensor]]:
    """A cell's program for arguments of a form, and the tensors that it closes over now.

    Args:
        cell: What the user gave.
        adapted: The same as ``(carry, x) -> (carry, y)``.
        form: The form of the arguments.
    """
    try:
        key, found = fingerprint(cell)
        surroundings = _surroundings(form.device.type)
        key = key, form.carry, str(form.carry_tree), form.x, str(form.x_tree), form.device, surroundings
    except Uncacheable:
        key, found = None, []
    prepared = _known.get(key) if key is not None else None
    if prepared is None:
        with _lock:
            prepared = _known.get(key) if key is not None else None
            if prepared is None:
                prepared = _prepare(key, adapted, form, found)
    return prepared, prepared.tensors(found)


def _prepare(key: Any, adapted: Callable[..., Any], form: Form, found: list[Tensor]) -> Prepared:
    with apart():
        traced = trace(adapted, form.carry, form.carry_tree, form.x, form.x_tree, (), found, form.device)
        hidden = traced.captured[len(found) :]
        prepared = Prepared(traced, form, [*range(len(found)), *hidden])
    unseen = any(c.requires_grad or torch._C._functorch.is_functorch_wrapped_tensor(c) for c in hidden)
    if key is not None and not unseen:
        _known[key] = prepared
        while len(_known) > _MOST:
            _known.popitem(last=False)
    return prepared
