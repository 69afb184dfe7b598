"""Bands: the product by its three methods, the cell and the layer, and what they cost in numbers."""

from __future__ import annotations

import pytest
import torch
from closeness import eps
from recurrences import assert_agrees, first_state, randn, sequence, stacked_loop
from torch import Tensor, nn

import feedbackward as fb

METHODS = ("native", pytest.param("sparse", marks=pytest.mark.genuine), "index")
WIDTHS = [(0, 0), (1, 1), (2, 0), (0, 3), (4, 1), (9, 7)]


def dense(weight: Tensor, lower: int, upper: int) -> Tensor:
    """W[i, j] = weight[j - i + lower, i], entry by entry."""
    n = weight.shape[1]
    rows = []
    for i in range(n):
        row = [weight[j - i + lower, i] if -lower <= j - i <= upper else weight.new_zeros(()) for j in range(n)]
        rows.append(torch.stack(row))
    return torch.stack(rows)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_and_gradients(method: str, widths: tuple[int, int], dtype: torch.dtype) -> None:
    """Entries that would lie outside of the matrix are NaN here: nothing reads them, and they have no gradient."""
    for n in (1, 6, 33):
        weight = randn(sum(widths) + 1, n, dtype=dtype)
        columns = torch.arange(n) + torch.arange(-widths[0], widths[1] + 1).unsqueeze(1)
        outside = (columns < 0) | (columns >= n)
        if method != "index":
            weight[outside] = float("nan")
        weight.requires_grad_()
        for lead in ((), (5,), (2, 3), (40,), (0,)):
            x = randn(*lead, n, dtype=dtype).requires_grad_()
            y = fb.band_matmul(x, weight, *widths, method=method)
            truth = x.double() @ dense(weight.double(), *widths).mT
            assert y.dtype == dtype
            tolerance = 8 * eps(dtype) * (sum(widths) + 4) * 4
            torch.testing.assert_close(y.double(), truth, rtol=tolerance, atol=tolerance)
            d_y = randn(*y.shape, dtype=dtype)
            found = torch.autograd.grad(y, (x, weight), d_y)
            expected = torch.autograd.grad(truth, (x, weight), d_y.double())
            assert torch.equal(found[1][outside], torch.zeros_like(found[1][outside]))
            torch.testing.assert_close(found, expected, rtol=8 * tolerance, atol=8 * tolerance)


@pytest.mark.parametrize("method", METHODS)
def test_strides(method: str) -> None:
    """Vectors and weights that lie apart, turned, and expanded."""
    weight = randn(3, 14)[:, ::2]
    for x in (randn(7, 5).mT, randn(5, 14)[:, 1::2], randn(1, 7).expand(5, 7), randn(2, 7, 3).permute(0, 2, 1)):
        for w in (weight, weight.contiguous(), randn(7, 3).mT, randn(1, 7).expand(3, 7)):
            found = fb.band_matmul(x, w, 1, 1, method=method)
            torch.testing.assert_close(found, x @ dense(w, 1, 1).mT)


@pytest.mark.parametrize("widths", [(1, 1), (2, 0), (4, 1), (9, 7)])
def test_derivatives_of_any_order(widths: tuple[int, int]) -> None:
    x, weight = randn(2, 5).requires_grad_(), randn(sum(widths) + 1, 5).requires_grad_()

    def product(x: Tensor, weight: Tensor) -> Tensor:
        return fb.band_matmul(x, weight, *widths)

    assert torch.autograd.gradcheck(product, (x, weight))
    assert torch.autograd.gradgradcheck(product, (x, weight))
    found = torch.autograd.functional.hessian(lambda x, w: product(x, w).tanh().sum(), (x, weight))
    truth = torch.autograd.functional.hessian(lambda x, w: (x @ dense(w, *widths).mT).tanh().sum(), (x, weight))
    torch.testing.assert_close(found, truth)


def test_registration() -> None:
    x, weight = randn(4, 6).requires_grad_(), randn(3, 6).requires_grad_()
    torch.library.opcheck(torch.ops.feedbackward.band_matmul.default, (x, weight, 1, 1))


def test_half_precision_is_computed_in_plain_operators() -> None:
    x, weight = torch.randn(4, 6, dtype=torch.bfloat16), torch.randn(3, 6, dtype=torch.bfloat16)
    found = fb.band_matmul(x, weight, 1, 1)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), x.double() @ dense(weight.double(), 1, 1).mT, rtol=0.05, atol=0.05)


