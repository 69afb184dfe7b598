"""What must hold whatever the input: neighbors untouched, same bits every time, every instruction set, any size."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import cases
import pytest
import torch
from isolated import run_battery

import feedbackward as fb

HERE = Path(__file__).parent
GIGABYTE = 2**30


@pytest.mark.cpu
def test_each_instruction_set(instruction_set):
    run_battery("battery.py", instruction_set, 2)


@pytest.mark.cpu
def test_two_processes_and_any_number_of_threads_compute_the_same_bits():
    assert run_battery("battery.py", "baseline", 1) == run_battery("battery.py", "baseline", 2)


@pytest.mark.cpu
def test_an_unknown_instruction_set_is_refused():
    code = "import torch, feedbackward as fb; fb.lfilter(torch.ones(1), torch.ones(1), torch.ones(3))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "FEEDBACKWARD_ISA": "abacus"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode != 0
    assert "abacus" in result.stderr
    assert "avx2" in result.stderr


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -float("inf"), 3e38])
@pytest.mark.parametrize("dim", [-1, -2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64], ids=str)
def test_a_poisoned_lane_leaves_its_neighbors_bit_identical(poison, dim, dtype):
    lanes, steps = 37, 300
    b, a = cases.numerator((lanes,), 3, dtype), cases.denominator((lanes,), 3, dtype)
    x, zi = torch.randn(cases.insert_time((lanes,), steps, dim), dtype=dtype), torch.randn(lanes, 2, dtype=dtype)
    weight = torch.randn(cases.insert_time((lanes,), steps, dim), dtype=dtype)

    def run(b, a, x, zi):
        inputs = [t.clone().requires_grad_() for t in (b, a, x, zi)]
        y, zf = fb.lfilter(*inputs[:3], dim, inputs[3])
        grads = torch.autograd.grad((y, zf), inputs, (weight, torch.ones_like(zf)))
        lanes_first = (t.mT if t.shape == (steps, lanes) else t for t in (y, zf, *grads))
        return [t.detach() for t in lanes_first]

    clean = run(b, a, x, zi)
    for lane in (0, 5, 15, 16, 36):
        others = torch.arange(lanes) != lane
        for which in range(4):
            tensors = [t.clone() for t in (b, a, x, zi)]
            index = (lane, 1) if which != 2 or dim == -1 else (1, lane)
            tensors[which][index] = poison
            dirty = run(*tensors)
            for mine, truth in zip(dirty, clean, strict=True):
                assert torch.equal(mine[others], truth[others])
            assert poison == 3e38 or not torch.cat([t[lane].flatten() for t in dirty]).isfinite().all()


def test_an_unstable_lane_overflows_alone():
    a = torch.tensor([[1.0, -0.5], [1.0, -1.5], [1.0, 0.5]])
    x = torch.randn(3, 3000)
    y = fb.lfilter(torch.ones(1), a, x)
    assert not y[1].isfinite().all()
    for lane in (0, 2):
        alone = fb.lfilter(torch.ones(1), torch.stack([a[lane]] * 3), x)[lane]
        assert torch.equal(y[lane], alone)


@pytest.mark.parametrize("shape", [(300,), (20_000,), (40, 300)])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_fir_filter_forgets_a_bad_sample(value, shape):
    """Without feedback only as many outputs as there are taps may see it, as in scipy."""
    x = torch.randn(shape)
    x[..., 150] = value
    y = fb.lfilter(torch.tensor([0.2, 0.3, 0.5]), torch.ones(1), x)
    bad = ~y.isfinite()
    assert bad[..., 150:153].all()
    assert bad.sum() == 3 * y[..., 0].numel()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nothing_before_a_bad_sample_is_touched(value):
    """A single signal is cut in time: what comes later may not leak into what came before."""
    b, a = cases.numerator((), 3), cases.denominator((), 3)
    x = torch.randn(20_000, dtype=torch.float64)
    clean = fb.lfilter(b, a, x)
    for at in (0, 1, 63, 64, 5000, 9999, 10000, 19_999):
        dirty = x.clone()
        dirty[at] = value
        y = fb.lfilter(b, a, dirty)
        torch.testing.assert_close(y[:at], clean[:at], rtol=1e-12, atol=1e-12)
        assert not y[at].isfinite()
        assert y[at:].isnan()[2:].all() or not y[at:].isfinite().any()


def test_an_unstable_single_signal_follows_the_loop_until_it_overflows():
    """Segments that overflow from zero state must not turn an early sample into NaN."""
    b, a = torch.ones(1, dtype=torch.float64), torch.tensor([1.0, -1.05], dtype=torch.float64)
    x = torch.zeros(40_000, dtype=torch.float64)
    x[0] = 1
    y = fb.lfilter(b, a, x)
    expected = 1.05 ** torch.arange(40_000, dtype=torch.float64)
    finite = expected.isfinite()
    torch.testing.assert_close(y[finite], expected[finite], rtol=1e-10, atol=0)
    assert not y[~finite].isfinite().any()


def test_silence_stays_silent_beside_a_filter_that_would_overflow():
    """Zero in, zero out: cutting time may not multiply an infinite carry by zero."""
    y = fb.lfilter(torch.ones(1), torch.tensor([1.0, -2.0]), torch.zeros(50_000))
    assert torch.equal(y, torch.zeros(50_000))
    late = torch.zeros(50_000)
    late[-3:] = 1
    y = fb.lfilter(torch.ones(1), torch.tensor([1.0, -2.0]), late)
    assert torch.equal(y[-4:], torch.tensor([0.0, 1.0, 3.0, 7.0]))
    h = fb.linear_recurrence(2.0, late)
    assert torch.equal(h[-4:], torch.tensor([0.0, 1.0, 3.0, 7.0]))


def workloads() -> list[torch.Tensor]:
    outputs = []
    for shape in ((150_000,), (2, 70_000), (3, 9001), (64, 700), (300, 300)):
        b, a = cases.numerator(shape[:-1], 3, torch.float32), cases.denominator(shape[:-1], 3, torch.float32)
        shared = [b.reshape(-1, 3)[0].clone(), a.reshape(-1, 3)[0].clone()]
        for inputs in ([b, a, torch.randn(shape)], [*shared, torch.randn(shape)]):
            inputs = [t.clone().requires_grad_() for t in inputs]
            y = fb.lfilter(*inputs)
            outputs += [y.detach(), *torch.autograd.grad(y.square().sum(), inputs)]
        decay, x = torch.rand(shape[-1], requires_grad=True), torch.randn(shape, requires_grad=True)
        h = fb.linear_recurrence(decay.expand(shape), x)
        outputs += [h.detach(), *torch.autograd.grad(h.square().sum(), (decay, x))]
    return outputs


def test_same_bits_on_every_run_and_for_every_number_of_threads(seed):
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 2, 1):
            torch.set_num_threads(threads)
            torch.manual_seed(seed)
            results.append(workloads())
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        for mine, first in zip(result, results[0], strict=True):
            assert torch.equal(mine, first)


def test_many_python_threads_at_once():
    b, a, x = cases.numerator((20,), 3), cases.denominator((20,), 3), torch.randn(4, 20, 2000, dtype=torch.float64)
    expected, right = fb.lfilter(b, a, x), []

    def work():
        for _ in range(10):
            inputs = [t.clone().requires_grad_() for t in (b, a, x)]
            y = fb.lfilter(*inputs)
            y.sum().backward()
            right.append(torch.equal(y, expected))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
        assert not thread.is_alive()
    assert right == [True] * 60


@pytest.mark.cpu
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_can_filter():
    """A data loader forks after the parent has used its threads; the child must neither hang nor crash."""
    code = """if True:
        import os, sys, torch, feedbackward as fb
        torch.set_num_threads(int(sys.argv[1]))
        b, a, x = torch.ones(3), torch.tensor([1.0, -0.5]), torch.ones(4, 2000)
        parent = fb.lfilter(b, a, x)
        child = os.fork()
        if child == 0:
            torch.set_num_threads(1)
            os._exit(0 if torch.equal(fb.lfilter(b, a, x), parent) else 3)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    for threads in ("1", "2"):
        assert subprocess.run([sys.executable, "-c", code, threads], timeout=60).returncode == 0


