"""Every case, in the order of the report."""

from __future__ import annotations

from .case import Case
from .cases import (
    band,
    bank,
    block,
    call,
    cells,
    in_jax,
    in_keras,
    in_tensorflow,
    layers,
    lengths,
    linear,
    products,
    recurrent,
    signal,
    varying,
)

CASES: dict[str, Case] = {
    case.name: case
    for case in (
        bank.forward,
        bank.gradient,
        signal.forward,
        signal.gradient,
        signal.sections_forward,
        signal.sections_gradient,
        block.single,
        block.sections,
        varying.forward,
        varying.gradient,
        linear.forward,
        linear.gradient,
        *cells.cases,
        *recurrent.cases,
        *layers.cases,
        *lengths.cases,
        *band.cases,
        *products.cases,
        *call.cases,
        *in_jax.cases,
        *in_tensorflow.cases,
        *in_keras.cases,
    )
}
