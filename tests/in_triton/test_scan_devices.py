"""Scans of CUDA tensors as far as they go without a GPU: fake tensors, which have a device and no numbers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

import feedbackward as fb
from feedbackward.engine.errors import LoweringError


@pytest.fixture(autouse=True)
def fake() -> Iterator[None]:
    with torch.device("cpu"), FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv()), torch.no_grad():
        yield


def smooth(a):
    return lambda h, x: ((y := torch.tanh(a * h + x + torch.arange(3, device=h.device))), y)


def test_results_are_on_the_device():
    last, y = fb.scan(smooth(0.5), torch.zeros(4, 3, device="cuda"), torch.zeros(7, 4, 3, device="cuda"), check=False)
    assert last.device == y.device == torch.device("cuda", 0)
    assert y.shape == (7, 4, 3)


def test_rows_move_by_tables_of_the_host():
    def rolled(h, x):
        h = h.roll(1, -1) + x.index_select(-1, torch.arange(2, -1, -1, device=x.device))
        return h.flip(-1), h.roll(2, -1)

    _, y = fb.scan(rolled, torch.zeros(4, 3, device="cuda"), torch.zeros(7, 4, 3, device="cuda"), check=False)
    assert y.device == torch.device("cuda", 0)


def test_a_cell_has_a_program_for_every_device():
    a = torch.ones(())
    for device in ("cpu", "cuda", "cpu"):
        init, xs = torch.zeros(4, 3, device=device), torch.zeros(7, 4, 3, device=device)
        assert fb.scan(smooth(a), init, xs, check=False)[1].device.type == device


def test_a_listing_says_what_runs_there():
    listing = fb.explain_cell(smooth(0.5), torch.zeros(4, 3, device="cuda"), torch.zeros(7, 4, 3, device="cuda"))
    assert "on cuda:0: the steps forward are one Triton kernel, those of the adjoint another" in str(listing)


def test_devices_that_do_not_fit_are_refused():
    first, cuda, cpu = torch.zeros(4, 3, device="cuda"), torch.zeros(7, 4, 3, device="cuda"), torch.zeros(7, 4, 3)
    with pytest.raises(ValueError, match="scan: xs is on cpu, but other tensors are on cuda:0, expected one device"):
        fb.scan(smooth(0.5), first, cpu)
    with pytest.raises(ValueError, match=r"scan: init is on xpu:0, but this version computes on CPU and CUDA; move it"):
        fb.scan(smooth(0.5), torch.zeros(4, 3, device="xpu"), torch.zeros(7, 4, 3, device="xpu"))
    with pytest.raises(LoweringError, match=r"closes over a tensor on cpu, but the scan is on cuda:0.*\.to\('cuda:0"):
        fb.scan(smooth(torch.ones(3)), first, cuda, check=False)
