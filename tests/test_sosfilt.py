"""sosfilt, and coefficients that change over time in both filters, against scipy and the plain loop."""

from __future__ import annotations

import cases
import pytest
import torch
import truth
from closeness import assert_filtered, eps, largest, near, split
from scipy import signal

import feedbackward as fb
from feedbackward import reference

DTYPES = pytest.mark.parametrize("dtype", cases.DTYPES, ids=str)


@DTYPES
@pytest.mark.parametrize("lanes", cases.LANES[::2])
def test_any_length_and_number_of_lanes(dtype, lanes):
    sos = cases.sections((lanes,), 2, dtype, radius=0.6)
    for steps in cases.LENGTHS:
        x, zi = torch.randn(lanes, steps, dtype=dtype), torch.randn(lanes, 2, 2, dtype=dtype)
        y, zf = fb.sosfilt(sos, x, zi=zi)
        y_true, zf_true = truth.sosfilt(sos, x, zi=zi)
        assert y.dtype == zf.dtype == dtype
        assert_filtered(y, y_true, dtype, split(sos), x, zi, f"y of {steps} samples")
        assert_filtered(zf, zf_true, dtype, split(sos), x, zi, f"zf of {steps} samples")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 17])
def test_any_number_of_sections(dtype, count):
    for lead, steps in (((), 300), ((), 5003), ((3,), 130), ((21,), 129), ((2, 65), 70)):
        sos = cases.sections(lead, count, dtype, radius=0.4)
        sos[..., :3] *= 0.5
        x, zi = torch.randn(*lead, steps, dtype=dtype), torch.randn(*lead, count, 2, dtype=dtype)
        y, zf = fb.sosfilt(sos, x, zi=zi)
        y_true, zf_true = truth.sosfilt(sos, x, zi=zi)
        if dtype.is_complex or dtype == torch.float64 or count < 5:
            assert_filtered(y, y_true, dtype, split(sos), x, zi, f"{lead}")
            assert_filtered(zf, zf_true, dtype, split(sos), x, zi, f"{lead}")
        plain = fb.sosfilt(sos, x)
        assert_filtered(plain.double() if plain.dtype == torch.float32 else plain,
                        truth.sosfilt(sos, x), dtype, split(sos)[:4], x)  # fmt: skip


@DTYPES
@pytest.mark.parametrize("steps", cases.LONG_LENGTHS)
def test_one_long_signal(dtype, steps):
    sos = cases.sections((), 2, dtype, radius=0.7)
    x, zi = torch.randn(steps, dtype=dtype), torch.randn(2, 2, dtype=dtype)
    y, zf = fb.sosfilt(sos, x, zi=zi)
    y_true, zf_true = truth.sosfilt(sos, x, zi=zi)
    assert_filtered(y, y_true, dtype, split(sos), x, zi)
    assert_filtered(zf, zf_true, dtype, split(sos), x, zi)


@DTYPES
@pytest.mark.parametrize("pattern", cases.BROADCASTS, ids=lambda p: p.name)
def test_every_broadcast_pattern_at_every_dim(dtype, pattern):
    sos, zi = cases.sections(pattern.b, 2, dtype, radius=0.6), torch.randn(*pattern.zi, 2, 2, dtype=dtype)
    lead = torch.broadcast_shapes(pattern.b, pattern.x, pattern.zi)
    for steps in (1, 37, 300):
        for dim in range(-len(pattern.x) - 1, 0):
            x = torch.randn(cases.insert_time(pattern.x, steps, dim), dtype=dtype)
            y, zf = fb.sosfilt(sos, x, dim, zi)
            y_true, zf_true = truth.sosfilt(sos, x, dim, zi)
            assert y.shape == cases.insert_time(lead, steps, dim)
            assert zf.shape == (*lead, 2, 2)
            assert_filtered(y, y_true, dtype, split(sos), x, zi, f"dim {dim}")
            assert_filtered(zf, zf_true, dtype, split(sos), x, zi, f"dim {dim}")


