"""Recurrent layers under everything that torch does with a module: derivatives, vmap, compile, export, copies."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from recurrences import CLASSES, INPUT, KINDS, first_state, randn, sequence, stacked_loop, twins
from scanning import tensors_of
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import feedbackward as fb

# PyTorch's own decompositions for forward mode still go through torch.jit.script.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")

BOTH_WAYS = {"num_layers": 2, "bidirectional": True}
LAYERS: dict[str, Any] = {
    **{kind: lambda kind=kind: CLASSES[kind](INPUT, 4, **BOTH_WAYS, dtype=torch.float64) for kind in KINDS},
    "LSTM with projection": lambda: fb.nn.LSTM(INPUT, 4, proj_size=2, dtype=torch.float64),
    "GRU of blocks, normalized": lambda: fb.nn.GRU(
        INPUT, 4, structure=fb.BlockDiagonal(2), layer_norm=True, dtype=torch.float64
    ),
    "LSTM of low rank": lambda: fb.nn.LSTM(INPUT, 4, structure=fb.LowRankPlusDiagonal(1), dtype=torch.float64),
    "BandRNN": lambda: fb.nn.BandRNN(INPUT, 4, (1, 2), 2, dtype=torch.float64),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def same(found: Any, expected: Any, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def total(result: Any) -> Tensor:
    return torch.stack([t.sin().sum() for t in tensors_of(result)]).sum()


def weights_first(layer: Any) -> tuple[Any, dict[str, Tensor]]:
    """The layer as a function of weights, x and state."""
    weights = {name: p.detach().clone() for name, p in layer.named_parameters()}
    return lambda weights, *inputs: torch.func.functional_call(layer, weights, inputs), weights


@every_layer
def test_first_and_second_derivatives(name: str) -> None:
    """By differences, of small layers: with respect to x, states and every weight."""
    layer = LAYERS[name]()
    state = first_state(layer, 2)
    function, weights = weights_first(layer)
    inputs = [t.requires_grad_() for t in (randn(3, 2, INPUT), *tensors_of(state), *weights.values())]
    count = len(tensors_of(state))

    def run(x: Tensor, *rest: Tensor) -> list[Tensor]:
        h = rest[:count] if count > 1 else rest[0]
        return tensors_of(function(dict(zip(weights, rest[count:], strict=True)), x, h))

    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives_with_lengths(kind: str) -> None:
    layer = CLASSES[kind](2, 3, dtype=torch.float64)
    x = randn(4, 3, 2).requires_grad_()

    def run(x: Tensor) -> list[Tensor]:
        return tensors_of(layer(x, lengths=[4, 0, 2]))

    assert torch.autograd.gradcheck(run, (x,))
    assert torch.autograd.gradgradcheck(run, (x,))


@every_layer
def test_functional_gradients(name: str) -> None:
    layer = LAYERS[name]()
    x, state = sequence(layer, 5, 2), first_state(layer, 2)
    function, weights = weights_first(layer)
    found = torch.func.grad(lambda w, x, s: total(function(w, x, s)), argnums=(0, 1))(weights, x, state)
    x = x.requires_grad_()
    truth = torch.autograd.grad(total(layer(x, state)), [x, *layer.parameters()])
    same([found[1], *found[0].values()], list(truth))


@every_layer
def test_forward_mode(name: str) -> None:
    """A directional derivative is the gradient times the direction."""
    layer = LAYERS[name]()
    x, state = sequence(layer, 5, 2), first_state(layer, 2)
    function, weights = weights_first(layer)
    directions = {n: torch.randn_like(w) for n, w in weights.items()}, torch.randn_like(x)
    _, found = torch.func.jvp(lambda w, x: total(function(w, x, state)), (weights, x), directions)
    gradients = torch.func.grad(lambda w, x: total(function(w, x, state)), argnums=(0, 1))(weights, x)
    pairs = zip(tensors_of(gradients), tensors_of(directions), strict=True)
    same(found, torch.stack([(g * d).sum() for g, d in pairs]).sum())


@every_layer
def test_vmap_over_inputs_and_over_weights(name: str) -> None:
    layer = LAYERS[name]()
    function, weights = weights_first(layer)
    xs = randn(3, 5, 2, INPUT)
    same(torch.vmap(layer)(xs)[0], torch.stack([layer(x)[0] for x in xs]))
    same(torch.vmap(layer, in_dims=2)(xs.movedim(0, 2))[0], torch.stack([layer(x)[0] for x in xs]))
    many = {n: torch.stack([w, 0.5 * w, -w]) for n, w in weights.items()}
    found = torch.vmap(lambda w, x: function(w, x)[0])(many, xs)
    expected = [function({n: w[k] for n, w in many.items()}, x)[0] for k, x in enumerate(xs)]
    same(found, torch.stack(expected))
    per_sample = torch.vmap(torch.func.grad(lambda w, x: total(function(w, x))), in_dims=(None, 0))(weights, xs)
    for k, x in enumerate(xs):
        alone = torch.func.grad(lambda w, x: total(function(w, x)))(weights, x)
        same({n: g[k] for n, g in per_sample.items()}, alone)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU of blocks, normalized", "BandRNN"])
def test_compiled_without_a_graph_break(name: str) -> None:
    torch._dynamo.reset()
    layer = LAYERS[name]()
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x, state = sequence(layer, 5, 2).requires_grad_(), first_state(layer, 2)
    found, truth = compiled(x, state), layer(x, state)
    same(found, truth)
    leaves = [x, *layer.parameters()]
    same(torch.autograd.grad(total(found), leaves), torch.autograd.grad(total(truth), leaves))


@pytest.mark.parametrize("kind", ["LSTM"])
def test_compiled_for_any_length_with_more_results(kind: str) -> None:
    torch._dynamo.reset()
    layer = CLASSES[kind](INPUT, 4, dtype=torch.float64)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True, dynamic=True)
    for steps in (5, 9, 33):
        x = sequence(layer, steps, 2)
        same(compiled(x, return_all_states=True), layer(x, return_all_states=True))


@pytest.mark.filterwarnings("ignore:Dynamo does not know how to trace:UserWarning")
def test_compiled_with_lengths() -> None:
    """How a batch is cut depends on the numbers: that part runs outside of the graph."""
    torch._dynamo.reset()
    layer = CLASSES["GRU"](INPUT, 4, dtype=torch.float64)
    compiled, x = torch.compile(layer, backend="aot_eager"), sequence(layer, 5, 3)
    packed = pack_padded_sequence(x, [5, 2, 3], enforce_sorted=False)
    for found, truth in (
        (compiled(x, lengths=[5, 2, 3]), layer(x, lengths=[5, 2, 3])),
        (compiled(packed)[1], layer(packed)[1]),
    ):
        same(found, truth)
        leaves = [*layer.parameters()]
        same(torch.autograd.grad(total(found), leaves), torch.autograd.grad(total(truth), leaves))


def test_compiled_step() -> None:
    torch._dynamo.reset()
    layer = LAYERS["BandRNN"]()
    compiled = torch.compile(layer.step, backend="aot_eager", fullgraph=True)
    x = sequence(layer, 1, 2)[0]
    same(compiled(x), layer.step(x))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    ("name", "strict"), [("RNN", False), ("GRU", True), ("LSTM", False), ("LSTM", True), ("BandRNN", False)]
)
def test_exported_for_any_length(name: str, strict: bool) -> None:
    layer = LAYERS[name]()
    x, state = sequence(layer, 5, 2), first_state(layer, 2)
    shapes = ({0: torch.export.Dim.AUTO}, (None, None) if name == "LSTM" else None)
    program = torch.export.export(layer, (x, state), dynamic_shapes=shapes, strict=strict)
    saved = io.BytesIO()
    torch.export.save(program, saved)
    saved.seek(0)
    again = torch.export.load(saved).module()
    for steps in (7, 33):
        x = sequence(layer, steps, 2)
        same(again(x, state), layer(x, state))


@every_layer
def test_copies_pickles_and_state_dicts(name: str) -> None:
    layer = LAYERS[name]()
    x = sequence(layer, 5, 2)
    expected = layer(x)
    loaded = LAYERS[name]()
    loaded.load_state_dict(layer.state_dict())
    saved = io.BytesIO()
    torch.save(layer, saved)
    saved.seek(0)
    for other in (
        copy.deepcopy(layer),
        loaded,
        pickle.loads(pickle.dumps(layer)),
        torch.load(saved, weights_only=False),
    ):
        same(other(x), expected, 0)
        assert repr(other) == repr(layer)
        with torch.no_grad():
            for weight in other.parameters():
                weight.mul_(0.5)
    same(layer(x), expected, 0)
    copied = copy.deepcopy(layer)
    for weight in copied.parameters():
        weight.data.mul_(0.5)
    assert not torch.allclose(copied(x)[0], expected[0])


@every_layer
def test_other_dtypes_and_devices(name: str) -> None:
    layer = LAYERS[name]()
    x = sequence(layer, 5, 2)
    single = copy.deepcopy(layer).float()
    y = single(x.float())[0]
    assert y.dtype == torch.float32
    same(y.double(), layer(x)[0], 1e-5)
    same(single.double()(x)[0], layer(x)[0], 1e-5)
    assert all(p.is_meta for p in copy.deepcopy(layer).to("meta").parameters())
    empty = copy.deepcopy(layer).to("meta").to_empty(device=x.device)
    empty.reset_parameters()
    assert all(p.isfinite().all() for p in empty.parameters())
    empty.load_state_dict(layer.state_dict())
    same(empty(x), layer(x), 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_leaves_the_recurrence_in_its_precision(kind: str, dtype: torch.dtype) -> None:
    """A layer of float32 computes in float32, its backward pass too."""
    layer = CLASSES[kind](INPUT, 4, num_layers=2)
    x = torch.randn(6, 2, INPUT).requires_grad_()
    expected = layer(x)
    truth = torch.autograd.grad(total(expected), [x, *layer.parameters()])
    with torch.autocast(x.device.type, dtype=dtype):
        found = layer(x)
    gradients = torch.autograd.grad(total(found), [x, *layer.parameters()])
    assert all(t.dtype == torch.float32 for t in tensors_of(found))
    same(found, expected, 1e-6)
    same(gradients, truth, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_before_the_layer(kind: str) -> None:
    """What comes in a narrow dtype from an earlier layer is widened, as torch.nn's layers do."""
    below, layer = torch.nn.Linear(INPUT, INPUT), CLASSES[kind](INPUT, 4)
    x = torch.randn(6, 2, INPUT)
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        narrow = below(x)
        found = layer(narrow)
    assert narrow.dtype == torch.bfloat16
    same(found, layer(narrow.float()), 0)


