"""What the filters ask of shapes, for every framework: integers and tuples go in, settings of the operators come out.

``name`` is what a framework calls the time axis, and ``broadcast`` its function of shapes, which raises where they do
not broadcast.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

Shape = tuple[int, ...]
Broadcast = Callable[..., Any]
Settings = tuple[int, int, bool]  # the time axis, negative; samples per frame, 0 for constant; whether interpolated


def of_lfilter(
    b: Shape,
    a: Shape,
    x: Shape,
    zi: Shape | None,
    axis: int,
    hop: int | None,
    interpolation: str,
    *,
    name: str,
    broadcast: Broadcast,
) -> Settings:
    """The settings of `feedbackward.lfilter`.

    Raises:
        TypeError: The axis or ``hop`` is not an integer.
        ValueError: Shapes do not fit.
    """
    axis = time_axis("lfilter", name, axis, x)
    own = 1 if hop is None else 2
    for which, taps in (("b", b), ("a", a)):
        if len(taps) < own or taps[-1] < 1:
            axes = "(..., n)" if hop is None else "(..., frames, n) because hop is given"
            raise ValueError(f"lfilter: {which} has shape {taps}, expected {axes} with n >= 1")
    states = max(b[-1], a[-1]) - 1
    if zi is not None and (len(zi) < 1 or zi[-1] != states):
        raise ValueError(f"lfilter: zi has shape {zi}, expected (..., {states}) = (..., max(len(b), len(a)) - 1)")
    frames = {} if hop is None else {"b": b[-2], "a": a[-2]}
    step, linear = check_frames("lfilter", frames, hop, interpolation, x[axis])
    leading = {"b": b[:-own], "a": a[:-own], "x without time": without_time(x, axis)}
    if zi is not None:
        leading["zi"] = zi[:-1]
    check_broadcast("lfilter", leading, broadcast)
    return axis, step, linear


def of_sosfilt(
    sos: Shape,
    x: Shape,
    zi: Shape | None,
    axis: int,
    hop: int | None,
    interpolation: str,
    *,
    name: str,
    broadcast: Broadcast,
) -> Settings:
    """The settings of `feedbackward.sosfilt`.

    Raises:
        TypeError: The axis or ``hop`` is not an integer.
        ValueError: Shapes do not fit.
    """
    axis = time_axis("sosfilt", name, axis, x)
    own = 2 if hop is None else 3
    if len(sos) < own or sos[-1] != 6 or sos[-2] < 1:
        axes = "(..., sections, 6)" if hop is None else "(..., frames, sections, 6) because hop is given"
        raise ValueError(f"sosfilt: sos has shape {sos}, expected {axes} with sections >= 1")
    sections = sos[-2]
    if zi is not None and (len(zi) < 2 or zi[-2:] != (sections, 2)):
        raise ValueError(f"sosfilt: zi has shape {zi}, expected (..., {sections}, 2) = (..., sections, 2)")
    frames = {} if hop is None else {"sos": sos[-3]}
    step, linear = check_frames("sosfilt", frames, hop, interpolation, x[axis])
    leading = {"sos": sos[:-own], "x without time": without_time(x, axis)}
    if zi is not None:
        leading["zi"] = zi[:-2]
    check_broadcast("sosfilt", leading, broadcast)
    return axis, step, linear


def of_linear_recurrence(
    decay: Shape, x: Shape, initial: Shape | None, axis: int, *, name: str, broadcast: Broadcast
) -> tuple[int, Shape]:
    """The time axis of `feedbackward.linear_recurrence`, and the shape of decay with one.

    Raises:
        TypeError: The axis is not an integer.
        ValueError: Shapes do not fit.
    """
    function = "linear_recurrence"
    axis = time_axis(function, name, axis, x)
    if len(decay) > len(x):
        raise ValueError(f"{function}: decay has shape {decay}, expected at most the {len(x)} axes of x {x}")
    if len(decay) < len(x):  # no time: it has to go where x has it, behind axes of size 1 if there are none so far
        behind = -axis - 1
        decay = (1,) * (behind - len(decay)) + decay
        decay = decay[: len(decay) - behind] + (1,) + decay[len(decay) - behind :]
    elif decay[axis] not in (1, x[axis]):
        raise ValueError(
            f"{function}: decay has {decay[axis]} samples along {name} {axis}, expected {x[axis]} or 1, as x has"
        )
    leading = {"decay without time": without_time(decay, axis), "x without time": without_time(x, axis)}
    if initial is not None:
        leading["initial"] = initial
    check_broadcast(function, leading, broadcast)
    return axis, decay


def time_axis(function: str, name: str, axis: int, x: Shape) -> int:
    """The axis ``axis`` of x, counted from the end.

    Raises:
        TypeError: It is not an integer.
        ValueError: x has no such axis.
    """
    axis = integer(function, name, axis)
    if not -len(x) <= axis < len(x):
        raise ValueError(f"{function}: {name} is {axis}, but x has shape {x}")
    return axis - len(x) if axis >= 0 else axis


def integer(function: str, name: str, value: Any) -> int:
    """An integer, of whatever type.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise TypeError(f"{function}: {name} is a {type(value).__name__}, expected an int")


def without_time(x: Shape, axis: int) -> Shape:
    """A shape without its time axis, which is negative."""
    return x[: len(x) + axis] + x[len(x) + axis + 1 :]


def check_broadcast(function: str, leading: Mapping[str, Shape], broadcast: Broadcast) -> None:
    """All leading shapes broadcast together.

    Raises:
        ValueError: They do not.
    """
    shaped = [shape for shape in leading.values() if len(shape)]
    if len(shaped) < 2:
        return
    try:
        broadcast(*shaped)
    except (RuntimeError, ValueError):
        shapes = ", ".join(f"{name} {shape}" for name, shape in leading.items())
        raise ValueError(f"{function}: the leading shapes do not broadcast: {shapes}") from None


def check_frames(
    function: str, frames: Mapping[str, int], hop: int | None, interpolation: str, steps: int
) -> tuple[int, bool]:
    """``hop`` and ``interpolation`` as the operators want them: 0 for constant coefficients, and whether linear.

    Raises:
        TypeError: ``hop`` is not an integer.
        ValueError: ``hop`` is not positive, ``interpolation`` is unknown, or an argument has a wrong number of frames.
    """
    if interpolation not in ("hold", "linear"):
        raise ValueError(f"{function}: interpolation is {interpolation!r}, expected 'hold' or 'linear'")
    if hop is None:
        return 0, False
    hop = integer(function, "hop", hop)
    if not 1 <= hop < 2**62:
        raise ValueError(f"{function}: hop is {hop}, expected at least 1 sample per frame and fewer than 2**62")
    linear = interpolation == "linear"
    needed = -(-steps // hop)
    for name, count in frames.items():
        if count not in (1, needed) and not (linear and count == needed + 1):
            fitting = f"{needed} or {needed + 1}" if linear else f"{needed}"
            raise ValueError(
                f"{function}: {name} has {count} frames, expected {fitting} (or 1) for {steps} samples at hop={hop}"
            )
    return hop, linear
