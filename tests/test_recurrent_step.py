"""Streams: one step at a time, and training in blocks whose gradients end at their beginning."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from recurrences import (
    CLASSES,
    HIDDEN,
    INPUT,
    KINDS,
    first_state,
    randn,
    sequence,
    twins,
)
from scanning import tensors_of
from torch import Tensor, nn

import feedbackward as fb

STRUCTURES = (None, fb.Banded(1, 2), fb.BlockDiagonal(2), fb.Diagonal(), fb.LowRankPlusDiagonal(2))


def same(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def detached(tree: Any) -> Any:
    return tuple(t.detach() for t in tree) if isinstance(tree, tuple) else tree.detach()


@pytest.mark.parametrize("kind", [*KINDS, "LSTM with projection"])
@pytest.mark.parametrize("with_state", [True, False])
def test_steps_are_the_sequence(kind: str, with_state: bool) -> None:
    more = {"proj_size": 2} if "proj" in kind else {}
    layer = CLASSES[kind[:4].strip()](INPUT, HIDDEN, 2, batch_first=True, dtype=torch.float64, **more)
    for batch in (5, 0, None):
        x = sequence(layer, 6, batch)
        state = first_state(layer, batch) if with_state else None
        whole, last = layer(x, state)
        ys = []
        for now in x.unbind(1 if batch is not None else 0):
            y, state = layer.step(now, state)
            ys.append(y)
        same(torch.stack(ys, -2), whole)
        same(state, last)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_steps_of_structures_have_the_gradients_of_the_sequence(kind: str, structure: Any) -> None:
    layer = CLASSES[kind](INPUT, HIDDEN, 2, structure=structure, layer_norm=True, dtype=torch.float64)
    x, parameters = sequence(layer, 6, 5).requires_grad_(), list(layer.parameters())

    def steps(x: Tensor) -> Tensor:
        ys, state = [], None
        for now in x:
            y, state = layer.step(now, state)
            ys.append(y)
        return torch.stack(ys)

    whole = torch.autograd.grad(layer(x)[0].square().sum(), [x, *parameters])
    by_steps = torch.autograd.grad(steps(x).square().sum(), [x, *parameters])
    torch.testing.assert_close(by_steps, whole, rtol=1e-8, atol=1e-9)


def test_a_stream_begins_with_steps_and_goes_on_with_blocks() -> None:
    layer, _ = twins("LSTM", num_layers=2)
    x = sequence(layer, 9, 5)
    y, state = layer.step(x[0])
    block, state = layer(x[1:8], state)
    end, state = layer.step(x[8], state)
    whole, last = layer(x)
    same(torch.cat([y[None], block, end[None]]), whole)
    same(state, last)


def truncated(
    module: Callable, x: Tensor, state: Any, steps: int, overlap: int, loss: Callable[[Tensor, slice], Tensor]
) -> list[Tensor]:
    """The losses of all blocks by the definition; their gradients are added to ``.grad``."""

    def run(x: Tensor, state: Any) -> tuple[Tensor, Any]:
        ys = []
        for now in x:
            y, state = module(now[None], state)
            ys.append(y)
        return torch.cat(ys), state

    with torch.no_grad():
        states = [state]
        for now in x:
            states.append(module(now[None], states[-1])[1])
    losses = []
    for start in range(0, len(x), steps):
        stop, early = min(start + steps, len(x)), max(start - overlap, 0)
        y, _ = run(x[early:stop], state if start == 0 else detached(states[early]))
        losses.append(loss(y[start - early :], slice(start, stop)))
        losses[-1].backward()
    return losses


@pytest.mark.parametrize(("steps", "overlap"), [(5, 0), (5, 3), (5, 5), (5, 12), (1, 0), (1, 2), (23, 4), (40, 40)])
@pytest.mark.parametrize("kind", KINDS)
def test_blocks_are_the_loop_of_the_definition(kind: str, steps: int, overlap: int) -> None:
    mine, theirs = twins(kind, num_layers=2)
    x, target = randn(23, 2, INPUT), randn(23, 2, HIDDEN)
    state = first_state(mine, 2)
    gradients, losses = [], []

    def loss_fn(y: Tensor, time: slice) -> Tensor:
        return (y - target[time]).square().sum()

    for layer, run in ((theirs, truncated), (mine, None)):
        inputs = x.clone().requires_grad_(), tuple(s.clone().requires_grad_() for s in tensors_of(state))
        first = inputs[1] if kind == "LSTM" else inputs[1][0]
        if run is not None:
            losses.append([loss.detach() for loss in run(layer, inputs[0], first, steps, overlap, loss_fn)])
        else:
            blocks = list(fb.tbptt(layer, inputs[0], steps, state=first, loss_fn=loss_fn, overlap=overlap))
            losses.append([b.loss for b in blocks])
            assert [b.time for b in blocks] == [slice(s, min(s + steps, 23)) for s in range(0, 23, steps)]
            same(torch.cat([b.output for b in blocks]), theirs(x, state)[0].detach())
            same(blocks[-1].state, detached(theirs(x, state)[1]))
            assert not any(t.requires_grad for b in blocks for t in tensors_of((b.output, b.state, b.loss)))
        gradients.append([inputs[0].grad, *(s.grad for s in inputs[1]), *(p.grad for p in layer.parameters())])
    same(losses[1], losses[0])
    same(gradients[1], gradients[0])


@pytest.mark.parametrize("overlap", [18, 100])
def test_a_large_overlap_is_full_back_propagation(overlap: int) -> None:
    mine, _ = twins("GRU", num_layers=2)
    x = randn(23, 2, INPUT)
    mine(x)[0].square().sum().backward()
    full = [p.grad.clone() for p in mine.parameters()]
    mine.zero_grad()
    list(fb.tbptt(mine, x, 5, loss_fn=lambda y, time: y.square().sum(), overlap=overlap))
    found = [p.grad for p in mine.parameters()]
    if overlap == 100:
        same(found, full)
    else:  # the last block begins at sample 20 - 18 = 2
        assert not torch.allclose(found[0], full[0], rtol=1e-14, atol=0)
        torch.testing.assert_close(found, full, rtol=0.05, atol=0.05)


def test_without_a_loss_function_the_caller_takes_the_gradient() -> None:
    mine, theirs = twins("RNN")
    x = randn(13, 2, INPUT)
    truncated(theirs, x, None, 4, 2, lambda y, time: y.square().sum())
    for block in fb.tbptt(mine, x, 4, overlap=2):
        assert block.loss is None
        assert block.output.requires_grad
        assert not block.state.requires_grad
        block.output.square().sum().backward()
    same([p.grad for p in mine.parameters()], [p.grad for p in theirs.parameters()])


def test_weights_change_between_blocks() -> None:
    """A step of an optimizer after every block, as in the loop that everybody writes."""
    mine, theirs = twins("LSTM")
    x, target = randn(20, 2, INPUT), randn(20, 2, HIDDEN)
    ours = torch.optim.SGD(mine.parameters(), 0.1)
    for _ in fb.tbptt(mine, x, 6, loss_fn=lambda y, time: (y - target[time]).square().mean()):
        ours.step()
        ours.zero_grad()
    others, state = torch.optim.SGD(theirs.parameters(), 0.1), None
    for start in range(0, 20, 6):
        y, state = theirs(x[start : start + 6], state)
        state = detached(state)
        (y - target[start : start + 6]).square().mean().backward()
        others.step()
        others.zero_grad()
    same(list(mine.parameters()), list(theirs.parameters()))


def test_every_form_of_module() -> None:
    """Filters have time last, batch_first has it second, a scan and a function have it first."""
    sos = fb.nn.SOSFilter(2, dtype=torch.float64)
    nn.init.normal_(sos.raw_a, std=0.1)
    filtered = randn(3, 20)
    cell = nn.GRUCell(INPUT, HIDDEN, dtype=torch.float64)
    turned, _ = twins("GRU", batch_first=True)
    theirs = turned.to_torch()
    band = fb.nn.BandRNN(INPUT, HIDDEN, 1, batch_first=True, dtype=torch.float64)
    cases: list[tuple[Any, Any, Tensor, dict, int]] = [
        (sos, lambda x: sos(x), filtered, {}, -1),
        (fb.nn.LFilter.from_ba([0.2, 0.1], [1.0, -0.5], dtype=torch.float64), None, filtered, {}, -1),
        (lambda x, s: fb.scan(cell, s, x)[::-1], None, randn(20, 2, INPUT), {"state": randn(2, HIDDEN)}, 0),
        (turned, lambda x: turned(x)[0], randn(2, 20, INPUT), {}, 1),
        (turned, lambda x: turned(x)[0], randn(20, INPUT), {}, 0),
        (theirs, lambda x: theirs(x)[0], randn(2, 20, INPUT), {}, 1),
        (band, lambda x: band(x)[0], randn(2, 20, INPUT), {}, 1),
        (lambda x, s: turned(x, s), lambda x: turned(x)[0], randn(2, 20, INPUT), {"dim": 1}, 1),
        (lambda x, s: turned(x, s), lambda x: turned(x)[0], randn(2, 20, INPUT), {"dim": -2}, 1),
    ]
    for module, whole, x, settings, axis in cases:
        blocks = list(fb.tbptt(module, x, 6, overlap=2, **settings))
        expected = module(x, settings.get("state"))[0] if whole is None else whole(x)
        same(torch.cat([b.output for b in blocks], axis), expected)


def test_outputs_that_are_trees() -> None:
    layer = fb.nn.RNN(INPUT, HIDDEN, dtype=torch.float64)

    def module(x: Tensor, state: Any) -> tuple[dict, Any]:
        y, state = layer(x, state)
        return {"y": y, "pair": (2 * y, y.sum(-1))}, state

    x = randn(10, 2, INPUT)
    blocks = list(fb.tbptt(module, x, 4, overlap=3))
    same(torch.cat([b.output["y"] for b in blocks]), layer(x)[0])
    same(torch.cat([b.output["pair"][1] for b in blocks]), layer(x)[0].sum(-1))


class _Marked(torch.autograd.Function):
    """The identity; its node in the graph keeps a mark alive."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, mark: Any) -> Tensor:
        ctx.mark = mark
        return x.clone()

    @staticmethod
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor, None]:
        return d_y, None