@every_layer
def test_the_first_call_in_inference_mode(name: str) -> None:
    """The program is checked there too, and serves training afterwards."""
    layer = LAYERS[name]()
    x = sequence(layer, 5, 11)  # a batch that no other test has: the cell is new
    with torch.inference_mode():
        found = layer(x)
        layer(x.clone())
        again = layer(x, lengths=[5, 0, 1, 2, 3, 4, 5, 1, 2, 3, 4])
    assert all(t.is_inference() for t in tensors_of(found, again))
    truth = layer(x)
    same([t.clone() for t in tensors_of(found)], tensors_of(truth))
    assert all(g.isfinite().all() for g in torch.autograd.grad(total(truth), list(layer.parameters())))


@pytest.mark.parametrize("checkpointed", [False, True])
def test_inside_of_a_model(checkpointed: bool) -> None:
    """Between other layers, with torch's own checkpointing around it, tied weights and frozen ones."""
    mine, theirs = twins("GRU")
    head = nn.Linear(4, 2, dtype=torch.float64)
    mine.weight_ih_l0.requires_grad_(False)
    mine.bias_hh_l0 = mine.bias_ih_l0
    theirs.bias_hh_l0 = theirs.bias_ih_l0
    theirs.bias_ih_l0.data.copy_(mine.bias_ih_l0.data)
    x = randn(6, 5, INPUT).requires_grad_()
    gradients = []
    for layer in (mine, theirs):

        def model(x: Tensor, layer: Any = layer) -> Tensor:
            return head(layer(2 * x)[0].relu())

        y = torch.utils.checkpoint.checkpoint(model, x, use_reentrant=False) if checkpointed else model(x)
        leaves = [x, layer.weight_hh_l0, layer.bias_ih_l0, head.weight]
        gradients.append([y, *torch.autograd.grad(total(y), leaves)])
    same(*gradients)


def test_hooks_parametrizations_and_norms() -> None:
    """A weight that is computed, by torch.nn.utils.parametrizations, receives its gradient."""
    layer, theirs = twins("RNN")
    for module in (layer, theirs):
        torch.manual_seed(0)
        nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    x = randn(5, 2, INPUT)
    gradients = [
        torch.autograd.grad(total(layer(x)), list(layer.parameters())),
        torch.autograd.grad(total(stacked_loop(layer, x)[:2]), list(layer.parameters())),
    ]
    same(*gradients)
    same(layer(x), theirs(x))
