"""What `fb.explain` says of recurrent layers is what they compute: against a plain loop of torch's cells."""

from __future__ import annotations

import itertools
import re

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import feedbackward as fb

KINDS = {"rnn": (nn.RNN, nn.RNNCell), "gru": (nn.GRU, nn.GRUCell), "lstm": (nn.LSTM, nn.LSTMCell)}
T, B, INPUT, HIDDEN = 7, 3, 4, 5


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def loop(layer, x, lengths=None):
    """The states of a torch.nn layer: {(layer, direction): [(before, after) of every step]}, each (h,) or (h, c)."""
    kind = layer.mode.split("_")[0].lower()
    found = {}
    for k, d in itertools.product(range(layer.num_layers), range(1 + layer.bidirectional)):
        suffix = f"_l{k}" + "_reverse" * d
        inputs = x if k == 0 else torch.cat([torch.stack([s[1][0] for s in found[k - 1, e]])
                                             for e in range(1 + layer.bidirectional)], -1)  # fmt: skip
        cell = KINDS[kind][1](inputs.shape[-1], layer.hidden_size)
        if kind == "rnn":
            cell.nonlinearity = layer.nonlinearity
        weights = {n: getattr(layer, n + suffix) for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        cell.load_state_dict(weights)
        state = (torch.zeros(x.shape[1], layer.hidden_size),) * (2 if kind == "lstm" else 1)
        steps = []
        for t in range(len(x))[:: -1 if d else 1]:
            after = cell(inputs[t], state if kind == "lstm" else state[0])
            after = after if kind == "lstm" else (after,)
            if lengths is not None:
                going = (t < torch.tensor(lengths)).unsqueeze(1)
                after = tuple(torch.where(going, new, old) for new, old in zip(after, state, strict=True))
            steps.append((state, after))
            state = after
        found[k, d] = steps[::-1] if d else steps
    return found


@pytest.mark.parametrize("ours", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (3, False), (1, True), (2, True)])
@torch.no_grad()
def test_states_of_every_layer_direction_and_step(kind, layers, bidirectional, ours):
    theirs = KINDS[kind][0](INPUT, HIDDEN, layers, bidirectional=bidirectional)
    layer = getattr(fb.nn, kind.upper()).from_torch(theirs) if ours else theirs
    x = torch.randn(T, B, INPUT)
    watched = fb.explain(layer, x)
    assert len(watched.steps) == T
    assert all(check.holds for check in watched.checks)
    for (k, d), steps in loop(theirs, x).items():
        name = f"layer {k}" + (", reverse" if d else ", forward") * bidirectional
        for t, (before, after) in enumerate(steps):
            shown = watched.steps[t][name]
            for letter, b, a in zip("hc", before, after, strict=False):
                close(shown[f"{letter} before"], b)
                close(shown[f"{letter} after"], a)


@torch.no_grad()
def test_terms_of_an_rnn_add_up_by_its_equation():
    layer = nn.RNN(INPUT, HIDDEN, nonlinearity="relu")
    for step in fb.explain(layer, torch.randn(T, B, INPUT)).steps:
        v = step["layer 0"]
        close(v["W_ih x"], v["x"] @ layer.weight_ih_l0.T)
        close(v["W_hh h"], v["h before"] @ layer.weight_hh_l0.T)
        close(v["a"], v["W_ih x"] + layer.bias_ih_l0 + v["W_hh h"] + layer.bias_hh_l0)
        close(v["h after"], v["a"].relu())


@torch.no_grad()
def test_gates_of_a_gru():
    layer = nn.GRU(INPUT, HIDDEN)
    for step in fb.explain(layer, torch.randn(T, B, INPUT)).steps:
        v = step["layer 0"]
        of_x = (v["x"] @ layer.weight_ih_l0.T + layer.bias_ih_l0).chunk(3, -1)
        of_h = (v["h before"] @ layer.weight_hh_l0.T + layer.bias_hh_l0).chunk(3, -1)
        for gate, x, h in zip("rzn", of_x, of_h, strict=True):
            close(v[f"{gate} of x"], x)
            close(v[f"{gate} of h"], h)
        close(v["n"], torch.tanh(of_x[2] + v["r"] * of_h[2]))
        close(v["h after"], v["(1 - z) n"] + v["z h"])


@torch.no_grad()
def test_gates_of_an_lstm_with_a_projection():
    layer = fb.nn.LSTM(INPUT, HIDDEN, proj_size=2)
    watched = fb.explain(layer, torch.randn(T, B, INPUT))
    assert "proj_size=2: 5 channels of memory c become 2 channels of h." in watched.notes
    assert [w.shape for w in watched.weights] == [(20, 4), (20, 2), (20,), (20,), (2, 5)]
    for step in watched.steps:
        v = step["layer 0"]
        close(v["c after"], v["f"] * v["c before"] + v["i"] * v["g"])
        close(v["h after"], (v["o"] * v["c after"].tanh()) @ layer.weight_hr_l0.T)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", [False, True])
