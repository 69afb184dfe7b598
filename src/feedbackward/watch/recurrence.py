"""A linear recurrence watched: from a call to an explanation.

    h[t] = decay[t] h[t-1] + x[t]
         = w[t, t] x[t] + w[t, t-1] x[t-1] + ...,    w[t, t] = 1,  w[t, k] = decay[t] w[t-1, k]

The states are those of the real run. Every step that is shown is computed again from the state before it, and all of
them once more as the sum of what every x still has in h.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .decays import decays_of
from .model import Check, Choice, Equation, Explanation, Limits, Quantity, Run, Track
from .numerals import latex
from .recurrence_call import RecurrenceCall
from .sentences import limits_of, plural


def explain_recurrence(call: RecurrenceCall, limits: Limits) -> Explanation:
    """The explanation of a call of `linear_recurrence`."""
    steps, elements = call.h.shape[:2]
    before = torch.cat([call.before.unsqueeze(0), call.h[:-1]])
    decay = call.decay_of_steps()
    kept = decay * before
    after = kept + call.x
    choices = () if call.batch is None else (Choice("batch element", tuple(range(elements)), call.batch),)

    def line(name: str, symbol: str, meaning: str, role: str, values: Tensor) -> Quantity:
        values = values.expand(steps, elements, values.shape[-1])
        shape = call.lanes if values.shape[-1] > 1 else ()
        return Quantity(name, symbol, meaning, role, values if choices else values[:, 0], shape=shape or (1,))

    many = "the factor of this step, " if call.moves else "the factor, the same at every step, "
    whose = many + ("one for all channels" if decay.shape[-1] == 1 < call.h.shape[-1] else "of every channel")
    whose = many.rstrip(", ") if call.h.shape[-1] == 1 else whose
    lines = (
        line("x", "x[t]", "the element of the sequence", "input", call.x),
        line("decay", r"\mathrm{decay}[t]", whose, "input" if call.moves else "term", decay),
        line("h before", "h[t-1]", "the state that the step before left", "before", before),
        line("decay h", r"\mathrm{decay}[t]\,h[t-1]", "what stays of it", "term", kept),
        line("h after", "h[t]", "the state that this step leaves, and its output: their sum", "after", after),
    )
    track = Track("recurrence", lines, _filled(call))
    overview = ("x", "decay", "h after") if call.moves else ("x", "h after")
    run = Run(call.start, steps, call.total, choices, (track,), tuple(("recurrence", name) for name in overview))
    details = decays_of(call, limits)
    return Explanation(
        title="fb.linear_recurrence",
        kind="recurrence",
        summary=_summary(call),
        run=run,
        equations=(_equation(call),),
        weights=call.weights,
        axes=call.axes,
        notes=_notes(call),
        limits=limits_of(run),
        checks=(_steps_check(call, kept, after), _sum_check(call, details.weights, limits.channels)),
        channels=limits.channels,
        details=details,
    )


def _steps_check(call: RecurrenceCall, kept: Tensor, after: Tensor) -> Check:
    """Every step by itself; where the kernel cuts time into segments, their states are known to rounding."""
    bound = _unit(call) * _size(kept, call.x) * (1 + _memory(call))
    what = "every state shown, computed again from the state before it, against what the call returned"
    return _worst(what, after, call.h, bound)


def _sum_check(call: RecurrenceCall, weights: Tensor, channels: int) -> Check:
    """The steps that have weights as sums over x, of the first channels."""
    shared = call.decay.shape[2] == 1
    steps, channels = len(weights), min(channels, call.h.shape[2]) if shared else weights.shape[2]
    parts = torch.cat([call.before.unsqueeze(0), call.x[:steps].to(call.h.dtype)])[..., :channels]
    terms = weights * parts.permute(1, 2, 0)  # (steps, E, C, 1 + steps)
    h, sizes = call.h[:steps, :, :channels], terms.abs().sum(-1)
    finite = h.isfinite() & sizes.isfinite()
    memory = _memory(call).expand(*h.shape[1:2], call.h.shape[2])[:, :channels]
    bound = _unit(call) * sizes.nan_to_num(0, 0, 0).amax(0) * (steps + 2 + memory)
    which = "every state shown" if steps == len(call.h) else f"the first {steps} states shown"
    what = f"{which}, as the sum of every x times its weight, against what the call returned"
    return _worst(what, torch.where(finite, terms.sum(-1), 0), torch.where(finite, h, 0), bound)


def _size(*parts: Tensor) -> Tensor:
    """The largest sum of magnitudes over time, (E, C)."""
    return torch.stack([p.abs() for p in parts]).sum(0).nan_to_num(0, 0, 0).amax(0)


def _unit(call: RecurrenceCall) -> float:
    """Twice the rounding of a product and a sum; that of a complex product is some three times larger."""
    return 2 * torch.finfo(call.h.dtype).eps * (3 if call.h.is_complex() else 1)


def _memory(call: RecurrenceCall) -> Tensor:
    """How many steps of rounding a state holds at most, (E or 1, C or 1): the sum of a geometric series."""
    largest = call.decay.abs().amax(0).nan_to_num(1, 1, 1).to(call.h.real.dtype)
    return torch.where(largest < 1, 1 / (1 - largest), call.total).clamp(max=call.total)


def _worst(what: str, a: Tensor, b: Tensor, bound: Tensor) -> Check:
    """The difference that is largest beside its bound; equal infinities and NaN on both sides are none."""
    same = (a == b) | (a.isnan() & b.isnan())
    off = torch.where(same, 0.0, (a - b).abs())
    limit = bound.clamp(min=torch.finfo(bound.dtype).tiny).expand_as(off)
    at = (off / limit).nan_to_num(torch.inf).flatten().argmax()
    return Check(what, float(off.flatten()[at]), float(limit.flatten()[at]))


def _filled(call: RecurrenceCall) -> tuple[str, ...]:
    """The step with its number, where all lanes have one."""
    if call.decay.numel() != 1 or not call.decay.isfinite().all():
        return ()
    factor = call.decay.item()
    return (f"h[t] = {latex(factor)}h[t-1] + x[t]" if factor else "h[t] = x[t]",)


def _equation(call: RecurrenceCall) -> Equation:
    if call.moves:
        latex_sum = r"= \sum_{k=0}^{t} \Bigl(\prod_{j=k+1}^{t} \mathrm{decay}[j]\Bigr)\,x[k]"
        text_sum = "= sum_k (decay[k+1] ... decay[t]) x[k]"
        caption = "One step, and what it comes to: every x fades by all decays that come after it."
    else:
        latex_sum = r"= \sum_{k=0}^{t} \mathrm{decay}^{t-k}\,x[k]"
        text_sum = "= sum_k decay^(t-k) x[k]"
        caption = "One step, and what it comes to: every x fades by the same factor at each step."
    time = "[t]" if call.moves else ""
    return Equation(
        (rf"h[t] = \mathrm{{decay}}{time}\,h[t-1] + x[t]", rf"h[t] {latex_sum}"),
        (f"h[t] = decay{time} h[t-1] + x[t]", f"     {text_sum}"),
        f"{caption} The initial state counts as an x before the first.",
    )


def _summary(call: RecurrenceCall) -> str:
    channels = call.h.shape[2]
    kind = "complex " if call.h.is_complex() else ""
    state = f"a {kind}state of {plural(channels, 'channel')}" if channels > 1 else f"one {kind}state"
    of_batch = f", {call.batch} sequences side by side" if (call.batch or 1) > 1 else ""
    when = "a decay that changes in time" if call.moves else "a constant decay"
    whose = ", one for all channels" if call.decay.shape[2] == 1 < channels else ""
    return f"{plural(call.total, 'step')} of {state}{of_batch}, with {when}{whose}"


def _notes(call: RecurrenceCall) -> tuple[str, ...]:
    notes, size = [], call.decay.abs()
    if call.decay.is_complex():
        notes.append("A complex decay turns the state by its angle and scales it by its magnitude at every step.")
    elif call.h.is_complex():
        notes.append("The decay is real: it keeps the real and the imaginary part of the state each by itself.")
    if bool((size > 1).any()):
        notes.append("Where a decay is larger than 1 in magnitude, the state grows instead of forgetting.")
    return tuple(notes)