def test_one_bad_number_reaches_its_neighbors_alone() -> None:
    x = randn(4, 20)
    x[2, 10] = float("nan")
    y = fb.band_matmul(x, randn(4, 20), 1, 2)
    assert y.isnan().nonzero().tolist() == [[2, i] for i in (8, 9, 10, 11)]


@pytest.mark.parametrize(
    ("x", "weight", "widths", "method", "sentence"),
    [
        ((4, 6), (3, 6), (-1, 3), "native", "band_matmul: lower is -1 and upper 3, expected at least 0"),
        (
            (4, 6),
            (3, 5),
            (1, 1),
            "native",
            "band_matmul: weight has shape (3, 5), expected (3, 6) = (lower + upper + 1, n) for x of shape (4, 6)",
        ),
        (
            (),
            (3, 5),
            (1, 1),
            "native",
            "band_matmul: weight has shape (3, 5), expected (3, n) = (lower + upper + 1, n) for x of shape ()",
        ),
        (
            (4, 6),
            (3, 6),
            (1, 1),
            "fft",
            "band_matmul: method is 'fft', expected one of 'native', 'sparse', 'index'",
        ),
    ],
)
def test_errors_of_the_product(x: tuple, weight: tuple, widths: tuple, method: str, sentence: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        fb.band_matmul(torch.zeros(x), torch.zeros(weight), *widths, method=method)
    assert str(raised.value) == sentence


def test_dtypes_have_to_agree() -> None:
    with pytest.raises(ValueError, match=r"x is torch.float64 and weight torch.float32, expected the same dtype"):
        fb.band_matmul(randn(6), torch.zeros(3, 6), 1, 1)


@pytest.mark.parametrize("band_width", [0, 1, (2, 3), (0, 2), 9])
def test_the_layer_is_a_loop_over_the_dense_matrix(band_width: int | tuple[int, int]) -> None:
    layer = fb.nn.BandRNN(3, 6, band_width, 2, bidirectional=True, dtype=torch.float64)
    x, h = sequence(layer, 7, 5), first_state(layer, 5)
    assert_agrees(layer, lambda x, h: stacked_loop(layer, x, h)[:2], x, h)
    torch.testing.assert_close(layer(x, h), layer.to_torch()(x, h))


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "sigmoid", torch.sin])
@pytest.mark.parametrize("bias", [True, False])
def test_the_cell(nonlinearity: str, bias: bool) -> None:
    """Alone, under scan, and as a layer: the same values and gradients."""
    cell = fb.nn.BandRNNCell(3, 6, (1, 2), bias, nonlinearity, dtype=torch.float64)
    layer = fb.nn.BandRNN(3, 6, (1, 2), bias=bias, nonlinearity=nonlinearity, dtype=torch.float64)
    layer.load_state_dict({f"{name}_l0": weight for name, weight in cell.state_dict().items()})
    x, h = randn(7, 5, 3), randn(5, 6)
    step = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid}.get(nonlinearity, nonlinearity)

    def by_hand(x: Tensor, h: Tensor) -> Tensor:
        ys, full = [], dense(cell.weight_hh, 1, 2)
        for now in x:
            h = step(now @ cell.weight_ih.T + h @ full.T + ((cell.bias_ih + cell.bias_hh) if bias else 0))
            ys.append(h)
        return torch.stack(ys)

    def by_cell(x: Tensor, h: Tensor) -> Tensor:
        ys = []
        for now in x:
            h = cell(now, h)
            ys.append(h)
        return torch.stack(ys)

    runs = [
        (by_hand, cell),
        (by_cell, cell),
        (lambda x, h: fb.scan(cell, h, x)[1], cell),
        (lambda x, h: layer(x, h.unsqueeze(0))[0], layer),
    ]
    found = []
    for run, owner in runs:
        inputs = x.clone().requires_grad_(), h.clone().requires_grad_()
        y = run(*inputs)
        gradients = torch.autograd.grad(y.sin().sum(), [*inputs, *owner.parameters()])
        names = [name.removesuffix("_l0") for name, _ in owner.named_parameters()]
        by_name = dict(zip(names, gradients[2:], strict=True))
        found.append([y, *gradients[:2], *(by_name[name] for name, _ in cell.named_parameters())])
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-11, atol=1e-11)


