"""The formulas from weights to coefficients, in a namespace that is not torch's, and without torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from closeness import assert_allclose

from feedbackward import design, nn
from feedbackward.formulas.arrays import numpy
from feedbackward.formulas.bank import Bank
from feedbackward.formulas.section import inside, mix, reflections, scaled, section, within

FS = 16000.0


def test_none_of_them_imports_torch() -> None:
    code = """if True:
        import sys
        import feedbackward.formulas.arrays, feedbackward.formulas.bank, feedbackward.formulas.section
        print(*{"torch", "keras", "tensorflow", "jax", "scipy"} & set(sys.modules))
    """
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert result.stdout.split() == [], result.stderr
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("kind", design.KINDS)
@pytest.mark.parametrize("scale", design.SCALES)
def test_a_bank_in_numpy_is_that_of_torch(kind: str, scale: str) -> None:
    with_gain = kind in design.GAIN_KINDS
    module = nn.FilterBank(7, FS, kind, low=60.0, scale=scale, gain_db=-4.0, dtype=torch.float64)
    bank = Bank.of(numpy, 7, FS, kind, 60.0, None, scale)
    weights = [weight.numpy(force=True) for weight in module.parameters()]
    assert len(weights) == 2 + with_gain
    assert_allclose(bank.rows(numpy, *weights), module.to_sos().detach()[:, 0], rtol=1e-12, atol=1e-13)
    frequency, bandwidth = bank.tiles(numpy)
    assert_allclose(bank.raw_frequency(numpy, frequency), weights[0], rtol=1e-4, atol=1e-5)
    assert_allclose(bank.raw_bandwidth(numpy, bandwidth), weights[1], rtol=1e-4, atol=1e-5)
    assert_allclose(bank.frequency(numpy, bank.raw_frequency(numpy, frequency)), frequency, rtol=1e-10)


@pytest.mark.parametrize("radius", [1.0, 0.9])
def test_a_section_in_numpy_is_that_of_torch(radius: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    raw, gains = rng.normal(size=(50, 2)), rng.normal(size=(50, 3))
    factor = within(radius)
    b, a = section(numpy, raw, gains, inside(np.finfo(np.float64).eps), factor)
    rows = design.stable_section(torch.tensor(raw), torch.tensor(gains), radius)
    assert_allclose(np.stack([*b, np.ones(50), *a], -1), rows, rtol=1e-12, atol=1e-14)
    _, *k = scaled([None, *a], 1 / factor)
    assert_allclose(np.arctanh(np.stack(reflections(*k), -1)), raw, rtol=1e-8)
    assert_allclose(mix(numpy, raw, scaled(b, 1 / factor)), gains, rtol=1e-8)
