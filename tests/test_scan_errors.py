"""What scan refuses: one sentence that names the operator, the line of the user's cell, and the remedy."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch.nn import functional as F

import feedbackward as fb
from feedbackward.engine.errors import LoweringError

STATE = torch.linspace(-1, 1, 4, dtype=torch.float64)
BUFFER = torch.ones(4, dtype=torch.float64)
ELSEWHERE = torch.ones(4, dtype=torch.float64, device="meta")  # as a tensor on a GPU would be
POSITIONS = torch.tensor([0, 1, 2, 3])
PARAMETER = torch.ones((), dtype=torch.float64, requires_grad=True)


def branch(h, x):
    if h.sum() > 0:  # here
        h = 2 * h
    return h + x, h


def loop(h, x):
    while h.norm() > 1:  # here
        h = h / 2
    return h + x, h


def item(h, x):
    return h * h.sum().item() + x, h  # here


def item_of_x(h, x):
    return h * x.sum().item(), h  # here


def number(h, x):
    return h * float(h[0]) + x, h  # here


def to_numpy(h, x):
    return torch.from_numpy(h.numpy()) + x, h  # here


def to_list(h, x):
    return h * h.tolist()[0] + x, h  # here


def masked(h, x):
    return h + x, h[h > 0]  # here


def uniform(h, x):
    return h + torch.rand(4, dtype=h.dtype) * x, h  # here


def normal_like(h, x):
    return h + torch.randn_like(h) * x, h  # here


def dropout(h, x):
    return F.dropout(h, 0.5) + x, h  # here


def dropout_of_x(h, x):
    return h + F.dropout(x, 0.5), h  # here


def bernoulli(h, x):
    return torch.bernoulli(torch.sigmoid(h)) + x, h  # here


def changes_the_state(h, x):
    h.mul_(2)  # here
    return h + x, h


def changes_x(h, x):
    x[0] = 1.0  # here
    return h + x, h


def changes_a_buffer(h, x):
    BUFFER.add_(h.detach())  # here
    return h + x, h


def changes_a_buffer_by_a_number(h, x):
    BUFFER[0] = 2.0  # here
    return h + x, h


def sorts(h, x):
    return h.sort().values + x, h  # here


def convolves(h, x):
    return F.conv1d(h[None, None], BUFFER[None, None, :1])[0, 0] + x, h  # here


def factorizes(h, x):
    return torch.linalg.eigvalsh(torch.outer(h, h)) + x, h  # here


def halves(h, x):
    return h.half().double() + x, h  # here


def is_complex(h, x):
    return (h * 1j).abs() + x, h  # here


def counts(h, x):
    return (h.long() // 2).double() + x, h  # here


def another_device(h, x):
    return h * ELSEWHERE + x, h  # here


class OldFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h):
        return (h > 0).to(h.dtype)

    @staticmethod
    def backward(ctx, d):
        return 3 * d


def old_function(h, x):
    return OldFunction.apply(h) + x, h  # here


HINTS = {
    branch: "torch.where",
    loop: "torch.where",
    item: "torch's functions in place of math",
    item_of_x: "",
    number: "torch's functions in place of math",
    to_numpy: "",
    to_list: "",
    masked: "torch.where",
    uniform: "pass them in xs",
    normal_like: "pass them in xs",
    dropout: "pass them in xs",
    dropout_of_x: "pass them in xs",
    bernoulli: "pass them in xs",
    changes_the_state: "return the new value",
    changes_x: "return the new value",
    changes_a_buffer: "return the new value",
    changes_a_buffer_by_a_number: "return the new value",
    sorts: "aten.sort",
    convolves: "aten.convolution",
    factorizes: "aten._linalg_eigh",
    halves: "float32 or float64",
    is_complex: "float32 or float64",
    counts: "floats",
    another_device: "meta",
    old_function: "",
}


def message_of(cell, init=STATE, xs=None, **settings):
    xs = torch.ones(5, 4, dtype=torch.float64) if xs is None else xs
    with pytest.raises(LoweringError) as caught:
        fb.scan(cell, init, xs, **settings)
    message = str(caught.value)
    assert message.startswith("scan: ")
    assert "\n" not in message
    assert len(message) < 600, message
    for raw in ("INTERNAL ASSERT", "functorch", "FakeTensor", "SymNode", "TreeSpec"):
        assert raw not in message
    return message


@pytest.mark.parametrize("cell", HINTS, ids=lambda c: c.__name__)
def test_what_cannot_be_lowered(cell):
    buffer, state = BUFFER.clone(), torch.get_rng_state()
    message = message_of(cell)
    lines, first = inspect.getsourcelines(cell)
    (here,) = (first + i for i, line in enumerate(lines) if "# here" in line)
    assert f"{__file__}:{here}" in message, message
    assert HINTS[cell] in message, message
    assert 'backend="eager"' in message
    assert torch.equal(BUFFER, buffer)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "cell", [branch, loop, item, number, to_list, uniform, dropout, sorts, convolves, halves, old_function],
    ids=lambda c: c.__name__,
)  # fmt: skip
def test_the_eager_backend_runs_them(cell):
    last, _ = fb.scan(cell, STATE, torch.ones(5, 4, dtype=torch.float64), backend="eager")
    assert last.isfinite().all()


def test_nothing_falls_back_in_silence():
    """What cannot be lowered raises by default, and where native is asked for."""
    for backend in ("auto", "native"):
        message_of(branch, backend=backend)


# The form of what a cell returns


RETURNS = {
    "shape": (lambda h, x: (torch.cat([h, x]), h), "(8,)"),
    "broadcast": (lambda h, x: (h + x[:, None], h), "(4, 4)"),
    "dtype": (lambda h, x: (h.float(), h), "torch.float32"),
    "no pair": (lambda h, x: h + x, "pair"),
    "a list": (lambda h, x: [h, x], "pair"),
    "three": (lambda h, x: (h, h, h), "pair"),
    "nothing": (lambda h, x: None, "pair"),
    "another tree": (lambda h, x: ((h, h), h), "init"),
    "a number as carry": (lambda h, x: (1.0, h), "float"),
    "a number as y": (lambda h, x: (h, 1.0), "float"),
    "a string as y": (lambda h, x: (h, "y"), "str"),
}


@pytest.mark.parametrize("name", RETURNS)
def test_wrong_returns(name):
    cell, hint = RETURNS[name]
    message = message_of(cell)
    assert hint in message
    assert f"{__file__}:{cell.__code__.co_firstlineno}" in message


def test_a_list_is_no_tuple():
    message = message_of(lambda c, x: ([c[0], c[1]], c[0]), (STATE, STATE))
    assert "[*, *]" in message
    assert "(*, *)" in message


# Arguments


CELL = lambda h, x: (h + x, h)  # noqa: E731
ARGUMENTS = {
    "cell": ({"cell": 3}, TypeError, "cell is a int"),
    "xs": ({"xs": "abc"}, ValueError, "xs is a str"),
    "xs number": ({"xs": 3.0}, ValueError, "xs is a float"),
    "init number": ({"init": 0.0}, ValueError, "init is a float"),
    "init numpy": ({"init": STATE.numpy(force=True)}, ValueError, "init is a ndarray"),
    "init integer": ({"init": POSITIONS}, ValueError, "torch.int64"),
    "init half": ({"init": STATE.half()}, ValueError, "torch.float16"),
    "init bfloat16": ({"init": STATE.bfloat16()}, ValueError, "torch.bfloat16"),
    "init complex": ({"init": STATE + 0j}, ValueError, "torch.complex128"),
    "init elsewhere": ({"init": ELSEWHERE}, ValueError, "init is on meta"),
    "xs elsewhere": ({"xs": torch.ones(5, 4, device="meta")}, ValueError, "xs is on meta"),
    "different lengths": ({"xs": (torch.ones(5, 4), torch.ones(6, 4))}, ValueError, "lengths"),
    "scalar xs": ({"xs": torch.ones(())}, ValueError, "dim is 0"),
    "dim": ({"dim": 2}, ValueError, "dim is 2"),
    "negative dim": ({"dim": -3}, ValueError, "dim is -3"),
    "dim of words": ({"dim": "time"}, (TypeError, ValueError), "dim is 'time'"),
    "length": ({"length": 4}, ValueError, "length is 4, but xs has 5"),
    "no length": ({"xs": None}, ValueError, "length"),
    "negative length": ({"xs": None, "length": -1}, ValueError, "length is -1"),
    "backend": ({"backend": "cuda"}, ValueError, "backend is 'cuda'"),
    "checkpoint 0": ({"checkpoint": 0}, ValueError, "checkpoint is 0"),
    "checkpoint -1": ({"checkpoint": -1}, ValueError, "checkpoint is -1"),
    "checkpoint 1.5": ({"checkpoint": 1.5}, ValueError, "checkpoint is 1.5"),
    "checkpoint True": ({"checkpoint": True}, ValueError, "checkpoint is True"),
    "checkpoint words": ({"checkpoint": "none"}, ValueError, "checkpoint is 'none'"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_wrong_arguments(name):
    settings, kind, hint = ARGUMENTS[name]
    given = {"cell": CELL, "init": STATE, "xs": torch.ones(5, 4, dtype=torch.float64), **settings}
    with pytest.raises(kind) as caught:
        fb.scan(**given)
    message = str(caught.value)
    assert message.startswith("scan: ")
    assert hint in message, message
    assert "\n" not in message


def test_the_eager_backend_checks_its_arguments_too():
    with pytest.raises(ValueError, match="length"):
        fb.scan(CELL, STATE, None, backend="eager")
    with pytest.raises(ValueError, match="checkpoint"):
        fb.scan(CELL, STATE, torch.ones(5, 4), backend="eager", checkpoint=0)


# Mistakes of the cell's own


def test_errors_of_the_cell_are_its_own(capfd):
    def index(h, x):
        return h[7] + x, h

    def shapes(h, x):
        return h @ torch.ones(5, 5, dtype=h.dtype), h

    def arguments(h):
        return h, h

    def message(h, x):
        raise RuntimeError("the user's own words")

    for cell, words in (
        (index, "index 7 is out of bounds"),
        (shapes, "same reduction dim|cannot be multiplied"),
        (arguments, "positional argument"),
        (message, "the user's own words"),
    ):
        with pytest.raises((IndexError, RuntimeError, TypeError), match=words):
            fb.scan(cell, STATE, torch.ones(5, 4, dtype=torch.float64))
    assert "Traceback" not in capfd.readouterr().err


# What torch cannot do with a native loop


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*:DeprecationWarning")
def test_torch_jit_trace_is_refused():
    def loop(x):
        return fb.scan(CELL, STATE, x)[1]

    with pytest.raises(LoweringError, match=r"torch.jit.trace .* use torch.compile or torch.export"):
        torch.jit.trace(loop, torch.ones(5, 4, dtype=torch.float64))