@torch.no_grad()
def test_lengths_and_packed_sequences(kind, packed):
    lengths = [5, 7, 2]
    theirs = KINDS[kind][0](INPUT, HIDDEN, 2, bidirectional=True)
    x = torch.randn(T, B, INPUT)
    if packed:
        watched = fb.explain(theirs, pack_padded_sequence(x, lengths, enforce_sorted=False))
    else:
        watched = fb.explain(getattr(fb.nn, kind.upper()).from_torch(theirs), x, lengths=lengths)
    assert all(check.holds for check in watched.checks)
    ended = torch.arange(T).unsqueeze(1) >= torch.tensor(lengths)
    truth = loop(theirs, x, lengths)
    for d, direction in enumerate(("forward", "reverse")):
        track = watched.run.track(f"layer 0, {direction}")
        assert track.lengths == (5, 7, 2)
        for q in track.quantities:
            if q.role == "term":
                assert torch.equal(q.values.isnan().any(-1), ended)
            else:
                assert not q.values.isnan().any()
        for t, (_, after) in enumerate(truth[0, d]):
            close(track["h after"].values[t], after[0])


STRUCTURES = [fb.Banded(1, 2), fb.BlockDiagonal(2), fb.Diagonal(), fb.LowRankPlusDiagonal(2)]


@pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("kind", ["RNN", "GRU"])
@torch.no_grad()
def test_structures_show_the_matrix_that_they_stand_for(structure, kind):
    layer = getattr(fb.nn, kind)(INPUT, 6, structure=structure)
    x = torch.randn(T, B, INPUT)
    watched = fb.explain(layer, x)
    assert all(check.holds for check in watched.checks)
    dense = layer.to_torch()
    weight = next(w for w in watched.weights if w.name == "weight_hh_l0")
    assert torch.equal(weight.values, layer.weight_hh_l0)
    close(weight.dense, dense.weight_hh_l0)
    if weight.inside is not None:
        assert (weight.dense[~weight.inside] == 0).all()
        assert int(weight.inside.sum()) == int((dense.weight_hh_l0 != 0).sum())
    for t, (_, after) in enumerate(loop(dense, x)[0, 0]):
        close(watched.steps[t]["layer 0"]["h after"], after[0])


@torch.no_grad()
def test_functions_are_as_modules():
    layer = nn.GRU(INPUT, HIDDEN, 2, batch_first=True)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = [[getattr(layer, f"{n}_l{k}") for k in range(2)] for n in names]
    x = torch.randn(B, T, INPUT)
    a, b = fb.explain(layer, x), fb.explain(fb.gru, x, *weights, batch_first=True, dropout=0.5)
    assert [w.name for w in b.weights][:2] == ["weight_ih[0]", "weight_hh[0]"]
    assert any("dropout=0.5" in note for note in b.notes)
    for mine, theirs in zip(a.steps, b.steps, strict=True):
        for track in mine.tracks:
            assert all(torch.equal(mine[track][q], theirs[track][q]) for q in mine[track])


CELLS = [nn.RNNCell(INPUT, HIDDEN), nn.GRUCell(INPUT, HIDDEN), nn.LSTMCell(INPUT, HIDDEN),
         fb.nn.BandRNNCell(INPUT, HIDDEN, 1)]  # fmt: skip


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: type(c).__name__)
@pytest.mark.parametrize("batch", [(), (B,)])
@torch.no_grad()
def test_a_cell_is_one_step_or_a_scan(cell, batch):
    x, h = torch.randn(T, *batch, INPUT), torch.randn(*batch, HIDDEN)
    state = (h, h) if isinstance(cell, nn.LSTMCell) else h
    one = fb.explain(cell, x[0], state)
    after = cell(x[0], state)
    close(one.steps[0]["layer 0"]["h after"], after[0] if isinstance(after, tuple) else after)
    assert "one step" in one.summary
    turned = fb.explain(fb.scan, cell, state, x.movedim(0, -1 if not batch else 1), dim=-1 if not batch else 1)
    for watched in (fb.explain(cell, state, x), fb.explain(fb.scan, cell, state, x, checkpoint=2), turned):
        assert len(watched.steps) == T
        assert all(check.holds for check in watched.checks)
        for step, now in zip(watched.steps, x, strict=True):
            after = cell(now, state)
            close(step["layer 0"]["h after"], after[0] if isinstance(after, tuple) else after)
            state = after
        state = (h, h) if isinstance(cell, nn.LSTMCell) else h


