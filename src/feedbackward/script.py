"""The filters in a form that torch.jit.script compiles: constant coefficients, one return type, no keywords.

A scripted program calls these instead of their namesakes at the top level; they give the same numbers and gradients.
A saved program needs the operators where it is loaded: ``import feedbackward.script`` in Python, or the library
`feedbackward.ops.library.path` names, loaded with ``torch::jit`` in C++.

    a[0] y[t] = sum_i b[i] x[t-i] - sum_{i>0} a[i] y[t-i]
"""

from __future__ import annotations

from typing import Optional  # TorchScript reads this spelling on every Python

import torch
from torch import Tensor

from .ops import cascade as _cascade  # noqa: F401  registers the operators


def lfilter(b: Tensor, a: Tensor, x: Tensor, dim: int = -1, zi: Optional[Tensor] = None) -> tuple[Tensor, Tensor]:  # noqa: UP045
    """`feedbackward.lfilter` for TorchScript.

    Args:
        b: Numerator, (..., nb), of x's dtype.
        a: Denominator, (..., na), of x's dtype; a[0] is not 0.
        x: Signal with time along ``dim``; leading shapes broadcast.
        dim: The time axis of x.
        zi: State before the first sample, (..., max(nb, na) - 1). None: zeros.

    Returns:
        y and the state after the last sample, always both.

    Raises:
        RuntimeError: Dtypes or shapes do not fit; the operator says how.

    Example:
        >>> import torch, feedbackward as fb
        >>> y, state = fb.script.lfilter(torch.tensor([0.5]), torch.tensor([1.0, -0.5]), torch.ones(3))
        >>> y, state
        (tensor([0.5000, 0.7500, 0.8750]), tensor([0.4375]))

    Source:
        As `feedbackward.lfilter`.
    """
    a0 = a.narrow(-1, 0, 1)
    numerator = (b / a0).unsqueeze(-2)
    denominator = (a.narrow(-1, 1, a.size(-1) - 1) / a0).unsqueeze(-2)
    state = zi
    if state is not None:
        state = state.unsqueeze(-2)
    time = dim if dim < 0 else dim - x.dim()
    y, after = torch.ops.feedbackward.cascade(x, numerator, denominator, state, time, 0, False)
    return y, after.squeeze(-2)


def sosfilt(sos: Tensor, x: Tensor, dim: int = -1, zi: Optional[Tensor] = None) -> tuple[Tensor, Tensor]:  # noqa: UP045
    """`feedbackward.sosfilt` for TorchScript.

    Args:
        sos: Sections, (..., sections, 6), of x's dtype; no a0 is 0.
        x: Signal with time along ``dim``; leading shapes broadcast.
        dim: The time axis of x.
        zi: State before the first sample, (..., sections, 2). None: zeros.

    Returns:
        y and the state after the last sample, always both.

    Raises:
        RuntimeError: Dtypes or shapes do not fit; the operator says how.

    Example:
        >>> import torch, feedbackward as fb
        >>> fb.script.sosfilt(torch.tensor([[0.5, 0.0, 0.0, 1.0, -0.5, 0.0]]), torch.ones(3))[0]
        tensor([0.5000, 0.7500, 0.8750])

    Source:
        As `feedbackward.sosfilt`.
    """
    a0 = sos.narrow(-1, 3, 1)
    time = dim if dim < 0 else dim - x.dim()
    y, after = torch.ops.feedbackward.cascade(
        x, sos.narrow(-1, 0, 3) / a0, sos.narrow(-1, 4, 2) / a0, zi, time, 0, False
    )
    return y, after
