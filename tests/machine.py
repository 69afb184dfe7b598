"""Programs for the machine, written by hand, and its operator."""

from __future__ import annotations

import struct

import torch
from torch import Tensor

from feedbackward.ops import library

torch.ops.load_library(str(library.path()))  # as the first use of any public function does

KINDS = ("temp", "constant", "held", "sequence", "output", "state", "record", "view", "forward", "before")


class Assembler:
    """Slots and instructions, one at a time."""

    def __init__(self) -> None:
        self.slots: list[list[int]] = []
        self.codes: list[list[int]] = []
        self.table: list[int] = []

    def slot(self, kind: str, index: int = 0, rows: int = 1, extra: float = 0) -> int:
        bits = struct.unpack("<q", struct.pack("<d", extra))[0] if kind == "constant" else int(extra)
        self.slots.append([KINDS.index(kind), index, rows, bits])
        return len(self.slots) - 1

    def code(self, name: str, to: int, *operands: int, broadcast: int = 0, extra: int = 0) -> None:
        rows = self.slots[to][2]
        padded = [*operands, 0, 0][:3]
        self.codes.append([library.operations()[name], rows, to, *padded, broadcast, extra])

    def words(self) -> Tensor:
        words = [len(self.slots), len(self.codes), len(self.table)]
        return torch.tensor(sum(self.slots + self.codes, words) + self.table)


def run(program, held=(), matrices=(), sequences=(), before=(), lanes=(), rows=(), steps=1, reverse=False, every=0):
    arguments = (list(held), list(matrices), list(sequences), list(before), list(lanes), list(rows))
    return torch.ops.feedbackward.scan(program.words(), *arguments, steps, reverse, every, True)


def integrator(output_is_record=False) -> tuple[Assembler, Assembler]:
    """s[t] = a s[t-1] + x[t], y[t] = tanh(s[t]), and its adjoint to x, s before and a.

    The adjoint needs y: from a record that is copied to the output, or from the output itself.
    """
    p = Assembler()
    a, x, s, y, r = (p.slot(kind) for kind in ("held", "sequence", "state", "output", "record"))
    p.code("fma", s, a, s, x)
    if output_is_record:
        r = y
    p.code("tanh", r, s)
    if not output_is_record:
        p.code("copy", y, r)
    q = Assembler()
    d_y, g, d_a, d_x, t = (
        q.slot(k, i) for k, i in [("sequence", 0), ("state", 0), ("state", 1), ("output", 0), ("temp", 0)]
    )
    y, decay, before, one = (
        q.slot("forward", r),
        q.slot("forward", a),
        q.slot("forward", s),
        q.slot("constant", extra=1),
    )
    q.code("fnma", t, y, y, one)
    q.code("fma", g, t, d_y, g)
    q.code("copy", d_x, g)
    q.code("fma", d_a, g, before, d_a)
    q.code("mul", g, decay, g)
    return p, q
