"""Launches as Triton sees them: on the tensor's device, and compiled once for all sizes."""

from __future__ import annotations

import os

import pytest
import torch

if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("interpreted kernels are not compiled", allow_module_level=True)

import scanning
from gpus import Machine, on_gpu

from feedbackward.ops import device
from feedbackward.triton import band, cascade, linear, segments

from cells import CELLS  # isort: skip (scanning puts the examples on the path)


def lfilter(x, b, a, dim=-1, hop=0):
    y, after = cascade.forward(x, b, a, None, dim, hop, False)
    cascade.backward(y, after, x, b, a, None, dim, hop, False, 15)


def recurrence(x, decay):
    y = linear.forward(x, decay, None, -1)
    linear.backward(y, x, decay, None, -1, 7)


def banded(x, weight):
    band.matmul(x, weight, 2, 1)
    band.outer(x, x, 2, 1)


def scan(name, lanes, steps):
    scanning.outcome(*CELLS[name](batch=lanes, steps=steps, dtype=torch.float32), check=False)


OPERATORS = {
    "bank": lambda lanes, steps: lfilter(on_gpu(lanes, 1, steps), on_gpu(5, 1, 3), on_gpu(5, 1, 2)),
    "time first": lambda lanes, steps: lfilter(on_gpu(steps, lanes, 5), on_gpu(5, 1, 3), on_gpu(5, 1, 2), dim=-3),
    "hop": lambda lanes, steps: lfilter(
        on_gpu(lanes, 1, steps), on_gpu(5, -(-steps // 32), 1, 3), on_gpu(5, -(-steps // 32), 1, 2), hop=32
    ),
    "order 12": lambda lanes, steps: lfilter(on_gpu(lanes, steps), on_gpu(1, 13), on_gpu(1, 12)),
    "linear": lambda lanes, steps: recurrence(on_gpu(lanes, 5, steps), on_gpu(5, 1)),
    "band": lambda lanes, steps: banded(on_gpu(lanes, steps), on_gpu(4, steps)),
    "scan": lambda lanes, steps: scan("compressor", lanes, steps % 1000),
}
# Time in one segment, some and many, of a length that 16 bytes divide or not; a batch of one would have an axis less.
FIRST = [(2, 60), (2, 61), (3, 3000), (3, 3001), (2, 30_000), (2, 30_001)]
LATER = [(16, 64), (33, 33), (4, 16_000), (17, 16_001), (64, 128), (5, 1600), (7, 12_345), (128, 16_384), (2, 10**7)]


@pytest.mark.parametrize("name", OPERATORS)
def test_other_sizes_are_not_compiled_again(name, monkeypatch):
    monkeypatch.setattr(device, "takes", lambda tensor: True)
    machine = Machine("sm_90", compiles=False)
    with machine.present(monkeypatch):
        for lanes, steps in FIRST:
            OPERATORS[name](lanes, steps)
        known = set(machine.wanted)
        assert known
        for lanes, steps in LATER:
            OPERATORS[name](lanes, steps)
            assert machine.wanted == known, f"{lanes} lanes of {steps} steps"


def test_a_length_says_little_about_the_kernel(monkeypatch):
    """What there is for one form of tensors: two alignments, cut in time or not, and the passes of both directions."""
    machine = Machine("sm_90", compiles=False)
    with machine.present(monkeypatch):
        for lanes, steps in FIRST:
            OPERATORS["bank"](lanes, steps)
    names = [name for name, _ in machine.wanted]
    assert {name: names.count(name) for name in names} == {"forward": 7, "adjoint": 6, "chain": 4, "compose": 2}


def test_kernels_run_where_the_tensors_are(monkeypatch):
    """Every launch goes to the GPU of its tensors and that GPU's stream, by a binary that was loaded there."""
    machine = Machine("sm_90", count=2)
    once = None
    with machine.present(monkeypatch):
        for index in (1, 0, 1, 0):
            machine.launches.clear()
            machine.streams[index] = 7000 + index
            lfilter(on_gpu(3, 500, index=index), *(on_gpu(1, n, index=index) for n in (3, 2)))
            banded(on_gpu(3, 50, index=index), on_gpu(4, 50, index=index))
            assert {(one.device, one.stream) for one in machine.launches} == {(index, 7000 + index)}
            assert machine.current == 0
            once = once or len(machine.compiled)
    assert len(machine.compiled) == 2 * once


@pytest.mark.parametrize("states", [1, 4, 8, 17, 64])
@pytest.mark.parametrize("hop", [1, 100, 5000])
def test_factors_of_segments_take_no_more_memory_than_a_signal(states, hop):
    for lanes in (1, 100, 3000):
        for steps in (1, 4095, 4097, 100_000):
            cut = segments.cut_frames(lanes, steps, hop, states)
            assert cut.count * cut.rounds * cut.length >= steps > (cut.count - 1) * cut.rounds * cut.length
            assert cut.count == 1 or (cut.count - 1) * states**2 <= steps
            assert cut.count == 1 or lanes * (states + 2) < segments.ENOUGH
    assert segments.cut_frames(1, 10**6, hop, states).count > 100
    assert segments.cut_frames(1, 10**6, hop, segments.WIDEST + 1).count == 1


def test_a_grid_of_nothing_is_not_launched(monkeypatch):
    machine = Machine("sm_90", compiles=False)
    with machine.present(monkeypatch):
        lfilter(on_gpu(0, 500), on_gpu(1, 3), on_gpu(1, 2))
    assert not machine.wanted
