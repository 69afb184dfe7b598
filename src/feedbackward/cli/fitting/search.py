"""First guesses: equalizers whose magnitude response resembles a measured one.

The error surface of an equalizer has many local minima: two sections that have swapped their bands, or that work
against each other, do not find back by descending. So the search is over arrangements, and descends from each. It
starts with the shelves, inserts one section after the other where the remaining difference is largest, in several
widths, and keeps the best few arrangements; then it takes sections out again and inserts them anew. All candidates
of a round are rows of one descent of the weighted mean square, over frequency, of the difference in dB.

Minimum-phase sections are determined by their magnitude alone, so the phase is not needed here; the fit in the time
domain that follows starts from the best of these guesses.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .cascade import phasors
from .descent import descend
from .equalizer import GAIN_DB, Equalizer, Settings
from .transfer import Transfer

_DB = 20 / math.log(10)  # from the natural logarithm of a magnitude to dB
_WIDTHS = (0.7, 2.0, 5.0)  # q of a section that is inserted
_KEPT = 8
_APART = 1.2  # ratio of mean squares from which two rows count as different minima
_REDRAWN = 96
_DRAWN = (1.5, 1.0, 0.3)  # spread of the raw frequency, q and gain of a random section: anywhere, nearly flat
_QUICK, _LONG = 10, 30  # steps of descent
_ROUNDS = 12  # of taking sections out and inserting them anew
_CLOSE_DB = 0.02  # no more rounds: the measurement is hardly better


def first_guesses(
    transfer: Transfer,
    equalizer: Equalizer,
    seed: int = 0,
    report: Callable[[float, float, Tensor], None] | None = None,
) -> tuple[Tensor, Tensor]:
    """Search for equalizers that resemble a measured transfer.

    Args:
        transfer: the measurement.
        equalizer: what to fit.
        seed: of the random numbers; the same seed gives the same guesses.
        report: called with the part of the work that is done, 0 .. 1, the error of the best guess in dB, and its
            sections, (n, 6) with n up to those of the equalizer.

    Returns:
        Raw parameters (guesses, 3 * sections + 1), best first, and their root mean square errors in dB, (guesses,).
    """
    generator = torch.Generator().manual_seed(seed)
    search = _Search(transfer, equalizer)
    raw, error = search.start()
    rounds = min(_ROUNDS, 3 * max(equalizer.sections - 2, 0))  # few sections have few arrangements
    stages = max(equalizer.sections - 2, 0) + rounds

    def tell(stage: int) -> None:
        if report is not None:
            report(stage / max(stages, 1), math.sqrt(error[0].item()), search.equalizer.sos(raw[0]))

    while search.equalizer.sections < equalizer.sections:
        raw, error = search.best(*search.descend(search.insert(raw), _QUICK))
        tell(search.equalizer.sections - 2)
    raw, error = search.best(*search.descend(raw, _LONG))
    stale = 0  # rounds since the last improvement: with each, other rows have their turn
    for stage in range(stages - rounds, stages):
        if error[0] < _CLOSE_DB**2:
            break
        again, again_error = search.descend(search.rearrange(raw.roll(-2 * stale, 0), generator), _LONG)
        before = error[0]
        raw, error = search.best(torch.cat([raw, again]), torch.cat([error, again_error]))
        stale = stale + 1 if error[0] > 0.99 * before else 0
        tell(stage + 1)
    tell(stages)
    return raw, error.sqrt()


class _Search:
    def __init__(self, transfer: Transfer, equalizer: Equalizer) -> None:
        self.transfer = transfer
        self.equalizer = equalizer.resized(min(equalizer.sections, 2))
        self.phasors = phasors(transfer.frequencies, equalizer.sample_rate)

    def difference(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Measured minus modeled level in dB (rows, F), and the model's derivative (rows, n, F)."""
        logarithm, slope = self.equalizer.response(raw, self.phasors)
        return self.transfer.level_db - _DB * logarithm.real, _DB * slope.real

    def objective(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        difference, slope = self.difference(raw)
        weighted = 2 * slope * self.transfer.weight
        loss = (difference.square() * self.transfer.weight).sum(-1)
        return loss, -(weighted @ difference[..., None])[..., 0], weighted @ slope.mT

    def descend(self, raw: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        return descend(raw, self.objective, steps)

    def start(self) -> tuple[Tensor, Tensor]:
        """Shelves at both ends, or one peaking section in the middle."""
        level = self.transfer.level_db.median()
        at = torch.tensor([0.15, 0.85] if self.equalizer.sections == 2 else [0.5], dtype=torch.float64)
        index = (at * (len(self.transfer.frequencies) - 1)).long()
        settings = Settings(
            self.transfer.frequencies[index],
            torch.full_like(at, 0.7),
            self.transfer.level_db[index] - level,
            level,
        )
        return self.descend(self.equalizer.raw(settings)[None], _QUICK)

    def insert(self, raw: Tensor, places: int = 3) -> Tensor:
        """Every row with one more peaking section, at the `places` largest differences, in every width."""
        difference = torch.nn.functional.avg_pool1d(
            self.difference(raw)[0][:, None], 5, stride=1, padding=2, count_include_pad=False
        )
        size = difference.abs()
        peak = torch.where(size >= torch.nn.functional.max_pool1d(size, 9, stride=1, padding=4), size, 0.0)
        index = peak[:, 0].topk(places).indices  # (rows, places)
        frequency = self.transfer.frequencies[index]
        gain = difference[:, 0].gather(-1, index)
        return self._with_section(raw, frequency, gain, torch.tensor(_WIDTHS, dtype=torch.float64))

    def rearrange(self, raw: Tensor, generator: torch.Generator) -> Tensor:
        """Neighbors of every row.

        Each peaking section in turn is taken out and inserted anew, in the best rows also with a shelf that begins
        anew; other rows get a few random sections.
        """
        best = raw[: _KEPT // 4]
        redrawn = self.redraw(raw, generator)
        shorter = self.equalizer.resized(self.equalizer.sections - 1)
        taken = self.without_each(best)
        level = self.without_each(torch.cat([self.with_flat_shelf(best, 0), self.with_flat_shelf(best, -1)]))
        self.equalizer = shorter
        inserted = self.insert(self.descend(taken, _QUICK // 2)[0], places=2)
        self.equalizer = shorter
        inserted_level = self.insert(self.descend(level, _QUICK // 2)[0], places=1)
        return torch.cat([inserted, inserted_level, redrawn])

    def without_each(self, raw: Tensor) -> Tensor:
        """Every row as many times as it has peaking sections, each time without one of them."""
        peaking = [k for k, kind in enumerate(self.equalizer.kinds) if kind == "peaking"]
        return torch.cat([torch.cat([raw[:, : 3 * k], raw[:, 3 * k + 3 :]], dim=-1) for k in peaking])

    def with_flat_shelf(self, raw: Tensor, shelf: int) -> Tensor:
        """The rows with their low (0) or high (-1) shelf flat, near the end of the axis."""
        knobs = raw[:, :-1].unflatten(-1, (self.equalizer.sections, 3)).clone()
        knobs[:, shelf] = torch.tensor([0.5 if shelf else -1.0, 0.0, 0.0], dtype=raw.dtype)
        return torch.cat([knobs.flatten(1), raw[:, -1:]], dim=-1)

    def redraw(self, raw: Tensor, generator: torch.Generator) -> Tensor:
        """Copies of the rows in which about two sections of any kind begin anew, anywhere."""
        copies = raw.repeat(_REDRAWN // len(raw), 1)
        knobs = copies[:, :-1].unflatten(-1, (self.equalizer.sections, 3))
        drawn = torch.randn(knobs.shape, generator=generator, dtype=raw.dtype) * torch.tensor(_DRAWN, dtype=raw.dtype)
        expected = 1 + 2 * torch.rand(len(copies), 1, generator=generator)
        chosen = torch.rand(knobs.shape[:2], generator=generator) < expected / self.equalizer.sections
        copies[:, :-1] = torch.where(chosen[..., None], drawn, knobs).flatten(1)
        return copies

    def best(self, raw: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
        """The best few rows, of those that ended in the same minimum only one."""
        kept: list[int] = []
        for row in error.argsort().tolist():
            if math.isfinite(error[row]) and all(error[row] > _APART * error[other] for other in kept[-1:]):
                kept.append(row)
        kept = kept[:_KEPT]
        return raw[kept], error[kept]

    def _with_section(self, raw: Tensor, frequency: Tensor, gain_db: Tensor, q: Tensor) -> Tensor:
        """One row per row of raw, place and width; the new section is the last of the peaking ones."""
        rows, places = frequency.shape
        self.equalizer = self.equalizer.resized(self.equalizer.sections + 1)
        shape = (rows, places, len(q))
        new = Equalizer(1, self.equalizer.sample_rate).raw(
            Settings(
                frequency[..., None, None].expand(*shape, 1),
                q[:, None].expand(*shape, 1),
                gain_db.clamp(-GAIN_DB, GAIN_DB)[..., None, None].expand(*shape, 1),
                torch.zeros(shape, dtype=torch.float64),
            )
        )[..., :3]
        old = raw[:, None, None].expand(*shape, raw.shape[-1])
        return torch.cat([old[..., :-4], new, old[..., -4:]], dim=-1).flatten(0, -2)
