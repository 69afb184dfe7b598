"""The operators as torch sees them: registrations, scripted callers, what torch.compile makes of them."""

from __future__ import annotations

import io

import cases
import pytest
import torch
from closeness import near
from torch.library import opcheck

import feedbackward as fb

SAMPLES = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")


def cascade_arguments(dtype, lead=(3,), steps=20, frames=(), state=True, dim=-1, sections=2, order=2):
    sos = cases.sections((*lead, *frames), sections, dtype, radius=0.5)
    return (
        torch.randn(cases.insert_time(lead, steps, dim), dtype=dtype, requires_grad=True),
        sos[..., : order + 1].detach().clone().requires_grad_(),
        sos[..., 4 : 4 + order].detach().clone().requires_grad_(),
        torch.randn(*lead, sections, order, dtype=dtype, requires_grad=True) if state else None,
        dim,
        10 if frames else 0,
        bool(frames),
    )


# Scripting is what one of these tests is about, and PyTorch's own forward mode uses it.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


@pytest.fixture(autouse=True, scope="module")
def loaded():
    """Load the operators, which happens when a function of theirs is first used."""
    assert fb.lfilter
    assert fb.linear_recurrence


@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize("frames", [(), (2,)])
@pytest.mark.parametrize("dim", [-1, -2])
def test_cascade(state, frames, dim):
    arguments = cascade_arguments(torch.float64, frames=frames, state=state, dim=dim)
    opcheck(torch.ops.feedbackward.cascade.default, arguments, test_utils=SAMPLES)


@pytest.mark.parametrize("dtype", cases.DTYPES, ids=str)
def test_cascade_in_every_dtype(dtype):
    tolerance = 1e3 * torch.finfo(dtype).eps
    arguments = cascade_arguments(dtype)
    opcheck(torch.ops.feedbackward.cascade.default, arguments, test_utils=SAMPLES, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("wanted", [1, 6, 15])
def test_cascade_backward(wanted):
    inputs = cascade_arguments(torch.float64)
    d_y, d_after = torch.randn(3, 20).double().requires_grad_(), torch.randn(3, 2, 2).double().requires_grad_()
    opcheck(
        torch.ops.feedbackward.cascade_backward.default, (d_y, d_after, *inputs, wanted),
        test_utils=("test_schema", "test_autograd_registration", "test_faketensor"),
    )  # fmt: skip


@pytest.mark.parametrize("decay_shape", [(3, 20), (3, 1), (1, 20)], ids=str)
@pytest.mark.parametrize("with_initial", [False, True])
def test_linear_recurrence(decay_shape, with_initial):
    x, decay = torch.randn(3, 20).double().requires_grad_(), (0.5 * torch.rand(decay_shape)).double().requires_grad_()
    initial = torch.randn(3).double().requires_grad_() if with_initial else None
    opcheck(torch.ops.feedbackward.linear_recurrence.default, (x, decay, initial, -1), test_utils=SAMPLES)
    d_h, wanted = torch.randn(3, 20).double().requires_grad_(), 7 if with_initial else 3
    opcheck(
        torch.ops.feedbackward.linear_recurrence_backward.default, (d_h, x, decay, initial, -1, wanted),
        test_utils=("test_schema", "test_autograd_registration", "test_faketensor"),
    )  # fmt: skip


def test_a_scripted_function_calls_the_operators():
    @torch.jit.script
    def smooth(x: torch.Tensor, b: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        y, _ = torch.ops.feedbackward.cascade(x, b[None], a[None], None, -1, 0, False)
        return torch.ops.feedbackward.linear_recurrence(y, torch.full([1], 0.5).to(y.dtype), None, -1)

    buffer = io.BytesIO()
    torch.jit.save(smooth, buffer)
    buffer.seek(0)
    loaded = torch.jit.load(buffer)
    b, a = torch.tensor([1.0, 0.5], dtype=torch.float64), torch.tensor([1.0, -0.4, 0.1], dtype=torch.float64)
    x = torch.randn(3, 50, dtype=torch.float64, requires_grad=True)
    truth = fb.linear_recurrence(0.5, fb.lfilter(b, a, x))
    for function in (smooth, loaded):
        y = function(x, b, a[1:])
        near(y, truth, 1e-13)
        near(torch.autograd.grad(y.sum(), x)[0], torch.autograd.grad(truth.sum(), x, retain_graph=True)[0], 1e-13)


def test_compiled_code_uses_the_operator_itself():
    """No graph break, and no fallback to anything slower than the one operator."""
    seen = []

    def backend(graph, inputs):
        seen.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph

    torch._dynamo.reset()
    torch.compile(lambda x: fb.lfilter(torch.ones(2), torch.ones(1), x), fullgraph=True, backend=backend)(torch.ones(9))
    assert sum("feedbackward.cascade" in name for name in seen) == 1


def test_forward_mode_around_compiled_code_is_right_or_refused():
    """jvp of a compiled function; compiling jvp itself must never give a silent zero."""
    torch._dynamo.reset()
    b, a, x, v = torch.tensor([1.0, 0.5]), torch.tensor([1.0, -0.4]), torch.randn(30), torch.randn(30)
    expected = fb.lfilter(b, a, v)

    def tangent(x, v):
        return torch.func.jvp(lambda x: fb.lfilter(b, a, x), (x,), (v,))[1]

    near(tangent(x, v), expected, 1e-5)
    inner = torch.compile(lambda x: fb.lfilter(b, a, x), backend="eager")
    near(torch.func.jvp(inner, (x,), (v,))[1], expected, 1e-5)
    for backend in ("eager", "aot_eager"):
        torch._dynamo.reset()
        try:
            compiled = torch.compile(tangent, backend=backend)(x, v)
        except RuntimeError:
            continue
        near(compiled, expected, 1e-5, backend)
