"""Filters in scripted programs: the same numbers and gradients, also after saving and loading."""

from __future__ import annotations

import io

import pytest
import torch
from torch import Tensor

import feedbackward as fb

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


class Equalizer(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.b = torch.nn.Parameter(torch.tensor([0.4, 0.2, -0.1], dtype=torch.float64))
        self.a = torch.nn.Parameter(torch.tensor([2.0, -0.6, 0.3], dtype=torch.float64))

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        y, after = fb.script.lfilter(self.b, self.a, x, 0, state)
        sos = torch.cat([self.b, self.a]).unsqueeze(0)
        return fb.script.sosfilt(sos, y, 0)[0], after


def expected(m: Equalizer, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    y, after = fb.lfilter(m.b, m.a, x, 0, state)
    return fb.sosfilt(torch.cat([m.b, m.a])[None], y, 0), after


@pytest.fixture(params=["scripted", "saved and loaded"])
def program(request):
    scripted = torch.jit.script(Equalizer())
    if request.param == "scripted":
        return scripted
    buffer = io.BytesIO()
    torch.jit.save(scripted, buffer)
    buffer.seek(0)
    return torch.jit.load(buffer)


@pytest.mark.parametrize("length", [0, 1, 65, 3000])
def test_numbers_and_gradients(program, length):
    x = torch.randn(length, 3, dtype=torch.float64, requires_grad=True)
    state = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    truth = Equalizer()
    mine, theirs = program(x, state), expected(truth, x, state)
    torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
    weights = [torch.randn_like(t) for t in theirs]
    ours = torch.autograd.grad(mine, [x, state, *program.parameters()], weights)
    for one, other in zip(ours, torch.autograd.grad(theirs, [x, state, truth.b, truth.a], weights), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_bad_shapes_are_refused():
    with pytest.raises(RuntimeError, match="state must have shape"):
        torch.jit.script(fb.script.lfilter)(torch.ones(3), torch.ones(3), torch.ones(9), -1, torch.ones(5))
