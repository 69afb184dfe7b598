"""What the recurrent layers ask of shapes, for every framework; those of the filters are in `feedbackward.filters`."""

from __future__ import annotations

from collections.abc import Mapping

Shape = tuple[int, ...]
Given = Mapping[str, tuple[Shape, str]]  # the shape and the dtype of every argument that was given

NONLINEARITIES = ("tanh", "relu")  # of a band_rnn


def of_band_matmul(given: Given, lower: int, upper: int) -> None:
    """Raise unless ``x`` and ``weight`` of `feedbackward.band_matmul` fit.

    Raises:
        ValueError: Shapes or dtypes do not fit.
    """
    (x, dtype), (weight, other) = given["x"], given["weight"]
    n = x[-1] if x else "n"
    if not x or weight != (lower + upper + 1, n):
        raise ValueError(
            f"band_matmul: weight has shape {weight}, expected ({lower + upper + 1}, {n}) = (lower + upper + 1, n) for "
            f"x of shape {x}"
        )
    if dtype != other:
        raise ValueError(f"band_matmul: x is {dtype} and weight {other}, expected the same dtype")


def of_band_rnn(given: Given, lower: int, upper: int, nonlinearity: str, batch_first: bool) -> int:
    """The number of channels of a recurrent layer with a band.

    Args:
        given: ``x``, ``weight_ih``, ``weight_hh``, and as many as there are of ``bias_ih``, ``bias_hh`` and ``h_0``.
        lower: Diagonals below the main one.
        upper: Diagonals above it.
        nonlinearity: One of `NONLINEARITIES`.
        batch_first: Whether the batch of x comes before time.

    Raises:
        ValueError: Shapes or dtypes do not fit, or the nonlinearity is unknown.
    """
    if nonlinearity not in NONLINEARITIES:
        known = " or ".join(map(repr, NONLINEARITIES))
        raise ValueError(f"band_rnn: nonlinearity is {nonlinearity!r}, expected {known}")
    x, dtype = given["x"]
    if len(x) not in (2, 3):
        order = "(B, T, input)" if batch_first else "(T, B, input)"
        raise ValueError(f"band_rnn: x has shape {x}, expected {order}, or (T, input) without a batch")
    weight_hh, _ = given["weight_hh"]
    diagonals = lower + upper + 1
    if len(weight_hh) != 2:
        raise ValueError(
            f"band_rnn: weight_hh has shape {weight_hh}, expected ({diagonals}, hidden) = (lower + upper + 1, hidden)"
        )
    hidden = weight_hh[1]
    batch = x[0 if batch_first else 1]
    expected: dict[str, tuple[Shape, str]] = {
        "weight_ih": ((hidden, x[-1]), "(hidden, input)"),
        "weight_hh": ((diagonals, hidden), "(lower + upper + 1, hidden)"),
        "bias_ih": ((hidden,), "(hidden,)"),
        "bias_hh": ((hidden,), "(hidden,)"),
        "h_0": ((batch, hidden), "(B, hidden)") if len(x) == 3 else ((hidden,), "(hidden,) for x without a batch"),
    }
    for name, (shape, means) in expected.items():
        found, other = given.get(name, (shape, dtype))
        if found != shape:
            raise ValueError(f"band_rnn: {name} has shape {found}, expected {shape} = {means}")
        if other != dtype:
            raise ValueError(f"band_rnn: {name} is {other}, but x is {dtype}, expected the same")
    return hidden
