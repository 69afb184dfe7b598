"""The device's mathematical library where there is no device: the same functions of Triton's interpreter's tensors.

The interpreter holds a tensor as an array of NumPy's; torch computes the function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import triton.language as tl
from triton.runtime.interpreter import TensorHandle


def _function(of: Callable[..., torch.Tensor]) -> Callable[..., Any]:
    def apply(*arguments: Any) -> Any:
        arrays = np.broadcast_arrays(*(a.handle.data for a in arguments))
        found = of(*(torch.from_numpy(np.ascontiguousarray(a)) for a in arrays)).numpy()
        first = arguments[0]
        kind = tl.block_type(first.dtype, list(found.shape)) if found.ndim else first.dtype
        return tl.core.tensor(TensorHandle(found, first.dtype), kind)

    return apply


_NAMES = (
    "exp expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc "
    "floor ceil trunc pow atan2 fmod"
).split()
globals().update({name: _function(getattr(torch, name)) for name in _NAMES}, rint=_function(torch.round))
