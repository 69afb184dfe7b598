"""Derivatives of a scan, of any order and in every mode, and torch's transforms of it."""

from __future__ import annotations

import functools
import itertools

import pytest
import scanning
import torch
from scanning import leaky, randn
from torch import nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

import feedbackward as fb


def test_every_subset_of_inputs_that_require_gradients():
    shapes = ((2, 3), (7, 2, 3), (3, 3), (3,))
    for mask in itertools.product([False, True], repeat=4):
        h, x, w, b = (randn(*s, scale=0.4).requires_grad_(m) for s, m in zip(shapes, mask, strict=True))

        def cell(h, x, w=w, b=b):
            return (y := torch.tanh(h @ w + x * b)), y * h

        found = []
        for backend in ("native", "eager"):
            last, y = fb.scan(cell, h, x, backend=backend)
            assert last.requires_grad == y.requires_grad == any(mask)
            inputs = [t for t in (h, x, w, b) if t.requires_grad]
            found.append(torch.autograd.grad(scanning.loss_of([last, y]), inputs) if inputs else ())
        torch.testing.assert_close(*found, rtol=1e-13, atol=1e-13)


def test_gradients_of_only_some_results():
    a = randn().requires_grad_()
    for which in range(3):
        found = []
        for backend in ("native", "eager"):
            last, (y, z) = fb.scan(lambda h, x: ((g := torch.tanh(a * h + x)), (g * x, g + h)), torch.ones(3).double(),
                                   torch.linspace(-1, 1, 27).double().reshape(9, 3), backend=backend)  # fmt: skip
            found.append(torch.autograd.grad((last, y, z)[which].square().sum(), a)[0])
        torch.testing.assert_close(*found, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("checkpoint", [1, 2, 7, 64, 10_000, None])
@pytest.mark.parametrize("reverse", [False, True])
def test_checkpoints_are_equal_to_the_last_bit(checkpoint, reverse):
    for lanes in ((), (4,), (130,)):
        a, h, x = randn(), randn(*lanes), randn(150, *lanes)
        mine = scanning.outcome(leaky(a), h, x, [a], checkpoint=checkpoint, reverse=reverse)
        truth = scanning.outcome(leaky(a), h, x, [a], reverse=reverse)
        torch.testing.assert_close(tuple(mine), tuple(truth), rtol=0, atol=0)


def dense(h, x, w, a):
    last, y = fb.scan(lambda h, x: ((y := torch.tanh(h @ w + a * x)), y * h), h, x)
    return torch.cat([last.flatten(), y.flatten()])


def lanes(h, x, w, a):
    last, y = fb.scan(lambda h, x: ((y := torch.sin(w[0] * h + x) + torch.where(h > 0, a * h, h * h)), y * x), h, x)
    return torch.cat([last.flatten(), y.flatten()])


def narrow(h, x, w, a):
    last, y = fb.scan(lambda h, x: ((y := torch.sigmoid(a * h + x * w[0, 0])), y * x), h[0, 0], x[:, 0, 0])
    return torch.cat([last[None], y])


EACH = pytest.mark.parametrize("function", [dense, lanes, narrow], ids=lambda f: f.__name__)
TRANSFORMS = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")


def inputs_of(function):
    return randn(2, 3), randn(4, 2, 3), randn(3, 3, scale=0.4), randn()


def in_a_loop(function):
    """The same with the plain loop in the place of the native one."""

    def run(*inputs):
        native = fb.scan
        try:
            fb.scan = functools.partial(native, backend="eager")
            return function(*inputs)
        finally:
            fb.scan = native

    return run


def scalar(function):
    return lambda *inputs: function(*inputs).sin().sum()


def close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-11, atol=1e-11)


