"""First and second derivatives of every filter to every subset of its inputs."""

from __future__ import annotations

from itertools import combinations

import cases
import pytest
import torch
from closeness import filter_bound, gradient_bound, near, split
from torch.autograd import gradcheck, gradgradcheck

import feedbackward as fb
from feedbackward import reference

PRECISE = pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)


def subsets(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [chosen for size in range(1, len(names) + 1) for chosen in combinations(names, size)]


def lfilter_inputs(dtype, steps=6, lead=((2, 1), (2,), (2, 2), (1,)), nb=3, na=3) -> dict[str, torch.Tensor]:
    b_lead, a_lead, x_lead, zi_lead = lead
    return {
        "b": cases.numerator(b_lead, nb, dtype),
        "a": cases.denominator(a_lead, na, dtype, radius=0.6, a0=1.5),
        "x": torch.randn(*x_lead, steps, dtype=dtype),
        "zi": torch.randn(*zi_lead, max(nb, na) - 1, dtype=dtype),
    }


def twice(function, inputs, chosen) -> None:
    """Check first and second derivatives to the chosen inputs, the others held constant."""
    names = list(inputs)
    tensors = [inputs[name].clone().requires_grad_(name in chosen) for name in names]
    assert gradcheck(function, tensors, fast_mode=tensors[0].is_complex())  # every entry, or one random projection
    assert gradgradcheck(function, tensors, fast_mode=True)


@PRECISE
@pytest.mark.parametrize("chosen", subsets(("b", "a", "x", "zi")), ids="-".join)
def test_lfilter_to_every_subset(dtype, chosen):
    twice(lambda b, a, x, zi: fb.lfilter(b, a, x, zi=zi), lfilter_inputs(dtype), chosen)


@PRECISE
@pytest.mark.parametrize("chosen", subsets(("b", "a", "x")), ids="-".join)
def test_lfilter_without_state(dtype, chosen):
    inputs = lfilter_inputs(dtype)
    inputs.pop("zi")
    twice(lambda b, a, x: fb.lfilter(b, a, x), inputs, chosen)


@PRECISE
@pytest.mark.parametrize("interpolation", ["hold", "linear"])
@pytest.mark.parametrize("chosen", subsets(("b", "a", "x", "zi")), ids="-".join)
def test_lfilter_with_a_hop(dtype, chosen, interpolation):
    frames = 3 if interpolation == "hold" else 4
    inputs = lfilter_inputs(dtype, steps=7)
    inputs["b"] = cases.numerator((2, 1, 1), 3, dtype)
    inputs["a"] = cases.denominator((2, frames), 3, dtype, radius=0.5, a0=1.5)
    twice(lambda b, a, x, zi: fb.lfilter(b, a, x, zi=zi, hop=3, interpolation=interpolation), inputs, chosen)


@PRECISE
@pytest.mark.parametrize("chosen", subsets(("sos", "x", "zi")), ids="-".join)
@pytest.mark.parametrize("hop", [None, 2])
def test_sosfilt_to_every_subset(dtype, chosen, hop):
    frames = () if hop is None else (3,)
    inputs = {
        "sos": cases.sections((2, *frames), 2, dtype, radius=0.6) * 1.25,
        "x": torch.randn(2, 1, 5, dtype=dtype),
        "zi": torch.randn(1, 2, 2, dtype=dtype),
    }
    twice(lambda sos, x, zi: fb.sosfilt(sos, x, zi=zi, hop=hop, interpolation="linear"), inputs, chosen)


@PRECISE
@pytest.mark.parametrize("chosen", subsets(("decay", "x", "initial")), ids="-".join)
@pytest.mark.parametrize("decay_shape", [(), (2,), (2, 6), (3, 1, 1), (3, 1, 6), (1, 2, 6)], ids=str)
def test_linear_recurrence_to_every_subset(dtype, chosen, decay_shape):
    inputs = {
        "decay": 0.9 * torch.rand(decay_shape, dtype=dtype),
        "x": torch.randn(3, 2, 6, dtype=dtype),
        "initial": torch.randn(2, dtype=dtype),
    }
    if len(decay_shape) == 2 and decay_shape[-1] == 6:
        inputs["x"] = torch.randn(2, 6, dtype=dtype)
    twice(fb.linear_recurrence, inputs, chosen)


@pytest.mark.parametrize(("nb", "na"), [(1, 1), (1, 3), (4, 1), (2, 5), (7, 2), (6, 6)])
@pytest.mark.parametrize("dim", [-1, -2, 0])
def test_any_order_at_any_dim(nb, na, dim):
    inputs = lfilter_inputs(torch.float64, lead=((2,), (1,), (2, 2), (2,)), nb=nb, na=na)
    inputs["x"] = inputs["x"].movedim(-1, dim)
    twice(lambda b, a, x, zi: fb.lfilter(b, a, x, dim, zi), inputs, ("b", "a", "x", "zi"))


def test_real_filters_of_complex_signals():
    inputs = {"b": cases.numerator((), 3), "a": cases.denominator((), 3), "x": torch.randn(4, dtype=torch.complex128)}
    twice(lambda b, a, x: fb.lfilter(b, a, x), inputs, ("b", "a", "x"))
    inputs = {"decay": torch.rand(2).double(), "x": torch.randn(2, 4, dtype=torch.complex128)}
    twice(fb.linear_recurrence, inputs, ("decay", "x"))


def test_compute_dtype_passes_gradients_in_each_inputs_dtype():
    b, a = (c.float().requires_grad_() for c in (cases.numerator((3,), 3), cases.denominator((3,), 3)))
    x, zi = torch.randn(3, 200, requires_grad=True), torch.zeros(3, 2, requires_grad=True)
    y, zf = fb.lfilter(b, a, x, zi=zi, compute_dtype=torch.float64)
    grads = torch.autograd.grad(y.square().sum() + zf.sum(), (b, a, x, zi))
    assert [g.dtype for g in grads] == [torch.float32] * 4
    wide = [t.detach().double().requires_grad_() for t in (b, a, x, zi)]
    y, zf = reference.lfilter(*wide[:3], zi=wide[3])
    expected = torch.autograd.grad(y.square().sum() + zf.sum(), wide)
    for grad, truth in zip(grads, expected, strict=True):
        near(grad, truth, 4 * torch.finfo(torch.float32).eps * truth.abs().max().item() * 3)


# name, b's lead, a's lead, x's lead, zi's lead, steps, dim
LARGE = (
    ("several tiles of lanes", (37,), (37,), (5, 1), (5, 37), 300, -1),
    ("time in front", (37,), (37,), (5, 1), (37,), 300, -3),
    ("several chunks", (), (), (3,), (3,), 1021, -1),
    ("long single signal", (), (), (), (), 5003, -1),
    ("long, two filters", (2,), (2,), (), (2,), 4099, -1),
    ("long, shared filter", (), (), (3,), (), 2503, -1),
    ("filters of one signal", (67,), (1,), (), (67,), 131, -1),
    ("signals of one filter", (), (1,), (129,), (1,), 133, -1),
    ("crossed", (3, 1), (1, 7), (2, 1, 1), (7,), 259, -2),
    ("filter per item", (9, 1), (9, 1), (9, 4), (4,), 131, -1),
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex128], ids=str)
@pytest.mark.parametrize("case", LARGE, ids=lambda case: case[0])
def test_lfilter_against_autograd_through_the_loop(case, dtype):
    _, b_lead, a_lead, x_lead, zi_lead, steps, dim = case
    inputs = {
        "b": cases.numerator(b_lead, 3, dtype),
        "a": cases.denominator(a_lead, 4, dtype, radius=0.8, a0=2.0),
        "x": torch.randn(cases.insert_time(x_lead, steps, dim), dtype=dtype),
        "zi": torch.randn(*zi_lead, 3, dtype=dtype),
    }
    sections = [(inputs["b"], inputs["a"])]
    compare(lambda f, b, a, x, zi: f.lfilter(b, a, x, dim, zi), inputs, sections, steps, dtype)


