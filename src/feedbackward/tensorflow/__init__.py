"""The recurrences for TensorFlow: the kernels, numbers and argument order of `feedbackward`, with ``axis`` for ``dim``.

    >>> import tensorflow as tf
    >>> import feedbackward.tensorflow as fbt
    >>> x = tf.random.normal([4, 1, 1000])
    >>> b, a = tf.ones([8, 1]), tf.constant([[1.0, -0.5]] * 8)
    >>> fbt.lfilter(b, a, x).shape.as_list()  # 8 filters, each over 4 signals
    [4, 8, 1000]

Gradients are those of ``tf.GradientTape``, of any order, and of forward mode; inside ``tf.function`` axes may be
unknown. ``tf.vectorized_map`` runs the operators one element after the other: broadcasting is the faster way. XLA
(``jit_compile=True``) compiles no kernels but its own, and is refused. PyTorch is not needed. Importing this module
registers the operators, so a SavedModel that has them is loaded after it.
"""

from __future__ import annotations

try:
    import tensorflow as _tensorflow  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "tensorflow":
        raise
    raise ModuleNotFoundError(
        "feedbackward.tensorflow needs TensorFlow, which is not installed: install the build you want, or `pip install "
        "feedbackward[tensorflow]` for the default one.",
        name="tensorflow",
    ) from error

from .band_matmul import band_matmul
from .band_rnn import band_rnn
from .lfilter import lfilter
from .linear_recurrence import linear_recurrence
from .sosfilt import sosfilt

__all__ = ["band_matmul", "band_rnn", "lfilter", "linear_recurrence", "sosfilt"]
