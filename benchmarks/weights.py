"""What a layer's parameters weigh, and what Adam keeps for them: a band beside the dense matrix it replaces."""

from __future__ import annotations

from typing import Any

FEATURES, HIDDEN, BAND = 128, 1024, 8
MEGABYTE = 1e6


def weigh() -> list[dict[str, Any]]:
    """Megabytes of parameters and of Adam's state after a step, of a BandRNN and of torch.nn.RNN."""
    import torch

    import feedbackward as fb

    layers = {
        f"nn.BandRNN({FEATURES}, {HIDDEN}, {BAND})": fb.nn.BandRNN(FEATURES, HIDDEN, BAND),
        f"torch.nn.RNN({FEATURES}, {HIDDEN})": torch.nn.RNN(FEATURES, HIDDEN),
    }
    rows = []
    for name, layer in layers.items():
        optimizer = torch.optim.Adam(layer.parameters())
        layer(torch.randn(2, 1, FEATURES))[0].sum().backward()
        optimizer.step()
        state = [t for kept in optimizer.state.values() for t in kept.values()]
        recurrent = _bytes([layer.get_parameter("weight_hh_l0")])
        parameters, kept = _bytes(list(layer.parameters())), _bytes(state)
        rows.append({"layer": name, "recurrent_mb": recurrent, "parameters_mb": parameters, "adam_mb": kept})
    return rows


def _bytes(tensors: list[Any]) -> float:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) / MEGABYTE
