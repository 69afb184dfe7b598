"""Products outside the loop: the core's against torch's, in every layout, with derivatives."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from feedbackward.ops import product
from feedbackward.ops.product import multiply

pytestmark = pytest.mark.cpu  # elsewhere products are torch's

SHAPES = [
    (1, 1, 1), (7, 9, 5), (8, 32, 256), (9, 33, 257), (16, 64, 511), (130, 97, 600), (257, 128, 1024), (2049, 31, 64),
    (3, 1000, 300), (1000, 3, 2000), (64, 4097, 33), (5, 1, 70000),
]  # fmt: skip
LAYOUTS = {
    "rows": lambda m: m.contiguous(),
    "columns": lambda m: m.mT.contiguous().mT,
    "every other": lambda m: m.repeat_interleave(2, 0).repeat_interleave(2, 1)[::2, ::2],
    "one for all": lambda m: m[:1].expand_as(m),
}


def native(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.feedbackward.multiply.default(a, b, bias)


def random(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("biased", [False, True])
def test_is_torch_s_product(shape: tuple[int, int, int], dtype: torch.dtype, biased: bool) -> None:
    rows, columns, depth = shape
    a, b = random(rows, depth, dtype=dtype), random(depth, columns, dtype=dtype, seed=1)
    bias = random(columns, dtype=dtype, seed=2) if biased else None
    exact = a.double() @ b.double() + (0 if bias is None else bias.double())
    # Rounding of a sum of `depth` terms, each a product of normal numbers.
    bound = torch.finfo(dtype).eps * depth * (a.double().abs() @ b.double().abs()).max().item() / depth**0.5
    torch.testing.assert_close(native(a, b, bias).double(), exact, rtol=0, atol=bound + 4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("of_a", LAYOUTS)
@pytest.mark.parametrize("of_b", LAYOUTS)
def test_a_layout_changes_no_bit(of_a: str, of_b: str) -> None:
    a, b = LAYOUTS[of_a](random(67, 530)), LAYOUTS[of_b](random(530, 41, seed=1))
    assert torch.equal(native(a, b), native(a.contiguous(), b.contiguous()))
    torch.testing.assert_close(native(a, b), a @ b)


def test_threads_change_no_bit() -> None:
    a, b = random(300, 3000, dtype=torch.float32), random(3000, 77, dtype=torch.float32, seed=1)
    results, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(native(a, b))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0)], ids=str)
def test_of_nothing(shape: tuple[int, int, int]) -> None:
    rows, columns, depth = shape
    bias = random(columns)
    expected = bias.expand(rows, columns)
    assert torch.equal(native(random(rows, depth), random(depth, columns), bias), expected)
    assert torch.equal(native(random(rows, depth), random(depth, columns)), torch.zeros(rows, columns).double())


def test_not_a_number_stays_in_its_row() -> None:
    a, b = random(40, 300), random(300, 50, seed=1)
    a[17, 3] = torch.nan
    c = native(a, b)
    assert c[17].isnan().all()
    assert not c[[i for i in range(40) if i != 17]].isnan().any()


def test_derivatives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "_WORTH", 0)
    given = [random(*s, seed=i).requires_grad_() for i, s in enumerate([(5, 7), (7, 3), (3,)])]
    assert gradcheck(multiply, given)
    assert gradgradcheck(multiply, given)
    assert multiply(*given).grad_fn.name() == "_ProductBackward"
    of_torch = torch.func.jacrev(torch.addmm, 1)(given[2], *given[:2])
    torch.testing.assert_close(torch.func.jacrev(multiply)(*given), of_torch)


@pytest.mark.parametrize("wrong", ["axes", "depth", "dtype", "bias"])
def test_refuses_what_does_not_fit(wrong: str) -> None:
    a, b, bias = random(3, 4), random(4, 5), random(5)
    if wrong == "axes":
        a = a[0]
    if wrong == "depth":
        b = b[1:]
    if wrong == "dtype":
        b = b.float()
    if wrong == "bias":
        bias = bias[1:]
    with pytest.raises(ValueError, match="feedbackward: "):
        native(a, b, bias)