@pytest.mark.parametrize("lead", [(), (3,), (21,), (65,)], ids=str)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_sosfilt_against_autograd_through_the_loop(lead, count):
    steps = 2503 if not lead else 131
    inputs = {
        "sos": cases.sections(lead[-1:], count, radius=0.7) * 2,
        "x": torch.randn(*lead, steps, dtype=torch.float64),
        "zi": torch.randn(*lead, count, 2, dtype=torch.float64),
    }
    compare(lambda f, sos, x, zi: f.sosfilt(sos, x, zi=zi), inputs, split(inputs["sos"]), steps, torch.float64)


@pytest.mark.parametrize(
    ("lead", "hop"),
    [((), cases.Hop(2503, 100, "hold")), ((), cases.Hop(2503, 100, "linear")),
     ((3,), cases.Hop(300, 128, "linear", 1)), ((19,), cases.Hop(259, 1, "hold")),
     ((19,), cases.Hop(259, 1, "linear", 1)), ((70,), cases.Hop(131, 7, "hold")),
     ((70,), cases.Hop(131, 7, "linear")), ((5,), cases.Hop(259, 1000, "linear", 1)),
     ((5,), cases.Hop(259, 1000, "hold"))],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex128], ids=str)
def test_hop_against_autograd_through_the_loop(lead, hop, dtype):
    inputs = {
        "b": cases.numerator((*lead, hop.frames), 3, dtype),
        "a": cases.denominator((*lead, hop.frames), 3, dtype, radius=0.6, a0=2.0),
        "x": torch.randn(2, *lead, hop.steps, dtype=dtype),
        "zi": torch.randn(*lead, 2, dtype=dtype),
    }
    sections = [(inputs["b"], inputs["a"])]
    keywords = {"hop": hop.hop, "interpolation": hop.interpolation}
    compare(lambda f, b, a, x, zi: f.lfilter(b, a, x, zi=zi, **keywords), inputs, sections, hop.steps, dtype)


