"""What every design function does with its arguments: one dtype for all of them, and one sentence for a bad one.

Validation reads values, and a value cannot always be read. Plain numbers are always checked. Tensors are checked where
reading them is free of side effects: on the CPU, in eager mode, outside of ``torch.vmap``, ``torch.compile`` and
fake tensors. Elsewhere they are trusted, so that a check never breaks a graph and never waits for a device.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..filters.arguments import readable


def promote(function: str, **values: Any) -> tuple[Tensor, ...]:
    """Tensors of one real dtype and device, in the order given; numbers and lists follow the tensors and arrays."""
    tensors = dict(zip(values, promote_any(**values), strict=True))
    for name, tensor in tensors.items():
        if tensor.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"{function}: {name} promotes to {tensor.dtype}, expected torch.float32 or torch.float64")
    return tuple(tensors.values())


def promote_any(**values: Any) -> tuple[Tensor, ...]:
    """:func:`promote` for real or complex values."""
    typed = {name: as_wide(value) for name, value in values.items() if not is_plain(value)}
    device = next((tensor.device for tensor in typed.values()), None)
    plain = {name: as_wide(value, device) for name, value in values.items() if is_plain(value)}
    dtype = functools.reduce(torch.promote_types, (tensor.dtype for tensor in typed.values()), torch.bool)
    if not (dtype.is_floating_point or dtype.is_complex):
        dtype = torch.get_default_dtype()
    if any(tensor.is_complex() for tensor in plain.values()):
        dtype = dtype.to_complex()
    tensors = typed | plain
    return tuple(tensors[name].to(device=device, dtype=dtype) for name in values)


def is_plain(value: Any) -> bool:
    """A Python number or a list of them: precise, and without a dtype of its own."""
    return isinstance(value, int | float | complex) or not hasattr(value, "dtype")


def as_wide(value: Any, device: torch.device | None = None) -> Tensor:
    """A tensor; what has no dtype of its own in double precision. One that is given stays on its device.

    A number is written by the ``device`` that wants it: a copy would wait for it, and no CUDA graph captures one.
    """
    if isinstance(value, Tensor):
        return value
    if not is_plain(value):
        return torch.as_tensor(value)
    if isinstance(value, int | float | complex):
        dtype = torch.complex128 if isinstance(value, complex) else torch.float64
        return torch.full((), value, dtype=dtype, device=device)
    return torch.as_tensor(np.asarray(value))


def check_range(function: str, name: str, value: Any, low: float, high: float, expected: str) -> None:
    """Raise ValueError unless low < value < high everywhere; says nothing about tensors that cannot be read."""
    offender = None
    if isinstance(value, int | float):
        offender = None if low < value < high else float(value)
    elif readable(tensor := as_wide(value)):
        outside = ~((tensor > low) & (tensor < high))  # written so that NaN is outside
        offender = tensor[outside][0].item() if outside.any() else None
    if offender is not None:
        raise ValueError(f"{function}: {name} holds {offender:g}, expected {expected}")


def check_sample_rate(function: str, sample_rate: float) -> None:
    """Raise unless sample_rate is a positive finite number."""
    if not isinstance(sample_rate, int | float):
        raise TypeError(f"{function}: sample_rate is a {type(sample_rate).__name__}, expected a number in Hz")
    if not 0 < sample_rate < math.inf:
        raise ValueError(f"{function}: sample_rate is {sample_rate}, expected a positive number in Hz")
