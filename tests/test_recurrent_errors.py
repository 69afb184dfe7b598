"""Every mistake with a recurrent layer gets one sentence: what, where, what was expected, and the likely cause."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from recurrences import CLASSES, KINDS, packed_of
from torch import nn

import feedbackward as fb

T, B, X, H = 7, 5, 3, 4
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
zeros = torch.zeros


def weights(kind: str = "rnn", layers: int = 1, directions: int = 1) -> dict[str, Any]:
    g = GATES[kind]
    found: dict[str, list] = {"weight_ih": [], "weight_hh": [], "bias_ih": [], "bias_hh": []}
    for k in range(layers * directions):
        found["weight_ih"].append(zeros(g * H, X if k < directions else directions * H))
        found["weight_hh"].append(zeros(g * H, H))
        found["bias_ih"].append(zeros(g * H))
        found["bias_hh"].append(zeros(g * H))
    return found


def run(kind: str = "rnn", x: Any = None, layers: int = 1, **changes: Any) -> Any:
    """A function on good weights but for some: ``weight_ih=(k, tensor)`` puts another one at place k."""
    given = weights(kind, layers, 1 + changes.get("bidirectional", False))
    for name in list(given):
        change = changes.pop(name, None)
        if isinstance(change, tuple):
            given[name][change[0]] = change[1]
        elif change is not None:
            given[name] = change
    return getattr(fb, kind)(zeros(T, B, X) if x is None else x, **given, **changes)


WEIGHTS: list[tuple[Callable, str]] = [
    (
        lambda: run(weight_ih=(0, zeros(X, H))),
        "rnn: weight_ih of layer 0 has shape (3, 4), expected (4, 3) = (hidden, input): it looks transposed, weights "
        "stand at the left: W x",
    ),
    (
        lambda: run(x=zeros(T, B, H)),  # nothing is transposed: the rows are those of weight_hh
        "rnn: weight_ih of layer 0 has shape (4, 3), expected (4, 4) = (hidden, input)",
    ),
    (
        lambda: run("gru", weight_ih=(0, zeros(X, 3 * H))),
        "gru: weight_ih of layer 0 has shape (3, 12), expected (12, 3) = (3 * hidden, input): it looks transposed, "
        "weights stand at the left: W x",
    ),
    (
        lambda: run("lstm", weight_hh=(0, zeros(H, 4 * H))),
        "lstm: weight_hh of layer 0 has shape (4, 16), expected (16, 4) = (4 * hidden, hidden): it looks transposed, "
        "weights stand at the left: W h",
    ),
    (
        lambda: run(layers=2, weight_ih=(1, zeros(H, X))),
        "rnn: weight_ih of layer 1 has shape (4, 3), expected (4, 4) = (hidden, output of the layer below): layers "
        "above the first read the output of the layer below, not x",
    ),
    (
        lambda: run(layers=2, bidirectional=True, weight_ih=(3, zeros(H, H))),
        "rnn: weight_ih of layer 1, reverse has shape (4, 4), expected (4, 8) = (hidden, output of the layer below)",
    ),
    (
        lambda: run("gru", weight_ih=(0, zeros(13, X))),
        "gru: weight_ih of layer 0 has shape (13, 3), expected (12, 3) = (3 * hidden, input)",
    ),
    (
        lambda: run(weight_ih=(0, zeros(H, 9))),
        "rnn: weight_ih of layer 0 has shape (4, 9), expected (4, 3) = (hidden, input)",
    ),
    (
        lambda: run(weight_ih=(0, zeros(H))),
        "rnn: weight_ih of layer 0 has shape (4,), expected (4, 3) = (hidden, input)",
    ),
    (
        lambda: run("lstm", bias_hh=(0, zeros(H))),
        "lstm: bias_hh of layer 0 has shape (4,), expected (16,) = (4 * hidden)",
    ),
    (
        lambda: run("gru", layers=2, bias_ih=(1, zeros(3 * H, 1))),
        "gru: bias_ih of layer 1 has shape (12, 1), expected (12,) = (3 * hidden)",
    ),
    (
        lambda: run(weight_hh=(0, zeros(H, H, dtype=torch.float64))),
        "rnn: weight_hh of layer 0 is torch.float64, but x is torch.float32, expected the same",
    ),
    (
        lambda: run("lstm", weight_hr=zeros(2, H)),
        "lstm: weight_hh of layer 0 has shape (16, 4), expected (16, 2) = (4 * hidden, projection)",
    ),
    (
        lambda: run("lstm", weight_hh=(0, zeros(4 * H, 2)), weight_hr=zeros(2, 5)),
        "lstm: weight_hr of layer 0 has shape (2, 5), expected (2, 4) = (projection, hidden)",
    ),
    (
        lambda: run("lstm", weight_hr=zeros(2, H), structure=fb.Diagonal()),
        "lstm: a projection needs dense recurrent matrices, but structure is Diagonal()",
    ),
    (
        lambda: run(layers=2, bias_hh=[zeros(H)]),
        "rnn: bias_hh has 1 tensors, expected one for each of as many as weight_ih, which has 2",
    ),
    (
        lambda: run(layers=2, num_layers=3),
        "rnn: weight_ih has 2 tensors, expected one for each of 3 layers",
    ),
    (
        lambda: run(structure=fb.Banded(1)),
        "rnn: weight_hh of layer 0 has shape (4, 4), expected (3, 4) = (as Banded(lower=1, upper=1) stores 1 of "
        "(4, 4))",
    ),
    (
        lambda: run("gru", structure=fb.BlockDiagonal(3)),
        "BlockDiagonal: a matrix of 4 rows does not divide into 3 blocks",
    ),
]


@pytest.mark.parametrize(("call", "sentence"), WEIGHTS)
def test_weights(call: Callable, sentence: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: fb.nn.GRU(X, H)(zeros(B, X, T)),
            "GRU: input has shape (5, 3, 7), expected (..., 3): the last axis is input_size",
        ),
        (
            lambda: fb.nn.RNN(X, H)(zeros(X)),
            "RNN: x has shape (3,), expected (T, B, input), or (T, input) without a batch",
        ),
        (
            lambda: fb.nn.RNN(X, H, batch_first=True)(zeros(2, B, T, X)),
            "RNN: x has shape (2, 5, 7, 3), expected (B, T, input), or (T, input) without a batch",
        ),
        (
            lambda: fb.nn.LSTM(X, H)(zeros(T, B, X, dtype=torch.float64)),
            "LSTM: weight_ih of layer 0 is torch.float32, but x is torch.float64, expected the same",
        ),
        (
            lambda: fb.nn.LSTM(X, H)(zeros(T, B, X, dtype=torch.long)),
            "LSTM: weight_ih of layer 0 is torch.float32, but x is torch.int64, expected the same",
        ),
    ],
)
def test_inputs(call: Callable, sentence: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("settings", "shape", "state", "sentence"),
    [
        ({}, (T, B, X), (2, B, H), "expected (1, 5, 4) = (layers * directions, B, hidden)"),
        ({}, (T, B, X), (B, H), "expected (1, 5, 4) = (layers * directions, B, hidden)"),
        ({"num_layers": 2, "bidirectional": True}, (T, B, X), (2, B, H), "expected (4, 5, 4) = (layers * direct"),
        ({}, (T, B, X), (1, B, X), "expected (1, 5, 4)"),
        ({}, (T, X), (1, B, H), "expected (1, 4) = (layers * directions, hidden)"),
        (
            {},
            (B, T, X),
            (1, B, H),
            "expected (1, 7, 4) = (layers * directions, B, hidden): x (5, 7, 3) is read as (T, B, input), with "
            "batch_first=True it would have a batch of 5",
        ),
        (
            {"batch_first": True},
            (T, B, X),
            (1, B, H),
            "expected (1, 7, 4) = (layers * directions, B, hidden): x (7, 5, 3) is read as (B, T, input), with "
            "batch_first=False it would have a batch of 5",
        ),
        (
            {"batch_first": True},
            (B, T, X),
            (B, 1, H),
            "expected (1, 5, 4) = (layers * directions, B, hidden): batch_first turns the axes of x and of the output, "
            "not those of the states",
        ),
    ],
)
def test_states(settings: dict, shape: tuple, state: tuple, sentence: str) -> None:
    for kind in ("RNN", "GRU"):
        with pytest.raises(ValueError, match="has shape") as raised:
            CLASSES[kind](X, H, **settings)(zeros(shape), zeros(state))
        assert str(raised.value).startswith(f"{kind}: hx has shape {state}, {sentence}")
    good = zeros((1 + settings.get("bidirectional", False)) * settings.get("num_layers", 1), *shape[:-1][1:], H)
    if settings.get("batch_first"):
        good = zeros(1, shape[0], H)
    for name, pair in (("h_0", (zeros(state), good)), ("c_0", (good, zeros(state)))):
        with pytest.raises(ValueError, match="has shape") as raised:
            fb.nn.LSTM(X, H, **settings)(zeros(shape), pair)
        assert str(raised.value).startswith(f"LSTM: {name} has shape {state}, {sentence}")


def test_states_of_other_types() -> None:
    x = zeros(T, B, X)
    with pytest.raises(ValueError, match=r"^RNN: hx is torch.float64, but x is torch.float32, expected the same$"):
        fb.nn.RNN(X, H)(x, zeros(1, B, H, dtype=torch.float64))
    for hx in (zeros(1, B, H), (zeros(1, B, H),), 3):
        with pytest.raises(TypeError, match=r"^LSTM: hx is a .*, expected a pair \(h_0, c_0\)$"):
            fb.nn.LSTM(X, H)(x, hx)
    with pytest.raises(TypeError, match=r"^GRU: hx is a tuple, expected a tensor \(1, 5, 4\)$"):
        fb.nn.GRU(X, H)(x, (zeros(1, B, H), zeros(1, B, H)))
    with pytest.raises(TypeError, match="x is a list, expected a tensor"):
        fb.nn.GRU(X, H)([1.0])
    with pytest.raises(TypeError, match=r"^rnn: weight_ih has a float, expected a tensor, or a list of tensors$"):
        run(weight_ih=[1.0])
    with pytest.raises(ValueError, match=r"h_0 has shape \(1, 5, 4\), expected \(1, 5, 2\)"):
        fb.nn.LSTM(X, H, proj_size=2)(x, (zeros(1, B, H), zeros(1, B, H)))


@pytest.mark.parametrize(
    ("lengths", "sentence"),
    [
        ([7, 7, 7, 7, 8], "lengths go from 7 to 8, expected 0 to 7 = T"),
        ([7, -1, 7, 7, 7], "lengths go from -1 to 7, expected 0 to 7 = T"),
        ([7.0] * 5, "lengths has shape (5,) and torch.float32, expected (5,) integers = (B,)"),
        ([True] * 5, "lengths has shape (5,) and torch.bool, expected (5,) integers = (B,)"),
        ([7] * 7, "lengths has shape (7,) and torch.int64, expected (5,) integers = (B,)"),
        ([], "lengths has shape (0,) and torch.int64, expected (5,) integers = (B,)"),
        (7, "lengths has shape () and torch.int64, expected (5,) integers = (B,)"),
        ([[7] * 5], "lengths has shape (1, 5) and torch.int64, expected (5,) integers = (B,)"),
    ],
)
def test_lengths(lengths: Any, sentence: str) -> None:
    for name, call in (
        ("GRU", lambda: fb.nn.GRU(X, H)(zeros(T, B, X), lengths=lengths)),
        ("LSTM", lambda: fb.nn.LSTM(X, H, batch_first=True)(zeros(B, T, X), lengths=lengths)),
        ("rnn", lambda: run(lengths=lengths)),
    ):
        with pytest.raises(ValueError) as raised:  # noqa: PT011
            call()
        assert str(raised.value) == f"{name}: {sentence}"


def test_lengths_of_one_sequence_without_a_batch() -> None:
    output, last = fb.nn.GRU(X, H)(torch.randn(T, X), lengths=[4])
    assert torch.equal(output[4:], zeros(3, H))
    assert torch.equal(output[3], last[0])


def test_a_packed_sequence_has_lengths_of_its_own() -> None:
    packed = packed_of([zeros(4, X), zeros(2, X)], enforce_sorted=True)
    with pytest.raises(ValueError, match=r"^GRU: a PackedSequence has lengths of its own; leave lengths out$"):
        fb.nn.GRU(X, H)(packed, lengths=[4, 2])
    with pytest.raises(ValueError, match=r"^GRU: hx has shape \(1, 3, 4\), expected \(1, 2, 4\)"):
        fb.nn.GRU(X, H)(packed, zeros(1, 3, H))
    turned = packed_of([zeros(2, X), zeros(4, X)])
    with pytest.raises((ValueError, TypeError), match=r"^GRU: hx "):
        fb.nn.GRU(X, H)(turned, zeros(1, 1, H))
    with pytest.raises(ValueError, match=r"^GRU: input has shape \(4, 1, 2\), expected \(\.\.\., 3\)"):
        fb.nn.GRU(X, H)(packed_of([zeros(4, 2)]))


@pytest.mark.parametrize("kind", KINDS)
def test_constructors(kind: str) -> None:
    make = CLASSES[kind]
    for call, error, sentence in (
        (lambda: make(0, H), ValueError, "input_size is 0, expected at least 1"),
        (lambda: make(X, H, 0), ValueError, "num_layers is 0, expected at least 1"),
        (lambda: make(X, 2.0), TypeError, "hidden_size is a float, expected an integer"),
        (lambda: make(X, H, dropout=1.0), ValueError, "dropout is 1.0, expected a share from 0 to below 1"),
        (lambda: make(X, H, dropout=True), ValueError, "dropout is True, expected a share from 0 to below 1"),
        (
            lambda: make(X, H, recurrent_dropout=-0.1),
            ValueError,
            "recurrent_dropout is -0.1, expected a share from 0 to below 1",
        ),
        (lambda: make(X, H, structure=fb.Banded), TypeError, "structure is <class"),
        (
            lambda: make(X, H, recurrent_init="ones"),
            ValueError,
            "recurrent_init is 'ones', expected one of 'uniform', 'orthogonal', 'unit_radius'",
        ),
    ):
        with pytest.raises(error) as raised:
            call()
        assert str(raised.value).startswith(f"{kind}: {sentence}")
    with pytest.raises(ValueError, match="4 rows does not divide into 3 blocks"):
        make(X, H, structure=fb.BlockDiagonal(3))
    with pytest.raises(ValueError, match="a matrix of 4 rows has no rank 5"):
        make(X, H, structure=fb.LowRankPlusDiagonal(5))


def test_constructors_of_one_kind() -> None:
    with pytest.raises(ValueError, match=r"^RNN: nonlinearity is 'gelu', expected .*'tanh'.*"):
        fb.nn.RNN(X, H, nonlinearity="gelu")
    with pytest.raises(ValueError, match="rnn: nonlinearity is 'Tanh'"):
        run(nonlinearity="Tanh")
    for proj_size in (4, 5):
        with pytest.raises(ValueError, match=f"^LSTM: proj_size is {proj_size}, expected less than hidden_size = 4$"):
            fb.nn.LSTM(X, H, proj_size=proj_size)
    with pytest.raises(ValueError, match=r"^LSTM: a projection needs dense recurrent matrices, but structure is Band"):
        fb.nn.LSTM(X, H, proj_size=2, structure=fb.Banded(1))


def test_dropout_of_a_function_is_a_share() -> None:
    for kind in GATES:
        with pytest.raises(ValueError, match=f"^{kind}: dropout is 1.5, expected a share from 0 to below 1$"):
            run(kind, layers=2, dropout=1.5)


def test_steps() -> None:
    for call, sentence in (
        (
            lambda: fb.nn.RNN(X, H, bidirectional=True).step(zeros(B, X)),
            "RNN.step: a bidirectional layer needs the whole sequence",
        ),
        (lambda: fb.nn.RNN(X, H).step(zeros(T, B, X)), "RNN.step: x is (7, 5, 3), expected (B, 3) or (3,)"),
        (lambda: fb.nn.RNN(X, H).step(zeros(())), "RNN.step: x is (), expected (B, 3) or (3,)"),
        (lambda: fb.nn.RNN(X, H).step(None), "RNN.step: x is NoneType, expected (B, 3) or (3,)"),
    ):
        with pytest.raises(ValueError) as raised:  # noqa: PT011
            call()
        assert str(raised.value) == sentence
    with pytest.raises(ValueError, match=r"RNN: input has shape \(1, 5, 2\), expected \(\.\.\., 3\)"):
        fb.nn.RNN(X, H).step(zeros(B, 2))
    with pytest.raises(ValueError, match=r"hx has shape \(1, 4\), expected \(1, 5, 4\)"):
        fb.nn.RNN(X, H).step(zeros(B, X), zeros(1, H))


def test_conversions() -> None:
    with pytest.raises(TypeError, match=r"^GRU.from_torch: module is a LSTM, expected torch.nn.GRU$"):
        fb.nn.GRU.from_torch(nn.LSTM(X, H))
    for settings in ({"layer_norm": True}, {"recurrent_dropout": 0.1}):
        with pytest.raises(ValueError, match=r"^GRU.to_torch: torch.nn has no layer normalization and no recurrent"):
            fb.nn.GRU(X, H, **settings).to_torch()
    with pytest.raises(RuntimeError, match="size mismatch for weight_hh_l0"):
        fb.nn.GRU(X, H, structure=fb.Banded(1)).load_state_dict(nn.GRU(X, H).state_dict())


def test_filters_as_layers() -> None:
    make = fb.nn.RNN.from_filter
    for call, sentence in (
        (lambda: make([], [1.0]), "RNN.from_filter: b has shape (0,), expected (n,), n at least 1"),
        (lambda: make([1.0], [[1.0]]), "RNN.from_filter: a has shape (1, 1), expected (n,), n at least 1"),
        (
            lambda: make([1.0], [0.0, 1.0]),
            "RNN.from_filter: a[0] is 0, expected another number: it divides all coefficients",
        ),
        (
            lambda: make([1.0], [1.0], scale=0.0),
            "RNN.from_filter: scale is 0.0, expected a positive number or None",
        ),
        (
            lambda: make([1.0], [1.0], scale=float("nan")),
            "RNN.from_filter: scale is nan, expected a positive number or None",
        ),
    ):
        with pytest.raises(ValueError) as raised:  # noqa: PT011
            call()
        assert str(raised.value) == sentence
    with pytest.raises(TypeError, match="b is complex"):
        make([1j], [1.0])


def test_devices() -> None:
    """No kernel for the meta device, and no mixture of devices."""
    layer = fb.nn.GRU(X, H)
    with pytest.raises((ValueError, RuntimeError)):
        layer(zeros(T, B, X, device="meta"))
    with pytest.raises((ValueError, RuntimeError)):
        fb.nn.GRU(X, H, device="meta")(zeros(T, B, X))


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_refused(kind: str) -> None:
    layer = CLASSES[kind](X, H, dtype=torch.bfloat16)
    with pytest.raises((ValueError, TypeError), match="bfloat16"):
        layer(zeros(T, B, X, dtype=torch.bfloat16))


def test_states_of_an_unsorted_packed_sequence_are_not_cut() -> None:
    packed = packed_of([zeros(2, X), zeros(4, X)])
    for state in (zeros(1, 3, H), zeros(1, 2), (zeros(1, 2, H),)):
        with pytest.raises((ValueError, TypeError), match=r"^RNN: hx (has shape|is a tuple)"):
            fb.nn.RNN(X, H)(packed, state)
