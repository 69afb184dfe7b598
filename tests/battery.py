"""A compact battery that one process runs for one instruction set: every body, forward and backward, against truth.

``python battery.py`` exits with an error at the first wrong number; it prints a digest of all the bits it computed.
"""

from __future__ import annotations

import hashlib

import cases
import torch
import truth
from closeness import assert_filtered, gradient_bound, near, recurrence_bound, split

import feedbackward as fb
from feedbackward import reference

digest = hashlib.sha256()


def record(*tensors: torch.Tensor) -> None:
    for tensor in tensors:
        digest.update(torch.view_as_real(tensor).numpy().tobytes() if tensor.is_complex() else tensor.numpy().tobytes())


def filters() -> None:
    for dtype in cases.DTYPES:
        for lead, steps in (
            ((), 0),
            ((), 1),
            ((), 5003),
            ((1,), 257),
            ((3,), 129),
            ((17,), 65),
            ((2, 65), 33),
            ((130,), 31),
        ):
            for order in (0, 1, 2, 3, 5, 9):
                b, a = cases.numerator(lead, order + 1, dtype), cases.denominator(lead, order + 1, dtype, radius=0.6)
                for dim in {-1, -len(lead) - 1}:
                    x = torch.randn(cases.insert_time(lead, steps, dim), dtype=dtype)
                    zi = torch.randn(*lead, order, dtype=dtype)
                    y, zf = fb.lfilter(b, a, x, dim, zi)
                    y_true, zf_true = truth.lfilter(b, a, x, dim, zi)
                    assert_filtered(y, y_true, dtype, [(b, a)], x, zi, f"{dtype} {lead} {steps} {order}")
                    assert_filtered(zf, zf_true, dtype, [(b, a)], x, zi, f"{dtype} {lead} {steps} {order}")
                    record(y, zf)
            sos = cases.sections(lead, 3, dtype, radius=0.5)
            x = torch.randn(*lead, steps, dtype=dtype)
            y = fb.sosfilt(sos, x)
            assert_filtered(y, truth.sosfilt(sos, x), dtype, split(sos), x, note=f"{dtype} {lead} {steps}")
            record(y)


def recurrences() -> None:
    for dtype in cases.DTYPES:
        for lead, steps in (((), 5003), ((3,), 129), ((17,), 65), ((2, 65), 33)):
            x = torch.randn(*lead, steps, dtype=dtype)
            for shape in ((), lead, (*lead, steps)):
                decay = 0.7 * torch.rand(shape, dtype=dtype)
                h = fb.linear_recurrence(decay, x)
                wide = cases.WIDE.get(dtype, dtype)
                h_true = reference.linear_recurrence(decay.to(wide), x.to(wide))
                near(h, h_true, recurrence_bound(dtype, decay, h_true), f"{dtype} {lead} {steps} {shape}")
                record(h)


def gradients() -> None:
    for dtype in cases.DTYPES:
        wide = cases.WIDE.get(dtype, dtype)
        for lead, steps, hop in (((), 4099, None), ((3,), 257, None), ((37,), 131, None), ((19,), 131, 16)):
            frames = () if hop is None else (-(-steps // hop),)
            b = cases.numerator((*lead, *frames), 3, dtype)
            a = cases.denominator((*lead, *frames), 3, dtype, radius=0.6, a0=2.0)
            inputs = [b, a, torch.randn(*lead, steps, dtype=dtype)]
            mine = [t.clone().requires_grad_() for t in inputs]
            y = fb.lfilter(*mine, hop=hop)
            g = torch.randn_like(y)
            grads = torch.autograd.grad(y, mine, g)
            theirs = [t.to(wide).requires_grad_() for t in inputs]
            truths = torch.autograd.grad(reference.lfilter(*theirs, hop=hop), theirs, g.to(wide))
            sections = [(b, a)]
            for grad, expected in zip(grads, truths, strict=True):
                near(grad, expected, gradient_bound(dtype, sections, steps, expected), f"{dtype} {lead} {steps} {hop}")
            record(*grads)


if __name__ == "__main__":
    torch.manual_seed(0)
    filters()
    recurrences()
    gradients()
    print(digest.hexdigest())
