"""Banded matrices for JAX: products, and a recurrent layer whose matrix is a band."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..engine.steps import band_product
from ..engine.steps import rnn as step_of
from ..recurrent.shapes import of_band_matmul, of_band_rnn
from ..recurrent.structures import Banded
from . import bands
from .arguments import DTYPES, arrays, shapes
from .scan import run


def band_matmul(x: Any, weight: Any, lower: int, upper: int) -> Any:
    """Multiply vectors by a banded matrix: `feedbackward.band_matmul` for arrays of JAX.

        y[..., i] = sum_d weight[d, i] x[..., i + d - lower],    d = 0 .. lower + upper, 0 <= i + d - lower < n

    Memory and work are proportional to n (lower + upper + 1).

    Args:
        x: (..., n); float32, float64, complex64 or complex128.
        weight: (lower + upper + 1, n), by diagonals: ``weight[d, i]`` is row i, column i + d - lower of the matrix.
        lower: Diagonals below the main one.
        upper: Diagonals above the main one.

    Returns:
        (..., n), in the dtype of x.

    Raises:
        TypeError: An argument is not an array, or not of a known dtype.
        ValueError: Shapes or dtypes that do not fit together.
        NotImplementedError: The computation is compiled for something else than the CPU.

    Example:
        >>> import jax.numpy as jnp
        >>> from feedbackward.jax import band_matmul
        >>> weight = jnp.array([[9.0, 1.0, 1.0], [2.0, 2.0, 2.0]])  # the 9 would lie outside
        >>> print(band_matmul(jnp.array([1.0, 10.0, 100.0]), weight, lower=1, upper=0))
        [  2.  21. 210.]

    Source:
        The band storage of LAPACK (Anderson et al., LAPACK Users' Guide, 1999, section 5.3.3), indexed by row.
    """
    x, weight = arrays("band_matmul", {"x": x, "weight": weight})
    lower, upper = _widths("band_matmul", lower, upper)
    of_band_matmul(shapes({"x": x, "weight": weight}), lower, upper)
    if x.size == 0 or jnp.iscomplexobj(x):
        return bands.product(x, weight, lower, upper)
    n = x.shape[-1]
    count = x.size // n
    (y,) = run(band_product(n, lower, upper), [weight, x.reshape(1, count, n)], [count], 1)
    return y.reshape(x.shape)


def band_rnn(
    x: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    h_0: Any = None,
    *,
    lower: int,
    upper: int | None = None,
    nonlinearity: str = "tanh",
    batch_first: bool = False,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """A recurrent layer whose recurrent matrix is a band: one layer of `feedbackward.nn.BandRNN`.

        h[t] = act(W_ih x[t] + b_ih + b_hh + W_hh h[t-1]),    W_hh[i, j] = 0 unless -lower <= j - i <= upper

    Args:
        x: (T, B, input), or (T, input) without a batch; float32 or float64.
        weight_ih: (hidden, input).
        weight_hh: (lower + upper + 1, hidden), by diagonals: ``weight_hh[d, i]`` is W_hh[i, i + d - lower]. Entries
            that would lie outside of the matrix are never read.
        bias_ih: (hidden,), or None.
        bias_hh: (hidden,), or None.
        h_0: The state before the first step, (B, hidden), or (hidden,) without a batch. None: zeros.
        lower: Diagonals below the main one.
        upper: Diagonals above it. None: as many as below.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        batch_first: Whether x and output are (B, T, ...). The state never is.
        reverse: Whether the last step is the first.

    Returns:
        output (T, B, hidden), the state after every step; h_n (B, hidden), the state after the last one. Without
        a batch, (T, hidden) and (hidden,).

    Raises:
        TypeError: An argument is not an array, or not float32 or float64.
        ValueError: A shape or a dtype does not fit, or the nonlinearity is unknown.
        NotImplementedError: The computation is compiled for something else than the CPU.

    Example:
        >>> import jax.numpy as jnp
        >>> from feedbackward.jax import band_rnn
        >>> weight_hh = jnp.array([[0.0, 0.5, 0.5], [0.0, 0.0, 0.0]])  # below the main diagonal, and that
        >>> x = jnp.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        >>> output, h_n = band_rnn(x, jnp.eye(3), weight_hh, lower=1, upper=0, nonlinearity="relu")
        >>> print(output)
        [[1.   0.   0.  ]
         [0.   0.5  0.  ]
         [0.   0.   0.25]]

    Source:
        Elman, "Finding structure in time", Cognitive Science 14, 1990, with a band for the recurrent matrix.
    """
    given = {
        "x": x, "weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": bias_ih, "bias_hh": bias_hh, "h_0": h_0
    }  # fmt: skip
    made = arrays("band_rnn", given, DTYPES[:2], "float32 or float64")
    lower, upper = _widths("band_rnn", lower, lower if upper is None else upper)
    of_band_rnn(shapes(dict(zip(given, made, strict=True))), lower, upper, nonlinearity, batch_first)
    is_batch_first = made[0].ndim == 3 and bool(batch_first)
    return _band_rnn(*made, (lower, upper, nonlinearity, is_batch_first, bool(reverse)))


@functools.partial(jax.jit, static_argnums=6)
def _band_rnn(
    x: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any, h_0: Any, settings: tuple[Any, ...]
) -> tuple[Any, Any]:
    lower, upper, nonlinearity, batch_first, reverse = settings
    u = jnp.einsum("...i,hi->...h", x, weight_ih, precision=jax.lax.Precision.HIGHEST)
    for bias in (bias_ih, bias_hh):
        if bias is not None:
            u = u + bias
    steps, *lanes = (u.shape[1], u.shape[0]) if batch_first else u.shape[:-1]
    first = jnp.zeros((*lanes, u.shape[-1]), u.dtype) if h_0 is None else h_0
    step = step_of(u.shape[-1], Banded(lower, upper), nonlinearity)
    h, last = run(step, [weight_hh, u, first], lanes, steps, reverse, batch_first)
    return h, last


def _widths(function: str, lower: Any, upper: Any) -> tuple[int, int]:
    for name, width in (("lower", lower), ("upper", upper)):
        if isinstance(width, bool) or not isinstance(width, (int, np.integer)) or width < 0:
            raise ValueError(f"{function}: {name} is {width!r}, expected an integer of at least 0")
    return int(lower), int(upper)
