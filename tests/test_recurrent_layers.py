"""What the recurrent layers have beyond torch.nn: nonlinearities, dropout, normalization, all states, filters."""

from __future__ import annotations

import itertools
import math

import numpy as np
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
)
from scanning import assert_same, bound
from scipy import signal
from torch import Tensor, nn

import feedbackward as fb

NONLINEARITIES = {
    "identity": lambda u: u,
    "sigmoid": torch.sigmoid,
    "softsign": nn.functional.softsign,
    "callable": lambda u: torch.sin(u) * 0.9 + 0.1 * u.clamp(min=-0.2),
}


@pytest.mark.parametrize("name", NONLINEARITIES)
def test_nonlinearities_that_torch_lacks(name: str) -> None:
    function = NONLINEARITIES[name]
    layer = fb.nn.RNN(
        INPUT,
        HIDDEN,
        2,
        nonlinearity=function if name == "callable" else name,
        bidirectional=True,
        dtype=torch.float64,
    )
    x, h = sequence(layer, 6, 5), first_state(layer, 5)
    assert_agrees(layer, lambda x, h: stacked_loop(layer, x, h, activation=function)[:2], x, h)


def test_a_nonlinearity_that_is_a_module_learns() -> None:
    """Its parameters are the layer's, receive gradients, and are not drawn anew with the weights."""
    layer = fb.nn.RNN(INPUT, HIDDEN, 2, nonlinearity=nn.PReLU(init=0.3), dtype=torch.float64).double()
    assert list(layer.state_dict())[-1] == "nonlinearity.weight"
    layer.reset_parameters()
    assert layer.nonlinearity.weight.item() == pytest.approx(0.3)
    x, h = sequence(layer, 6, 5), first_state(layer, 5)
    assert_agrees(layer, lambda x, h: stacked_loop(layer, x, h, activation=layer.nonlinearity)[:2], x, h)
    cell = fb.nn.BandRNNCell(INPUT, HIDDEN, 1, nonlinearity=nn.PReLU(init=0.3))
    assert cell.nonlinearity.weight.item() == pytest.approx(0.3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("structure", [None, fb.Banded(1)])
def test_layer_norm(kind: str, structure: fb.Banded | None) -> None:
    layer = CLASSES[kind](INPUT, HIDDEN, 2, bidirectional=True, layer_norm=True, structure=structure).double()
    for name, gain in layer.named_parameters():
        if name.startswith("norm_"):
            assert torch.equal(gain, torch.ones_like(gain))
            nn.init.normal_(gain)
    x, state = sequence(layer, 6, 5), first_state(layer, 5)
    few_channels = 100  # their standard deviation may be that small, and errors grow by its inverse
    assert_agrees(layer, lambda x, s: stacked_loop(layer, x, s)[:2], x, state, conditioning=few_channels)


def test_layer_norm_without_bias_and_in_steps() -> None:
    layer = fb.nn.GRU(INPUT, HIDDEN, 2, bias=False, layer_norm=True, dtype=torch.float64)
    x, state = sequence(layer, 6, 5), None
    output, last, _ = stacked_loop(layer, x)
    torch.testing.assert_close(layer(x), (output, last))
    for now, expected in zip(x, output, strict=True):
        y, state = layer.step(now, state)
        torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_recurrent_dropout_hides_the_same_channels_at_every_step(kind: str) -> None:
    """The mask is drawn from torch's generator; with that mask the layer is the loop."""
    layer = CLASSES[kind](INPUT, HIDDEN, recurrent_dropout=0.5, dtype=torch.float64)
    x, state = sequence(layer, 9, 5), first_state(layer, 5)
    torch.manual_seed(3)
    found = outcome(layer, (x, state), list(layer.parameters()))
    torch.manual_seed(3)
    mask = nn.functional.dropout(torch.ones(5, HIDDEN, dtype=torch.float64), 0.5)
    assert set(mask.flatten().tolist()) == {0.0, 2.0}
    truth = outcome(lambda x, s: stacked_loop(layer, x, s, mask=mask)[:2], (x, state), list(layer.parameters()))
    assert_same(found, truth, torch.float64, 9)
    layer.eval()
    torch.testing.assert_close(layer(x, state), stacked_loop(layer, x, state)[:2])


def test_every_recurrent_matrix_has_a_mask_of_its_own() -> None:
    """A layer that only copies: h' = h * mask, from ones."""
    layer = fb.nn.RNN(
        1, 400, 2, nonlinearity="identity", bias=False, bidirectional=True, recurrent_dropout=0.25, dtype=torch.float64
    )
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            weight.copy_(torch.eye(400)) if "weight_hh" in name else weight.zero_()
    x, ones = torch.zeros(1, 3, 1, dtype=torch.float64), torch.ones(4, 3, 400, dtype=torch.float64)
    masks = layer(x, ones)[1].flatten(0, 1)
    values, counts = masks.unique(return_counts=True)
    torch.testing.assert_close(values, torch.tensor([0, 4 / 3], dtype=torch.float64))
    deviations = (counts[0].item() - 0.25 * masks.numel()) / math.sqrt(0.25 * 0.75 * masks.numel())
    assert abs(deviations) < 5
    assert len(masks.unique(dim=0)) == len(masks)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_between_layers(kind: str) -> None:
    """The same seed gives the same numbers, eval gives torch's, and what layer 1 reads is a share of layer 0."""
    mine, theirs = twins(kind, num_layers=2, dropout=0.4)
    x = sequence(mine, 6, 5)
    runs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        runs.append(mine(x)[0])
    assert torch.equal(runs[0], runs[1])
    assert not torch.allclose(runs[0], runs[2])
    lower, upper = (CLASSES[kind](i, HIDDEN, dtype=torch.float64) for i in (INPUT, HIDDEN))
    for k, layer in enumerate((lower, upper)):
        layer.load_state_dict({n.replace(f"_l{k}", "_l0"): w for n, w in mine.state_dict().items() if f"_l{k}" in n})
    torch.manual_seed(1)
    torch.testing.assert_close(upper(nn.functional.dropout(lower(x)[0], 0.4))[0], runs[0], rtol=1e-12, atol=1e-12)
    theirs.dropout = 0.0  # instead of eval(), in which cuDNN's layers have no gradients
    assert_agrees(mine.eval(), theirs, x, first_state(mine, 5))


def test_dropout_keeps_the_mean() -> None:
    """Two layers that pass x on: of what goes between them a share is lost, and the rest grows."""
    layer = fb.nn.RNN(1, 1, 2, nonlinearity="identity", bias=False, dropout=0.3)
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            weight.fill_(float("ih" in name))
    y = layer(torch.ones(100, 100, 1))[0]
    values = y.unique()
    torch.testing.assert_close(values, torch.tensor([0, 1 / 0.7]))
    assert abs(y.mean().item() - 1) < 5 * math.sqrt(0.3 / 0.7 / y.numel())
    assert torch.equal(layer.eval()(torch.ones(3, 1))[0], torch.ones(3, 1))


def test_dropout_of_a_function_and_of_a_step() -> None:
    torch.manual_seed(5)
    layer = fb.nn.RNN(INPUT, HIDDEN, 2, dropout=0.5, dtype=torch.float64)
    weights = [[getattr(layer, f"{n}_l{k}") for k in (0, 1)] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    x = sequence(layer, 6, 5)
    found = []
    for run in (layer, lambda x: fb.rnn(x, *weights, dropout=0.5)):
        torch.manual_seed(6)
        found.append(run(x)[0])
    assert torch.equal(*found)
    assert not torch.allclose(layer.step(x[0])[0], layer.step(x[0])[0])
    single = fb.nn.RNN(INPUT, HIDDEN, dropout=0.5, dtype=torch.float64)  # nothing lies between layers
    assert torch.equal(single.step(x[0])[0], single.step(x[0])[0])
    layer.eval()
    torch.testing.assert_close(layer.step(x[0])[0], layer(x[:1])[0][0])


@pytest.mark.parametrize("kind", [*KINDS, "LSTM with projection"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_all_states_are_those_of_every_layer(kind: str, batch_first: bool) -> None:
    more = {"proj_size": 2} if "proj" in kind else {}
    settings = dict(num_layers=2, bidirectional=True, batch_first=batch_first, dtype=torch.float64, **more)
    layer = CLASSES[kind[:4].strip()](INPUT, HIDDEN, **settings)
    x, state = randn(6, 5, INPUT), first_state(layer, 5)

    def run(x: Tensor, state: Tensor) -> tuple:
        output, last, every = layer(x.transpose(0, 1) if batch_first else x, state, return_all_states=True)
        turned = [s.transpose(1, 2) if batch_first else s for s in ([every] if isinstance(every, Tensor) else every)]
        return output.transpose(0, 1) if batch_first else output, last, turned

    parameters = list(layer.parameters())
    found = outcome(run, (x, state), parameters)
    truth = outcome(lambda x, s: stacked_loop(layer, x, s), (x, state), parameters)
    assert_same(found, truth, torch.float64, 12)
    if kind == "GRU":
        torch.testing.assert_close(layer(x[:, 0], state[:, 0], return_all_states=True)[2], truth.values[-1][:, :, 0])


@pytest.mark.parametrize("kind", KINDS)
def test_checkpoints_change_nothing(kind: str) -> None:
    """What backward keeps is a matter of memory: outputs have the same bits, gradients are near."""
    x, first, found = randn(50, 5, INPUT), None, []
    reference, _ = twins(kind, num_layers=2, bidirectional=True)
    for checkpoint in ("auto", 1, 7, 1000, None):
        layer = CLASSES[kind](INPUT, HIDDEN, 2, bidirectional=True, checkpoint=checkpoint, dtype=torch.float64)
        layer.load_state_dict(reference.state_dict())
        first = first_state(layer, 5) if first is None else first
        found.append(outcome(layer, (x, first), list(layer.parameters())))
    for other in found[1:]:
        torch.testing.assert_close(other.values, found[0].values, rtol=0, atol=0)
        assert_same(other, found[0], torch.float64, 50)


@pytest.mark.parametrize("taps", [(1, 1), (1, 2), (3, 1), (3, 3), (2, 5), (5, 2)])
def test_a_filter_as_a_layer(taps: tuple[int, int]) -> None:
    """Poles inside, a[0] not 1, also without a recursive or a delayed part."""
    nb, na = taps
    b = np.random.default_rng(0).normal(size=nb)
    a = 3 * np.poly(np.linspace(-0.6, 0.8, na - 1)) if na > 1 else np.array([3.0])
    layer = fb.nn.RNN.from_filter(b, a, dtype=torch.float64)
    assert layer.hidden_size == max(nb, na, 2)
    x = randn(200, 4, 1)
    expected = torch.as_tensor(signal.lfilter(b, a, x[..., 0].numpy(force=True), axis=0))
    torch.testing.assert_close(layer(x)[0][..., 0], expected, rtol=1e-10, atol=1e-10)
    blocks, state = [], None
    for block in x.split([1, 99, 100]):
        y, state = layer(block, state)
        blocks.append(y[..., 0])
    torch.testing.assert_close(torch.cat(blocks), expected, rtol=1e-10, atol=1e-10)
    by_coefficients = fb.lfilter(torch.as_tensor(b), torch.as_tensor(a), x[..., 0].T).T
    torch.testing.assert_close(layer(x)[0][..., 0], by_coefficients, rtol=1e-10, atol=1e-10)


def test_a_filter_as_torchs_rnn_is_off_by_the_square_of_the_scale() -> None:
    b, a = signal.butter(3, 0.3)
    x = randn(300, 2, 1)
    layer = fb.nn.RNN.from_filter(b, a, dtype=torch.float64)
    exact, states = layer(x)[0], layer(x, return_all_states=True)[2]
    impulse = torch.as_tensor(signal.lfilter([1.0], a, np.eye(1, 300)[0]))
    length = int((impulse.abs() > 1e-3 * impulse.abs().max()).nonzero().max()) + 1
    errors = []
    for scale in (1e-2, 1e-3, 1e-4):
        theirs = fb.nn.RNN.from_filter(b, a, scale=scale, dtype=torch.float64).to_torch()
        assert theirs.nonlinearity == "tanh"
        errors.append((theirs(x)[0][..., :1] / scale - exact[..., :1]).abs().max().item())
        assert errors[-1] < length * scale**2 * states.abs().max().item() ** 3 / 3
    for large, small in itertools.pairwise(errors):
        assert 90 < large / small < 110
    with pytest.raises(ValueError, match="no nonlinearity 'identity'"):
        layer.to_torch()


def test_a_filter_in_other_dtypes_and_orders_of_axes() -> None:
    b, a = signal.cheby1(2, 1, 0.3)
    layer = fb.nn.RNN.from_filter(b.tolist(), torch.as_tensor(a), batch_first=True)
    assert layer.weight_hh_l0.dtype == torch.float32
    x = torch.randn(2, 100, 1)
    expected = torch.as_tensor(signal.lfilter(b, a, x[..., 0].double().numpy(force=True)))
    found = layer(x)[0][..., 0]
    atol = 10 * bound(torch.float32, 100, expected)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=atol)


def test_repr_names_what_is_not_default() -> None:
    assert repr(fb.nn.RNN(3, 4)) == "RNN(3, 4)"
    assert repr(fb.nn.RNN(3, 4, 2, "relu", checkpoint=None)) == (
        "RNN(3, 4, nonlinearity='relu', num_layers=2, checkpoint=None)"
    )
    assert repr(fb.nn.GRU(3, 4, bias=False, structure=fb.Banded(1), layer_norm=True)) == (
        "GRU(3, 4, bias=False, structure=Banded(lower=1, upper=1), layer_norm=True)"
    )
    assert repr(fb.nn.LSTM(3, 4, proj_size=2, batch_first=True, dropout=0.5, recurrent_dropout=0.1)) == (
        "LSTM(3, 4, batch_first=True, dropout=0.5, proj_size=2, recurrent_dropout=0.1)"
    )
