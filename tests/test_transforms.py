"""PyTorch's transforms of the functions: vmap, torch.func, forward mode, compile, export, script, checkpoints."""

from __future__ import annotations

import copy
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import cases
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, vjp, vmap

import feedbackward as fb
from feedbackward import reference

# PyTorch's own decompositions for forward mode still go through torch.jit.script.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")


@dataclass(frozen=True)
class Function:
    """One public function as a map from tensors to one tensor (y and zf glued together), and its plain loop."""

    name: str
    call: Callable
    inputs: Callable[[], tuple[torch.Tensor, ...]]

    def native(self, *inputs):
        return self.call(fb, *inputs)

    def loop(self, *inputs):
        return self.call(reference, *inputs)


def glue(outputs):
    y, zf = outputs
    return torch.cat([y, zf.flatten(y.ndim - 1)], -1)


FUNCTIONS = (
    Function(
        "lfilter",
        lambda f, b, a, x: f.lfilter(b, a, x),
        lambda: (cases.numerator((3,), 3), cases.denominator((3,), 3, radius=0.6), torch.randn(3, 20).double()),
    ),
    Function(
        "lfilter with zi",
        lambda f, b, a, x, zi: glue(f.lfilter(b, a, x, zi=zi)),
        lambda: (cases.numerator((), 2), cases.denominator((), 4, a0=2.0, radius=0.6), *randn((3, 20), (3, 3))),
    ),
    Function(
        "lfilter with hop",
        lambda f, b, a, x: f.lfilter(b, a, x, hop=6, interpolation="linear"),
        lambda: (cases.numerator((4,), 3), cases.denominator((3, 4), 3, radius=0.6), *randn((3, 20))),
    ),
    Function(
        "sosfilt",
        lambda f, sos, x, zi: glue(f.sosfilt(sos, x, zi=zi)),
        lambda: (cases.sections((3,), 2, radius=0.6), *randn((3, 20), (3, 2, 2))),
    ),
    Function(
        "linear_recurrence",
        lambda f, decay, x, initial: f.linear_recurrence(decay, x, initial),
        lambda: (0.5 * torch.rand(3, 20).double(), *randn((3, 20), (3,))),
    ),
    Function(
        "linear_recurrence per lane",
        lambda f, decay, x, initial: f.linear_recurrence(decay, x, initial),
        lambda: (0.5 * torch.rand(3).double(), *randn((3, 20), (3,))),
    ),
)
EACH = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)


def randn(*shapes):
    return tuple(torch.randn(shape, dtype=torch.float64) for shape in shapes)


def close(actual, expected, tolerance=1e-11):
    """Well conditioned filters over a few dozen samples: thousands of roundings away from eps at the very most."""
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def scalar(call):
    return lambda *inputs: call(*inputs).sin().sum()


@EACH
def test_vmap_over_every_subset_of_arguments(function):
    inputs = function.inputs()
    for mask in range(1, 2 ** len(inputs)):
        for in_dim, out_dim in ((0, 0), (-1, 1)):
            in_dims = tuple(in_dim if mask >> i & 1 else None for i in range(len(inputs)))
            batched = [
                torch.stack([t, 0.5 * t, 0.9 * t, t, t], d) if d is not None else t
                for t, d in zip(inputs, in_dims, strict=True)
            ]
            out = vmap(function.native, in_dims, out_dim)(*batched).movedim(out_dim, 0)
            for i in range(5):
                single = [t if d is None else t.select(d, i) for t, d in zip(batched, in_dims, strict=True)]
                close(out[i], function.loop(*single))


@EACH
def test_vmap_within_vmap(function):
    inputs = function.inputs()
    batched = [
        torch.stack([torch.stack([t * (1 - 0.1 * i - 0.05 * j) for i in range(2)]) for j in range(3)]) for t in inputs
    ]
    in_dims = (0, *(None,) * (len(inputs) - 1))
    close(vmap(vmap(function.native))(*batched), vmap(vmap(function.loop))(*batched))
    close(vmap(vmap(function.native, in_dims), in_dims)(batched[0], *inputs[1:]),
          vmap(vmap(function.loop, in_dims), in_dims)(batched[0], *inputs[1:]))  # fmt: skip


@EACH
def test_torch_func(function):
    inputs = function.inputs()
    everything = tuple(range(len(inputs)))
    native, loop = scalar(function.native), scalar(function.loop)
    for i in everything:
        close(grad(native, i)(*inputs), grad(loop, i)(*inputs))
        close(jacrev(function.native, i)(*inputs), jacrev(function.loop, i)(*inputs))
        close(jacfwd(function.native, i)(*inputs), jacrev(function.loop, i)(*inputs))
    tangents = tuple(torch.randn_like(t) for t in inputs)
    for mine, truth in zip(jvp(function.native, inputs, tangents), jvp(function.loop, inputs, tangents), strict=True):
        close(mine, truth)
    out, pull = vjp(function.native, *inputs)
    out_true, pull_true = vjp(function.loop, *inputs)
    close(out, out_true)
    close(pull(torch.ones_like(out)), pull_true(torch.ones_like(out)))


