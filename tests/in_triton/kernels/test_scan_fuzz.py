"""Random cells as emitted kernels, values and gradients of first and second order, against the plain loop.

FEEDBACKWARD_FUZZ=20 runs twenty times as many.
"""

from __future__ import annotations

import os

import pytest
import scan_fuzz
import torch


@pytest.mark.parametrize("block", range(int(os.environ.get("FEEDBACKWARD_FUZZ", "1"))))
def test_random_cells(block, device):
    for seed in range(1000 + 8 * block, 1000 + 8 * (block + 1)):
        with torch.device(device):
            recipe = scan_fuzz.grow(seed)
            if message := scan_fuzz.failure(recipe):
                small = scan_fuzz.shrink(recipe)
                pytest.fail(f"{scan_fuzz.failure(small) or message}\n\n{small}", pytrace=False)
