"""Coefficients on a grid of frames: held for hop samples, interpolated between frames, or one set per sample."""

from __future__ import annotations

import cases
import pytest
import torch
from closeness import assert_filtered, split

import feedbackward as fb
from feedbackward import reference

HOPS = pytest.mark.parametrize("hop", cases.HOPS, ids=str)


@HOPS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex128], ids=str)
def test_lfilter(hop, dtype):
    """Radius 0.6 leaves every blend of two frames stable."""
    for lead in ((), (3,), (19,)):
        b = cases.numerator((*lead, hop.frames), 3, dtype)
        a = cases.denominator((*lead, hop.frames), 3, dtype, radius=0.6)
        a = a * (1 + torch.rand(hop.frames, 1))  # every frame has its own a0
        x, zi = torch.randn(*lead, hop.steps, dtype=dtype), torch.randn(*lead, 2, dtype=dtype)
        keywords = {"hop": hop.hop, "interpolation": hop.interpolation}
        y, zf = fb.lfilter(b, a, x, zi=zi, **keywords)
        wide = [t.to(cases.WIDE.get(dtype, dtype)) for t in (b, a, x, zi)]
        y_true, zf_true = reference.lfilter(*wide[:3], zi=wide[3], **keywords)
        assert y.dtype == zf.dtype == dtype
        assert_filtered(y, y_true, dtype, [(b, a)], x, zi, f"{lead}")
        assert_filtered(zf, zf_true, dtype, [(b, a)], x, zi, f"{lead}")


@HOPS
def test_sosfilt(hop):
    dtype = torch.float64
    for lead in ((), (3,), (19,)):
        sos = cases.sections((*lead, hop.frames), 3, dtype, radius=0.5)
        x, zi = torch.randn(*lead, hop.steps, dtype=dtype), torch.randn(*lead, 3, 2, dtype=dtype)
        keywords = {"hop": hop.hop, "interpolation": hop.interpolation}
        y, zf = fb.sosfilt(sos, x, zi=zi, **keywords)
        y_true, zf_true = reference.sosfilt(sos, x, zi=zi, **keywords)
        sections = split(sos)
        assert_filtered(y, y_true, dtype, sections, x, zi, f"{lead}")
        assert_filtered(zf, zf_true, dtype, sections, x, zi, f"{lead}")


@pytest.mark.parametrize("interpolation", ["hold", "linear"])
@pytest.mark.parametrize("pattern", cases.BROADCASTS, ids=lambda p: p.name)
def test_every_broadcast_pattern(pattern, interpolation):
    steps, hop = 100, 16
    keywords = {"hop": hop, "interpolation": interpolation}
    for b_frames, a_frames in ((7, 7), (1, 7), (7, 1)):
        b = cases.numerator((*pattern.b, b_frames), 2)
        a = cases.denominator((*pattern.a, a_frames), 4, radius=0.6)
        zi = torch.randn(*pattern.zi, 3, dtype=torch.float64)
        for dim in {-1, -len(pattern.x) - 1}:
            x = torch.randn(cases.insert_time(pattern.x, steps, dim), dtype=torch.float64)
            y, zf = fb.lfilter(b, a, x, dim, zi, **keywords)
            y_true, zf_true = reference.lfilter(b, a, x, dim, zi, **keywords)
            assert y.shape == cases.insert_time(pattern.lead, steps, dim)
            assert_filtered(y, y_true, torch.float64, [(b, a)], x, zi)
            assert_filtered(zf, zf_true, torch.float64, [(b, a)], x, zi)


