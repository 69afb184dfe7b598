"""linear_recurrence on the device against the plain loop."""

from __future__ import annotations

import cases
import pytest
import torch
from comparing import compare

from feedbackward.triton import segments

SHAPES = (
    ((), (40,), (), -1),
    ((5,), (2, 5, 37), (2, 5), -1),
    ((20,), (3, 5, 20), (3, 20), -2),
    ((3, 40), (3, 40), (3,), -1),
    ((1, 40), (3, 40), (), -1),
    ((2, 1, 19), (1, 3, 19), (2, 1), -1),
    ((40, 3), (40, 3), (3,), 0),
    ((1, 17, 3), (4, 17, 1), (3,), 1),
    ((130, 1), (130, 9), (130,), -1),
    ((5,), (0, 5, 9), (5,), -1),
    ((3, 0), (3, 0), (3,), -1),
    ((3, 1), (3, 1), (3,), -1),
)


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    """Segments of 16 samples and groups of 2, so that short signals have many of both."""
    monkeypatch.setattr(segments, "SHORTEST", 16)
    monkeypatch.setattr(segments, "GROUP", 2)


def inputs_of(decay, x, initial, dtype):
    rate = 0.7 * (2 * torch.rand(decay, dtype=dtype) - (1 + 1j if dtype.is_complex else 1))
    return {"decay": rate, "x": torch.randn(x, dtype=dtype), "initial": torch.randn(initial, dtype=dtype)}


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_every_shape(device, shapes):
    *sizes, dim = shapes
    for dtype in (torch.float64, torch.complex128):
        compare(device, lambda f, d, x, initial: f.linear_recurrence(d, x, initial, dim), inputs_of(*sizes, dtype))


@pytest.mark.parametrize("steps", [1, 2, 7, 8, 9, 15, 16, 17, 33, 61])
def test_every_length(device, steps):
    inputs = inputs_of((2, steps), (2, steps), (2,), torch.float64)
    compare(device, lambda f, d, x, initial: f.linear_recurrence(d, x, initial), inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=str)
def test_single_precision(device, dtype):
    inputs = inputs_of((2, 48), (2, 48), (2,), dtype)
    compare(device, lambda f, d, x, initial: f.linear_recurrence(d, x, initial), inputs)


@pytest.mark.parametrize("layout", cases.LAYOUTS)
def test_every_memory_layout(device, layout):
    x, decay = (cases.LAYOUTS[layout]((3, 20), -1, torch.float64) for _ in range(2))
    initial = torch.randn(3, dtype=torch.float64)
    compare(
        device, lambda f, initial: f.linear_recurrence(0.3 * decay.to(initial.device), x.to(initial.device), initial),
        {"initial": initial},
    )  # fmt: skip


def test_a_number_as_decay(device):
    compare(device, lambda f, x: f.linear_recurrence(0.5, x), {"x": torch.randn(3, 20).double()})
