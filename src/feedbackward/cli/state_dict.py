"""A recurrent layer from a saved state_dict: its kind and sizes from the names and shapes of its weights.

weight_ih_l{k}[_reverse]  (gates * hidden, input)           1 gate: rnn, 3: gru, 4: lstm
weight_hh_l{k}            (gates * hidden, hidden), or what a structure stores; with weight_hr a projection
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import feedbackward as fb

from .errors import Refused

_NAME = re.compile(
    r"^(?P<prefix>.*?)(?P<what>weight_ih|weight_hh|bias_ih|bias_hh|weight_hr|norm_ih|norm_hh)"
    r"(?:_l(?P<layer>\d+))?(?P<reverse>_reverse)?$"
)
GATES = {"rnn": 1, "bandrnn": 1, "gru": 3, "lstm": 4}
_KINDS: dict[int, Any] = {1: fb.nn.RNN, 3: fb.nn.GRU, 4: fb.nn.LSTM}


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file that torch.save wrote.

    Raises:
        Refused: It cannot be read, or holds no tensors.
    """
    if not path.exists():
        raise Refused(f"{path} does not exist.")
    if path.is_dir():
        raise Refused(f"{path} is a folder, expected a file that torch.save wrote.")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Refused(f"{path} cannot be read as a state_dict: {reason[:160]}") from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict):
        raise Refused(f"{path} holds a {type(found).__name__}, expected a state_dict.")
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}


def layer_of(
    tensors: dict[str, Tensor],
    *,
    kind: str | None,
    prefix: str | None,
    band: tuple[int, int] | None,
    nonlinearity: str,
    batch_first: bool,
) -> nn.Module:
    """The layer whose weights these are.

    Args:
        tensors: By their names; others may be among them.
        kind: ``"rnn"``, ``"gru"``, ``"lstm"`` or ``"bandrnn"``; None: the one that shapes tell.
        prefix: What stands before the names of the layer; None: the only one that there is.
        band: The widths of a banded recurrent matrix; None: as many diagonals on both sides.
        nonlinearity: Of an RNN, which no weight tells.
        batch_first: Of the layer, which no weight tells either.

    Raises:
        Refused: There is no such layer, or more than one.
    """
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if match := _NAME.match(name):
            own = f"{match['what']}_l{match['layer'] or 0}{match['reverse'] or ''}"
            found.setdefault(match["prefix"], {})[own] = tensor
    found = {p: weights for p, weights in found.items() if {"weight_ih_l0", "weight_hh_l0"} <= weights.keys()}
    if not found:
        raise Refused("there is no recurrent layer among the weights: no weight_ih_l0 and weight_hh_l0.")
    if prefix is None and len(found) > 1:
        raise Refused(f"there are {len(found)} recurrent layers: choose one by --prefix {' or '.join(sorted(found))}.")
    chosen = next(iter(found)) if prefix is None else prefix if prefix in found else f"{prefix}."
    if chosen not in found:
        raise Refused(f"--prefix is {prefix}, expected one of {', '.join(map(repr, sorted(found)))}.")
    weights = found[chosen]
    settings = _settings(weights, kind, band)
    module = settings.pop("kind")
    if module is fb.nn.RNN:
        settings["nonlinearity"] = nonlinearity
    sizes = settings.pop("sizes")
    dtype = weights["weight_ih_l0"].dtype
    dtype = dtype if dtype in (torch.float32, torch.float64) else torch.float32
    try:
        layer = module(*sizes, batch_first=batch_first, dtype=dtype, **settings)
        layer.load_state_dict(weights)
    except (RuntimeError, ValueError, TypeError) as error:
        raise Refused(
            f"these weights are no {module.__name__}: {str(error).split(chr(10), 2)[-1].strip()[:200]}"
        ) from error
    return layer.eval()


def _settings(weights: dict[str, Tensor], kind: str | None, band: tuple[int, int] | None) -> dict[str, Any]:
    """The class of a layer and the arguments that made it."""
    w_ih, w_hh, w_hr = weights["weight_ih_l0"], weights["weight_hh_l0"], weights.get("weight_hr_l0")
    if w_ih.ndim != 2 or w_hh.ndim not in (1, 2, 3):
        raise Refused(f"weight_ih_l0 has shape {tuple(w_ih.shape)}, expected (gates * hidden, input).")
    rows = w_ih.shape[0]
    if w_hh.ndim == 2:
        hidden = (w_hh if w_hr is None else w_hr).shape[-1]
    elif kind is None:
        raise Refused(f"weight_hh_l0 has shape {tuple(w_hh.shape)}, which does not tell the gates: --layer says them.")
    else:
        hidden = rows // GATES[kind]
    gates, rest = divmod(rows, hidden)
    if rest or gates not in _KINDS:
        raise Refused(f"weight_ih_l0 has {rows} rows for {hidden} channels, expected 1, 3 or 4 times as many.")
    if kind is not None and gates != GATES[kind]:
        raise Refused(f"--layer is {kind}, but the weights have {gates} gates, as {_KINDS[gates].__name__} has.")
    structure: Any = None
    if w_hh.ndim == 1:
        structure = fb.Diagonal()
    elif w_hh.ndim == 3:
        structure = fb.BlockDiagonal(max(1, w_hh.shape[0] // gates))
    elif w_hr is None and w_hh.shape[0] != rows:
        structure = _band(w_hh, gates, band)
    layers = 1 + max(int(n.split("_l")[1].split("_")[0]) for n in weights)
    settings: dict[str, Any] = {"kind": _KINDS[gates], "sizes": (w_ih.shape[1], hidden, layers)}
    settings |= {"bias": "bias_ih_l0" in weights, "bidirectional": "weight_ih_l0_reverse" in weights}
    settings |= {"layer_norm": "norm_ih_l0" in weights, "structure": structure}
    if w_hr is not None:
        settings["proj_size"] = w_hr.shape[0]
    return settings


def _band(w_hh: Tensor, gates: int, band: tuple[int, int] | None) -> fb.Banded:
    diagonals, rest = divmod(w_hh.shape[0], gates)
    if band is None and diagonals % 2 and not rest:
        band = diagonals // 2, diagonals // 2
    if band is None or rest or sum(band) + 1 != diagonals:
        raise Refused(
            f"weight_hh_l0 has shape {tuple(w_hh.shape)}, {diagonals} diagonals: --band-width LOWER,UPPER says which "
            "they are."
        )
    return fb.Banded(*band)
