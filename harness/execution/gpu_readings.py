"""What the driver says, through NVML and to the harness, of a GPU that workers compute on.

https://docs.nvidia.com/deploy/nvml-api/index.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, NamedTuple

from harness.environments.gpus import NvmlUnansweredError, open_nvml
from harness.spec.events import GpuModel, GpuReading

THROTTLE_REASONS = {
    0x001: "gpu_idle",
    0x002: "applications_clocks_setting",
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal_slowdown",
    0x040: "hw_thermal_slowdown",
    0x080: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
    0x200: "board_limit",
    0x400: "reliability",
}
"""Bit → name, both NVML's.
https://docs.nvidia.com/deploy/nvml-api/group__nvmlClocksEventReasons.html"""


class Start(NamedTuple):
    """Just before a worker is asked for a window."""

    seconds: float
    """Of the harness's monotonic clock."""
    energy_joules: float | None


class GpuReader:
    """One GPU, whose readings each take the driver a fraction of a millisecond to a few of them.

    What a GPU, its driver or a virtual machine doesn't tell is None.
    """

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle

    def model(self) -> GpuModel | None:
        """Which GPU it is; nothing where that is not told."""
        name, memory = self._asked("nvmlDeviceGetName"), self._asked("nvmlDeviceGetMemoryInfo")
        if name is None:
            return None
        return GpuModel(name=name, memory_bytes=None if memory is None else memory.total)

    def start(self) -> Start:
        """A window is about to be asked for."""
        return Start(time.perf_counter(), self._energy_joules())

    def since(self, start: Start) -> GpuReading:
        """The state of the GPU now, and what it has used since ``start``."""
        energy_joules = self._energy_joules()
        interval_seconds = time.perf_counter() - start.seconds
        used_joules = None
        if energy_joules is not None and start.energy_joules is not None:
            used_joules = energy_joules - start.energy_joules
        nvml = self._nvml
        utilization = self._asked("nvmlDeviceGetUtilizationRates")
        power_milliwatts = self._asked("nvmlDeviceGetPowerUsage")
        return GpuReading(
            sm_clock_mhz=self._asked("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM),
            memory_clock_mhz=self._asked("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM),
            temperature_celsius=self._asked("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU),
            power_watts=None if power_milliwatts is None else power_milliwatts / 1000,
            utilization=None if utilization is None else utilization.gpu / 100,
            throttle_reasons=reason_names(self._throttle_mask()),
            interval_seconds=interval_seconds,
            energy_joules=used_joules,
        )

    def memory_of(self, pid: int) -> int | None:
        """Bytes of the GPU that the process holds; nothing where the driver doesn't show it.

        The driver counts processes as the host does: from within a container they can have other
        numbers, or not be seen at all.
        """
        processes = self._asked("nvmlDeviceGetComputeRunningProcesses") or ()
        return next((each.usedGpuMemory for each in processes if each.pid == pid), None)

    def _energy_joules(self) -> float | None:
        """Of the board, since the driver was loaded."""
        millijoules = self._asked("nvmlDeviceGetTotalEnergyConsumption")
        return None if millijoules is None else millijoules / 1000

    def _throttle_mask(self) -> int:
        mask = self._asked("nvmlDeviceGetCurrentClocksEventReasons")
        if mask is None:  # drivers before 535 have only the older name
            mask = self._asked("nvmlDeviceGetCurrentClocksThrottleReasons")
        return mask or 0

    def _asked(self, function: str, *arguments: Any) -> Any:
        try:
            return getattr(self._nvml, function)(self._handle, *arguments)
        except self._nvml.NVMLError:
            return None


OpenGpu = Callable[[str], AbstractContextManager[GpuReader | None]]
"""From what ``CUDA_VISIBLE_DEVICES`` shows a worker to the reader of that GPU."""


@contextmanager
def open_gpu(visible: str) -> Iterator[GpuReader | None]:
    """The reader of the GPU named ``visible``, open in the context; nothing without a driver.

    ``visible``: the GPU's number in the order of PCI bus addresses, which is NVML's own, or the
    beginning of its UUID.
    """
    with ExitStack() as stack:
        try:
            nvml = stack.enter_context(open_nvml())
        except NvmlUnansweredError:
            yield None
            return
        handle = _handle(nvml, visible)
        yield None if handle is None else GpuReader(nvml, handle)


def reason_names(mask: int) -> tuple[str, ...]:
    """Names of the bits in ``mask``, the lowest first; one that is new gets its number."""
    bits = (1 << place for place in range(mask.bit_length()))
    return tuple(THROTTLE_REASONS.get(bit, f"0x{bit:x}") for bit in bits if mask & bit)


def _handle(nvml: Any, visible: str) -> Any:
    try:
        if visible.isdecimal():
            return nvml.nvmlDeviceGetHandleByIndex(int(visible))
        handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
        return next(
            (each for each in handles if nvml.nvmlDeviceGetUUID(each).startswith(visible)), None
        )
    except nvml.NVMLError:
        return None
