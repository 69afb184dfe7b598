"""Any cell, written as a plain PyTorch function of one step, as one native loop.

carry[t], y[t] = cell(carry[t-1], x[t]),    t = 0 .. T-1,    carry[-1] = init
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .. import reference
from ..trees import Tree, flatten
from . import check as self_check
from .adapt import as_cell
from .errors import LoweringError
from .prepare import Form, Prepared, prepare
from .trace import is_tracing

__all__ = ["LoweringError", "scan"]


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
        backend: ``"native"``; ``"eager"``, the cell in a Python loop; ``"auto"`` is native, and never falls back.
        check: Compare program and cell, values and gradients, over three steps before the first use of a new cell.

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
    step = as_cell(cell)
    carry, carry_tree = flatten(init)
    leaves, x_tree = flatten(xs)
    steps, first_dim = _validate(carry, leaves, dim, length)
    every = _interval(checkpoint)
    if backend not in ("auto", "native", "eager"):
        raise ValueError(f"scan: backend is {backend!r}, expected 'auto', 'native' or 'eager'")
    # A cell inside a cell is unrolled; of nothing there is nothing to compute.
    empty = any(leaf.numel() == 0 for leaf in carry) or any(leaf.numel() == 0 and steps for leaf in leaves)
    if backend == "eager" or is_tracing() or empty:
        return reference.scan(step, init, xs, dim=dim, reverse=reverse, length=length)
    for name, tensors in (("init", carry), ("xs", leaves)):
        for tensor in tensors:
            if tensor.device.type != "cpu":
                raise ValueError(
                    f"scan: {name} is on {tensor.device}, but this version computes on CPU; move it with .cpu(), or "
                    'use backend="eager"'
                )
    sequences = [x if dim == 0 else x.movedim(dim, 0) for x in leaves]
    if torch.compiler.is_compiling():
        from . import compiled

        after, y, y_tree = compiled.scan(step, carry, carry_tree, sequences, x_tree, steps, reverse, every)
    else:
        prepared, captured = _prepared(cell, step, carry, carry_tree, sequences, x_tree, check)
        after, y = prepared(captured, carry, sequences, steps, reverse, every)
        y_tree = prepared.y_tree
    ys = [o if first_dim == 0 else o.movedim(0, dim if dim < 0 else min(dim, o.ndim - 1)) for o in y]
    return carry_tree.unflatten(after), y_tree.unflatten(ys)


def _prepared(
    cell: Callable[..., Any],
    step: Callable[..., Any],
    carry: list[Tensor],
    carry_tree: Tree,
    sequences: list[Tensor],
    x_tree: Tree,
    check: bool,
) -> tuple[Prepared, list[Tensor]]:
    form = Form(
        tuple((tuple(c.shape), c.dtype) for c in carry),
        carry_tree,
        tuple((tuple(x.shape[1:]), x.dtype) for x in sequences),
        x_tree,
    )

    def look(prepared: Prepared, captured: list[Tensor]) -> None:
        if check:
            _check(prepared, step, form, captured, carry, sequences)

    return prepare(cell, step, form, look)


def _check(
    prepared: Prepared,
    step: Callable[..., Any],
    form: Form,
    captured: list[Tensor],
    carry: list[Tensor],
    sequences: list[Tensor],
) -> None:
    def eager(carry: Any, xs: Any) -> tuple[list[Tensor], list[Tensor]]:
        init, x = form.carry_tree.unflatten(carry), form.x_tree.unflatten(xs)
        last, y = reference.scan(step, init, x, length=None if xs else self_check.STEPS)
        return flatten(last)[0], flatten(y)[0]

    if torch._C._are_functorch_transforms_active():
        return
    self_check.check(prepared, eager, captured, carry, sequences)


def _interval(checkpoint: str | int | None) -> int:
    if checkpoint == "auto":
        return 0
    if checkpoint is None:
        return -1
    if isinstance(checkpoint, int) and not isinstance(checkpoint, bool) and checkpoint > 0:
        return checkpoint
    raise ValueError(f"scan: checkpoint is {checkpoint!r}, expected 'auto', a positive int or None")


def _validate(carry: list[Any], xs: list[Any], dim: int, length: int | None) -> tuple[int, int]:
    """The number of steps, and the axis of time counted from the front."""
    if not isinstance(dim, int):
        raise ValueError(f"scan: dim is {dim!r}, expected an int")
    for name, leaves in (("init", carry), ("xs", xs)):
        for n, leaf in enumerate(leaves):
            if not isinstance(leaf, Tensor):
                raise ValueError(f"scan: leaf {n} of {name} is a {type(leaf).__name__}, expected a tensor")
            if leaf.layout != torch.strided:
                raise ValueError(f"scan: leaf {n} of {name} is {leaf.layout}, expected a dense tensor: use .to_dense()")
    for n, leaf in enumerate(carry):
        if leaf.dtype not in (torch.float32, torch.float64, torch.bool):
            raise ValueError(
                f"scan: leaf {n} of init is {leaf.dtype}, expected float32 or float64 (counters too: as floats)"
            )
    if not xs:
        if length is None:
            raise ValueError("scan: xs has no tensors, so length must say how many steps there are")
        if length < 0:
            raise ValueError(f"scan: length is {length}, expected at least 0")
        return length, dim
    for n, leaf in enumerate(xs):
        if not -leaf.ndim <= dim < leaf.ndim:
            raise ValueError(f"scan: dim is {dim}, but leaf {n} of xs has shape {tuple(leaf.shape)}")
    sizes = {leaf.shape[dim] for leaf in xs}
    if len(sizes) > 1:
        raise ValueError(f"scan: the leaves of xs have different lengths along dim {dim}: {sorted(sizes)}")
    (steps,) = sizes
    if length is not None and length != steps:
        raise ValueError(f"scan: length is {length}, but xs has {steps} steps along dim {dim}")
    return steps, dim % xs[0].ndim
