"""What a page says about a recurrent layer in words."""

from __future__ import annotations

from ..recurrent import cudnn
from ..recurrent.cells import activation_of
from ..recurrent.stack import Options
from .call import Call
from .model import Run
from .notation import Notation


def summary_of(call: Call) -> str:
    """The whole call in a sentence."""
    steps, batch, inputs = call.given.x.shape
    layers = len(call.given.layers) // call.directions
    hidden = Notation(call.kind, call.given.layers[0]).channels
    many = f"{layers} layers of {hidden} channels" if layers > 1 else f"a state of {plural(hidden, 'channel')}"
    both = " in both directions" if call.directions == 2 else ""
    of_batch = f", {batch} sequences side by side" if batch > 1 else ""
    what = "one step" if call.form == "cell" else plural(steps, "step")
    return f"{what} of {plural(inputs, 'input channel')} through {many}{both}{of_batch}"


def notes_of(call: Call) -> tuple[str, ...]:
    """What else there is to know."""
    given, notes = call.given, []
    first, layers = given.layers[0], len(given.layers) // call.directions
    if call.directions == 2:
        notes.append(
            "Every layer runs in two directions, each with weights of its own; reverse begins at the last element. "
            "Their outputs stand side by side, forward first."
        )
    if layers > 1:
        notes.append(
            "A layer above the first reads what the layer below gave at the same step, never the input itself."
        )
    if first.weight_hr is not None:
        out, hidden = first.weight_hr.shape
        notes.append(f"proj_size={out}: {hidden} channels of memory c become {out} channels of h.")
    dropout, recurrent = call.rates
    if dropout:
        notes.append(
            f"dropout={dropout:g} acts between layers in training, with other random numbers at every call. Here it is "
            "off, as after eval()."
        )
    if recurrent:
        notes.append(f"recurrent_dropout={recurrent:g} hides channels of h from W_hh in training. Here it is off.")
    if first.norm_ih is not None:
        notes.append("norm(v) is layer normalization: v to mean 0 and variance 1 over all gates, times its gain.")
    if call.packed:
        notes.append("The input is a PackedSequence; its sequences are shown unpacked, in the order they came in.")
    if given.lengths is not None:
        notes.append("Sequences have lengths of their own: beyond the end of one its state stays, and its output is 0.")
    if call.form == "sequence":
        activation = activation_of(call.kind, call.nonlinearity) if call.kind == "rnn" else None
        options = Options(call.directions, *call.rates)
        notes.append(cudnn.place_of(given, options, cudnn.mode_of(call.kind, activation)))
    return tuple(note for note in notes if note)


def limits_of(run: Run) -> tuple[str, ...]:
    """What is left out."""
    limits = []
    if run.steps < run.total:
        last = run.start + run.steps - 1
        limits.append(f"Steps {run.start} to {last} of {run.total} are shown; start= and steps= show others.")
    options = {"batch element": "elements", "signal": "elements", "filter": "filters"}
    for choice in run.choices:
        if len(choice.places) < choice.total:
            option = options.get(choice.name, "elements")
            limits.append(
                f"{len(choice.places)} of {plural(choice.total, choice.name)} are shown; {option}= shows more."
            )
    return tuple(limits)


def plural(count: int, noun: str) -> str:
    """A number with its noun."""
    return f"{count} {noun}{'s' if count != 1 else ''}"
