"""What a wrong argument gets: one sentence that names the function, the argument, what was expected and what came."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import feedbackward as fb

B, A, X = torch.ones(3), torch.tensor([1.0, 0.5]), torch.ones(4, 10)
SOS = torch.tensor([[1.0, 0, 0, 1, 0.5, 0]]).repeat(2, 1)


def refused(function: str, error: type[Exception], call, *parts: str) -> None:
    with pytest.raises(error) as caught:
        call()
    sentence = str(caught.value)
    assert sentence.startswith(f"{function}: "), sentence
    assert "\n" not in sentence, sentence
    for part in parts:
        assert part in sentence, f"{part!r} is not in {sentence!r}"


LFILTER_SHAPES = {
    "a number for b": (lambda: fb.lfilter(torch.tensor(1.0), A, X), "b"),
    "a number for a": (lambda: fb.lfilter(B, torch.tensor(1.0), X), "a"),
    "a number for x": (lambda: fb.lfilter(B, A, torch.tensor(1.0)), "x"),
    "an empty b": (lambda: fb.lfilter(torch.ones(0), A, X), "b"),
    "an empty a": (lambda: fb.lfilter(B, torch.ones(0), X), "a"),
    "dim too large": (lambda: fb.lfilter(B, A, X, 2), "dim", "2"),
    "dim too small": (lambda: fb.lfilter(B, A, X, -3), "dim", "-3"),
    "zi too short": (lambda: fb.lfilter(B, A, X, zi=torch.zeros(4, 1)), "zi", "(4, 1)", "2"),
    "zi too long": (lambda: fb.lfilter(B, A, X, zi=torch.zeros(4, 3)), "zi", "(4, 3)", "2"),
    "a number for zi": (lambda: fb.lfilter(B, A, X, zi=torch.tensor(0.0)), "zi", "2"),
    "zi of other lanes": (lambda: fb.lfilter(B, A, X, zi=torch.zeros(5, 2)), "zi (5,)", "(4,)"),
    "b of other lanes": (lambda: fb.lfilter(torch.ones(5, 3), A, X), "b (5,)", "(4,)"),
    "a of other lanes": (lambda: fb.lfilter(B, torch.ones(5, 2), X), "a (5,)", "(4,)"),
    "an interpolation": (lambda: fb.lfilter(B, A, X, interpolation="cubic"), "interpolation", "hold", "linear", "cub"),
    "hop of zero": (lambda: fb.lfilter(B[None], A[None], X, hop=0), "hop", "0"),
    "hop below zero": (lambda: fb.lfilter(B[None], A[None], X, hop=-4), "hop", "-4"),
    "no frame axis for b": (lambda: fb.lfilter(B, A.repeat(5, 1), X, hop=2), "b", "frames", "(3,)"),
    "no frame axis for a": (lambda: fb.lfilter(B.repeat(5, 1), A, X, hop=2), "a", "frames", "(2,)"),
    "too few frames": (lambda: fb.lfilter(B.repeat(4, 1), A.repeat(4, 1), X, hop=2), "frames", "5", "4"),
    "too many frames": (lambda: fb.lfilter(B.repeat(6, 1), A.repeat(6, 1), X, hop=2), "frames", "5", "6"),
    "too many linear frames": (
        lambda: fb.lfilter(B.repeat(7, 1), A.repeat(7, 1), X, hop=2, interpolation="linear"), "frames", "5", "6", "7",
    ),
    "frames that differ": (lambda: fb.lfilter(B.repeat(5, 1), A.repeat(4, 1), X, hop=2), "frames", "5", "4"),
}  # fmt: skip


@pytest.mark.parametrize("case", LFILTER_SHAPES.values(), ids=LFILTER_SHAPES)
def test_lfilter_shapes(case):
    refused("lfilter", ValueError, *case)


SOSFILT_SHAPES = {
    "a vector for sos": (lambda: fb.sosfilt(torch.ones(6), X), "sos", "(6,)", "6"),
    "five columns": (lambda: fb.sosfilt(torch.ones(2, 5), X), "sos", "(2, 5)", "6"),
    "a number for x": (lambda: fb.sosfilt(SOS, torch.tensor(1.0)), "x"),
    "dim out of range": (lambda: fb.sosfilt(SOS, X, 2), "dim", "2"),
    "zi of other sections": (lambda: fb.sosfilt(SOS, X, zi=torch.zeros(3, 2)), "zi", "(3, 2)", "(..., 2, 2)"),
    "zi of another order": (lambda: fb.sosfilt(SOS, X, zi=torch.zeros(2, 3)), "zi", "(2, 3)", "(..., 2, 2)"),
    "a vector for zi": (lambda: fb.sosfilt(SOS, X, zi=torch.zeros(2)), "zi", "(2,)", "(..., 2, 2)"),
    "zi of other lanes": (lambda: fb.sosfilt(SOS, X, zi=torch.zeros(5, 2, 2)), "zi (5,)", "(4,)"),
    "sos of other lanes": (lambda: fb.sosfilt(SOS.repeat(5, 1, 1), X), "sos (5,)", "(4,)"),
    "an unknown interpolation": (
        lambda: fb.sosfilt(SOS, X, interpolation="cubic"),
        "interpolation",
        "hold",
        "linear",
        "cubic",
    ),
    "hop of zero": (lambda: fb.sosfilt(SOS[None], X, hop=0), "hop", "0"),
    "no frame axis": (lambda: fb.sosfilt(SOS, X, hop=2), "sos", "frames", "(2, 6)"),
    "too few frames": (lambda: fb.sosfilt(SOS.repeat(4, 1, 1), X, hop=2), "frames", "5", "4"),
}


@pytest.mark.parametrize("case", SOSFILT_SHAPES.values(), ids=SOSFILT_SHAPES)
def test_sosfilt_shapes(case):
    refused("sosfilt", ValueError, *case)


RECURRENCE_SHAPES = {
    "a number for x": (lambda: fb.linear_recurrence(0.5, torch.tensor(1.0)), "x"),
    "dim out of range": (lambda: fb.linear_recurrence(0.5, X, dim=2), "dim", "2"),
    "decay of more axes": (lambda: fb.linear_recurrence(torch.ones(2, 4, 10), X), "decay", "(2, 4, 10)", "(4, 10)"),
    "decay of another length": (lambda: fb.linear_recurrence(torch.ones(4, 9), X), "decay", "9", "10"),
    "decay of other lanes": (lambda: fb.linear_recurrence(torch.ones(5), X), "decay without time (5,)", "(4,)"),
    "decay of other lanes over time": (
        lambda: fb.linear_recurrence(torch.ones(5, 10), X),
        "decay without time (5,)",
        "(4,)",
    ),
    "initial of other lanes": (lambda: fb.linear_recurrence(0.5, X, torch.ones(5)), "initial (5,)", "(4,)"),
}


@pytest.mark.parametrize("case", RECURRENCE_SHAPES.values(), ids=RECURRENCE_SHAPES)
def test_linear_recurrence_shapes(case):
    refused("linear_recurrence", ValueError, *case)


FILTFILT_VALUES = {
    "an unknown padtype": (
        "filtfilt",
        lambda: fb.filtfilt(B, A, X, padtype="mirror", padlen=1),
        "padtype",
        "odd",
        "mirror",
    ),
    "a signal too short": ("filtfilt", lambda: fb.filtfilt(B, A, torch.ones(4, 9)), "x", "9"),
    "padlen as long as the signal": ("filtfilt", lambda: fb.filtfilt(B, A, X, padlen=10), "padlen", "10"),
    "a negative padlen": ("filtfilt", lambda: fb.filtfilt(B, A, X, padlen=-1), "padlen", "-1"),
    "dim out of range": ("filtfilt", lambda: fb.filtfilt(B, A, X, 2, padlen=1), "dim", "2"),
    "an unknown padtype for sos": (
        "sosfiltfilt",
        lambda: fb.sosfiltfilt(SOS, X, padtype="mirror"),
        "padtype",
        "mirror",
    ),
    "a signal too short for sos": ("sosfiltfilt", lambda: fb.sosfiltfilt(SOS, torch.ones(4, 9)), "x", "9"),
    "five columns": ("sosfiltfilt", lambda: fb.sosfiltfilt(torch.ones(2, 5), X), "sos", "(2, 5)", "6"),
    "a number for b": ("lfilter_zi", lambda: fb.lfilter_zi(torch.tensor(1.0), A), "b"),
    "an empty a": ("lfilter_zi", lambda: fb.lfilter_zi(B, torch.ones(0)), "a"),
    "a vector for sos": ("sosfilt_zi", lambda: fb.sosfilt_zi(torch.ones(6)), "sos", "(6,)"),
    "a number for y": ("lfiltic", lambda: fb.lfiltic(B, A, torch.tensor(1.0)), "y"),
    "a number for x": ("lfiltic", lambda: fb.lfiltic(B, A, torch.ones(1), torch.tensor(1.0)), "x"),
}


@pytest.mark.parametrize("case", FILTFILT_VALUES.values(), ids=FILTFILT_VALUES)
def test_filtfilt_and_initial_states(case):
    function, call, *parts = case
    refused(function, ValueError, call, *parts)


BAD_DTYPES = [torch.int64, torch.int32, torch.bool, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", BAD_DTYPES, ids=str)
def test_dtypes_that_no_kernel_has(dtype):
    name = str(dtype).removeprefix("torch.")
    bad = X.to(dtype)
    refused("lfilter", TypeError, lambda: fb.lfilter(B, A, bad), "x", name, "float32")
    refused("lfilter", TypeError, lambda: fb.lfilter(B.to(dtype), A, X), "b", name)
    refused("lfilter", TypeError, lambda: fb.lfilter(B, A.to(dtype), X), "a", name)
    refused("lfilter", TypeError, lambda: fb.lfilter(B, A, X, zi=torch.zeros(4, 2, dtype=dtype)), "zi", name)
    refused("sosfilt", TypeError, lambda: fb.sosfilt(SOS, bad), "x", name)
    refused("sosfilt", TypeError, lambda: fb.sosfilt(SOS.to(dtype), X), "sos", name)
    refused("linear_recurrence", TypeError, lambda: fb.linear_recurrence(0.5, bad), "x", name)
    refused("linear_recurrence", TypeError, lambda: fb.linear_recurrence(A.to(dtype)[:1], X), "decay", name)
    refused(
        "linear_recurrence", TypeError, lambda: fb.linear_recurrence(0.5, X, torch.ones(4).to(dtype)), "initial", name
    )
    refused("filtfilt", TypeError, lambda: fb.filtfilt(B, A, bad, padlen=1), "x", name)
    refused("sosfiltfilt", TypeError, lambda: fb.sosfiltfilt(SOS, bad, padlen=1), "x", name)
    refused("lfilter_zi", TypeError, lambda: fb.lfilter_zi(B.to(dtype), A), "b", name)
    refused("sosfilt_zi", TypeError, lambda: fb.sosfilt_zi(SOS.to(dtype)), "sos", name)
    refused("lfiltic", TypeError, lambda: fb.lfiltic(B, A, bad[0]), "y", name)


def test_compute_dtypes_that_cannot_hold_the_filter():
    for compute in (torch.float16, torch.int64, torch.bfloat16):
        refused(
            "lfilter",
            TypeError,
            lambda c=compute: fb.lfilter(B, A, X, compute_dtype=c),
            "compute_dtype",
            str(compute).removeprefix("torch."),
        )
    wide = X.double()
    refused(
        "lfilter", ValueError, lambda: fb.lfilter(B, A, wide, compute_dtype=torch.float32), "compute_dtype", "float64"
    )
    refused(
        "sosfilt", ValueError, lambda: fb.sosfilt(SOS, wide, compute_dtype=torch.float32), "compute_dtype", "float64"
    )


@pytest.mark.parametrize("bad", [[1.0, 2.0], np.ones(10), "x", None], ids=["list", "array", "string", "none"])
def test_what_is_not_a_tensor(bad):
    kind = type(bad).__name__
    refused("lfilter", TypeError, lambda: fb.lfilter(B, A, bad), "x", kind)
    refused("lfilter", TypeError, lambda: fb.lfilter(bad, A, X), "b", kind)
    refused("sosfilt", TypeError, lambda: fb.sosfilt(bad, X), "sos", kind)
    refused("linear_recurrence", TypeError, lambda: fb.linear_recurrence(bad, X), "decay", kind)


def test_hop_that_is_not_a_whole_number():
    refused("lfilter", TypeError, lambda: fb.lfilter(B[None], A[None], X, hop=2.5), "hop", "float", "int")


def test_other_devices_are_named():
    """A fake tensor stands in for one on a GPU that this machine need not have."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        b, a, x = (torch.empty(n, device="xpu") for n in (3, 2, 10))
        for function, call in (
            ("lfilter", lambda: fb.lfilter(b, a, x)),
            ("lfilter", lambda: fb.lfilter(torch.empty(3), a, torch.empty(10))),
            ("linear_recurrence", lambda: fb.linear_recurrence(0.5, x)),
            ("sosfilt", lambda: fb.sosfilt(torch.empty(2, 6), x)),
        ):
            refused(function, NotImplementedError, call, "xpu", "CPU", "CUDA", ".cpu()")
        on_gpu = torch.empty(10, device="cuda")
        here = [torch.empty(n, device="cpu") for n in (3, 2)]
        refused("lfilter", ValueError, lambda: fb.lfilter(*here, on_gpu), "x", "cuda", "cpu", "b")


def test_the_same_error_under_compile_and_vmap():
    with pytest.raises(ValueError, match="zi"):
        torch.vmap(lambda x: fb.lfilter(B, A, x, zi=torch.zeros(5)))(X)
    with pytest.raises(Exception, match="zi"):
        torch.compile(lambda x: fb.lfilter(B, A, x, zi=torch.zeros(5)), backend="eager")(X)
