"""The filters' own tensors are made where the user's are: seen on meta tensors, which mix with no others."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

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


class CopiesFromHost(TorchDispatchMode):
    """Names operators that bring a tensor of the host to another device: they wait, and no graph captures them."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        given = {t.device.type for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
        made = {t.device.type for t in tree_leaves(result) if isinstance(t, torch.Tensor)}
        if (given == {"cpu"} and made - given) or ("copy_" in str(function) and len(given) > 1):
            self.found.append(str(function))
        return result


def bandpass(x):
    sos = fb.design.bandpass(x[:, 0], q=8.0, sample_rate=16000)
    return fb.lfilter(sos[:, :3], sos[:, 3:], x)


MODULES = {
    "FilterBank": lambda: fb.nn.FilterBank(8, sample_rate=16000),
    "FilterBank of peaks": lambda: fb.nn.FilterBank(8, sample_rate=16000, kind="peaking"),
    "SOSFilter": lambda: fb.nn.SOSFilter(3),
    "LFilter": lambda: fb.nn.LFilter(2),
    "design": lambda: bandpass,
}


@pytest.mark.parametrize("name", MODULES)
def test_nothing_is_copied_from_the_host(name):
    layer = MODULES[name]()
    x = torch.empty(4, 50, device="meta", requires_grad=True)
    if isinstance(layer, torch.nn.Module):
        layer = layer.to("meta")
    with CopiesFromHost() as copies:
        layer(x).square().mean().backward()
    assert not copies.found


def test_a_copy_from_the_host_would_be_seen():
    with CopiesFromHost() as copies:
        torch.ones(3, device="cpu").to("meta")
    assert copies.found
