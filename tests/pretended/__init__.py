"""A GPU that is not there: CUDA tensors whose memory is the CPU's, for tests of everything above the kernels.

    pretended.install()    # before anything imports torch

`gpu.cpp` says what they are. The library's operators are computed by the native kernels, or, in Triton's interpreter
(``TRITON_INTERPRET=1``), by the launchers and kernels that a GPU would run.
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import importlib.util
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SOURCE = Path(__file__).with_name("gpu.cpp")


def install() -> None:
    """Two pretended GPUs, until this process ends.

    Raises:
        RuntimeError: torch is imported already, or this is a build for GPUs.
    """
    if "torch" in sys.modules:
        raise RuntimeError("pretended.install() comes after torch, which asks for GPUs once, at its import")
    exchange = ctypes.CDLL(str(_built()), mode=ctypes.RTLD_GLOBAL).exchange_device
    import torch

    properties = SimpleNamespace(name="a pretended GPU", major=9, minor=0, warp_size=32, multi_processor_count=132)
    of_module = {
        "_lazy_init": lambda: None,
        "_exchange_device": lambda index: exchange(index),
        "_maybe_exchange_device": lambda index: exchange(index),
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "is_bf16_supported": lambda including_emulation=True: True,
        "device_count": lambda: 2,
        "current_device": lambda: exchange(-1),
        "is_current_stream_capturing": lambda: False,
        "synchronize": lambda device=None: None,
        "get_device_name": lambda device=None: properties.name,
        "get_device_capability": lambda device=None: (9, 0),
        "get_device_properties": lambda device=None: properties,
        "get_rng_state": lambda device="cuda": torch.empty(0, dtype=torch.uint8, device="cpu"),
        "set_rng_state": lambda state, device="cuda": None,
        "manual_seed": lambda seed: None,
        "manual_seed_all": lambda seed: None,
    }
    for name, value in of_module.items():
        setattr(torch.cuda, name, value)
    torch.backends.cudnn.is_acceptable = lambda tensor: False
    torch.UntypedStorage.clone = _cloned
    torch.serialization.register_package(5, lambda storage: None, _restored)
    _write_out()
    # torch's threads of backward let go of Python's objects after it, which aborts a process that is ending by then.
    atexit.register(time.sleep, 0.5)
    if os.environ.get("TRITON_INTERPRET") == "1":
        from triton.runtime import driver

        driver.set_active(SimpleNamespace(get_current_target=lambda: SimpleNamespace(warp_size=32)))
    else:
        _compute_natively()


def _compute_natively() -> None:
    """The library's operators on CUDA tensors are those for the CPU."""
    import torch

    from feedbackward.ops import device
    from feedbackward.ops import library as library  # which registers them

    device.takes = lambda tensor: False
    for registered in device._libraries:
        registered._destroy()
    ours = torch.library.Library("feedbackward", "IMPL")
    _kept.append(ours)
    ours.impl("multiply", _missing, "CUDA")


def _missing(*arguments: Any) -> Any:
    """What has no kernel for GPUs has none for pretended ones."""
    raise NotImplementedError("feedbackward::multiply is of the CPU alone")


def _built() -> Path:
    """The compiled library, made where it is not there yet or is of other sources."""
    (folder,) = importlib.util.find_spec("torch").submodule_search_locations
    torch = Path(folder)
    version = runpy.run_path(str(torch / "version.py"))
    if version["cuda"] or version["hip"]:
        raise RuntimeError("this torch has kernels for GPUs of its own: pretended ones need a build for the CPU")
    key = hashlib.sha256(SOURCE.read_bytes() + (torch / "version.py").read_bytes()).hexdigest()[:16]
    library = SOURCE.parents[2] / "build" / "pretended" / f"gpu-{key}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        made = library.with_suffix(f".{os.getpid()}")
        includes = [f"-I{torch / 'include'}", f"-I{torch / 'include/torch/csrc/api/include'}"]
        libraries = [f"-L{torch / 'lib'}", "-ltorch", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{torch / 'lib'}"]
        command = [os.environ.get("CXX", "c++"), "-std=c++20", "-O1", "-fPIC", "-shared", str(SOURCE), "-o", str(made)]
        subprocess.run(command + includes + libraries, check=True)
        made.replace(library)
    return library


def _cloned(storage: Any) -> Any:
    """A copy on the same GPU, for copies of modules: torch asks its own build for one."""
    import torch

    whole = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
    return whole.clone().untyped_storage()


def _restored(storage: Any, location: str) -> Any:
    """A saved storage back on its GPU."""
    import torch

    if not location.startswith("cuda"):
        return None
    loaded = torch.empty(0, dtype=torch.uint8, device="cpu").set_(storage)
    return loaded.to(location).untyped_storage()


def _write_out() -> None:
    """What torch has kernels for on CUDA tensors alone, in other operators."""
    import torch

    def gru(gates: Any, hidden: Any, h: Any, b: Any = None, c: Any = None) -> Any:
        gates, hidden = (gates if b is None else gates + b), (hidden if c is None else hidden + c)
        r, z, n = gates.chunk(3, -1)
        u, v, w = hidden.chunk(3, -1)
        z, n = torch.sigmoid(z + v), torch.tanh(n + torch.sigmoid(r + u) * w)
        return n + z * (h - n), h.new_empty(0)

    def lstm(gates: Any, hidden: Any, c: Any, b: Any = None, d: Any = None) -> Any:
        both = gates + hidden if b is None else gates + hidden + b + d
        i, f, g, o = both.chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c, c.new_empty(0)

    def depthwise(x: Any, weight: Any, size: Any, bias: Any, *settings: Any) -> Any:
        given = (None if t is None else t.cpu() for t in (x, weight, bias))
        return torch.nn.functional.conv2d(*given, *settings, groups=x.shape[1]).to(x.device)

    library = torch.library.Library("aten", "IMPL")
    _kept.append(library)
    library.impl("_conv_depthwise2d", depthwise, "CUDA")
    for key in ("CUDA", "AutogradCUDA"):
        library.impl("_thnn_fused_gru_cell", gru, key)
        library.impl("_thnn_fused_lstm_cell", lstm, key)


_kept: list[Any] = []  # what they registered lives as long as they do
