"""Structured matrices against the dense ones they stand for, alone, as initial weights, and in every layer."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from closeness import eps
from recurrences import CLASSES, INPUT, KINDS, assert_agrees, first_state, randn, sequence
from torch import Tensor

import feedbackward as fb
from feedbackward.recurrent.structures import Matrix, Structure

CASES: list[tuple[Structure, int]] = [
    (fb.Dense(), 6),
    (fb.Dense(), 1),
    (fb.Diagonal(), 6),
    (fb.Diagonal(), 1),
    (fb.BlockDiagonal(1), 6),
    (fb.BlockDiagonal(3), 6),
    (fb.BlockDiagonal(6), 6),
    (fb.BlockDiagonal(1), 1),
    (fb.LowRankPlusDiagonal(1), 6),
    (fb.LowRankPlusDiagonal(2), 6),
    (fb.LowRankPlusDiagonal(6), 6),
    (fb.LowRankPlusDiagonal(1), 1),
    (fb.Banded(0), 6),
    (fb.Banded(1), 6),
    (fb.Banded(2, 0), 6),
    (fb.Banded(0, 3), 6),
    (fb.Banded(1, 4), 6),
    (fb.Banded(5), 6),
    (fb.Banded(9, 7), 6),
    (fb.Banded(0), 1),
    (fb.Banded(2, 3), 1),
]
IDS = [f"{structure}-{n}" for structure, n in CASES]
every_case = pytest.mark.parametrize(("structure", "n"), CASES, ids=IDS)


def matrix(structure: Structure, n: int, dtype: torch.dtype = torch.float64) -> Matrix:
    return structure(randn(*structure.weight_shape(n), dtype=dtype))


def entries(structure: Structure, weight: Tensor) -> list[list[float]]:
    """The matrix, entry by entry, from the definitions of the structures."""
    w = weight.tolist()
    if isinstance(structure, fb.Banded):
        lower, upper = structure.widths
        n = len(w[0])
        return [[w[j - i + lower][i] if -lower <= j - i <= upper else 0.0 for j in range(n)] for i in range(n)]
    if isinstance(structure, fb.Diagonal):
        return [[w[i] * (i == j) for j in range(len(w))] for i in range(len(w))]
    if isinstance(structure, fb.BlockDiagonal):
        size = len(w[0])
        n = size * len(w)
        return [
            [w[i // size][i % size][j % size] if i // size == j // size else 0.0 for j in range(n)] for i in range(n)
        ]
    if isinstance(structure, fb.LowRankPlusDiagonal):
        n, r = len(w[0]), structure.rank
        u, v = w[1 : 1 + r], w[1 + r :]
        return [[w[0][i] * (i == j) + sum(u[k][i] * v[k][j] for k in range(r)) for j in range(n)] for i in range(n)]
    return w


@every_case
def test_to_dense_is_the_definition(structure: Structure, n: int) -> None:
    m = matrix(structure, n)
    assert (m.n, m.shape) == (n, (n, n))
    torch.testing.assert_close(m.to_dense(), torch.tensor(entries(structure, m.weight), dtype=torch.float64))


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products(structure: Structure, n: int, dtype: torch.dtype) -> None:
    """Values and gradients, of one vector, many, none, and of vectors that lie apart in memory."""
    m = matrix(structure, n, dtype)
    m.weight.requires_grad_()
    vectors = [randn(*lead, n, dtype=dtype) for lead in ((), (3,), (2, 3), (0,))]
    vectors += [
        randn(n, 3, dtype=dtype).mT,
        randn(3, 2 * n, dtype=dtype)[:, ::2],
        randn(1, n, dtype=dtype).expand(3, n),
    ]
    for x in vectors:
        x.requires_grad_()
        y, expected = m.matvec(x), x.double() @ m.to_dense().double().mT
        assert y.dtype == dtype
        tolerance = 8 * (n + 4) * n * eps(dtype)
        torch.testing.assert_close(y.double(), expected, rtol=0, atol=tolerance)
        weights = randn(*y.shape, dtype=dtype)
        found = torch.autograd.grad((y * weights).sum(), (x, m.weight))
        truth = torch.autograd.grad((expected * weights).sum(), (x, m.weight))
        torch.testing.assert_close(found, truth, rtol=0, atol=4 * tolerance)


@every_case
def test_derivatives_of_products(structure: Structure, n: int) -> None:
    weight = matrix(structure, n).weight.requires_grad_()
    x = randn(2, n).requires_grad_()
    assert torch.autograd.gradcheck(structure.matvec, (weight, x))
    assert torch.autograd.gradgradcheck(structure.matvec, (weight, x))
    assert torch.autograd.gradcheck(structure.to_dense, (weight,))


@every_case
def test_transposes(structure: Structure, n: int) -> None:
    m = matrix(structure, n)
    assert torch.equal(m.T.to_dense(), m.to_dense().mT)
    assert torch.equal(m.T.T.to_dense(), m.to_dense())
    x = randn(3, n)
    torch.testing.assert_close(m.T.matvec(x), x @ m.to_dense())


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_from_dense_returns_the_same_matrix(structure: Structure, n: int, dtype: torch.dtype) -> None:
    dense = matrix(structure, n, dtype).to_dense()
    found = structure.from_dense(dense)
    assert found.weight.dtype == dtype
    assert tuple(found.weight.shape) == structure.weight_shape(n)
    is_exact = not isinstance(structure, fb.LowRankPlusDiagonal)
    atol = 0 if is_exact else 1e3 * eps(dtype) * dense.abs().max().item()
    torch.testing.assert_close(found.to_dense(), dense, rtol=0, atol=atol)


@pytest.mark.parametrize(
    "structure",
    [fb.Diagonal(), fb.BlockDiagonal(3), fb.Banded(1, 0), fb.LowRankPlusDiagonal(1), fb.LowRankPlusDiagonal(2)],
    ids=str,
)
def test_from_dense_refuses_or_takes_the_nearest(structure: Structure) -> None:
    dense = randn(6, 6)
    with pytest.raises(ValueError, match=r"is no .* matrix: an entry is off by .*; project=True takes the nearest"):
        structure.from_dense(dense)
    nearest = structure.from_dense(dense, project=True).weight
    distance = (structure.to_dense(nearest) - dense).norm()
    for scale in (1e-1, 1e-2, 1e-3):
        others = [structure.to_dense(nearest + scale * torch.randn_like(nearest)) for _ in range(20)]
        assert min((other - dense).norm() for other in others) >= distance
    if not isinstance(structure, fb.LowRankPlusDiagonal):
        inside = structure.to_dense(torch.ones_like(nearest)) != 0
        assert torch.equal(structure.to_dense(nearest), torch.where(inside, dense, 0.0))


def test_from_dense_of_nan_and_of_other_shapes() -> None:
    with pytest.raises(ValueError, match="is no Banded"):
        fb.Banded(1).from_dense(torch.full((3, 3), float("nan")))
    with pytest.raises(ValueError, match=r"Banded.from_dense: dense has shape \(2, 3\), expected \(n, n\)"):
        fb.Banded(1).from_dense(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="does not divide into 4 blocks"):
        fb.BlockDiagonal(4).from_dense(torch.eye(6))


@every_case
def test_spectral_radius(structure: Structure, n: int) -> None:
    m = matrix(structure, n)
    expected = torch.linalg.eigvals(m.to_dense()).abs().max()
    torch.testing.assert_close(m.spectral_radius(), expected, rtol=1e-6, atol=1e-6)
    structure.scale_(m.weight, 0.5)
    torch.testing.assert_close(m.spectral_radius(), expected / 2, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "structure", [fb.Banded(2, 3), fb.Banded(40, 0), fb.LowRankPlusDiagonal(3), fb.BlockDiagonal(40)], ids=str
)
def test_spectral_radius_of_a_large_matrix(structure: Structure) -> None:
    """Beyond 1024 rows it is estimated: within 2 percent of the eigenvalues of the dense matrix."""
    n = 1040
    weight = torch.empty(structure.weight_shape(n), dtype=torch.float64)
    with torch.no_grad():
        structure.uniform_(weight)
    expected = torch.linalg.eigvals(structure.to_dense(weight)).abs().max()
    torch.testing.assert_close(structure(weight).spectral_radius(), expected, rtol=0.02, atol=0)


def test_spectral_radius_of_nothing_but_zeros() -> None:
    for n in (5, 1040):
        assert fb.Banded(1)(torch.zeros(3, n)).spectral_radius() == 0


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_orthogonal(structure: Structure, n: int, dtype: torch.dtype) -> None:
    weight = torch.full(structure.weight_shape(n), float("nan"), dtype=dtype)
    structure.orthogonal_(weight)
    dense = structure.to_dense(weight)
    torch.testing.assert_close(dense @ dense.mT, torch.eye(n, dtype=dtype), rtol=0, atol=8 * (n + 4) * eps(dtype))
    again = torch.empty_like(weight)
    structure.orthogonal_(again)
    torch.testing.assert_close(structure(again).spectral_radius(), torch.ones((), dtype=dtype), rtol=1e-5, atol=1e-5)


def test_an_orthogonal_band_mixes() -> None:
    """It is no block-diagonal matrix: no cut leaves its parts without an entry between them."""
    for lower, upper in ((2, 2), (4, 3), (6, 6), (5, 9)):
        weight = torch.zeros(lower + upper + 1, 40, dtype=torch.float64)
        fb.Banded(lower, upper).orthogonal_(weight)
        dense = fb.Banded(lower, upper).to_dense(weight)
        crossings = [dense[:k, k:].abs().sum() + dense[k:, :k].abs().sum() for k in range(1, 40)]
        assert min(crossings) > 1e-3


@every_case
def test_uniform(structure: Structure, n: int) -> None:
    """Rows of about the same norm whatever the structure; outside of a band nothing."""
    weight = torch.full(structure.weight_shape(n), float("nan"))
    structure.uniform_(weight)
    assert weight.isfinite().all()
    assert structure.to_dense(weight).abs().max() <= 1
    if isinstance(structure, fb.Banded):
        assert torch.equal(structure.from_dense(structure.to_dense(weight)).weight, weight)


@pytest.mark.parametrize(
    ("structure", "terms"),
    [(fb.Dense(), 64), (fb.Banded(3), 7), (fb.Banded(200), 64), (fb.BlockDiagonal(8), 8), (fb.Diagonal(), 1)],
    ids=str,
)
def test_uniform_is_as_wide_as_the_terms_of_a_row_allow(structure: Structure, terms: int) -> None:
    weight = torch.empty(structure.weight_shape(64))
    structure.uniform_(weight)
    assert weight.abs().max() <= terms**-0.5
    assert weight.abs().max() > 0.9 * terms**-0.5
    stored = weight[structure.to_dense(torch.ones_like(weight)).new_tensor(1).bool() & (weight != 0)]
    assert abs(stored.mean().item()) < 5 * terms**-0.5 / math.sqrt(3 * stored.numel())


@every_case
def test_equal_generators_give_equal_matrices(structure: Structure, n: int) -> None:
    for initialize in (structure.uniform_, structure.orthogonal_):
        weights = [torch.empty(structure.weight_shape(n)) for _ in range(2)]
        for weight in weights:
            initialize(weight, torch.Generator(weight.device).manual_seed(1))
        assert torch.equal(*weights)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "structure",
    [
        fb.Dense(),
        fb.Diagonal(),
        fb.BlockDiagonal(3),
        fb.LowRankPlusDiagonal(2),
        fb.Banded(0),
        fb.Banded(2, 0),
        fb.Banded(1, 4),
        fb.Banded(9, 7),
    ],
    ids=str,
)
def test_layers_are_torchs_dense_layers(kind: str, structure: Structure) -> None:
    for hidden in (6,) if structure not in (fb.Banded(9, 7), fb.Diagonal()) else (6, 1):
        layer = CLASSES[kind](INPUT, hidden, 2, bidirectional=True, structure=structure, dtype=torch.float64)
        x, state = sequence(layer, 7, 5), first_state(layer, 5)
        torch.testing.assert_close(layer(x, state), layer.to_torch()(x, state))
        dense = CLASSES[kind](INPUT, hidden, 2, bidirectional=True, dtype=torch.float64)
        weights, names = dict(layer.named_parameters()), list(layer.state_dict())

        def with_dense_weights(
            x: Tensor, state: Any, dense: Any = dense, layer: Any = layer, names: Any = names
        ) -> Any:
            full = {}
            for name in names:
                weight = layer.get_parameter(name)
                gates = structure.gates(weight, len(dense.get_parameter(name)) // dense.hidden_size)
                full[name] = torch.cat([structure.to_dense(g) for g in gates]) if "weight_hh" in name else weight
            return torch.func.functional_call(dense, full, (x, state))

        assert list(weights) == names
        assert_agrees(layer, with_dense_weights, x, state)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("recurrent_init", ["uniform", "orthogonal", "unit_radius"])
def test_initial_recurrent_matrices_of_every_gate(kind: str, recurrent_init: str) -> None:
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
    for structure in (fb.Dense(), fb.Banded(1, 2), fb.BlockDiagonal(2), fb.Diagonal(), fb.LowRankPlusDiagonal(2)):
        layer = CLASSES[kind](
            INPUT, 8, 2, bidirectional=True, structure=structure, recurrent_init=recurrent_init, dtype=torch.float64
        )
        found = [layer.recurrent_matrix(k, g, r) for k in (0, 1) for g in range(gates) for r in (False, True)]
        for m in found:
            if recurrent_init == "orthogonal":
                dense = m.to_dense()
                torch.testing.assert_close(dense @ dense.mT, torch.eye(8, dtype=torch.float64))
            elif recurrent_init == "unit_radius":
                torch.testing.assert_close(m.spectral_radius().item(), 1.0)
        if recurrent_init != "orthogonal" or not isinstance(structure, fb.Diagonal):
            assert len({tuple(m.weight.flatten().tolist()) for m in found}) == len(found)


@pytest.mark.parametrize("make", ["SGD", "AdamW", "RMSprop"])
def test_what_lies_outside_of_a_band_stays_zero(make: str) -> None:
    """Momentum, weight decay and adaptive steps leave it alone: it has no gradient, and is zero."""
    structure = fb.Banded(2, 3)
    layer = fb.nn.GRU(INPUT, 6, 2, structure=structure, dtype=torch.float64)
    settings = {"SGD": {"lr": 0.1, "momentum": 0.9}, "AdamW": {"lr": 0.1}, "RMSprop": {"lr": 0.05, "momentum": 0.5}}
    optimizer = getattr(torch.optim, make)(layer.parameters(), weight_decay=0.1, **settings[make])
    before = layer.weight_hh_l1.detach().clone()
    for _ in range(5):
        optimizer.zero_grad()
        layer(sequence(layer, 7, 5))[0].square().sum().backward()
        optimizer.step()
    assert (layer.weight_hh_l1 - before).abs().max() > 1e-2
    for weight in structure.gates(layer.weight_hh_l1, 3):
        assert torch.equal(structure.from_dense(structure.to_dense(weight)).weight, weight)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: fb.Banded(-1), ValueError, "Banded: lower is -1, expected at least 0"),
        (lambda: fb.Banded(1, -2), ValueError, "Banded: upper is -2, expected at least 0"),
        (lambda: fb.Banded(1.5), TypeError, "Banded: lower is 1.5, expected an integer"),
        (lambda: fb.BlockDiagonal(0), ValueError, "BlockDiagonal: blocks is 0, expected at least 1"),
        (lambda: fb.LowRankPlusDiagonal(True), TypeError, "LowRankPlusDiagonal: rank is True, expected an integer"),
        (
            lambda: fb.Banded(1)(torch.zeros(2, 5)),
            ValueError,
            "Banded(lower=1, upper=1): weight has shape (2, 5), expected (3, 5) for n = 5",
        ),
        (
            lambda: fb.LowRankPlusDiagonal(3)(torch.zeros(7, 2)),
            ValueError,
            "LowRankPlusDiagonal: a matrix of 2 rows has no rank 3",
        ),
        (
            lambda: fb.Diagonal()(torch.zeros(3)).matvec(torch.zeros(4)),
            ValueError,
            "Matrix.matvec: x has shape (4,), expected (..., 3) = (..., n)",
        ),
    ],
)
def test_errors(call: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert str(raised.value) == sentence
