"""Emitted kernels compiled ahead of time for GPUs that are not here, and what their source looks like."""

from __future__ import annotations

import pytest
import scanning
import torch
from gpus import TARGETS, Launch, Machine, on_gpu
from torch import nn

import feedbackward as fb
from feedbackward.ops import device
from feedbackward.triton import band

from cells import CELLS  # isort: skip (scanning puts the examples on the path)


@pytest.fixture
def launches(monkeypatch):
    """What a cell launches, forward and backward, on a GPU of some kind; its tensors are of the CPU."""
    monkeypatch.setattr(device, "takes", lambda tensor: True)

    def of(name, target="sm_90", dtype=torch.float32) -> list[Launch]:
        machine = Machine(target)
        with machine.present(monkeypatch):
            scanning.outcome(*example(name, dtype), check=False)
        return machine.launches

    return of


def example(name, dtype):
    """Cell, first carry, sequence and parameters."""
    zeros = lambda *shape: torch.zeros(shape, dtype=dtype)  # noqa: E731
    if name == "banded":
        band = torch.randn(17, 1024, dtype=dtype)
        cell = lambda h, x: ((y := torch.tanh(fb.band_matmul(h, band, 8, 8) + x)), y)  # noqa: E731
        return cell, zeros(16, 1024), zeros(5, 16, 1024), [band]
    if name == "two axes":
        a, b = torch.randn(5, 1, 1, dtype=dtype), torch.randn(4, 3, dtype=dtype)
        cell = lambda s, x: ((y := torch.tanh(a * s + b * x)), y.sum(-1))  # noqa: E731
        return cell, zeros(5, 4, 3), zeros(6, 5, 1, 3), [a, b]
    if name == "lstm_512":
        cell = nn.LSTMCell(16, 512, dtype=dtype)
        return cell, (zeros(4, 512), zeros(4, 512)), zeros(5, 4, 16), list(cell.parameters())
    return CELLS[name](batch=3, steps=5, dtype=dtype)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("compressor", torch.float32),
        ("fitzhugh_nagumo", torch.float64),
        ("two axes", torch.float32),
        ("kuramoto", torch.float32),
        ("banded", torch.float32),
    ],
)
def test_emitted_kernels_compile(launches, name, dtype, target):
    assert [one.name for one in launches(name, target, dtype)] == ["kernel", "kernel"]


@pytest.mark.parametrize("target", TARGETS)
def test_banded_products_compile(monkeypatch, target):
    machine, x = Machine(target), on_gpu(70, 50)
    with machine.present(monkeypatch):
        band.matmul(x, on_gpu(4, 50), 2, 1)
        band.outer(x, x, 2, 1)
    assert [one.name for one in machine.launches] == ["product", "outer"]


def test_gates_need_no_exchange_between_threads(launches):
    """Slices and stacks are tiles: a step of an LSTM waits once, for its state, and keeps to registers but for that."""
    forward, backward = launches("lstm_512")
    assert source(forward).count("debug_barrier") == 1
    assert "line_size" in source(forward)
    assert "(s % 2)" in source(
        forward
    )  # by the step, not its place in a chunk: a chunk may have an odd number of steps
    assert source(backward).count("debug_barrier") == 5  # replay, the step again, its adjoint; and twice for a chunk
    assert forward.kernel.metadata.shared == 0
    assert forward.kernel.asm["ptx"].count("bar.sync") == 1


def test_a_filter_keeps_to_registers_and_reads_ahead(launches):
    forward, backward = launches("one_pole")
    assert "debug_barrier" not in source(forward) + source(backward)
    assert "cp.async" in forward.kernel.asm["ptx"]


def test_nothing_is_fused_or_approximated_that_the_source_does_not_say(launches):
    ptx = launches("compressor", "sm_80")[0].kernel.asm["ptx"]
    assert "div.full" not in ptx
    assert "sqrt.approx" not in ptx
    assert "mul.f32" not in ptx  # only mul.rn.f32, which is never contracted


def source(call: Launch) -> str:
    return call.kernel.src.fn.src