def test_the_cell_in_the_place_of_torchs() -> None:
    """No state is zeros, and a vector alone needs no batch."""
    cell = fb.nn.BandRNNCell(3, 6, 1)
    x = torch.randn(5, 3)
    torch.testing.assert_close(cell(x), cell(x, torch.zeros(5, 6)), rtol=0, atol=0)
    torch.testing.assert_close(cell(x[0]), cell(x)[0])
    assert cell(x[:0]).shape == (0, 6)
    theirs = nn.RNNCell(3, 6)
    names = {name for name, _ in theirs.named_parameters()}
    assert names == {name for name, _ in cell.named_parameters()}
    theirs.load_state_dict({**cell.state_dict(), "weight_hh": cell.recurrent_matrix().to_dense()})
    h = torch.randn(5, 6)
    torch.testing.assert_close(cell(x, h), theirs(x, h))


def test_numbers_are_proportional_to_the_band() -> None:
    layer = fb.nn.BandRNN(16, 4096, (2, 3))
    assert layer.band_width == (2, 3)
    assert sum(p.numel() for p in layer.parameters()) == 4096 * (16 + 6 + 2)
    assert fb.nn.BandRNN(16, 4096, 4).weight_hh_l0.numel() == 9 * 4096
    cell = fb.nn.BandRNNCell(16, 4096, 4)
    assert cell.weight_hh.numel() == 9 * 4096
    y = layer(torch.randn(3, 2, 16))[0]
    y.sum().backward()
    assert layer.weight_hh_l0.grad.shape == (6, 4096)


def test_training_leaves_the_outside_zero() -> None:
    for layer in (fb.nn.BandRNN(3, 5, (3, 2)), fb.nn.BandRNNCell(3, 5, (3, 2))):
        weight = next(p for name, p in layer.named_parameters() if "weight_hh" in name)
        outside = weight == 0
        assert outside.sum() == 3 + 2 + 1 + 2 + 1
        optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1, weight_decay=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            y = layer(torch.randn(4, 3))
            (y[0] if isinstance(y, tuple) else layer(torch.randn(4, 3), y)).square().sum().backward()
            optimizer.step()
        assert torch.equal(weight == 0, outside)


def test_reprs() -> None:
    assert repr(fb.nn.BandRNNCell(3, 6, 2)) == "BandRNNCell(3, 6, band_width=(2, 2))"
    assert repr(fb.nn.BandRNNCell(3, 6, (1, 0), False, "relu")) == (
        "BandRNNCell(3, 6, band_width=(1, 0), bias=False, nonlinearity='relu')"
    )
    assert repr(fb.nn.BandRNN(3, 6, 2)).startswith("BandRNN(3, 6, ")


@pytest.mark.parametrize("make", [fb.nn.BandRNN, fb.nn.BandRNNCell])
def test_errors_of_constructors(make: type) -> None:
    name = make.__name__
    for band_width, sentence in (
        ("2", f"{name}: band_width is '2', expected an integer or a pair (lower, upper)"),
        ((1, 2, 3), f"{name}: band_width is (1, 2, 3), expected an integer or a pair (lower, upper)"),
        (True, f"{name}: band_width is True, expected an integer or a pair (lower, upper)"),
        (-1, f"{name}: band_width is -1, expected at least 0"),
        ((1, 0.5), f"{name}: band_width is a float, expected an integer"),
    ):
        with pytest.raises((ValueError, TypeError)) as raised:
            make(3, 6, band_width)
        assert str(raised.value) == sentence
    with pytest.raises(ValueError, match=f"{name}: nonlinearity is 'gelu', expected"):
        make(3, 6, 1, nonlinearity="gelu")


def test_errors_of_the_cell() -> None:
    cell = fb.nn.BandRNNCell(3, 6, 1)
    for call, sentence in (
        (
            lambda: cell(torch.zeros(2, 4)),
            "BandRNNCell: input has shape (2, 4), expected (B, 3) or (3,) = (B, input_size)",
        ),
        (
            lambda: cell(torch.zeros(2, 2, 3)),
            "BandRNNCell: input has shape (2, 2, 3), expected (B, 3) or (3,) = (B, input_size)",
        ),
        (
            lambda: cell(torch.zeros(2, 3), torch.zeros(6)),
            "BandRNNCell: hx has shape (6,), expected (2, 6) = (B, hidden_size)",
        ),
    ):
        with pytest.raises(ValueError) as raised:  # noqa: PT011
            call()
        assert str(raised.value) == sentence
