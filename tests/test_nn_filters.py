"""SOSFilter and LFilter: scipy's output, round trips, streams, training, stability, saving."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor

from feedbackward import design
from feedbackward.nn import LFilter, SOSFilter

SOS = signal.ellip(6, 1, 60, 0.3, output="sos")
BA = signal.cheby1(4, 1, 0.2)


def modules(dtype: torch.dtype = torch.float64) -> dict[str, SOSFilter | LFilter]:
    return {
        "new cascade": SOSFilter(3, dtype=dtype),
        "given cascade": SOSFilter.from_sos(SOS, dtype=dtype),
        "cascades": SOSFilter.from_sos(np.stack([SOS, SOS * 0.9]), dtype=dtype),
        "new filter": LFilter(3, dtype=dtype),
        "fir": LFilter.from_ba(signal.firwin(6, 0.2), [1.0], dtype=dtype),
        "all-pole": LFilter.from_ba([0.1], [1.0, -0.9], dtype=dtype),
        "long numerator": LFilter(1, 4, dtype=dtype),
        "given filter": LFilter.from_ba(*BA, dtype=dtype),
        "filters": LFilter.from_ba(np.stack([BA[0], 2 * BA[0]]), 3 * BA[1], dtype=dtype),
    }


NAMES = list(modules())


def by_scipy(module: SOSFilter | LFilter, x: Tensor) -> Tensor:
    """Filter the (2, T) signal with what the module says its coefficients are."""
    if isinstance(module, SOSFilter):
        rows = module.to_sos().numpy(force=True).reshape(-1, module.sections, 6)
        pairs = [lambda row, sos=sos: signal.sosfilt(sos, row) for sos in rows]
    else:
        b, a = (c.numpy(force=True).reshape(-1, c.shape[-1]) for c in module.to_ba())
        pairs = [lambda row, b=b[i], a=a[i]: signal.lfilter(b, a, row) for i in range(len(b))]
    return torch.as_tensor(np.stack([pairs[i % len(pairs)](row) for i, row in enumerate(x.numpy(force=True))]))


@pytest.mark.parametrize("name", NAMES)
def test_output_is_scipys(name: str) -> None:
    module = modules()[name]
    x = torch.randn(2, 150, dtype=torch.float64)
    torch.testing.assert_close(module(x), by_scipy(module, x), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_block_by_block_equals_the_whole(name: str) -> None:
    module = modules()[name]
    x = torch.randn(3, 2, 130, dtype=torch.float64)
    whole, last = module(x, None)
    torch.testing.assert_close(module(x), whole, rtol=0, atol=0)
    state, blocks = module.initial_state(), []
    for block in x.split([1, 0, 60, 69], dim=-1):
        y, state = module(block, state)
        blocks.append(y)
    torch.testing.assert_close(torch.cat(blocks, dim=-1), whole, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(state, last, rtol=1e-9, atol=1e-9)
    assert state.shape == (3, 2, *module.initial_state().shape[len(module.shape) :])


@pytest.mark.parametrize("name", NAMES)
def test_copies_pickles_and_state_dicts(name: str) -> None:
    module = modules()[name]
    x = torch.randn(2, 20, dtype=torch.float64)
    loaded = copy.deepcopy(module)
    with torch.no_grad():
        for weight in loaded.parameters():
            weight.zero_()
    assert list(module.state_dict()) == (["mix", "raw_a"] if isinstance(module, SOSFilter) else ["b", "raw_a"])
    loaded.load_state_dict(module.state_dict())
    for other in (loaded, pickle.loads(pickle.dumps(module))):
        torch.testing.assert_close(other(x), module(x), rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(), (2,), (3, 2)])
def test_new_modules_are_the_identity(shape: tuple[int, ...]) -> None:
    x = torch.randn(3, 2, 100)
    for module in (SOSFilter(6, shape=shape), SOSFilter(6, shape=shape, max_radius=0.9), LFilter(5, shape=shape)):
        torch.testing.assert_close(module(x), x, rtol=1e-3, atol=1e-4)


def test_sections_of_a_new_cascade_learn_different_things() -> None:
    module = SOSFilter(3)
    (module(torch.randn(200)) - torch.randn(200)).square().mean().backward()
    gradient = module.raw_a.grad
    assert (gradient[1:] - gradient[:-1]).abs().min() > 0
    assert module.mix.grad.abs().min() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("compute_dtype", [None, torch.float64])
def test_from_sos_round_trips_to_rounding(dtype: torch.dtype, compute_dtype: torch.dtype | None) -> None:
    eps = torch.finfo(dtype).eps
    for sos in (SOS, signal.butter(4, 1e-2, "high", output="sos"), 2.5 * SOS):
        module = SOSFilter.from_sos(sos, dtype=dtype, compute_dtype=compute_dtype)
        expected = torch.as_tensor(sos / sos[:, 3:4])
        back = module.to_sos().detach().double()
        torch.testing.assert_close(back, expected, rtol=8 * eps, atol=8 * eps)


def test_from_sos_is_accurate_with_float32_weights_and_float64_inside() -> None:
    """The raw weights resolve poles near the circle better than float32 coefficients could."""
    sos = signal.butter(2, 1e-4, "high", output="sos")
    module = SOSFilter.from_sos(sos, compute_dtype=torch.float64)
    _, h = design.sosfreqz(module.to_sos().detach(), [3e-4])
    _, expected = signal.sosfreqz(sos, [3e-4])
    np.testing.assert_allclose(h.abs().numpy(force=True), np.abs(expected), rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("max_radius", [1.0, 0.99])
def test_from_ba_round_trips_to_rounding(dtype: torch.dtype, max_radius: float) -> None:
    for b, a in (BA, (BA[0], 3 * BA[1]), ([1.0, 2.0], [4.0]), ([0.5], [1.0, 0.0, 0.0, 0.3])):
        module = LFilter.from_ba(b, a, dtype=dtype, max_radius=max_radius)
        got_b, got_a = module.to_ba()
        tolerance = 100 * torch.finfo(dtype).eps
        for got, given in ((got_b, b), (got_a, a)):
            expected = torch.as_tensor(given, dtype=torch.float64) / a[0]
            torch.testing.assert_close(got.detach().double(), expected, rtol=tolerance, atol=tolerance)


def test_to_sos_of_a_direct_form() -> None:
    module = LFilter.from_ba(*BA, dtype=torch.float64)
    h = design.sosfreqz(module.to_sos())[1].numpy(force=True)
    np.testing.assert_allclose(h, signal.freqz(*BA)[1], atol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e30])
@pytest.mark.parametrize("max_radius", [1.0, 0.95])
def test_no_weight_is_unstable(scale: float, max_radius: float) -> None:
    module = SOSFilter(50, max_radius=max_radius)
    with torch.no_grad():
        module.raw_a.normal_().mul_(scale)
    assert (design.pole_radius(module.to_sos()[..., 3:].double()) < max_radius).all()


def test_training_learns_an_equalizer() -> None:
    fs = 8000
    wanted = torch.stack(
        [design.peaking(500.0, 1.0, 9.0, sample_rate=fs), design.peaking(2000.0, 2.0, -9.0, sample_rate=fs)]
    )
    x = torch.randn(4, 300)
    target = SOSFilter.from_sos(wanted)(x).detach()
    module = SOSFilter(2)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.03)
    losses = []
    for _ in range(500):
        optimizer.zero_grad()
        loss = (module(x) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 1e-3 * losses[0]


def test_gradcheck_through_the_weights() -> None:
    x = torch.randn(15, dtype=torch.float64)
    for module in (SOSFilter(2, max_radius=0.9, dtype=torch.float64), LFilter(3, dtype=torch.float64)):
        names, weights = zip(*module.named_parameters(), strict=True)

        def run(*values: Tensor, module=module, names=names) -> Tensor:
            return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (x,))

        assert torch.autograd.gradcheck(run, tuple(weights))


def test_truncated_back_propagation_stops_at_the_state() -> None:
    module = SOSFilter(2)
    first = torch.randn(50, requires_grad=True)
    _, state = module(first, None)
    y, _ = module(torch.randn(50), state.detach())
    y.square().mean().backward()
    assert first.grad is None
    assert module.raw_a.grad is not None


def test_defaults_are_the_default_dtype_and_float64_inside_on_request() -> None:
    assert SOSFilter.from_sos(SOS).mix.dtype == LFilter.from_ba(*BA).b.dtype == torch.float32
    x = torch.randn(30)
    for module in (
        SOSFilter.from_sos(SOS, compute_dtype=torch.float64),
        LFilter.from_ba(*BA, compute_dtype=torch.float64),
    ):
        y, state = module(x, None)
        assert y.dtype == torch.float32
        assert state.dtype == torch.float64
        assert module.double()(x.double()).dtype == torch.float64


def test_repr() -> None:
    assert repr(SOSFilter(3)) == "SOSFilter(3)"
    assert repr(SOSFilter(3, shape=(2,), max_radius=0.99)) == "SOSFilter(3, shape=(2,), max_radius=0.99)"
    assert repr(LFilter(2, 4, compute_dtype=torch.float64)) == (
        "LFilter(2, numerator_order=4, compute_dtype=torch.float64)"
    )


OUTSIDE = "a has a pole on or outside of max_radius = 1, or within rounding of it, expected all poles inside"


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: SOSFilter(0), ValueError, "SOSFilter: sections is 0, expected at least 1"),
        (lambda: SOSFilter(1, shape=2), TypeError, "SOSFilter: shape is 2, expected a tuple of sizes such as (2,)"),
        (
            lambda: SOSFilter.from_sos([[1j, 0, 0, 1, 0, 0]]),
            TypeError,
            "SOSFilter.from_sos: sos is complex, expected real coefficients",
        ),
        (
            lambda: LFilter.from_ba(np.ones(1), np.array([1.0, 0.5j])),
            TypeError,
            "LFilter.from_ba: a is complex, expected real coefficients",
        ),
        (lambda: SOSFilter("2"), TypeError, "SOSFilter: sections is a str, expected an integer"),
        (
            lambda: SOSFilter(1, max_radius=0.0),
            ValueError,
            "SOSFilter: max_radius is 0, expected a number above 0 and at most 1",
        ),
        (
            lambda: SOSFilter(1, dtype=torch.bfloat16),
            TypeError,
            "SOSFilter: dtype is torch.bfloat16, expected torch.float32 or torch.float64",
        ),
        (
            lambda: SOSFilter.from_sos(torch.ones(6)),
            ValueError,
            "SOSFilter.from_sos: sos has shape (6,), expected (..., sections, 6)",
        ),
        (
            lambda: SOSFilter.from_sos([[1.0, 0.0, 0.0, 1.0, -2.0, 1.0]]),
            ValueError,
            f"SOSFilter.from_sos: {OUTSIDE}",
        ),
        (lambda: SOSFilter(1)(torch.tensor(1.0)), ValueError, "SOSFilter: x has no axis, expected (..., T)"),
        (lambda: LFilter(-1), ValueError, "LFilter: order is -1, expected at least 0"),
        (lambda: LFilter(1, -1), ValueError, "LFilter: numerator_order is -1, expected at least 0"),
        (lambda: LFilter.from_ba([1.0], [1.0, -1.1]), ValueError, f"LFilter.from_ba: {OUTSIDE}"),
        (
            lambda: LFilter.from_ba([], [1.0]),
            ValueError,
            "LFilter.from_ba: b has shape (0,), expected (..., n), n at least 1",
        ),
        (lambda: LFilter(1)([1.0]), TypeError, "LFilter: x is a list, expected a tensor (..., T)"),
    ],
)
def test_errors(call, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value) == sentence


@pytest.mark.parametrize("name", ["given cascade", "cascades", "given filter"])
def test_compiles_in_one_graph_with_gradients(name: str) -> None:
    module = modules(torch.float32)[name]
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    x, state = torch.randn(2, 40), module.initial_state()
    torch.testing.assert_close(compiled(x), module(x))
    torch.testing.assert_close(compiled(x, state), module(x, state))
    torch.testing.assert_close(compiled(x, None), module(x, None))
    compiled(x).square().mean().backward()
    gradients = [weight.grad.clone() for weight in module.parameters()]
    module.zero_grad()
    module(x).square().mean().backward()
    torch.testing.assert_close(gradients, [weight.grad for weight in module.parameters()])


def test_exports() -> None:
    module = modules(torch.float32)["given cascade"]
    x, state = torch.randn(2, 40), module.initial_state().expand(2, -1, -1).contiguous()
    exported = torch.export.export(module, (x, state))
    torch.testing.assert_close(exported.module()(x, state), module(x, state))
