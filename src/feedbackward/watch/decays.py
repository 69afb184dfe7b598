"""How the states of a linear recurrence forget: by their decays, and by what every x still has in every state.

A constant decay d is a filter with one pole, H(z) = 1 / (1 - d z^-1). Its half-life is ln 2 / -ln |d| steps, and a
complex or negative one turns the state around once in 2 pi / |arg d| steps.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .filter_details import Bank, bank_of
from .model import Limits
from .numerals import text
from .recurrence_call import RecurrenceCall

if TYPE_CHECKING:
    from rich.console import RenderableType

_ROWS, _DRAWN = 8, 64  # of a terminal's table; decays on a page
_WEIGHED, _WEIGHTS = 512, 4_000_000  # steps that have weights; how many of these, if not one channel's alone
_NUMBERS = 100_000  # of all weights on a page: half a megabyte


@dataclass(frozen=True)
class Decay:
    """The decay of one channel, or of all that share it.

    Attributes:
        name: Of the channel, ``"channel 3"``.
        value: The decay; None where it changes in time.
        smallest: Its least magnitude over all steps of the call.
        largest: Its greatest.
        half_life: After how many steps half of a state is gone, on average over the call; infinite where it stays.
        period: In how many steps it turns the state around once; infinite where it does not.
    """

    name: str
    value: complex | None
    smallest: float
    largest: float
    half_life: float
    period: float


@dataclass(frozen=True, eq=False)
class Decays:
    """The decays of a call.

    Attributes:
        decays: One for every channel, and for every element of the batch if it has its own; the first ones.
        total: How many different ones there are.
        weights: (steps, E or 1, C or 1, 1 + steps): how much of every x is in the state of a step, and first, how much
            of the state before the first step shown. Axes have size 1 where the decay is shared. The first steps and
            channels.
        start: The first step.
        elements: How many elements of the batch have decays of their own; 1 where they share them.
        channels: The same of channels.
        bank: The decays as filters; None where they change in time.
        sample_rate: In Hz, or None.
    """

    decays: tuple[Decay, ...]
    total: int
    weights: Tensor
    start: int
    elements: int
    channels: int
    bank: Bank | None
    sample_rate: float | None

    def columns(self) -> tuple[str, ...]:
        """What a table says of every decay."""
        known = ("decay",) if self.bank else ("smallest", "largest")
        time = (f"half-life in {unit}" for unit in (("steps", "ms") if self.sample_rate else ("steps",)))
        return ("", *known, *time, "turns once in", "forgets")

    def rows(self) -> Iterator[tuple[str, ...]]:
        """The table."""
        for d in self.decays:
            known = (text(d.value, 5),) if d.value is not None else (f"{d.smallest:.6g}", f"{d.largest:.6g}")
            times = [_time(d.half_life)]
            if self.sample_rate:
                times.append(_time(1000 * d.half_life / self.sample_rate))
            turns = f"{d.period:.4g} steps" if d.period < math.inf else "–"
            yield d.name, *known, *times, turns, "yes" if d.half_life < math.inf else "no"

    def terminal(self) -> Iterator[RenderableType]:
        """The table."""
        from .terminal import table_of

        table = table_of("How the states forget", *self.columns())
        for row in itertools.islice(self.rows(), _ROWS):
            table.add_row(*row)
        if self.total > _ROWS:
            table.add_row("…")
        yield table

    def page_data(self) -> dict[str, Any]:
        """The weights of the steps, and of the channels, that a page can hold."""
        from .page import pack

        most = _NUMBERS // (self.weights.shape[1] * (1 + self.weights.is_complex()))
        steps = max(1, min(len(self.weights), math.isqrt(most) - 1))
        channels = max(1, most // (steps * (1 + steps)))
        shown = self.weights[:steps, :, :channels, : 1 + steps]
        return {
            "decays": {
                "elements": self.elements,
                "channels": self.channels,
                "negative": not shown.is_complex() and bool((shown < 0).any()),
            },
            "memory": {
                "steps": steps,
                "elements": shown.shape[1],
                "channels": shown.shape[2],
                "own": self.channels > 1,
                "complex": shown.is_complex(),
                "values": pack(shown),
            },
        }


def decays_of(call: RecurrenceCall, limits: Limits) -> Decays:
    """Everything about the decays of a call."""
    _, elements, channels = call.decay.shape
    places = list(itertools.product(range(elements), range(channels)))[:_DRAWN]
    bank = None
    if not call.moves:
        d = call.decay.reshape(-1, 1, 1)[:_DRAWN].cpu()
        one, zero = torch.ones_like(d), torch.zeros_like(d)
        bank = bank_of(torch.cat([one, zero], 2), torch.cat([one, -d], 2), tuple(range(len(d))), call.sample_rate)
    decays = tuple(_decay(call, e, c) for e, c in places)
    steps = min(len(call.h), _WEIGHED)
    most = max(1, min(limits.channels, _WEIGHTS // (elements * steps * (1 + steps))))
    weights = _weights(call.decay_of_steps()[:steps, :, :most], steps)
    return Decays(decays, elements * channels, weights, call.start, elements, channels, bank, call.sample_rate)


def _weights(decay: Tensor, steps: int) -> Tensor:
    """(steps, E, C, 1 + steps) from the decays (steps or 1, E, C), row after row."""
    now = decay.new_zeros(*decay.shape[1:], 1 + steps)
    now[..., 0] = 1
    rows = []
    for t in range(steps):
        now = now * decay[t if len(decay) > 1 else 0].unsqueeze(-1)
        now[..., t + 1 :] = 0  # also where a decay is not finite: what has not come yet has no weight
        now[..., t + 1] = 1
        rows.append(now)
    return torch.stack(rows)


def _decay(call: RecurrenceCall, element: int, channel: int) -> Decay:
    d = call.decay[:, element, channel].to(torch.complex128)
    size = d.abs()
    mean = float(size.log().mean())  # of the logarithm, since decays multiply
    half_life = math.log(2) / -mean if mean < 0 else math.inf
    turn = float(d.angle().abs().mean())
    names = (("batch element", element, call.decay.shape[1]), ("channel", channel, call.decay.shape[2]))
    name = ", ".join(f"{what} {place}" for what, place, count in names if count > 1)
    return Decay(
        name or ("all channels" if call.h.shape[2] > 1 or call.batch else "the state"),
        None if call.moves else complex(d[0]),
        float(size.min()),
        float(size.max()),
        half_life,
        2 * math.pi / turn if turn else math.inf,
    )


def _time(duration: float) -> str:
    return f"{duration:.4g}" if duration < math.inf else "∞"
