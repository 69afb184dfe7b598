"""What all structures share, and the matrix that a structure and a weight make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ...engine import ir

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from typing_extensions import override as override
else:

    def override(method: Any) -> Any:
        """What type checkers check; their own comes with torch, which need not be there."""
        return method


Reshape = Callable[[Any, tuple[int, ...]], Any]


class Structure:
    """A way to store square matrices; the subclasses are at the top level of the package."""

    def weight_shape(self, n: int, gates: int = 1) -> tuple[int, ...]:
        """The shape of the weight of ``gates`` matrices (n, n)."""
        first, *rest = self._shape(n)
        return gates * first, *rest

    def check(self, n: int) -> None:
        """Raise a ValueError where there is no such matrix (n, n)."""

    def __call__(self, weight: Tensor) -> Matrix:
        """The matrix with this weight."""
        return Matrix(self, weight)

    def from_dense(self, dense: Tensor, *, project: bool = False) -> Matrix:
        """The matrix that is equal to a dense one (n, n).

        Args:
            dense: The matrix.
            project: Take the nearest matrix of this structure instead (in the Frobenius norm; for a low rank, a local
                optimum).

        Raises:
            ValueError: The matrix is not square, or not of this structure.

        Example:
            >>> import torch, feedbackward as fb
            >>> fb.Banded(lower=1, upper=0).from_dense(torch.tensor([[1.0, 0.0], [2.0, 3.0]])).weight
            tensor([[0., 2.],
                    [1., 3.]])
        """
        name = type(self).__name__
        if dense.ndim != 2 or dense.shape[0] != dense.shape[1]:
            raise ValueError(f"{name}.from_dense: dense has shape {tuple(dense.shape)}, expected (n, n)")
        self.check(dense.shape[0])
        weight = self._from_dense(dense)
        if not project and dense.numel():
            error = (self.to_dense(weight) - dense).abs().max().item()
            if not error <= self._rounding(dense):
                raise ValueError(
                    f"{name}.from_dense: dense is no {self} matrix: an entry is off by {error:.3g}; project=True takes "
                    "the nearest one"
                )
        return self(weight)

    # What a structure is

    def _shape(self, n: int) -> tuple[int, ...]:
        raise NotImplementedError

    def size(self, weight: Tensor) -> int:
        """n, from the weight of one matrix."""
        return weight.shape[-1] if weight.ndim else 0

    def matvec(self, weight: Tensor, x: Tensor) -> Tensor:
        """y[..., i] = sum_j W[i, j] x[..., j]."""
        raise NotImplementedError

    def to_dense(self, weight: Tensor) -> Tensor:
        """W (n, n)."""
        raise NotImplementedError

    def _from_dense(self, dense: Tensor) -> Tensor:
        raise NotImplementedError

    def transpose(self, weight: Tensor) -> Matrix:
        """W^T."""
        raise NotImplementedError

    def terms(self, n: int) -> int:
        """How many terms the sum of one row has."""
        raise NotImplementedError

    def orthogonal_(self, weight: Tensor, generator: torch.Generator | None = None) -> None:
        """Make W a random orthogonal matrix of this structure."""
        raise NotImplementedError

    def _stored(self, n: int) -> list[ir.Matrix]:
        """What a program stores of one matrix."""
        raise NotImplementedError

    def _applied(self, g: ir.Graph, stored: Sequence[ir.Matrix], x: ir.Value) -> ir.Value:
        """The product in a program."""
        return g.apply(stored[0], x)

    def _arrays(self, weight: Any, n: int, reshape: Reshape) -> list[Any]:
        """What a program stores, as parts of the weight of one matrix."""
        return [weight]

    # What follows from it

    def gates(self, weight: Tensor, count: int) -> tuple[Tensor, ...]:
        """The weights of every gate."""
        return weight.chunk(count)

    def products(self, weight: Tensor, x: Tensor, gates: int) -> Tensor:
        """The products of x with the matrices of all gates, (..., gates * n)."""
        import torch

        return torch.cat([self.matvec(w, x) for w in self.gates(weight, gates)], -1)

    def spectral_radius(self, weight: Tensor) -> Tensor:
        """The largest absolute value of an eigenvalue; see `Matrix.spectral_radius`."""
        from .spectrum import largest_eigenvalue

        return largest_eigenvalue(self, weight)

    def uniform_(self, weight: Tensor, generator: torch.Generator | None = None) -> None:
        """Entries of torch.nn's distribution: uniform in +-1 / sqrt(terms of a row). For Dense, that of torch.nn."""
        from torch import nn

        bound = self.terms(self.size(weight)) ** -0.5
        nn.init.uniform_(weight, -bound, bound, generator)

    def scale_(self, weight: Tensor, factor: float) -> None:
        """Multiply the matrix by a number."""
        weight.mul_(factor)

    # As a part of a program, for arrays of any framework

    def matrices(self, n: int, gates: int = 1, first: int = 0) -> list[ir.Matrix]:
        """What a program stores of the matrices (n, n) of all gates, numbered from ``first``."""
        stored = [m for _ in range(gates) for m in self._stored(n)]
        return [replace(m, index=first + i) for i, m in enumerate(stored)]

    def applied(self, g: ir.Graph, stored: Sequence[ir.Matrix], x: ir.Value) -> ir.Value:
        """The products of x with the matrices of all gates, (gates * n) rows."""
        each = len(self._stored(x.rows))
        return g.concat([self._applied(g, stored[i : i + each], x) for i in range(0, len(stored), each)])

    def arrays(self, weight: Any, n: int, gates: int, reshape: Reshape) -> list[Any]:
        """The arrays of `matrices`, by slices and reshapes of a weight."""
        rows = self._shape(n)[0]
        return [a for i in range(gates) for a in self._arrays(weight[i * rows : (i + 1) * rows], n, reshape)]

    def _rounding(self, dense: Tensor) -> float:
        """How far an entry may be off in a matrix of this structure."""
        return 0.0


