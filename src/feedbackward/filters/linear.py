"""The first-order linear recurrence: exponential smoothing, leaky integrators, diagonal state-space models.

h[t] = decay[t] h[t-1] + x[t],    h[-1] = initial
"""

from __future__ import annotations

from numbers import Complex, Number, Real
from typing import Any

import torch
from torch import Tensor

from ..ops import linear
from . import shapes
from .arguments import tensors_of, to_complex, unify


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
        NotImplementedError: A tensor is on a device that is neither a CPU nor a GPU of CUDA's kind.

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
        dtype = torch.promote_types(x.dtype, torch.float32)
        number: Any = decay
        is_complex = isinstance(decay, Complex) and not isinstance(decay, Real)
        number, dtype = (complex(number), to_complex(dtype)) if is_complex else (float(number), dtype)
        decay = torch.full((), number, dtype=dtype, device=x.device)  # made where x is; torch.tensor copies it there
    rate, x, initial = tensors_of("linear_recurrence", {"decay": decay, "x": x}, initial=initial)
    x, (rate, initial) = unify("linear_recurrence", x, [rate, initial], None)
    dim, shape = shapes.of_linear_recurrence(
        tuple(rate.shape),
        tuple(x.shape),
        None if initial is None else tuple(initial.shape),
        dim,
        name="dim",
        broadcast=torch.broadcast_shapes,
    )
    return linear.forward(x, rate.reshape(shape), initial, dim)
