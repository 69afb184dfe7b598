"""The launch helper: a kernel runs where the tensor is, and a grid of nothing runs nothing."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from feedbackward.triton.launch import BLOCK, blocks, launch


@triton.jit
def _multiply_add(x, y, count, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    tl.store(y + at, 3 * tl.load(x + at, mask=inside, other=0.0) + 1, mask=inside)


def test_every_program_runs_where_the_tensor_is(device):
    for count in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 1021):
        x, y = torch.randn(count, device=device), torch.empty(count, device=device)
        launch(_multiply_add, (blocks(count),), x, y, count, like=x, BLOCK=BLOCK)
        torch.testing.assert_close(y, 3 * x + 1)