@torch.no_grad()
def test_layer_norm_and_any_nonlinearity():
    layer = fb.nn.RNN(INPUT, HIDDEN, nonlinearity=nn.functional.silu, layer_norm=True)
    watched = fb.explain(layer, torch.randn(T, B, INPUT))
    assert all(check.holds for check in watched.checks)
    assert "silu" in watched.equations[0].text[0]
    assert "norm(" in watched.equations[0].text[0]
    close(watched.steps[2]["layer 0"]["h after"], layer(watched.run.track("layer 0")["x"].values)[0][2])


@torch.no_grad()
def test_a_window_in_a_long_sequence():
    layer, x = nn.LSTM(INPUT, HIDDEN), torch.randn(1000, B, INPUT)
    watched = fb.explain(layer, x, start=900, steps=5, elements=2)
    output, _ = layer(x)
    assert [step.time for step in watched.steps] == [900, 901, 902, 903, 904]
    close(watched.run.track("layer 0")["h after"].values, output[900:905, :2])
    assert any("Steps 900 to 904 of 1000" in limit for limit in watched.limits)
    assert any("2 of 3 batch elements" in limit for limit in watched.limits)


@torch.no_grad()
def test_axes_say_what_batch_first_does():
    first = {a.name: a for a in fb.explain(nn.LSTM(4, 5, batch_first=True), torch.randn(2, 3, 4)).axes}
    assert first["input"].axes == (("batch", 2), ("time", 3), ("channels", 4))
    assert first["input"].other == (("time", 3), ("batch", 2), ("channels", 4))
    assert first["h_0 and h_n"].axes == first["h_0 and h_n"].other == (("layers", 1), ("batch", 2), ("channels", 5))
    both = {a.name: a for a in fb.explain(nn.RNN(4, 5, 2, bidirectional=True), torch.randn(3, 4)).axes}
    assert both["output"].axes == (("time", 3), ("channels", 10))
    assert both["h_0 and h_n"].axes == (("layers × directions", 4), ("channels", 5))


def test_nothing_is_left_behind():
    layer = nn.GRU(INPUT, HIDDEN, 2, dropout=0.5)
    x = torch.randn(T, B, INPUT, requires_grad=True)
    before = torch.get_rng_state()
    watched = fb.explain(layer, x)
    assert layer.training
    assert torch.equal(before, torch.get_rng_state())
    assert all(not q.values.requires_grad for t in watched.run.tracks for q in t.quantities)
    assert any("dropout=0.5" in note for note in watched.notes)
    assert all(check.holds for check in watched.checks)


def test_a_layer_that_returns_something_else_is_found_out():
    class Wrong(nn.RNN):
        def forward(self, input, hx=None):
            output, h = super().forward(input, hx)
            return output + 1e-3, h

    watched = fb.explain(Wrong(INPUT, HIDDEN), torch.randn(T, B, INPUT))
    assert not watched.checks[1].holds
    assert "DIFFERS" in str(watched)
    assert "DIFFERENT" in watched.html()


def test_the_terminal_shows_equation_shapes_and_numbers():
    layer = nn.RNN(INPUT, HIDDEN, 2)
    watched = fb.explain(layer, torch.randn(T, B, INPUT))
    text = str(watched)
    assert "h[t] = tanh(W_ih x[t] + b_ih + W_hh h[t-1] + b_hh)" in text
    for word in ("weight_ih_l1", "(5, 5)", "input to state", "time 7", "layer 1"):
        assert word in text
    value = watched.steps[3]["layer 1"]["a"][0, 0].item()
    assert f"{value:.4g}" in str(watched.steps[3])
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        (
            (torch.sin, torch.ones(3)),
            {},
            TypeError,
            "f is sin, expected a recurrent or filter module",
        ),
        ((nn.Linear(2, 2), torch.ones(3, 2)), {}, TypeError, "f is a Linear, expected"),
        ((nn.RNN(4, 5), torch.ones(3, 4)), {"steps": 0}, ValueError, "steps is 0, expected an integer of at least 1"),
        ((nn.RNN(4, 5), torch.ones(3, 4)), {"start": 3}, ValueError, "start is 3, but the input has 3 steps"),
        ((nn.RNN(4, 5), torch.ones(3, 4)), {"start": -1}, ValueError, "start is -1, expected an integer of at least 0"),
        ((fb.nn.RNN(4, 5), torch.ones(0, 1, 4)), {}, ValueError, "0 steps and a batch of 1"),
        ((fb.nn.RNN(4, 5), torch.ones(3, 3)), {}, ValueError, "RNN: input has shape (3, 3)"),
        ((fb.nn.RNN(4, 5),), {}, TypeError, "cannot be called with these arguments"),
    ],
)
def test_refusals(arguments, options, error, says):
    with pytest.raises(error, match=re.escape(says)):
        fb.explain(*arguments, **options)


def test_an_unknown_name_says_which_there_are():
    step = fb.explain(nn.RNN(4, 5), torch.ones(3, 4)).steps[0]
    with pytest.raises(KeyError, match="no track 'layer 1', but 'layer 0'"):
        step["layer 1"]
