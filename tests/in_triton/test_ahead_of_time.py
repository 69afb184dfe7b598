"""Every kernel of the filters is launched and compiled for the GPUs that it is meant for, without one at hand."""

from __future__ import annotations

import os
import re

import pytest
import torch

if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("interpreted kernels are not compiled", allow_module_level=True)

from gpus import TARGETS, Machine, on_gpu, resources

from feedbackward.triton import cascade, linear


@pytest.fixture
def launches(monkeypatch):
    """What a call launches on a GPU of some kind."""

    def of(target, call, *arguments):
        machine = Machine(target)
        with machine.present(monkeypatch):
            call(*arguments)
        return machine.launches

    return of


SPILLED = 16  # bytes: now and then the compiler spares a register or two, but what a thread works with is in registers
ALL = pytest.mark.parametrize("target", TARGETS)


def filter_both_ways(x, b, a, state=None, hop=0, linear=False):
    y, after = cascade.forward(x, b, a, state, -1, hop, linear)
    cascade.backward(y, after, x, b, a, state, -1, hop, linear, 15)


@ALL
def test_a_bank(launches, target):
    made = launches(target, filter_both_ways, on_gpu(32, 1, 16000), on_gpu(128, 1, 3), on_gpu(128, 1, 2))
    assert {one.name for one in made} == {"forward", "chain", "adjoint"}
    assert {one.kernel.metadata.num_warps * TARGETS[target].warp_size for one in made} == {128}
    if target != "gfx942":
        assert max(resources(one.kernel)["STACK"] for one in made) <= SPILLED


@ALL
def test_one_long_signal_of_complex_numbers(launches, target):
    def both_ways(x):
        linear.forward(x, x, None, -1)
        linear.backward(x, x, x[:1], x[0], -1, 7)

    made = launches(target, both_ways, on_gpu(1_000_000, dtype=torch.complex64))
    assert {one.name for one in made} == {"forward", "compose", "chain", "adjoint"}


@pytest.mark.parametrize(
    ("sections", "order", "hop", "dtype"),
    [(2, 2, 0, torch.float64), (1, 2, 100, torch.float32), (1, 3, 0, torch.float32), (3, 2, 100, torch.float32)],
    ids=str,
)
def test_other_filters(launches, sections, order, hop, dtype):
    frames = (10,) if hop else ()
    b, a = (on_gpu(*frames, sections, n, dtype=dtype) for n in (order + 1, order))
    state = on_gpu(3, sections, order, dtype=dtype)
    made = launches("sm_90", filter_both_ways, on_gpu(3, 1000, dtype=dtype), b, a, state, hop, hop > 0)
    assert {"forward", "adjoint"} <= {one.name for one in made}


@pytest.mark.parametrize("hop", [0, 100])
@ALL
def test_more_states_than_a_thread_can_link(launches, target, hop):
    frames = (200,) if hop else ()
    b, a = on_gpu(*frames, 1, 11), on_gpu(*frames, 1, 10)
    made = launches(target, filter_both_ways, on_gpu(3, 20_000), b, a, None, hop)
    assert {one.name for one in made} == {"forward", "compose_wide", "chain_wide", "adjoint"}
    if target != "gfx942":
        assert max(resources(one.kernel)["STACK"] for one in made) <= SPILLED


def test_sizes_beyond_32_bits(launches):
    """Numbers of 64 bits where sizes demand them: the same kernels, of wider types."""
    x, b, a = on_gpu(3, 2**31 + 16), on_gpu(3, 1, 3), on_gpu(3, 1, 2)
    wide = launches("sm_90", cascade.forward, x, b, a, None, -1, 0, False)[-1]
    usual = launches("sm_90", cascade.forward, x[:, :16000], b, a, None, -1, 0, False)[-1]
    types = wide.kernel.src.signature
    assert types["steps"] == types["x_lanes"][0] == "i64"
    assert types["lanes"] == usual.kernel.src.signature["steps"] == "i32"


def test_contiguous_time_moves_16_bytes_an_instruction(launches):
    """What a thread loads and stores of its own row is for that thread alone: no shared memory, but for a maximum."""
    signal = on_gpu(32, 1, 16000), on_gpu(128, 1, 3), on_gpu(128, 1, 2)
    kernel = launches("sm_90", cascade.forward, *signal, None, -1, 0, False)[-1].kernel
    instructions = re.findall(r"(?:ld|st)\.(?:global|shared)\S*", kernel.asm["ptx"])
    assert instructions.count("ld.global.v4.b32") == 2  # the 8 samples of a run
    assert instructions.count("st.global.v4.b32") == 2
    assert kernel.metadata.shared <= 64
