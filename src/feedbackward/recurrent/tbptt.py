"""Truncated back-propagation through time.

    BPTT(k2; k1): every k1 = steps samples, the gradient of their loss goes back through k2 = steps + overlap samples.

    block j:  samples j k1 .. (j+1) k1 - 1,    started from the state at j k1 - overlap, detached,
              and run over the overlap once more, whose outputs are in no loss

With overlap = 0 that is the common form k1 = k2: the state goes on, its gradient does not. The first sample of a block
sees no past then, its last one `steps`; an overlap gives every sample at least so much.

Source: Williams and Peng, "An efficient gradient-based algorithm for on-line training of recurrent network
trajectories", Neural Computation 2, 1990.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

LossFunction = Callable[[Any, slice], Tensor]


@dataclass(frozen=True)
class Block:
    """One block of a sequence.

    Attributes:
        output: What the module returned for the block's own samples, attached to its graph; detached where tbptt has
            taken the loss.
        state: After the block, detached.
        time: Which samples.
        loss: What loss_fn returned, detached; None without one.
    """

    output: Any
    state: Any
    time: slice
    loss: Tensor | None = None


def tbptt(
    module: Callable[[Tensor, Any], tuple[Any, Any]],
    x: Tensor,
    steps: int,
    *,
    state: Any = None,
    loss_fn: LossFunction | None = None,
    overlap: int = 0,
    dim: int | None = None,
) -> Iterator[Block]:
    """Run a module over a long sequence in blocks, whose gradients end at their beginning.

    Args:
        module: ``module(x, state) -> (y, state)``: a recurrent layer of `feedbackward.nn` or torch.nn, a filter of
            `feedbackward.nn`, or any function of that form, such as ``lambda x, s: fb.scan(cell, s, x)[::-1]``.
        x: The sequence.
        steps: k1, the samples of a block.
        state: The first state; None: the module's own. Its gradient comes from the first block.
        loss_fn: ``loss_fn(y, time)``, the loss of a block's output, where ``time`` is the slice of x's samples that it
            belongs to, as in ``lambda y, time: mse_loss(y, target[time])``. Its gradient is taken at once, so that only
            one block is in memory. None: the caller takes a loss of `Block.output`, and its gradient, before the next.
        overlap: Samples before a block that its gradient goes back through too; they are computed again.
        dim: The axis of time in x and y. None: that of the module, by its ``batch_first`` or as a filter of
            `feedbackward.nn` (the last axis); otherwise 0.

    Yields:
        A `Block` at a time. Weights may be changed in between.

    Raises:
        ValueError: A number or a shape does not fit.
        TypeError: The module returned no pair.

    Example:
        >>> import torch, feedbackward as fb
        >>> layer = fb.nn.RNN(1, 4)
        >>> optimizer = torch.optim.SGD(layer.parameters(), 0.1)
        >>> x, target = torch.randn(1000, 1), torch.randn(1000, 4)
        >>> for block in fb.tbptt(layer, x, 100, loss_fn=lambda y, time: (y - target[time]).square().mean()):
        ...     optimizer.step()
        ...     optimizer.zero_grad()
        >>> block.time, block.output.shape
        (slice(900, 1000, None), torch.Size([100, 4]))
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"tbptt: steps is {steps!r}, expected a positive integer")
    if isinstance(overlap, bool) or not isinstance(overlap, int) or overlap < 0:
        raise ValueError(f"tbptt: overlap is {overlap!r}, expected an integer of at least 0")
    if not isinstance(x, Tensor) or x.ndim == 0:
        raise ValueError(
            f"tbptt: x is {tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__}, expected a tensor with time"
        )
    axis = _axis(module, x) if dim is None else dim
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"tbptt: dim is {dim}, but x has shape {tuple(x.shape)}")
    return _blocks(module, x, steps, state, loss_fn, overlap, axis)


def _blocks(
    module: Callable[[Tensor, Any], tuple[Any, Any]],
    x: Tensor,
    steps: int,
    state: Any,
    loss_fn: LossFunction | None,
    overlap: int,
    axis: int,
) -> Iterator[Block]:
    length = x.shape[axis]
    begin, early = state, 0  # the state at sample `early`, from which a block starts
    for start in range(0, length, steps):
        stop = min(start + steps, length)
        to_keep = max(stop - overlap, early)  # where the next block starts
        y, last, kept = _run(module, x, begin, (early, start, stop), to_keep, axis)
        time, loss = slice(start, stop), None
        if loss_fn is not None:
            loss = loss_fn(y, time)
            if loss.requires_grad:
                loss.backward()
            y, loss = _detached(y), loss.detach()
        yield Block(y, _detached(last), time, loss)
        begin, early = _detached(kept), to_keep
        del y, last, kept  # and with them the graph of this block, before the next one runs


def _run(
    module: Callable[[Tensor, Any], tuple[Any, Any]],
    x: Tensor,
    state: Any,
    times: tuple[int, int, int],
    to_keep: int,
    axis: int,
) -> tuple[Any, Any, Any]:
    """The output from ``start`` on, the state at ``stop``, and that at ``to_keep``, for a run from ``early`` on."""
    early, start, stop = times
    outputs, kept = [], state
    for a, b in itertools.pairwise(sorted({early, start, to_keep, stop})):
        y, state = _called(module, x.narrow(axis, a, b - a), state)
        kept = state if b == to_keep else kept
        if a >= start:
            outputs.append(y)
    if len(outputs) == 1:
        return outputs[0], state, kept
    leaves = zip(*(pytree.tree_leaves(y) for y in outputs), strict=True)
    joined = [torch.cat(parts, axis) for parts in leaves]
    return pytree.tree_unflatten(joined, pytree.tree_structure(outputs[0])), state, kept


def _called(module: Callable[[Tensor, Any], tuple[Any, Any]], x: Tensor, state: Any) -> tuple[Any, Any]:
    result = module(x, state)
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(f"tbptt: the module returned a {type(result).__name__}, expected a pair (y, state)")
    return result


def _detached(tree: Any) -> Any:
    return pytree.tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, tree)


def _axis(module: Any, x: Tensor) -> int:
    """Time in what the module reads."""
    if hasattr(module, "batch_first"):
        return 1 if module.batch_first and x.ndim == 3 else 0
    is_filter = type(module).__module__.startswith("feedbackward.nn")
    return -1 if is_filter else 0
