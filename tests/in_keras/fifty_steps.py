"""The same layer, weights, data and formula in torch and in Keras: 50 steps of gradient descent, loss by loss.

    y = W h[T-1] + b,   h of a band RNN;   loss = mean (y - target)^2
    v <- 0.875 v + gradient,            weight <- weight - 0.0625 v     (torch.optim.SGD)
    v <- 0.875 v - 0.0625 gradient,     weight <- weight + v            (keras.optimizers.SGD: the same steps)

TensorFlow and torch need not share an environment, so the losses of torch stand in fifty_steps.json, which
``python tests/in_keras/fifty_steps.py`` writes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

STEPS, RATE, MOMENTUM = 50, 0.0625, 0.875  # without rounding, for Keras keeps the rate as a float32
B, T, INPUT, UNITS, WIDTHS, OUTPUTS = 16, 20, 3, 24, (3, 2), 2
FILE = Path(__file__).with_suffix(".json")


def numbers_of(dtype: str) -> dict[str, Any]:
    """Data and first weights, made without a generator, so that every version of numpy makes the same."""

    def wave(*shape: int, step: float, scale: float) -> Any:
        return (scale * np.sin(step * np.arange(1, 1 + np.prod(shape)) ** 1.3)).reshape(shape).astype(dtype)

    x = wave(B, T, INPUT, step=0.7, scale=1.0)
    return {
        "x": x,
        "target": np.stack([x[:, 3:, 0].mean(1), x[:, -5:, 1].sum(1)], 1),
        "weight_ih_l0": wave(UNITS, INPUT, step=1.1, scale=0.4),
        "weight_hh_l0": wave(sum(WIDTHS) + 1, UNITS, step=0.9, scale=0.35),
        "bias_ih_l0": wave(UNITS, step=0.3, scale=0.1),
        "bias_hh_l0": np.zeros(UNITS, dtype),
        "weight": wave(OUTPUTS, UNITS, step=1.7, scale=0.3),
        "bias": np.zeros(OUTPUTS, dtype),
    }


def losses_of_torch(dtype: str) -> list[float]:
    """By fb.nn.BandRNN; of its two biases, which Keras has as one, the second stays 0."""
    import torch

    import feedbackward as fb

    given = {name: torch.as_tensor(value) for name, value in numbers_of(dtype).items()}
    x, target = given.pop("x"), given.pop("target")
    layer = fb.nn.BandRNN(INPUT, UNITS, WIDTHS, batch_first=True, dtype=x.dtype)
    head = torch.nn.Linear(UNITS, OUTPUTS, dtype=x.dtype)
    head.load_state_dict({name: given.pop(name) for name in ("weight", "bias")})
    layer.load_state_dict(given)
    layer.bias_hh_l0.requires_grad_(False)
    trained = [p for p in (*layer.parameters(), *head.parameters()) if p.requires_grad]
    optimizer = torch.optim.SGD(trained, RATE, momentum=MOMENTUM)
    losses = []
    for _ in range(STEPS):
        loss = torch.nn.functional.mse_loss(head(layer(x)[0][:, -1]), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    FILE.write_text(json.dumps({dtype: losses_of_torch(dtype) for dtype in ("float32", "float64")}, indent=1) + "\n")
