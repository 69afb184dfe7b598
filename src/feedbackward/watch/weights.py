"""Every weight of a recurrent layer: its name, its shape, what its axes are, and what it does where."""

from __future__ import annotations

import torch
from torch import Tensor

from ..recurrent.cells import GATES, Layer
from ..recurrent.structures import BlockDiagonal, Dense, Diagonal, LowRankPlusDiagonal
from .call import Call
from .model import Weight
from .notation import GATE_NAMES, GATE_WORDS

_ROLES = {
    "weight_hh": "state to state",
    "bias_ih": "bias beside the input",
    "bias_hh": "bias beside the state",
    "weight_hr": "projection of h",
    "norm_ih": "gain of the normalized W_ih x",
    "norm_hh": "gain of the normalized W_hh h",
}
_KINDS = {"Banded": "banded", "BlockDiagonal": "block-diagonal", "Diagonal": "diagonal"}


def weights_of(call: Call) -> tuple[Weight, ...]:
    """All weights, layer after layer."""
    gates = GATES[call.kind]
    parts = tuple(f"{g}: {GATE_WORDS[g]}" for g in GATE_NAMES[call.kind]) if gates > 1 else ()
    rows = "hidden" if gates == 1 else f"{gates} gates × hidden"
    found = []
    for k, (layer, names) in enumerate(zip(call.given.layers, call.names, strict=True)):
        where = _where(call, k)
        for what, name in names.items():
            values = getattr(layer, what).detach()
            role = _ROLES.get(what) or _role_of_input(k // call.directions)
            if what == "weight_hh" and not isinstance(layer.structure, Dense):
                kind = _KINDS.get(type(layer.structure).__name__, "low-rank plus diagonal")
                role = f"{role}, a {kind} matrix{' per gate' if gates > 1 else ''}"
                axes = _stored_axes(layer, gates)
                found.append(Weight(name, axes, role, values, *_dense(layer, values, gates), parts, where))
                continue
            axes = {
                "weight_ih": (rows, "input" if k < call.directions else "h of the layer below"),
                "weight_hh": (rows, "hidden" if layer.weight_hr is None else "projection"),
                "weight_hr": ("projection", "hidden"),
            }.get(what, (rows,))
            own = parts if what != "weight_hr" else ()
            found.append(Weight(name, axes, role, values, parts=own, place=where))
    return tuple(found)


def _where(call: Call, k: int) -> str:
    direction = (", reverse" if k % 2 else ", forward") if call.directions == 2 else ""
    return f"layer {k // call.directions}{direction}" if call.form == "sequence" else ""


def _role_of_input(layer: int) -> str:
    return f"h of layer {layer - 1} to state" if layer else "input to state"


def _dense(layer: Layer, values: Tensor, gates: int) -> tuple[Tensor, Tensor | None]:
    """The matrices that are meant, and which of their entries are stored."""
    structure = layer.structure
    parts = structure.gates(values, gates)
    dense = torch.cat([structure.to_dense(part) for part in parts])
    if isinstance(structure, LowRankPlusDiagonal):
        return dense, None
    return dense, torch.cat([structure.to_dense(torch.ones_like(part)) != 0 for part in parts])


def _stored_axes(layer: Layer, gates: int) -> tuple[str, ...]:
    per = f"{gates} gates × " if gates > 1 else ""
    if isinstance(layer.structure, Diagonal):
        return (f"{per}hidden",)
    if isinstance(layer.structure, BlockDiagonal):
        return f"{per}blocks", "rows", "columns"
    if isinstance(layer.structure, LowRankPlusDiagonal):
        return f"{per}(d, Uᵀ, Vᵀ)", "hidden"
    return f"{per}diagonals", "hidden"
