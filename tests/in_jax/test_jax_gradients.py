"""Derivatives in every mode, of first and second order, against finite differences; and in every kind of broadcast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax_loops as loops
import numpy as np
import pytest
from jax.test_util import check_grads

from feedbackward.jax import band_matmul, band_rnn, lfilter, linear_recurrence, sosfilt

Case = tuple[Callable[..., Any], list[np.ndarray]]


def filter_case(leading: Any, orders: tuple[int, int], steps: int, dtype: Any = np.float64) -> Any:
    def make(rng: np.random.Generator) -> Case:
        of_b, of_a, of_x, of_zi = leading
        arrays = [
            loops.numbers(rng, (*of_b, orders[0] + 1), dtype),
            loops.poles(rng, of_a, orders[1], dtype),
            loops.numbers(rng, (*of_x, steps), dtype),
            loops.numbers(rng, (*of_zi, max(orders)), dtype),
        ]
        return (lambda b, a, x, zi: lfilter(b, a, x, zi=zi)), arrays

    return make


def hop_case(interpolation: str) -> Any:
    def make(rng: np.random.Generator) -> Case:
        arrays = [loops.numbers(rng, (3, 3)), loops.poles(rng, (2, 3), 2), loops.numbers(rng, (2, 11))]
        return (lambda b, a, x: lfilter(b, a, x, hop=4, interpolation=interpolation)), arrays

    return make


def sos_case(rng: np.random.Generator) -> Case:
    sos = np.concatenate([loops.numbers(rng, (2, 3, 3)), loops.poles(rng, (2, 3), 2)], -1)
    arrays = [sos, loops.numbers(rng, (13, 1)), loops.numbers(rng, (2, 3, 2))]
    return (lambda sos, x, zi: sosfilt(sos, x, 0, zi=zi)), arrays


def linear_case(dtype: Any) -> Any:
    def make(rng: np.random.Generator) -> Case:
        arrays = [0.5 * loops.numbers(rng, (1, 3, 12), dtype), loops.numbers(rng, (2, 3, 12), dtype)]
        return linear_recurrence, [*arrays, loops.numbers(rng, (3,), dtype)]

    return make


def shared_decay(rng: np.random.Generator) -> Case:
    return linear_recurrence, [np.array([0.3, 0.9]), loops.numbers(rng, (3, 2, 9))]


def band_case(rng: np.random.Generator) -> Case:
    arrays = [loops.numbers(rng, (2, 3, 6)), loops.numbers(rng, (4, 6))]
    return (lambda x, weight: band_matmul(x, weight, 2, 1)), arrays


def complex_band_case(rng: np.random.Generator) -> Case:
    arrays = [loops.numbers(rng, (2, 6), np.complex128), loops.numbers(rng, (4, 6), np.complex128)]
    return (lambda x, weight: band_matmul(x, weight, 2, 1)), arrays


def rnn_case(nonlinearity: str, reverse: bool) -> Any:
    def make(rng: np.random.Generator) -> Case:
        shapes = ((5, 2, 3), (6, 3), (4, 6), (6,), (6,), (2, 6))
        arrays = [0.5 * loops.numbers(rng, shape) for shape in shapes]
        settings = {"lower": 2, "upper": 1, "nonlinearity": nonlinearity, "reverse": reverse}
        return (lambda *given: band_rnn(*given, **settings)), arrays

    return make


CASES = {
    "lfilter": filter_case(((), (), (2,), (2,)), (2, 2), 17),
    "lfilter, a bank": filter_case(((3,), (3,), (2, 1), (3,)), (2, 1), 9),
    "lfilter, outer product": filter_case(((2, 1), (3,), (), ()), (0, 3), 9),
    "lfilter, FIR": filter_case(((2,), (), (2,), ()), (3, 0), 9),
    "lfilter, one sample": filter_case(((), (), (2,), (2,)), (2, 2), 1),
    "lfilter, complex": filter_case(((2,), (2,), (3, 1), ()), (2, 2), 9, np.complex128),
    "lfilter, hold": hop_case("hold"),
    "lfilter, linear": hop_case("linear"),
    "sosfilt": sos_case,
    "linear_recurrence": linear_case(np.float64),
    "linear_recurrence, complex": linear_case(np.complex128),
    "linear_recurrence, shared": shared_decay,
    "band_matmul": band_case,
    "band_matmul, complex": complex_band_case,
    "band_rnn, tanh": rnn_case("tanh", False),
    "band_rnn, tanh, reverse": rnn_case("tanh", True),
    "band_rnn, relu": rnn_case("relu", False),
}
every_case = pytest.mark.parametrize("name", CASES)


@every_case
def test_first_and_second_derivatives(name: str, rng: np.random.Generator) -> None:
    function, arrays = CASES[name](rng)
    order = 1 if "relu" in name else 2  # its second derivative is zero or not there
    check_grads(function, [jnp.asarray(x) for x in arrays], order=order, rtol=1e-5, atol=1e-5)


@every_case
def test_derivatives_by_one_argument_at_a_time(name: str, rng: np.random.Generator) -> None:
    """Each combination of what moves and what does not is a call of the kernels of its own."""
    function, arrays = CASES[name](rng)
    for i in range(len(arrays)):

        def of_one(value: Any, i: int = i) -> Any:
            return function(*arrays[:i], value, *arrays[i + 1 :])

        check_grads(of_one, [jnp.asarray(arrays[i])], order=1, rtol=1e-5, atol=1e-5)


def scalar(function: Any) -> Any:
    def total(*arrays: Any) -> Any:
        results = jax.tree_util.tree_leaves(function(*arrays))
        return sum((jnp.abs(y) ** 2 * jnp.cos(jnp.arange(y.size)).reshape(y.shape)).sum() for y in results)

    return total


@pytest.mark.parametrize("name", ["lfilter, a bank", "linear_recurrence", "band_matmul", "band_rnn, tanh"])
def test_hessians_agree_in_all_four_modes(name: str, rng: np.random.Generator) -> None:
    function, arrays = CASES[name](rng)
    total, flat = scalar(function), [jnp.asarray(x) for x in arrays]
    last = len(flat) - 1
    modes = [(f, g) for f in (jax.jacfwd, jax.jacrev) for g in (jax.jacfwd, jax.jacrev)]
    first, *others = [outer(inner(total, argnums=0), argnums=last)(*flat) for outer, inner in modes]
    assert np.abs(first).max() > 1e-3
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-8, atol=1e-8)


def test_third_derivatives(rng: np.random.Generator) -> None:
    function, arrays = CASES["lfilter, a bank"](rng)
    total = scalar(function)

    def along(t: Any) -> Any:
        return total(*(jnp.asarray(x) * (1 + (k + 1) * t) if k != 1 else x for k, x in enumerate(arrays)))

    third = jax.grad(jax.grad(jax.grad(along)))(0.0)
    step = 1e-4
    second = jax.grad(jax.grad(along))
    np.testing.assert_allclose(third, (second(step) - second(-step)) / (2 * step), rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in CASES if "complex" not in name])  # grad is of real arguments
def test_gradients_under_jit_are_the_same(name: str, rng: np.random.Generator) -> None:
    function, arrays = CASES[name](rng)
    gradient = jax.grad(scalar(function), argnums=tuple(range(len(arrays))))
    for eager, compiled in zip(gradient(*arrays), jax.jit(gradient)(*arrays), strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-10, atol=1e-12)
