"""Emitted kernels compiled ahead of time for GPUs that are not here, and what their source looks like."""

from __future__ import annotations

import pytest
import scanning  # noqa: F401 (it puts the examples on the path)
import torch
from ahead import TARGETS, compile_for
from torch import nn

import feedbackward as fb
from feedbackward.engine.adapt import as_cell
from feedbackward.engine.arguments import validated
from feedbackward.engine.prepare import prepare
from feedbackward.triton.emit_kernel import Kernel
from feedbackward.triton.emit_source import kernel_of
from feedbackward.triton.scan import backward_kernel, forward_kernel

from cells import CELLS  # isort: skip

POINTERS = {torch.float32: "*fp32", torch.float64: "*fp64"}


def example(name):
    """Cell, first carry and sequence."""
    if name == "banded":
        band = torch.randn(17, 1024)
        cell = lambda h, x: ((y := torch.tanh(fb.band_matmul(h, band, 8, 8) + x)), y)  # noqa: E731
        return cell, torch.zeros(16, 1024), torch.zeros(5, 16, 1024)
    if name == "lstm_512":
        return nn.LSTMCell(16, 512), (torch.zeros(4, 512), torch.zeros(4, 512)), torch.zeros(5, 4, 16)
    return CELLS[name](batch=3, steps=5, dtype=torch.float32)[:3]


def kernels(name, dtype=torch.float32, axes=1) -> tuple[Kernel, Kernel]:
    cell, init, xs = example(name)
    prepared, _ = prepare(cell, as_cell(cell), validated(init, xs, 0, None).form)
    program = prepared.program
    count = len(program.held) + len(program.matrices) + len(program.sequences) + len(program.states)
    given = prepared.text, (True,) * count, dtype, axes
    return forward_kernel(*given), backward_kernel(*given)[0]


def types(kernel, dtype):
    """Of every argument of an emitted kernel, by its name."""
    found = {}
    for name in kernel_of(kernel.text).arg_names:
        if name == "table":
            found[name] = "*i32"
        elif name in ("steps", "every", "first", "direction", "lanes") or name.startswith("size"):
            found[name] = "i32"
        elif name.endswith(("_time", "_row")) or "_axis" in name:
            found[name] = "i64"
        else:
            found[name] = POINTERS[dtype]
    return found


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("name", "dtype", "axes"),
    [
        ("compressor", torch.float32, 1),
        ("fitzhugh_nagumo", torch.float64, 2),
        ("kuramoto", torch.float32, 3),
        ("banded", torch.float32, 1),
    ],
)
def test_emitted_kernels_compile(name, dtype, axes, target):
    for kernel in kernels(name, dtype, axes):
        threads = kernel.warps * TARGETS[target].warp_size
        compile_for(TARGETS[target], kernel_of(kernel.text), types(kernel, dtype), {}, threads, fused=False)


def test_gates_need_no_exchange_between_threads():
    """Slices and stacks are tiles; a step of an LSTM waits once, for its state, and a step of its adjoint twice."""
    forward, backward = kernels("lstm_512")
    assert "tl.gather" not in forward.text + backward.text
    assert forward.text.count("debug_barrier") == 1
    compiled = compile_for(TARGETS["sm_90"], kernel_of(forward.text), types(forward, torch.float32), {}, 128, False)
    assert compiled.metadata.shared == 0
    assert compiled.asm["ptx"].count("bar.sync") == 1


def test_a_filter_keeps_to_registers_and_reads_ahead():
    forward, backward = kernels("one_pole")
    assert "debug_barrier" not in forward.text + backward.text
    compiled = compile_for(TARGETS["sm_90"], kernel_of(forward.text), types(forward, torch.float32), {}, 32, False)
    assert "cp.async" in compiled.asm["ptx"]


def test_nothing_is_fused_or_approximated_that_the_source_does_not_say():
    forward, _ = kernels("compressor")
    compiled = compile_for(TARGETS["sm_80"], kernel_of(forward.text), types(forward, torch.float32), {}, 32, False)
    ptx = compiled.asm["ptx"]
    assert "div.full" not in ptx
    assert "sqrt.approx" not in ptx
    assert "mul.f32" not in ptx  # only mul.rn.f32, which is never contracted
