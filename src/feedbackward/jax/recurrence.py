"""The derivatives of every recurrence, of any order, from its tangent: the idea of `feedbackward.ops.recurrence`.

    forward(u) = y,    tangent(u) v = dy,    gradient(u) d = du with <d, tangent(u) v> = <gradient(u) d, v>

Three primitives for each. ``forward`` and ``gradient`` are kernels; ``tangent`` is written with ``forward``, of the
same kind of recurrence. They express each other's derivatives:

- the tangent of ``forward`` is ``tangent``, and the transposes of ``tangent`` and ``gradient`` are each other;
- the tangent of ``tangent`` follows from the formula that it is;
- ``gradient(u) d`` changes along v by the gradient of <d, tangent(u) v> with respect to u: second derivatives commute.

Backward may read what forward wrote, the ``kept`` outputs. They follow from the inputs, so that no derivative is taken
with respect to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from .primitive import primitive

Arrays = Sequence[Any]  # or None where an argument was not given
Mask = tuple[bool, ...]


class Recurrence:
    """``recurrence(*inputs, settings)``: the outputs, as a list.

    Args:
        name: For messages.
        outputs: ``(inputs, settings)``: the shape and dtype of every output.
        forward: ``(inputs, settings)``: the outputs, by a kernel.
        gradient: ``(d_outputs, inputs, kept, wanted, settings)``: the gradients of the inputs that are wanted, by a
            kernel.
        tangent: ``(inputs, v, settings)``: the tangent of every output along v; None in v is a zero tangent.
        batch: ``(recurrence, inputs, dims, settings)``: the outputs for a batch of inputs, with the batch first.
        batch_gradient: ``(recurrence, d, inputs, kept, dims, wanted, settings)``: the same for ``gradient``; dims are
            those of d, inputs and kept.
        kept: ``(moving, settings)``: the outputs that ``gradient`` reads, for the gradients of those inputs.
        linear: The inputs in which the outputs are linear together, so that their gradients depend on none of them.
    """

    def __init__(
        self,
        name: str,
        *,
        outputs: Callable[..., Sequence[Any]],
        forward: Callable[..., Any],
        gradient: Callable[..., Any],
        tangent: Callable[..., Any],
        batch: Callable[..., Any],
        batch_gradient: Callable[..., Any],
        kept: Callable[..., Sequence[int]] = lambda moving, settings: (),
        linear: Sequence[int] = (),
    ) -> None:
        self._outputs, self._kernel, self._gradient_kernel = outputs, forward, gradient
        self._formula, self._kept, self._linear = tangent, kept, linear
        self._batch_rule, self._batch_gradient_rule = batch, batch_gradient
        self._forward = primitive(
            name,
            self._compute,
            abstract=self._abstract,
            jvp=self._jvp,
            transpose=self._transpose,
            batch=self._batch,
        )
        self._tangent = primitive(
            f"{name}_tangent",
            self._compute_tangent,
            abstract=self._abstract_tangent,
            jvp=self._jvp_of_tangent,
            transpose=self._transpose_of_tangent,
            batch=self._batch_tangent,
        )
        self._gradient = primitive(
            f"{name}_gradient",
            self._compute_gradient,
            abstract=self._abstract_gradient,
            jvp=self._jvp_of_gradient,
            transpose=self._transpose_of_gradient,
            batch=self._batch_gradient,
        )

    def __call__(self, *inputs: Any, settings: Any, separate: bool = False) -> list[Any]:
        """The outputs.

        A formula of tangents calls with ``separate``: the gradients of ``linear`` inputs then come from a kernel call
        of their own, which does not see these inputs. To JAX a result depends on all that its call sees, and what seems
        to depend on one tangent cannot be multiplied by another.
        """
        given = tuple(x is not None for x in inputs)
        return self._forward.bind(*_present(inputs), given=given, separate=separate, settings=settings)

    def gradient(self, d: Arrays, inputs: Arrays, kept: Arrays, wanted: Mask, settings: Any) -> list[Any]:
        """The gradients of the inputs that are wanted, in their order."""
        given = tuple(x is not None for x in inputs)
        return self._gradient.bind(*d, *_present(inputs), *kept, given=given, wanted=wanted, settings=settings)

    def tangent(self, inputs: Arrays, kept: Arrays, v: Arrays, settings: Any, separate: bool = False) -> list[Any]:
        """The tangents of the outputs; None in v is a zero tangent."""
        given, moving = (tuple(x is not None for x in arrays) for arrays in (inputs, v))
        arrays = (*_present(inputs), *kept, *_present(v))
        return self._tangent.bind(*arrays, given=given, moving=moving, separate=separate, settings=settings)

    # The primitive ``forward``, of the inputs that are given.

    def _compute(self, *arrays: Any, given: Mask, separate: bool, settings: Any) -> Any:
        return self._kernel(_filled(arrays, given), settings)

    def _abstract(self, *avals: Any, given: Mask, separate: bool, settings: Any) -> list[Any]:
        looks = self._outputs(_filled(avals, given), settings)
        return [jax.core.ShapedArray(like.shape, like.dtype) for like in looks]

    def _jvp(self, primals: Arrays, tangents: Arrays, *, given: Mask, separate: bool, settings: Any) -> tuple[Any, Any]:
        inputs = _filled(primals, given)
        v = _filled([_nonzero(t) for t in tangents], given)
        y = self(*inputs, settings=settings, separate=separate)
        kept = [y[i] for i in self._kept(tuple(t is not None for t in v), settings)]
        return y, self.tangent(inputs, kept, v, settings, separate)

    def _transpose(self, d: Arrays, *arrays: Any, given: Mask, separate: bool, settings: Any) -> list[Any]:
        """For what is linear in some inputs, as the terms of a tangent are: its gradient is the same at any point."""
        wanted = tuple(ad.is_undefined_primal(x) for x in _filled(arrays, given))
        inputs = _filled([jnp.zeros(x.aval.shape, x.aval.dtype) if _is_open(x) else x for x in arrays], given)
        indices = self._kept(wanted, settings)
        y = self(*inputs, settings=settings) if indices else []
        found = iter(self.gradient(_instantiated(d), inputs, [y[i] for i in indices], wanted, settings))
        return [next(found) if _is_open(x) else None for x in arrays]

    def _batch(self, arrays: Arrays, dims: Arrays, *, given: Mask, separate: bool, settings: Any) -> tuple[Any, Any]:
        results = self._batch_rule(self, _filled(arrays, given), _filled(dims, given), settings)
        return results, [0] * len(results)

    # The primitive ``tangent``, of the inputs, the kept outputs, and the tangents of the inputs that move.

    def _split(self, arrays: Arrays, given: Mask, moving: Mask) -> tuple[list[Any], list[Any], list[Any]]:
        first, last = sum(given), len(arrays) - sum(moving)
        return _filled(arrays[:first], given), list(arrays[first:last]), _filled(arrays[last:], moving)

    def _compute_tangent(self, *arrays: Any, given: Mask, moving: Mask, separate: bool, settings: Any) -> Any:
        inputs, _, v = self._split(arrays, given, moving)
        return self._formula(inputs, v, settings)

    def _abstract_tangent(self, *avals: Any, given: Mask, moving: Mask, separate: bool, settings: Any) -> list[Any]:
        return self._abstract(*avals[: sum(given)], given=given, separate=separate, settings=settings)

    def _jvp_of_tangent(
        self, primals: Arrays, tangents: Arrays, *, given: Mask, moving: Mask, separate: bool, settings: Any
    ) -> tuple[Any, Any]:
        inputs, kept, v = self._split(primals, given, moving)
        of_inputs, _, of_v = self._split([_nonzero(t) for t in tangents], given, moving)
        value = self.tangent(inputs, kept, v, settings, separate)
        terms = []
        if any(t is not None for t in of_v):
            masked = tuple(t is not None for t in of_v)
            if len(self._kept(masked, settings)) != len(kept):  # another kernel, which reads something else
                of_v = [_zeros(x) if t is None and x is not None else t for t, x in zip(of_v, v, strict=True)]
            terms.append(self.tangent(inputs, kept, of_v, settings, separate))
        if any(t is not None for t in of_inputs):
            at = [i for i, t in enumerate(of_inputs) if t is not None]

            def formula(*values: Any) -> Any:
                return list(self._formula(_replaced(inputs, at, values), v, settings))

            terms.append(jax.jvp(formula, [inputs[i] for i in at], [of_inputs[i] for i in at])[1])
        return value, _summed(terms, value)

    def _transpose_of_tangent(
        self, d: Arrays, *arrays: Any, given: Mask, moving: Mask, separate: bool, settings: Any
    ) -> list[Any]:
        inputs, kept, v = self._split(arrays, given, moving)
        if any(_is_open(x) for x in inputs):
            return self._by_formula(arrays, inputs, v, _instantiated(d), 0, settings)
        if not separate:
            gradients = self.gradient(_instantiated(d), inputs, kept, moving, settings)
            return [None] * (len(arrays) - len(gradients)) + gradients
        found: list[Any] = [None] * len(inputs)
        hidden = [_zeros(x) if i in self._linear and x is not None else x for i, x in enumerate(inputs)]
        for is_linear, seen in ((True, hidden), (False, inputs)):
            wanted = tuple(flag and (i in self._linear) == is_linear for i, flag in enumerate(moving))
            if any(wanted):
                some = iter(self.gradient(_instantiated(d), seen, kept, wanted, settings))
                found = [next(some) if flag else f for flag, f in zip(wanted, found, strict=True)]
        return [None] * (len(arrays) - sum(moving)) + [f for f, flag in zip(found, moving, strict=True) if flag]

    def _by_formula(self, arrays: Arrays, inputs: Arrays, v: Arrays, d: Arrays, first: int, settings: Any) -> list[Any]:
        """The gradient of <d, tangent(u) v> with respect to those u in which it is linear, which may be taken at 0.

        So are the terms of second derivatives: b in the tangent along x, for instance.
        """
        at = [i for i, x in enumerate(inputs) if _is_open(x)]

        def formula(*values: Any) -> Any:
            return list(self._formula(_replaced(inputs, at, values), v, settings))

        _, pull = jax.vjp(formula, *(jnp.zeros(inputs[i].aval.shape, inputs[i].aval.dtype) for i in at))
        found = iter(pull(list(d)))
        last = first + len(_present(inputs))
        return [next(found) if first <= i < last and _is_open(x) else None for i, x in enumerate(arrays)]

    def _batch_tangent(
        self, arrays: Arrays, dims: Arrays, *, given: Mask, moving: Mask, separate: bool, settings: Any
    ) -> tuple[Any, Any]:
        def formula(*values: Any) -> Any:
            return list(
                self._compute_tangent(*values, given=given, moving=moving, separate=separate, settings=settings)
            )

        results = jax.vmap(formula, in_axes=list(dims))(*arrays)
        return results, [0] * len(results)

    # The primitive ``gradient``, of the adjoints of all outputs, the inputs, and the kept outputs.

    def _split_gradient(self, arrays: Arrays, given: Mask, wanted: Mask, settings: Any) -> tuple[Any, Any, Any]:
        first = len(arrays) - sum(given) - len(self._kept(wanted, settings))
        last = first + sum(given)
        return list(arrays[:first]), _filled(arrays[first:last], given), list(arrays[last:])

    def _compute_gradient(self, *arrays: Any, given: Mask, wanted: Mask, settings: Any) -> list[Any]:
        """The kernels' gradient of a complex number is the conjugate of JAX's."""
        d, inputs, kept = self._split_gradient(arrays, given, wanted, settings)
        d = [jnp.conj(x) if jnp.iscomplexobj(x) else x for x in d]
        found = self._gradient_kernel(d, inputs, kept, wanted, settings)
        return [jnp.conj(x) if jnp.iscomplexobj(x) else x for x in found]

    def _abstract_gradient(self, *avals: Any, given: Mask, wanted: Mask, settings: Any) -> list[Any]:
        _, inputs, _ = self._split_gradient(avals, given, wanted, settings)
        return [jax.core.ShapedArray(x.shape, x.dtype) for x, w in zip(inputs, wanted, strict=True) if w]

    def _jvp_of_gradient(
        self, primals: Arrays, tangents: Arrays, *, given: Mask, wanted: Mask, settings: Any
    ) -> tuple[Any, Any]:
        d, inputs, kept = self._split_gradient(primals, given, wanted, settings)
        v_d, v, _ = self._split_gradient([_nonzero(t) for t in tangents], given, wanted, settings)
        value = self.gradient(d, inputs, kept, wanted, settings)
        terms: list[Any] = []
        if any(t is not None for t in v_d):
            whole = [_zeros(x) if t is None else t for t, x in zip(v_d, d, strict=True)]
            terms.append(self.gradient(whole, inputs, kept, wanted, settings))
        if any(t is not None for t in v):
            at = [i for i, w in enumerate(wanted) if w]

            def formula(*values: Any) -> Any:
                return list(self._formula(_replaced(inputs, at, values), v, settings))

            _, pull = jax.vjp(formula, *(inputs[i] for i in at))
            terms.append(pull(list(d)))
        return value, _summed(terms, value)

    def _transpose_of_gradient(
        self, cotangents: Arrays, *arrays: Any, given: Mask, wanted: Mask, settings: Any
    ) -> list[Any]:
        d, inputs, kept = self._split_gradient(arrays, given, wanted, settings)
        v = _filled(_instantiated(cotangents), wanted)
        if any(_is_open(x) for x in inputs):
            return self._by_formula(arrays, inputs, v, d, len(d), settings)
        found = self.tangent(inputs, kept, v, settings)
        rest = len(arrays) - len(d)
        return [t if _is_open(x) else None for t, x in zip(found, d, strict=True)] + [None] * rest

    def _batch_gradient(
        self, arrays: Arrays, dims: Arrays, *, given: Mask, wanted: Mask, settings: Any
    ) -> tuple[Any, Any]:
        d, inputs, kept = self._split_gradient(arrays, given, wanted, settings)
        split = self._split_gradient(dims, given, wanted, settings)
        results = self._batch_gradient_rule(self, d, inputs, kept, split, wanted, settings)
        return results, [0] * len(results)


def _present(arrays: Arrays) -> list[Any]:
    return [x for x in arrays if x is not None]


def _filled(arrays: Arrays, given: Mask) -> list[Any]:
    """With None where nothing was given."""
    rest = iter(arrays)
    return [next(rest) if there else None for there in given]


def _replaced(arrays: Arrays, at: Sequence[int], values: Arrays) -> list[Any]:
    filled = list(arrays)
    for i, value in zip(at, values, strict=True):
        filled[i] = value
    return filled


def _nonzero(tangent: Any) -> Any:
    return None if type(tangent) is ad.Zero else tangent


def _is_open(x: Any) -> bool:
    return ad.is_undefined_primal(x)


def _zeros(x: Any) -> Any:
    return jnp.zeros(x.shape, x.dtype)


def _instantiated(d: Arrays) -> list[Any]:
    return [ad.instantiate_zeros(x) for x in d]


def _summed(terms: Sequence[Arrays], like: Arrays) -> list[Any]:
    if not terms:  # only what was kept has a tangent, and nothing depends on that
        return [_zeros(x) for x in like]
    return [sum(column[1:], start=column[0]) for column in zip(*terms, strict=True)]