@EACH
@TRANSFORMS
def test_gradcheck(function):
    inputs = [t.requires_grad_() for t in inputs_of(function)]
    # check_batched_grad would use the vmap from before torch.func, which has no rule for operators that return lists.
    assert torch.autograd.gradcheck(function, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(function, inputs, check_fwd_over_rev=True, check_rev_over_rev=True)


@EACH
@TRANSFORMS
def test_third_derivatives(function):
    inputs = inputs_of(function)

    def third(f):
        first = lambda *i: grad(scalar(f))(*i).cos().sum()  # noqa: E731
        return grad(lambda *i: grad(first)(*i).sin().sum(), (0, 1, 2, 3))(*inputs)

    close(third(function), third(in_a_loop(function)))


@EACH
@TRANSFORMS
def test_torch_func(function):
    inputs, loop = inputs_of(function), in_a_loop(function)
    for i in range(4):
        close(grad(scalar(function), i)(*inputs), grad(scalar(loop), i)(*inputs))
        close(jacrev(function, i)(*inputs), jacrev(loop, i)(*inputs))
        close(jacfwd(function, i)(*inputs), jacrev(loop, i)(*inputs))
        close(hessian(scalar(function), i)(*inputs), hessian(scalar(loop), i)(*inputs))
        close(jacrev(jacrev(scalar(function), i), i)(*inputs), hessian(scalar(loop), i)(*inputs))
    tangents = tuple(torch.randn_like(t) for t in inputs)
    close(jvp(function, inputs, tangents), jvp(loop, inputs, tangents))
    out, pull = vjp(function, *inputs)
    close(pull(torch.ones_like(out)), vjp(loop, *inputs)[1](torch.ones_like(out)))


@EACH
@TRANSFORMS
def test_the_first_use_of_a_cell_under_a_transform(function):
    """Nothing is traced yet: a cell of this test alone, under each transform, and as usual afterwards."""
    inputs = inputs_of(function)
    tangents = tuple(torch.randn_like(t) for t in inputs)
    transforms = (
        lambda f: grad(scalar(f))(*inputs),
        lambda f: jvp(f, inputs, tangents),
        lambda f: vmap(f, (0, None, None, None))(torch.stack([inputs[0]] * 3), *inputs[1:]),
        lambda f: jacfwd(f, 2)(*inputs),
    )
    for n, transform in enumerate(transforms):

        def fresh(h, x, w, a, n=n):
            last, y = fb.scan(lambda h, x: ((y := torch.tanh(h @ w + a * x + n)), y), h, x)
            return torch.cat([last.flatten(), y.flatten()])

        mine = transform(fresh)
        close(mine, transform(in_a_loop(fresh)))
        close(fresh(*inputs), in_a_loop(fresh)(*inputs))


@EACH
@TRANSFORMS
def test_forward_mode(function):
    inputs = inputs_of(function)
    tangents = [torch.randn_like(t) for t in inputs]
    for mask in range(1, 16):
        found = []
        for call in (function, in_a_loop(function)):
            with forward_ad.dual_level():
                duals = [
                    forward_ad.make_dual(t, v) if mask >> i & 1 else t
                    for i, (t, v) in enumerate(zip(inputs, tangents, strict=True))
                ]
                found.append(tuple(forward_ad.unpack_dual(call(*duals))))
        close(*found)


@EACH
def test_vmap_over_every_subset(function):
    inputs, loop = inputs_of(function), in_a_loop(function)
    for mask in range(1, 16):
        for at, out in ((0, 0), (-1, 1)):
            dims = tuple(at if mask >> i & 1 else None for i in range(4))
            batched = [t if d is None else torch.stack([t, 0.5 * t, -t], d) for t, d in zip(inputs, dims, strict=True)]
            close(vmap(function, dims, out)(*batched), vmap(loop, dims, out)(*batched))
            close(vmap(grad(scalar(function), (0, 1, 2, 3)), dims)(*batched),
                  vmap(grad(scalar(loop), (0, 1, 2, 3)), dims)(*batched))  # fmt: skip


@EACH
def test_vmap_within_vmap(function):
    inputs = [torch.stack([torch.stack([t, 0.3 * t])] * 3) for t in inputs_of(function)]
    close(vmap(vmap(function))(*inputs), vmap(vmap(in_a_loop(function)))(*inputs))


@pytest.mark.parametrize("reentrant", [False, True])
def test_torchs_own_checkpointing(reentrant):
    inputs = [t.requires_grad_() for t in inputs_of(dense)]
    truth = torch.autograd.grad(scalar(dense)(*inputs), inputs)
    torch.utils.checkpoint.checkpoint(scalar(dense), *inputs, use_reentrant=reentrant).backward()
    torch.testing.assert_close([t.grad for t in inputs], list(truth), rtol=0, atol=0)


def test_graphs_are_kept_and_freed():
    inputs = [t.requires_grad_() for t in inputs_of(dense)]
    loss = scalar(dense)(*inputs)
    first = torch.autograd.grad(loss, inputs, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(loss, inputs), first, rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="second time"):
        torch.autograd.grad(loss, inputs)


def test_an_input_that_is_changed_in_place_is_refused():
    h, x, w, a = inputs_of(dense)
    w.requires_grad_()
    loss = scalar(dense)(h, x, w, a)
    with torch.no_grad():
        w.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_without_gradients():
    h, x, w, a = inputs_of(dense)
    w.requires_grad_()
    with torch.no_grad():
        expected = dense(h, x, w, a)
    assert not expected.requires_grad
    with torch.inference_mode():
        result = dense(h, x, w, a)
    assert result.is_inference()
    torch.testing.assert_close(result.clone(), expected, rtol=0, atol=0)


def test_functional_call():
    cell, h, xs = nn.GRUCell(3, 4).double(), randn(2, 4), randn(9, 2, 3)

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = cell

        def forward(self, h, xs):
            return fb.scan(self.cell, h, xs)[1]

    layer = Layer()
    halved = {k: 0.5 * v.detach() for k, v in layer.named_parameters()}
    found = grad(lambda p: functional_call(layer, p, (h, xs)).sin().sum())(halved)
    with torch.no_grad():
        for k, v in layer.named_parameters():
            v.copy_(halved[k])
    truth = torch.autograd.grad(fb.scan(cell, h, xs, backend="eager")[1].sin().sum(), list(layer.parameters()))
    close(list(found.values()), list(truth))
