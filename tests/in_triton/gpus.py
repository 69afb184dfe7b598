"""A machine with GPUs that are not here, as far as Triton can tell: everything of a launch happens but the last call.

    machine = Machine("sm_90")
    with machine.present(monkeypatch):
        operator(on_gpu(32, 16000))   # such tensors have no numbers
    machine.launches[0].kernel.asm["ptx"]

Triton asks its active driver for the current device, its target and stream, and hands it the binary and the launch.
This driver answers, and notes the launch. Between the two lies what Triton does on a GPU: arguments are bound and
specialized, the binary is looked up or compiled, and its shared memory is checked against the device's.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget

from feedbackward.triton import launch

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
SHARED = {"sm_80": 166_912, "sm_90": 232_448, "gfx942": 65_536}  # bytes that a block may have
THREADS = 1024  # that a block may have
NUMBERS = {"i1": 1, "i32": 32, "i64": 64}  # bits of what the kernels take besides pointers


@dataclass(frozen=True, eq=False)
class Device:
    """One GPU of a machine. Triton keeps what it compiles by device, so those of two machines have to differ."""

    index: int


@dataclass(frozen=True)
class Launch:
    """A launch that would have happened.

    Attributes:
        kernel: The compiled kernel: ``.asm`` has every stage of it, ``.metadata`` its shared memory and more.
        name: The kernel's name in its source.
        device: The index of the GPU.
        stream: The stream, as torch knows it.
        grid: Programs along each axis.
        arguments: What the binary is called with.
    """

    kernel: Any
    name: str
    device: int
    stream: int
    grid: tuple[int, int, int]
    arguments: tuple[Tensor | int, ...]


class Machine:
    """Triton's driver for ``count`` GPUs of one kind; with ``compiles=False`` nothing is launched, but asked for."""

    def __init__(self, target: str, *, count: int = 1, compiles: bool = True) -> None:
        self.name, self.target, self.compiles = target, TARGETS[target], compiles
        self.devices = [Device(i) for i in range(count)]
        self.current = 0
        self.streams = [0] * count  # the current one of every device
        self.launches: list[Launch] = []
        self.compiled: list[str] = []  # the name of every kernel, as often as it was compiled
        self.wanted: set[tuple[str, str]] = set()  # with compiles=False: name and key of what would be compiled
        self.utils = self

    @contextmanager
    def present(self, monkeypatch: Any) -> Iterator[Machine]:
        """While it is open, Triton, torch.cuda.device and the launches see this machine."""
        hooks = triton.knobs.runtime
        with monkeypatch.context() as patch:
            patch.setattr(triton.runtime.driver, "_active", self)
            patch.setattr(torch.cuda, "device", self.on)
            patch.setattr(hooks, "jit_post_compile_hook", lambda **of: self.compiled.append(of["fn"].name))
            if not self.compiles:
                patch.setattr(hooks, "jit_cache_hook", self._want)
            launch.warp_size.cache_clear()
            yield self
        launch.warp_size.cache_clear()

    def _want(self, *, key: str, fn: Any, **_: Any) -> bool:
        self.wanted.add((fn.name, key))
        return True

    @contextmanager
    def on(self, device: torch.device) -> Iterator[None]:
        """What ``torch.cuda.device`` is."""
        before, self.current = self.current, device.index or 0
        yield
        self.current = before

    def get_current_device(self) -> Device:
        """The key by which Triton finds what it compiled for a device."""
        return self.devices[self.current]

    def get_current_stream(self, device: Device) -> int:
        """The stream that a launch goes to."""
        return self.streams[device.index]

    def get_current_target(self) -> GPUTarget:
        """What is compiled for."""
        return self.target

    def get_device_properties(self, device: Device) -> dict[str, int]:
        """What Triton wants to know of a device."""
        return {"max_shared_mem": SHARED[self.name]}

    def load_binary(self, name: str, binary: bytes, shared: int, device: Device) -> tuple[Any, ...]:
        """No module to unload, the device as the function's handle, registers, spills, and threads of a block."""
        assert len(binary) > 0
        return None, device, 0, 0, THREADS

    def launcher_cls(self, source: Any, metadata: Any) -> Any:
        """What calls a binary."""

        def call(x: int, y: int, z: int, stream: int, loaded_on: Device, *rest: Any) -> None:
            given = rest[4:]  # before them: metadata, and the hooks of profilers
            device = self.devices[self.current]
            assert loaded_on is device, "a binary that was loaded on one device is called on another"
            kernel = next(k for k in source.fn.device_caches[device][0].values() if k.src is source)
            arguments = tuple(_flat(tuple(source.signature.values()), given))
            name = source.fn.fn.__name__
            self.launches.append(Launch(kernel, name, device.index, stream, (x, y, z), arguments))

        return call


def _flat(types: Any, values: Any) -> Iterator[Tensor | int]:
    """The arguments that a binary has, which must be what their types say; tuples are taken apart."""
    for kind, value in zip(types, values, strict=True):
        if isinstance(kind, tuple):
            yield from _flat(kind, value)
        elif kind != "constexpr":
            if kind.startswith("*"):
                assert isinstance(value, Tensor)
            else:
                half = 1 << NUMBERS[kind] - 1
                assert -half <= value < half
            yield value


class OnGpu(Tensor):
    """A tensor without numbers that says that it is on a GPU, and so does all that is made of it."""

    place: torch.device

    @property
    def device(self) -> torch.device:
        """Where it says it is; torch's own functions, which this class lets through, are told the truth."""
        return self.place if torch._C._is_torch_function_enabled() else Tensor.device.__get__(self)

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = super().__torch_function__(function, types, args, kwargs or {})
        place = next(_places(args))
        for one in made if isinstance(made, tuple | list) else [made]:
            if isinstance(one, OnGpu):
                one.place = place
        return made


def _places(arguments: Any) -> Iterator[torch.device]:
    for one in arguments:
        if isinstance(one, OnGpu):
            yield one.place
        elif isinstance(one, tuple | list):
            yield from _places(one)


def on_gpu(*shape: int, dtype: torch.dtype = torch.float32, index: int = 0) -> Tensor:
    """A tensor of GPU ``index``; its address is a multiple of 16 bytes, as that of all that torch allocates."""
    made = torch.empty(shape, dtype=dtype, device="meta").as_subclass(OnGpu)
    made.place = torch.device("cuda", index)
    return made


def resources(kernel: Any) -> dict[str, int]:
    """REG: the registers of a thread; STACK: bytes of memory that it wants besides, for what does not fit there."""
    path = next(p for name, p in kernel.metadata_group.items() if name.endswith(".cubin"))
    command = [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", path]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    words = (word.split(":") for word in text.split() if word.count(":") == 1)
    return {key: int(value) for key, value in words if value.isdigit()}
