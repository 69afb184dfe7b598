"""Banded products on the device: against a window of x for every diagonal, values and gradients of every order."""

from __future__ import annotations

import pytest
import torch
from closeness import eps

import feedbackward as fb
from feedbackward.ops.band import outer


@pytest.mark.parametrize(
    ("n", "dtype"), [(1, torch.float64), (127, torch.float32), (128, torch.float64), (129, torch.float32)]
)
@pytest.mark.parametrize(("lower", "upper"), [(0, 0), (1, 2), (3, 0), (0, 5)])
def test_products(device, dtype, n, lower, upper):
    x = torch.randn(3, 7, n, dtype=dtype, device=device)
    weight = torch.randn(lower + upper + 1, n, dtype=dtype, device=device)
    for given in (x, x.flip(1), x.transpose(0, 1), x[:, :, :: max(n, 2)].expand(3, 7, n)):
        found = fb.band_matmul(given, weight, lower, upper)
        truth = fb.band_matmul(given, weight, lower, upper, method="index")
        torch.testing.assert_close(found, truth, rtol=0, atol=20 * eps(dtype) * (lower + upper + 1))


@pytest.mark.parametrize("count", [1, 8, 9, 1024, 1025])
def test_outer(device, count):
    """The entries outside of the matrix have no gradient; sums over more vectors than a program takes."""
    d_y, x = torch.randn(2, count, 5, dtype=torch.float64, device=device)
    found = torch.ops.feedbackward.band_outer(d_y, x, 1, 2)
    torch.testing.assert_close(found, outer(d_y, x, 1, 2), rtol=0, atol=1e-11)
    assert torch.equal(found, torch.ops.feedbackward.band_outer(d_y, x, 1, 2))


def test_gradients_of_every_order(device):
    x = torch.randn(3, 4, dtype=torch.float64, device=device, requires_grad=True)
    weight = torch.randn(3, 4, dtype=torch.float64, device=device, requires_grad=True)
    torch.autograd.gradcheck(lambda x, w: fb.band_matmul(x, w, 1, 1), (x, weight))
    torch.autograd.gradgradcheck(lambda x, w: fb.band_matmul(x, w, 1, 1), (x, weight))


def test_nothing_and_nan(device):
    weight = torch.full((3, 4), float("nan"), device=device)
    weight[1] = 2.0
    weight[0, 1:], weight[2, :-1] = 1.0, 1.0  # what is left lies outside of the matrix
    sums = torch.tensor([3.0, 4, 4, 3], device=device)
    assert torch.equal(fb.band_matmul(torch.ones(4, device=device), weight, 1, 1), sums)
    assert fb.band_matmul(torch.ones(0, 4, device=device), weight, 1, 1).shape == (0, 4)
