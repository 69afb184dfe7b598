"""lfilter against scipy.signal and against the plain loop: values, shapes, layouts, states."""

from __future__ import annotations

import cases
import numpy as np
import pytest
import torch
import truth
from closeness import assert_filtered, eps, largest, near
from scipy import signal

import feedbackward as fb
from feedbackward import reference

DTYPES = pytest.mark.parametrize("dtype", cases.DTYPES, ids=str)


@DTYPES
@pytest.mark.parametrize("lanes", cases.LANES)
def test_any_length_and_number_of_lanes(dtype, lanes):
    b, a = cases.numerator((lanes,), 3, dtype), cases.denominator((lanes,), 3, dtype)
    for steps in cases.LENGTHS:
        x = torch.randn(lanes, steps, dtype=dtype)
        zi = torch.randn(lanes, 2, dtype=dtype)
        y, zf = fb.lfilter(b, a, x, zi=zi)
        y_true, zf_true = truth.lfilter(b, a, x, zi=zi)
        assert y.dtype == zf.dtype == dtype
        assert_filtered(y, y_true, dtype, [(b, a)], x, zi, f"y of {steps} samples")
        assert_filtered(zf, zf_true, dtype, [(b, a)], x, zi, f"zf of {steps} samples")


@DTYPES
@pytest.mark.parametrize("steps", cases.LONG_LENGTHS)
def test_one_long_signal(dtype, steps):
    """A single signal is cut in time; the state must cross every seam."""
    b, a = cases.numerator((), 3, dtype), cases.denominator((), 3, dtype, radius=0.98)
    x, zi = torch.randn(steps, dtype=dtype), torch.randn(2, dtype=dtype)
    y, zf = fb.lfilter(b, a, x, zi=zi)
    y_true, zf_true = truth.lfilter(b, a, x, zi=zi)
    assert_filtered(y, y_true, dtype, [(b, a)], x, zi)
    assert_filtered(zf, zf_true, dtype, [(b, a)], x, zi)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("b", "a"),
    [signal.butter(2, 0.01), signal.butter(6, 0.05), signal.butter(8, 0.1), signal.ellip(8, 0.5, 60, 0.2),
     ([1.0], [1.0, -1.0]), ([1.0], [1.0, -2 * 0.9999 * np.cos(0.1), 0.9999**2])],
    ids=["butter 2", "butter 6", "butter 8", "ellip 8", "integrator", "resonator"],
)  # fmt: skip
def test_cutting_time_costs_no_accuracy(b, a, dtype):
    """Ill conditioned filters: the error may be a few times that of scipy's loop over time in the same dtype."""
    b, a, x = torch.tensor(b, dtype=dtype), torch.tensor(a, dtype=dtype), torch.randn(50_000, dtype=dtype)
    exact = signal.lfilter(*(t.numpy(force=True).astype(np.longdouble) for t in (b, a, x)))
    loop = np.abs(signal.lfilter(b.numpy(force=True), a.numpy(force=True), x.numpy(force=True)) - exact).max()
    ours = np.abs(fb.lfilter(b, a, x).numpy(force=True) - exact).max()
    assert ours <= 8 * loop + eps(dtype) * np.abs(exact).max()


@pytest.mark.parametrize(("lanes", "steps"), [(2, 30011), (3, 20011), (7, 10007), (16, 10007), (17, 4999), (33, 4099)])
def test_a_few_long_signals(lanes, steps):
    b, a = cases.numerator((lanes,), 4), cases.denominator((lanes,), 4, radius=0.95)
    x, zi = torch.randn(lanes, steps, dtype=torch.float64), torch.randn(lanes, 3, dtype=torch.float64)
    y, zf = fb.lfilter(b, a, x, zi=zi)
    y_true, zf_true = truth.lfilter(b, a, x, zi=zi)
    assert_filtered(y, y_true, torch.float64, [(b, a)], x, zi)
    assert_filtered(zf, zf_true, torch.float64, [(b, a)], x, zi)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("na", range(1, 14))
