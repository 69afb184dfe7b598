"""The parts of a fit: the equalizer's map and derivatives, the descent, the excerpts, the loss through sosfilt."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch
from cli_support import RATE, equalizer, noise
from torch.testing import assert_close

from feedbackward import sosfilt
from feedbackward.cli.fitting.biquads import Biquads
from feedbackward.cli.fitting.cascade import phasors
from feedbackward.cli.fitting.descent import descend
from feedbackward.cli.fitting.equalizer import GAIN_DB, Equalizer
from feedbackward.cli.fitting.excerpts import excerpts
from feedbackward.cli.fitting.learn import _TimeDomain
from feedbackward.cli.fitting.transfer import measure_transfer
from feedbackward.design import pole_radius

pytestmark = pytest.mark.cpu  # the command computes there


@pytest.mark.parametrize("sections", [1, 2, 5])
def test_raw_numbers_and_knobs_invert_each_other(sections: int) -> None:
    model = Equalizer(sections, 44100)
    raw = torch.randn(7, 3 * sections + 1, dtype=torch.float64)
    assert_close(model.raw(model.settings(raw)), raw)


def test_every_raw_number_is_a_stable_equalizer_in_range() -> None:
    model = Equalizer(6, 16000)
    raw = 100 * torch.randn(1000, 19, dtype=torch.float64)
    settings = model.settings(raw)
    assert ((settings.frequency >= 20) & (settings.frequency <= 0.49 * 16000)).all()
    assert (settings.gain_db.abs() <= GAIN_DB).all()
    assert (pole_radius(model.sos(raw)[..., 3:]) < 1).all()


@pytest.mark.parametrize("model", [Equalizer(4, 44100), Biquads(44100)], ids=["equalizer", "biquads"])
def test_derivative_of_the_response(model: Equalizer | Biquads) -> None:
    size = 13 if isinstance(model, Equalizer) else 10
    raw = torch.randn(size, dtype=torch.float64)
    where = phasors(torch.tensor([300.0, 500.0, 9000.0]), 44100)
    slope = model.response(raw, where)[1]
    for index in range(size):
        step = torch.zeros(size, dtype=torch.float64)
        step[index] = 1e-4
        difference = (model.response(raw + step, where)[0] - model.response(raw - step, where)[0]) / 2e-4
        assert_close(slope[index], difference, rtol=1e-6, atol=1e-7)


def test_free_sections_begin_as_the_equalizer_and_know_its_poles() -> None:
    model, free = Equalizer(6, 16000), Biquads(16000)
    sos = model.sos(0.5 * torch.randn(19, dtype=torch.float64))
    raw = free.raw(sos)
    assert_close(free.sos(raw), sos)
    resonance = torch.tensor([[1.0, 0, 0, 1, -2 * 0.99 * np.cos(np.pi / 8), 0.99**2]], dtype=torch.float64)
    (section,) = free.describe(free.raw(resonance))
    assert section.frequency_hz == pytest.approx(1000, rel=1e-3)
    assert section.q == pytest.approx(np.pi / 8 / (-2 * np.log(0.99)), rel=1e-3)
    assert free.level_db(raw) == 0


def test_sorting_changes_the_order_and_nothing_else() -> None:
    model = Equalizer(6, 16000, polarity=-1)
    raw = torch.randn(19, dtype=torch.float64)
    tidy = model.sorted(raw)
    frequency = model.settings(tidy).frequency[1:-1]
    assert (frequency.diff() >= 0).all()
    where = phasors(torch.tensor([50.0, 1000.0, 7000.0]), 16000)
    assert_close(model.response(tidy, where)[0].exp(), model.response(raw, where)[0].exp())


def test_descent_finds_the_minimum_of_a_sum_of_squares_and_never_rises() -> None:
    target = torch.randn(5, 4, dtype=torch.float64)

    def objective(p: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        residual, slope = torch.sinh(p) - target, torch.cosh(p)
        return residual.square().sum(-1), 2 * slope * residual, torch.diag_embed(2 * slope.square())

    losses: list[torch.Tensor] = []
    start = torch.zeros(5, 4, dtype=torch.float64)
    end, loss = descend(start, objective, 40, lambda step, value: losses.append(value))
    assert_close(torch.sinh(end), target)
    assert (torch.stack(losses).diff(dim=0) <= 0).all()
    assert (loss < 1e-12).all()


def test_the_loss_through_sosfilt_has_the_gradient_and_curvature_it_claims() -> None:
    model = Equalizer(3, RATE)
    dry = noise(1.0).T
    raw = 0.3 * torch.randn(10, dtype=torch.float64)
    wet = sosfilt(model.sos(raw), torch.from_numpy(dry))
    loss = _TimeDomain(model, torch.from_numpy(dry), wet, 0)
    value, gradient, curvature = (part[0] for part in loss(raw[None]))
    assert_close(value, torch.zeros((), dtype=torch.float64))
    assert_close(gradient, torch.zeros(10, dtype=torch.float64))
    moved = raw + 1e-3 * torch.randn(10, dtype=torch.float64)
    value, gradient, _ = (part[0] for part in loss(moved[None]))
    step = moved - raw
    assert_close(value, step @ curvature @ step / 2, rtol=0.05, atol=0)
    assert_close(gradient, curvature @ step, rtol=0.1, atol=0.02 * gradient.abs().max().item())


def test_excerpts_of_a_short_recording_are_the_recording() -> None:
    dry, wet = noise(1.0, 2).T, noise(1.0, 2, seed=1).T
    x, y, lead_in = excerpts(dry, wet, RATE)
    assert lead_in == 0
    assert_close(x, torch.from_numpy(dry))
    assert_close(y, torch.from_numpy(wet))


def test_excerpts_of_a_long_recording_are_its_loudest_parts() -> None:
    wet = 0.01 * noise(60.0).T
    wet[:, 11 * RATE : 13 * RATE] *= 100
    x, y, lead_in = excerpts(wet, wet, RATE, budget_s=4.0)
    assert x.shape == y.shape == (2, round(2.5 * RATE))
    assert lead_in == RATE // 2
    loud = y[0, lead_in:].square().mean().sqrt()
    assert_close(loud.item(), 0.1, rtol=0.1, atol=0)


def test_the_measured_transfer_is_that_of_the_filter() -> None:
    dry = noise(4.0, 2).T
    wet = scipy.signal.sosfilt(equalizer(), dry)
    transfer = measure_transfer(dry, wet, RATE)
    truth = np.abs(scipy.signal.sosfreqz(equalizer(), transfer.frequencies.numpy(), fs=RATE)[1])
    np.testing.assert_allclose(transfer.level_db.numpy(), 20 * np.log10(truth), atol=0.2)
    assert transfer.coherence > 0.99
    assert (transfer.delay, transfer.polarity) == (0, 1)
    assert measure_transfer(dry, -np.roll(wet, 11, axis=-1), RATE)[-2:] == (11, -1)
    assert measure_transfer(np.roll(dry, 5, axis=-1), wet, RATE).delay == -5
