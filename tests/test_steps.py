"""Programs that are written as such are those that tracing makes, and nothing that plans them needs torch."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import feedbackward as fb
from feedbackward.engine import operator, steps
from feedbackward.engine.programs import compiled, program_of


@pytest.mark.parametrize("nonlinearity", steps.NONLINEARITIES)
@pytest.mark.parametrize(("lower", "upper"), [(0, 0), (2, 1), (0, 3), (7, 7)])
def test_band_rnn_is_what_the_layer_is_traced_to(
    nonlinearity: str, lower: int, upper: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    run = operator._forward

    def spy(tensors: list[torch.Tensor], program: str, *settings: object) -> list[torch.Tensor]:
        seen.append(program)
        return run(tensors, program, *settings)

    monkeypatch.setattr(operator, "_forward", spy)
    fb.nn.BandRNN(3, 6, band_width=(lower, upper), nonlinearity=nonlinearity)(torch.randn(4, 2, 3))
    written = steps.band_rnn(6, lower, upper, nonlinearity)
    assert set(seen) == {written.text}
    assert program_of(written.text).text == written.text


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


def test_programs_are_planned_without_torch() -> None:
    """Up to the names of the operations, which come from a compiled library."""
    code = """if True:
        import sys
        sys.modules["torch"] = None
        from feedbackward import native
        from feedbackward.engine import programs, steps
        native.operations = lambda: __import__("collections").defaultdict(int)
        programs.plan.__globals__["operations"] = native.operations
        made = programs.compiled(steps.band_rnn(5, 1, 1, "tanh").text, (True, True, True), 3)
        print(made.forward_words.dtype, len(made.forward_words) > 3, len(made.backward_words) > 3)
    """
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.stdout.split() == ["int64", "True", "True"], result.stderr


def test_words_are_planned_once() -> None:
    text = steps.band_rnn(5, 1, 1, "tanh").text
    assert compiled(text, (True, True, True), 3) is compiled(text, (True, True, True), 3)
