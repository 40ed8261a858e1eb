"""What NVIDIA's driver says of this machine's GPUs, through NVML: read only, nothing is changed.

NVML is the library behind ``nvidia-smi`` and comes with the driver; ``pynvml`` (the distribution
``nvidia-ml-py``) calls it. https://docs.nvidia.com/deploy/nvml-api/index.html
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import msgspec

T = TypeVar("T")

ComputeMode = Literal["default", "prohibited", "exclusive"]
Problem = Literal["no bindings", "no driver", "not loaded", "mismatch", "no permission"]
"""Why NVML does not answer. ``mismatch``: the driver was updated since it was loaded."""

_PROBLEMS: dict[int, Problem] = {
    4: "no permission",
    9: "not loaded",
    12: "no driver",
    18: "mismatch",
}
"""By ``nvmlReturn_t``."""
_MODES: dict[int, ComputeMode] = {0: "default", 1: "exclusive", 2: "prohibited", 3: "exclusive"}
"""By ``nvmlComputeMode_t``."""


class GpuProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A process that computes on a GPU."""

    pid: int
    name: str = ""
    """Empty where NVML does not say, as from within a container."""


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU, as it is now. None: it does not say."""

    index: int
    """In the driver's order, which is that of ``CUDA_DEVICE_ORDER=PCI_BUS_ID``."""
    name: str
    uuid: str
    compute_capability: tuple[int, int]
    memory_total_bytes: int | None
    memory_free_bytes: int | None
    busy_share: float | None
    """Of the last fraction of a second, the share in which anything ran on it."""
    processes: tuple[GpuProcess, ...]
    """Those that compute; not those that only draw, such as a desktop."""
    compute_mode: ComputeMode = "default"
    mig: bool = False
    """Whether it is divided into instances (MIG), which are then what can be computed on."""

    @property
    def title(self) -> str:
        """``GPU 0 (NVIDIA H100)``."""
        return f"GPU {self.index} ({self.name})"


class Gpus(msgspec.Struct, frozen=True, kw_only=True):
    """All that the driver shows this process."""

    driver: str | None = None
    cuda: str | None = None
    """The newest CUDA that the driver serves by itself."""
    devices: tuple[Gpu, ...] = ()
    problem: Problem | None = None
    said: str = ""
    """What NVML said where it failed in another way."""


def read_gpus() -> Gpus:
    """The driver and every GPU; a problem instead where there is none. Never raises for that."""
    try:
        with open_nvml() as nvml:
            return Gpus(
                driver=_text(nvml.nvmlSystemGetDriverVersion()),
                cuda=_cuda_version(nvml),
                devices=tuple(_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())),
            )
    except NvmlUnansweredError as unanswered:
        return Gpus(problem=unanswered.problem, said=str(unanswered))


def gpu_names() -> tuple[str | None, str | None]:
    """Names of the GPUs and the driver's version; nothing without GPU, driver or bindings."""
    try:
        with open_nvml() as nvml:
            handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
            names = Counter(_text(nvml.nvmlDeviceGetName(handle)) for handle in handles)
            driver = _text(nvml.nvmlSystemGetDriverVersion())
    except NvmlUnansweredError:
        return None, None
    gpus = [name if count == 1 else f"{count} × {name}" for name, count in names.items()]
    return ", ".join(gpus) or None, driver


class NvmlUnansweredError(Exception):
    """NVML is not there, or failed."""

    def __init__(self, problem: Problem | None, said: str = "") -> None:
        super().__init__(said)
        self.problem = problem


@contextmanager
def open_nvml() -> Iterator[Any]:
    """NVML's bindings, begun; ended afterwards.

    Raises:
        NvmlUnansweredError: in place of whatever NVML raises, in the context too.
    """
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        raise NvmlUnansweredError("no bindings") from None
    try:
        nvml.nvmlInit()
        try:
            yield nvml
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        raise NvmlUnansweredError(_PROBLEMS.get(getattr(error, "value", 0)), str(error)) from None


def _gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    # A GPU without memory of its own, a divided one and one that is shared out leave some unsaid.
    memory = _or_none(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    used = _or_none(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
    mode = _or_none(nvml, lambda: nvml.nvmlDeviceGetComputeMode(handle))
    mig = _or_none(nvml, lambda: nvml.nvmlDeviceGetMigMode(handle))
    running = _or_none(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) or []
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Gpu(
        index=index,
        name=_text(nvml.nvmlDeviceGetName(handle)),
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        compute_capability=(int(major), int(minor)),
        memory_total_bytes=None if memory is None else int(memory.total),
        memory_free_bytes=None if memory is None else int(memory.free),
        busy_share=None if used is None else used.gpu / 100,
        processes=tuple(GpuProcess(pid=one.pid, name=_name(nvml, one.pid)) for one in running),
        compute_mode=_MODES.get(0 if mode is None else int(mode), "default"),
        mig=mig is not None and bool(mig[0]),
    )


def _name(nvml: Any, pid: int) -> str:
    """The program's file name, without its folder."""
    path = _or_none(nvml, lambda: _text(nvml.nvmlSystemGetProcessName(pid))) or ""
    return path.rsplit("/", 1)[-1]


def _cuda_version(nvml: Any) -> str | None:
    """``12.4``; NVML says 12040."""
    number = _or_none(nvml, nvml.nvmlSystemGetCudaDriverVersion_v2)
    return None if number is None else f"{number // 1000}.{number % 1000 // 10}"


def _or_none(nvml: Any, ask: Callable[[], T]) -> T | None:
    """The answer; nothing where this GPU or driver has none."""
    try:
        return ask()
    except nvml.NVMLError:
        return None


def _text(value: bytes | str) -> str:
    """Older bindings answer with bytes."""
    return value.decode() if isinstance(value, bytes) else value
