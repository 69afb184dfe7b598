"""Every kernel of the filters compiles for the GPUs that it is meant for, without one at hand."""

from __future__ import annotations

import os
import re
from dataclasses import replace

import pytest
import torch

if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("interpreted kernels are not compiled", allow_module_level=True)

from ahead import TARGETS, compile_for, recorded

from feedbackward.triton import cascade, linear

ALL = pytest.mark.parametrize("target", TARGETS)


def filter_both_ways(x, b, a, state=None, hop=0, linear=False):
    y, after = cascade.forward(x, b, a, state, -1, hop, linear)
    cascade.backward(y, after, x, b, a, state, -1, hop, linear, 15)


@ALL
def test_a_bank(target, monkeypatch):
    calls = recorded(monkeypatch)
    filter_both_ways(torch.zeros(32, 1, 16000), torch.zeros(128, 1, 3), torch.zeros(128, 1, 2))
    assert {call.kernel.fn.__name__ for call in calls} == {"forward", "chain", "adjoint"}
    for call in calls:
        compile_for(TARGETS[target], call)


@ALL
def test_one_long_signal_of_complex_numbers(target, monkeypatch):
    calls = recorded(monkeypatch)
    x = torch.zeros(1_000_000, dtype=torch.complex64)
    linear.forward(x, x, None, -1)
    linear.backward(x, x, x[:1], torch.zeros((), dtype=x.dtype), -1, 7)
    assert {call.kernel.fn.__name__ for call in calls} == {"forward", "compose", "chain", "adjoint"}
    for call in calls:
        compile_for(TARGETS[target], call)


@pytest.mark.parametrize(
    ("sections", "order", "hop", "dtype"),
    [(2, 2, 0, torch.float64), (1, 2, 100, torch.float32), (1, 3, 0, torch.float32), (1, 10, 0, torch.float32)],
    ids=str,
)
def test_other_filters(sections, order, hop, dtype, monkeypatch):
    calls = recorded(monkeypatch)
    frames = (10,) if hop else ()
    b, a = (torch.zeros(*frames, sections, n, dtype=dtype) for n in (order + 1, order))
    state = torch.zeros(3, sections, order, dtype=dtype)
    filter_both_ways(torch.zeros(3, 1000, dtype=dtype), b, a, state, hop, hop > 0)
    for call in calls:
        compile_for(TARGETS["sm_90"], call)


def test_sizes_beyond_32_bits(monkeypatch):
    """Numbers of 64 bits where such sizes demand them: the same kernels, of wider types."""
    calls = recorded(monkeypatch)
    cascade.forward(torch.zeros(3, 1000), torch.zeros(1, 3), torch.zeros(1, 2), None, -1, 0, False)

    def widened(argument):
        if isinstance(argument, tuple):
            return tuple(widened(one) for one in argument)
        return 2**31 + 16 if isinstance(argument, int) else argument

    wide = replace(calls[-1], arguments=tuple(widened(one) for one in calls[-1].arguments))
    compile_for(TARGETS["sm_90"], wide)


def test_contiguous_time_moves_16_bytes_an_instruction(monkeypatch):
    """What a thread loads and stores of its own row is for that thread alone: no shared memory, but for a maximum."""
    calls = recorded(monkeypatch)
    cascade.forward(torch.zeros(32, 1, 16000), torch.zeros(128, 1, 3), torch.zeros(128, 1, 2), None, -1, 0, False)
    compiled = compile_for(TARGETS["sm_90"], calls[-1])
    instructions = re.findall(r"(?:ld|st)\.(?:global|shared)\S*", compiled.asm["ptx"])
    assert instructions.count("ld.global.v4.b32") == 2  # the 8 samples of a run
    assert instructions.count("st.global.v4.b32") == 2
    assert compiled.metadata.shared <= 64