@EACH
def test_hessian(function):
    """Every order in which forward and reverse mode nest."""
    inputs = function.inputs()
    native, loop = scalar(function.native), scalar(function.loop)
    truth = jacrev(jacrev(loop))(*inputs)
    for outer in (jacfwd, jacrev):
        for inner in (jacfwd, jacrev):
            close(outer(inner(native))(*inputs), truth)


@EACH
def test_per_sample_gradients(function):
    inputs = function.inputs()
    batched = torch.stack([inputs[-1], 2 * inputs[-1]])
    in_dims = (*(None,) * (len(inputs) - 1), 0)
    per_sample = vmap(grad(scalar(function.native)), in_dims)(*inputs[:-1], batched)
    for i in range(2):
        close(per_sample[i], grad(scalar(function.loop))(*inputs[:-1], batched[i]))


@EACH
def test_forward_mode(function):
    inputs = function.inputs()
    tangents = [torch.randn_like(t) for t in inputs]
    for mask in range(1, 2 ** len(inputs)):
        results = []
        for call in (function.native, function.loop):
            with forward_ad.dual_level():
                duals = [
                    forward_ad.make_dual(t, tangent) if mask >> i & 1 else t
                    for i, (t, tangent) in enumerate(zip(inputs, tangents, strict=True))
                ]
                results.append(forward_ad.unpack_dual(call(*duals)))
        assert results[0].tangent is not None
        close(results[0].primal, results[1].primal)
        close(results[0].tangent, results[1].tangent)


@EACH
def test_forward_mode_gradcheck(function):
    inputs = [t[..., :7] if t.shape[-1] == 20 else t for t in function.inputs()]
    if "hop" in function.name:
        inputs[0], inputs[1] = inputs[0][:2], inputs[1][:, :2]
    inputs = [t.clone().requires_grad_() for t in inputs]
    assert torch.autograd.gradcheck(function.native, inputs, check_forward_ad=True, check_batched_grad=True,
                                    check_batched_forward_grad=True)  # fmt: skip
    assert torch.autograd.gradgradcheck(function.native, inputs, check_fwd_over_rev=True, fast_mode=True)


@EACH
@pytest.mark.parametrize("dynamic", [False, True])
def test_compile(function, dynamic):
    torch._dynamo.reset()
    inputs = [t.requires_grad_() for t in function.inputs()]
    compiled = torch.compile(function.native, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for scale in (1.0, 0.7):
        scaled = [(t.detach() * scale).requires_grad_() for t in inputs]
        out, truth = compiled(*scaled), function.loop(*scaled)
        close(out, truth)
        weights = torch.randn_like(out)
        close(torch.autograd.grad(out, scaled, weights), torch.autograd.grad(truth, scaled, weights))


def test_compile_where_a_dtype_becomes_complex():
    torch._dynamo.reset()
    x = torch.randn(3, 20)
    compiled = torch.compile(lambda x: fb.linear_recurrence(0.5j, x), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), fb.linear_recurrence(0.5j, x))


@pytest.mark.parametrize("name", ["filtfilt", "sosfiltfilt"])
def test_filtering_both_ways_under_transforms(name):
    torch._dynamo.reset()
    function, filters = (
        getattr(fb, name),
        {"filtfilt": (torch.tensor([0.3, 0.3]), torch.tensor([1.0, -0.4]))}.get(
            name, (torch.tensor([[0.3, 0.3, 0.1, 1.0, -0.4, 0.2]]),)
        ),
    )
    x = torch.randn(3, 40)
    expected = function(*filters, x)
    torch.testing.assert_close(torch.compile(function, fullgraph=True, backend="aot_eager")(*filters, x), expected)
    torch.testing.assert_close(vmap(lambda x: function(*filters, x))(x), expected)
    torch.testing.assert_close(jvp(lambda x: function(*filters, x), (x,), (x,))[1], expected)  # linear in x


def test_compile_with_changing_lengths():
    torch._dynamo.reset()
    b, a = torch.tensor([1.0, 0.5]), torch.tensor([1.0, -0.3, 0.2])
    compiled = torch.compile(lambda x: fb.lfilter(b, a, 2 * x) + 1, fullgraph=True, dynamic=True, backend="aot_eager")
    for batch, steps in ((3, 100), (5, 333), (2, 64), (7, 9)):
        x = torch.randn(batch, steps)
        torch.testing.assert_close(compiled(x), fb.lfilter(b, a, 2 * x) + 1)


@pytest.mark.skipif(
    shutil.which("openssl") is None, reason="PyTorch's inductor calls openssl, which is not on the PATH"
)
@pytest.mark.genuine
def test_compile_with_inductor():
    """The default backend, forward and backward, between operators that it fuses."""
    torch._dynamo.reset()

    def loss(b, x):
        a = torch.tensor([1.0, -0.5, 0.25], dtype=torch.float64)
        return (fb.lfilter(b.tanh(), a, x.sin()).square() + 1).log().mean()

    b, x = cases.numerator((3,), 3).requires_grad_(), torch.randn(2, 3, 100, dtype=torch.float64, requires_grad=True)
    out, truth = torch.compile(loss, fullgraph=True)(b, x), loss(b, x)
    close(out, truth)
    close(torch.autograd.grad(out, (b, x)), torch.autograd.grad(truth, (b, x)))


