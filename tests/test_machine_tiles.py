"""Tiles of every width, of values that are read and written where they are and of values that are staged."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

import feedbackward as fb

# Tiles of 64, 128 and 256 lanes, and what they leave over: nothing, full tiles of 16, and others.
LANES = [64, 128, 192, 200, 512, 528, 600, 1024, 1300]


def one_pole(s, x, a):
    s = a * s + (1 - a) * x
    return s, s


def two_poles(s, x, a):
    y = x + s[0]
    return (s[1] - a * y, -0.5 * a * y), y


def oscillator(s, x, a):
    s = s + a * torch.sin(x - s)
    return s, torch.cos(s)


CELLS = {"one pole": one_pole, "two poles": two_poles, "oscillator": oscillator}


def results(cell, x, a, lanes, **options):
    init = torch.linspace(-1, 1, lanes, dtype=a.dtype).requires_grad_()
    x, a = x.detach().requires_grad_(), a.detach().requires_grad_()
    carry = (init, 2 * init) if cell is two_poles else init
    after, y = fb.scan(lambda s, now: cell(s, now, a), carry, x, **options)
    after = sum(after) if isinstance(after, tuple) else after
    weights = torch.linspace(0, 1, y.numel(), dtype=a.dtype).reshape(y.shape)
    return y, after, *torch.autograd.grad((weights * y).sum() + after.square().sum(), (x, a, init))


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("lanes", LANES)
def test_against_a_loop(cell, lanes):
    for steps, reverse, checkpoint in ((1, False, "auto"), (2, True, 2), (37, False, "auto"), (70, True, None)):
        x, a = torch.randn(steps, lanes, dtype=torch.float64), torch.rand(lanes, dtype=torch.float64)
        expected = results(cell, x, a, lanes, reverse=reverse, backend="eager")
        assert_close(results(cell, x, a, lanes, reverse=reverse, checkpoint=checkpoint), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("reverse", [False, True])
def test_where_x_lies_does_not_matter(cell, lanes, reverse):
    steps = 300  # several chunks
    x, a = torch.randn(steps, lanes), torch.rand(lanes)
    expected = results(cell, x, a, lanes, reverse=reverse)
    time_last = x.t().contiguous().t()
    gaps = torch.randn(steps, lanes, 2)
    gaps[..., 0] = x
    for other in (time_last, gaps[..., 0], torch.cat((x, x), 1)[:, :lanes], x.flip(0).flip(0)):
        assert_close(results(cell, other, a, lanes, reverse=reverse), expected, rtol=0, atol=0)


def test_lanes_of_several_axes():
    x, a = torch.randn(50, 8, 1, 128, dtype=torch.float64), torch.rand(8, 1, 128, dtype=torch.float64)
    flat = results(one_pole, x.flatten(1), a.flatten(), 1024)[0]
    for values in (x, x.transpose(1, 3).contiguous().transpose(1, 3)):
        init = torch.linspace(-1, 1, 1024, dtype=a.dtype).reshape(8, 1, 128)
        y = fb.scan(lambda s, now: one_pole(s, now, a), init, values)[1]
        assert_close(y.flatten(1), flat, rtol=0, atol=0)


def test_broadcast_sequences():
    a = torch.rand(4, 128, dtype=torch.float64)
    for shape in ((50, 1, 128), (50, 4, 1), (1, 4, 128)):
        x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        grads = []
        for backend in ("native", "eager"):
            y = fb.scan(lambda s, now: one_pole(s, now, a), torch.zeros_like(a), x.expand(50, 4, 128), backend=backend)[
                1
            ]
            grads.append((y, torch.autograd.grad(y.sin().sum(), x)[0]))
        assert_close(*grads, rtol=1e-9, atol=1e-9)
