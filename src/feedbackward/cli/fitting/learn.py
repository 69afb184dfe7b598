"""An equalizer learned from two recordings: search for first guesses, then gradient descent through ``sosfilt``.

    minimize  ||wet - sosfilt(sos(raw), dry)||^2 / ||wet||^2   over raw

The loss is the error in the time domain, and its gradient goes back through the recursion. The step is preconditioned
with the curvature that the power spectrum of the dry recording predicts: by Parseval's theorem, and up to what rings
across the ends,

    d2L/draw2 ~ 2 sum over f of |X(f)|^2 Re(conj(dH/draw_i) dH/draw_j) / ||wet||^2

which costs nothing beside the filter and turns hundreds of steps into a few dozen. The guesses descend together, as
lanes of one call of ``sosfilt``; the best goes on alone, and where asked to, with all coefficients free in the end.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feedbackward import sosfilt

from .biquads import Biquads
from .cascade import Cascade, Section, phasors
from .descent import descend
from .equalizer import Equalizer
from .excerpts import excerpts
from .search import first_guesses
from .transfer import Transfer

_GUESSES = 4
_TOGETHER = 0.3  # part of the steps that the guesses take together
_BINS = 1024  # of the power spectrum, as far as the curvature is concerned
_EXACT = 1e-28  # relative error at which there is nothing left to learn
_PATIENCE, _PROGRESS = 5, 1e-4  # stop after so many steps that lower the loss by less than this part


@dataclass
class Learned:
    """What a fit found."""

    cascade: Cascade
    raw: Tensor  # (n,)
    # Errors of the best so far relative to wet, in dB:
    search_db: list[float] = field(default_factory=list)  # after each stage of the search
    descent_db: list[float] = field(default_factory=list)  # after each step of gradient descent
    freed_db: list[float] = field(default_factory=list)  # the same with all coefficients free

    @property
    def sos(self) -> Tensor:
        """Sections (sections, 6), float64; level and polarity are in the first one's numerator."""
        return self.cascade.sos(self.raw)

    @property
    def sections(self) -> list[Section]:
        """What each section does."""
        return self.cascade.describe(self.raw)

    @property
    def level_db(self) -> float:
        """The level beside the sections."""
        return self.cascade.level_db(self.raw)


def learn(
    dry: NDArray[np.float64],
    wet: NDArray[np.float64],
    transfer: Transfer,
    equalizer: Equalizer,
    steps: int,
    free: bool = False,
    seed: int = 0,
    report: Callable[[str, float, float], None] | None = None,
) -> Learned:
    """Learn the cascade that turns dry into wet.

    Args:
        dry: recording (channels, T).
        wet: the same through an unknown filter, (channels, T); all channels through the same.
        transfer: the measured response, where the search starts.
        equalizer: what to learn.
        steps: largest number of steps of gradient descent, once more of those with all coefficients free.
        free: go on from the equalizer with all coefficients of all sections.
        seed: of the search.
        report: called with what goes on ("search", "descend", "free"), how far it is (0 .. 1) and the error so far,
            in dB relative to wet or, in the search, in dB between the responses.
    """
    lanes = excerpts(dry, wet, equalizer.sample_rate)
    loss = _TimeDomain(equalizer, *lanes)
    learned = Learned(equalizer, torch.zeros(0))
    tell = report or (lambda phase, part, value: None)

    def observe_search(part: float, rms_db: float, sos: Tensor) -> None:
        learned.search_db.append(_db(loss.of(sos)))
        tell("search", part, rms_db)

    def observer(phase: str, history_db: list[float], start: int) -> Callable[[int, Tensor], bool]:
        def observe(step: int, values: Tensor) -> bool:
            history_db.append(_db(values.min()))
            tell(phase, len(history_db) / steps, history_db[-1])
            return _is_done(history_db[start:])

        return observe

    with _one_thread():  # thousands of small operations: threads would only wait for each other
        raw, _ = first_guesses(transfer, equalizer, seed, observe_search)
    together = 0
    if min(len(raw), steps) > 1:
        observe = observer("descend", learned.descent_db, 0)
        raw, error = descend(raw[:_GUESSES], loss, math.ceil(_TOGETHER * steps), observe)
        raw = raw[error.argmin()][None]
        together = len(learned.descent_db)
    raw, _ = descend(raw[:1], loss, steps - together, observer("descend", learned.descent_db, together))
    learned.raw = equalizer.sorted(raw[0])
    if free:
        biquads = Biquads(equalizer.sample_rate)
        observe = observer("free", learned.freed_db, 0)
        raw, _ = descend(biquads.raw(learned.sos)[None], _TimeDomain(biquads, *lanes), steps, observe)
        learned.cascade, learned.raw = biquads, raw[0]
    return learned


class _TimeDomain:
    """The loss through the filter, its gradient, and the curvature from the spectrum."""

    def __init__(self, cascade: Cascade, dry: Tensor, wet: Tensor, lead_in: int) -> None:
        self.cascade = cascade
        self.dry, self.wet = dry, wet[..., lead_in:]  # (lanes, T)
        self.lead_in = lead_in
        self.energy = self.wet.square().sum()
        frequencies, power = _power(dry[..., lead_in:], cascade.sample_rate)
        self.power = 2 * power / self.energy
        self.phasors = phasors(frequencies, cascade.sample_rate)

    @torch.no_grad()
    def of(self, sos: Tensor) -> Tensor:
        """The loss of sections (..., n, 6)."""
        estimate = sosfilt(sos.unsqueeze(-3), self.dry)  # (..., lanes, T)
        return (estimate[..., self.lead_in :] - self.wet).square().sum((-1, -2)) / self.energy

    def __call__(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        leaf = raw.detach().requires_grad_()
        estimate = sosfilt(self.cascade.sos(leaf)[:, None], self.dry)  # (rows, lanes, T)
        loss = (estimate[..., self.lead_in :] - self.wet).square().sum((-1, -2)) / self.energy
        (gradient,) = torch.autograd.grad(loss.sum(), leaf)
        logarithm, slope = self.cascade.response(raw, self.phasors)
        d_response = logarithm.exp()[..., None, :] * slope
        return loss.detach(), gradient, ((d_response * self.power) @ d_response.mH).real


def _power(x: Tensor, sample_rate: float) -> tuple[Tensor, Tensor]:
    """Energy of x per frequency bin, (_BINS,) each, on a logarithmic axis; its sum is the energy of x."""
    length = x.shape[-1]
    energy = torch.fft.rfft(x).abs().square().sum(0) * (2 / length)
    energy[0] /= 2
    if length % 2 == 0:
        energy[-1] /= 2
    frequencies = torch.arange(len(energy), dtype=torch.float64) * (sample_rate / length)
    edges = torch.logspace(1, math.log10(sample_rate / 2), _BINS, dtype=torch.float64)
    index = torch.bucketize(frequencies, edges).clamp(max=_BINS - 1)
    power = torch.zeros(_BINS, dtype=torch.float64).index_add(0, index, energy)
    center = torch.zeros(_BINS, dtype=torch.float64).index_add(0, index, energy * frequencies)
    filled = power > 0
    return center[filled] / power[filled], power[filled]


def _db(error: Tensor) -> float:
    return 10 * math.log10(max(error.item(), _EXACT))


def _is_done(history_db: list[float]) -> bool:
    if history_db[-1] <= 10 * math.log10(_EXACT) + 1:
        return True
    slow = 10 * math.log10(1 + _PROGRESS)
    return len(history_db) > _PATIENCE and history_db[-1 - _PATIENCE] - history_db[-1] < slow


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
