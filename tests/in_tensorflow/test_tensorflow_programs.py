"""Cells that are written as programs, with every structure, in TensorFlow: a loop's numbers, in every mode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from differences import check_gradients, check_tangents, flat, gradients_of
from jax_loops import tolerance
from step_loops import KINDS, STRUCTURES, Case

import feedbackward as fb
from feedbackward.tensorflow.ops.scan import run

SMALL = [fb.Dense(), fb.Banded(1, 0), fb.BlockDiagonal(2), fb.Diagonal(), fb.LowRankPlusDiagonal(1)]
every_kind = pytest.mark.parametrize("kind", KINDS)
every_structure = pytest.mark.parametrize("structure", SMALL, ids=str)


def call(case: Case, reverse: bool = False, lanes_first: bool = False) -> tuple[Any, list[Any]]:
    """The program as a function of all that has a gradient, time first, and that."""
    program, given = case.program, case.tensors(tf.reshape, tf.constant)
    at = len(program.held) + len(program.matrices) + 1

    def function(*values: Any) -> list[Any]:
        before, sequences = values[: at - 1], [values[at - 1], *([tf.constant(case.there)] if case.masked else [])]
        if lanes_first:
            sequences = [tf.transpose(x, [1, 0, 2]) for x in sequences]
        (h,), after = run(program, [*before, *sequences, *values[at:]], reverse, lanes_first)
        return [tf.transpose(h, [1, 0, 2]) if lanes_first else h, *after]

    return function, given[:at] + given[at + case.masked :]


@every_kind
@pytest.mark.parametrize(("structure", "n"), STRUCTURES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values(kind: str, structure: Any, n: int, dtype: Any) -> None:
    options: list[dict[str, bool]] = [{}, {"dropped": True, "masked": True}]
    if kind == "gru":
        options += [{"reset_after": False, "dropped": True}, {"update_first": True}]
    for number, chosen in enumerate(options):
        for steps, lanes in ((6, 3), (1, 20), (0, 2), (3, 0)):
            reverse = number % 2 == 1
            case = Case(kind, structure, n, steps, lanes, seed=number, dtype=dtype, **chosen)
            function, given = call(case, reverse)
            expected, ends = case.loop(reverse)
            for found, wanted in zip(function(*given), (expected, *ends), strict=True):
                assert found.dtype == dtype
                np.testing.assert_allclose(found, wanted, **tolerance(dtype, 20))


@every_kind
@every_structure
def test_derivatives(kind: str, structure: Any) -> None:
    function, given = call(Case(kind, structure, 4, 4, 2, dropped=True, masked=True), reverse=kind == "gru")
    check_gradients(function, given, order=2)
    function, given = call(Case(kind, structure, 4, 4, 2))
    check_gradients(function, given, order=1)


@every_structure
def test_derivatives_where_the_reset_comes_first(structure: Any) -> None:
    function, given = call(Case("gru", structure, 4, 4, 2, reset_after=False))
    check_gradients(function, given, order=2)


@pytest.mark.parametrize("steps", [0, 1])
@every_structure
def test_derivatives_of_short_sequences(structure: Any, steps: int) -> None:
    function, given = call(Case("lstm", structure, 4, steps, 2, dropped=True))
    check_gradients(function, given, order=1)


@pytest.mark.parametrize("steps", [0, 5])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("structure", SMALL[:3], ids=str)
def test_lanes_may_come_before_time(structure: Any, reverse: bool, steps: int) -> None:
    """Values and gradients of both orders, eagerly and in a graph that knows no sizes."""
    case = Case("gru", structure, 4, steps, 3, dropped=True, masked=True)

    def results(lanes_first: bool, in_graph: bool) -> list[Any]:
        function, given = call(case, reverse, lanes_first)
        every = [function, gradients_of(function), gradients_of(gradients_of(function))]
        if in_graph:
            shapes = [tf.TensorSpec([None] * 3 if x.shape.rank == 3 else x.shape, x.dtype) for x in given]
            every = [tf.function(one, input_signature=shapes) for one in every]
        return [flat(one(*given)) for one in every]

    expected = results(False, False)
    for in_graph in (False, True):
        for a, b in zip(results(True, in_graph), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)


@every_kind
@every_structure
def test_forward_mode(kind: str, structure: Any) -> None:
    check_tangents(*call(Case(kind, structure, 4, 3, 2, dropped=True, masked=True)))


@every_kind
@every_structure
def test_in_a_graph_of_any_length_and_batch(kind: str, structure: Any) -> None:
    """One trace for every number of steps and lanes; gradients of both orders."""

    def of(steps: int, lanes: int) -> tuple[Any, list[Any]]:
        case = Case(kind, structure, 4, steps, lanes, seed=steps, dropped=True)
        return run_of(case), case.tensors(tf.reshape, tf.constant)

    def run_of(case: Case) -> Any:
        program = case.program
        return lambda *tensors: tf.nest.flatten(run(program, tensors))

    function, tensors = of(5, 3)
    program = Case(kind, structure, 4, 5, 3, dropped=True).program
    fixed = range(len(program.held), len(program.held) + len(program.matrices))
    shapes = [t.shape if i in fixed else [*(None for _ in t.shape[1:]), t.shape[-1]] for i, t in enumerate(tensors)]
    signature = [tf.TensorSpec(shape, tf.float64) for shape in shapes]
    for ours in (function, gradients_of(function), gradients_of(gradients_of(function))):
        traced = tf.function(ours, input_signature=signature)
        for steps, lanes in ((5, 3), (2, 1), (1, 4), (0, 2)):
            given = of(steps, lanes)[1]
            np.testing.assert_allclose(flat(traced(*given)), flat(ours(*given)), rtol=1e-11, atol=1e-12)
        assert traced.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("is_known", [True, False])
def test_what_is_held_may_be_one_for_all_lanes(is_known: bool) -> None:
    case = Case("rnn", fb.Dense(), 4, 5, 3, dropped=True)
    function, (mask, *rest) = call(case)

    def gradients(mask: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            tape.watch(mask)
            with tf.GradientTape() as inner:
                inner.watch(mask)
                loss = tf.reduce_sum(tf.sin(flat(function(mask, *rest))))
            first = inner.gradient(loss, mask)
            total = tf.reduce_sum(tf.sin(tf.reduce_sum(first, 0)))
        return [loss, first, tape.gradient(total, mask)]

    shared = mask[:1]
    traced = tf.function(gradients, input_signature=[tf.TensorSpec([1 if is_known else None, 4], tf.float64)])
    loss, first, second = gradients(tf.broadcast_to(shared, mask.shape))
    for found in (gradients(shared), traced(shared)):
        np.testing.assert_allclose(found[0], loss, rtol=1e-12)
        np.testing.assert_allclose(found[1], tf.reduce_sum(first, 0, keepdims=True), rtol=1e-10)
        np.testing.assert_allclose(found[2], tf.reduce_sum(second, 0, keepdims=True), rtol=1e-10)


def test_the_mask_of_the_state_is_known_by_its_shape() -> None:
    """A graph knows of a gradient what it knows of its tensor."""
    case = Case("gru", fb.BlockDiagonal(2), 4, 5, 3, dropped=True)
    function, given = call(case)
    seen = []

    @tf.function
    def traced(*tensors: tf.Tensor) -> None:
        seen.extend(t.shape for t in gradients_of(function)(*tensors))

    traced(*given)
    assert seen == [t.shape for t in given]
