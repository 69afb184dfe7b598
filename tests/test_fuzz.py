"""Random shapes, dims, strides, dtypes and hops against the plain loop, as hypothesis finds them."""

from __future__ import annotations

import cases
import torch
from closeness import filter_bound, gradient_bound, near, recurrence_bound, split
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import feedbackward as fb
from feedbackward import reference

SETTINGS = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
STEPS = st.one_of(st.integers(0, 40), st.sampled_from([63, 64, 65, 127, 128, 129, 255, 256, 257, 300]))
DTYPE = st.sampled_from(cases.DTYPES)


@st.composite
def leads(draw, count: int) -> list[tuple[int, ...]]:
    """Leading shapes that broadcast against each other, axes dropped or shrunk to 1 at random."""
    full = draw(
        st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 7, 16, 17, 33]), max_size=3).filter(
            lambda s: torch.Size(s).numel() < 200
        )
    )
    shapes = []
    for _ in range(count):
        shape = [size if draw(st.booleans()) else 1 for size in full]
        shapes.append(tuple(shape[draw(st.integers(0, len(shape))) :]))
    return shapes


@st.composite
def laid_out(draw, tensor: torch.Tensor) -> torch.Tensor:
    """The same values behind other strides."""
    order = draw(st.permutations(range(tensor.ndim)))
    step = draw(st.sampled_from([1, 1, 2, 3]))
    moved = tensor.permute(order)
    spread = torch.empty(*moved.shape, step, dtype=tensor.dtype)
    spread[..., 0] = moved
    return spread[..., 0].permute([order.index(i) for i in range(tensor.ndim)])


def wide(*tensors):
    return [t if t is None else t.to(cases.WIDE.get(t.dtype, t.dtype)) for t in tensors]


@SETTINGS
@given(data=st.data())
def test_lfilter(data):
    torch.manual_seed(data.draw(st.integers(0, 2**31)))
    dtype, steps = data.draw(DTYPE), data.draw(STEPS)
    b_lead, a_lead, x_lead, zi_lead = data.draw(leads(4))
    nb, na = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    hop = data.draw(st.sampled_from([None, None, 1, 2, 5, 16, 64, 100]))
    interpolation = data.draw(st.sampled_from(["hold", "linear"]))
    dim = data.draw(st.integers(-len(x_lead) - 1, len(x_lead)))
    frames = (
        ()
        if hop is None
        else (-(-steps // hop) + (interpolation == "linear" and steps > 0 and data.draw(st.booleans())),)
    )
    b = cases.numerator((*b_lead, *frames), nb, dtype)
    a = cases.denominator((*a_lead, *frames), na, dtype, radius=0.5, a0=data.draw(st.sampled_from([1.0, 2.0])))
    x = torch.randn(cases.insert_time(x_lead, steps, dim if dim < 0 else dim - len(x_lead) - 1), dtype=dtype)
    zi = torch.randn(*zi_lead, max(nb, na) - 1, dtype=dtype) if data.draw(st.booleans()) else None
    b, a, x = (data.draw(laid_out(t)) for t in (b, a, x))
    keywords = {"hop": hop, "interpolation": interpolation}
    inputs = [t.detach().clone().requires_grad_(data.draw(st.booleans())) for t in (b, a, x)]
    result = fb.lfilter(*inputs, dim, zi, **keywords)
    theirs = [t.detach().requires_grad_(i.requires_grad) for t, i in zip(wide(b, a, x), inputs, strict=True)]
    truth = reference.lfilter(*theirs, dim, *wide(zi), **keywords)
    results, truths = (r if isinstance(r, tuple) else (r,) for r in (result, truth))
    sections = [(b, a)]
    for mine, other in zip(results, truths, strict=True):
        assert mine.dtype == dtype
        near(mine, other, filter_bound(dtype, sections, x, zi))
    wanted = [(mine, other) for mine, other in zip(inputs, theirs, strict=True) if mine.requires_grad]
    if wanted and results[0].numel():
        g = torch.randn_like(results[0])
        grads = torch.autograd.grad(results[0], [mine for mine, _ in wanted], g)
        expected = torch.autograd.grad(truths[0], [other for _, other in wanted], *wide(g))
        for grad, other in zip(grads, expected, strict=True):
            near(grad, other, gradient_bound(dtype, sections, steps, other))


@SETTINGS
@given(data=st.data())
def test_sosfilt(data):
    torch.manual_seed(data.draw(st.integers(0, 2**31)))
    dtype, steps = data.draw(st.sampled_from([torch.float64, torch.complex128])), data.draw(STEPS)
    sos_lead, x_lead, zi_lead = data.draw(leads(3))
    count, hop = data.draw(st.integers(1, 5)), data.draw(st.sampled_from([None, 1, 3, 32]))
    frames = () if hop is None else (-(-steps // hop),)
    interpolation = data.draw(st.sampled_from(["hold", "linear"]))
    dim = data.draw(st.integers(-len(x_lead) - 1, -1))
    sos = data.draw(laid_out(cases.sections((*sos_lead, *frames), count, dtype, radius=0.5)))
    x = data.draw(laid_out(torch.randn(cases.insert_time(x_lead, steps, dim), dtype=dtype)))
    zi = torch.randn(*zi_lead, count, 2, dtype=dtype)
    keywords = {"hop": hop, "interpolation": interpolation}
    y, zf = fb.sosfilt(sos, x, dim, zi, **keywords)
    y_true, zf_true = reference.sosfilt(sos, x, dim, zi, **keywords)
    sections = split(sos)
    bound = filter_bound(dtype, sections, x, zi)
    near(y, y_true, bound)
    near(zf, zf_true, bound)


@SETTINGS
@given(data=st.data())
def test_linear_recurrence(data):
    torch.manual_seed(data.draw(st.integers(0, 2**31)))
    dtype, steps = data.draw(DTYPE), data.draw(STEPS)
    decay_lead, x_lead, initial_lead = data.draw(leads(3))
    dim = data.draw(st.integers(-len(x_lead) - 1, -1))
    x = data.draw(laid_out(torch.randn(cases.insert_time(x_lead, steps, dim), dtype=dtype)))
    timed = data.draw(st.booleans()) or len(decay_lead) > len(x_lead)
    decay_lead = decay_lead[max(0, len(decay_lead) - len(x_lead)) :]
    if timed:
        decay_lead = (*(1,) * (len(x_lead) - len(decay_lead)), *decay_lead)
        decay_lead = cases.insert_time(decay_lead, data.draw(st.sampled_from([1, steps])), dim)
    decay = data.draw(laid_out(0.6 * (2 * torch.rand(decay_lead, dtype=dtype) - 1)))
    initial = torch.randn(initial_lead, dtype=dtype) if data.draw(st.booleans()) else None
    h = fb.linear_recurrence(decay, x, initial, dim)
    truth = reference.linear_recurrence(*wide(decay, x, initial), dim)
    assert h.dtype == dtype
    near(h, truth, recurrence_bound(dtype, decay, truth))
