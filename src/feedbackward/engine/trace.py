"""One step of a cell as a graph of ATen operators.

The cell runs once on fake tensors, functionalized, so that writes into tensors of its own become values. What it closes
over appears in the graph as constants, in the order of `Trace.captured`.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch._guards import tracing
from torch.autograd import forward_ad
from torch.fx import traceback as fx_traceback
from torch.overrides import (  # type: ignore[attr-defined]
    TorchFunctionMode,
    _get_current_function_mode_stack,
    _len_torch_function_stack,
    _pop_mode_temporarily,
)
from torch.utils import _pytree as pytree
from torch.utils._device import DeviceContext
from torch.utils._python_dispatch import _disable_current_modes

from ..trees import Tree, flatten
from .errors import LoweringError, line_now, line_of, line_of_exception, line_of_function, refusal

CPU = torch.device("cpu")
Spec = tuple[tuple[int, ...], torch.dtype]  # shape and dtype of one tensor of one step
_THE_VALUE = "asks for the value of a tensor (a data-dependent `if` or `while`, float(), .item(), .tolist(), .numpy())"
_ON_TENSORS = "use torch.where(condition, a, b), and torch's functions in place of math's and numpy's"


@dataclass
class Trace:
    """A traced step.

    Attributes:
        module: Placeholders are the leaves of the carry, those of x, what is given and what was reachable; results are
            the leaves of the new carry, then those of y.
        captured: The tensors that the cell closes over: those that were reachable, then the constants of the graph.
        carry, x: How many leaves they have.
        y_tree: The tree of y.
    """

    module: fx.GraphModule
    captured: list[Tensor]
    carry: int
    x: int
    y_tree: Tree


def trace(
    cell: Callable[..., Any],
    carry: Sequence[Spec],
    carry_tree: Tree,
    x: Sequence[Spec],
    x_tree: Tree,
    given: Sequence[Spec] = (),
    reachable: Sequence[Tensor] = (),
    device: torch.device = CPU,
) -> Trace:
    """Trace ``cell(carry, x, *given) -> (carry, y)``, where what is given is the same for all steps.

    Tensors that are ``reachable`` through the cell are inputs of the graph too, after what is given; what else it
    closes over is constant in it. All of it is on one device, but a number (a tensor without axes) may be on the CPU.

    Raises:
        LoweringError: The cell cannot be traced, or its carry changes its form.
    """
    y_tree: Any = None
    writes: list[str] = []

    def flat(*leaves: Tensor) -> list[Any]:
        nonlocal y_tree
        n, m = len(carry), len(carry) + len(x)
        g = m + len(given)
        with _Calls({id(t): leaf for t, leaf in zip(reachable, leaves[g:], strict=True)}, leaves, writes):
            result = cell(carry_tree.unflatten(leaves[:n]), x_tree.unflatten(leaves[n:m]), *leaves[m:g])
        after, y, y_tree = _results(cell, result, carry, carry_tree)
        return [*after, *y]

    specs = (*carry, *x, *given, *((tuple(t.shape), t.dtype) for t in reachable))
    try:
        with apart():
            dummies = _dummies(specs, device)
            module = _make(flat, dummies, _decompositions())
            if any(getattr(n.target, "_schema", None) and n.target._schema.is_mutable for n in module.graph.nodes):
                module = _make(module, dummies, None)  # decompositions write in place too
    except LoweringError:
        raise
    except Exception as error:
        raise _explained(error, cell, carry, carry_tree, x, x_tree, given, device) from error
    placeholders = [n for n in module.graph.nodes if n.op == "placeholder"][len(specs) - len(reachable) :]
    for i, (node, tensor) in enumerate(zip(placeholders, reachable, strict=True)):
        node.meta["captured"] = i
        if node.users and tensor.device != device and not (tensor.ndim == 0 and tensor.device == CPU):
            what = f"the cell closes over a tensor on {tensor.device}, but the scan is on {device}"
            raise refusal(what, f"move it with .to({str(device)!r})", line_of(next(iter(node.users))))
    captured: list[Tensor] = list(reachable)
    for node in module.graph.nodes:
        if node.op == "get_attr":
            node.meta["captured"] = len(captured)
            captured.append(getattr(module, node.target))
    _refuse_what_a_trace_cannot_repeat(module, writes)
    return Trace(module, captured, len(carry), len(x), y_tree)


_tracing = threading.local()


def is_tracing() -> bool:
    """Whether a cell is being traced in this thread: a scan inside it runs as a loop, and is unrolled."""
    return getattr(_tracing, "depth", 0) > 0


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Outside of every transform, mode and trace, and of gradients; torch's log of explained errors is silent.

    The default device stays: a cell makes its tensors there.
    """
    log = logging.getLogger("torch._subclasses.fake_tensor")
    disabled, log.disabled = log.disabled, True
    _tracing.depth = getattr(_tracing, "depth", 0) + 1
    try:
        with (
            _without_function_modes(),
            tracing(None),
            _disable_current_modes(),
            temporarily_clear_interpreter_stack(),
            forward_ad._set_fwd_grad_enabled(False),
            torch.no_grad(),
            fx_traceback.preserve_node_meta(),
        ):
            yield
    finally:
        _tracing.depth -= 1
        log.disabled = disabled


