"""A cell is traced once, again when anything changes that its trace depends on, and never keeps a model alive."""

from __future__ import annotations

import functools
import sys
import types

import numpy as np
import pytest
import scanning
import torch
from scanning import randn

import feedbackward as fb
from feedbackward.engine import prepare

GAIN = 0.5
TRACES = []


@pytest.fixture(autouse=True)
def traces(monkeypatch):
    """Count the traces, where the cell cannot see it: a number that it closed over would be part of its key."""
    trace = prepare.trace
    monkeypatch.setattr(prepare, "trace", lambda *a, **k: TRACES.append(1) or trace(*a, **k))


def traced(cell, init=None, xs=None, **settings):
    """How often a scan traces its cell; its results are those of the plain loop."""
    init = randn(3) if init is None else init
    xs = randn(5, 3) if xs is None else xs
    before = len(TRACES)
    mine = fb.scan(cell, init, xs, **settings)
    times = len(TRACES) - before
    truth = fb.scan(cell, init, xs, backend="eager", **settings)
    for a, b in zip(scanning.tensors_of(mine), scanning.tensors_of(truth), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6 if a.dtype == torch.float32 else 1e-12, atol=1e-7)
    return times


def make(k, a=None):
    a = torch.ones(3, dtype=torch.float64) if a is None else a

    def cell(h, x):
        return torch.tanh(k * a * h + x), h

    return cell


# What does not need a new trace


def test_a_trace_serves_every_value_length_and_direction():
    cell = make(0.123)
    assert traced(cell) == 1
    assert traced(cell) == 0
    assert traced(cell, xs=randn(100, 3)) == 0
    assert traced(cell, reverse=True) == 0
    assert traced(cell, xs=randn(3, 5), dim=1) == 0
    assert traced(cell, randn(3).requires_grad_()) == 0
    assert traced(make(0.123)) == 0  # the same function with equal contents
    with torch.no_grad():
        assert traced(cell) == 0


def test_new_tensors_of_the_same_form_are_seen():
    assert traced(make(0.124, randn(3))) == 1
    for _ in range(3):
        assert traced(make(0.124, randn(3))) == 0
    p, q = randn(3).requires_grad_(), randn(3).requires_grad_()
    for tensor in (p, q):
        _, y = fb.scan(make(0.124, tensor), randn(3), randn(5, 3))
        y.sum().backward()
    assert p.grad is not None
    assert q.grad is not None
    assert not torch.equal(p.grad, q.grad)


def test_changes_in_place_are_seen():
    a = randn(3)
    cell = make(0.125, a)
    traced(cell)
    a.mul_(3)
    assert traced(cell) == 0
    a.data = randn(3)
    assert traced(cell) == 0


def test_a_tensor_computed_anew_in_every_step_of_training():
    p = randn(3).requires_grad_()
    traced(make(0.126, torch.sigmoid(p)))
    for _ in range(3):
        assert traced(make(0.126, torch.sigmoid(p))) == 0


# What needs a new trace


def test_numbers():
    cell = make(0.2)
    assert traced(cell) == 1
    assert traced(make(0.3)) == 1
    assert traced(make(0.2)) == 0
    assert traced(make(1)) == 1
    assert traced(make(1.0)) == 1
    assert traced(make(0.0)) == 1
    assert traced(make(-0.0)) == 1


def test_shapes_and_dtypes():
    cell = make(0.21, torch.tensor(0.5))
    assert traced(cell, randn(3), randn(5, 3)) == 1
    assert traced(cell, randn(4), randn(5, 4)) == 1
    assert traced(cell, randn(3, dtype=torch.float32), randn(5, 3, dtype=torch.float32)) == 1
    assert traced(cell, randn(3), randn(5, 1)) == 1
    assert traced(cell, randn(3), randn(5, 3)) == 0
    assert traced(make(0.21, randn(1, 3)), randn(1, 3), randn(5, 3)) == 1
    assert traced(make(0.21, randn(3, 3)), randn(3, 3), randn(5, 3)) == 1


def test_trees():
    def cell(carry, x):
        a, b = carry.values() if isinstance(carry, dict) else carry
        new = torch.tanh(a + x), b * 0.5
        return (dict(zip(carry, new, strict=True)) if isinstance(carry, dict) else type(carry)(new)), a - b

    a, b = randn(3), randn(3)
    assert traced(cell, (a, b)) == 1
    assert traced(cell, [a, b]) == 1
    assert traced(cell, {"p": a, "q": b}) == 1
    assert traced(cell, {"r": a, "q": b}) == 1
    assert traced(cell, (a, b)) == 0


def test_gradients_that_are_wanted_after_a_first_use_without():
    a = randn(3)
    cell = make(0.22, a)
    with torch.no_grad():
        traced(cell)
    a.requires_grad_()
    _, y = fb.scan(cell, randn(3), randn(5, 3))
    assert torch.autograd.grad(y.sum(), a)[0].any()


def test_globals(monkeypatch):
    def cell(h, x):
        return GAIN * h + x, h

    traced(cell)
    monkeypatch.setattr(sys.modules[__name__], "GAIN", 0.7)
    traced(cell)


def helper(h):
    return 0.5 * h


