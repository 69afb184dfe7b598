"""Layers by torch's own functions, as on a GPU: the same numbers and gradients of every order as by the scan.

Without a GPU torch's functions run on the CPU, which shows that weights and states get where they belong.
"""

from __future__ import annotations

import pytest
import torch
from recurrences import CLASSES, KINDS, first_state, randn, sequence
from scanning import gradients_of, loss_of, tensors_of

import feedbackward as fb
from feedbackward.recurrent import cudnn


@pytest.fixture
def ran(monkeypatch):
    """Every call that torch's own functions compute."""
    calls = []
    original = cudnn.run
    monkeypatch.setattr(cudnn, "uncovered", cudnn._different)
    monkeypatch.setattr(cudnn, "run", lambda *given: calls.append(1) or original(*given))
    return calls


def outcomes(layer, x, state, second=False):
    inputs = [x, *tensors_of(state), *layer.parameters()]
    inputs = [t.detach().requires_grad_() if i < 1 else t.requires_grad_() for i, t in enumerate(inputs)]
    values = tensors_of(layer(inputs[0], state))
    gradients = gradients_of(loss_of(values), inputs, create_graph=second)
    return values, gradients, gradients_of(loss_of(gradients), inputs) if second else []


SETTINGS = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"bias": False, "batch_first": True},
    {"num_layers": 3, "batch_first": True},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("kind", [*KINDS, "relu", "projected"])
def test_the_same_as_the_scan(kind, settings, ran, monkeypatch):
    more = {"relu": {"nonlinearity": "relu"}, "projected": {"proj_size": 2}}.get(kind, {})
    name = {"relu": "RNN", "projected": "LSTM"}.get(kind, kind)
    layer = CLASSES[name](3, 4, dtype=torch.float64, **settings, **more)
    x, state = sequence(layer, 7, 5), first_state(layer, 5)
    mine = outcomes(layer, x, state, second=True)
    assert ran == [1]
    monkeypatch.setattr(cudnn, "uncovered", lambda *given: "no")
    truth = outcomes(layer, x, state, second=True)
    assert ran == [1]
    for found, expected in zip(mine, truth, strict=True):
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_without_a_batch_and_without_gradients(ran):
    layer = fb.nn.GRU(3, 4)
    x = randn(7, 3, dtype=torch.float32)
    with torch.no_grad():
        alone, together = layer(x)[0], layer(x.unsqueeze(1))[0]
    assert len(ran) == 2
    torch.testing.assert_close(alone, together.squeeze(1))


@pytest.mark.parametrize(
    ("make", "call", "reason"),
    [
        (lambda: fb.nn.RNN(3, 4, structure=fb.Diagonal()), {}, "not dense"),
        (lambda: fb.nn.LSTM(3, 4, layer_norm=True), {}, "layer normalization"),
        (lambda: fb.nn.GRU(3, 4, recurrent_dropout=0.5), {}, "dropout"),
        (lambda: fb.nn.GRU(3, 4, num_layers=2, dropout=0.5), {}, "dropout"),
        (lambda: fb.nn.RNN(3, 4, nonlinearity="softsign"), {}, "activation"),
        (lambda: fb.nn.GRU(3, 4), {"lengths": [7, 5]}, "lengths"),
        (lambda: fb.nn.GRU(3, 4), {"return_all_states": True}, "states of all steps"),
    ],
)
def test_what_the_scan_computes(make, call, reason, ran, monkeypatch):
    reasons = []
    original = cudnn._different
    monkeypatch.setattr(cudnn, "uncovered", lambda *given: reasons.append(original(*given)) or reasons[-1])
    make()(randn(7, 2, 3, dtype=torch.float32), **call)
    assert not ran
    assert all(reason in found for found in reasons), reasons


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_transforms_go_through_the_scan(ran):
    layer = fb.nn.LSTM(3, 4)
    x = randn(7, 2, 3, dtype=torch.float32)
    _, moved = torch.func.jvp(lambda x: layer(x)[0], (x,), (x,))
    assert not ran
    assert bool(moved.any())


@pytest.mark.cpu
def test_on_the_cpu_the_scan_computes(monkeypatch):
    reasons = []
    original = cudnn.uncovered
    monkeypatch.setattr(cudnn, "uncovered", lambda *given: reasons.append(original(*given)) or reasons[-1])
    fb.nn.GRU(3, 4)(randn(7, 2, 3, dtype=torch.float32))
    assert reasons == ["the tensors are not on a GPU"]


def test_what_computes_is_said(monkeypatch):
    """In the notes of an explanation, where there is a GPU."""
    x = randn(7, 2, 3, dtype=torch.float32)
    monkeypatch.setattr(cudnn, "place_of", lambda *given: cudnn._different(*given) or "cuDNN")
    for layer, said in ((fb.nn.GRU(3, 4), "cuDNN"), (fb.nn.RNN(3, 4, structure=fb.Diagonal()), "not dense")):
        assert said in fb.explain(layer, x).notes[-1]


def test_float32_is_float32():
    settings = torch.backends.cudnn.rnn
    before = settings.fp32_precision
    with cudnn.exact():
        assert settings.fp32_precision == "ieee"
    assert settings.fp32_precision == before
