"""Cells that are written as programs, with every structure, in JAX: a loop's numbers, in every transformation."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import jax_loops as loops
import numpy as np
import pytest
from jax.test_util import check_grads
from step_loops import KINDS, STRUCTURES, Case

import feedbackward as fb
from feedbackward.jax.scan import run

OPTIONS: list[dict[str, bool]] = [{}, {"dropped": True, "masked": True}]
SMALL = [fb.Dense(), fb.Banded(1, 0), fb.BlockDiagonal(2), fb.Diagonal(), fb.LowRankPlusDiagonal(1)]
SIZES: list[tuple[int, int, Any, bool]] = [
    (6, 3, np.float64, False),
    (5, 2, np.float32, True),
    (1, 20, np.float64, True),
    (0, 2, np.float32, False),
    (3, 0, np.float64, False),
]
every_kind = pytest.mark.parametrize("kind", KINDS)
every_structure = pytest.mark.parametrize("structure", SMALL, ids=str)


def call(case: Case, reverse: bool = False, lanes_first: bool = False) -> tuple[Any, list[Any]]:
    """The program as a function of all that has a gradient, time first, and that."""
    program, given = case.program, case.tensors(jnp.reshape, jnp.asarray)
    at = len(program.held) + len(program.matrices) + 1

    def function(*values: Any) -> list[Any]:
        before, sequences = values[: at - 1], [values[at - 1], *([case.there] if case.masked else [])]
        if lanes_first:
            sequences = [jnp.swapaxes(x, 0, 1) for x in sequences]
        tensors = [*before, *sequences, *values[at:]]
        h, *last = run(program, tensors, [case.lanes], case.steps, reverse, lanes_first)
        return [jnp.swapaxes(h, 0, 1) if lanes_first else h, *last]

    return function, given[:at] + given[at + case.masked :]


@every_kind
@pytest.mark.parametrize(("structure", "n"), STRUCTURES, ids=str)
def test_values(kind: str, structure: Any, n: int) -> None:
    options = [*OPTIONS, *([{"reset_after": False, "dropped": True}, {"update_first": True}] if kind == "gru" else [])]
    for chosen in options:
        for steps, lanes, dtype, reverse in SIZES:
            case = Case(kind, structure, n, steps, lanes, dtype=dtype, **chosen)
            function, given = call(case, reverse)
            (h, *last), (expected, ends) = function(*given), case.loop(reverse)
            for found, wanted in zip((h, *last), (expected, *ends), strict=True):
                assert found.dtype == dtype
                np.testing.assert_allclose(found, wanted, **loops.tolerance(dtype, 20))


@every_kind
@every_structure
def test_derivatives(kind: str, structure: Any) -> None:
    function, given = call(Case(kind, structure, 4, 4, 2, dropped=True, masked=True), reverse=kind == "gru")
    check_grads(function, given, order=2, rtol=1e-5, atol=1e-5)
    function, given = call(Case(kind, structure, 4, 4, 2))
    check_grads(function, given, order=1, rtol=1e-5, atol=1e-5)


@every_structure
def test_derivatives_where_the_reset_comes_first(structure: Any) -> None:
    function, given = call(Case("gru", structure, 4, 4, 2, reset_after=False))
    check_grads(function, given, order=2, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("steps", [0, 1])
@every_structure
def test_derivatives_of_short_sequences(structure: Any, steps: int) -> None:
    function, given = call(Case("lstm", structure, 4, steps, 2, dropped=True))
    check_grads(function, given, order=1, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("steps", [0, 5])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("structure", SMALL[:3], ids=str)
def test_lanes_may_come_before_time(structure: Any, reverse: bool, steps: int) -> None:
    case = Case("gru", structure, 4, steps, 3, dropped=True, masked=True)

    def results(lanes_first: bool) -> list[Any]:
        function, given = call(case, reverse, lanes_first)

        def total(*values: Any) -> Any:
            return sum(jnp.sin(y).sum() for y in function(*values))

        first = jax.grad(total, argnums=tuple(range(len(given))))
        second = jax.jvp(lambda *values: first(*values), given, given)[1]
        axes = [0 if i == 0 else None for i in range(len(given))]
        several = jax.vmap(first, in_axes=axes)(jnp.stack([given[0], 2 * given[0]]), *given[1:])
        return jax.tree_util.tree_leaves([function(*given), first(*given), second, several])

    for found, expected in zip(results(True), results(False), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-11)


@every_structure
def test_vmap_is_a_loop(structure: Any) -> None:
    """Over what is held, over weights, over a sequence, and over everything: values and gradients."""
    case = Case("gru", structure, 4, 3, 2, dropped=True, masked=True)
    function, given = call(case)

    @jax.jit
    def both(*values: Any) -> Any:
        def total(*tensors: Any) -> Any:
            results = function(*tensors)
            return sum(jnp.sin(y).sum() for y in results), results

        return jax.grad(total, argnums=tuple(range(len(values))), has_aux=True)(*values)

    held, matrices = len(case.program.held), len(case.program.matrices)
    for chosen in (range(held), [held], [held + matrices], range(len(given))):
        batch = [jnp.stack([x, 0.5 * x, -x], -1) if i in chosen else x for i, x in enumerate(given)]
        axes = [-1 if i in chosen else None for i in range(len(given))]
        found = jax.jit(jax.vmap(both, in_axes=axes))(*batch)
        for k in range(3):
            expected = both(*(x[..., k] if i in chosen else x for i, x in enumerate(batch)))
            for a, b in zip(jax.tree_util.tree_leaves(found), jax.tree_util.tree_leaves(expected), strict=True):
                np.testing.assert_allclose(a[k], b, rtol=1e-9, atol=1e-10)


@every_kind
def test_under_jit_the_same(kind: str) -> None:
    function, given = call(Case(kind, fb.LowRankPlusDiagonal(2), 5, 7, 3, dropped=True))

    def total(*values: Any) -> Any:
        return sum(jnp.sin(y).sum() for y in function(*values))

    gradient = jax.grad(total, argnums=tuple(range(len(given))))
    for a, b in zip(jax.jit(gradient)(*given), gradient(*given), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_what_is_held_may_be_one_for_all_lanes() -> None:
    case = Case("rnn", fb.Dense(), 4, 5, 3, dropped=True)
    function, (mask, *rest) = call(case)

    def total(mask: Any) -> Any:
        return sum(jnp.sin(y).sum() for y in function(mask, *rest))

    shared = mask[:1]
    whole = jnp.broadcast_to(shared, mask.shape)
    np.testing.assert_allclose(total(shared), total(whole), rtol=1e-12)
    np.testing.assert_allclose(jax.grad(total)(shared), jax.grad(total)(whole).sum(0, keepdims=True), rtol=1e-10)
