"""What the tests of pages watch, of every kind, and how they read a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from browser import Reader, number
from torch import nn

import feedbackward as fb


def layer() -> Any:
    return fb.explain(nn.RNN(4, 6, 2), torch.randn(9, 3, 4))


def both_directions() -> Any:
    return fb.explain(
        fb.nn.LSTM(4, 24, 2, bidirectional=True, batch_first=True), torch.randn(3, 9, 4), lengths=[9, 4, 6]
    )


def band() -> Any:
    return fb.explain(fb.nn.BandRNN(3, 40, (2, 3)), torch.randn(30, 3))


def biquad() -> Any:
    sos = fb.design.peaking(1000.0, 2.0, 9.0, sample_rate=16000)
    return fb.explain(fb.lfilter, sos[:3], sos[3:], torch.randn(30), sample_rate=16000.0)


def bank() -> Any:
    return fb.explain(fb.nn.FilterBank(40, 16000.0), torch.randn(3, 200), filters=5, elements=2)


def cascade() -> Any:
    sos = fb.design.lowpass(torch.tensor([500.0, 1000.0, 2000.0]), sample_rate=16000)
    return fb.explain(fb.sosfilt, sos, torch.randn(200), start=100)


def moving_average() -> Any:
    return fb.explain(fb.lfilter, torch.ones(8) / 8, torch.ones(1), torch.randn(30))


def sweep() -> Any:
    sos = fb.design.lowpass(torch.linspace(100, 4000, 10), sample_rate=16000)
    return fb.explain(fb.lfilter, sos[:, :3], sos[:, 3:], torch.randn(30), hop=3)


def complex_filter() -> Any:
    pole = torch.polar(torch.tensor(0.9), torch.tensor(0.7))
    b, a = torch.tensor([0.3 + 0.1j, -0.2j, 0.05]), torch.stack([torch.ones_like(pole), -1.2 * pole, 0.3 * pole**2])
    return fb.explain(fb.lfilter, b, a, torch.randn(30), sample_rate=16000.0)


def complex_cascade() -> Any:
    sos = fb.design.lowpass(torch.tensor([500.0, 1000.0, 2000.0]), sample_rate=16000)
    return fb.explain(fb.sosfilt, sos, torch.randn(3, 200, dtype=torch.complex64), start=100)


def smoother() -> Any:
    return fb.explain(fb.linear_recurrence, 0.9, torch.randn(30))


def rotations() -> Any:
    decay = torch.polar(torch.linspace(0.99, 0.8, 6), torch.linspace(0, 3, 6))
    return fb.explain(fb.linear_recurrence, decay, torch.randn(2, 6, 40), sample_rate=1000.0)


def selective() -> Any:
    decay = torch.sigmoid(1 + 3 * torch.randn(3, 50, 20))
    return fb.explain(fb.linear_recurrence, decay, torch.randn(3, 50, 20), dim=1, start=10)


decay = torch.tensor(0.9)


def cell() -> Any:
    def envelope(level, x):
        rectified = torch.linalg.vector_norm(x, dim=-1)
        level = torch.maximum(rectified, decay.sqrt() * level)
        return level, {"gain": 1 / (1 + level)}

    return fb.explain(envelope, torch.zeros(20), torch.randn(25, 20, 2))


def refused_cell() -> Any:
    def branches(h, x):
        return (h + x, h) if x.sum() > 0 else (h - x, h)

    return fb.explain(branches, torch.zeros(3), torch.randn(9, 3))


def saved(make: Any, folder: Path) -> tuple[Any, Path]:
    with torch.no_grad():
        watched = make()
    return watched, watched.save(folder / "page.html")


def shown(watched: Any, track: str, time: int, *choices: int) -> dict[str, torch.Tensor]:
    return {name: values[choices] for name, values in watched.steps[time][track].items()}


def same(found: dict[str, list[Any]], expected: dict[str, torch.Tensor], rtol: float = 1e-5) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        wide = torch.complex128 if values.is_complex() else torch.float64
        torch.testing.assert_close(
            torch.tensor(found[name], dtype=wide),
            values.flatten().to(wide),
            rtol=rtol,
            atol=1e-30,
            equal_nan=True,
        )


def texts(reader: Reader, selector: str) -> list[str]:
    found = reader.page.eval_on_selector_all(
        selector, "all => all.filter(e => e.checkVisibility()).map(e => e.textContent)"
    )
    return [text.replace("\N{MINUS SIGN}", "-") for text in found]


def near(text: str, value: complex) -> None:
    assert number(text) == pytest.approx(value, rel=2e-3, abs=6e-4)
