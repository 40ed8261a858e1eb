"""NVIDIA's bindings as they answer on another machine: the one in the file NVML_ANSWERS.

The functions, structures and errors have the names and types of the distribution nvidia-ml-py. It
stands in for it on PYTHONPATH, or in ``sys.modules``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

NOT_SUPPORTED = 3
UNINITIALIZED = 1
NOT_FOUND = 6


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return f"NVML error {self.value}"


_state: dict[str, Any] = {"begun": 0}


def nvmlInit() -> None:
    answers = json.loads(Path(os.environ["NVML_ANSWERS"]).read_text())
    if "error" in answers:
        raise NVMLError(answers["error"])
    _state["answers"] = answers
    _state["begun"] += 1


def nvmlShutdown() -> None:
    _state["begun"] -= 1


def nvmlSystemGetDriverVersion() -> str:
    return str(_answers()["driver"])


def nvmlSystemGetCudaDriverVersion_v2() -> int:
    return int(_answers()["cuda"])


def nvmlDeviceGetCount() -> int:
    return len(_answers()["gpus"])


def nvmlDeviceGetHandleByIndex(index: int) -> Any:
    gpu = _answers()["gpus"][index]
    if "lost" in gpu:
        raise NVMLError(gpu["lost"])
    return gpu


def nvmlDeviceGetName(handle: Any) -> Any:
    name = _asked(handle, "name")
    return name.encode() if handle.get("old_bindings") else name


def nvmlDeviceGetUUID(handle: Any) -> Any:
    return _asked(handle, "uuid")


def nvmlDeviceGetCudaComputeCapability(handle: Any) -> list[int]:
    return list(_asked(handle, "capability"))


def nvmlDeviceGetMemoryInfo(handle: Any) -> SimpleNamespace:
    total, free = (mib * 2**20 for mib in _asked(handle, "memory_mib"))
    return SimpleNamespace(total=total, free=free, used=total - free)


def nvmlDeviceGetUtilizationRates(handle: Any) -> SimpleNamespace:
    return SimpleNamespace(gpu=_asked(handle, "utilization"), memory=0)


def nvmlDeviceGetComputeRunningProcesses(handle: Any) -> list[SimpleNamespace]:
    return [SimpleNamespace(pid=pid, usedGpuMemory=None) for pid, _ in _asked(handle, "processes")]


def nvmlSystemGetProcessName(pid: int) -> str:
    for gpu in _answers()["gpus"]:
        for one, name in gpu.get("processes", []):
            if one == pid and name:
                return str(name)
    raise NVMLError(NOT_FOUND)


def nvmlDeviceGetComputeMode(handle: Any) -> int:
    return int(_asked(handle, "compute_mode"))


def nvmlDeviceGetMigMode(handle: Any) -> list[int]:
    return list(_asked(handle, "mig"))


def _answers() -> Any:
    if not _state["begun"]:
        raise NVMLError(UNINITIALIZED)
    return _state["answers"]


def _asked(handle: Any, what: str) -> Any:
    _answers()
    if what not in handle:
        raise NVMLError(NOT_SUPPORTED)
    return handle[what]
