"""Recurrent layers with large matrices: packed by several threads, kept rather than replayed."""

import pytest
import torch
from torch import Tensor, nn

import feedbackward as fb

KINDS = ["RNN", "GRU", "LSTM"]
# Steps, batch, hidden: so large that no product is left to torch, whose sums may depend on the number of threads.
SIZES = [(60, 1, 300), (13, 5, 300), (4, 40, 300), (5, 16, 512), (14, 3, 1100)]
CHOSEN = list(zip(SIZES, [torch.float32, torch.float64, torch.float32, torch.float32, torch.float64], strict=True))


def gradients(kind: str, size: tuple[int, int, int], dtype: torch.dtype, checkpoint: object = "auto") -> list[Tensor]:
    """Outputs and the gradients of x and all weights; of torch.nn where checkpoint is None."""
    steps, batch, hidden = size
    torch.manual_seed(0)
    cell = getattr(nn, kind + "Cell")(70, hidden, dtype=dtype)
    x = torch.randn(steps, batch, 70, dtype=dtype, requires_grad=True)
    zero = torch.zeros(batch, hidden, dtype=dtype)
    if checkpoint is None:
        layer = getattr(nn, kind)(70, hidden, dtype=dtype)
        for name, parameter in cell.named_parameters():
            getattr(layer, name + "_l0").data.copy_(parameter.data)
        weights = [getattr(layer, name + "_l0") for name, _ in cell.named_parameters()]
        y = layer(x)[0]
    else:
        weights = list(cell.parameters())
        y = fb.scan(cell, (zero, zero) if kind == "LSTM" else zero, x, checkpoint=checkpoint)[1]
    d = torch.randn(y.shape, dtype=dtype, generator=torch.Generator(x.device).manual_seed(1))
    return [y, *torch.autograd.grad(y, [x, *weights], d)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_is_torch_s_layer(kind: str, size: tuple[int, int, int], dtype: torch.dtype) -> None:
    # Sums of thousands of terms, in another order, through a few steps: some hundred roundings of the largest.
    eps = torch.finfo(dtype).eps
    for ours, torchs in zip(gradients(kind, size, dtype), gradients(kind, size, dtype, None), strict=True):
        torch.testing.assert_close(ours, torchs, rtol=0, atol=200 * eps * torchs.abs().max().item())


@pytest.mark.cpu
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("size", "dtype"), CHOSEN, ids=str)
def test_threads_change_no_bit(kind: str, size: tuple[int, int, int], dtype: torch.dtype) -> None:
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(gradients(kind, size, dtype))
    finally:
        torch.set_num_threads(before)
    for one, two, three in zip(*results, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)


@pytest.mark.parametrize("kind", KINDS)
def test_replay_changes_no_bit(kind: str) -> None:
    kept = gradients(kind, (11, 9, 300), torch.float32)
    for one, other in zip(kept, gradients(kind, (11, 9, 300), torch.float32, 4), strict=True):
        assert torch.equal(one, other)
