"""A filter watched: from a call to an explanation.

    y[n]   = b_0 x[n] + s_1[n-1]
    s_i[n] = b_i x[n] + s_{i+1}[n-1] - a_i y[n],    i = 1 .. order,    s_{order+1} = 0

the transposed direct form II that the library computes, every section of a cascade reading the y of the one before.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..filters.lfilter import lfilter
from .call import as_real
from .filter_call import FilterCall
from .filter_details import details_of
from .model import Check, Choice, Equation, Explanation, Limits, Quantity, Run, Track, difference
from .sentences import limits_of, plural


def explain_filter(call: FilterCall, limits: Limits) -> Explanation:
    """The explanation of a call of a filter."""
    total = call.x.shape[-1]
    if limits.start >= total:
        raise ValueError(f"explain: start is {limits.start}, but the signal has {total} samples")
    window = range(limits.start, min(limits.start + limits.steps, total))
    tracks, check = _tracks(call, window)
    choices = []
    if call.filters[1] > 1:
        choices.append(Choice("filter", *call.filters))
    if call.signals[1] > 1:
        choices.append(Choice("signal", *call.signals))
    lead = tuple(len(c.places) for c in choices)
    tracks = [
        Track(t.name, tuple(_shaped(q, lead) for q in t.quantities), t.equation, t.layer, t.reverse) for t in tracks
    ]
    overview = ((tracks[0].name, "x"), *((t.name, "y") for t in tracks))
    run = Run(window.start, len(window), total, tuple(choices), tuple(tracks), overview)
    return Explanation(
        title=call.title,
        kind="filter",
        summary=_summary(call),
        run=run,
        equations=(_equation(call),),
        weights=call.weights,
        notes=_notes(call),
        limits=limits_of(run),
        checks=(check,),
        channels=limits.channels,
        details=details_of(call),
    )


def coefficients(c: Tensor, t: int, hop: int | None, linear: bool) -> Tensor:
    """Those of sample t, (lanes, sections, terms), from all frames (lanes, frames, sections, terms)."""
    frame, rest = (0, 0) if hop is None else divmod(t, hop)
    last = c.shape[1] - 1
    now = c[:, min(frame, last)]
    return now + (c[:, min(frame + 1, last)] - now) * (rest / hop) if linear and hop else now


def _tracks(call: FilterCall, window: range) -> tuple[list[Track], Check]:
    """The lines of every section, (steps, lanes, channels), and how far y is from what the call returned."""
    state, steps = _state_at(call, window.start), []
    for t in window:
        b, a = (coefficients(c, t, call.hop, call.linear) for c in (call.b, call.a))
        u, after, lines = call.x[:, t : t + 1].to(b.dtype), [], []
        for k in range(b.shape[1]):
            s = state[:, k]
            later = torch.cat([s[:, 1:], s.new_zeros(len(s), 1)], 1)[:, : s.shape[1]]
            direct = b[:, k, :1] * u
            y = direct + s[:, :1] if s.shape[1] else direct
            of_x, of_y = b[:, k, 1:] * u, -a[:, k, 1:] * y
            after.append(of_x + later + of_y)
            shown = [u if k or call.x.is_complex() else as_real(u), b[:, k], a[:, k]]
            if not call.all_b.is_complex():
                shown[1:] = map(as_real, shown[1:])
            lines.append([*shown, s, direct, y, of_x, later, of_y, after[-1]])
            u = y
        state = torch.stack(after, 1)
        steps.append(lines)
    tracks = []
    for k in range(call.b.shape[2]):
        columns = [torch.stack(values) for values in zip(*(lines[k] for lines in steps), strict=True)]
        name = f"section {k}" if call.b.shape[2] > 1 else "filter"
        tracks.append(Track(name, tuple(_lines(columns, k, call.hop is not None)), layer=k))
    y = columns[5].squeeze(-1).T.to(call.y.dtype)
    return tracks, _check(call, y, call.y[:, window.start : window.stop])


def _lines(columns: list[Tensor], section: int, varies: bool) -> list[Quantity]:
    u, b, a, s, direct, y, of_x, later, of_y, after = columns
    order = s.shape[-1]
    names = tuple(f"s{i}" for i in range(1, order + 1))
    what = f"y of section {section - 1}" if section else "the sample of the signal"
    lines = [Quantity("x", "x[n]", what, "input", u)]
    if varies:
        lines += [
            Quantity("b", "b_0, b_1, ...", "the coefficients of this sample", "term", b, "coefficients"),
            Quantity("a", "a_0, a_1, ...", "the coefficients of this sample", "term", a, "coefficients"),
        ]
    if not order:
        return [*lines, Quantity("y", "y[n]", "what goes out: b₀ x[n]", "output", y)]
    return [
        *lines,
        Quantity("s before", "s_i[n-1]", "the states that the sample before left", "before", s, labels=names),
        Quantity("b0 x", r"b_0\,x[n]", "what goes straight through", "term", direct, "output"),
        Quantity("y", "y[n]", "what goes out: b₀ x[n] + s₁[n−1]", "output", y, "output"),
        Quantity("b x", r"b_i\,x[n]", "what the input adds to every state", "term", of_x, "states", names),
        Quantity("s shifted", "s_{i+1}[n-1]", "every state moves one place on", "term", later, "states", names),
        Quantity("-a y", r"-a_i\,y[n]", "the feedback", "term", of_y, "states", names),
        Quantity("s after", "s_i[n]", "the states that this sample leaves: their sum", "after", after, "states", names),
    ]


def _state_at(call: FilterCall, start: int) -> Tensor:
    """The states (lanes, sections, order) before sample ``start``, by the library itself."""
    if not start:
        return call.state
    x, states = call.x[:, :start].to(call.b.dtype), []
    for k in range(call.b.shape[2]):
        b, a = call.b[:, :, k], call.a[:, :, k]
        if call.hop is None:
            x, after = lfilter(b[:, 0], a[:, 0], x, zi=call.state[:, k])
        else:
            frames = -(-start // call.hop) + call.linear if b.shape[1] > 1 else 1
            way = "linear" if call.linear else "hold"
            b, a = b[:, :frames], a[:, :frames]
            x, after = lfilter(b, a, x, zi=call.state[:, k], hop=call.hop, interpolation=way)
        states.append(after)
    return torch.stack(states, 1)


def _check(call: FilterCall, y: Tensor, real: Tensor) -> Check:
    eps = torch.finfo(call.y.dtype).eps
    b, a, y_size, x_size = (t.abs().nan_to_num(0, 0, 0) for t in (call.b, call.a, y, call.x))
    gain = float(b.sum(-1).amax() + a.sum(-1).amax())
    size = max(1e-30, float(y_size.max()), float(x_size.max()))
    bound = eps * size * gain * (y.shape[-1] + 8) * call.b.shape[2]
    return Check("every sample shown, computed again by the equations, against what the call returned",
                 difference(y, real), bound)  # fmt: skip


def _shaped(q: Quantity, lead: tuple[int, ...]) -> Quantity:
    values = q.values.reshape(q.values.shape[0], *lead, q.values.shape[-1])
    return Quantity(q.name, q.latex, q.meaning, q.role, values, q.group, q.labels)


def _equation(call: FilterCall) -> Equation:
    latex = (
        r"y[n] = \sum_{i=0}^{N} b_i\,x[n-i] - \sum_{i=1}^{N} a_i\,y[n-i]",
        r"y[n] = b_0\,x[n] + s_1[n-1], \qquad s_i[n] = b_i\,x[n] + s_{i+1}[n-1] - a_i\,y[n]",
    )
    text = (
        "y[n] = sum_i b_i x[n-i] - sum_i a_i y[n-i]",
        "y[n] = b_0 x[n] + s_1[n-1],    s_i[n] = b_i x[n] + s_{i+1}[n-1] - a_i y[n]",
    )
    each = "Every section: its" if call.b.shape[2] > 1 else "The"
    caption = f"{each} difference equation, and how it is computed: in transposed direct form II, with the states s."
    return Equation(latex, text, caption)


def _summary(call: FilterCall) -> str:
    samples, order, sections = call.x.shape[-1], call.b.shape[-1] - 1, call.b.shape[2]
    what = f"order {order}" if sections == 1 else f"{sections} sections of order {order}"
    bank = f"{call.filters[1]} filters, each of {what}" if call.filters[1] > 1 else f"a filter of {what}"
    kind = "complex " if call.x.is_complex() else ""
    signals = f"{call.signals[1]} {kind}signals" if call.signals[1] > 1 else f"a {kind}signal"
    return f"{signals} of {plural(samples, 'sample')} through {bank}"


def _notes(call: FilterCall) -> tuple[str, ...]:
    notes = []
    if call.all_b.is_complex():
        notes.append(
            "The coefficients are complex: a frequency f and its negative get different responses, so both are shown."
        )
    elif call.x.is_complex():
        notes.append(
            "The coefficients are real: they filter the real and the imaginary part of the signal each by itself."
        )
    if call.scale:
        notes.append("All coefficients are divided by a_0 first.")
    if call.hop is not None:
        way = "interpolated between frames" if call.linear else "held within a frame"
        notes.append(
            f"The coefficients change in time: a frame every {plural(call.hop, 'sample')}, {way}. Poles, zeros and "
            "response are those of the first frame."
        )
    if call.b.dtype != call.y.dtype:
        notes.append(f"States and arithmetic are {str(call.b.dtype)[6:]}, the signals {str(call.y.dtype)[6:]}.")
    return tuple(notes)
