"""A scan inside torch.compile: no graph break, the same numbers, whatever the length."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import nn

import feedbackward as fb


class Model(nn.Module):
    """Work before and after a cell that closes over parameters, a module and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 5, dtype=torch.float64) * 0.3)
        self.input = nn.Linear(3, 5, dtype=torch.float64)
        self.gain = 0.5

    def forward(self, x, h, reverse=False):
        def cell(carry, now):
            carry = torch.tanh(self.input(now["x"]) + carry @ self.weight * self.gain)
            return carry, {"twice": carry * 2, "none": None}

        last, y = fb.scan(cell, h, {"x": x.sin()}, dim=1, reverse=reverse)
        return last.cos(), y["twice"].exp()


def outcome(model, parameters, *inputs, **settings):
    outputs = model(*inputs, **settings)
    return [*outputs, *torch.autograd.grad(sum(y.sum() for y in outputs), parameters)]


def same(actual, expected):
    for mine, true in zip(actual, expected, strict=True):
        torch.testing.assert_close(mine, true, rtol=1e-11, atol=1e-11)


def arguments(batch=4, steps=7):
    x = torch.randn(batch, steps, 3, dtype=torch.float64, requires_grad=True)
    return x, torch.randn(batch, 5, dtype=torch.float64, requires_grad=True)


NEEDS_OPENSSL = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="PyTorch's inductor calls openssl, which is not on the PATH"
)
INDUCTOR = pytest.param("inductor", marks=[NEEDS_OPENSSL, pytest.mark.genuine])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inductor's own
@pytest.mark.parametrize("backend", ["eager", "aot_eager", INDUCTOR])
def test_compiled_without_a_graph_break(backend):
    torch._dynamo.reset()
    model, inputs = Model(), arguments()
    parameters = [*inputs, *model.parameters()]
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    same(outcome(compiled, parameters, *inputs), outcome(model, parameters, *inputs))


def test_any_length_and_batch():
    torch._dynamo.reset()
    model = Model()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True, dynamic=True)
    for batch, steps in ((4, 7), (4, 9), (6, 9), (4, 33)):
        inputs = arguments(batch, steps)
        parameters = [*inputs, *model.parameters()]
        same(outcome(compiled, parameters, *inputs), outcome(model, parameters, *inputs))


def test_a_number_of_the_cell_that_changes():
    torch._dynamo.reset()
    model, inputs = Model(), arguments()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    for model.gain in (0.5, 0.7, -0.2):
        same(compiled(*inputs), model(*inputs))


def test_the_first_state_inside_the_cell():
    """What a cell closes over is not its carry, even when it is the same tensor."""
    torch._dynamo.reset()

    def f(h, x):
        return fb.scan(lambda carry, now: (carry * 0.5 + h + now, carry), h, x)[1]

    h, x = torch.randn(3), torch.randn(6, 3)
    same([torch.compile(f, backend="aot_eager", fullgraph=True)(h, x)], [f(h, x)])


def test_in_reverse():
    torch._dynamo.reset()
    model, inputs = Model(), arguments()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    same(compiled(*inputs, reverse=True), model(*inputs, reverse=True))


def test_the_graph_holds_one_operator():
    torch._dynamo.reset()
    graphs = []

    def backend(graph, example_inputs):
        from functorch.compile import make_boxed_func

        graphs.append(graph)
        return make_boxed_func(graph.forward)

    from torch._dynamo.backends.common import aot_autograd

    model, inputs = Model().requires_grad_(False), [t.detach() for t in arguments()]
    torch.compile(model, backend=aot_autograd(fw_compiler=backend), fullgraph=True)(*inputs)
    (graph,) = graphs
    ours = [n for n in graph.graph.nodes if "feedbackward" in str(n.target)]
    assert [str(n.target) for n in ours] == ["feedbackward.scan_program.default"]
