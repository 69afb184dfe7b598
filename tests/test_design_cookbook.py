"""The cookbook against the bilinear transform of its analog prototypes, and against scipy's own designs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from closeness import assert_allclose
from scipy import signal
from torch import Tensor

import feedbackward as fb
from feedbackward import design

FS = 48000.0


def prototype(kind: str, q: float, gain_db: float) -> tuple[list[float], list[float]]:
    """H(s) of the docstrings, highest power first, at a corner of 1 rad/s."""
    A = 10 ** (gain_db / 40)
    root = math.sqrt(A) / q
    b, a = {
        "lowpass": ([1], [1, 1 / q, 1]),
        "highpass": ([1, 0, 0], [1, 1 / q, 1]),
        "bandpass": ([1 / q, 0], [1, 1 / q, 1]),
        "skirt": ([1, 0], [1, 1 / q, 1]),
        "notch": ([1, 0, 1], [1, 1 / q, 1]),
        "allpass": ([1, -1 / q, 1], [1, 1 / q, 1]),
        "peaking": ([1, A / q, 1], [1, 1 / (A * q), 1]),
        "lowshelf": ([A, A * root, A * A], [A, root, 1]),
        "highshelf": ([A * A, A * root, A], [1, root, A]),
    }[kind]
    return b, a


def make(kind: str, frequency: Tensor | float, q: Tensor | float, gain_db: Tensor | float, fs: float = FS) -> Tensor:
    if kind == "skirt":
        return design.bandpass(frequency, q, sample_rate=fs, constant="skirt")
    gain = (gain_db,) if kind in design.GAIN_KINDS else ()
    return design.KINDS[kind](frequency, q, *gain, sample_rate=fs)


ALL = [*design.KINDS, "skirt"]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("frequency", [20.0, 997.0, 12000.0, 23900.0])
@pytest.mark.parametrize(("q", "gain_db"), [(0.5, -12.0), (math.sqrt(0.5), 3.0), (30.0, 24.0)])
def test_is_the_bilinear_transform_of_its_prototype(kind: str, frequency: float, q: float, gain_db: float) -> None:
    b, a = prototype(kind, q, gain_db)
    expected = np.concatenate(signal.bilinear(b, a, fs=1 / (2 * math.tan(math.pi * frequency / FS))))
    # bilinear drops leading zeros of b
    expected = np.concatenate([np.zeros(6 - len(expected)), expected])
    row = make(kind, torch.tensor(frequency, dtype=torch.float64), q, gain_db).numpy(force=True)
    assert_allclose(row, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("frequency", [100.0, 5000.0])
def test_butterworth(frequency: float) -> None:
    for kind, name in (("lowpass", "low"), ("highpass", "high")):
        expected = signal.butter(2, frequency, name, fs=FS, output="sos")[0]
        row = make(kind, torch.tensor(frequency, dtype=torch.float64), design.BUTTERWORTH, 0.0)
        assert_allclose(row.numpy(force=True), expected, rtol=1e-9)


@pytest.mark.parametrize(("kind", "peer"), [("bandpass", signal.iirpeak), ("notch", signal.iirnotch)])
@pytest.mark.parametrize("frequency", [60.0, 6000.0, 22000.0])
def test_equals_scipy_when_the_bandwidth_is_the_same(kind: str, peer, frequency: float) -> None:
    ratio = 35.0
    q = design.q_from_bandwidth(torch.tensor(frequency, dtype=torch.float64), frequency / ratio, sample_rate=FS)
    expected = np.concatenate(peer(frequency, ratio, fs=FS))
    assert_allclose(make(kind, frequency, q, 0.0).numpy(force=True), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ALL)
def test_gain_where_the_docstring_says(kind: str) -> None:
    """At DC, at the corner, near Nyquist, in dB; None where there is nothing to say."""
    q, gain = 2.0, 9.0
    at = {
        "lowpass": (0.0, 20 * math.log10(q), None),
        "highpass": (None, 20 * math.log10(q), 0.0),
        "bandpass": (None, 0.0, None),
        "skirt": (None, 20 * math.log10(q), None),
        "notch": (0.0, None, 0.0),
        "allpass": (0.0, 0.0, 0.0),
        "peaking": (0.0, gain, 0.0),
        "lowshelf": (gain, gain / 2, 0.0),
        "highshelf": (0.0, gain / 2, gain),
    }[kind]
    sos = make(kind, torch.tensor([1000.0], dtype=torch.float64), q, gain)
    _, h = design.sosfreqz(sos, [0.0, 1000.0, FS / 2], fs=FS)
    for level, expected in zip(h.abs().tolist(), at, strict=True):
        if expected is None:
            continue
        assert 20 * math.log10(level) == pytest.approx(expected, abs=1e-6)


def test_silence_where_the_docstring_says() -> None:
    sos = torch.stack([design.notch(1000.0, 1.0, sample_rate=FS), design.highpass(1000.0, sample_rate=FS)])
    _, h = design.freqz(sos.double()[:, :3], sos.double()[:, 3:], [0.0, 1000.0], fs=FS)
    assert h[0, 1].abs() < 1e-4
    assert h[1, 0].abs() < 1e-12


@pytest.mark.parametrize("kind", ALL)
def test_arguments_broadcast(kind: str) -> None:
    frequency = torch.rand(4, 1, 1) * 20000 + 100
    q, gain = torch.rand(3, 1) + 0.3, torch.randn(2)
    row = make(kind, frequency, q, gain)
    has_gain = kind in design.GAIN_KINDS
    assert row.shape == ((4, 3, 2, 6) if has_gain else (4, 3, 1, 6))
    one = make(kind, frequency[2, 0, 0], q[1, 0], gain[1])
    torch.testing.assert_close(row[2, 1, 1 if has_gain else 0], one)


@pytest.mark.parametrize("kind", ALL)
def test_gradients(kind: str) -> None:
    values = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in ([0.13, 0.4], [0.8, 5.0], [3.0, -7.0])]

    def function(frequency: Tensor, q: Tensor, gain: Tensor) -> Tensor:
        return make(kind, frequency, q, gain, fs=1.0)

    used = values if kind in design.GAIN_KINDS else [*values[:2], values[2].detach()]
    assert torch.autograd.gradcheck(function, used)
    assert torch.autograd.gradgradcheck(function, used)


def test_dtype_follows_the_tensors() -> None:
    assert make("peaking", 100.0, 1.0, 3.0).dtype == torch.float32
    assert make("peaking", 100, 1, 3).dtype == torch.float32
    assert make("peaking", torch.tensor([100]), 1, 3).dtype == torch.float32
    assert make("peaking", 100.0, torch.tensor([1.0], dtype=torch.float64), 3.0).dtype == torch.float64
    assert make("peaking", np.array([100.0]), [1.0, 2.0], 3.0).dtype == torch.float64
    # a number keeps its precision beside a wider tensor
    exact = make("lowpass", 0.1, torch.tensor(1.0, dtype=torch.float64), 0.0, fs=1.0)
    assert exact[4].item() == pytest.approx(-2 * math.cos(0.2 * math.pi) / (1 + math.sin(0.2 * math.pi) / 2), rel=1e-15)


@pytest.mark.parametrize("kind", ALL)
def test_float32_stays_close_at_low_frequencies(kind: str) -> None:
    single = make(kind, torch.tensor([30.0]), torch.tensor([2.0]), torch.tensor([6.0]))
    double = make(kind, torch.tensor([30.0], dtype=torch.float64), 2.0, 6.0)
    torch.testing.assert_close(single.double(), double, rtol=3e-6, atol=1e-12)


@pytest.mark.parametrize("kind", ALL)
def test_vmap_and_compile(kind: str) -> None:
    frequency = torch.tensor([100.0, 1000.0, 23000.0])
    whole = make(kind, frequency, 2.0, 6.0)
    torch.testing.assert_close(torch.vmap(lambda f: make(kind, f, 2.0, 6.0))(frequency), whole)
    jacobian = torch.func.jacrev(lambda f: make(kind, f, 2.0, 6.0))(frequency)
    assert jacobian.shape == (3, 6, 3)


def test_compile_takes_one_graph() -> None:
    def function(f: Tensor, q: Tensor) -> Tensor:
        return design.peaking(f, q, 6.0, sample_rate=FS)

    f, q = torch.tensor([100.0, 1000.0]), torch.tensor([1.0, 2.0])
    torch.testing.assert_close(torch.compile(function, fullgraph=True, backend="aot_eager")(f, q), function(f, q))


def test_rows_stack_into_a_cascade() -> None:
    frequency = torch.tensor([100.0, 1000.0], dtype=torch.float64)
    sos = design.lowpass(frequency, sample_rate=FS).numpy(force=True)
    impulse = np.zeros(50)
    impulse[0] = 1
    expected = signal.lfilter(sos[1, :3], sos[1, 3:], signal.lfilter(sos[0, :3], sos[0, 3:], impulse))
    assert_allclose(signal.sosfilt(sos, impulse), expected, atol=1e-15)


def test_rows_go_straight_into_the_filters() -> None:
    x = torch.randn(2, 1, 90, dtype=torch.float64)
    frequency = torch.tensor([100.0, 1000.0, 9000.0], dtype=torch.float64)
    row = design.bandpass(frequency, 2.0, sample_rate=FS)
    bank = fb.sosfilt(row[:, None, :], x)
    assert bank.shape == (2, 3, 90)
    torch.testing.assert_close(fb.lfilter(row[:, :3], row[:, 3:], x), bank)
    moving = fb.sosfilt(row[:, None, :], x, hop=30)
    torch.testing.assert_close(moving[..., :30], bank[:, :1, :30])
    assert_allclose(bank[1, 2], signal.sosfilt(row[2:3].numpy(force=True), x[1, 0].numpy(force=True)), atol=1e-12)


NYQUIST = "expected values strictly between 0 and sample_rate / 2 = 24000 Hz"


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: design.lowpass(24000.0, sample_rate=FS), ValueError, f"lowpass: frequency holds 24000, {NYQUIST}"),
        (lambda: design.notch(0, sample_rate=FS), ValueError, f"notch: frequency holds 0, {NYQUIST}"),
        (
            lambda: design.highpass(torch.tensor([10.0, -3.0], device="cpu"), sample_rate=FS),
            ValueError,
            f"highpass: frequency holds -3, {NYQUIST}",
        ),
        (
            lambda: design.allpass(torch.tensor([10.0, math.nan], device="cpu"), sample_rate=FS),
            ValueError,
            f"allpass: frequency holds nan, {NYQUIST}",
        ),
        (
            lambda: design.bandpass(10.0, torch.tensor(0.0, device="cpu"), sample_rate=FS),
            ValueError,
            "bandpass: q holds 0, expected positive finite values",
        ),
        (
            lambda: design.peaking(10.0, 1.0, math.inf, sample_rate=FS),
            ValueError,
            "peaking: gain_db holds inf, expected finite values in dB",
        ),
        (
            lambda: design.bandpass(10.0, 1.0, sample_rate=FS, constant="gain"),
            ValueError,
            "bandpass: constant is 'gain', expected 'peak' or 'skirt'",
        ),
        (
            lambda: design.lowpass(10.0, sample_rate=0),
            ValueError,
            "lowpass: sample_rate is 0, expected a positive number in Hz",
        ),
        (
            lambda: design.lowpass(10.0, sample_rate="48k"),
            TypeError,
            "lowpass: sample_rate is a str, expected a number in Hz",
        ),
        (
            lambda: design.lowpass(1j, sample_rate=FS),
            TypeError,
            "lowpass: frequency promotes to torch.complex64, expected torch.float32 or torch.float64",
        ),
        (
            lambda: design.lowpass(torch.tensor(1.0).half(), sample_rate=FS),
            TypeError,
            "lowpass: frequency promotes to torch.float16, expected torch.float32 or torch.float64",
        ),
    ],
)
def test_errors(call, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value) == sentence


def test_what_cannot_be_read_is_trusted() -> None:
    assert design.lowpass(torch.empty(3, device="meta"), sample_rate=FS).shape == (3, 6)
    assert torch.vmap(lambda f: design.lowpass(f, sample_rate=FS))(torch.tensor([-1.0])).shape == (1, 6)