def test_functions_that_a_cell_calls(monkeypatch):
    def cell(h, x):
        return helper(h) + x, h

    traced(cell)
    monkeypatch.setattr(sys.modules[__name__], "helper", lambda h: 0.9 * h)
    traced(cell)


def test_a_module_that_a_cell_imports(monkeypatch):
    config = types.ModuleType("config")
    config.gain = 0.5
    monkeypatch.setitem(sys.modules, "config", config)

    def cell(h, x):
        return config.gain * h + x, h

    traced(cell)
    config.gain = 0.7
    traced(cell)


def test_defaults_and_partials():
    def cell(h, x, k=0.5, *, g=1.0):
        return k * g * h + x, h

    traced(cell)
    cell.__defaults__ = (0.7,)
    traced(cell)
    cell.__kwdefaults__ = {"g": 0.9}
    traced(cell)
    for k in (0.1, 0.2):
        traced(functools.partial(cell, k=k))


def test_the_code_of_a_function():
    def cell(h, x):
        return h + x, h

    def other(h, x):
        return h - x, h

    traced(cell)
    cell.__code__ = other.__code__
    traced(cell)


class Settings:
    gain = 0.5

    def __init__(self):
        self.own = 0.5
        self.deep = [1.0, {"z": 0.5}]

    @property
    def product(self):
        return self.own * self.gain

    def apply(self, h):
        return 0.9 * h


def test_objects():
    settings = Settings()

    def cell(h, x):
        return settings.product * settings.deep[1]["z"] * settings.apply(h) + x, h

    assert traced(cell) == 1
    assert traced(cell) == 0
    settings.own = 0.6
    assert traced(cell) == 1
    settings.deep[1]["z"] = 0.7
    assert traced(cell) == 1
    settings.deep[1] = {"z": 0.8}
    assert traced(cell) == 1


def test_attributes_of_classes(monkeypatch):
    settings = Settings()

    def cell(h, x):
        return settings.product * settings.apply(h) + Settings.gain * x, h

    traced(cell)
    monkeypatch.setattr(Settings, "gain", 0.8)
    traced(cell)
    monkeypatch.setattr(Settings, "apply", lambda self, h: 0.1 * h)
    traced(cell)


def test_objects_with_slots():
    class Slots:
        __slots__ = ("gain",)

    slots = Slots()
    slots.gain = 0.5
    traced(lambda h, x: (slots.gain * h + x, h))
    slots.gain = 0.6
    traced(lambda h, x: (slots.gain * h + x, h))


def test_containers():
    numbers, names = [0.5], {"gain": 0.5}

    def cell(h, x):
        return numbers[0] * names["gain"] * h + len(numbers) * x, h

    for change in (
        lambda: None,
        lambda: numbers.__setitem__(0, 0.6),
        lambda: numbers.append(1.0),
        lambda: names.update(gain=0.7),
    ):
        change()
        traced(cell)


def test_arrays_of_numpy():
    array = np.array([0.1, 0.2, 0.3])

    def cell(h, x):
        return torch.as_tensor(array) * h + float(array[0]) * x, h

    traced(cell)
    array[0] = 0.9
    traced(cell)


def test_positions_and_masks():
    """Integers and truth values are part of the program."""
    at, mask = torch.tensor([2, 0, 1]), torch.tensor([True, False, True])

    def cell(h, x):
        return torch.where(mask, 0.5 * h[at], x), h

    traced(cell)
    at.copy_(torch.tensor([1, 1, 1]))
    traced(cell)
    mask.logical_not_()
    traced(cell)
    at, mask = torch.tensor([0, 0, 2]), torch.tensor([True, True, True])
    traced(cell)


def test_one_tensor_twice_is_not_two_tensors():
    one, two = randn(3), randn(3)
    pair = [one, one]

    def cell(h, x):
        return pair[0] * h + pair[1] * x, h

    traced(cell)
    pair[1] = two
    traced(cell)
    pair[:] = [two, one]
    traced(cell)


def test_the_default_device():
    """A cell makes its tensors there, as in a loop."""

    def cell(h, x):
        return torch.tensor([0.1, 0.2, 0.3]).to(h.dtype) * h + x, h

    h, x = randn(3), randn(5, 3)
    traced(cell, h, x)
    with torch.device("meta"):
        traced(lambda h, x: (torch.tensor([0.1, 0.2, 0.3], device=h.device).to(h.dtype) * h + x, h), h, x)
        with pytest.raises(RuntimeError, match="meta"):
            fb.scan(cell, h, x)
    assert traced(cell, h, x) == 0


def test_the_default_dtype():
    def cell(h, x):
        return torch.tensor(0.1) * h + x, h

    h, x = randn(3, dtype=torch.float32), randn(5, 3, dtype=torch.float32)
    _, y = fb.scan(cell, h, x)
    torch.set_default_dtype(torch.float64)
    try:
        traced(lambda h, x: (torch.full((3,), 0.1) * h + x, h))
        traced(lambda h, x: (torch.full((3,), 0.1) * h + x, h))
        assert fb.scan(cell, h, x)[1].dtype == y.dtype
    finally:
        torch.set_default_dtype(torch.float32)
