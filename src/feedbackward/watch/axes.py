"""What batch_first does: it turns time and batch of the input and of the output, and never of the states."""

from __future__ import annotations

from .call import Call
from .model import Axes

_LAYERS = {1: "layers", 2: "layers × directions"}


def axes_of(call: Call) -> tuple[Axes, ...]:
    """The axes of what goes into a recurrent layer and of what comes out."""
    given = call.given
    steps, batch, inputs = given.x.shape
    names = ("h", "c")[: len(given.states)]
    lanes = (("batch", batch),) if given.batched else ()
    turned = given.batched and call.form == "sequence" and not call.packed

    def sequence(name: str, channels: int) -> Axes:
        first = (("time", steps), *lanes, ("channels", channels))
        other = (*lanes, ("time", steps), ("channels", channels))
        if given.batched and given.batch_first:
            first, other = other, first
        return Axes(name, first, other if turned else None)

    def state(name: str, channels: int) -> Axes:
        lead = ((_LAYERS[call.directions], len(given.layers)),) if call.form == "sequence" else ()
        axes = (*lead, *lanes, ("channels", channels))
        return Axes(name, axes, axes if turned else None)

    if call.form == "cell":
        return (
            Axes("input", (*lanes, ("channels", inputs))),
            *(state(f"{n} before and after", s.shape[-1]) for n, s in zip(names, given.states, strict=True)),
        )
    return (
        sequence("input", inputs),
        sequence("output", call.output.shape[-1]),
        *(state(f"{n}_0 and {n}_n", s.shape[-1]) for n, s in zip(names, given.states, strict=True)),
    )
