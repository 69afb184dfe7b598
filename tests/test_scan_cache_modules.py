"""Modules as cells: what of them a trace depends on, and that none is kept alive."""

from __future__ import annotations

import functools
import gc
import weakref

import pytest
import torch
from scanning import randn
from test_scan_cache import make, traced, traces
from torch import nn

import feedbackward as fb
from feedbackward.engine import prepare
from feedbackward.engine.errors import LoweringError

__all__ = ["traces"]  # the fixture


class Cell(nn.Module):
    scale = 0.9

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(randn(3))
        self.linear = nn.Linear(3, 3).double()
        self.register_buffer("b", randn(3))
        self.k = 0.5

    def forward(self, h, x):
        gain = self.k if self.training else 0.1
        return torch.tanh(self.linear(h) * self.w * gain * self.scale + x + self.b), h


def test_a_module_is_traced_once():
    cell = Cell()
    assert traced(cell) == 1
    assert traced(cell) == 0
    with torch.no_grad():
        cell.w.mul_(2)
    assert traced(cell) == 0
    cell.w = nn.Parameter(randn(3))
    assert traced(cell) == 0
    cell.b = randn(3)
    assert traced(cell) == 0
    assert traced(Cell()) == 0
    assert traced(lambda h, x: cell(h, x)) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m, "k", 0.7),
        lambda m: m.eval(),
        lambda m: setattr(m, "linear", nn.Linear(3, 3, bias=False).double()),
        lambda m: setattr(m, "linear", nn.Identity()),
        lambda m: setattr(m, "b", randn(1)),
        lambda m: setattr(m, "b", torch.tensor([1, 2, 3])),
        lambda m: setattr(m, "forward", lambda h, x: (h - x, h)),
        lambda m: setattr(m, "scale", 0.3),
        lambda m: m.linear.register_forward_hook(lambda module, inputs, output: 2 * output),
        lambda m: m.linear.register_forward_pre_hook(lambda module, inputs: (2 * inputs[0],)),
        lambda m: nn.utils.parametrize.register_parametrization(m.linear, "weight", nn.Tanh()),
    ],
    ids="number eval submodule identity shape dtype forward class_attribute hook pre_hook parametrization".split(),
)
def test_a_module_that_changes(change):
    cell = Cell()
    traced(cell)
    change(cell)
    traced(cell)


def test_attributes_of_a_modules_class(monkeypatch):
    cell = Cell()
    traced(cell)
    monkeypatch.setattr(Cell, "scale", 0.2)
    traced(cell)
    monkeypatch.setattr(Cell, "forward", lambda self, h, x: (h - x * self.w, h))
    traced(cell)


def test_freezing_and_thawing():
    cell = Cell()
    for frozen in (False, True, False):
        cell.w.requires_grad_(not frozen)
        cell.w.grad = None
        _, y = fb.scan(cell, randn(3), randn(5, 3))
        y.sum().backward()
        assert (cell.w.grad is None) == frozen


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: lambda h, x: m(h, x), lambda m: functools.partial(m.forward)])
def test_a_model_is_freed(train, wrap):
    cell = Cell()
    last, y = fb.scan(wrap(cell), randn(3), randn(5, 3))
    if train:
        y.sum().backward()
    references = [weakref.ref(cell), weakref.ref(cell.w), weakref.ref(cell.linear.weight), weakref.ref(cell.b)]
    del cell, last, y
    gc.collect()
    assert [r() for r in references] == [None] * 4


def test_inputs_and_tensors_of_a_closure_are_freed():
    a, h, x = randn(3).requires_grad_(), randn(3).requires_grad_(), randn(5, 3)
    references = [weakref.ref(t) for t in (a, h, x)]
    last, y = fb.scan(make(0.31, a), h, x)
    y.sum().backward()
    del a, h, x, y, last
    gc.collect()
    assert [r() for r in references] == [None] * 3


def test_a_cell_that_fails_keeps_nothing():
    cell = Cell()
    cell.forward = lambda h, x, w=cell.w: (torch.rand(3) * w * h, x)
    with pytest.raises(LoweringError):
        fb.scan(cell, randn(3), randn(5, 3))
    reference = weakref.ref(cell)
    del cell
    gc.collect()
    assert reference() is None


def test_many_cells_do_not_pile_up(monkeypatch):
    """Cells beyond the few hundred that are remembered are forgotten, the oldest first."""
    monkeypatch.setattr(prepare, "_MOST", 3)
    for k in range(1, 6):
        assert traced(make(k / 1000)) == 1
        assert traced(make(k / 1000)) == 0
    assert len(prepare._known) <= 3
    assert traced(make(0.005)) == 0
    assert traced(make(0.001)) == 1
