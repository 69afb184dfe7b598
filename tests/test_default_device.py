"""torch's default device is for tensors of the user's: what the library makes is where what it was given is.

The default here is ``meta``, whose tensors have no values: one of them in a computation would be seen.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

import feedbackward as fb


def _hop(x: Tensor) -> Tensor:
    sos = fb.design.lowpass(x[:4, 0, 0].abs() * 100 + 10, q=0.7, sample_rate=1000)
    return fb.sosfilt(sos.unsqueeze(-2), x[:, 0, 0], hop=2, interpolation="linear")


def _steady(x: Tensor) -> Tensor:
    """Filtered as if the first samples had been there forever, and from past ones."""
    b, a = x.new_tensor([0.5, 0.2, 0.1]), x.new_tensor([1.0, -0.3, 0.2])
    sos, x = torch.cat([b, a])[None], x.movedim(0, -1)
    forever = fb.lfilter(b, a, x, zi=fb.lfilter_zi(b, a) * x[..., :1])[0]
    return fb.sosfiltfilt(sos, forever, padlen=3) + fb.lfilter(b, a, x, zi=fb.lfiltic(b, a, x[..., :2], x[..., :2]))[0]


def _modules(x: Tensor) -> Tensor:
    sections = fb.nn.SOSFilter(2, device=x.device, dtype=x.dtype)
    direct = fb.nn.LFilter.from_ba([0.5], [1.0, -0.2], device=x.device, dtype=x.dtype)
    return direct(sections(x, None)[0], None)[0]


def _bank(x: Tensor) -> Tensor:
    bank = fb.nn.FilterBank(3, 1000, device=x.device, dtype=x.dtype)
    bank.initialize([100.0, 200.0, 300.0], 50.0)
    return bank(x, None)[0]


def _response(x: Tensor) -> Tensor:
    b, a = fb.design.sos2tf(fb.design.tf2sos(x[:3, 0, 0], [1.0, 0.2, 0.1]))
    return fb.design.freqz(b, a, [0.1, 0.2])[1].abs() + fb.design.group_delay((x[:3, 0, 1], a), 2)[1]


def _scan(x: Tensor) -> Tensor:
    def cell(h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.softmax(0.5 * h.roll(1, -1) + x, -1).flip(-1)
        return h, torch.stack([h, x], -1)

    return fb.scan(cell, torch.zeros_like(x[0]), x)[1]


def _moving(x: Tensor) -> Tensor:
    """What becomes tables of a program: positions, slices, a band."""
    weight = x.new_full((3, 5), 0.3)

    def cell(h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(fb.band_matmul(h[:, x.new_tensor([2, 0, 1, 4, 3]).long()], weight, 1, 1) + x)
        return h, h[:, 1:]

    return fb.scan(cell, torch.zeros_like(x[0]), x)[1]


def _layer(make: Callable[..., torch.nn.Module]) -> Callable[[Tensor], Tensor]:
    def call(x: Tensor) -> Tensor:
        layer = make(5, 4, device=x.device, dtype=x.dtype)
        for weight in layer.parameters():
            weight.data.fill_(0.1)
        return layer(x, lengths=[7, 3])[0]

    return call


def _packed(x: Tensor) -> Tensor:
    packed = pack_padded_sequence(x, torch.tensor([7, 3], device="cpu"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = fb.nn.RNN(5, 4, device="cpu", dtype=x.dtype).to(x.device)
    return layer(packed)[0].data


def _far(x: Tensor) -> Tensor:
    """The spectral radius of a matrix that is too large for its eigenvalues, and signs."""
    banded, diagonal, weight = fb.Banded(0), fb.Diagonal(), x.new_full((1, 1025), 0.5)
    signs = x.new_zeros(9)
    diagonal.orthogonal_(signs)
    return banded.spectral_radius(weight) + signs.abs().sum() + 0 * x.sum()


CALLS: dict[str, Callable[[Tensor], Tensor]] = {
    "lfilter": lambda x: fb.lfilter(x.new_tensor([0.5, 0.2]), x.new_tensor([1.0, -0.3]), x, dim=0),
    "filtfilt": lambda x: fb.filtfilt(x.new_tensor([0.5, 0.2]), x.new_tensor([1.0, -0.3]), x, dim=0),
    "hop": _hop,
    "steady": _steady,
    "modules": _modules,
    "bank": _bank,
    "response": _response,
    "linear_recurrence": lambda x: fb.linear_recurrence(0.9, x, dim=0),
    "band_matmul": lambda x: fb.band_matmul(x, x[:3, 0], lower=1, upper=1),
    "scan": _scan,
    "moving": _moving,
    "RNN": _layer(fb.nn.RNN),
    "GRU": _layer(fb.nn.GRU),
    "LSTM": _layer(fb.nn.LSTM),
    "packed": _packed,
    "spectral_radius": _far,
}


@pytest.mark.parametrize("name", CALLS)
def test_nothing_of_the_librarys_is_on_it(name: str) -> None:
    x = torch.randn(7, 2, 5, dtype=torch.float64, requires_grad=True)
    results = []
    for default in ("meta", "cpu", x.device):  # meta first: what is made once is made then
        with torch.device(default):
            y = CALLS[name](x)
            (d_x,) = torch.autograd.grad(y.sum(), x, allow_unused=True)
        results.append((y, d_x))
    torch.testing.assert_close(results[0], results[-1], rtol=0, atol=0)
    torch.testing.assert_close(results[1], results[-1], rtol=0, atol=0)


def test_sections_are_where_the_polynomials_are() -> None:
    for device in (None, "cpu"):
        b = torch.tensor([1.0, 0.5], device=device)
        assert fb.design.tf2sos(b, [1.0, 0.2]).device == b.device


def test_what_a_cell_makes_is_on_it() -> None:
    x = torch.randn(7, 2, 5)

    def cell(h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        h = 0.5 * h + x * torch.arange(5)
        return h, h

    wanted = fb.scan(cell, torch.zeros(2, 5), x, backend="eager")
    torch.testing.assert_close(fb.scan(cell, torch.zeros(2, 5), x), wanted)
    with torch.device("meta"), pytest.raises(RuntimeError, match="meta"):
        fb.scan(cell, torch.zeros_like(x[0]), x)


def test_modules_without_values_yet() -> None:
    with torch.device("meta"):
        modules = (
            fb.nn.FilterBank(3, 1000),
            fb.nn.SOSFilter(3),
            fb.nn.LFilter(3),
            fb.nn.GRU(3, 2),
            fb.nn.BandRNN(3, 9, 2),
        )
    assert {p.device.type for module in modules for p in module.parameters()} == {"meta"}


def test_values_out_of_range_are_seen_wherever_numbers_go() -> None:
    with torch.device("meta"), pytest.raises(ValueError, match="frequency holds 900"):
        fb.design.lowpass([100.0, 900.0], sample_rate=1000)
