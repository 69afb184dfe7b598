"""fb.scan: carry[t], y[t] = cell(carry[t-1], x[t]), for any tree, shape, length, dim and cell."""

from __future__ import annotations

import functools

import pytest
import scanning
import torch
from scanning import LENGTHS, by_hand, check, leaky, randn
from torch import nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree

import feedbackward as fb

LANES = ((), (1,), (4,), (2, 3), (5, 1), (17,), (65,), (130,))


# What a scan is


def test_by_hand():
    a, h, xs = randn(), randn(3, 4), randn(20, 3, 4)
    for mine, truth in zip(fb.scan(leaky(a), h, xs), by_hand(leaky(a), h, xs), strict=True):
        torch.testing.assert_close(mine, truth, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("backend", ["auto", "native", "eager"])
def test_backends(backend):
    a, h, xs = randn(), randn(3, 4), randn(20, 3, 4)
    scanning.assert_same(
        scanning.outcome(leaky(a), h, xs, [a], backend=backend),
        scanning.outcome(leaky(a), h, xs, [a], backend="eager"),
        torch.float64,
        20,
    )


@pytest.mark.parametrize("steps", LENGTHS)
@pytest.mark.parametrize("reverse", [False, True])
def test_lengths(steps, reverse):
    for lanes in ((), (3,), (20,)):
        a = randn()
        check(leaky(a), randn(*lanes), randn(steps, *lanes), [a], reverse=reverse)
    w = randn(4, 4, scale=0.3)
    check(lambda h, x: ((y := torch.tanh(h @ w + x)), y), randn(3, 4), randn(steps, 3, 4), [w], reverse=reverse)


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lanes(lanes, dtype):
    a = randn(dtype=dtype)
    result = check(leaky(a), randn(*lanes, dtype=dtype), randn(33, *lanes, dtype=dtype), [a])
    assert all(v.dtype == dtype for v in result.values)


@pytest.mark.parametrize("shape", [(0,), (0, 4), (3, 0), (2, 0, 4)])
def test_nothing(shape):
    """No lanes, or no channels."""
    a = randn()
    check(leaky(a), randn(*shape), randn(5, *shape), [a])
    w = randn(shape[-1], shape[-1])
    if len(shape) > 1:
        check(lambda h, x: ((y := torch.tanh(h @ w + x)), y), randn(*shape), randn(5, *shape), [w])


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2, -3])
@pytest.mark.parametrize("reverse", [False, True])
def test_dim(dim, reverse):
    a, shape = randn(), [2, 3]
    shape.insert(dim % 3, 7)
    result = check(leaky(a), randn(2, 3), randn(*shape), [a], dim=dim, reverse=reverse)
    assert result.values[1].shape == tuple(shape)


def test_dim_where_y_has_other_axes():
    """Time stands at dim in y as well, if y has so many axes."""
    for dim, shape in ((1, (4, 7, 3)), (-1, (4, 3, 7)), (-2, (4, 7, 3))):
        a = randn()
        check(
            lambda h, x, a=a: ((y := torch.tanh(a * h + x)), y.unsqueeze(0)), randn(4, 3), randn(*shape), [a], dim=dim
        )
        check(lambda h, x, a=a: ((y := torch.tanh(a * h + x)), y[0]), randn(4, 3), randn(*shape), [a], dim=dim)


# Trees


TREES = {
    "tuple": lambda a, b: (a, b),
    "list": lambda a, b: [a, b],
    "dict": lambda a, b: {"b": b, "a": a},
    "nested": lambda a, b: {"p": (a, [b]), "q": ()},
    "none": lambda a, b: (None, a, {"n": None, "b": b}),
}


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_trees(tree):
    def pick(part):
        return [t for t in pytree.tree_leaves(part) if t is not None] if not isinstance(part, dict) or "a" not in part \
            else [part["a"], part["b"]]  # fmt: skip

    def cell(carry, x):
        (h, g), (p, q) = pick(carry), pick(x)
        h, g = torch.tanh(h + 0.5 * g + p), 0.9 * g + q
        return tree(h, g), tree(h * g, p + g)

    init, xs = tree(randn(3), randn(3)), tree(randn(9, 3), randn(9, 3))
    last, y = fb.scan(cell, init, xs)
    assert pytree.tree_structure(last) == pytree.tree_structure(init)
    assert pytree.tree_structure(y) == pytree.tree_structure(tree(1, 2))
    check(cell, init, xs)


def test_none_as_y():
    a = randn()
    last, y = fb.scan(lambda h, x: (torch.tanh(a * h + x), None), randn(3), randn(9, 3))
    assert y is None
    assert last.shape == (3,)
    check(lambda h, x: (torch.tanh(a * h + x), None), randn(3), randn(9, 3), [a])


