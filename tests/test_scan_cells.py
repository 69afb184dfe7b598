"""Every cell of examples/cells, as its author would type it: values and all gradients, in float64 and float32."""

from __future__ import annotations

import runpy
import sys
import zlib
from pathlib import Path

import pytest
import scanning
import torch
from torch.autograd import gradgradcheck

import feedbackward as fb

from cells import CELLS, Example  # isort: skip (scanning puts the examples on the path)

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "cells"
EACH = pytest.mark.parametrize("name", CELLS)


def make(name: str, batch: int, steps: int, dtype: torch.dtype) -> Example:
    """The same numbers in every dtype."""
    torch.manual_seed(zlib.crc32(name.encode()))
    return CELLS[name](batch=batch, steps=steps, dtype=dtype)


def test_the_registry_holds_every_file():
    files = {path.stem for path in EXAMPLES.glob("*.py")} - {"__init__", "__main__", "example"}
    assert set(CELLS) == files


@EACH
def test_the_parameters_are_all_there_are(name):
    """A parameter that is not in the list would not be compared."""
    cell, _, _, parameters = make(name, 2, 3, torch.float64)
    cells = [c.cell_contents for c in cell.__closure__ or ()] if hasattr(cell, "__closure__") else [cell]
    inside = [t for c in cells for t in (c.parameters() if isinstance(c, torch.nn.Module) else [c])]
    inside = [t for t in inside if isinstance(t, torch.Tensor)]
    assert {id(t) for t in inside} == {id(t) for t in parameters}
    assert all(t.requires_grad and t.is_leaf for t in parameters)


@EACH
@pytest.mark.parametrize(("batch", "steps", "reverse"), [(3, 67, False), (17, 17, True), (1, 33, False)])
def test_in_float64(name, batch, steps, reverse):
    conditioning = 2.0 if name == "layer_norm_lstm" else 1.0  # a norm divides by a deviation, which may be small
    result = scanning.check(*make(name, batch, steps, torch.float64), conditioning, reverse=reverse)
    assert any(bool(g.any()) for g in result.gradients)


@EACH
@pytest.mark.parametrize(("batch", "steps"), [(5, 60), (70, 9)])
def test_in_float32_against_a_loop_in_float64(name, batch, steps):
    mine = scanning.outcome(*make(name, batch, steps, torch.float32))
    truth = scanning.outcome(*make(name, batch, steps, torch.float64), backend="eager")
    assert all(v.dtype == torch.float32 for v in mine.values)
    scanning.assert_same(mine, truth, torch.float32, steps, name)


@EACH
@pytest.mark.parametrize("steps", [0, 1, 2])
def test_the_shortest_sequences(name, steps):
    scanning.check(*make(name, 3, steps, torch.float64))


@EACH
@pytest.mark.parametrize("checkpoint", [1, 7, 1000, None])
def test_checkpoints_change_nothing(name, checkpoint):
    example = make(name, 3, 24, torch.float64)
    for mine, other in zip(scanning.outcome(*example, checkpoint=checkpoint), scanning.outcome(*example), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=0)


@EACH
def test_second_derivatives(name):
    scanning.check(*make(name, 2, 7, torch.float64), second=True)


@pytest.mark.parametrize("name", ["biquad", "compressor", "kalman", "rotation"])
def test_gradgradcheck(name):
    cell, init, xs, parameters = make(name, 2, 4, torch.float64)
    leaves, tree = torch.utils._pytree.tree_flatten((init, xs))
    leaves = [leaf.contiguous().requires_grad_() for leaf in leaves]

    def run(*tensors):
        init, xs = torch.utils._pytree.tree_unflatten(list(tensors[: len(leaves)]), tree)
        return tuple(scanning.tensors_of(fb.scan(cell, init, xs)))

    assert torch.autograd.gradcheck(run, (*leaves, *parameters), fast_mode=True)
    assert gradgradcheck(run, (*leaves, *parameters), fast_mode=True)


@EACH
def test_the_whole_program_is_one_loop_of_torch_too(name):
    """torch's own scan, which takes the very same arguments, gives the same numbers where it can run the cell."""
    from torch._higher_order_ops.scan import scan

    cell, init, xs, _ = make(name, 2, 9, torch.float64)

    def of_torch(carry, x):
        carry, y = cell(carry, x)
        return torch.utils._pytree.tree_map(torch.clone, (carry, y))  # torch's scan refuses results that share memory

    with torch.no_grad():
        try:
            theirs = scan(of_torch, init, xs)
        except torch._dynamo.exc.TorchDynamoException as error:
            if name not in ("kalman", "rotation"):
                raise
            pytest.skip(f"torch's scan: {type(error).__name__}")
        mine = fb.scan(cell, init, xs)
    for a, b in zip(scanning.tensors_of(mine), scanning.tensors_of(theirs), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=scanning.bound(torch.float64, 9, b))


def test_the_folder_runs(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(EXAMPLES), "biquad", "kalman"])
    monkeypatch.setattr(sys, "path", [*sys.path])
    runpy.run_path(str(EXAMPLES), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["biquad", "kalman"]
