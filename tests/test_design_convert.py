"""Sections to polynomials and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from closeness import assert_allclose
from scipy import signal

from feedbackward import design


def test_sos2tf_is_scipys_and_differentiable() -> None:
    sos = np.stack([signal.butter(5, 0.3, output="sos"), signal.cheby1(6, 1, 0.2, output="sos")])
    b, a = design.sos2tf(sos)
    for row in range(2):
        expected_b, expected_a = signal.sos2tf(sos[row])
        assert_allclose(b[row], expected_b, atol=1e-15)
        assert_allclose(a[row], expected_a, atol=1e-14)
    values = torch.as_tensor(sos[0]).requires_grad_()
    assert torch.autograd.gradcheck(design.sos2tf, values)


@pytest.mark.parametrize(
    ("b", "a"),
    [
        signal.butter(1, 0.3),
        signal.butter(5, 0.3),
        signal.cheby2(6, 40, 0.4),
        signal.ellip(4, 1, 60, [0.2, 0.5], "bandpass"),
        (np.array([0.3, 0.1]), np.array([2.0, -0.4, 0.3, 0.1])),
        (signal.firwin(8, 0.3), np.array([1.0])),
        (np.array([3.0]), np.array([2.0])),
    ],
)
def test_tf2sos_keeps_the_response(b: np.ndarray, a: np.ndarray) -> None:
    sos = design.tf2sos(b, a)
    assert sos.shape == (max(1, -(-(max(len(b), len(a)) - 1) // 2)), 6)
    assert (sos[:, 3] == 1).all()
    assert_allclose(design.sosfreqz(sos)[1], design.freqz(b, a)[1], atol=1e-9)


def test_tf2sos_batches() -> None:
    b = torch.tensor([[1.0, 0.2], [0.5, 0.5]], dtype=torch.float64)
    sos = design.tf2sos(b, [1.0, -0.5, 0.2, 0.1])
    assert sos.shape == (2, 2, 6)
    assert sos.dtype == torch.float64
    torch.testing.assert_close(sos[1], design.tf2sos(b[1], [1.0, -0.5, 0.2, 0.1]))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: design.sos2tf(torch.ones(3)), "sos2tf: sos has shape (3,), expected (..., sections, 6)"),
        (
            lambda: design.tf2sos([0.0, 1.0], [1.0]),
            "tf2sos: b starts with a zero or is empty, expected b[..., 0] different from 0",
        ),
        (
            lambda: design.tf2sos([1.0], [0.0, 1.0]),
            "tf2sos: a starts with a zero or is empty, expected a[..., 0] different from 0",
        ),
    ],
)
def test_errors(call, sentence: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()
    assert str(raised.value) == sentence
