"""What the functions ask of their arguments, in one place: types, dtypes, devices, shapes.

A shape that is not known while a function is traced is checked when it runs, by the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops import control_flow_util

from ..filters.shapes import integer

DTYPES = (tf.float32, tf.float64, tf.complex64, tf.complex128)
REAL = DTYPES[:2]


def to_tensors(function: str, given: Mapping[str, Any], dtypes: Sequence[tf.DType] = DTYPES) -> list[Any]:
    """Every argument as a tensor of a dtype and on a device that the kernels know; None stays None.

    Raises:
        TypeError: An argument cannot be made a tensor, or has another dtype.
        ValueError: The number of axes of an argument is not known.
        NotImplementedError: An argument is not on the CPU, or XLA is to compile the call.
    """
    refuse_xla(function)
    return [None if value is None else _to_tensor(function, name, value, dtypes) for name, value in given.items()]


def _to_tensor(function: str, name: str, value: Any, dtypes: Sequence[tf.DType]) -> Any:
    try:
        tensor = tf.convert_to_tensor(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"{function}: {name} is a {type(value).__name__}, expected a tensor or what tf.convert_to_tensor takes"
        ) from None
    if tensor.dtype not in dtypes:
        names = [dtype.name for dtype in dtypes]
        raise TypeError(
            f"{function}: {name} has dtype {tensor.dtype.name}, expected {', '.join(names[:-1])} or {names[-1]}"
        )
    if tensor.shape.rank is None:
        raise ValueError(
            f"{function}: {name} has an unknown number of axes, expected a known one: give tf.function an "
            "input_signature, or call set_shape"
        )
    if hasattr(tensor, "numpy"):
        check_device(function, name, tensor.device)
    return tensor


def check_device(function: str, name: str, device: str) -> None:
    """An eager tensor is where the kernels are: TensorFlow would copy it there and back without a word.

    Raises:
        NotImplementedError: It is not.
    """
    kind = tf.DeviceSpec.from_string(device).device_type
    if kind not in (None, "CPU"):
        raise NotImplementedError(
            f"{function}: {name} is on {kind}, but this version computes on CPU; make it under tf.device('CPU')"
        )


def refuse_xla(function: str) -> None:
    """XLA knows no kernels but its own.

    Raises:
        NotImplementedError: The function that is being traced is to be compiled by XLA.
    """
    if not tf.executing_eagerly() and control_flow_util.GraphOrParentsInXlaContext(ops.get_default_graph()):
        raise NotImplementedError(
            f"{function}: XLA cannot compile it, as it compiles no kernels of other libraries; call it in a "
            "tf.function without jit_compile=True"
        )


def unify(function: str, x: Any, parameters: Sequence[Any], compute_dtype: Any) -> tuple[Any, list[Any]]:
    """The signal in its dtype, and the parameters in the dtype of the computation.

    Without ``compute_dtype`` everything is promoted to one dtype, as numpy does; a parameter without axes counts as a
    number. With it, the signal keeps its precision and becomes complex only when a parameter is.

    Raises:
        TypeError: ``compute_dtype`` is not one of `DTYPES`.
        ValueError: ``compute_dtype`` is narrower than the signal.
    """
    present = [p for p in parameters if p is not None]
    any_complex = x.dtype.is_complex or any(p.dtype.is_complex for p in present)
    signal = to_complex(x.dtype) if any_complex else x.dtype
    if compute_dtype is None:
        signal = compute = _promoted([signal, *(p.dtype for p in present if p.shape.rank)])
    else:
        try:
            compute = tf.as_dtype(compute_dtype)
        except TypeError:
            compute = None
        if compute not in DTYPES:
            raise TypeError(
                f"{function}: compute_dtype is {compute_dtype!r}, expected float32, float64, complex64 or complex128"
            )
        compute = to_complex(compute) if any_complex else compute
        signal = to_complex(signal) if compute.is_complex else signal
        if _promoted([signal, compute]) != compute:
            raise ValueError(f"{function}: compute_dtype {compute.name} is narrower than the signal's {signal.name}")
    return tf.cast(x, signal), [None if p is None else tf.cast(p, compute) for p in parameters]


def to_complex(dtype: tf.DType) -> tf.DType:
    """The complex dtype of the same precision."""
    return _promoted([dtype, tf.complex64])


def _promoted(dtypes: Sequence[tf.DType]) -> tf.DType:
    return tf.as_dtype(np.result_type(*(dtype.as_numpy_dtype for dtype in dtypes)))


def shape_text(shape: tf.TensorShape) -> str:
    """A shape as a tuple, with None for an axis that is not known."""
    return str(tuple(shape))


def check_leading_coefficient(function: str, name: str, a0: Any) -> None:
    """a0 divides everything, so it is not zero; what cannot be looked at is not checked.

    Raises:
        ValueError: A leading coefficient is zero.
    """
    if hasattr(a0, "numpy") and not a0.numpy().all():
        raise ValueError(f"{function}: the leading coefficient {name} is 0, expected all of them nonzero")


def check_widths(function: str, lower: Any, upper: Any) -> tuple[int, int]:
    """The numbers of diagonals beside the main one.

    Raises:
        TypeError: One is not an integer.
        ValueError: One is negative.
    """
    lower, upper = integer(function, "lower", lower), integer(function, "upper", upper)
    if lower < 0 or upper < 0:
        raise ValueError(f"{function}: lower is {lower} and upper {upper}, expected at least 0")
    return lower, upper
