"""What must hold for a scan whatever its cell: bits, threads, neighbors, memory, streams."""

from __future__ import annotations

import threading

import scanning
import torch
from scanning import by_hand, leaky, randn

import feedbackward as fb


def test_one_bad_lane_leaves_the_others_alone():
    h, x = randn(70), randn(40, 70)
    good = fb.scan(leaky(0.5), h, x)[1]
    x[3, 33], x[5, 34] = float("nan"), float("inf")
    bad = fb.scan(leaky(0.5), h, x)[1]
    others = [i for i in range(70) if i not in (33, 34)]
    torch.testing.assert_close(bad[:, others], good[:, others], rtol=0, atol=0)
    assert bad[3:, 33].isnan().all()


def test_the_same_bits_every_time_and_for_any_number_of_threads():
    w, h, x = randn(24, 24, scale=0.2), randn(37, 24), randn(100, 37, 24)
    cell = lambda h, x: ((y := torch.tanh(h @ w + x)), y)  # noqa: E731
    found = []
    threads = torch.get_num_threads()
    try:
        for n in (1, 2, 2, 3):
            torch.set_num_threads(n)
            found.append(tuple(scanning.outcome(cell, h, x, [w])))
    finally:
        torch.set_num_threads(threads)
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=0, atol=0)


def test_many_threads_at_once():
    """Tracing, finding and running from several threads, on cells that are new and cells that are known."""
    a, h, x = randn(), randn(5), randn(50, 5)
    expected = {k: by_hand(lambda h, x, k=k: ((y := torch.tanh(a * h + k * x)), y), h, x)[1] for k in range(4)}
    wrong = []

    def work(seed):
        for i in range(12):
            k = (i + seed) % 4
            try:
                y = fb.scan(lambda h, x, k=k: ((y := torch.tanh(a * h + k * x)), y), h, x)[1]
                if not torch.allclose(y, expected[k], rtol=1e-13, atol=1e-13):
                    wrong.append(k)
            except Exception as error:
                wrong.append(error)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_inputs_are_not_changed():
    h, x, p = randn(3, 4), randn(9, 3, 4), randn(4)
    before = [t.clone() for t in (h, x, p)]
    state = torch.get_rng_state()
    scanning.outcome(lambda h, x: ((y := torch.tanh(h * p + x)), y), h, x, [p])
    for t, b in zip((h, x, p), before, strict=True):
        assert torch.equal(t, b)
    assert torch.equal(torch.get_rng_state(), state)


def test_results_share_no_memory_with_inputs():
    """Changing a result in place must not change what was given, nor another result."""
    h, x, p = randn(3), randn(9, 3), randn(3)
    last, (same, given, parameter) = fb.scan(lambda h, x: (h, (h, x, p)), h, x)
    kept = [t.clone() for t in (h, x, p, same)]
    with torch.no_grad():
        last.add_(1)
        given.add_(1)
        parameter[0].add_(1)
    for t, k in zip((h, x, p, same), kept, strict=True):
        assert torch.equal(t, k)


def test_a_stream_block_by_block():
    a, h, x = randn(), randn(3), randn(100, 3)
    _, whole = fb.scan(leaky(a), h, x)
    blocks = []
    for block in x.split([1, 16, 33, 50]):
        h, y = fb.scan(leaky(a), h, block)
        blocks.append(y)
    torch.testing.assert_close(torch.cat(blocks), whole, rtol=0, atol=0)


def test_autocast_leaves_a_scan_alone():
    w, h, x = randn(4, 4, dtype=torch.float32), randn(3, 4, dtype=torch.float32), randn(9, 3, 4, dtype=torch.float32)
    cell = lambda h, x: ((y := torch.tanh(h @ w + x)), y)  # noqa: E731
    expected = fb.scan(cell, h, x)[1]
    with torch.autocast(x.device.type, torch.bfloat16):
        result = fb.scan(cell, h, x)[1]
    torch.testing.assert_close(result, expected, rtol=0, atol=0)