def test_any_order(dtype, na):
    """FIR is na = 1, all-pole is nb = 1, a mere gain is both."""
    for nb in (1, 2, 3, 4, 5, 6, 9, 13):
        for lanes, steps in (((), 401), ((), 5003), ((3,), 130), ((20,), 129)):
            radius = 0.6 if na < 8 else 0.8 / na**0.4  # all-pole filters of high order have gains that grow with it
            b, a = cases.numerator(lanes, nb, dtype), cases.denominator(lanes, na, dtype, radius=radius)
            x = torch.randn(*lanes, steps, dtype=dtype)
            zi = torch.randn(*lanes, max(nb, na) - 1, dtype=dtype)
            y, zf = fb.lfilter(b, a, x, zi=zi)
            y_true, zf_true = truth.lfilter(b, a, x, zi=zi)
            assert_filtered(y, y_true, dtype, [(b, a)], x, zi, f"nb={nb} na={na} lanes={lanes}")
            assert_filtered(zf, zf_true, dtype, [(b, a)], x, zi, f"nb={nb} na={na} lanes={lanes}")
            assert_filtered(fb.lfilter(b, a, x), truth.lfilter(b, a, x), dtype, [(b, a)], x, note=f"nb={nb} na={na}")


@pytest.mark.parametrize("order", [16, 24, 33, 63, 64, 65, 130])
def test_a_very_high_order(order):
    a = torch.zeros(order + 1, dtype=torch.float64)
    a[0], a[-1] = 1, 0.5  # poles on a circle: as well conditioned as a comb
    b = cases.numerator((), order + 1)
    for shape in ((9001,), (5, 300), (40, 100)):
        x = torch.randn(shape, dtype=torch.float64)
        assert_filtered(fb.lfilter(b, a, x), truth.lfilter(b, a, x), torch.float64, [(b, a)], x)


@DTYPES
@pytest.mark.parametrize("pattern", cases.BROADCASTS, ids=lambda p: p.name)
def test_every_broadcast_pattern_at_every_dim(dtype, pattern):
    b, a = cases.numerator(pattern.b, 3, dtype), cases.denominator(pattern.a, 4, dtype)
    zi = torch.randn(*pattern.zi, 3, dtype=dtype)
    for steps in (1, 37, 300):
        for dim in range(-len(pattern.x) - 1, 0):
            x = torch.randn(cases.insert_time(pattern.x, steps, dim), dtype=dtype)
            y, zf = fb.lfilter(b, a, x, dim, zi)
            y_true, zf_true = truth.lfilter(b, a, x, dim, zi)
            assert y.shape == cases.insert_time(pattern.lead, steps, dim)
            assert zf.shape == (*pattern.lead, 3)
            assert_filtered(y, y_true, dtype, [(b, a)], x, zi, f"dim {dim}")
            assert_filtered(zf, zf_true, dtype, [(b, a)], x, zi, f"dim {dim}")
            torch.testing.assert_close(fb.lfilter(b, a, x, dim + x.ndim, zi)[0], y, rtol=0, atol=0)


@pytest.mark.parametrize("layout", cases.LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex128], ids=str)
def test_every_memory_layout(layout, dtype):
    """The layout changes how a value is reached, never the value: x, b, a and zi in turn, then all at once."""
    make = cases.LAYOUTS[layout]
    for lead, steps in (((), 300), ((3,), 129), ((2, 17), 65), ((40, 3), 33), ((1, 70), 20)):
        for dim in range(-len(lead) - 1, 0):
            plain = {
                "b": cases.numerator(lead, 3, dtype),
                "x": torch.randn(cases.insert_time(lead, steps, dim), dtype=dtype),
                "zi": torch.randn(*lead, 3, dtype=dtype),
            }
            strided = {
                "b": make((*lead, 3), -1, dtype),
                "x": make(cases.insert_time(lead, steps, dim), dim, dtype),
                "zi": make((*lead, 3), -1, dtype),
            }
            a = cases.denominator(lead, 4, dtype)
            a_strided = (
                torch.stack([a, a + 1], -1)[..., 0].mT.contiguous().mT if lead else torch.stack([a, a], -1)[:, 0]
            )
            for names in (("x",), ("b",), ("zi",), ("x", "b", "zi")):
                chosen = {**plain, **{name: strided[name] for name in names}}
                solid = {name: value.clone(memory_format=torch.contiguous_format) for name, value in chosen.items()}
                y, zf = fb.lfilter(chosen["b"], a_strided, chosen["x"], dim, chosen["zi"])
                y_true, zf_true = truth.lfilter(solid["b"], a, solid["x"], dim, solid["zi"])
                note = f"{names} {lead} dim {dim}"
                assert_filtered(y, y_true, dtype, [(solid["b"], a)], solid["x"], solid["zi"], note)
                assert_filtered(zf, zf_true, dtype, [(solid["b"], a)], solid["x"], solid["zi"], note)
                assert y.is_contiguous(), note


