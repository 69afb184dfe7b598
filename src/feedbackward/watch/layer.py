"""A recurrent layer watched: from a call to an explanation.

The states of all steps are those of the real run. Every shown step is computed again from the states before it, term by
term, and held against the states after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..recurrent import stack
from ..recurrent.cells import Cell, Layer, activation_of, gru_cell, lstm_cell, rnn_cell
from ..recurrent.stack import Options, Results
from .axes import axes_of
from .call import Call
from .model import Check, Choice, Equation, Explanation, Limits, Quantity, Run, Track, difference
from .notation import Notation, plain
from .sentences import limits_of, notes_of, summary_of
from .terms import rounding, terms
from .weights import weights_of


def explain_layer(call: Call, limits: Limits) -> Explanation:
    """The explanation of a call of a recurrent layer."""
    steps, batch = call.given.x.shape[:2]
    if not steps or not batch:
        raise ValueError(f"explain: the input has {steps} steps and a batch of {batch}, expected at least 1 of each")
    if limits.start >= steps:
        raise ValueError(f"explain: start is {limits.start}, but the input has {steps} steps")
    shown = min(limits.elements, batch)
    part = _of_elements(call, shown)
    found = _run(part)
    window = slice(limits.start, min(limits.start + limits.steps, steps))
    made = [_track(part, found, k, window) for k in range(len(call.given.layers))]
    tracks = tuple(track for track, _ in made)
    worst = max((check for _, check in made), key=lambda c: (c.difference != c.difference, c.difference / c.bound))
    choices = (Choice("batch element", tuple(range(shown)), batch),) if call.given.batched else ()
    if not choices:
        tracks = tuple(_without_batch(t) for t in tracks)
    overview = ((tracks[0].name, "x"), *((t.name, "h after") for t in tracks))
    run = Run(window.start, window.stop - window.start, steps, choices, tracks, overview)
    return Explanation(
        title=call.title,
        kind="layer",
        summary=summary_of(call),
        run=run,
        equations=(_equation(call),),
        weights=weights_of(call),
        axes=axes_of(call),
        notes=notes_of(call),
        limits=limits_of(run),
        checks=(worst, _whole(part, found)),
        channels=limits.channels,
    )


def _of_elements(call: Call, shown: int) -> Call:
    """The call with the first elements of its batch alone: every sequence runs by itself."""
    given = call.given
    cut = replace(
        given,
        x=given.x[:, :shown].detach(),
        states=[s[:, :shown].detach() for s in given.states],
        lengths=None if given.lengths is None else given.lengths[:shown],
    )
    last = tuple(s[:, :shown].detach() for s in call.last)
    return replace(call, given=cut, output=call.output[:, :shown].detach(), last=last)


def _run(call: Call) -> Results:
    """All states of all layers."""

    def cell(layer: Layer, mask: Tensor | None) -> Cell:
        if call.kind == "gru":
            return gru_cell(layer, mask)
        if call.kind == "lstm":
            return lstm_cell(layer, mask, True)
        return rnn_cell(layer, activation_of("explain", call.nonlinearity), mask)

    given = call.given
    options = Options(call.directions, all_states=True)
    return stack.run(cell, given.layers, given.x, given.states, given.lengths, options)


def _whole(call: Call, found: Results) -> Check:
    """What the call returned, against the run whose states are shown."""
    pairs = [(call.output, found.output), *zip(call.last, found.last, strict=True)]
    worst = max((difference(a, b) for a, b in pairs), key=lambda d: (d != d, d))
    # Errors of single steps add up where the recurrence keeps them; where it forgets, they die out.
    eps = torch.finfo(found.output.dtype).eps
    scale = max([1.0, *(float(t.abs().nan_to_num(0, 0, 0).max()) for t in (found.output, *found.last))])
    channels = max(layer.weight_ih.shape[1] + found.output.shape[-1] for layer in call.given.layers)
    bound = 4 * eps * scale * channels * (call.given.x.shape[0] + 8) * len(call.given.layers)
    what = "what the call returned, against the run shown here, over the whole sequence"
    far = [t for t, (a, b) in enumerate(zip(call.output, found.output, strict=True)) if not difference(a, b) <= bound]
    if far and call.directions == 1 and far[0]:
        what += f" (they part at step {far[0]}: some recurrences amplify the rounding of every step)"
    return Check(what, worst, bound)


def _track(call: Call, found: Results, k: int, window: slice) -> tuple[Track, Check]:
    """One layer in one direction."""
    given, states = call.given, found.states
    assert states is not None
    reverse, number = k % call.directions == 1, k // call.directions
    layer, lengths = given.layers[k], given.lengths
    x = _below(states[0], number, call.directions) if number else given.x
    steps, batch = x.shape[:2]
    length = torch.full((batch,), steps, device=x.device) if lengths is None else lengths.to(x.device)
    going = (torch.arange(steps, device=x.device)[window].unsqueeze(1) < length).unsqueeze(-1)  # (steps, B, 1)
    before, after = [], []
    for every, first, last in zip(states, given.states, found.last, strict=True):
        before_k, after_k = _around(every[k], first[k], length, reverse)
        rest = first[k] if reverse else last[k]
        before.append(torch.where(going, before_k[window], rest))
        after.append(torch.where(going, after_k[window], rest))
    now = x[window]
    notation = Notation(call.kind, layer, call.nonlinearity, reverse)
    clean = torch.where(going, now, 0.0)
    lines = terms(notation, clean, before, _meaning_of_x(call, number))
    lines, off = _held_against(lines, after, going, now)
    direction = (", reverse" if reverse else ", forward") if call.directions == 2 else ""
    sized = replace(notation, sizes=True)
    ends = () if lengths is None else tuple(int(n) for n in length)
    track = Track(f"layer {number}{direction}", tuple(lines), sized.lines(), number, reverse, ends)
    bound = rounding(notation, clean, before)
    return track, Check("every step shown, computed again by its equation, against the real run", off, bound)


def _below(h: Tensor, number: int, directions: int) -> Tensor:
    """What a layer above the first reads: h of the layer below, of (L * D, T, B, n), its directions side by side."""
    return torch.cat(list(h[(number - 1) * directions : number * directions]), -1)


def _around(every: Tensor, first: Tensor, length: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """The states (T, B, n) before and after every step of sequences of these lengths."""
    if not reverse:
        return torch.cat([first.unsqueeze(0), every[:-1]]), every
    later = torch.cat([every[1:], first.unsqueeze(0)])
    begins = torch.arange(every.shape[0], device=every.device).unsqueeze(1) == length - 1
    return torch.where(begins.unsqueeze(-1), first, later), every


def _held_against(
    lines: Sequence[Quantity], after: Sequence[Tensor], going: Tensor, x: Tensor
) -> tuple[list[Quantity], float]:
    """The lines with the real states after, and how far these are off; what has ended shows its state alone."""
    real = {"x": x, **dict(zip(("h after", "c after"), after, strict=False))}
    worst, shown = 0.0, []
    for q in lines:
        if q.role == "after":
            off = difference(torch.where(going, q.values, 0.0), torch.where(going, real[q.name], 0.0))
            worst = off if off != off or off > worst else worst
        ended = q.values if q.role == "before" else torch.where(going, q.values, torch.nan)
        shown.append(replace(q, values=real.get(q.name, ended)))
    return shown, worst


def _without_batch(track: Track) -> Track:
    return replace(track, quantities=tuple(replace(q, values=q.values.squeeze(1)) for q in track.quantities))


def _meaning_of_x(call: Call, number: int) -> str:
    if not number:
        return "the input of this step" if call.form == "cell" else "element t of the sequence"
    both = ", both directions side by side" if call.directions == 2 else ""
    return f"h of layer {number - 1} at this step{both}"


def _equation(call: Call) -> Equation:
    w = Notation(call.kind, call.given.layers[0], call.nonlinearity)
    caption = "One step of every layer: the same weights at every t."
    if call.kind != "rnn":
        caption += " σ is the logistic function, ⊙ the product channel by channel."
    return Equation(w.lines(), plain(w), caption)