@pytest.mark.parametrize("nothing", [None, (), [], {}, (None, {})])
@pytest.mark.parametrize("steps", [0, 1, 9])
def test_xs_of_nothing(nothing, steps):
    seen = []

    def cell(h, x):
        seen.append(x)
        return torch.sin(h) + 0.1, h

    result = check(cell, randn(3), nothing, length=steps)
    assert result.values[1].shape == (steps, 3)
    assert all(x == nothing for x in seen)


def test_a_carry_of_nothing():
    a = randn(3)
    check(lambda carry, x: (carry, a * x), (), randn(9, 3), [a])
    check(lambda carry, x: (None, a * x), None, randn(9, 3), [a])


def test_results_that_need_no_loop():
    """Of x alone, of parameters alone, of nothing, the carry as it was, x in the place of the carry."""
    p = randn(3)
    for cell in (
        lambda h, x: (h, x * 2),
        lambda h, x: (h, p * 1),
        lambda h, x: (h, p),
        lambda h, x: (x, h),
        lambda h, x: (p + 0 * x, h),
        lambda h, x: (h, (h, x, p, h)),
        lambda h, x: (torch.ones_like(h), torch.zeros(2, dtype=h.dtype)),
        lambda h, x: (h, ()),
    ):
        for steps in (0, 1, 5):
            check(cell, randn(3), randn(steps, 3), [p])


# Shapes


@pytest.mark.parametrize(
    "shape", [(), (1,), (4,), (1, 4), (3, 1), (1, 1), (3, 4)], ids=lambda s: "x".join(map(str, s)) or "scalar"
)
def test_what_broadcasts_against_the_carry(shape):
    p = randn(*shape)
    check(lambda h, x: ((y := torch.tanh(h * p + x)), y * x), randn(3, 4), randn(9, *shape), [p])


def test_carries_of_several_ranks():
    def cell(carry, x):
        total, row, whole = carry
        whole = torch.tanh(whole + row[:, None] + x)
        row = 0.5 * row + whole.mean(-1) * total
        return (0.5 * total + row.mean(), row, whole), (total, whole[0])

    check(cell, (randn(), randn(3), randn(3, 4)), randn(9, 3, 4), second=True)


def test_a_scalar_carry_and_a_batch():
    a = randn()
    check(lambda s, x: (a * s + x.mean(), s * x), randn(), randn(9, 3, 4), [a])
    check(lambda s, x: (torch.where(x > s, a, 0.5) * (s - x) + x, s), randn(), randn(300), [a])


def test_any_strides():
    h, x = randn(4, 3).t(), randn(3, 4, 9).permute(2, 0, 1)
    check(leaky(randn()), h, x)
    check(leaky(randn()), randn(1, 4).expand(3, 4), randn(1, 3, 4).expand(9, 3, 4))
    check(leaky(randn()), randn(3, 4), randn(30, 3, 4)[1::3])
    check(leaky(randn()), randn(3, 4), randn(1).expand(9, 3, 4))
    check(leaky(randn()), randn(6, 4)[::2], randn(3, 9, 4), dim=1)


def test_one_tensor_in_every_role():
    z = randn(4, 4, scale=0.3)
    check(lambda h, x: ((y := torch.tanh(h @ z + x + z)), y @ z), z, z[None].expand(5, 4, 4), [z])


def test_many_states():
    check(lambda c, x: (tuple(torch.tanh(c[i - 1] + 0.1 * i * x) for i in range(40)), sum(c)),
          tuple(randn(3) for _ in range(40)), randn(9, 3))  # fmt: skip


# Dtypes


def test_bools_and_integers():
    flip = torch.tensor([True, False, True])

    def cell(carry, x):
        on, h = carry
        gate, kind, value = x
        on = on ^ gate
        return (on, torch.where(on & flip, 0.5 * h, value) + kind), (on, h)

    xs = randn(9, 3) > 0, torch.randint(0, 3, (9, 3)), randn(9, 3)
    check(cell, (torch.tensor([True, False, False]), randn(3)), xs)


def test_embeddings_of_integers():
    table = randn(10, 4)
    check(lambda h, x: ((y := torch.tanh(0.5 * h + F.embedding(x, table))), y), randn(3, 4),
          torch.randint(0, 10, (9, 3)), [table])  # fmt: skip


def test_mixed_dtypes():
    def cell(carry, x):
        a, b = carry
        return (torch.tanh(a + x.float()), 0.5 * b + a.double()), (b, a)

    check(cell, (randn(3, dtype=torch.float32), randn(3)), randn(9, 3), conditioning=10)
    check(lambda h, x: (torch.tanh(h + x), h), randn(3), randn(9, 3, dtype=torch.float32))


