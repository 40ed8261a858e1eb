from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from harness.environments.gpus import Gpu, GpuProcess, gpu_names, read_gpus

Answer = Callable[[str], None]


def test_all_that_is_asked_is_read(nvml: Answer) -> None:
    nvml("busy")
    found = read_gpus()
    assert (found.driver, found.cuda, found.problem) == ("580.95.05", "13.0", None)
    assert found.devices == (
        Gpu(
            index=0,
            name="NVIDIA A100-SXM4-40GB",
            uuid="GPU-1b9e44d0-8f0a-4f7d-8c55-2a3c1e9d7f21",
            compute_capability=(8, 0),
            memory_total_bytes=40960 * 2**20,
            memory_free_bytes=21000 * 2**20,
            busy_share=0.97,
            processes=(GpuProcess(pid=4711, name="python3.11"), GpuProcess(pid=4712)),
        ),
    )


def test_what_a_gpu_does_not_say_is_left_open(nvml: Answer) -> None:
    nvml("shared_memory")
    [gpu] = read_gpus().devices
    assert (gpu.memory_total_bytes, gpu.memory_free_bytes, gpu.busy_share) == (None, None, None)
    assert (gpu.compute_mode, gpu.mig, gpu.processes) == ("default", False, ())


@pytest.mark.parametrize(
    ("machine", "mode", "mig"), [("exclusive", "exclusive", False), ("divided", "default", True)]
)
def test_how_a_gpu_is_set_up_is_read(nvml: Answer, machine: str, mode: str, mig: bool) -> None:
    nvml(machine)
    [gpu] = read_gpus().devices
    assert (gpu.compute_mode, gpu.mig) == (mode, mig)


@pytest.mark.parametrize(
    ("machine", "problem", "said"),
    [
        ("no_driver", "no driver", "NVML error 12"),
        ("not_loaded", "not loaded", "NVML error 9"),
        ("updated", "mismatch", "NVML error 18"),
        ("refused", "no permission", "NVML error 4"),
        ("lost", None, "NVML error 15"),
    ],
)
def test_why_nothing_answers_is_kept(
    nvml: Answer, machine: str, problem: str | None, said: str
) -> None:
    nvml(machine)
    found = read_gpus()
    assert (found.problem, found.said, found.devices) == (problem, said, ())
    assert gpu_names() == (None, None)


@pytest.mark.parametrize(
    ("machine", "names"),
    [
        ("h100", ("NVIDIA H100 80GB HBM3", "580.95.05")),
        ("several", ("Tesla V100-SXM2-16GB, 2 × NVIDIA GeForce RTX 4090", "580.95.05")),
        ("none", (None, "580.95.05")),
    ],
)
def test_gpus_are_named(nvml: Answer, machine: str, names: tuple[str | None, str]) -> None:
    nvml(machine)
    assert gpu_names() == names


def test_without_bindings_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert read_gpus().problem == "no bindings"
    assert gpu_names() == (None, None)


@pytest.mark.parametrize("machine", ["h100", "lost"])
def test_nvml_is_ended_whatever_happens(nvml: Answer, machine: str) -> None:
    nvml(machine)
    read_gpus()
    gpu_names()
    assert sys.modules["pynvml"]._state["begun"] == 0


def test_the_bindings_themselves_answer_here() -> None:
    """With a GPU or without one: the real module, not the stand-in."""
    found = read_gpus()
    assert bool(found.devices) == (gpu_names()[0] is not None)
    if not found.devices:
        assert found.problem is not None or found.said or found.driver