def test_denormals_are_kept_and_the_processors_mode_is_left_alone():
    tiny = torch.finfo(torch.float32).tiny
    x = torch.tensor([tiny]) / 1024
    y = fb.lfilter(torch.ones(1), torch.tensor([1.0, -0.5]), torch.cat([x, torch.zeros(8)]))
    torch.testing.assert_close(y, x.item() * 0.5 ** torch.arange(9.0), rtol=0, atol=1.5e-45)
    assert (torch.tensor([tiny]) / 2).item() > 0


def test_no_warning_is_raised():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = torch.randn(3, 100, requires_grad=True)
        y = fb.lfilter(torch.ones(2), torch.tensor([1.0, -0.5]), x) + fb.linear_recurrence(0.5, x)
        y.sum().backward()


@pytest.mark.parametrize(("dtype", "steps"), [(torch.float32, 16384), (torch.float32, 16381), (torch.complex128, 4096)])
def test_large_outputs_are_written_as_small_ones_are(dtype, steps):
    """Outputs and gradients of some 40 MB, aligned or not, bypass the caches; the numbers are the same."""
    lanes = 40_000_000 // (steps * dtype.itemsize)
    b, a = cases.numerator((lanes,), 3, dtype), cases.denominator((lanes,), 3, dtype)
    x, g = torch.randn(lanes, steps, dtype=dtype), torch.randn(steps, dtype=dtype)
    compute = torch.complex128 if dtype.is_complex else torch.float64

    def run(rows, **keywords):
        inputs = [t[rows].clone().requires_grad_() for t in (b, a, x)]
        y = fb.lfilter(*inputs, **keywords)
        return y.detach(), *torch.autograd.grad(y, inputs, g.expand_as(y))

    for keywords in ({}, {"compute_dtype": compute}):
        whole = run(slice(None), **keywords)
        for rows in (slice(0, 64), slice(lanes // 64 * 64, lanes)):  # whole tiles, so that lanes meet the same kernel
            for mine, other in zip(run(rows, **keywords), whole, strict=True):
                torch.testing.assert_close(
                    mine, other[rows], rtol=0, atol=1e3 * torch.finfo(dtype).eps * other.abs().max()
                )


def available_memory() -> int:
    info = Path("/proc/meminfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), 0)


@pytest.mark.skipif(available_memory() < 14 * GIGABYTE, reason="needs 14 GB of free memory")
@pytest.mark.parametrize("layout", ["time last", "time first"])
def test_more_than_two_to_the_31_elements(layout):
    lanes, steps = 3 * 2**14, 2**16 // 3 * 2 + 70  # 2.15e9 outputs of 4 bytes from a few thousand inputs
    assert lanes * steps > 2**31
    ramp = torch.rand(steps)
    b, a = torch.tensor([0.5], requires_grad=layout == "time first"), torch.tensor([1.0, -0.5])
    expected = fb.lfilter(b, a, ramp).detach()
    poison = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)
    if layout == "time last":
        y = fb.lfilter(b, a, ramp.expand(lanes, steps))
        picked = [y[i] for i in (0, 1, lanes // 2, lanes - 2, lanes - 1)]
    else:
        y = fb.lfilter(b, a, ramp[:, None].expand(steps, lanes), 0)
        picked = [y[:, i] for i in (0, 1, lanes // 2, lanes - 2, lanes - 1)]
    for signal in picked:
        torch.testing.assert_close(signal.detach(), expected, rtol=1e-5, atol=1e-6)
    if b.requires_grad:  # y is linear in b: its gradient is the sum of y, divided by b
        (grad,) = torch.autograd.grad(y, b, torch.ones(()).expand_as(y))
        rounding = lanes * torch.finfo(torch.float32).eps / 2  # of a sum over lanes, one after the other
        torch.testing.assert_close(grad.double(), lanes * expected.double().sum()[None] / 0.5, rtol=rounding, atol=0)
    torch.use_deterministic_algorithms(poison, warn_only=True)


@pytest.mark.parametrize("narrow", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "filtered",
    [
        lambda b, a, x: fb.lfilter(b, a, x),
        lambda b, a, x: fb.lfilter(b, a, x, zi=torch.ones(2, dtype=x.dtype))[1],
        lambda b, a, x: fb.sosfilt(torch.cat([b, a]).expand(2, 6), x),
        lambda b, a, x: fb.filtfilt(b, a, x),
        lambda b, a, x: fb.linear_recurrence(0.9, x),
        lambda b, a, x: fb.linear_recurrence(a[1].sigmoid(), x),
    ],
)
def test_half_precision_under_autocast_is_computed_in_float32(filtered, narrow):
    b, a = torch.tensor([0.2, 0.3, 0.1]), torch.tensor([1.0, -0.5, 0.25])
    x = torch.randn(3, 50).to(narrow).requires_grad_()
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        y = filtered(b, a, x)
    wide = x.detach().float().requires_grad_()
    expected = filtered(b, a, wide)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, expected)
    d = torch.randn_like(y)
    (d_x,), (d_wide,) = torch.autograd.grad(y, x, d), torch.autograd.grad(expected, wide, d)
    assert d_x.dtype == narrow
    torch.testing.assert_close(d_x, d_wide.to(narrow))
    with pytest.raises(TypeError, match="has dtype"):
        filtered(b, a, x)
