"""lfilter and sosfilt on the device against the plain loop: shapes, lengths, layouts, orders, frames, dtypes."""

from __future__ import annotations

import cases
import pytest
import torch
from comparing import compare

from feedbackward.triton import segments


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    """Segments of 16 samples and groups of 2, so that short signals have many of both."""
    monkeypatch.setattr(segments, "SHORTEST", 16)
    monkeypatch.setattr(segments, "GROUP", 2)


def filters(lead_b, lead_a, nb, na, dtype=torch.float64, a0=2.0):
    return {"b": cases.numerator(lead_b, nb, dtype), "a": cases.denominator(lead_a, na, dtype, radius=0.7, a0=a0)}


@pytest.mark.parametrize("pattern", cases.BROADCASTS, ids=lambda p: p.name)
def test_every_broadcast_pattern(device, pattern):
    steps, dim = (18, -1) if len(pattern.lead) < 2 else (9, -len(pattern.x) - 1)
    inputs = filters(pattern.b, pattern.a, 2, 3) | {
        "x": torch.randn(cases.insert_time(pattern.x, steps, dim), dtype=torch.float64),
        "zi": torch.randn(*pattern.zi, 2, dtype=torch.float64),
    }
    compare(device, lambda f, b, a, x, zi: f.lfilter(b, a, x, dim, zi), inputs)


@pytest.mark.parametrize("steps", [0, 1, 7, 8, 9, 15, 16, 17, 33, 53])
def test_every_length(device, steps):
    inputs = filters((3,), (3,), 3, 3) | {"x": torch.randn(3, steps).double(), "zi": torch.randn(3, 2).double()}
    compare(device, lambda f, b, a, x, zi: f.lfilter(b, a, x, zi=zi), inputs)


@pytest.mark.parametrize(("dtype", "steps"), [*zip(cases.DTYPES, (20, 19, 17, 18), strict=True)], ids=str)
def test_every_dtype(device, dtype, steps):
    inputs = filters((2,), (2,), 3, 2, dtype) | {"x": torch.randn(2, steps, dtype=dtype)}
    compare(device, lambda f, b, a, x: f.lfilter(b, a, x), inputs)


def test_a_wider_dtype_inside(device):
    inputs = filters((2,), (2,), 3, 3, torch.float32) | {"x": torch.randn(2, 40)}
    compare(device, lambda f, b, a, x: f.lfilter(b, a, x, compute_dtype=torch.float64), inputs)


@pytest.mark.parametrize("layout", cases.LAYOUTS)
def test_every_memory_layout(device, layout):
    make = cases.LAYOUTS[layout]
    for dtype, dim in ((torch.float64, -1), (torch.complex128, -2)):
        x = make(cases.insert_time((3,), 12, dim), dim, dtype)
        b, a = filters((3,), (3,), 2, 2, dtype).values()
        compare(device, lambda f, b, a, x=x, dim=dim: f.lfilter(b, a, x.to(b.device), dim), {"b": b, "a": a})


@pytest.mark.parametrize(("nb", "na"), [(1, 1), (4, 1), (1, 3), (2, 5), (6, 2), (10, 10)])
def test_any_order(device, nb, na):
    inputs = filters((), (), nb, na) | {"x": torch.randn(18).double(), "zi": torch.randn(max(nb, na) - 1).double()}
    compare(device, lambda f, b, a, x, zi: f.lfilter(b, a, x, zi=zi), inputs)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_any_number_of_sections(device, count):
    sos = cases.sections((2,), count, radius=0.6)
    inputs = {"sos": sos, "x": torch.randn(2, 18).double(), "zi": torch.randn(2, count, 2).double()}
    compare(device, lambda f, sos, x, zi: f.sosfilt(sos, x, zi=zi), inputs)


@pytest.mark.parametrize(
    "hop",
    [cases.Hop(steps, hop, kind, extra) for steps, hop in ((18, 1), (33, 7), (32, 16), (9, 1000))
     for kind, extra in (("hold", 0), ("linear", 0), ("linear", 1))],
    ids=str,
)  # fmt: skip
def test_coefficients_that_move(device, hop):
    inputs = filters((2, hop.frames), (2, hop.frames), 2, 3) | {
        "x": torch.randn(2, hop.steps).double(),
        "zi": torch.randn(2, 2).double(),
    }
    keywords = {"hop": hop.hop, "interpolation": hop.interpolation}
    compare(device, lambda f, b, a, x, zi: f.lfilter(b, a, x, zi=zi, **keywords), inputs)


def test_coefficients_of_which_some_move(device):
    for b_frames, a_frames in ((1, 3), (3, 1)):
        inputs = filters((b_frames,), (3, a_frames), 3, 3) | {"x": torch.randn(24).double()}
        compare(device, lambda f, b, a, x: f.lfilter(b, a, x, hop=8), inputs)


@pytest.mark.parametrize("lanes", [16, 130])
@pytest.mark.parametrize("dim", [-1, -3])
def test_the_gradient_of_a_signal_that_many_filters_share(device, lanes, dim):
    shape = cases.insert_time((2, 1), 18, dim)
    inputs = filters((lanes,), (lanes,), 3, 3) | {"x": torch.randn(shape, dtype=torch.float64)}
    compare(device, lambda f, b, a, x: f.lfilter(b, a, x, dim), inputs)


def test_only_what_is_wanted(device):
    b, a = (t.to(device) for t in filters((2,), (2,), 3, 3).values())
    x = torch.randn(2, 12, device=device, dtype=torch.float64)
    operator = torch.ops.feedbackward.cascade_backward
    state = torch.zeros(2, 1, 2, device=device, dtype=torch.float64)
    arguments = (x, state, x, b[:, None], a[:, None, 1:], state, -1, 0, False)
    everything = operator(*arguments, 15)
    for wanted in range(16):
        for i, (gradient, whole) in enumerate(zip(operator(*arguments, wanted), everything, strict=True)):
            if wanted >> i & 1:
                torch.testing.assert_close(gradient, whole, rtol=1e-12, atol=1e-12)
            else:
                assert gradient.numel() == 0
