"""One filter of any order, or a bank of them.

    a[0] y[t] = sum_{i=0}^{nb-1} b[i] x[t-i] - sum_{i=1}^{na-1} a[i] y[t-i],    y[t] = x[t] = 0 for t < 0

computed in transposed direct form II, with n = max(nb, na) - 1 states that start as zi.
"""

from __future__ import annotations

from typing import overload

import torch
from torch import Tensor

from ..ops import cascade
from . import shapes
from .arguments import check_leading_coefficient, tensors_of, unify


@overload
def lfilter(
    b: Tensor,
    a: Tensor,
    x: Tensor,
    dim: int = -1,
    zi: None = None,
    *,
    hop: int | None = None,
    interpolation: str = "hold",
    compute_dtype: torch.dtype | None = None,
) -> Tensor: ...
@overload
def lfilter(
    b: Tensor,
    a: Tensor,
    x: Tensor,
    dim: int = -1,
    *,
    zi: Tensor,
    hop: int | None = None,
    interpolation: str = "hold",
    compute_dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]: ...
@overload
def lfilter(
    b: Tensor,
    a: Tensor,
    x: Tensor,
    dim: int,
    zi: Tensor,
    *,
    hop: int | None = None,
    interpolation: str = "hold",
    compute_dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]: ...
def lfilter(
    b: Tensor,
    a: Tensor,
    x: Tensor,
    dim: int = -1,
    zi: Tensor | None = None,
    *,
    hop: int | None = None,
    interpolation: str = "hold",
    compute_dtype: torch.dtype | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Filters x along ``dim`` with the transfer function B(z) / A(z); scipy.signal.lfilter with gradients.

    With b and a divided by a[0] and n = max(nb, na) - 1, every sample does (s[n] = 0, missing coefficients are 0)::

        y[t]    = b[0] x[t] + s[0]
        s[i]   <- s[i+1] + b[i+1] x[t] - a[i+1] y[t],      i = 0 .. n-1

    The leading shapes of b, a, zi and of x without its time axis broadcast as torch's do, and nothing is copied for it:
    ``lfilter(b, a, x[:, None])`` with b, a (128, 3) and x (32, 16000) is a bank with output (32, 128, 16000).

    Coefficients that vary with time act as this recurrence says: those of sample t multiply x[t] and y[t], and their
    effect enters the states. A direct form I or II filter applies the coefficients of sample t to past samples and
    states instead; for constant coefficients all forms agree, while they change they do not. The gradient is with
    respect to the form used here.

    torch.compile and torch.export take this function as it is; torch.jit.script takes `feedbackward.script.lfilter`.

    Args:
        b: Numerator, (..., nb), or (..., frames, nb) with ``hop``; float32, float64, complex64 or complex128.
        a: Denominator, (..., na), or (..., frames, na) with ``hop``; a[0] need not be 1. na = 1 is an FIR filter.
        x: Signal, any shape, with time along ``dim``.
        dim: The time axis of x, and of y when counted from the end.
        zi: State before the first sample, (..., n), as scipy's. None: zeros.
        hop: Samples per frame of coefficients. None: constant coefficients. 1: new coefficients for every sample. A
            single frame serves all samples.
        interpolation: ``"hold"``: frame f serves samples f * hop .. (f + 1) * hop - 1, and there are ceil(T / hop)
            frames. ``"linear"``: sample f * hop + r uses c[f] + (c[f+1] - c[f]) r / hop with c the normalized
            coefficients, and there are ceil(T / hop) frames, of which the last is held, or one more.
        compute_dtype: The dtype of coefficients, states and arithmetic, where it is to be wider than the signal's, as
            float64 for poles close to the unit circle. None: everything is promoted to one dtype.

    Returns:
        y, contiguous, with the broadcast leading shape and time where x has it; and, when zi is given, also the state
        after the last sample, (broadcast leading shape, n), which continues the signal as the next block's zi.

    Raises:
        TypeError: An argument is not a tensor, or not of a known dtype.
        ValueError: Shapes do not fit, the number of frames does not fit the length, or a[0] is 0.
        NotImplementedError: A tensor is on a device that is neither a CPU nor a GPU of CUDA's kind.

    Example:
        >>> import torch, feedbackward as fb
        >>> b, a = torch.tensor([0.5]), torch.tensor([1.0, -0.5])
        >>> fb.lfilter(b, a, torch.ones(4))
        tensor([0.5000, 0.7500, 0.8750, 0.9375])
        >>> first, state = fb.lfilter(b, a, torch.ones(2), zi=torch.zeros(1))
        >>> fb.lfilter(b, a, torch.ones(2), zi=state)[0]
        tensor([0.8750, 0.9375])

    Source:
        A. V. Oppenheim, R. W. Schafer, Discrete-Time Signal Processing, 3rd edition, section 6.3.
    """
    b, a, x, zi = tensors_of("lfilter", {"b": b, "a": a, "x": x}, zi=zi)
    state = None if zi is None else tuple(zi.shape)
    dim, step, linear = shapes.of_lfilter(
        tuple(b.shape),
        tuple(a.shape),
        tuple(x.shape),
        state,
        dim,
        hop,
        interpolation,
        name="dim",
        broadcast=torch.broadcast_shapes,
    )
    x, (b, a, zi) = unify("lfilter", x, [b, a, zi], compute_dtype)
    a0 = a[..., :1]
    check_leading_coefficient("lfilter", "a[..., 0]", a0)
    numerator, denominator = (b / a0).unsqueeze(-2), (a[..., 1:] / a0).unsqueeze(-2)
    y, zf = cascade.forward(x, numerator, denominator, None if zi is None else zi.unsqueeze(-2), dim, step, linear)
    return y if zi is None else (y, zf.squeeze(-2))