@dataclass(frozen=True)
class Matrix:
    """A square matrix, stored compactly.

    Attributes:
        structure: How it is stored.
        weight: Its numbers.

    Example:
        >>> import torch, feedbackward as fb
        >>> m = fb.Diagonal()(torch.tensor([1.0, -2.0]))
        >>> m.matvec(torch.tensor([3.0, 4.0])), m.spectral_radius()
        (tensor([ 3., -8.]), tensor(2.))
        >>> m.T.to_dense()
        tensor([[ 1.,  0.],
                [ 0., -2.]])
    """

    structure: Structure
    weight: Tensor

    def __post_init__(self) -> None:
        self.structure.check(self.n)
        expected = self.structure.weight_shape(self.n)
        if tuple(self.weight.shape) != expected:
            shape = tuple(self.weight.shape)
            raise ValueError(f"{self.structure}: weight has shape {shape}, expected {expected} for n = {self.n}")

    @property
    def n(self) -> int:
        """Rows, and columns."""
        return self.structure.size(self.weight)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return self.n, self.n

    @property
    def T(self) -> Matrix:
        """The transposed matrix."""
        return self.structure.transpose(self.weight)

    def matvec(self, x: Tensor) -> Tensor:
        """y[..., i] = sum_j W[i, j] x[..., j], differentiable in both."""
        if x.ndim == 0 or x.shape[-1] != self.n:
            raise ValueError(f"Matrix.matvec: x has shape {tuple(x.shape)}, expected (..., {self.n}) = (..., n)")
        return self.structure.matvec(self.weight, x)

    def to_dense(self) -> Tensor:
        """W (n, n), differentiable."""
        return self.structure.to_dense(self.weight)

    def spectral_radius(self) -> Tensor:
        """The largest absolute value of an eigenvalue, without gradient.

        From all eigenvalues where those are at hand (diagonal and block-diagonal matrices, and any with n up to 1024);
        otherwise from how products with the matrix grow, to about a percent.
        """
        return self.structure.spectral_radius(self.weight)


def orthogonal(n: int, like: Tensor, generator: torch.Generator | None, rows: int | None = None) -> Tensor:
    """A random orthogonal matrix (n, n), or some of its rows."""
    from torch import nn

    q = like.new_empty(n if rows is None else rows, n)
    return nn.init.orthogonal_(q, generator=generator) if n else q


def check_count(name: str, argument: str, value: Any, least: int) -> None:
    """Raise unless value is an integer of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name}: {argument} is {value!r}, expected an integer")
    if value < least:
        raise ValueError(f"{name}: {argument} is {value}, expected at least {least}")
