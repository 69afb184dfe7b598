"""Products with a matrix that is stored by its diagonals.

    y[i] = sum_j W[i, j] x[j],    W[i, i + d - lower] = weight[d, i],    d = 0 .. lower + upper

Diagonal d = lower is the main one; entries that would lie outside the matrix are not read.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..recurrent.shapes import of_band_matmul
from .arguments import REAL, check_widths, shape_text, to_tensors
from .ops import band
from .ops.diagonals import product_by_index
from .shapes import described_by


@tf.autograph.experimental.do_not_convert
def band_matmul(x: Any, weight: Any, lower: int, upper: int) -> Any:
    """Multiply vectors by a banded matrix.

        y[..., i] = sum_d weight[d, i] x[..., i + d - lower],    d = 0 .. lower + upper, 0 <= i + d - lower < n

    Memory and work are proportional to n (lower + upper + 1).

    Args:
        x: (..., n), float32 or float64 in the kernel; complex64 and complex128 diagonal by diagonal.
        weight: (lower + upper + 1, n), by diagonals: ``weight[d, i]`` is row i, column i + d - lower of the matrix. Its
            shape is known when a tf.function is traced.
        lower: Diagonals below the main one.
        upper: Diagonals above the main one.

    Returns:
        (..., n), in the dtype of x.

    Raises:
        TypeError: An argument is not a tensor, or not of a known dtype; a width is not an integer.
        ValueError: Shapes or dtypes that do not fit together.
        NotImplementedError: A tensor is not on the CPU, or XLA is to compile the call.

    Example:
        >>> import tensorflow as tf
        >>> from feedbackward.tensorflow import band_matmul
        >>> weight = tf.constant([[9.0, 1.0, 1.0], [2.0, 2.0, 2.0]])  # the 9 would lie outside
        >>> band_matmul(tf.constant([1.0, 10.0, 100.0]), weight, lower=1, upper=0).numpy().tolist()
        [2.0, 21.0, 210.0]

    Source:
        The storage is that of the diagonals in scipy.sparse.dia_array, shifted so that column i belongs to row i.
    """
    x, weight = to_tensors("band_matmul", {"x": x, "weight": weight})
    lower, upper = check_widths("band_matmul", lower, upper)
    of_band_matmul(described_by({"x": x, "weight": weight}), lower, upper)
    if x.dtype not in REAL or 0 in (*x.shape, *weight.shape):
        return product_by_index(x, weight, lower, upper)
    if weight.shape[1] is None:
        raise ValueError(
            f"band_matmul: weight has shape {shape_text(weight.shape)}, expected a known one: the program of a product "
            "is made for it when the function is traced"
        )
    return band.product(x, weight, lower, upper)
