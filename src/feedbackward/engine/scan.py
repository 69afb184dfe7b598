"""Any cell, written as a plain PyTorch function of one step, as one native loop.

carry[t], y[t] = cell(carry[t-1], x[t]),    t = 0 .. T-1,    carry[-1] = init
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .. import reference
from ..ops.operator import is_transformed
from ..trees import flatten
from .adapt import as_cell
from .arguments import Arguments, validated
from .check import STEPS
from .check import check as check_program
from .errors import LoweringError, refusal
from .prepare import Prepared, prepare
from .trace import is_tracing

__all__ = ["LoweringError", "scan"]

DEVICES = ("cpu", "cuda")


def scan(
    cell: Callable[..., Any],
    init: Any,
    xs: Any,
    *,
    dim: int = 0,
    reverse: bool = False,
    length: int | None = None,
    checkpoint: str | int | None = "auto",
    backend: str = "auto",
    check: bool = True,
) -> tuple[Any, Any]:
    """Run a cell over time, forward and, when gradients are asked for, backward, each as one native loop.

        carry[t], y[t] = cell(carry[t-1], x[t]),    t = 0 .. T-1,    carry[-1] = init

    The signature is that of `torch._higher_order_ops.scan` and of `jax.lax.scan`. The cell is traced once for every
    form of its arguments. What it computes from x alone, or from parameters alone, runs outside the loop and may be any
    operator of torch; what depends on the carry becomes a program for the native loop: pointwise operators, slices and
    stacks, products with matrices, sums, softmax and layer norm over axes of one batch element.

    Args:
        cell: ``(carry, x) -> (carry, y)``. Carry, x and y are tensors or trees of them (tuples, lists, dicts, None).
            Tensors, parameters and modules that it closes over receive gradients. A `torch.nn.RNNCell`, `GRUCell` or
            `LSTMCell` is a cell as it is, and y its hidden state.
        init: The first carry: float32 or float64 leaves (or bool), which keep shape and dtype from step to step.
        xs: What the cell reads: every leaf has T at ``dim``. None with ``length``, for cells that read nothing.
        dim: The axis of time in xs, and in y.
        reverse: Run from T-1 to 0.
        length: T, where xs has no leaves.
        checkpoint: What backward keeps from forward: the carry at steps of its own choice (``"auto"``), or every so
            many steps (an int: less memory when large, replayed in backward), or all that it needs (None: no replay).
        backend: ``"native"``; ``"eager"``, the cell in a Python loop; ``"auto"`` is native, and never falls back. (A
            scan inside a cell is unrolled while that is traced, and where tensors are empty there is nothing to run.)
        check: Compare program and cell, values and gradients, in float64, over three steps before a new cell is used
            (not inside torch.compile or a transform of torch.func). What a cell reads from elsewhere, as from
            ``os.environ``, is read when it is traced.

    Returns:
        The last carry, and y with T at ``dim``.

    Raises:
        LoweringError: The cell does what no program can; the message names the operator, the line and the remedy.
        ValueError: Arguments that do not fit together.

    Example:
        >>> import torch, feedbackward as fb
        >>> a = torch.tensor(0.9, requires_grad=True)
        >>> def smooth(y, x):
        ...     y = a * y + (1 - a) * x
        ...     return y, y
        >>> last, y = fb.scan(smooth, torch.zeros(4), torch.ones(100, 4))
        >>> y.shape, round(y[9, 0].item(), 4)
        (torch.Size([100, 4]), 0.6513)
        >>> y.sum().backward()
        >>> round(a.grad.item(), 1)
        -399.9
    """
    if torch._C._get_tracing_state() is not None and backend != "eager":
        raise refusal("torch.jit.trace cannot record a native loop", "use torch.compile or torch.export")
    step = as_cell(cell)
    given = validated(init, xs, dim, length)
    device = given.device.type
    if device in DEVICES and torch.is_autocast_enabled(device):  # the state keeps its precision from step to step
        with torch.autocast(device, enabled=False):
            return scan(
                cell,
                init,
                xs,
                dim=dim,
                reverse=reverse,
                length=length,
                checkpoint=checkpoint,
                backend=backend,
                check=check,
            )
    every = _interval(checkpoint)
    if backend not in ("auto", "native", "eager"):
        raise ValueError(f"scan: backend is {backend!r}, expected 'auto', 'native' or 'eager'")
    # A cell inside a cell is unrolled; of nothing there is nothing to compute.
    if backend == "eager" or is_tracing() or given.empty:
        return reference.scan(step, init, xs, dim=dim, reverse=reverse, length=length)
    _check_devices(given)
    if torch.compiler.is_dynamo_compiling():
        from . import compiled

        after, y, y_tree = compiled.scan(step, given, reverse, every)
    else:
        prepared, captured = prepare(cell, step, given.form)
        if check and not prepared.checked and not is_transformed() and not torch.compiler.is_compiling():
            _compare(prepared, step, given, captured)
        after, y = prepared(captured, given.carry, given.xs, given.steps, reverse, every)
        y_tree = prepared.y_tree
    if dim:
        at = dim % len(given.xs[0].shape) if given.xs else dim
        y = [o if at == 0 else o.movedim(0, dim if dim < 0 else min(dim, o.ndim - 1)) for o in y]
    return given.carry_tree.unflatten(after), y_tree.unflatten(y)


def _compare(prepared: Prepared, step: Callable[..., Any], given: Arguments, captured: list[Tensor]) -> None:
    def eager(carry: Any, xs: Any) -> tuple[list[Tensor], list[Tensor]]:
        init, x = given.carry_tree.unflatten(carry), given.x_tree.unflatten(xs)
        last, y = reference.scan(step, init, x, length=None if xs else STEPS)
        return flatten(last)[0], flatten(y)[0]

    with torch.inference_mode(False):  # it takes gradients, whatever the call does
        check_program(prepared, eager, captured, given.carry, given.xs)
    prepared.checked = True


def _check_devices(given: Arguments) -> None:
    for name, tensors in (("init", given.carry), ("xs", given.xs)):
        for tensor in tensors:
            if tensor.device.type not in DEVICES:
                raise ValueError(
                    f"scan: {name} is on {tensor.device}, but this version computes on CPU and CUDA; move it with "
                    '.cpu(), or use backend="eager"'
                )
            if tensor.device != given.device:
                raise ValueError(
                    f"scan: {name} is on {tensor.device}, but other tensors are on {given.device}, expected one device"
                )


def _interval(checkpoint: str | int | None) -> int:
    if checkpoint == "auto":
        return 0
    if checkpoint is None:
        return -1
    if isinstance(checkpoint, int) and not isinstance(checkpoint, bool) and checkpoint > 0:
        return checkpoint
    raise ValueError(f"scan: checkpoint is {checkpoint!r}, expected 'auto', a positive int or None")
