"""What the filters ask of their arguments, in one place: types, dtypes, devices. Shapes are in `shapes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from . import shapes

DTYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128)
_HALF = (torch.bfloat16, torch.float16)
_NAMES = "float32, float64, complex64 or complex128"


def tensors_of(function: str, given: Mapping[str, Any], **optional: Any) -> list[Any]:
    """The arguments as tensors of a dtype that the kernels know, all on one device that has kernels.

    Then come those that may be None, which stays None.

    Under autocast, what an earlier layer left in half precision is computed in float32, as autocast has it for
    operators that add up rounding errors.

    Raises:
        TypeError: An argument is not a tensor, or of another dtype.
        NotImplementedError: An argument is on a device that has no kernels.
        ValueError: Two arguments are on different devices.
    """
    placed: tuple[str, torch.device] | None = None
    tensors: list[Any] = []
    for name, tensor in (*given.items(), *optional.items()):
        if tensor is None and name in optional:
            tensors.append(None)
            continue
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"{function}: {name} is a {type(tensor).__name__}, expected a torch.Tensor (torch.as_tensor makes one)"
            )
        device = tensor.device
        if tensor.dtype in _HALF and device.type in ("cpu", "cuda") and torch.is_autocast_enabled(device.type):
            tensor = tensor.float()
        if tensor.dtype not in DTYPES:
            raise TypeError(f"{function}: {name} has dtype {_short(tensor.dtype)}, expected {_NAMES}")
        if device.type not in ("cpu", "cuda", "meta"):
            raise NotImplementedError(
                f"{function}: {name} is on {device.type}, but this version computes on CPU and CUDA; move it with "
                ".cpu() or .cuda()"
            )
        if placed is None:
            placed = name, device
        elif device != placed[1]:
            raise ValueError(f"{function}: {name} is on {device}, expected {placed[1]}, where {placed[0]} is")
        tensors.append(tensor)
    return tensors


def unify(
    function: str, x: Tensor, parameters: Sequence[Tensor | None], compute_dtype: torch.dtype | None
) -> tuple[Tensor, Sequence[Any]]:
    """The signal in its dtype, and the parameters in the dtype of the computation.

    Without ``compute_dtype`` everything is promoted to one dtype, as torch.result_type does: what has no
    axes counts as a number. With it, the signal keeps its precision and becomes complex only when a parameter is.

    Raises:
        TypeError: ``compute_dtype`` is not one of `DTYPES`.
        ValueError: ``compute_dtype`` is narrower than the signal, or real where something is complex.
    """
    present = [p.dtype for p in parameters if p is not None]
    if compute_dtype is None:
        if all(dtype == x.dtype for dtype in present):
            return x, parameters
        signal = x.dtype
        for parameter in parameters:
            if parameter is not None and parameter.ndim:
                signal = torch.promote_types(signal, parameter.dtype)
            elif parameter is not None and parameter.is_complex():
                signal = to_complex(signal)
        compute_dtype = signal
    else:
        if compute_dtype not in DTYPES:
            raise TypeError(f"{function}: compute_dtype is {_short(compute_dtype)}, expected {_NAMES}")
        signal = x.dtype
        if any(dtype.is_complex for dtype in present):
            signal = to_complex(signal)
        if signal.is_complex and not compute_dtype.is_complex:
            compute_dtype = to_complex(compute_dtype)
        if compute_dtype.is_complex and not signal.is_complex:
            signal = to_complex(signal)
        if torch.promote_types(signal, compute_dtype) != compute_dtype:
            raise ValueError(
                f"{function}: compute_dtype {_short(compute_dtype)} is narrower than the signal's {_short(signal)}"
            )
    return x.to(signal), [None if p is None else p.to(compute_dtype) for p in parameters]


def time_axis(function: str, dim: int, x: Tensor) -> int:
    """``dim`` counted from the end of x.

    Raises:
        TypeError: ``dim`` is not an integer.
        ValueError: x has no axis ``dim``.
    """
    return shapes.time_axis(function, "dim", dim, tuple(x.shape))


def check_broadcast(function: str, leading: Mapping[str, shapes.Shape]) -> None:
    """All leading shapes broadcast together.

    Raises:
        ValueError: They do not.
    """
    shapes.check_broadcast(function, leading, torch.broadcast_shapes)


def readable(tensor: Tensor, *, waiting: bool = False) -> bool:
    """Whether the values of a tensor can be looked at here: not while tracing, nor under a transform.

    ``waiting``: also where that means to wait for a GPU, as it must not while a graph of its work is captured.
    """
    if (
        torch.compiler.is_compiling()
        or type(tensor) not in (Tensor, torch.nn.Parameter)
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._functorch.peek_interpreter_stack() is not None
    ):
        return False
    if tensor.is_cuda:
        return waiting and not torch.cuda.is_current_stream_capturing()
    return tensor.device.type == "cpu"


def check_leading_coefficient(function: str, name: str, a0: Tensor) -> None:
    """a0 divides everything, so it is not zero; what cannot be looked at is not checked.

    Raises:
        ValueError: A leading coefficient is zero.
    """
    if readable(a0) and not a0.all():
        raise ValueError(f"{function}: the leading coefficient {name} is 0, expected all of them nonzero")


def to_complex(dtype: torch.dtype) -> torch.dtype:
    """The complex dtype of the same precision."""
    return torch.promote_types(dtype, torch.complex64)


def _short(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")
