"""What the program machine refuses: words that are no program, arguments that fit none; a sentence, never a crash."""

from __future__ import annotations

import pytest
import torch
from machine import Assembler, integrator, run

pytestmark = pytest.mark.cpu  # the machine is the native kernels'


def spoiled(change) -> Assembler:
    p, _ = integrator()
    change(p)
    return p


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: p.slots[1].__setitem__(1, 3), r"slot 1 names sequences\[3\] of 1"),
        (lambda p: p.slots[1].__setitem__(2, 2), r"slot 1 has 2 rows, but sequences\[0\] has 1"),
        (lambda p: p.slots[1].__setitem__(0, 77), "slot 1 is of unknown kind 77"),
        (lambda p: p.slots[4].__setitem__(2, -1), "slot 4 has -1 rows"),
        (lambda p: p.slot("view", 0, 2), "leaves slot 0"),
        (lambda p: p.slot("view", len(p.slots), 1), "view of a view"),
        (lambda p: p.slot("forward", 0), "this is no adjoint"),
        (lambda p: p.slot("before", 1), "before slot 1, which is no state"),
        (lambda p: p.slot("before", 99), "before slot 99, which is no state"),
        (lambda p: p.slot("output", 0), "second slot of one output"),
        (lambda p: p.slots.__setitem__(3, p.slots[4]), "1 of output were given, the program has 0"),
        (lambda p: p.code("copy", 0, 1), r"instruction 3 \(copy\) writes slot 0, which can only be read"),
        (lambda p: p.code("copy", 4, 99), "reads a slot that there is not"),
        (lambda p: p.codes[0].__setitem__(0, 9999), "instruction 0 is unknown"),
        (lambda p: p.code("neg", p.slot("view", 4), 1), "writes a view"),
        (lambda p: p.code("copy", p.slot("temp", 0, 2), 1), "operand 0 has 1"),
        (lambda p: p.code("gather", 4, 1), "table that leaves"),
        (lambda p: (p.table.append(1), p.code("gather", 4, 1)), "gathers row 1 of 1"),
        (lambda p: (p.table.extend([2, 1]), p.code("sum_rows", 4, 1)), "reduces 1 rows"),
        (lambda p: p.code("dense", 4, 1), "matrix that there is not"),
        (lambda p: p.code("dense", 4, 4), "writes what it reads"),
    ],
)
def test_malformed_programs_are_refused(change, sentence):
    a, x = torch.rand(5, 1), torch.randn(4, 5, 1)
    with pytest.raises(ValueError, match=sentence):
        run(spoiled(change), [a], (), [x], [a], [5], [1], 4)


def test_arguments_that_do_not_fit_are_refused():
    p, q = integrator()
    a, x = torch.rand(5, 1), torch.randn(4, 5, 1)

    def refused(sentence, **changes):
        arguments = {"held": [a], "sequences": [x], "before": [a], "lanes": [5], "rows": [1], "steps": 4} | changes
        with pytest.raises(ValueError, match=sentence):
            run(p, **arguments)

    refused("differs in dtype", sequences=[x.double()], held=[a], before=[a])
    refused("has 4 steps, expected 5", steps=5)
    refused("does not broadcast", held=[torch.rand(4, 1)])
    refused("has 1 axes", held=[torch.rand(5)])
    refused("float32, float64", sequences=[x.int()])
    refused("neither float32 nor float64", sequences=[x.cfloat()])
    refused("checkpoint", every=-2)
    refused("steps must not be negative", steps=-1)
    refused("output_rows must not be negative", rows=[-1])
    words = p.words()
    for bad in (words[:-1], words[:2], words.int(), words.view(1, -1)):
        with pytest.raises(ValueError, match="program"):
            torch.ops.feedbackward.scan(bad, [a], [], [x], [a], [5], [1], 4, False, 0, False)
    saved = torch.zeros(3, dtype=torch.uint8)
    arguments = (words, q.words(), [a], [], [x], [a], saved, [], [x], [a, a], [5], [1], 4, False, 0)
    with pytest.raises(ValueError, match="saved is not what scan returned"):
        torch.ops.feedbackward.scan_backward(*arguments, [], [])
    with pytest.raises(ValueError, match="trails name an output"):
        torch.ops.feedbackward.scan_backward(*arguments, [x], [1])
    with pytest.raises(ValueError, match="has 1 rows, but after"):
        torch.ops.feedbackward.scan_backward(*arguments, [x.expand(4, 5, 2)], [0])
