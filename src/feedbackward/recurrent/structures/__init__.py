"""Square matrices that take fewer numbers than n^2: what a recurrent layer may put between two steps.

    Dense                  W any
    Banded                 W[i, j] = 0 unless -lower <= j - i <= upper,    weight[d, i] = W[i, i + d - lower]
    BlockDiagonal          W = diag(W_1, ..., W_blocks),                   weight[k] = W_k
    Diagonal               W = diag(weight)
    LowRankPlusDiagonal    W = diag(d) + U V^T,                            weight = (d, U^T, V^T), one row each

A structure says how; called with a weight, or made from a dense matrix, it is the matrix (`Matrix`). The matrices of
several gates are stacked along the first axis of one weight. What lies outside of a matrix is never read: its gradient
is zero, and it stays what it is.
"""

from .banded import Banded
from .base import Matrix, Structure
from .block_diagonal import BlockDiagonal
from .dense import Dense
from .diagonal import Diagonal
from .low_rank import LowRankPlusDiagonal

__all__ = ["Banded", "BlockDiagonal", "Dense", "Diagonal", "LowRankPlusDiagonal", "Matrix", "Structure"]
