"""What the functions ask of their arguments: types, dtypes, values. Shapes are the same for every framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

DTYPES = tuple(np.dtype(name) for name in ("float32", "float64", "complex64", "complex128"))
NAMES = "float32, float64, complex64 or complex128"


def arrays(function: str, given: Mapping[str, Any], dtypes: Sequence[Any] = DTYPES, names: str = NAMES) -> list[Any]:
    """Every argument as an array of JAX, of a dtype that the kernels know; None stays None.

    Raises:
        TypeError: An argument is not an array, or of another dtype.
    """
    made: list[Any] = []
    for name, value in given.items():
        if value is not None and not isinstance(value, (jax.Array, np.ndarray, np.number)):
            raise TypeError(
                f"{function}: {name} is a {type(value).__name__}, expected an array (jax.numpy.asarray makes one)"
            )
        if value is not None and value.dtype not in dtypes:
            raise TypeError(f"{function}: {name} has dtype {value.dtype}, expected {names}")
        made.append(None if value is None else jnp.asarray(value))
    return made


def shapes(given: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], str]]:
    """The shape and the dtype of every array that there is, as `feedbackward.recurrent.shapes` takes them."""
    return {name: (x.shape, x.dtype.name) for name, x in given.items() if x is not None}


def unify(function: str, x: Any, parameters: Sequence[Any], compute_dtype: Any) -> tuple[Any, list[Any]]:
    """The signal in its dtype, and the parameters in the dtype of the computation.

    Without ``compute_dtype`` everything is promoted to one dtype; what has no axes counts as a number, and does not
    widen the others. With it, the signal keeps its precision and becomes complex only when a parameter is.

    Raises:
        TypeError: ``compute_dtype`` is not one of `DTYPES`.
        ValueError: ``compute_dtype`` is narrower than the signal, or needs jax_enable_x64, which is off.
    """
    present = [p for p in parameters if p is not None]
    signal = x.dtype
    if compute_dtype is None:
        for p in present:
            signal = jnp.promote_types(signal, p.dtype) if p.ndim else _complex_if(signal, p)
        compute = signal
    else:
        compute = _compute_dtype(function, compute_dtype)
        for p in present:
            signal = _complex_if(signal, p)
        if jnp.issubdtype(signal, jnp.complexfloating):
            compute = to_complex(compute)
        if jnp.issubdtype(compute, jnp.complexfloating):
            signal = to_complex(signal)
        if jnp.promote_types(signal, compute) != compute:
            raise ValueError(f"{function}: compute_dtype {compute} is narrower than the signal's {signal}")
    return x.astype(signal), [None if p is None else p.astype(compute) for p in parameters]


def _compute_dtype(function: str, dtype: Any) -> Any:
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found not in DTYPES:
        raise TypeError(f"{function}: compute_dtype is {dtype}, expected {NAMES}")
    if jax.dtypes.canonicalize_dtype(found) != found:
        raise ValueError(f"{function}: compute_dtype is {found}, which needs jax.config.update('jax_enable_x64', True)")
    return found


def check_leading_coefficient(function: str, name: str, a0: Any) -> None:
    """a0 divides everything, so it is not zero; what is being traced cannot be looked at and is not checked.

    Raises:
        ValueError: A leading coefficient is zero.
    """
    if not isinstance(a0, jax.core.Tracer) and not np.asarray(a0).all():
        raise ValueError(f"{function}: the leading coefficient {name} is 0, expected all of them nonzero")


def to_complex(dtype: Any) -> Any:
    """The complex dtype of the same precision."""
    return jnp.promote_types(dtype, jnp.complex64)


def _complex_if(dtype: Any, p: Any) -> Any:
    return to_complex(dtype) if jnp.iscomplexobj(p) else dtype
