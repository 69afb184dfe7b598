"""The filters' own tensors are made where the user's are: seen on meta tensors, which mix with no others."""

from __future__ import annotations

import pytest
import torch

import feedbackward as fb

CALLS = {
    "lfilter": lambda b, a, sos, x: fb.lfilter(b, a, x),
    "lfilter with a state": lambda b, a, sos, x: fb.lfilter(b, a, x, zi=b[1:])[0],
    "lfilter with hop": lambda b, a, sos, x: fb.lfilter(b[None], a[None], x, hop=100),
    "sosfilt": lambda b, a, sos, x: fb.sosfilt(sos, x),
    "filtfilt": lambda b, a, sos, x: fb.filtfilt(b, a, x),
    "sosfiltfilt": lambda b, a, sos, x: fb.sosfiltfilt(sos, x),
    "lfilter_zi": lambda b, a, sos, x: fb.lfilter_zi(b, a),
    "sosfilt_zi": lambda b, a, sos, x: fb.sosfilt_zi(sos),
    "linear_recurrence": lambda b, a, sos, x: fb.linear_recurrence(0.5, x),
    "linear_recurrence of tensors": lambda b, a, sos, x: fb.linear_recurrence(x, x, b[:1]),
}


@pytest.mark.parametrize("name", CALLS)
def test_everything_stays_on_the_device(name):
    b, a, sos, x = (torch.empty(shape, device="meta") for shape in ((3,), (3,), (2, 6), (4, 50)))
    assert CALLS[name](b, a, sos, x).device.type == "meta"