RECURRENCES = (
    ((5, 37, 259), (5, 37, 259), (37,), -1),
    ((259, 5, 37), (259, 5, 37), (37,), 0),
    ((1, 37, 1), (5, 37, 259), (5, 37), -1),
    ((37,), (5, 37, 259), (), -1),
    ((1, 259), (70, 259), (), -1),
    ((), (70, 259), (1,), -1),
    ((5003,), (5003,), (), -1),
    ((), (5003,), (), -1),
    ((2, 1, 259), (1, 70, 259), (2, 1), -1),
    ((1, 259, 3), (20, 259, 1), (3,), 1),
)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("shapes", RECURRENCES, ids=str)
def test_linear_recurrence_against_autograd_through_the_loop(shapes, dtype):
    decay_shape, x_shape, initial_shape, dim = shapes
    inputs = {
        "decay": 0.7 * (2 * torch.rand(decay_shape, dtype=dtype) - (1 + 1j if dtype.is_complex else 1)),
        "x": torch.randn(x_shape, dtype=dtype),
        "initial": torch.randn(initial_shape, dtype=dtype),
    }
    pole = torch.stack([torch.ones(()), -inputs["decay"].abs().max()]).double()
    sections = [(torch.ones(1), pole)]
    compare(
        lambda f, decay, x, initial: f.linear_recurrence(decay, x, initial, dim), inputs, sections, x_shape[dim], dtype
    )


def compare(call, inputs, sections, steps, dtype) -> None:
    """Gradients of a random linear functional of all outputs, against autograd through the plain loop."""
    wide = cases.WIDE.get(dtype, dtype)
    mine = [t.detach().clone().requires_grad_() for t in inputs.values()]
    theirs = [t.detach().to(wide).requires_grad_() for t in inputs.values()]
    outputs, expected = (y if isinstance(y, tuple) else (y,) for y in (call(fb, *mine), call(reference, *theirs)))
    weights = [torch.randn_like(y) for y in outputs]
    grads = torch.autograd.grad(outputs, mine, weights)
    truths = torch.autograd.grad(expected, theirs, [w.to(wide) for w in weights])
    for name, tensor, grad, truth in zip(inputs, mine, grads, truths, strict=True):
        assert grad.dtype == tensor.dtype
        bound = gradient_bound(dtype, sections, steps, truth)
        assert bound < 0.05 * truth.abs().max(), f"the bound {bound} can no longer tell right from wrong"
        near(grad, truth, bound, f"gradient to {name}")