class Filter(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.b = torch.nn.Parameter(torch.tensor([0.2, 0.4, 0.2]))
        self.register_buffer("a", torch.tensor([1.0, -0.5, 0.25]))

    def forward(self, x: torch.Tensor, zi: torch.Tensor):
        y, zf = fb.lfilter(self.b, self.a, x, zi=zi)
        return fb.sosfilt(torch.cat([self.b, self.a])[None], y), fb.linear_recurrence(0.5, zf)


@pytest.mark.parametrize("dynamic", [False, True])
def test_export(dynamic):
    module, x, zi = Filter(), torch.randn(3, 50), torch.zeros(3, 2)
    time = torch.export.Dim("time", min=2, max=100_000)
    shapes = {"x": {1: time}, "zi": None} if dynamic else None
    program = torch.export.export(module, (x, zi), dynamic_shapes=shapes)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    buffer.seek(0)
    loaded = torch.export.load(buffer).module()
    for steps in (50, 77) if dynamic else (50,):
        x = torch.randn(3, steps)
        for mine, truth in zip(loaded(x, zi), module(x, zi), strict=True):
            torch.testing.assert_close(mine, truth)


def test_a_module_is_copied_and_called_functionally():
    module, x, zi = Filter(), torch.randn(3, 50), torch.zeros(3, 2)
    twin = copy.deepcopy(module)
    torch.testing.assert_close(twin(x, zi), module(x, zi), rtol=0, atol=0)
    doubled = {"b": 2 * module.b, "a": module.a}
    assert not torch.equal(functional_call(module, doubled, (x, zi))[0], module(x, zi)[0])


def test_checkpointing_recomputes_the_same_gradients():
    b, a = cases.numerator((), 3).requires_grad_(), cases.denominator((), 3).requires_grad_()
    x = torch.randn(4, 300, dtype=torch.float64, requires_grad=True)
    for reentrant in (False, True):
        out = torch.utils.checkpoint.checkpoint(fb.lfilter, b, a, x, use_reentrant=reentrant).square().sum()
        truth = fb.lfilter(b, a, x).square().sum()
        for mine, other in zip(torch.autograd.grad(out, (b, a, x)) if not reentrant else backward(out, (b, a, x)),
                               torch.autograd.grad(truth, (b, a, x)), strict=True):  # fmt: skip
            torch.testing.assert_close(mine, other, rtol=0, atol=0)


def backward(out, tensors):
    for tensor in tensors:
        tensor.grad = None
    out.backward()
    return [tensor.grad for tensor in tensors]


def test_graphs_can_be_kept_and_freed():
    b, a = cases.numerator((), 3).requires_grad_(), cases.denominator((), 3)
    x = torch.randn(4, 300, dtype=torch.float64)
    y = fb.lfilter(b, a, x).sum()
    first = torch.autograd.grad(y, b, retain_graph=True)[0]
    torch.testing.assert_close(torch.autograd.grad(y, b)[0], first, rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(y, b)


def test_a_saved_input_changed_in_place_is_refused():
    b, a, x = cases.numerator((), 3).requires_grad_(), cases.denominator((), 3), randn((300,))[0]
    y = fb.lfilter(b, a, x)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_no_grad_and_inference_mode():
    b, a, x = cases.numerator((), 3).requires_grad_(), cases.denominator((), 3), randn((300,))[0]
    with torch.no_grad():
        assert not fb.lfilter(b, a, x).requires_grad
    with torch.inference_mode():
        y = fb.lfilter(b, a, x)
        assert y.is_inference()
    close(y.clone(), fb.lfilter(b, a, x).detach())


def test_autocast_leaves_filters_alone():
    """A recursion in bfloat16 would be worthless: autocast neither changes nor breaks it."""
    b, a, x = torch.tensor([1.0, 0.5]), torch.tensor([1.0, -0.9]), torch.randn(3, 200)
    expected = fb.lfilter(b, a, x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fb.lfilter(b, a, x), expected)
        assert torch.equal(fb.linear_recurrence(0.5, x), fb.linear_recurrence(0.5, x.clone()))


def test_fake_tensors_have_the_right_shapes_and_strides():
    with FakeTensorMode():
        b, a, x, zi = (torch.empty(s) for s in ((7, 3), (7, 4), (100, 5, 1), (7, 3)))
        y, zf = fb.lfilter(b, a, x, 0, zi)
        assert (y.shape, y.stride(), zf.shape) == ((100, 5, 7), (35, 7, 1), (5, 7, 3))
        assert fb.linear_recurrence(0.5, x, dim=0).shape == (100, 5, 1)
        assert fb.sosfilt(torch.empty(7, 2, 6), x, 0).shape == (100, 5, 7)