class _Mark:
    pass


@pytest.mark.parametrize("overlap", [0, 3])
@pytest.mark.parametrize("with_loss", [True, False])
def test_only_one_block_is_in_memory(overlap: int, with_loss: bool) -> None:
    """When a block begins, the graphs of those before it are gone."""
    layer, marks, alive = fb.nn.RNN(INPUT, HIDDEN, dtype=torch.float64), [], []

    def module(x: Tensor, state: Any) -> tuple[Tensor, Any]:
        if state is None or not state.requires_grad:  # a block begins
            alive.append(sum(mark() is not None for mark in marks))
        y, state = layer(x, state)
        mark = _Mark()
        marks.append(weakref.ref(mark))
        return _Marked.apply(y, mark), _Marked.apply(state, mark)

    loss_fn = (lambda y, time: y.square().sum()) if with_loss else None
    for block in fb.tbptt(module, randn(30, 2, INPUT), 6, loss_fn=loss_fn, overlap=overlap):
        if not with_loss:
            block.output.square().sum().backward()
        del block
    assert alive == [0] * 5


def test_no_samples_are_no_blocks() -> None:
    layer = fb.nn.RNN(INPUT, HIDDEN)
    assert list(fb.tbptt(layer, torch.randn(0, 2, INPUT), 5)) == []


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda m, x: fb.tbptt(m, x, 0), ValueError, "tbptt: steps is 0, expected a positive integer"),
        (lambda m, x: fb.tbptt(m, x, 2.0), ValueError, "tbptt: steps is 2.0, expected a positive integer"),
        (
            lambda m, x: fb.tbptt(m, x, 2, overlap=-1),
            ValueError,
            "tbptt: overlap is -1, expected an integer of at least 0",
        ),
        (lambda m, x: fb.tbptt(m, [1.0], 2), ValueError, "tbptt: x is list, expected a tensor with time"),
        (lambda m, x: fb.tbptt(m, x[0, 0, 0], 2), ValueError, "tbptt: x is (), expected a tensor with time"),
        (lambda m, x: fb.tbptt(m, x, 2, dim=3), ValueError, "tbptt: dim is 3, but x has shape (4, 2, 3)"),
        (
            lambda m, x: next(fb.tbptt(lambda x, s: x, x, 2)),
            TypeError,
            "tbptt: the module returned a Tensor, expected a pair (y, state)",
        ),
    ],
)
def test_errors(call: Callable, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as raised:
        call(fb.nn.RNN(INPUT, HIDDEN), torch.zeros(4, 2, INPUT))
    assert str(raised.value) == sentence