def test_a_very_long_signal_against_scipys_adjoint():
    """d/dx is the filter run backward; d/db and d/da are correlations with x and y."""
    steps = 70_000
    b, a = cases.numerator((), 3), cases.denominator((), 3, radius=0.95)
    x, g = torch.randn(2, steps, dtype=torch.float64).unbind()
    inputs = [t.clone().requires_grad_() for t in (b, a, x)]
    grads = torch.autograd.grad(fb.lfilter(*inputs), inputs, g)
    one = torch.ones(1, dtype=torch.float64)
    adjoint = reference_free_filter(one, a, g.flip(-1)).flip(-1)
    y = reference_free_filter(b, a, x)

    def correlation(signal: torch.Tensor, lag: int) -> torch.Tensor:
        return (adjoint[lag:] * signal[: steps - lag]).sum()

    d_b = torch.stack([correlation(x, lag) for lag in range(3)])
    d_a = -torch.stack([correlation(y, lag) for lag in range(3)])
    d_x = reference_free_filter(b, a, g.flip(-1)).flip(-1)
    for grad, truth in zip(grads, (d_b, d_a, d_x), strict=True):
        near(grad, truth, gradient_bound(torch.float64, [(b, a)], steps, truth))


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("hop", [None, 1, 200])
@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_time_shared_out_among_tasks_as_lanes_are(lanes, hop, dtype):
    """A few very long lanes are cut in time; the same lanes among many others are not."""
    steps, many = 65_536 + 777, 40
    frames = () if hop is None else (-(-steps // hop),)
    b, a = cases.numerator(frames, 3, dtype), cases.denominator(frames, 3, dtype, radius=0.6)
    inputs = [b, a, torch.randn(many, steps, dtype=dtype), torch.randn(many, 2, dtype=dtype)]
    weights = torch.randn(steps, dtype=dtype), torch.randn(2, dtype=dtype)

    def run(among: int) -> list[torch.Tensor]:
        leaves = [t.clone().requires_grad_() for t in inputs]
        b, a, x, zi = leaves
        y, zf = fb.lfilter(b, a, x[:among], zi=zi[:among], hop=hop)
        loss = (y * weights[0])[:lanes].sum() + (zf * weights[1])[:lanes].sum()
        return [y[:lanes], zf[:lanes], *torch.autograd.grad(loss.real, leaves)]

    for few, true in zip(run(lanes), run(many), strict=True):
        torch.testing.assert_close(few, true, rtol=1e-9, atol=1e-9 * true.abs().max().item())


def reference_free_filter(b: torch.Tensor, a: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    from scipy import signal

    return torch.as_tensor(signal.lfilter(b.numpy(force=True), a.numpy(force=True), x.numpy(force=True)))


def test_only_zf_or_only_y_is_used():
    inputs = [t.requires_grad_() for t in lfilter_inputs(torch.float64).values()]
    y, zf = fb.lfilter(*inputs[:3], zi=inputs[3])
    y_true, zf_true = reference.lfilter(*inputs[:3], zi=inputs[3])
    for output, truth in ((y, y_true), (zf, zf_true)):
        for grad, expected in zip(
            torch.autograd.grad(output.sum(), inputs, retain_graph=True),
            torch.autograd.grad(truth.sum(), inputs, retain_graph=True),
            strict=True,
        ):
            torch.testing.assert_close(grad, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_gradients_of_next_to_nothing(steps):
    inputs = [t.requires_grad_() for t in lfilter_inputs(torch.float64, steps=steps).values()]
    y, zf = fb.lfilter(*inputs[:3], zi=inputs[3])
    y_true, zf_true = reference.lfilter(*inputs[:3], zi=inputs[3])
    grads = torch.autograd.grad(y.sum() + zf.square().sum(), inputs)
    truths = torch.autograd.grad(
        y_true.sum() + zf_true.square().sum(), inputs, allow_unused=True, materialize_grads=True
    )
    for grad, truth in zip(grads, truths, strict=True):
        torch.testing.assert_close(grad, truth, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("b", "x", "hop"),
    [((2,), (0, 9), None), ((3, 2), (0, 3, 9), None), ((3, 9, 2), (0, 3, 9), 1), ((3, 5, 2), (0, 3, 9), 2),
     ((0, 1, 2), (5, 9), None), ((0, 1, 9, 2), (5, 9), 1)],
    ids=str,
)  # fmt: skip
def test_gradients_where_there_are_no_lanes(b, x, hop):
    """What nothing depends on has a gradient of zero, not of whatever memory held."""
    inputs = [torch.rand(shape).add(1).requires_grad_() for shape in (b, b, x)]
    for grad in torch.autograd.grad(fb.lfilter(*inputs, hop=hop).sum(), inputs):
        assert torch.equal(grad, torch.zeros_like(grad))
    for decay_shape, x_shape, initial_shape in (
        ((1, 5, 9), (0, 5, 9), (5,)),
        ((5, 9), (5, 9), (0, 5)),
        ((5,), (0, 5, 9), ()),
    ):
        inputs = [torch.rand(shape).requires_grad_() for shape in (decay_shape, x_shape, initial_shape)]
        for grad in torch.autograd.grad(fb.linear_recurrence(*inputs).sum(), inputs):
            assert torch.equal(grad, torch.zeros_like(grad))


@pytest.mark.parametrize(("steps", "hop"), [(1, 1), (9, 1), (9, 5), (10, 5), (300, 1), (300, 100), (3, 7)])
@pytest.mark.parametrize("lead", [(), (3,), (20,)], ids=str)
def test_frames_beyond_the_signal(steps, hop, lead):
    """The last of ceil(T / hop) + 1 frames may not be needed at all: its gradient is zero."""
    hop = cases.Hop(steps, hop, "linear", 1)
    inputs = {
        "b": cases.numerator((*lead, hop.frames), 3),
        "a": cases.denominator((*lead, hop.frames), 3, radius=0.6, a0=2.0),
        "x": torch.randn(*lead, steps, dtype=torch.float64),
    }
    keywords = {"hop": hop.hop, "interpolation": "linear"}
    compare(
        lambda f, b, a, x: f.lfilter(b, a, x, **keywords), inputs, [(inputs["b"], inputs["a"])], steps, torch.float64
    )


def test_expanded_and_sparse_looking_gradients():
    """sum() hands backward an expanded scalar, a slice hands it mostly zeros, a transpose hands it strange strides."""
    inputs = [t.requires_grad_() for t in lfilter_inputs(torch.float64, 300, ((3,), (3,), (7, 3), (3,))).values()]
    for use in (lambda y: y.sum(), lambda y: y[..., 150].sum(), lambda y: (y.transpose(0, -1).contiguous() ** 2).sum()):
        grads = torch.autograd.grad(use(fb.lfilter(*inputs[:3])), inputs[:3])
        truths = torch.autograd.grad(use(reference.lfilter(*inputs[:3])), inputs[:3])
        for grad, truth in zip(grads, truths, strict=True):
            near(grad, truth, gradient_bound(torch.float64, [tuple(inputs[:2])], 300, truth))


def test_second_derivatives_of_a_bank_of_several_tiles():
    def penalty(f, b, a, x):
        y = f.lfilter(b, a, x)
        grads = torch.autograd.grad(y.square().mean(), (b, a, x), create_graph=True)
        return sum(g.square().sum() for g in grads)

    inputs = [cases.numerator((35,), 3), cases.denominator((35,), 3, radius=0.7), torch.randn(2, 1, 150).double()]
    mine, theirs = ([t.clone().requires_grad_() for t in inputs] for _ in range(2))
    grads = torch.autograd.grad(penalty(fb, *mine), mine)
    truths = torch.autograd.grad(penalty(reference, *theirs), theirs)
    bound = filter_bound(torch.float64, [tuple(inputs[:2])], inputs[2])
    for grad, truth in zip(grads, truths, strict=True):
        near(grad, truth, 100 * bound * truth.abs().max().item())
