"""vmap over any argument, alone and inside and around derivatives; linear transposition; other devices."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import jax_loops as loops
import numpy as np
import pytest
from test_jax_gradients import CASES, scalar

from feedbackward.jax import lfilter, linear_recurrence

NAMES = ("lfilter", "lfilter, a bank", "lfilter, hold", "linear_recurrence", "band_matmul", "band_rnn, tanh")
every_case = pytest.mark.parametrize("name", NAMES)


def batched(arrays: list[np.ndarray], which: tuple[bool, ...]) -> tuple[list[Any], list[int | None]]:
    """Three variants of the arrays that are chosen, the batch at the end for every second one of them."""
    made, axes = [], []
    for i, (x, flag) in enumerate(zip(arrays, which, strict=True)):
        at = (0 if i % 2 else x.ndim) if flag else None
        made.append(jnp.stack([x * f for f in (1.0, 0.9, 1.1)], at) if flag else jnp.asarray(x))
        axes.append(at)
    return made, axes


def element(arrays: list[Any], axes: list[int | None], k: int) -> list[Any]:
    return [x if at is None else jnp.take(x, k, at) for x, at in zip(arrays, axes, strict=True)]


def choices(count: int) -> list[tuple[bool, ...]]:
    """Each argument alone, all of them, and all but the first."""
    single = [tuple(i == k for i in range(count)) for k in range(count)]
    return [*single, (True,) * count, (False, *(True,) * (count - 1))]


def assert_same(found: Any, expected: Any) -> None:
    for a, b in zip(jax.tree_util.tree_leaves(found), jax.tree_util.tree_leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


@every_case
def test_vmap_is_a_loop(name: str, rng: np.random.Generator) -> None:
    function, arrays = CASES[name](rng)
    for which in choices(len(arrays)):
        given, axes = batched(arrays, which)
        found = jax.vmap(function, in_axes=axes)(*given)
        for k in range(3):
            assert_same(jax.tree_util.tree_map(lambda y, k=k: y[k], found), function(*element(given, axes, k)))


@every_case
def test_vmap_of_gradients_is_a_loop(name: str, rng: np.random.Generator) -> None:
    function, arrays = CASES[name](rng)
    gradient = jax.grad(scalar(function), argnums=tuple(range(len(arrays))))
    for which in choices(len(arrays)):
        given, axes = batched(arrays, which)
        found = jax.vmap(gradient, in_axes=axes)(*given)
        for k in range(3):
            assert_same([g[k] for g in found], gradient(*element(given, axes, k)))


@every_case
def test_gradients_of_vmap_and_forward_mode_under_vmap(name: str, rng: np.random.Generator) -> None:
    function, arrays = CASES[name](rng)
    everything = tuple(range(len(arrays)))
    given, axes = batched(arrays, (True,) * len(arrays))

    def total(*values: Any) -> Any:
        return jax.vmap(scalar(function), in_axes=axes)(*values).sum()

    found = jax.grad(total, argnums=everything)(*given)
    gradient = jax.grad(scalar(function), argnums=everything)
    for k in range(3):
        assert_same(element(list(found), axes, k), gradient(*element(given, axes, k)))

    def forward(*values: Any) -> Any:
        return jax.jvp(scalar(function), values, values)[1]

    along = jax.vmap(forward, in_axes=axes)(*given)
    for k in range(3):
        assert_same(along[k], forward(*element(given, axes, k)))


def test_vmap_of_vmap(rng: np.random.Generator) -> None:
    b, a = loops.numbers(rng, (2, 3)), loops.poles(rng, (4,), 2)
    x = loops.numbers(rng, (20,))
    over_both = jax.vmap(jax.vmap(lfilter, in_axes=(None, 0, None)), in_axes=(0, None, None))(b, a, x)
    for i, k in itertools.product(range(2), range(4)):
        np.testing.assert_allclose(over_both[i, k], lfilter(b[i], a[k], x), rtol=1e-12)


def test_the_transpose_of_a_filter_runs_it_backward(rng: np.random.Generator) -> None:
    b, a, x, d = loops.numbers(rng, (3,)), loops.poles(rng, (), 2), loops.numbers(rng, (20,)), loops.numbers(rng, (20,))
    (found,) = jax.linear_transpose(lambda x: lfilter(b, a, x), x)(jnp.asarray(d))
    np.testing.assert_allclose(found, lfilter(b, a, d[::-1])[::-1], rtol=1e-10, atol=1e-12)


def test_a_gradient_does_not_compute_what_nobody_wants(rng: np.random.Generator) -> None:
    """One kernel forward and one backward for all arguments together."""
    b, a, x = loops.numbers(rng, (3,)), loops.poles(rng, (), 2), loops.numbers(rng, (20,))
    gradient = jax.jit(jax.grad(lambda *given: lfilter(*given).sum(), argnums=(0, 1, 2)))
    text = gradient.lower(b, a, x).as_text()
    assert text.count("custom_call @feedbackward_cascade_gradient") == 1
    assert text.count("custom_call @feedbackward_cascade(") <= 1


def test_another_device_is_refused_with_a_sentence(rng: np.random.Generator) -> None:
    x = loops.numbers(rng, (20,))
    traced = jax.jit(lambda x: linear_recurrence(0.5, x)).trace(x)
    with pytest.raises(NotImplementedError, match=r"linear_recurrence was compiled for cuda.*computes on CPU"):
        traced.lower(lowering_platforms=("cuda",))


def test_an_exported_program_runs_for_any_length(rng: np.random.Generator) -> None:
    """JAX asks for a word that the target of the call will be there when the program runs again."""
    b, a = loops.numbers(rng, (3,)), loops.poles(rng, (), 2)
    shapes = [jax.ShapeDtypeStruct(given.shape, given.dtype) for given in (b, a)]
    length = jax.ShapeDtypeStruct(jax.export.symbolic_shape("T"), b.dtype)
    there = jax.export.DisabledSafetyCheck.custom_call("feedbackward_cascade")
    program = jax.export.export(jax.jit(lfilter), disabled_checks=[there])(*shapes, length)
    for steps in (1, 20, 300):
        x = loops.numbers(rng, (steps,))
        np.testing.assert_allclose(program.call(b, a, x), lfilter(b, a, x), rtol=1e-12)
