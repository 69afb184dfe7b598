"""Derivatives of every kind through the kernels: the operators' formulas run on them, whatever the order."""

from __future__ import annotations

import cases
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.library import opcheck

import feedbackward as fb

# torch's own, on the first use of forward mode
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


def leaves(device, *tensors):
    return [t.double().detach().to(device).requires_grad_() for t in tensors]


def test_lfilter_twice(device):
    b, a = cases.numerator((), 2), cases.denominator((), 2, a0=2.0)
    inputs = leaves(device, b, a, torch.randn(2), torch.randn(1))

    def call(b, a, x, zi):
        return fb.lfilter(b, a, x, zi=zi)

    assert gradcheck(call, inputs, fast_mode=True)
    assert gradgradcheck(call, inputs, fast_mode=True)


def test_linear_recurrence_twice(device):
    inputs = leaves(device, torch.rand(3), torch.randn(3), torch.randn(()))
    assert gradcheck(fb.linear_recurrence, inputs, fast_mode=True, check_forward_ad=True)
    assert gradgradcheck(fb.linear_recurrence, inputs, fast_mode=True)


def test_vmap_and_forward_mode(device):
    b, a = (t.to(device) for t in (cases.numerator((), 2), cases.denominator((), 2)))
    x, v = (torch.randn(3, 5, dtype=torch.float64, device=device) for _ in range(2))
    by_item = torch.vmap(lambda x: fb.lfilter(b, a, x))(x)
    torch.testing.assert_close(by_item, fb.lfilter(b, a, x))
    _, tangent = torch.func.jvp(lambda x: fb.lfilter(b, a, x), (x,), (v,))
    torch.testing.assert_close(tangent, fb.lfilter(b, a, v))


@pytest.mark.parametrize("dim", [-1, -2])
def test_what_torch_expects_of_the_operators(device, dim):
    """Above all that results have the shapes, strides and dtypes that their fake twins say."""
    b, a = cases.numerator((3,), 3, torch.float32).unsqueeze(-2), cases.denominator((3,), 3, torch.float32)[:, None, 1:]
    x, state = torch.randn(cases.insert_time((2, 3), 9, dim)), torch.randn(3, 1, 2)
    d_y, d_after = torch.randn(cases.insert_time((2, 3), 9, dim)), torch.randn(2, 3, 1, 2)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    operators = torch.ops.feedbackward
    arguments = [t.to(device) for t in (x, b, a, state)]
    opcheck(operators.cascade.default, (*arguments, dim, 0, False), test_utils=tests)
    given = [t.to(device) for t in (d_y, d_after)]
    opcheck(operators.cascade_backward.default, (*given, *arguments, dim, 0, False, 15), test_utils=tests)
    decay, initial = torch.rand(cases.insert_time((3,), 1, dim), device=device), torch.randn(3, device=device)
    arguments = [arguments[0], decay, initial]
    opcheck(operators.linear_recurrence.default, (*arguments, dim), test_utils=tests)
    opcheck(operators.linear_recurrence_backward.default, (given[0], *arguments, dim, 7), test_utils=tests)
