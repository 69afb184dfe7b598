"""The same numbers as the functions for torch, where there are both."""

from __future__ import annotations

import jax
import jax_loops as loops
import numpy as np
import pytest

from feedbackward.jax import band_matmul, band_rnn, lfilter, linear_recurrence, sosfilt

torch = pytest.importorskip("torch", reason="torch is not installed here, to see that nothing needs it")


def both(ours: object, theirs: object, *arrays: np.ndarray) -> None:
    """Values and gradients."""

    def total(*given: object) -> object:
        return (ours(*given) ** 2).sum()

    tensors = [torch.from_numpy(x).requires_grad_() for x in arrays]
    y = theirs(*tensors)
    np.testing.assert_allclose(ours(*arrays), y.detach().numpy(), rtol=1e-6, atol=1e-6)
    expected = torch.autograd.grad(y.square().sum(), tensors)
    found = jax.grad(total, argnums=tuple(range(len(arrays))))(*arrays)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-4, atol=1e-5 * float(b.abs().max()))


def test_filters(rng: np.random.Generator) -> None:
    import feedbackward as fb

    b, a = loops.numbers(rng, (7, 3), np.float32), loops.poles(rng, (7,), 2, np.float32)
    x = loops.numbers(rng, (3, 1, 700), np.float32)
    both(lfilter, fb.lfilter, b, a, x)
    both(sosfilt, fb.sosfilt, np.concatenate([b, a], -1)[:, None], x)
    both(linear_recurrence, fb.linear_recurrence, loops.numbers(rng, (3, 1, 1), np.float32) / 5, x)


def test_bands(rng: np.random.Generator) -> None:
    import feedbackward as fb

    x, weight = loops.numbers(rng, (4, 20), np.float32), loops.numbers(rng, (6, 20), np.float32)
    both(lambda *g: band_matmul(*g, 2, 3), lambda *g: fb.band_matmul(*g, 2, 3), x, weight)
    shapes = ((30, 4, 5), (20, 5), (6, 20), (20,), (20,), (4, 20))
    arrays = [loops.numbers(rng, shape, np.float32) / 4 for shape in shapes]

    def layer(x: object, w_ih: object, w_hh: object, b_ih: object, b_hh: object, h_0: object) -> object:
        return fb.rnn(x, w_ih, w_hh, b_ih, b_hh, h_0[None], structure=fb.Banded(2, 3))[0]

    both(lambda *g: band_rnn(*g, lower=2, upper=3)[0], layer, *arrays)
