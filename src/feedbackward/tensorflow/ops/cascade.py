"""The operator of every filter: sections of transposed direct form II in series, of any order.

    y = b[0] u + s[0],    s[i] <- s[i+1] + b[i+1] u - a[i] y        (a without a0, which is 1)

`forward` is ``cascade(x, b, a, state, axis, hop, linear) -> (y, state_after)``:

- x: any leading shape around the time axis ``axis``, which is negative;
- b, a: (..., [frames,] sections, terms), with frames when hop > 0; state: (..., sections, order) or None;
- x and y have the dtype of the signal, everything else that of the computation.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..shapes import broadcast, lead, with_axis, without_axis
from .library import operators
from .recurrence import Recurrence, Settings, Tensors


def forward(x: Any, b: Any, a: Any, state: Any, axis: int, hop: int, linear: bool) -> tuple[Any, Any]:
    """The filtered signal, and the state after it."""
    inputs = [x, b, a] if state is None else [x, b, a, state]
    y, after = _recurrence.forward(inputs, {"axis": axis, "hop": hop, "linear": linear})
    return y, after


def _shapes(inputs: Tensors, settings: Settings) -> tuple[tf.TensorShape, tf.TensorShape]:
    x, b, a = (t.shape for t in inputs[:3])
    own = 3 if settings["hop"] else 2
    states = [lead(state.shape, 2) for state in inputs[3:]]
    lanes = broadcast([without_axis(x, settings["axis"]), lead(b, own), lead(a, own), *states])
    terms = None if b.rank is None or a.rank is None or None in (b[-1], a[-1]) else max(b[-1] - 1, a[-1])
    after = lanes + [None if b.rank is None else b[-2], terms]
    return with_axis(lanes, settings["axis"], x), after


def _tangent(inputs: Tensors, v: Tensors, settings: Settings) -> tuple[Any, Any]:
    """Section by section.

    Each is linear in (u, b), and in a once y is known, so three filters add up::

        dy = F(b, a; du) + F(db, a; u) - F((0, da), a; y)
    """
    u, b, a, state = (*inputs, None)[:4]
    v_u, v_b, v_a, v_state = (*v, None)[:4]
    if v_u is None:
        v_u = tf.zeros_like(u)
    if state is not None and v_state is None:
        v_state = tf.zeros_like(state)
    v_after = []
    for k in range(_sections(b)):
        b_k, a_k, state_k, v_b_k, v_a_k, v_state_k = (_section(t, k) for t in (b, a, state, v_b, v_a, v_state))
        y, _ = forward(u, b_k, a_k, state_k, **settings)
        v_y, after = forward(v_u, b_k, a_k, v_state_k, **settings)
        terms = [] if v_b_k is None else [forward(u, v_b_k, a_k, None, **settings)]
        if v_a_k is not None:
            terms.append(forward(y, _of_past_outputs(v_a_k, b_k), a_k, None, **settings))
        for term, term_after in terms:
            v_y, after = v_y + term, after + term_after
        v_after.append(after)
        u, v_u = y, v_y
    return v_u, tf.concat(v_after, -2)


def _of_past_outputs(v_a: Any, b: Any) -> Any:
    """The numerator (0, -v_a), with at least as many terms as b has."""
    missing = tf.maximum(tf.shape(b)[-1] - 1 - tf.shape(v_a)[-1], 0)
    return tf.pad(-v_a, tf.concat([tf.zeros([tf.rank(v_a) - 1, 2], tf.int32), [[1, missing]]], 0))


def _sections(b: Any) -> int:
    if b.shape.rank is None or b.shape[-2] is None:
        raise ValueError(
            "sosfilt: sos has an unknown number of sections, expected a known one where second derivatives are taken: "
            "give tf.function an input_signature with it"
        )
    return int(b.shape[-2])


def _section(tensor: Any, k: int) -> Any:
    return None if tensor is None else tensor[..., k : k + 1, :]


_recurrence = Recurrence(
    "FeedbackwardCascade",
    forward=operators.feedbackward_cascade,
    gradient=operators.feedbackward_cascade_gradient,
    shapes=_shapes,
    tangent=_tangent,
    outputs=2,
    inputs=3,
    settings=("axis", "hop", "linear"),
)
