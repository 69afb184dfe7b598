"""Digital filters and the first-order linear recurrence for JAX: the functions of `feedbackward.filters`.

They take the same arguments, in the same order, and give the same numbers; the time axis is called ``axis``.
"""

from __future__ import annotations

import functools
from numbers import Number
from typing import Any

import jax
import jax.numpy as jnp

from ..filters import shapes
from .arguments import arrays, check_leading_coefficient, to_complex, unify
from .cascade import cascade
from .lanes import broadcast_shapes
from .linear import linear


def lfilter(
    b: Any,
    a: Any,
    x: Any,
    axis: int = -1,
    zi: Any = None,
    *,
    hop: int | None = None,
    interpolation: str = "hold",
    compute_dtype: Any = None,
) -> Any:
    """Filters x along ``axis`` with the transfer function B(z) / A(z): `feedbackward.lfilter` for arrays of JAX.

    With b and a divided by a[0] and n = max(nb, na) - 1, every sample does (s[n] = 0, missing coefficients are 0)::

        y[t]    = b[0] x[t] + s[0]
        s[i]   <- s[i+1] + b[i+1] x[t] - a[i+1] y[t],      i = 0 .. n-1

    The leading shapes of b, a, zi and of x without its time axis broadcast, and nothing is copied for it:
    ``lfilter(b, a, x[:, None])`` with b, a (128, 3) and x (32, 16000) is a bank with output (32, 128, 16000).

    ``jax.jit``, ``grad``, ``jvp``, ``hessian`` and ``vmap`` take it as any function of JAX, in any order.

    Args:
        b: Numerator, (..., nb), or (..., frames, nb) with ``hop``; float32, float64, complex64 or complex128.
        a: Denominator, (..., na), or (..., frames, na) with ``hop``; a[0] need not be 1. na = 1 is an FIR filter.
        x: Signal, any shape, with time along ``axis``.
        axis: The time axis of x, and of y when counted from the end.
        zi: State before the first sample, (..., n), as scipy's. None: zeros.
        hop: Samples per frame of coefficients. None: constant coefficients. A single frame serves all samples.
        interpolation: ``"hold"`` or ``"linear"``, between frames, as in `feedbackward.lfilter`.
        compute_dtype: The dtype of coefficients, states and arithmetic, where it is to be wider than the signal's.
            None: everything is promoted to one dtype.

    Returns:
        y, with the broadcast leading shape and time where x has it; and, when zi is given, also the state after the
        last sample, (broadcast leading shape, n), which continues the signal as the next block's zi.

    Raises:
        TypeError: An argument is not an array, or not of a known dtype.
        ValueError: Shapes do not fit, the number of frames does not fit the length, or a[0] is 0, which is not seen
            while ``jit`` traces.
        NotImplementedError: The computation is compiled for something else than the CPU.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from feedbackward.jax import lfilter
        >>> b, a = jnp.array([0.5]), jnp.array([1.0, -0.5])
        >>> print(lfilter(b, a, jnp.ones(4)))
        [0.5    0.75   0.875  0.9375]
        >>> print(jax.grad(lambda b: lfilter(b, a, jnp.ones(4)).sum())(b))
        [6.125]

    Source:
        A. V. Oppenheim, R. W. Schafer, Discrete-Time Signal Processing, 3rd edition, section 6.3.
    """
    b, a, x, zi = arrays("lfilter", {"b": b, "a": a, "x": x, "zi": zi})
    state = None if zi is None else zi.shape
    settings = shapes.of_lfilter(
        b.shape, a.shape, x.shape, state, axis, hop, interpolation, name="axis", broadcast=broadcast_shapes
    )
    x, (b, a, zi) = unify("lfilter", x, [b, a, zi], compute_dtype)
    check_leading_coefficient("lfilter", "a[..., 0]", a[..., :1])
    y, zf = _lfilter(b, a, x, zi, settings)
    return y if zi is None else (y, zf)


