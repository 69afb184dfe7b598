"""The first-order linear recurrence: exponential smoothing, leaky integrators, diagonal state-space models.

h[t] = decay[t] h[t-1] + x[t],    h[-1] = initial
"""

from __future__ import annotations

from numbers import Number

import torch
from torch import Tensor

from ..ops import linear
from .arguments import check_broadcast, check_tensors, time_axis, to_complex, unify, without_time


def linear_recurrence(decay: Tensor | complex, x: Tensor, initial: Tensor | None = None, dim: int = -1) -> Tensor:
    """Runs h[t] = decay[t] h[t-1] + x[t] along ``dim``, from h[-1] = initial.

    Shapes broadcast as torch's do, without copies. A decay with as many axes as x has x's layout: its axis ``dim`` is
    time, of size T or 1. A decay with fewer axes has no time axis: it broadcasts with x without its time axis, so that
    (channels,) serves x (batch, channels, T).

    Args:
        decay: A number, or a tensor as above; float32, float64, complex64 or complex128.
        x: Input, any shape, with time along ``dim``.
        initial: State before the first step, which broadcasts with x without its time axis. None: zeros.
        dim: The time axis of x, and of h when counted from the end.

    Returns:
        h, contiguous, with the broadcast shape and time where x has it; its last entry along time is the ``initial`` of
        the next block. Dtypes are promoted as torch does.

    Raises:
        TypeError: An argument is not a tensor, or not of a known dtype.
        ValueError: Shapes do not fit.
        NotImplementedError: A tensor is not on the CPU.

    Example:
        >>> import torch, feedbackward as fb
        >>> fb.linear_recurrence(0.5, torch.ones(4))
        tensor([1.0000, 1.5000, 1.7500, 1.8750])
        >>> fb.linear_recurrence(torch.tensor([[1.0, 0.0, 1.0]]), torch.ones(1, 3))
        tensor([[1., 1., 2.]])

    Source:
        G. E. Blelloch, Prefix sums and their applications, 1990, section 1.4, names the problem; the gradient is the
        same recurrence in reverse.
    """
    if isinstance(decay, Number) and not isinstance(decay, bool) and isinstance(x, Tensor):
        decay = torch.tensor(decay, dtype=to_complex(x.dtype) if isinstance(decay, complex) else x.dtype)
    tensors = {"decay": decay, "x": x} if initial is None else {"decay": decay, "x": x, "initial": initial}
    check_tensors("linear_recurrence", tensors)
    dim = time_axis("linear_recurrence", dim, x)
    x, (rate, initial) = unify("linear_recurrence", x, [torch.as_tensor(decay), initial], None)
    steps = x.shape[dim]
    if rate.ndim > x.ndim:
        raise ValueError(
            f"linear_recurrence: decay has shape {tuple(rate.shape)}, expected at most the {x.ndim} axes of x "
            f"{tuple(x.shape)}"
        )
    if rate.ndim < x.ndim:
        rate = rate[(..., None) + (slice(None),) * (-dim - 1)] if rate.ndim >= -dim - 1 else _widen(rate, dim)
    elif rate.shape[dim] not in (1, steps):
        raise ValueError(
            f"linear_recurrence: decay has {rate.shape[dim]} samples along dim {dim}, expected {steps} or 1, as x has"
        )
    leading = {"decay without time": without_time(rate, dim), "x without time": without_time(x, dim)}
    if initial is not None:
        leading["initial"] = tuple(initial.shape)
    check_broadcast("linear_recurrence", leading)
    return linear.forward(x, rate, initial, dim)


def _widen(decay: Tensor, dim: int) -> Tensor:
    """A decay with fewer axes than stand behind time: axes of size 1 in front, time among them."""
    return decay.reshape((1,) * (-dim - decay.ndim) + tuple(decay.shape))
