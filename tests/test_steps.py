"""Programs that are written as such are those that tracing makes, and nothing that plans them needs torch."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from closeness import eps
from step_loops import GATES, KINDS, STRUCTURES, Case
from torch import Tensor
from torch.nn import functional

import feedbackward as fb
from feedbackward.engine import operator, steps
from feedbackward.engine.programs import compiled, program_of
from feedbackward.recurrent import cells

LAYERS = {"rnn": fb.nn.RNN, "gru": fb.nn.GRU, "lstm": fb.nn.LSTM}


def run(program: Any, tensors: list[Tensor], reverse: bool = False) -> tuple[list[Tensor], list[Tensor]]:
    count, lanes, _ = tensors[len(program.held) + len(program.matrices)].shape
    return operator.run(tensors, program.text, operator.wanted(tensors), [lanes], count, reverse, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("structure", [fb.Dense(), fb.Banded(2, 1), fb.Banded(9), fb.BlockDiagonal(3)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_a_program_is_what_the_layer_is_traced_to(
    structure: Any, kind: str, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    forward = operator._forward

    def spy(tensors: list[Tensor], program: str, *settings: object) -> list[Tensor]:
        seen.append(program)
        return forward(tensors, program, *settings)

    monkeypatch.setattr(operator, "_forward", spy)
    LAYERS[kind](3, 6, structure=structure, bias=bias)(torch.randn(4, 2, 3))
    written = {"rnn": steps.rnn, "gru": steps.gru, "lstm": steps.lstm}[kind]
    program = written(6, structure, **({"bias": bias} if kind == "gru" else {}))
    assert set(seen) == {program.text}
    assert program_of(program.text).text == program.text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("structure", "n"), STRUCTURES, ids=str)
@pytest.mark.parametrize("dropped", [False, True])
def test_programs_compute_what_the_cells_do(kind: str, structure: Any, n: int, dropped: bool) -> None:
    """Values and all gradients, against a loop over the cells that layers are traced from."""
    count, lanes, size = 7, 3, 2
    gates = GATES[kind]

    def leaf(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64).mul_(0.5).requires_grad_()

    x, weight_ih, weight = leaf(count, lanes, size), leaf(gates * n, size), leaf(*structure.weight_shape(n, gates))
    bias_ih, bias_hh, mask = leaf(gates * n), leaf(gates * n), leaf(lanes, n)
    states = [leaf(lanes, n) for _ in range(2 if kind == "lstm" else 1)]
    layer = cells.Layer(structure, weight_ih, weight, bias_ih, bias_hh)
    masks = [mask] if dropped else []
    make = {"rnn": cells.rnn_cell, "gru": cells.gru_cell, "lstm": cells.lstm_cell}[kind]
    cell, carry, expected = make(layer, mask=mask if dropped else None), tuple(states), []
    for x_t in x:
        carry, y = cell(carry if kind == "lstm" else carry[0], x_t)
        carry = carry if kind == "lstm" else (carry,)
        expected.append(y)

    u, held = functional.linear(x, weight_ih, bias_ih), [*masks]
    if kind == "gru":
        u = u + functional.pad(bias_hh[: 2 * n], (0, n))
        held.append(bias_hh[None, 2 * n :])
    else:
        u = u + bias_hh
    program = {"rnn": steps.rnn, "gru": steps.gru, "lstm": steps.lstm}[kind](n, structure, dropped=dropped)
    parts = steps.matrices(structure, weight, n, gates, torch.reshape)
    (h,), after = run(program, [*held, *parts, u, *states])

    near = {"rtol": 1e-10, "atol": 1e-12}
    torch.testing.assert_close(h, torch.stack(expected), **near)
    torch.testing.assert_close(after, list(carry), **near)
    leaves = [x, weight_ih, weight, bias_ih, bias_hh, *states, *masks]
    results = [(torch.stack(expected), *carry), (h, *after)]
    weights = [torch.randn(r.shape, dtype=torch.float64) for r in results[0]]
    found = [torch.autograd.grad(list(r), leaves, weights) for r in results]
    torch.testing.assert_close(found[1], found[0], **near)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("structure", "n"), STRUCTURES, ids=str)
def test_programs_compute_every_option(kind: str, structure: Any, n: int) -> None:
    """Values, against a loop in numpy: masks, the other places of a reset gate and its bias, the other orders."""
    options = [{"dropped": d, "masked": m} for d, m in itertools.product((False, True), repeat=2)]
    if kind == "gru":
        extra = [
            {"bias": b, "reset_after": a, "update_first": f} for b, a, f in itertools.product((False, True), repeat=3)
        ]
        options = [{**one, **more} for one, more in itertools.product(options, extra)]
    for number, chosen in enumerate(options):
        case = Case(kind, structure, n, steps=5, lanes=2, seed=number, **chosen)
        reverse = number % 2 == 1
        (h,), after = run(case.program, [torch.as_tensor(a) for a in case.tensors(torch_reshape)], reverse)
        expected, last = case.loop(reverse)
        torch.testing.assert_close(h.numpy(force=True), expected, rtol=1e-12, atol=1e-13)
        for ours, theirs in zip(after, last, strict=True):
            torch.testing.assert_close(ours.numpy(force=True), theirs, rtol=1e-12, atol=1e-13)


def torch_reshape(array: Any, shape: tuple[int, ...]) -> Any:
    return array.reshape(shape)


@pytest.mark.parametrize("options", [{"masked": True, "dropped": True}, {"reset_after": False}], ids=str)
def test_gradients_of_the_options(options: dict[str, bool]) -> None:
    """What no cell of a layer has: where a step is masked, and where the reset gate comes first."""
    for structure, n in ((fb.Dense(), 3), (fb.LowRankPlusDiagonal(1), 3), (fb.BlockDiagonal(2), 4)):
        case = Case("gru", structure, n, steps=4, lanes=2, seed=n, **options)
        program = case.program
        tensors = [torch.as_tensor(a).requires_grad_() for a in case.tensors(torch_reshape)]
        if options.get("masked"):
            tensors[-2].requires_grad_(False)  # ones and zeros

        def function(*inputs: Tensor, program: Any = program) -> tuple[Tensor, ...]:
            outputs, after = run(program, list(inputs))
            return (*outputs, *after)

        assert torch.autograd.gradcheck(function, tensors)
        assert torch.autograd.gradgradcheck(function, tensors)


THEIRS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "linear": lambda x: x,
    "identity": lambda x: x,
    "hard_sigmoid": lambda x: functional.relu6(x + 3) / 6,  # torch's own has 1/6 in float32 for a slope
    "hard_tanh": functional.hardtanh,
    "softsign": functional.softsign,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "squareplus": lambda x: (x + torch.sqrt(x**2 + 4)) / 2,
    "sparse_plus": lambda x: torch.where(x <= -1, 0.0, torch.where(x < 1, (x + 1) ** 2 / 4, x)),
    "sparse_sigmoid": lambda x: torch.where(x <= -1, 0.0, torch.where(x < 1, (x + 1) / 2, 1.0)),
    "log_sigmoid": functional.logsigmoid,
    "exponential": torch.exp,
    "elu": functional.elu,
    "celu": functional.celu,
    "selu": functional.selu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "swish": functional.silu,
    "hard_silu": lambda x: x * functional.relu6(x + 3) / 6,
    "hard_swish": lambda x: x * functional.relu6(x + 3) / 6,
    "mish": lambda x: x * torch.tanh(torch.logaddexp(x, torch.zeros_like(x))),
    "relu6": functional.relu6,
    "leaky_relu": lambda x: functional.leaky_relu(x, 0.2),
    "tanh_shrink": functional.tanhshrink,
    "soft_shrink": functional.softshrink,
    "hard_shrink": functional.hardshrink,
}


@pytest.mark.parametrize("name", steps.ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_activations(name: str, dtype: torch.dtype) -> None:
    """In an RNN without a state to speak of, with their slopes; at corners, far out, and with what is no number."""
    far = [
        0.0,
        0.5,
        -0.5,
        1.0,
        -1.0,
        6.0,
        -20.0,
        20.0,
        21.0,
        -60.0,
        60.0,
        -800.0,
        *([] if name == "exponential" else [800.0]),
    ]
    x = torch.cat([torch.linspace(-7, 7, 200, dtype=dtype), torch.tensor(far, dtype=dtype)])
    program = steps.rnn(1, fb.Diagonal(), name)
    found, expected = x.clone().requires_grad_(), x.clone().requires_grad_()
    (y,), _ = run(program, [torch.zeros(1, 1, dtype=dtype), found[None, :, None], torch.zeros(len(x), 1, dtype=dtype)])
    theirs = THEIRS[name](expected)
    near = {"rtol": 50 * eps(dtype), "atol": 20 * eps(dtype)}
    torch.testing.assert_close(y.flatten(), theirs, **near)
    slopes = [torch.autograd.grad(v.sum(), at)[0] for v, at in ((y, found), (theirs, expected))]
    torch.testing.assert_close(*slopes, **near)
    (y,), _ = run(program, [torch.zeros(1, 1), torch.full((1, 1, 1), torch.nan), torch.zeros(1, 1)])
    assert y.isnan().item() or name in ("soft_shrink", "sparse_plus")


def test_a_structure_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="a matrix of 5 rows does not divide into 2 blocks"):
        steps.rnn(5, fb.BlockDiagonal(2))


def test_band_product_is_the_product() -> None:
    weight, x = torch.randn(4, 5, requires_grad=True), torch.randn(1, 3, 5, requires_grad=True)
    (y,), _ = operator.run([weight, x], steps.band_product(5, 1, 2).text, [True, True], [3], 1, False, 0)
    expected = fb.band_matmul(x, weight, 1, 2)
    torch.testing.assert_close(y, expected)
    d = torch.randn_like(y)
    for ours, theirs in zip(
        torch.autograd.grad(y, (weight, x), d), torch.autograd.grad(expected, (weight, x), d), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def alone(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_programs_are_planned_without_torch() -> None:
    """Up to the names of the operations, which come from a compiled library."""
    code = """if True:
        import sys
        sys.modules["torch"] = sys.modules["typing_extensions"] = None
        import feedbackward as fb
        from feedbackward import native
        from feedbackward.engine import programs, steps
        native.operations = lambda: __import__("collections").defaultdict(int)
        programs.plan.__globals__["operations"] = native.operations
        for structure in (fb.Dense(), fb.Banded(1), fb.BlockDiagonal(2), fb.Diagonal(), fb.LowRankPlusDiagonal(2)):
            for step in (steps.rnn, steps.gru, steps.lstm):
                program = step(6, structure, dropped=True, masked=True)
                count = sum(map(len, (program.held, program.matrices, program.sequences, program.states)))
                made = programs.compiled(program.text, (True,) * count, 3)
                assert made.forward_words.dtype == "int64"
                assert min(len(made.forward_words), len(made.backward_words)) > 3
        print(repr(fb.Banded(8)), fb.Banded(8).weight_shape(10, 3))
    """
    assert alone(code).strip() == "Banded(lower=8, upper=8) (51, 10)"


def test_structures_leave_torch_alone() -> None:
    code = """if True:
        import sys
        import feedbackward as fb
        made = [fb.Banded(8), fb.Dense(), fb.BlockDiagonal(4), fb.Diagonal(), fb.LowRankPlusDiagonal(2)]
        import pickle
        print(pickle.loads(pickle.dumps(made)) == made, "torch" in sys.modules)
    """
    assert alone(code).split() == ["True", "False"]


def test_words_are_planned_once() -> None:
    program = steps.rnn(5, fb.Banded(1))
    assert steps.rnn(5, fb.Banded(1)) is program
    assert compiled(program.text, (True, True, True), 3) is compiled(program.text, (True, True, True), 3)