# Cells


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
@pytest.mark.parametrize("batch", [(), (1,), (5,), (70,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torchs_cells(kind, batch, dtype):
    cell = kind(3, 7, dtype=dtype)
    h = randn(*batch, 7, dtype=dtype)
    init = (h, randn(*batch, 7, dtype=dtype)) if kind is nn.LSTMCell else h
    check(cell, init, randn(20, *batch, 3, dtype=dtype), list(cell.parameters()))


@pytest.mark.parametrize("settings", [{"bias": False}, {"nonlinearity": "relu"}], ids=str)
def test_torchs_rnn_cell_in_its_variants(settings):
    cell = nn.RNNCell(3, 7, dtype=torch.float64, **settings)
    check(cell, randn(5, 7), randn(20, 5, 3), list(cell.parameters()))


def test_it_equals_torchs_layer():
    layer = nn.GRU(3, 7, dtype=torch.float64)
    cell = nn.GRUCell(3, 7, dtype=torch.float64)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    h, xs = randn(5, 7), randn(20, 5, 3)
    last, y = fb.scan(cell, h, xs)
    y_true, last_true = layer(xs, h[None])
    torch.testing.assert_close(y, y_true, rtol=0, atol=1e-14)
    torch.testing.assert_close(last, last_true[0], rtol=0, atol=1e-14)


def test_kinds_of_callables():
    a, w = randn(), randn(3)

    class Step:
        def __init__(self):
            self.w = w

        def __call__(self, h, x):
            return self.step(h, x)

        def step(self, h, x):
            return torch.tanh(a * h + self.w * x), h

    def keywords(h, x, *, gain):
        return torch.tanh(a * h + gain * x), h

    for cell in (Step(), Step().step, functools.partial(keywords, gain=w), nn.Sequential):
        if cell is not nn.Sequential:
            check(cell, randn(3), randn(9, 3), [a, w])


def test_a_tensor_that_is_computed_from_parameters():
    """A closed-over tensor need not be a leaf of autograd."""
    p, h, x = randn(3, scale=1.0).requires_grad_(), randn(3), randn(9, 3)
    found = []
    for backend in ("native", "eager"):
        a = torch.sigmoid(p)
        _, y = fb.scan(leaky(a), h, x, backend=backend)
        found.append(torch.autograd.grad(scanning.loss_of([y]), p)[0])
    torch.testing.assert_close(*found, rtol=1e-13, atol=1e-13)


def test_a_module_within_a_closure():
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)).double()
    check(lambda h, x: ((y := h + 0.1 * net(torch.cat([h, x], -1))), y), randn(3, 4), randn(9, 3, 2),
          list(net.parameters()), second=True)  # fmt: skip


def test_anything_may_be_done_with_x_and_with_parameters():
    """What does not depend on the state runs outside the loop, and may be any operator."""
    w = randn(4, 4, scale=0.3)

    def cell(h, x):
        sorted_x = torch.fft.rfft(x.sort(-1).values, dim=-1).abs().sum(-1, keepdim=True)
        turn = torch.linalg.matrix_exp(w - w.T)
        k, v = x.chunk(2, -1)
        return torch.tanh(h @ turn + sorted_x + k.repeat(1, 2)), v.cumprod(-1) + h[:, :2]

    check(cell, randn(3, 4), randn(9, 3, 4), [w], conditioning=10)


def test_filters_of_x_run_outside_the_loop():
    b, a = randn(3).requires_grad_(), torch.tensor([1.0, -0.5, 0.2], dtype=torch.float64, requires_grad=True)

    def cell(h, x):
        x = (
            fb.lfilter(b, a, x)
            + fb.sosfilt(torch.cat([b, a]).unsqueeze(0), x)
            + fb.linear_recurrence(torch.tensor(0.5).to(x), x)
        )
        h = 0.5 * h + x
        return h, h

    check(cell, randn(2, 6), randn(5, 2, 6), [b, a], second=True)


def test_writes_into_tensors_of_its_own():
    def cell(h, x):
        out = torch.empty_like(h)
        out[:, 0] = x[:, 1]
        out[:, 1:] = h[:, :-1]
        out.mul_(0.9).add_(x, alpha=0.5)
        return out, out[:, 0]

    check(cell, randn(3, 5), randn(9, 3, 5))


def test_detach_stops_gradients_wherever_it_stands():
    p = randn(3)
    check(lambda h, x: (torch.tanh(h.detach() * p + x), h), randn(3), randn(9, 3), [p])
    check(lambda h, x: (torch.tanh(h * p.detach() + x), h), randn(3), randn(9, 3), [p])
    check(lambda h, x: (torch.tanh(h * p + x.detach()), h), randn(3), randn(9, 3), [p])
    check(lambda h, x: (torch.tanh(h + (p * x).detach() + x), p.detach() * 2), randn(3), randn(9, 3), [p])


def test_a_scan_within_a_scan():
    a = randn()
    check(lambda h, x: (fb.scan(leaky(a), h, x)[0], h), randn(3), randn(5, 4, 3), [a])
    check(lambda h, x: (fb.scan(leaky(a), h, x, reverse=True)[0], h), randn(3), randn(5, 4, 3), [a])
