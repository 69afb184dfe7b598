"""Cells as emitted kernels: examples, operators and shapes, values and all gradients, against the plain loop."""

from __future__ import annotations

import pytest
import scanning
import torch
from scan_operators import DOMAINS, OPERATORS, anything
from scanning import randn

import feedbackward as fb
from feedbackward.triton import scan as launched

from cells import CELLS  # isort: skip (scanning puts the examples on the path)


@pytest.fixture(autouse=True)
def on_the_device(device, monkeypatch):
    """New tensors lie on the device; and at least one kernel runs."""
    ran = []
    original = launched._Call.run
    monkeypatch.setattr(launched._Call, "run", lambda *given: (ran.append(1), original(*given)))
    with torch.device(device):
        yield
    assert ran


def make(name, batch, steps, dtype):
    torch.manual_seed(1)
    return CELLS[name](batch=batch, steps=steps, dtype=dtype)


@pytest.mark.parametrize("name", CELLS)
def test_cells(name):
    """Three lanes of a block of more; in float64, and a second derivative."""
    conditioning = 10.0 if "norm" in name else 1.0
    scanning.check(*make(name, 3, 5, torch.float64), conditioning, check=False)


@pytest.mark.parametrize("name", ["compressor", "kuramoto", "rnn"])
def test_more_lanes_than_a_block_in_float32(name):
    mine = scanning.outcome(*make(name, 37, 4, torch.float32), check=False)
    truth = scanning.outcome(*make(name, 37, 4, torch.float64), backend="eager")
    assert all(v.dtype == torch.float32 for v in mine.values)
    scanning.assert_same(mine, truth, torch.float32, 4, name)


@pytest.mark.parametrize("name", ["compressor", "fitzhugh_nagumo"])
def test_second_derivatives(name):
    scanning.check(*make(name, 2, 3, torch.float64), second=True)


@pytest.mark.parametrize("checkpoint", [1, 4, 1000, None])
@pytest.mark.parametrize("name", ["fitzhugh_nagumo", "kuramoto"])
def test_checkpoints_change_nothing(name, checkpoint):
    example = make(name, 3, 9, torch.float64)
    for mine, other in zip(scanning.outcome(*example, checkpoint=checkpoint), scanning.outcome(*example), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=0)


@pytest.mark.parametrize("part", range(4))
def test_operators(part):
    names = list(OPERATORS)[part::4]

    def cell(carry, x):
        results = []
        for name in names:
            domain = DOMAINS.get(name, anything)
            result = OPERATORS[name](domain(carry[0]), domain(carry[1]))
            results.append(result if result.dtype.is_floating_point else result.to(x[0].dtype))
        return x, results

    init = tuple(randn(3, 4) for _ in range(2))
    xs = tuple(randn(2, 3, 4) for _ in range(2))
    scanning.check(cell, init, xs, conditioning=1e9, check=False)


@pytest.mark.parametrize("steps", [1, 2, 16, 17])
@pytest.mark.parametrize("lanes", [(), (1,), (31,), (32,), (33,), (2, 3)])
def test_lengths_and_lanes(steps, lanes):
    a = randn()
    scanning.check(scanning.leaky(a), randn(*lanes), randn(steps, *lanes), [a], check=False)


@pytest.mark.parametrize("reverse", [False, True])
def test_what_is_the_same_along_lanes_and_strides_of_every_kind(reverse):
    def cell(s, x):
        s = torch.tanh(a * s + x[0] * b - x[1])
        return s, (s * c, s.sum(-1))

    a, b, c = randn(5, 1, 3), randn(3), randn(4, 1)
    xs = randn(4, 1, 3, 7).permute(3, 0, 1, 2), randn(5, 4, 3, 14)[..., ::2].permute(3, 0, 1, 2)
    scanning.check(cell, randn(5, 4, 3), (xs[0].transpose(1, 2), xs[1]), [a, b, c], reverse=reverse, check=False)


@pytest.mark.parametrize(("batch", "hidden"), [(1, 5), (3, 34), (9, 9)])
def test_products(batch, hidden):
    """Dense, banded and in blocks: written out when they are small, through memory when they are not."""
    w, band = randn(hidden, hidden, scale=0.3), randn(4, hidden, scale=0.2)
    blocks = randn(hidden // 3, 3, 3, scale=0.2)

    def cell(h, x):
        rest = h[..., : hidden // 3 * 3].unflatten(-1, (-1, 3))
        in_blocks = torch.einsum("...gi,gij->...gj", rest, blocks).flatten(-2)
        h = torch.tanh(h @ w + fb.band_matmul(h, band, 2, 1) + x)
        return h + torch.nn.functional.pad(in_blocks, (0, hidden % 3)), h.flip(-1)

    init, xs = randn(batch, hidden), randn(3, batch, hidden)
    scanning.check(cell, init, xs, [w, band, blocks], conditioning=4, check=False)


def test_rows_are_mixed_in_every_way():
    def cell(s, x):
        flipped = s.flip(-1).roll(2, -1)
        spread = torch.softmax(s.view(*s.shape[:-1], 6, 8), -1).flatten(-2)
        top = s.view(*s.shape[:-1], 6, 8).amax(-2).repeat(1, 6)
        s = torch.tanh(0.5 * flipped + spread + 0.1 * top + x + s[..., :1] * s[..., -1:])
        return s, (s[..., 5:20:3], s.cumsum(-1)[..., -1], torch.cat([s[..., 3:11], x[..., ::6]], -1))

    scanning.check(cell, randn(3, 48), randn(3, 3, 48), check=False)


def test_one_broken_lane_stays_alone():
    init = randn(40, 20)
    init[7], init[9] = float("nan"), float("inf")
    band = randn(4, 20)

    def cell(s, x):
        s = torch.relu(s) * 0.5 + s.mean(-1, keepdim=True) + fb.band_matmul(s, band, 2, 1) + x
        return s, s.amax(-1)

    _, y = fb.scan(cell, init, randn(4, 40, 20), check=False)
    assert not bool(y[:, [7, 9]].isfinite().any())
    assert bool(y.isfinite()[:, [i for i in range(40) if i not in (7, 9)]].all())


def test_a_lane_does_not_see_how_many_there_are():
    w, init, xs = randn(20, 20), randn(40, 20), randn(3, 40, 20)
    cell = lambda s, x: ((y := torch.tanh(s @ w + x - s.sum(-1, keepdim=True))), y)  # noqa: E731
    whole = fb.scan(cell, init, xs, check=False)[1]
    alone = fb.scan(cell, init[17:18], xs[:, 17:18], check=False)[1]
    assert torch.equal(whole[:, 17:18], alone)


def test_a_step_that_is_too_wide_is_refused():
    with pytest.raises(ValueError, match="20000 rows for every lane, and the device's kernels take up to 16384"):
        fb.scan(lambda s, x: (s.roll(1, -1) + x, s), randn(20000), randn(2, 20000), check=False)
    fb.scan(lambda s, x: (s + x, s), randn(3), randn(2, 3), check=False)
