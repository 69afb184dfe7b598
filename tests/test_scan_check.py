"""The self-check of scan: what a trace cannot see is found by a comparison with autograd, and nothing else is."""

from __future__ import annotations

import pytest
import torch
from scanning import randn
from torch import nn

import feedbackward as fb
from feedbackward.engine.errors import LoweringError

STATE = torch.linspace(-1, 1, 4, dtype=torch.float64)
PARAMETER = torch.ones((), dtype=torch.float64, requires_grad=True)


def without_gradients(h, x):
    with torch.no_grad():
        decay = torch.sigmoid(PARAMETER)
    return decay * h + x, h


class Surrogate(torch.autograd.Function):
    """A step with another derivative, in the form that torch.func can trace through."""

    @staticmethod
    def forward(h):
        return (h > 0).to(h.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, d):
        return 3 * d


def surrogate(h, x):
    return Surrogate.apply(PARAMETER * h) + x, h


class Counter:
    def __init__(self):
        self.count = 0

    def __call__(self, h, x):
        self.count += 1
        return h + self.count * x, h


@pytest.mark.parametrize("cell", [without_gradients, surrogate, Counter()], ids=["no_grad", "Function", "own state"])
def test_what_the_trace_cannot_see_is_caught_by_the_check(cell):
    for _ in range(2):  # a cell that was refused is refused again
        with pytest.raises(LoweringError) as caught:
            fb.scan(cell, STATE, torch.ones(5, 4, dtype=torch.float64))
        message = str(caught.value)
        assert message.startswith("scan: ")
        assert "\n" not in message
    assert "differ" in message or "Function" in message
    assert "check=False" in message or "Function" in message


def test_the_check_can_be_turned_off():
    last, _ = fb.scan(Counter(), STATE, torch.ones(5, 4, dtype=torch.float64), check=False)
    assert last.shape == (4,)


def test_the_check_leaves_no_trace():
    """It draws no numbers, leaves no gradients, and does not care about NaN in the first steps."""
    module = nn.RNNCell(4, 4).double()
    xs, h = torch.full((5, 2, 4), float("nan"), dtype=torch.float64), randn(2, 4).requires_grad_()
    state = torch.get_rng_state()
    _, y = fb.scan(module, h, xs)
    assert y.isnan().all()
    assert torch.equal(torch.get_rng_state(), state)
    assert h.grad is None
    assert all(p.grad is None for p in module.parameters())


def test_a_threshold_does_not_disturb_the_check():
    """Values that sit on a step may fall on either side in two ways of rounding."""
    third = torch.full((200,), 1 / 3, dtype=torch.float32)
    xs = torch.full((9, 200), 1 / 3, dtype=torch.float32)
    fb.scan(lambda h, x: (torch.floor(h * 3.0) + x, h), third, xs)


def test_a_cell_of_float32_is_checked_in_float64():
    """Rounding that grows is no difference; a small share of the gradient that is hidden from autograd is one."""
    w = (30 * torch.randn(64, 64)).requires_grad_()
    xs = torch.randn(9, 3, 64)
    fb.scan(lambda h, x: ((y := torch.tanh(h @ w + x)), y), torch.randn(3, 64), xs)

    def hides(h, x):
        with torch.no_grad():
            small = 1e-4 * h
        return 0.9 * h + small + x, h

    with pytest.raises(LoweringError, match="gradients"):
        fb.scan(hides, torch.randn(3, 64), xs)


def test_a_cell_with_float32_of_its_own_making_is_checked_as_it_is():
    """A product of matrices takes no float64 beside a float32."""
    weights = torch.randn(4, 4)
    fb.scan(lambda h, x: (torch.tanh(h @ weights.to(torch.float32) + x), h), torch.zeros(3, 4), torch.randn(9, 3, 4))
    with pytest.raises(LoweringError, match="values"):
        fb.scan(Counter32(), torch.zeros(3, 4), torch.randn(9, 3, 4))


class Counter32(Counter):
    def __call__(self, h, x):
        count, x = super().__call__(h, x)
        return count @ torch.eye(4, dtype=torch.float32), x


def test_a_result_that_is_no_number_of_its_kind_is_a_difference():
    """float64 stands in for float32 in the check, but not for a bool."""
    prepared = fb.scan(lambda h, x: (h + x, h > 0), torch.zeros(3), torch.randn(9, 3))[1]
    assert prepared.dtype == torch.bool
