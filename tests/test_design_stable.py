"""No raw number makes a filter unstable, judged in exact arithmetic; and every stable filter can be reached."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from closeness import assert_allclose
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal
from torch import Tensor

from feedbackward import design

EXTREME = st.one_of(
    st.floats(-3, 3, width=32),
    st.floats(allow_nan=False, allow_infinity=True, width=32),
    st.sampled_from([0.0, -0.0, 7.25, -7.25, 9.0, -9.0, 1e-38, 20.0, -20.0, 88.0, 3e38, -3e38]),
)


def exactly_stable(a: Tensor, radius: float) -> bool:
    """All zeros strictly inside the radius: step-down in rational arithmetic, on the very coefficients returned."""
    assert torch.isfinite(a).all()
    c = [Fraction(value) / Fraction(radius) ** i for i, value in enumerate(a.double().tolist())]
    while len(c) > 1:
        k = c[-1]
        if abs(k) >= 1:
            return False
        c = [(first - k * last) / (1 - k * k) for first, last in zip(c, reversed(c), strict=True)][:-1]
    return True


@settings(max_examples=400, deadline=None)
@given(
    raw=st.lists(EXTREME, min_size=0, max_size=2),
    radius=st.sampled_from([1.0, 0.9999, 0.999, 0.9, 0.5, 0.01]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_order_one_and_two_never_leave_the_radius(raw: list[float], radius: float, dtype: torch.dtype) -> None:
    a = design.stable_polynomial(torch.tensor(raw, dtype=dtype), radius)
    assert a.shape == (len(raw) + 1,)
    assert exactly_stable(a, radius)


@settings(max_examples=200, deadline=None)
@given(raw=st.lists(EXTREME, min_size=2, max_size=2), radius=st.sampled_from([1.0, 0.99, 0.3]))
def test_triangle_never_leaves_the_radius(raw: list[float], radius: float) -> None:
    pair = design.triangle(torch.tensor(raw), radius)
    assert exactly_stable(torch.cat([torch.ones(1), pair]), radius)


@settings(max_examples=200, deadline=None)
@given(raw=st.lists(st.floats(-2.5, 2.5), min_size=3, max_size=8), radius=st.sampled_from([1.0, 0.95, 0.5]))
def test_higher_orders_stay_inside(raw: list[float], radius: float) -> None:
    a = design.stable_polynomial(torch.tensor(raw, dtype=torch.float64), radius)
    assert exactly_stable(a, radius)


def test_the_triangle_is_covered_evenly_enough_to_reach_every_corner() -> None:
    corners = torch.tensor([[-1.99, 0.995], [1.99, 0.995], [0.0, -0.995], [-1.5, 0.9], [0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(design.triangle(design.triangle_inverse(corners)), corners)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("radius", [1.0, 0.97])
def test_round_trips(dtype: torch.dtype, radius: float) -> None:
    raw = torch.randn(5, 4, dtype=dtype)
    k = torch.tanh(raw)
    amplified = ((1 + k.abs()) / (1 - k.abs())).prod(-1).max().item()  # what rounding goes through in step-down
    tolerance = 8 * torch.finfo(dtype).eps * amplified
    a = design.stable_polynomial(raw, radius)
    torch.testing.assert_close(design.stable_polynomial_inverse(a, radius), raw, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(design.stable_polynomial_inverse(3 * a, radius), raw, rtol=tolerance, atol=tolerance)
    back = design.polynomial_to_reflection(design.reflection_to_polynomial(k))
    torch.testing.assert_close(back, k, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("order", "cutoff"), [(2, 1e-3), (6, 0.1), (10, 0.3)])
def test_real_designs_round_trip(order: int, cutoff: float) -> None:
    _, a = signal.butter(order, cutoff)
    a = torch.as_tensor(a)
    torch.testing.assert_close(design.stable_polynomial(design.stable_polynomial_inverse(a)), a, rtol=1e-9, atol=1e-12)


def test_step_up_places_the_poles_of_lattice_and_direct_form_alike() -> None:
    """An all-pole lattice run by hand has the impulse response of 1 / A."""
    k = torch.tensor([0.5, -0.3, 0.8], dtype=torch.float64)
    a = design.reflection_to_polynomial(k).numpy(force=True)
    impulse = np.zeros(40)
    impulse[0] = 1
    g, y = np.zeros(len(k) + 1), []
    for value in impulse:
        f, below = value, g.copy()
        for m in range(len(k), 0, -1):
            f -= k[m - 1].item() * below[m - 1]
            g[m] = below[m - 1] + k[m - 1].item() * f
        g[0] = f
        y.append(f)
    assert_allclose(signal.lfilter([1.0], a, impulse), y, atol=1e-12)


def test_complex_reflections() -> None:
    k = torch.tensor([0.3 + 0.4j, -0.6j, 0.5], dtype=torch.complex128)
    a = design.reflection_to_polynomial(k)
    assert np.abs(np.roots(a.numpy(force=True))).max() < 1
    torch.testing.assert_close(design.polynomial_to_reflection(a), k)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_gradients(order: int) -> None:
    raw = torch.randn(2, order, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda raw: design.stable_polynomial(raw, 0.9), raw)
    assert torch.autograd.gradgradcheck(lambda raw: design.stable_polynomial(raw, 0.9), raw)
    a = design.stable_polynomial(raw.detach(), 0.9).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: design.stable_polynomial_inverse(a, 0.9), a)


def test_gradient_at_the_origin_is_smooth() -> None:
    raw = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(design.triangle, raw)
    assert torch.autograd.gradgradcheck(design.triangle, raw)


def test_extreme_gradients_are_finite() -> None:
    raw = torch.tensor([[100.0, -100.0], [-20.0, 20.0], [8.5, 8.5]], requires_grad=True)
    design.triangle(raw).sum().backward()
    assert torch.isfinite(raw.grad).all()


def test_vmap() -> None:
    raw = torch.randn(6, 3)
    torch.testing.assert_close(torch.vmap(design.stable_polynomial)(raw), design.stable_polynomial(raw))
    a = design.stable_polynomial(raw)
    torch.testing.assert_close(torch.vmap(design.stable_polynomial_inverse)(a), raw, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: design.stable_polynomial(torch.zeros(2), 1.5),
            "stable_polynomial: max_radius is 1.5, expected a number above 0 and at most 1",
        ),
        (
            lambda: design.stable_polynomial_inverse(torch.tensor([1.0, -1.5])),
            "stable_polynomial_inverse: a has a pole on or outside of max_radius = 1, or within rounding of it, "
            "expected all poles inside",
        ),
        (
            lambda: design.triangle_inverse(torch.tensor([0.0, 0.81]), 0.9),
            "triangle_inverse: a has a pole on or outside of max_radius = 0.9, or within rounding of it, "
            "expected all poles inside",
        ),
        (lambda: design.triangle(torch.zeros(3)), "triangle: raw has shape (3,), expected (..., 2)"),
        (lambda: design.triangle_inverse(torch.zeros(2, 1)), "triangle_inverse: a has shape (2, 1), expected (..., 2)"),
    ],
)
def test_errors(call, sentence: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()
    assert str(raised.value) == sentence