@pytest.mark.parametrize("interpolation", ["hold", "linear"])
@pytest.mark.parametrize("order", [0, 1, 3, 4, 5, 9])
def test_any_order(order, interpolation):
    for lead, steps, hop in (((), 3000, 50), ((18,), 200, 33), ((2,), 130, 1)):
        b = cases.numerator((*lead, -(-steps // hop)), order + 1)
        a = cases.denominator((*lead, -(-steps // hop)), order + 1, radius=0.5)
        x = torch.randn(*lead, steps, dtype=torch.float64)
        keywords = {"hop": hop, "interpolation": interpolation}
        y_true = reference.lfilter(b, a, x, **keywords)
        assert_filtered(fb.lfilter(b, a, x, **keywords), y_true, torch.float64, [(b, a)], x)


@pytest.mark.parametrize("interpolation", ["hold", "linear"])
def test_frames_that_do_not_change_give_the_constant_filter(interpolation):
    b, a = cases.numerator((5,), 3), cases.denominator((5,), 3)
    x = torch.randn(4, 5, 1000, dtype=torch.float64)
    for hop in (1, 10, 64, 128, 2000):
        frames = -(-1000 // hop)
        y = fb.lfilter(
            b.unsqueeze(-2).expand(5, frames, 3), a.unsqueeze(-2).expand(5, frames, 3), x,
            hop=hop, interpolation=interpolation,
        )  # fmt: skip
        assert_filtered(y, fb.lfilter(b, a, x), torch.float64, [(b, a)], x)


@pytest.mark.parametrize("layout", ["transposed", "stepped", "expanded time", "expanded", "negated"])
def test_coefficients_in_any_layout(layout):
    b = cases.LAYOUTS[layout]((6, 11, 3), -2, torch.float64)
    a = cases.denominator((6, 11), 3, radius=0.6).transpose(0, 1).contiguous().transpose(0, 1)
    x = torch.randn(6, 105, dtype=torch.float64)
    for interpolation in ("hold", "linear"):
        y = fb.lfilter(b, a, x, hop=10, interpolation=interpolation)
        y_true = reference.lfilter(b.clone(), a.clone(), x, hop=10, interpolation=interpolation)
        assert_filtered(y, y_true, torch.float64, [(b, a)], x)


@pytest.mark.parametrize("interpolation", ["hold", "linear"])
def test_blocks_of_whole_hops_equal_the_whole(interpolation):
    hop, frames = 20, 30
    b, a = cases.numerator((4, frames + 1), 3), cases.denominator((4, frames + 1), 3, radius=0.6)
    x, zi = torch.randn(4, hop * frames, dtype=torch.float64), torch.zeros(4, 2, dtype=torch.float64)
    extra = 1 if interpolation == "linear" else 0
    keywords = {"hop": hop, "interpolation": interpolation}
    whole, zf = fb.lfilter(b[:, : frames + extra], a[:, : frames + extra], x, zi=zi, **keywords)
    blocks, state = [], zi
    for start, stop in ((0, 1), (1, 4), (4, 17), (17, frames)):
        frame = slice(start, stop + extra)
        y, state = fb.lfilter(b[:, frame], a[:, frame], x[:, start * hop : stop * hop], zi=state, **keywords)
        blocks.append(y)
    assert_filtered(torch.cat(blocks, -1), whole, torch.float64, [(b, a)], x)
    assert_filtered(state, zf, torch.float64, [(b, a)], x)


def test_no_samples():
    for frames in (0, 1):
        b, a = torch.ones(3, frames, 2), torch.ones(3, frames, 1)
        y, zf = fb.lfilter(b, a, torch.ones(3, 0), zi=torch.ones(3, 1), hop=4)
        assert y.shape == (3, 0)
        torch.testing.assert_close(zf, torch.ones(3, 1), rtol=0, atol=0)


def test_compute_dtype():
    b, a = cases.numerator((3, 10), 3, torch.float32), cases.denominator((3, 10), 3, torch.float32, radius=0.6)
    x = torch.randn(3, 200)
    for interpolation in ("hold", "linear"):
        keywords = {"hop": 20, "interpolation": interpolation}
        y = fb.lfilter(b, a, x, compute_dtype=torch.float64, **keywords)
        y_true = reference.lfilter(b.double(), a.double(), x.double(), **keywords)
        assert y.dtype == torch.float32
        torch.testing.assert_close(y, y_true.float(), rtol=2e-7, atol=1e-12)