@pytest.mark.parametrize("layout", cases.LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex128], ids=str)
def test_every_memory_layout(layout, dtype):
    make = cases.LAYOUTS[layout]
    for lead, steps in (((), 300), ((3,), 129), ((2, 17), 65), ((40, 3), 33)):
        for dim in range(-len(lead) - 1, 0):
            sos = cases.sections(lead, 2, dtype, radius=0.5)
            sos_strided = sos.mT.contiguous().mT
            x, zi = make(cases.insert_time(lead, steps, dim), dim, dtype), make((*lead, 2, 2), -1, dtype)
            solid_x, solid_zi = (t.clone(memory_format=torch.contiguous_format) for t in (x, zi))
            y, zf = fb.sosfilt(sos_strided, x, dim, zi)
            y_true, zf_true = truth.sosfilt(sos, solid_x, dim, solid_zi)
            assert_filtered(y, y_true, dtype, split(sos), solid_x, solid_zi, f"{lead} dim {dim}")
            assert_filtered(zf, zf_true, dtype, split(sos), solid_x, solid_zi, f"{lead} dim {dim}")


@pytest.mark.parametrize("shape", [(4000,), (3, 700), (20, 700)])
def test_blocks_with_state_equal_the_whole(shape):
    sos = cases.sections(shape[:-1], 3)
    x, zi = torch.randn(shape, dtype=torch.float64), torch.randn(*shape[:-1], 3, 2, dtype=torch.float64)
    whole, zf_whole = fb.sosfilt(sos, x, zi=zi)
    blocks, state = [], zi
    for block in x.split([0, 1, 2, 61, 64, 65, 128, 0, 200, shape[-1] - 521], dim=-1):
        y, state = fb.sosfilt(sos, block, zi=state)
        blocks.append(y)
    assert_filtered(torch.cat(blocks, -1), whole, torch.float64, split(sos), x, zi)
    assert_filtered(state, zf_whole, torch.float64, split(sos), x, zi)


def test_a0_is_divided_out():
    sos = cases.sections((), 3)
    x = torch.randn(4, 100, dtype=torch.float64)
    scaled = sos * torch.tensor([[2.0], [-0.5], [10.0]], dtype=torch.float64)
    assert_filtered(fb.sosfilt(scaled, x), fb.sosfilt(sos, x), torch.float64, split(sos), x)


def test_a_designed_filter_gives_scipys_numbers():
    sos = torch.as_tensor(signal.ellip(8, 0.5, 60, 0.2, output="sos"))
    x = torch.randn(3, 2000, dtype=torch.float64)
    assert_filtered(fb.sosfilt(sos, x), truth.sosfilt(sos, x), torch.float64, split(sos), x)


@pytest.mark.parametrize("shape", [(20000,), (40, 6000)])
def test_compute_dtype_keeps_a_narrow_filter_exact(shape):
    sos = torch.as_tensor(signal.butter(6, 0.001, output="sos"))
    x, zi = torch.randn(shape), torch.randn(*shape[:-1], 3, 2)
    y, zf = fb.sosfilt(sos, x, zi=zi, compute_dtype=torch.float64)
    y_true, zf_true = truth.sosfilt(sos, x, zi=zi)
    assert y.dtype == torch.float32
    assert zf.dtype == torch.float64
    near(y, y_true, eps(torch.float32) * largest(y_true))
    near(zf, zf_true, 1e-8 * largest(zf_true))


@pytest.mark.parametrize("shape", [(0,), (4, 0), (0, 5), (3, 0, 2)])
def test_nothing_in_nothing_out(shape):
    zi = torch.randn(*shape[:-1], 2, 2)
    y, zf = fb.sosfilt(cases.sections((), 2, torch.float32), torch.ones(shape), zi=zi)
    assert y.shape == shape
    assert zf.shape == zi.shape
    if shape[-1] == 0:
        torch.testing.assert_close(zf, zi, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
def test_reference_equals_scipy(dtype):
    sos = cases.sections((3, 1), 3, dtype) * 2
    x, zi = torch.randn(2, 1, 200, 4, dtype=dtype), torch.randn(4, 3, 2, dtype=dtype)
    y, zf = reference.sosfilt(sos, x, -2, zi)
    y_true, zf_true = truth.sosfilt(sos, x, -2, zi)
    assert_filtered(y, y_true, dtype, split(sos), x, zi)
    assert_filtered(zf, zf_true, dtype, split(sos), x, zi)
