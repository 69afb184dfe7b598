"""A scan in an exported program, of any length; and in a model that several processes train together."""

from __future__ import annotations

import io

import pytest
import torch
from test_scan_compile import Model, arguments, outcome, same
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

import feedbackward as fb


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("strict", [False, True])
def test_exported_for_any_length(strict):
    model, (x, h) = Model(), arguments()
    length = torch.export.Dim.AUTO
    program = torch.export.export(model, (x, h), dynamic_shapes=({1: length}, None), strict=strict)
    names = [str(n.target) for n in program.graph.nodes if "feedbackward" in str(n.target)]
    assert names == ["feedbackward.scan_program.default"]
    saved = io.BytesIO()
    torch.export.save(program, saved)
    saved.seek(0)
    again = torch.export.load(saved).module()
    for steps in (7, 33):
        inputs = arguments(steps=steps)
        true = outcome(model, [*inputs, *model.parameters()], *inputs)
        same(outcome(again, [*inputs, *again.parameters()], *inputs), true)


class Recurrent(nn.Module):
    """A cell of torch.nn under scan, a recurrent layer of ours and one of torch.nn's on top."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRUCell(3, 5, dtype=torch.float64), nn.Linear(8, 2, dtype=torch.float64)
        self.layer = fb.nn.LSTM(5, 4, num_layers=2, bidirectional=True, dtype=torch.float64)

    def forward(self, x):
        return self.head(self.layer(fb.scan(self.cell, x.new_zeros(x.shape[1], 5), x)[1])[0])


def _train(rank, folder, device):
    torch.set_num_threads(1)
    torch.set_default_device(device)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.manual_seed(0)
    model, x = Recurrent(), torch.randn(7, 4, 3, dtype=torch.float64)
    parallel = DistributedDataParallel(model)
    for _ in range(2):  # the second time, buckets are known
        parallel.zero_grad()
        parallel(x[:, 2 * rank : 2 * rank + 2]).square().mean().backward()
    torch.save([p.grad for p in model.parameters()], f"{folder}/{rank}")
    distributed.destroy_process_group()


@pytest.mark.genuine
def test_two_processes_find_the_gradient_of_one(tmp_path):
    torch.multiprocessing.spawn(_train, (str(tmp_path), str(torch.get_default_device())), nprocs=2)
    torch.manual_seed(0)
    model, x = Recurrent(), torch.randn(7, 4, 3, dtype=torch.float64)
    model(x).square().mean().backward()
    for rank in range(2):
        same(torch.load(tmp_path / str(rank)), [p.grad for p in model.parameters()])
