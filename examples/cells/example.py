"""What every file here has in common: numbers to try its cell on.

All numbers are exact in float32, so that both dtypes run the very same recurrence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Example(NamedTuple):
    """A cell with everything that `feedbackward.scan` needs, and the parameters to learn."""

    cell: Callable[[Any, Any], tuple[Any, Any]]
    init: Any
    xs: Any
    parameters: list[Tensor]


def signal(*shape: int, dtype: torch.dtype, scale: float = 1.0) -> Tensor:
    return (scale * torch.randn(shape)).to(dtype)


def parameter(value: Tensor | float | list[float], dtype: torch.dtype) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float32).to(dtype).requires_grad_()
