"""linear_recurrence against the plain loop: decay a number, one per lane or one per time step."""

from __future__ import annotations

import cases
import numpy as np
import pytest
import torch
from closeness import near, recurrence_bound

import feedbackward as fb
from feedbackward import reference

DTYPES = pytest.mark.parametrize("dtype", cases.DTYPES, ids=str)


def decays(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Magnitudes within 0.95, any sign or phase."""
    decay = torch.rand(shape, dtype=dtype)
    return (decay - (0.5 + 0.5j if dtype.is_complex else 0.5)) * (1.3 if dtype.is_complex else 1.9)


def check(decay, x, initial=None, dim=-1, note=""):
    h = fb.linear_recurrence(decay, x, initial, dim)
    wide = [t.to(cases.WIDE.get(t.dtype, t.dtype)) if isinstance(t, torch.Tensor) else t for t in (decay, x, initial)]
    truth = reference.linear_recurrence(*wide, dim)
    assert h.shape == truth.shape, note
    assert h.is_contiguous(), note
    near(h, truth, recurrence_bound(h.dtype, torch.as_tensor(decay), truth), note)
    return h


@DTYPES
@pytest.mark.parametrize("lanes", cases.LANES)
def test_any_length_and_number_of_lanes(dtype, lanes):
    for steps in cases.LENGTHS[:-2]:
        x, initial = torch.randn(lanes, steps, dtype=dtype), torch.randn(lanes, dtype=dtype)
        check(decays((lanes, steps), dtype), x, initial, note=f"per step, {steps} samples")
        check(decays((lanes,), dtype), x, initial, note=f"per lane, {steps} samples")
        check(0.9, x, note=f"a number, {steps} samples")


@DTYPES
@pytest.mark.parametrize("steps", [2047, 2048, 2049, 4097, 10007])
def test_one_long_signal(dtype, steps):
    x, initial = torch.randn(steps, dtype=dtype), torch.randn((), dtype=dtype)
    check(decays((steps,), dtype), x, initial)
    check(decays((), dtype), x, initial)
    check(-0.95, x)


def test_one_very_long_signal():
    x, decay = torch.randn(70_000, dtype=torch.float64), decays((70_000,), torch.float64)
    check(decay, x, torch.tensor(3.0, dtype=torch.float64))


def test_a_decay_of_one_is_a_running_sum():
    x = torch.randint(-8, 8, (3, 5000)).double()
    torch.testing.assert_close(fb.linear_recurrence(1.0, x), x.cumsum(-1), rtol=0, atol=0)
    torch.testing.assert_close(fb.linear_recurrence(torch.ones(3, 5000).double(), x), x.cumsum(-1), rtol=0, atol=0)


def test_a_decay_of_zero_forgets_everything():
    x = torch.randn(20, 300)
    torch.testing.assert_close(fb.linear_recurrence(0.0, x), x, rtol=0, atol=0)
    gate = torch.ones(20, 300)
    gate[:, 150] = 0
    h = fb.linear_recurrence(gate, x, torch.full((20,), 1e6))
    torch.testing.assert_close(h[:, 150], x[:, 150], rtol=0, atol=0)


# (decay's leading shape, x's leading shape, initial's leading shape)
LEADS = (
    ((), (), ()),
    ((), (5, 3), (5, 3)),
    ((3,), (5, 3), ()),
    ((5, 1), (5, 3), (3,)),
    ((5, 3), (5, 3), (1, 3)),
    ((2, 1), (1, 70), (2, 70)),
    ((1, 33), (2, 1), (1, 1)),
    ((), (), (6,)),
    ((), (0, 3), (0, 3)),
)


@DTYPES
@pytest.mark.parametrize("leads", LEADS, ids=str)
def test_every_broadcast_pattern_at_every_dim(dtype, leads):
    decay_lead, x_lead, initial_lead = leads
    for steps in (1, 37, 300):
        for dim in range(-len(x_lead) - 1, 0):
            x, initial = (
                torch.randn(cases.insert_time(x_lead, steps, dim), dtype=dtype),
                torch.randn(initial_lead, dtype=dtype),
            )
            check(decays(decay_lead, dtype), x, initial, dim, f"no time axis, dim {dim}")
            full = (*(1,) * (len(x_lead) - len(decay_lead)), *decay_lead)
            for decay_steps in {1, steps}:
                decay = decays(cases.insert_time(full, decay_steps, dim), dtype)
                h = check(decay, x, initial, dim, f"{decay_steps} steps, dim {dim}")
                torch.testing.assert_close(h, fb.linear_recurrence(decay, x, initial, dim + x.ndim), rtol=0, atol=0)


@pytest.mark.parametrize("layout", cases.LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex64], ids=str)
def test_every_memory_layout(layout, dtype):
    make = cases.LAYOUTS[layout]
    for lead, steps in (((), 300), ((3,), 129), ((2, 17), 65), ((40, 3), 33)):
        for dim in range(-len(lead) - 1, 0):
            shape = cases.insert_time(lead, steps, dim)
            x, decay = make(shape, dim, dtype), decays((), dtype) * make(shape, dim, dtype).sgn()
            strided = torch.empty_strided(shape, x.stride(), dtype=dtype) if 0 not in x.stride() else None
            if strided is not None and layout != "overlapping":
                strided.copy_(decay)
                decay = strided
            check(decay, x, None, dim, f"{lead} dim {dim}")
            check(decays(shape, dtype), x, make(lead, -1, dtype) if lead else None, dim, f"{lead} dim {dim}")
            plain = torch.randn(shape, dtype=dtype)
            check(0.9 * make(shape, dim, dtype).sgn(), plain, None, dim, f"{lead} dim {dim}")


def test_dtypes_promote_as_in_torch():
    x = torch.randn(4, 50)
    assert fb.linear_recurrence(0.5, x).dtype == torch.float32
    assert fb.linear_recurrence(0.5j, x).dtype == torch.complex64
    assert torch.equal(fb.linear_recurrence(np.complex64(0.5j), x), fb.linear_recurrence(0.5j, x))
    assert fb.linear_recurrence(torch.tensor(0.5, dtype=torch.float64), x).dtype == torch.float32  # a 0-d tensor yields
    assert fb.linear_recurrence(torch.rand(4, dtype=torch.float64), x).dtype == torch.float64
    assert fb.linear_recurrence(torch.rand(4, dtype=torch.complex64), x.double()).dtype == torch.complex128
    assert fb.linear_recurrence(0.5, x, torch.zeros(4, dtype=torch.float64)).dtype == torch.float64
    for decay in (0.5, 0.5j, torch.rand(4, dtype=torch.float64), torch.rand(4, 50, dtype=torch.complex64)):
        check(decay, x, torch.randn(4, dtype=torch.float64))


@pytest.mark.parametrize("shape", [(0,), (4, 0), (0, 5), (3, 0, 2)])
def test_nothing_in_nothing_out(shape):
    for decay in (0.5, torch.rand(shape), torch.rand(shape[:-1])):
        assert fb.linear_recurrence(decay, torch.rand(shape)).shape == shape


def test_blocks_with_state_equal_the_whole():
    x, decay = torch.randn(6, 1000, dtype=torch.float64), decays((6, 1000), torch.float64)
    whole, state, blocks = fb.linear_recurrence(decay, x), None, []
    for d, block in zip(decay.split([1, 63, 65, 500, 371], -1), x.split([1, 63, 65, 500, 371], -1), strict=True):
        blocks.append(fb.linear_recurrence(d, block, state))
        state = blocks[-1][:, -1]
    near(torch.cat(blocks, -1), whole, recurrence_bound(torch.float64, decay, whole))


def test_it_is_the_one_pole_filter():
    x, zi = torch.randn(3, 5000, dtype=torch.float64), torch.randn(3, 1, dtype=torch.float64)
    y, _ = fb.lfilter(torch.ones(1, dtype=torch.float64), torch.tensor([1, -0.9], dtype=torch.float64), x, zi=zi)
    h = fb.linear_recurrence(0.9, x, zi[:, 0] / 0.9)
    near(h, y, recurrence_bound(torch.float64, torch.tensor(0.9), h) * 2)


def test_arguments_are_left_alone():
    decay, x, initial = torch.rand(3, 40), torch.randn(3, 40), torch.randn(3)
    copies = [t.clone() for t in (decay, x, initial)]
    fb.linear_recurrence(decay, x, initial).fill_(7)
    fb.linear_recurrence(torch.zeros(()), x).fill_(7)
    for tensor, copy in zip((decay, x, initial), copies, strict=True):
        torch.testing.assert_close(tensor, copy, rtol=0, atol=0)