@DTYPES
@pytest.mark.parametrize("shape", [(4000,), (3, 700), (20, 700)])
def test_blocks_with_state_equal_the_whole(dtype, shape):
    b, a = cases.numerator(shape[:-1], 3, dtype), cases.denominator(shape[:-1], 5, dtype)
    x, zi = torch.randn(shape, dtype=dtype), torch.randn(*shape[:-1], 4, dtype=dtype)
    whole, zf_whole = fb.lfilter(b, a, x, zi=zi)
    blocks, state = [], zi
    for block in x.split([0, 1, 2, 61, 64, 65, 128, 0, 200, shape[-1] - 521], dim=-1):
        y, state = fb.lfilter(b, a, block, zi=state)
        blocks.append(y)
    assert_filtered(torch.cat(blocks, -1), whole, dtype, [(b, a)], x, zi)
    assert_filtered(state, zf_whole, dtype, [(b, a)], x, zi)


@DTYPES
@pytest.mark.parametrize("a0", [2.0, -0.25, 1e-3])
def test_a0_is_divided_out(dtype, a0):
    b, a = cases.numerator((3,), 3, dtype), cases.denominator((3,), 3, dtype, a0=a0)
    b = b * a0
    x, zi = torch.randn(2, 3, 200, dtype=dtype), torch.randn(3, 2, dtype=dtype)
    y, zf = fb.lfilter(b, a, x, zi=zi)
    y_true, zf_true = truth.lfilter(b, a, x, zi=zi)
    assert_filtered(y, y_true, dtype, [(b, a)], x, zi)
    assert_filtered(zf, zf_true, dtype, [(b, a)], x, zi)


def test_a_complex_a0_is_divided_out():
    b, a = cases.numerator((), 3, torch.complex128), cases.denominator((), 3, torch.complex128) * (0.3 - 2j)
    x = torch.randn(200, dtype=torch.complex128)
    assert_filtered(fb.lfilter(b, a, x), truth.lfilter(b, a, x), torch.complex128, [(b, a)], x)


def test_outputs_are_not_clamped():
    y = fb.lfilter(torch.tensor([1.0]), torch.tensor([1.0, -1.0]), torch.full((1000,), 50.0))
    torch.testing.assert_close(y, 50.0 * torch.arange(1, 1001), rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(0,), (4, 0), (0, 5), (0, 0), (3, 0, 2)])
def test_nothing_in_nothing_out(shape):
    b, a = torch.ones(2), torch.tensor([1.0, -0.5, 0.1])
    zi = torch.randn(*shape[:-1], 2)
    y, zf = fb.lfilter(b, a, torch.ones(shape), zi=zi)
    assert y.shape == shape
    assert zf.shape == (*shape[:-1], 2)
    if shape[-1] == 0:
        torch.testing.assert_close(zf, zi, rtol=0, atol=0)
        assert zf.numel() == 0 or zf.data_ptr() != zi.data_ptr()


def test_arguments_are_left_alone_and_results_are_fresh():
    arguments = [torch.ones(1), torch.ones(1), torch.randn(4, 100), torch.zeros(4, 0)]
    copies = [tensor.clone() for tensor in arguments]
    b, a, x, zi = arguments
    y, _ = fb.lfilter(b, a, x, zi=zi)
    assert y.data_ptr() != x.data_ptr()
    y.fill_(7)
    for tensor, copy in zip(arguments, copies, strict=True):
        torch.testing.assert_close(tensor, copy, rtol=0, atol=0)


