"""torch's default device is the user's choice for the user's tensors: what the library makes is where its inputs are.

The default device of these tests holds no numbers, so that any tensor that came to be there would show.
"""

from __future__ import annotations

import cases
import pytest
import torch

import feedbackward as fb


def moved(h, x):
    """Slices, positions and numbers: what becomes tables of a program."""
    at = x.new_tensor([2, 0, 1]).long()
    return torch.tanh(0.5 * h[..., at] + torch.roll(x, 1, -1)) + h[..., :1], h.flip(-1)


def banded(h, x):
    h = torch.tanh(fb.band_matmul(h, x.new_ones(3, 3) / 4, 1, 1) + x)
    return h, h


FUNCTIONS = {
    "lfilter": lambda x, b, a, h: fb.lfilter(b, a, x),
    "sosfilt": lambda x, b, a, h: fb.sosfilt(torch.cat([b, a])[None], x),
    "filtfilt": lambda x, b, a, h: fb.filtfilt(b, a, x),
    "sosfiltfilt": lambda x, b, a, h: fb.sosfiltfilt(torch.cat([b, a])[None], x),
    "linear_recurrence": lambda x, b, a, h: fb.linear_recurrence(0.5, x),
    "lfilter_zi": lambda x, b, a, h: fb.lfilter_zi(b, a) * x[:, :1],
    "lfiltic": lambda x, b, a, h: fb.lfiltic(b, a, x[:, :2], x[:, :2]),
    "band_matmul": lambda x, b, a, h: fb.band_matmul(x.mT, torch.stack([b, a, b]), 1, 1),
    "freqz": lambda x, b, a, h: fb.design.freqz(b, a)[1].abs() * x[:, :1],
    "scan": lambda x, b, a, h: fb.scan(moved, h, x.mT)[1],
    "scan of a band": lambda x, b, a, h: fb.scan(banded, h, x.mT)[1],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_made_is_where_the_inputs_are(name):
    given = [torch.randn(3, 30).double(), cases.numerator((), 3), cases.denominator((), 3), torch.randn(3).double()]
    given = [t.requires_grad_() for t in given]
    results = []
    for device in (torch.device("meta"), given[0].device):  # in this order: tables are made once
        with device:
            y = FUNCTIONS[name](*given)
            results.append((y, *torch.autograd.grad(y.square().sum(), given, allow_unused=True)))
    torch.testing.assert_close(*results, rtol=0, atol=0)


def test_modules():
    modules = fb.nn.FilterBank(4, 16000), fb.nn.SOSFilter(2), fb.nn.LFilter(3)
    x = torch.randn(2, 1, 50)
    for module in modules:
        with torch.device("meta"):
            found = module(x, None)
        torch.testing.assert_close(found, module(x, None), rtol=0, atol=0)
