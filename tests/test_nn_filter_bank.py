"""FilterBank: the filters that it says, over streams, under training, saved, moved and compiled."""

from __future__ import annotations

import copy
import io
import math
import pickle

import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor

from feedbackward import design
from feedbackward.nn import FilterBank

FS = 16000


def by_scipy(bank: FilterBank, x: Tensor) -> Tensor:
    sos = bank.to_sos().detach().double().numpy(force=True)
    return torch.as_tensor(np.stack([signal.sosfilt(one, x.double().numpy(force=True)) for one in sos], axis=-2))


@pytest.mark.parametrize("kind", design.KINDS)
def test_output_is_scipys(kind: str) -> None:
    bank = FilterBank(5, FS, kind, gain_db=6.0, dtype=torch.float64)
    x = torch.randn(2, 3, 200, dtype=torch.float64)
    y = bank(x)
    assert y.shape == (2, 3, 5, 200)
    torch.testing.assert_close(y, by_scipy(bank, x), rtol=1e-9, atol=1e-9)


def test_float32_and_compute_dtype() -> None:
    x = torch.randn(300)
    single = FilterBank(6, FS, low=20.0)
    wide = FilterBank(6, FS, low=20.0, compute_dtype=torch.float64)
    assert single(x).dtype == wide(x).dtype == torch.float32
    assert wide.to_sos().dtype == wide.initial_state().dtype == wide(x, None)[1].dtype == torch.float64
    torch.testing.assert_close(wide(x).double(), by_scipy(wide, x), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(single(x).double(), by_scipy(single, x), rtol=1e-3, atol=1e-3)


def test_bands_start_out_tiling_the_range() -> None:
    bank = FilterBank(12, FS, low=100.0, high=4000.0, scale="erb", dtype=torch.float64)
    torch.testing.assert_close(bank.frequency.float(), design.space(100.0, 4000.0, 12, "erb"))
    torch.testing.assert_close(bank.bandwidth.float(), design.bandwidths(100.0, 4000.0, 12, "erb"))


@pytest.mark.parametrize("scale", design.SCALES)
@pytest.mark.parametrize("filters", [1, 128])
def test_every_scale_up_to_nyquist(scale: str, filters: int) -> None:
    bank = FilterBank(filters, FS, low=0.0, scale=scale)
    assert (design.pole_radius(bank.to_sos()[..., 3:]) < 1).all()
    assert bank(torch.randn(10)).shape == (filters, 10)


@pytest.mark.parametrize("kind", design.KINDS)
@pytest.mark.parametrize("raw", [-1e30, -30.0, 30.0, 1e30])
@pytest.mark.parametrize("raw_bandwidth", [-1e30, 1e30])
def test_any_weight_is_a_valid_stable_filter(kind: str, raw: float, raw_bandwidth: float) -> None:
    bank = FilterBank(2, FS, kind, low=0.0, gain_db=12.0)
    with torch.no_grad():
        bank.raw_frequency.fill_(raw)
        bank.raw_bandwidth.fill_(raw_bandwidth)
    assert ((bank.frequency > 0) & (bank.frequency < FS / 2)).all()
    assert ((bank.bandwidth > 0) & (bank.bandwidth < FS / 2)).all()
    assert (design.pole_radius(bank.to_sos()[..., 3:].double()) < 1).all()


@pytest.mark.parametrize("compute_dtype", [None, torch.float64])
def test_block_by_block_equals_the_whole(compute_dtype: torch.dtype | None) -> None:
    bank = FilterBank(4, FS, compute_dtype=compute_dtype)
    x = torch.randn(2, 257)
    whole, last = bank(x, None)
    torch.testing.assert_close(bank(x), whole, rtol=0, atol=0)
    state, blocks = bank.initial_state(), []
    for block in x.split([1, 0, 64, 100, 92], dim=-1):
        y, state = bank(block, state)
        blocks.append(y)
    torch.testing.assert_close(torch.cat(blocks, dim=-1), whole, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(state, last, rtol=1e-5, atol=1e-6)
    assert state.shape == (2, 4, 1, 2)


def test_truncated_back_propagation_stops_at_the_state() -> None:
    bank = FilterBank(3, FS)
    first = torch.randn(50, requires_grad=True)
    _, state = bank(first, None)
    y, _ = bank(torch.randn(50), state.detach())
    y.square().mean().backward()
    assert first.grad is None
    assert bank.raw_frequency.grad.abs().min() > 0
    y, _ = bank(torch.randn(50), state)
    assert torch.autograd.grad(y.square().mean(), first)[0].abs().max() > 0


@pytest.mark.parametrize("kind", design.KINDS)
def test_gradients_reach_every_weight(kind: str) -> None:
    bank = FilterBank(3, FS, kind, gain_db=6.0)
    target = torch.randn(3, 100)
    (bank(torch.randn(100)) - target).square().mean().backward()
    for name, weight in bank.named_parameters():
        assert torch.isfinite(weight.grad).all(), name
        assert (weight.grad != 0).all(), name


def test_gradcheck_through_the_weights() -> None:
    bank = FilterBank(2, FS, "peaking", gain_db=3.0, dtype=torch.float64)
    x = torch.randn(20, dtype=torch.float64)
    names, weights = zip(*bank.named_parameters(), strict=True)

    def run(*values: Tensor) -> Tensor:
        return torch.func.functional_call(bank, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, tuple(weights))


def test_training_recovers_the_center_frequencies_of_a_target() -> None:
    centers, widths = torch.tensor([500.0, 1500.0]), torch.tensor([150.0, 400.0])
    target = FilterBank(2, FS)
    target.initialize(centers, widths)
    bank = FilterBank(2, FS)
    bank.initialize(centers * torch.tensor([1.15, 0.9]), 300.0)
    x = torch.randn(4, 300)
    with torch.no_grad():
        wanted = target(x)
    optimizer = torch.optim.Adam(bank.parameters(), lr=0.03)
    losses = []
    for _ in range(80):
        optimizer.zero_grad()
        loss = (bank(x) - wanted).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 1e-2 * losses[0]
    torch.testing.assert_close(bank.frequency.detach(), centers, rtol=0.02, atol=0)
    torch.testing.assert_close(bank.bandwidth.detach(), widths, rtol=0.1, atol=0)


def test_initialize_round_trips() -> None:
    bank = FilterBank(3, FS, "peaking", dtype=torch.float64)
    frequency = torch.tensor([60.0, 440.0, 7900.0], dtype=torch.float64)
    bank.initialize(frequency, bandwidth=[1.0, 50.0, 7000.0], gain_db=-3.0)
    torch.testing.assert_close(bank.frequency, frequency)
    torch.testing.assert_close(bank.bandwidth, torch.tensor([1.0, 50.0, 7000.0], dtype=torch.float64))
    assert (bank.gain_db == -3).all()
    bank.initialize(gain_db=2.0)
    torch.testing.assert_close(bank.frequency, frequency)


def test_state_dict_copies_and_pickles() -> None:
    bank = FilterBank(4, FS, compute_dtype=torch.float64)
    bank.initialize(bandwidth=77.0)
    assert list(bank.state_dict()) == ["raw_frequency", "raw_bandwidth"]
    assert "gain_db" in FilterBank(4, FS, "lowshelf").state_dict()
    x = torch.randn(40)
    file = io.BytesIO()
    torch.save(bank.state_dict(), file)
    file.seek(0)
    loaded = FilterBank(4, FS, compute_dtype=torch.float64)
    loaded.load_state_dict(torch.load(file, weights_only=True))
    for other in (loaded, copy.deepcopy(bank), pickle.loads(pickle.dumps(bank))):
        torch.testing.assert_close(other(x), bank(x), rtol=0, atol=0)
        assert other.raw_frequency is not bank.raw_frequency


def test_dtype_moves() -> None:
    bank = FilterBank(4, FS)
    before = bank.frequency.double()
    bank.double()
    torch.testing.assert_close(bank.frequency, before, rtol=1e-5, atol=0)
    assert bank(torch.randn(10, dtype=torch.float64)).dtype == torch.float64
    assert bank.initial_state().dtype == torch.float64
    assert FilterBank(4, FS, device="meta").to_sos().device.type == "meta"


def test_repr() -> None:
    assert repr(FilterBank(8, FS)) == (
        "FilterBank(8, sample_rate=16000, kind='bandpass', low=50, high=8000, scale='mel')"
    )
    assert "compute_dtype=torch.float64" in repr(FilterBank(8, FS, compute_dtype=torch.float64))


def test_coefficients_compile_in_one_graph() -> None:
    bank = FilterBank(4, FS, "peaking", gain_db=3.0)
    sos = torch.compile(bank.to_sos, fullgraph=True, backend="aot_eager")()
    torch.testing.assert_close(sos, bank.to_sos())


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: FilterBank(0, FS), ValueError, "FilterBank: filters is 0, expected at least 1"),
        (lambda: FilterBank(2.0, FS), TypeError, "FilterBank: filters is a float, expected an integer"),
        (
            lambda: FilterBank(2, -1.0),
            ValueError,
            "FilterBank: sample_rate is -1.0, expected a positive number in Hz",
        ),
        (
            lambda: FilterBank(2, FS, "comb"),
            ValueError,
            "FilterBank: kind is 'comb', expected one of lowpass, highpass, bandpass, notch, allpass, peaking, "
            "lowshelf, highshelf",
        ),
        (
            lambda: FilterBank(2, FS, high=9000.0),
            ValueError,
            "FilterBank: low and high are 50 and 9000 Hz, expected 0 <= low < high <= sample_rate / 2 = 8000 Hz",
        ),
        (
            lambda: FilterBank(2, FS, scale="meal"),
            ValueError,
            "FilterBank: scale is 'meal', expected one of mel, mel_htk, erb, bark, octave, linear",
        ),
        (
            lambda: FilterBank(2, FS, dtype=torch.float16),
            TypeError,
            "FilterBank: dtype is torch.float16, expected torch.float32 or torch.float64",
        ),
        (
            lambda: FilterBank(2, FS, compute_dtype=torch.int64),
            TypeError,
            "FilterBank: compute_dtype is torch.int64, expected a real or complex dtype of 32 or 64 bits",
        ),
        (
            lambda: FilterBank(2, FS).initialize(frequency=20.0),
            ValueError,
            "FilterBank: frequency holds 20, expected values between 50 and 7992",
        ),
        (
            lambda: FilterBank(2, FS).initialize(bandwidth=[1.0, 2.0, 3.0]),
            ValueError,
            "FilterBank: bandwidth has shape (3,), expected () or (2,)",
        ),
        (
            lambda: FilterBank(2, FS).initialize(gain_db=1.0),
            ValueError,
            "FilterBank: gain_db is given, expected None: a bandpass has no gain",
        ),
        (lambda: FilterBank(2, FS)([1.0]), TypeError, "FilterBank: x is a list, expected a tensor (..., T)"),
        (lambda: FilterBank(2, FS)(torch.tensor(1.0)), ValueError, "FilterBank: x has no axis, expected (..., T)"),
    ],
)
def test_errors(call, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value) == sentence


@pytest.mark.cpu  # on a GPU nobody waits for numbers to look at them
def test_a_diverged_weight_is_named() -> None:
    bank = FilterBank(2, FS)
    with torch.no_grad():
        bank.raw_frequency[1] = math.nan
    with pytest.raises(ValueError, match="frequency holds nan"):
        bank(torch.randn(10))


def test_compiles_in_one_graph_with_gradients() -> None:
    bank = FilterBank(4, FS)
    compiled = torch.compile(bank, fullgraph=True, backend="aot_eager")
    x = torch.randn(2, 40)
    torch.testing.assert_close(compiled(x), bank(x))
    torch.testing.assert_close(compiled(x, None), bank(x, None))
    compiled(x).square().mean().backward()
    assert bank.raw_frequency.grad.abs().min() > 0


def test_x_is_not_copied() -> None:
    """Case 1: the state of autograd holds x once, not once per filter."""
    bank = FilterBank(64, FS)
    x = torch.randn(2, 1000, requires_grad=True)
    saved: list[int] = []

    def remember(tensor: Tensor) -> Tensor:
        saved.append(tensor.untyped_storage().nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
        bank(x)
    assert max(saved) <= max(x.untyped_storage().nbytes(), 64 * 6 * 4 * 4)
