"""The recurrent layers in the place of torch.nn's: constructors, outputs, states, gradients, state_dicts."""

from __future__ import annotations

import itertools

import pytest
import torch
from recurrences import (
    CLASSES,
    HIDDEN,
    INPUT,
    KINDS,
    assert_agrees,
    first_state,
    outcome,
    randn,
    sequence,
    stacked_loop,
    twins,
    widened,
)
from scanning import assert_same
from torch import nn

import feedbackward as fb
from feedbackward.recurrent.structures import Structure

DTYPES = (torch.float32, torch.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", [*KINDS, "LSTM with projection"])
def test_every_constructor(kind: str, layers: int, dtype: torch.dtype) -> None:
    more = {"proj_size": 2} if "proj" in kind else {}
    for bidirectional, batch_first, bias in itertools.product((False, True), repeat=3):
        settings = dict(num_layers=layers, bidirectional=bidirectional, batch_first=batch_first, bias=bias, **more)
        mine, theirs = twins(kind[:4].strip(), dtype=dtype, **settings)
        for batch, with_state in itertools.product((5, None), (False, True)):
            x = sequence(mine, 6, batch, dtype)
            state = first_state(mine, batch, dtype) if with_state else None
            assert_agrees(mine, theirs, x, state, f"{settings} {batch} {with_state}")


@pytest.mark.parametrize("kind", KINDS)
def test_three_layers(kind: str) -> None:
    mine, theirs = twins(kind, num_layers=3, bidirectional=True)
    assert_agrees(mine, theirs, sequence(mine, 6, 5), first_state(mine, 5))


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_nonlinearities_of_torch(nonlinearity: str, dtype: torch.dtype) -> None:
    mine, theirs = twins("RNN", num_layers=2, nonlinearity=nonlinearity, dropout=0.0, dtype=dtype)
    assert_agrees(mine, theirs, sequence(mine, 6, 5, dtype), first_state(mine, 5, dtype))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hidden", [1, 17, 33])
def test_sizes_that_fill_no_vector(kind: str, hidden: int) -> None:
    for dtype in DTYPES:
        mine, theirs = twins(kind, hidden=hidden, dtype=dtype)
        assert_agrees(mine, theirs, sequence(mine, 6, 5, dtype), first_state(mine, 5, dtype))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [1, 5, 33, None])
def test_lengths_and_batches(kind: str, batch: int | None) -> None:
    mine, theirs = twins(kind, num_layers=2, bidirectional=True)
    for steps in (1, 2, 33):
        assert_agrees(mine, theirs, sequence(mine, steps, batch), first_state(mine, batch), f"{steps}")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [1, 2])
def test_no_step_leaves_the_state(kind: str, layers: int) -> None:
    """torch.nn refuses a sequence of no steps; here output has none and the first states come back."""
    for batch in (0, 5, None):
        mine, _ = twins(kind, num_layers=layers, bidirectional=True)
        x, state = sequence(mine, 0, batch), first_state(mine, batch)
        output, last = mine(x, state)
        assert output.shape == (*x.shape[:-1], 2 * HIDDEN)
        torch.testing.assert_close(last, state, rtol=0, atol=0)
        every = mine(x, state, return_all_states=True)[2]
        for s in every if kind == "LSTM" else (every,):
            assert s.shape == (2 * layers, *x.shape[:-1], HIDDEN)
        found = outcome(mine, (x, state), list(mine.parameters()))
        assert all(torch.equal(g, torch.zeros_like(g)) for g in found.gradients[-len(list(mine.parameters())) :])


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_batch(kind: str) -> None:
    for batch_first in (False, True):
        mine, theirs = twins(kind, num_layers=2, bidirectional=True, batch_first=batch_first)
        assert_agrees(mine, theirs, sequence(mine, 7, 0), first_state(mine, 0))
        assert_agrees(mine, theirs, sequence(mine, 7, 0))


@pytest.mark.parametrize("kind", KINDS)
def test_strides_and_broadcast_inputs(kind: str) -> None:
    mine, theirs = twins(kind)
    whole = randn(INPUT, 5, 12)
    for x in (whole.permute(2, 1, 0), whole.permute(2, 1, 0)[::2], randn(7, 1, INPUT).expand(7, 5, INPUT)):
        torch.testing.assert_close(mine(x), theirs(x), rtol=1e-12, atol=1e-12)
    state = first_state(mine, 1)
    wide = tuple(s.expand(1, 5, HIDDEN) for s in state) if kind == "LSTM" else state.expand(1, 5, HIDDEN)
    torch.testing.assert_close(mine(x, wide), theirs(x, wide), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}])