@contextlib.contextmanager
def _without_function_modes() -> Iterator[None]:
    default = default_device()
    with contextlib.ExitStack() as modes:
        for _ in range(_len_torch_function_stack()):
            modes.enter_context(_pop_mode_temporarily())
        if default is not None:
            modes.enter_context(default)
        yield


def default_device() -> torch.device | None:
    """Where torch makes tensors for which no device is named, if the user has chosen one."""
    modes = reversed(_get_current_function_mode_stack())
    return next((mode.device for mode in modes if isinstance(mode, DeviceContext)), None)


def _dummies(specs: Sequence[Spec], device: torch.device) -> list[Tensor]:
    """Tensors to trace with: on another device than the CPU they are fakes, which need none."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    if device == CPU:
        return [torch.empty(shape, dtype=dtype, device=CPU) for shape, dtype in specs]
    with FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv(), static_shapes=True):
        return [torch.empty(shape, dtype=dtype, device=device) for shape, dtype in specs]


def _make(function: Callable[..., Any], dummies: Sequence[Tensor], decompositions: Any) -> fx.GraphModule:
    from torch.fx.experimental.proxy_tensor import make_fx

    functional = torch.func.functionalize(function, remove="mutations_and_views")
    return make_fx(functional, decompositions, tracing_mode="fake", _allow_non_fake_inputs=True)(*dummies)


class StandIns(TorchFunctionMode):
    """Puts other tensors, by the ids of those that they stand for, in the place of what a cell closes over."""

    def __init__(self, stand_ins: dict[int, Tensor]) -> None:
        super().__init__()
        self.stand_ins = stand_ins

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.stand_ins:
            args, kwargs = pytree.tree_map(lambda a: self.stand_ins.get(id(a), a), (args, kwargs))
        return func(*args, **(kwargs or {}))


class _Calls(StandIns):
    """Notes the line of the cell in every node of the graph, and what it writes into."""

    def __init__(self, stand_ins: dict[int, Tensor], given: Sequence[Tensor], writes: list[str]) -> None:
        super().__init__(stand_ins)
        self.writes, self.given = writes, {id(t) for t in given}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        fx_traceback.current_meta["stack_trace"] = line_now()
        name = getattr(func, "__name__", "")
        if name in ("numpy", "tolist", "__array__"):
            raise refusal(f"the cell {_THE_VALUE}", _ON_TENSORS, line_now())
        written = self.stand_ins.get(id(args[0]), args[0]) if args else None
        if id(written) in self.given and (name == "__setitem__" or name.rstrip("_") + "_" == name):
            self.writes.append(line_now())
        return super().__torch_function__(func, types, args, kwargs)


def _results(
    cell: Callable[..., Any], result: Any, carry: Sequence[Spec], carry_tree: Tree
) -> tuple[list[Tensor], list[Tensor], Tree]:
    """The leaves of what a cell returned: the new carry, y, and the form of y."""
    where = line_of_function(cell)
    cell_at = f"cell at {where}" if where else "cell"
    if not isinstance(result, tuple) or len(result) != 2:
        count = f" of {len(result)}" if isinstance(result, (tuple, list)) else ""
        raise LoweringError(
            f"scan: {cell_at} returned a {type(result).__name__}{count}, expected a pair: a tuple (carry, y)"
        )
    after, after_tree = flatten(result[0])
    if after_tree != carry_tree:
        raise LoweringError(f"scan: {cell_at} returned a carry of form {after_tree}, expected {carry_tree} as in init")
    y, y_tree = flatten(result[1])
    for leaf in y:
        if not isinstance(leaf, Tensor):
            raise LoweringError(f"scan: {cell_at} returned a {type(leaf).__name__} in y, expected tensors")
    for n, (leaf, (shape, dtype)) in enumerate(zip(after, carry, strict=True)):
        if not isinstance(leaf, Tensor):
            raise LoweringError(
                f"scan: {cell_at} returned a {type(leaf).__name__} as leaf {n} of the carry, expected a tensor"
            )
        if tuple(leaf.shape) != shape or leaf.dtype != dtype:
            raise LoweringError(
                f"scan: {cell_at} returned leaf {n} of the carry with shape {tuple(leaf.shape)} and {leaf.dtype}, "
                f"expected {shape} and {dtype} as in init: a carry keeps its form from step to step"
            )
    return after, y, y_tree


def _explained(
    error: Exception,
    cell: Callable[..., Any],
    carry: Sequence[Spec],
    carry_tree: Tree,
    x: Sequence[Spec],
    x_tree: Tree,
    given: Sequence[Spec],
    device: torch.device,
) -> Exception:
    """What to raise for an exception of a trace: the cell's own, if it has one, or why it cannot be traced."""
    from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

    text, where = str(error), line_of_exception(error)
    if isinstance(error, GuardOnDataDependentSymNode) or "numpy()" in text or "tolist()" in text:
        return refusal(f"the cell {_THE_VALUE}", _ON_TENSORS, where)
    if "autograd.Function" in text:
        remedy = "write another gradient as hard.detach() + soft - soft.detach()"
        return refusal("the cell applies a custom autograd.Function", remedy, where)
    if "mutat" in text:
        return refusal("the cell writes into a tensor that it closes over", "return the new value in the carry", where)
    zeros = [[torch.zeros(shape, dtype=dtype, device=device) for shape, dtype in specs] for specs in (carry, x, given)]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            cell(carry_tree.unflatten(zeros[0]), x_tree.unflatten(zeros[1]), *zeros[2])
    except Exception as own:
        if "numpy()" in str(own):
            return refusal(f"the cell {_THE_VALUE}", _ON_TENSORS, line_of_exception(own))
        return own
    reason = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    return refusal(
        f"the cell cannot be traced ({type(error).__name__}: {reason})", "write it with plain operators of torch", where
    )


@functools.cache
def _decompositions() -> dict[Any, Any]:
    from torch._decomp import core_aten_decompositions

    table = dict(core_aten_decompositions())
    for name in ("_softmax", "_log_softmax", "detach", "softplus", "mish", "hardtanh", "elu", "celu"):
        table.pop(getattr(torch.ops.aten, name).default, None)
    table.pop(torch.ops.aten.xlogy.Tensor, None)
    return table


def _refuse_what_a_trace_cannot_repeat(module: fx.GraphModule, writes: Sequence[str]) -> None:
    given = {n for n in module.graph.nodes if n.op in ("placeholder", "get_attr")}
    for node in module.graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            remedy = "draw them outside, for the whole sequence, and pass them in xs"
            raise refusal(f"{node.target} draws random numbers", remedy, line_of(node))
        if node.target is torch.ops.aten._local_scalar_dense.default:
            raise refusal(f"the cell {_THE_VALUE}", _ON_TENSORS, line_of(node))
        if node.target is torch.ops.aten.copy_.default and node.args[0] in given:
            remedy = "return the new value instead, in the carry if a later step needs it"
            where = writes[0] if writes else line_of(node)
            raise refusal("the cell writes into a tensor that it was given or closes over", remedy, where)
