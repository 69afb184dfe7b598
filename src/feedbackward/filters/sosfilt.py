"""Second-order sections in series: the form in which filters of high order are well conditioned.

    section k:    y = b0 u + s[0],    s[0] <- s[1] + b1 u - a1 y,    s[1] <- b2 u - a2 y

where u is the output of section k - 1, and x for the first.
"""

from __future__ import annotations

from typing import overload

import torch
from torch import Tensor

from ..ops import cascade
from . import shapes
from .arguments import check_leading_coefficient, tensors_of, unify


@overload
def sosfilt(
    sos: Tensor,
    x: Tensor,
    dim: int = -1,
    zi: None = None,
    *,
    hop: int | None = None,
    interpolation: str = "hold",
    compute_dtype: torch.dtype | None = None,
) -> Tensor: ...
@overload
def sosfilt(
    sos: Tensor,
    x: Tensor,
    dim: int = -1,
    *,
    zi: Tensor,
    hop: int | None = None,
    interpolation: str = "hold",
    compute_dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]: ...
@overload
def sosfilt(
    sos: Tensor,
    x: Tensor,
    dim: int,
    zi: Tensor,
    *,
    hop: int | None = None,
    interpolation: str = "hold",
    compute_dtype: torch.dtype | None = None,
) -> tuple[Tensor, Tensor]: ...
def sosfilt(
    sos: Tensor,
    x: Tensor,
    dim: int = -1,
    zi: Tensor | None = None,
    *,
    hop: int | None = None,
    interpolation: str = "hold",
    compute_dtype: torch.dtype | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Filters x along ``dim`` with biquads in series, in one pass over it; scipy.signal.sosfilt with gradients.

    Section k turns its input u into y, with its row (b0, b1, b2, a0, a1, a2) divided by a0::

        y     = b0 u + s[0]
        s[0] <- s[1] + b1 u - a1 y
        s[1] <-        b2 u - a2 y

    The leading shapes of sos, zi and of x without its time axis broadcast as torch's do, without copies.

    Args:
        sos: Sections, (..., sections, 6), or (..., frames, sections, 6) with ``hop``; a0 need not be 1.
        x: Signal, any shape, with time along ``dim``.
        dim: The time axis of x, and of y when counted from the end.
        zi: State before the first sample, (..., sections, 2), leading axes first (scipy has the sections first). None:
            zeros.
        hop: Samples per frame of coefficients, as in `lfilter`.
        interpolation: ``"hold"`` or ``"linear"``, as in `lfilter`.
        compute_dtype: The dtype of coefficients, states and arithmetic, as in `lfilter`.

    Returns:
        y, contiguous, with the broadcast leading shape and time where x has it; and, when zi is given, also the state
        after the last sample, (broadcast leading shape, sections, 2).

    Raises:
        TypeError: An argument is not a tensor, or not of a known dtype.
        ValueError: Shapes do not fit, the number of frames does not fit the length, or an a0 is 0.
        NotImplementedError: A tensor is on a device that is neither a CPU nor a GPU of CUDA's kind.

    Example:
        >>> import torch, feedbackward as fb
        >>> sos = torch.tensor([[0.5, 0.0, 0.0, 1.0, -0.5, 0.0], [1.0, -1.0, 0.0, 1.0, 0.0, 0.0]])
        >>> fb.sosfilt(sos, torch.ones(4))
        tensor([0.5000, 0.2500, 0.1250, 0.0625])

    Source:
        A. V. Oppenheim, R. W. Schafer, Discrete-Time Signal Processing, 3rd edition, section 6.3.
    """
    sos, x, zi = tensors_of("sosfilt", {"sos": sos, "x": x}, zi=zi)
    state = None if zi is None else tuple(zi.shape)
    dim, step, linear = shapes.of_sosfilt(
        tuple(sos.shape),
        tuple(x.shape),
        state,
        dim,
        hop,
        interpolation,
        name="dim",
        broadcast=torch.broadcast_shapes,
    )
    x, (sos, zi) = unify("sosfilt", x, [sos, zi], compute_dtype)
    a0 = sos[..., 3:4]
    check_leading_coefficient("sosfilt", "sos[..., 3]", a0)
    y, zf = cascade.forward(x, sos[..., :3] / a0, sos[..., 4:] / a0, zi, dim, step, linear)
    return y if zi is None else (y, zf)