@pytest.mark.parametrize("b_dtype", cases.DTYPES, ids=str)
@pytest.mark.parametrize("x_dtype", cases.DTYPES, ids=str)
def test_dtypes_promote_as_in_torch(b_dtype, x_dtype):
    b, a, x = torch.ones(2, dtype=b_dtype), torch.tensor([1, 0.5], dtype=torch.float32), torch.randn(50, dtype=x_dtype)
    zi = torch.zeros(1, dtype=torch.float32)
    y, zf = fb.lfilter(b, a, x, zi=zi)
    assert y.dtype == zf.dtype == torch.result_type(b, x)
    y_true = truth.lfilter(b, a, x)
    assert_filtered(y, y_true, y.dtype, [(b, a.to(b.dtype))], x)


@pytest.mark.parametrize("shape", [(20000,), (3, 9000), (40, 6000)])
def test_compute_dtype_keeps_poles_near_the_circle(shape):
    """Poles at radius 0.9999: the float32 signal is the rounded float64 one, which float32 arithmetic is far from."""
    pole = 0.9999 * torch.exp(torch.tensor(0.01j, dtype=torch.complex128))
    a = torch.stack([torch.ones((), dtype=torch.float64), -2 * pole.real, pole.abs() ** 2])
    b = torch.tensor([1e-4, 2e-4, 1e-4], dtype=torch.float64)
    x = torch.randn(shape)
    zi = torch.randn(*shape[:-1], 2, dtype=torch.float64)
    y, zf = fb.lfilter(b, a, x, zi=zi, compute_dtype=torch.float64)
    y_true, zf_true = truth.lfilter(b, a, x, zi=zi)
    assert y.dtype == torch.float32
    assert zf.dtype == torch.float64
    # The recursion's own error in float64 is far below one rounding to float32 of the largest value.
    near(y, y_true, eps(torch.float32) * largest(y_true))
    near(zf, zf_true, 1e-9 * largest(zf_true))
    plain = fb.lfilter(b.float(), a.float(), x)
    assert largest(plain.double() - truth.lfilter(b, a, x)) > 100 * eps(torch.float32) * largest(y_true)


@pytest.mark.parametrize(
    ("b_dtype", "x_dtype"), [(torch.float64, torch.complex64), (torch.complex64, torch.float32)], ids=str
)
def test_compute_dtype_becomes_complex_where_something_is(b_dtype, x_dtype):
    b, a, x = cases.numerator((), 3, b_dtype), cases.denominator((), 3, torch.float64), torch.randn(300, dtype=x_dtype)
    y, zf = fb.lfilter(b, a, x, zi=torch.zeros(2), compute_dtype=torch.float64)
    y_true, zf_true = truth.lfilter(b, a, x, zi=torch.zeros(2))
    assert (y.dtype, zf.dtype) == (torch.complex64, torch.complex128)
    near(y, y_true, 2 * eps(torch.float32) * largest(y_true))
    assert_filtered(zf, zf_true, torch.complex128, [(b, a.to(torch.complex128))], x)


def test_compute_dtype_for_complex_signals_and_single_coefficients():
    b, a = cases.numerator((5,), 3, torch.complex64), cases.denominator((5,), 3, torch.complex64)
    x = torch.randn(5, 400, dtype=torch.complex64)
    y, zf = fb.lfilter(b, a, x, zi=torch.zeros(5, 2), compute_dtype=torch.complex128)
    assert y.dtype == torch.complex64
    assert zf.dtype == torch.complex128
    y_true, zf_true = truth.lfilter(b, a, x, zi=torch.zeros(5, 2))
    near(y, y_true, 2 * eps(torch.float32) * largest(y_true))
    assert_filtered(zf, zf_true, torch.complex128, [(b, a)], x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("steps", [0, 1, 100, 300])
def test_reference_equals_scipy(dtype, steps):
    """The plain loop is itself held against scipy."""
    b, a = cases.numerator((3, 1), 3, dtype), cases.denominator((1, 4), 5, dtype, a0=2.0)
    x, zi = torch.randn(2, 1, steps, 1, dtype=dtype), torch.randn(4, 4, dtype=dtype)
    y, zf = reference.lfilter(b, a, x, -2, zi)
    y_true, zf_true = truth.lfilter(b, a, x, -2, zi)
    assert_filtered(y, y_true, dtype, [(b, a)], x, zi)
    assert_filtered(zf, zf_true, dtype, [(b, a)], x, zi)