def test_functions_are_the_modules(kind: str, settings: dict) -> None:
    mine, theirs = twins(kind, **settings)
    flags = {name: value for name, value in settings.items() if name != "num_layers"}
    x, state = sequence(mine, 6, 5), first_state(mine, 5)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    suffixes = [name.removeprefix("weight_ih") for name, _ in theirs.named_parameters() if "weight_ih" in name]
    function = getattr(fb, kind.lower())

    def run(x, state):
        weights = [[getattr(theirs, name + suffix) for suffix in suffixes] for name in names]
        weights = [w[0] if len(w) == 1 else w for w in weights]
        return function(x, *weights, *(state if kind == "LSTM" else (state,)), **flags)

    found = outcome(run, (x, state), list(theirs.parameters()))
    truth = outcome(theirs, (widened(x), widened(state)), list(theirs.parameters()))
    assert_same(found, truth, torch.float64, 12)
    assert torch.equal(found.values[0], mine(x, state)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_one_bias_of_two(kind: str) -> None:
    """A function takes either bias alone: the other one is zero."""
    mine, theirs = twins(kind)
    x, weights = randn(6, 5, INPUT), dict(mine.named_parameters())
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    for missing in ("bias_ih", "bias_hh"):
        given = {name: weights[f"{name}_l0"] for name in names if name != missing}
        full = {**weights, f"{missing}_l0": torch.zeros_like(weights[f"{missing}_l0"])}
        expected = torch.func.functional_call(theirs, full, (x,))
        torch.testing.assert_close(getattr(fb, kind.lower())(x, **given), expected)


def test_a_projection_as_a_function() -> None:
    theirs = nn.LSTM(INPUT, HIDDEN, proj_size=2, dtype=torch.float64)
    x, (h, c) = randn(6, 5, INPUT), first_state(theirs, 5)
    weights = [getattr(theirs, f"{n}_l0") for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    found = fb.lstm(x, *weights, h, c, weight_hr=theirs.weight_hr_l0, num_layers=1)
    torch.testing.assert_close(found, theirs(x, (h, c)))
    only_h = fb.lstm(x, *weights, h, weight_hr=theirs.weight_hr_l0)
    torch.testing.assert_close(only_h, theirs(x, (h, torch.zeros_like(c))))


@pytest.mark.parametrize("kind", [*KINDS, "LSTM with projection"])
def test_state_dicts_go_both_ways(kind: str) -> None:
    more = {"proj_size": 2} if "proj" in kind else {}
    settings = dict(num_layers=2, bidirectional=True, **more)
    mine, theirs = twins(kind[:4].strip(), **settings)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    other, _ = twins(kind[:4].strip(), **settings)
    theirs.load_state_dict(other.state_dict())
    assert_agrees(other, theirs, sequence(other, 6, 5))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [True, False])
def test_from_torch_shares_and_to_torch_copies(kind: str, training: bool) -> None:
    more = {"RNN": {"nonlinearity": "relu"}, "GRU": {"bias": False}, "LSTM": {"proj_size": 2}}[kind]
    theirs = getattr(nn, kind)(
        INPUT, HIDDEN, 2, batch_first=True, dropout=0.25, bidirectional=True, dtype=torch.float64, **more
    ).train(training)
    mine = CLASSES[kind].from_torch(theirs, checkpoint=7)
    assert mine.checkpoint == 7
    assert mine.training == training
    assert [id(p) for p in mine.parameters()] == [id(p) for p in theirs.parameters()]
    back = mine.to_torch()
    assert repr(back) == repr(theirs)
    assert back.training == training
    assert {id(p) for p in back.parameters()}.isdisjoint(map(id, theirs.parameters()))
    torch.testing.assert_close(back.state_dict(), theirs.state_dict(), rtol=0, atol=0)
    x = sequence(mine, 6, 5)
    torch.testing.assert_close(mine.eval()(x), theirs.eval()(x))


def test_from_torch_keeps_what_is_frozen() -> None:
    theirs = nn.RNN(INPUT, HIDDEN)
    theirs.weight_ih_l0.requires_grad_(False)
    mine = fb.nn.RNN.from_torch(theirs)
    assert [p.requires_grad for p in mine.parameters()] == [False, True, True, True]
    mine(randn(6, 5, INPUT, dtype=torch.float32))[0].sum().backward()
    assert mine.weight_ih_l0.grad is None
    assert theirs.weight_hh_l0.grad is not None


@pytest.mark.parametrize("structure", [fb.Banded(1, 2), fb.Diagonal(), fb.BlockDiagonal(HIDDEN)], ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_from_torch_stores_matrices_as_a_structure_does(kind: str, structure: Structure) -> None:
    theirs = CLASSES[kind](INPUT, HIDDEN, 2, bidirectional=True, structure=structure, dtype=torch.float64).to_torch()
    mine = CLASSES[kind].from_torch(theirs, structure=structure)
    assert mine.weight_ih_l0 is theirs.weight_ih_l0
    x = sequence(mine, 6, 5)
    torch.testing.assert_close(mine(x), theirs(x))
    full = getattr(nn, kind)(INPUT, HIDDEN)
    with pytest.raises(ValueError, match=r"is no .* matrix: an entry is off by .* project=True takes the nearest one"):
        CLASSES[kind].from_torch(full, structure=structure)
    near = CLASSES[kind].from_torch(full, structure=structure, project=True)
    gates = full.weight_hh_l0.shape[0] // HIDDEN
    for gate, matrix in enumerate(full.weight_hh_l0.detach().chunk(gates)):
        dense = near.recurrent_matrix(gate=gate).to_dense().detach()
        assert ((dense == matrix) | (dense == 0)).all()
        assert (dense.diagonal() == matrix.diagonal()).all()


def test_from_torch_has_gains_of_one_for_layer_normalization() -> None:
    theirs = nn.GRU(INPUT, HIDDEN, dtype=torch.float64)
    mine = fb.nn.GRU.from_torch(theirs, layer_norm=True)
    assert mine.norm_ih_l0.dtype == torch.float64
    expected = fb.nn.GRU(INPUT, HIDDEN, layer_norm=True, dtype=torch.float64)
    expected.load_state_dict(theirs.state_dict(), strict=False)
    x = sequence(mine, 6, 5)
    torch.testing.assert_close(mine(x), expected(x))


@pytest.mark.parametrize("kind", KINDS)
def test_the_distribution_of_new_weights_is_torchs(kind: str) -> None:
    """Uniform in +-1 / sqrt(hidden): the extremes of many, and their variance."""
    for name, weight in CLASSES[kind](64, 64).named_parameters():
        torch.testing.assert_close(weight.abs().max().item(), 1 / 8, rtol=0.1, atol=0)
        assert weight.abs().max() <= 1 / 8
        if weight.ndim == 2:
            torch.testing.assert_close(weight.var().item(), 1 / (3 * 64), rtol=0.1, atol=0, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loop_that_other_tests_trust_is_torchs(kind: str) -> None:
    mine, theirs = twins(kind, num_layers=2, bidirectional=True)
    x, state = sequence(mine, 6, 5), first_state(mine, 5)
    output, last, _ = stacked_loop(mine, x, state)
    torch.testing.assert_close((output, last), theirs(x, state))


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_threads_changes_no_bit(kind: str) -> None:
    mine, _ = twins(kind, num_layers=2, bidirectional=True, dtype=torch.float32)
    x, before = sequence(mine, 33, 40, torch.float32), torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(outcome(lambda x: mine(x), (x.clone(),), list(mine.parameters())))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        torch.testing.assert_close(other.values, found[0].values, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_training_follows_torch(kind: str) -> None:
    """Ten steps of an optimizer leave both with the same weights."""
    mine, theirs = twins(kind, num_layers=2)
    x, target = randn(9, 5, INPUT), randn(9, 5, HIDDEN)
    before = {name: weight.clone() for name, weight in mine.state_dict().items()}
    for layer in (mine, theirs):
        optimizer = torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9)
        for _ in range(10):
            optimizer.zero_grad()
            (layer(x)[0] - target).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(dict(mine.named_parameters()), dict(theirs.named_parameters()), rtol=1e-10, atol=1e-10)
    assert all((mine.state_dict()[name] - value).abs().max() > 1e-4 for name, value in before.items())
