"""A recurrent layer whose recurrent matrix is a band, stored by its diagonals.

    h[t] = act(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh),    t = 0 .. T-1,    h[-1] = h_0

W_hh[i, i + d - lower] = weight_hh[d, i]. What depends on x alone is one product for all steps, before the loop.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..engine.steps import rnn as step_of
from ..recurrent.shapes import of_band_rnn
from ..recurrent.structures import Banded
from .arguments import REAL, check_widths, shape_text, to_tensors
from .ops.recurrence import set_shape
from .ops.scan import run
from .shapes import Unknown, described_by


@tf.autograph.experimental.do_not_convert
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
    """A recurrent layer in which every channel hears its neighbors, and pays for them alone.

        h[t] = act(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh),    W_hh[i, j] = 0 unless -lower <= j - i <= upper

    The numbers are those of `feedbackward.nn.BandRNN` with one layer, and the weights are stored alike. The shapes of
    the weights are known when a tf.function is traced; those of x and h_0 need not be, but for their number of axes.

    Args:
        x: (T, B, input); (B, T, input) with ``batch_first``; (T, input) without a batch. float32 or float64.
        weight_ih: (hidden, input), W_ih.
        weight_hh: (lower + upper + 1, hidden), by diagonals: ``weight_hh[d, i]`` is W_hh[i, i + d - lower]. What
            would lie outside of the matrix is not read.
        bias_ih: (hidden,), or None for no bias.
        bias_hh: The same.
        h_0: The first state, (B, hidden), or (hidden,) without a batch; zeros by default.
        lower: Diagonals of W_hh below the main one.
        upper: Diagonals above it. None: as many as below.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        batch_first: Whether x and output are (B, T, ...). States never are.
        reverse: Whether the last step is the first.

    Returns:
        output, the state after every step, (T, B, hidden), with axes as x has them; and h_n, the state after the last
        one, like h_0.

    Raises:
        TypeError: An argument is not a tensor, or not of a known dtype; a width is not an integer.
        ValueError: Shapes or dtypes that do not fit together, or an unknown nonlinearity.
        NotImplementedError: A tensor is not on the CPU, or XLA is to compile the call.

    Example:
        >>> import tensorflow as tf
        >>> from feedbackward.tensorflow import band_rnn
        >>> weight_ih, weight_hh = tf.random.normal([5, 3]), 0.2 * tf.random.normal([2 + 1, 5])
        >>> output, h_n = band_rnn(tf.random.normal([10, 4, 3]), weight_ih, weight_hh, lower=1)
        >>> output.shape.as_list(), h_n.shape.as_list()
        ([10, 4, 5], [4, 5])

    Source:
        Elman, "Finding structure in time", Cognitive Science 14, 1990, for the layer.
    """
    given = {
        "x": x, "weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": bias_ih, "bias_hh": bias_hh, "h_0": h_0
    }  # fmt: skip
    x, weight_ih, weight_hh, bias_ih, bias_hh, h_0 = tensors = to_tensors("band_rnn", given, REAL)
    lower, upper = check_widths("band_rnn", lower, lower if upper is None else upper)
    described = described_by(dict(zip(given, tensors, strict=True)))
    hidden = of_band_rnn(described, lower, upper, nonlinearity, batch_first)
    if isinstance(hidden, Unknown):
        raise ValueError(
            f"band_rnn: weight_hh has shape {shape_text(weight_hh.shape)}, expected ({lower + upper + 1}, hidden) with "
            "hidden known when the function is traced"
        )

    batched = x.shape.rank == 3
    if not batched:
        x = x[:, None]
    first_axis = batched and bool(batch_first)
    sizes = tf.shape(x)
    u = tf.matmul(tf.reshape(x, [-1, sizes[2]]), weight_ih, transpose_b=True)
    for bias in (bias_ih, bias_hh):
        if bias is not None:
            u = u + bias
    u = tf.reshape(u, [sizes[0], sizes[1], hidden])
    set_shape(u, tf.TensorShape([x.shape[0], x.shape[1], hidden]))
    lanes = sizes[0 if first_axis else 1]
    first = tf.zeros([lanes, hidden], x.dtype) if h_0 is None else tf.reshape(h_0, [lanes, hidden])
    step = step_of(hidden, Banded(lower, upper), nonlinearity)
    (output,), (last,) = run(step, [weight_hh, u, first], bool(reverse), first_axis)
    return (output, last) if batched else (output[:, 0], last[0])