def sosfilt(
    sos: Any,
    x: Any,
    axis: int = -1,
    zi: Any = None,
    *,
    hop: int | None = None,
    interpolation: str = "hold",
    compute_dtype: Any = None,
) -> Any:
    """Filters x along ``axis`` with biquads in series: `feedbackward.sosfilt` for arrays of JAX.

    Section k turns its input u into y, with its row (b0, b1, b2, a0, a1, a2) divided by a0::

        y     = b0 u + s[0]
        s[0] <- s[1] + b1 u - a1 y
        s[1] <-        b2 u - a2 y

    Args:
        sos: Sections, (..., sections, 6), or (..., frames, sections, 6) with ``hop``; a0 need not be 1.
        x: Signal, any shape, with time along ``axis``.
        axis: The time axis of x, and of y when counted from the end.
        zi: State before the first sample, (..., sections, 2), leading axes first (scipy has the sections first). None:
            zeros.
        hop: Samples per frame of coefficients, as in `lfilter`.
        interpolation: ``"hold"`` or ``"linear"``, as in `lfilter`.
        compute_dtype: The dtype of coefficients, states and arithmetic, as in `lfilter`.

    Returns:
        y, with the broadcast leading shape and time where x has it; and, when zi is given, also the state after the
        last sample, (broadcast leading shape, sections, 2).

    Raises:
        TypeError: An argument is not an array, or not of a known dtype.
        ValueError: Shapes do not fit, the number of frames does not fit the length, or an a0 is 0.
        NotImplementedError: The computation is compiled for something else than the CPU.

    Example:
        >>> import jax.numpy as jnp
        >>> from feedbackward.jax import sosfilt
        >>> sos = jnp.array([[0.5, 0.0, 0.0, 1.0, -0.5, 0.0], [1.0, -1.0, 0.0, 1.0, 0.0, 0.0]])
        >>> print(sosfilt(sos, jnp.ones(4)))
        [0.5    0.25   0.125  0.0625]

    Source:
        A. V. Oppenheim, R. W. Schafer, Discrete-Time Signal Processing, 3rd edition, section 6.3.
    """
    sos, x, zi = arrays("sosfilt", {"sos": sos, "x": x, "zi": zi})
    state = None if zi is None else zi.shape
    settings = shapes.of_sosfilt(
        sos.shape, x.shape, state, axis, hop, interpolation, name="axis", broadcast=broadcast_shapes
    )
    x, (sos, zi) = unify("sosfilt", x, [sos, zi], compute_dtype)
    check_leading_coefficient("sosfilt", "sos[..., 3]", sos[..., 3:4])
    y, zf = _sosfilt(sos, x, zi, settings)
    return y if zi is None else (y, zf)


def linear_recurrence(decay: Any, x: Any, initial: Any = None, axis: int = -1) -> Any:
    """Runs h[t] = decay[t] h[t-1] + x[t] along ``axis``: `feedbackward.linear_recurrence` for arrays of JAX.

    Shapes broadcast without copies. A decay with as many axes as x has x's layout: its axis ``axis`` is time, of size T
    or 1. A decay with fewer axes has no time axis: it broadcasts with x without its time axis.

    Args:
        decay: A number, or an array as above; float32, float64, complex64 or complex128.
        x: Input, any shape, with time along ``axis``.
        initial: State before the first step, h[-1], which broadcasts with x without its time axis. None: zeros.
        axis: The time axis of x, and of h when counted from the end.

    Returns:
        h, with the broadcast shape and time where x has it; its last entry along time is the ``initial`` of the next
        block.

    Raises:
        TypeError: An argument is not an array, or not of a known dtype.
        ValueError: Shapes do not fit.
        NotImplementedError: The computation is compiled for something else than the CPU.

    Example:
        >>> import jax.numpy as jnp
        >>> from feedbackward.jax import linear_recurrence
        >>> print(linear_recurrence(0.5, jnp.ones(4)))
        [1.    1.5   1.75  1.875]

    Source:
        G. E. Blelloch, Prefix sums and their applications, 1990, section 1.4, names the problem.
    """
    x, initial = arrays("linear_recurrence", {"x": x, "initial": initial})
    if isinstance(decay, Number) and not isinstance(decay, (bool, jax.Array)) and not hasattr(decay, "dtype"):
        decay = jnp.asarray(decay, to_complex(x.dtype) if isinstance(decay, complex) else x.dtype)
    (decay,) = arrays("linear_recurrence", {"decay": decay})
    axis, shape = shapes.of_linear_recurrence(
        decay.shape, x.shape, None if initial is None else initial.shape, axis, name="axis", broadcast=broadcast_shapes
    )
    x, (decay, initial) = unify("linear_recurrence", x, [decay, initial], None)
    return linear(x, decay.reshape(shape), initial, settings=(axis,))[0]


@functools.partial(jax.jit, static_argnums=4)
def _lfilter(b: Any, a: Any, x: Any, zi: Any, settings: shapes.Settings) -> tuple[Any, Any]:
    a0 = a[..., :1]
    numerator, denominator = (jnp.expand_dims(c / a0, -2) for c in (b, a[..., 1:]))
    y, zf = cascade(x, numerator, denominator, None if zi is None else jnp.expand_dims(zi, -2), settings=settings)
    return y, zf[..., 0, :]


@functools.partial(jax.jit, static_argnums=3)
def _sosfilt(sos: Any, x: Any, zi: Any, settings: shapes.Settings) -> list[Any]:
    a0 = sos[..., 3:4]
    return cascade(x, sos[..., :3] / a0, sos[..., 4:] / a0, zi, settings=settings)
