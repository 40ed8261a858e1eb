"""The preflight on machines as NVML describes them, with the limits of the real GPU builds."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from harness import paths
from harness.environments.gpus import Gpu, Gpus, read_gpus
from harness.errors import WorkplaceError
from harness.execution.planning import Choice, LeftOut
from harness.execution.preflight import (
    check_gpu_memory,
    check_idle,
    chosen_gpu,
    doubts,
    fit_choices,
)
from harness.spec.implementations import read_implementations

KNOWN = read_implementations(paths.IMPLS)
ALL = ("pytorch", "gluon", "keras")

Machine = Callable[[str], tuple[Gpus, Gpu]]


@pytest.fixture
def machine(nvml: Callable[[str], None]) -> Machine:
    def machine(name: str) -> tuple[Gpus, Gpu]:
        nvml(name)
        gpus = read_gpus()
        return gpus, gpus.devices[-1]

    return machine


def choices(*names: str) -> list[Choice]:
    return [Choice(KNOWN[name], None) for name in names]


def one_line(caught: pytest.ExceptionInfo[WorkplaceError]) -> str:
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "no_driver",
            "No GPU found for --device gpu (no NVIDIA driver is installed), expected one: "
            "install NVIDIA's driver, or measure with --device cpu",
        ),
        ("not_loaded", "installed but not loaded), expected one: see what nvidia-smi says"),
        ("updated", "updated since it was loaded), expected one: restart the machine"),
        ("refused", "refuses this user), expected one: ask for access to /dev/nvidia"),
        ("lost", "No GPU found for --device gpu (NVML error 15), expected one: see what"),
        ("none", "No GPU found for --device gpu (driver 580.95.05 shows none), expected one"),
    ],
)
def test_a_machine_without_a_gpu(nvml: Callable[[str], None], name: str, line: str) -> None:
    nvml(name)
    with pytest.raises(WorkplaceError) as caught:
        chosen_gpu(read_gpus(), "gpu", "0")
    assert line in one_line(caught)


@pytest.mark.parametrize(
    ("name", "index"),
    [("0", 0), ("1", 1), ("2", 2), ("GPU-c04d1e7a-2b6f-4d39-b8a2-91e5f7c6a543", 1), ("GPU-f1", 2)],
)
def test_a_gpu_is_chosen_by_number_or_uuid(machine: Machine, name: str, index: int) -> None:
    gpus, _ = machine("several")
    assert chosen_gpu(gpus, "gpu:1", name).index == index


@pytest.mark.parametrize("name", ["3", "GPU-", "GPU-0000"])
def test_a_gpu_that_is_not_there(machine: Machine, name: str) -> None:
    gpus, _ = machine("several")
    with pytest.raises(WorkplaceError) as caught:
        chosen_gpu(gpus, "gpu:3", name)
    line = one_line(caught)
    assert line.startswith(f"No GPU {name} for --device gpu:3, expected one of GPU 0 (Tesla V100")
    assert "choose one of these with --device gpu:N" in line


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("divided", "GPU 0 (NVIDIA H100 80GB HBM3) is divided into parts (MIG is on), expected"),
        ("exclusive", "has the compute mode exclusive, expected default, since contenders share"),
    ],
)
def test_a_gpu_that_is_set_up_for_something_else(machine: Machine, name: str, line: str) -> None:
    gpus, _ = machine(name)
    with pytest.raises(WorkplaceError) as caught:
        chosen_gpu(gpus, "gpu", "0")
    assert line in one_line(caught)


def test_a_part_of_a_gpu_is_refused(machine: Machine) -> None:
    gpus, _ = machine("divided")
    with pytest.raises(WorkplaceError, match="a part of a GPU, expected a whole one"):
        chosen_gpu(gpus, "gpu", "MIG-3e9f")


def test_what_has_no_code_for_a_new_gpu_is_left_out_with_its_reason(machine: Machine) -> None:
    fit, left_out = fit_choices(choices(*ALL), *machine("h100"))
    assert [choice.implementation.name for choice in fit] == ["pytorch", "keras"]
    assert left_out == [
        LeftOut(
            "gluon",
            "MXNet Gluon for CUDA 11.7 has machine code for compute capability 5.0, 6.0, 7.0, 8.0, "
            "8.6 and no PTX, got 9.0, GPU 0 (NVIDIA H100 80GB HBM3): choose another GPU with "
            "--device gpu:N",
        )
    ]


def test_a_driver_that_is_too_old_for_one_leaves_that_out(machine: Machine) -> None:
    fit, left_out = fit_choices(choices(*ALL), *machine("older_than_cuda_13"))
    assert [choice.implementation.name for choice in fit] == ["gluon", "keras"]
    assert left_out == [
        LeftOut(
            "pytorch",
            "PyTorch for CUDA 13.0 needs NVIDIA's driver 580 or newer, got 535.183.01: "
            "update the driver",
        )
    ]


def test_with_one_left_of_several_there_is_nothing_to_compare(machine: Machine) -> None:
    with pytest.raises(WorkplaceError) as caught:
        fit_choices(choices(*ALL), *machine("old_driver"))
    line = one_line(caught)
    assert line.startswith("Only gluon can run on GPU 0 (NVIDIA A100-SXM4-40GB), expected two or")
    assert "pytorch: PyTorch for CUDA 13.0 needs NVIDIA's driver 580 or newer" in line
    assert "keras: Keras (TensorFlow) for CUDA 12.5 needs NVIDIA's driver 525.60.13" in line
    assert line.endswith("or measure gluon alone with -f gluon")


def test_the_only_one_that_was_asked_for_is_enough(machine: Machine) -> None:
    fit, left_out = fit_choices(choices("keras"), *machine("h100"))
    assert (len(fit), left_out) == (1, [])
    versions = [Choice(KNOWN["keras"], "3.14"), Choice(KNOWN["keras"], None)]
    assert fit_choices(versions, *machine("h100")) == (versions, [])


def test_the_only_one_that_was_asked_for_has_to_run(machine: Machine) -> None:
    with pytest.raises(WorkplaceError) as caught:
        fit_choices(choices("gluon"), *machine("h100"))
    line = one_line(caught)
    assert line.startswith("gluon: MXNet Gluon for CUDA 11.7 has machine code for")
    assert line.endswith("or measure with --device cpu")


def test_where_none_runs_all_reasons_are_given(machine: Machine) -> None:
    with pytest.raises(WorkplaceError) as caught:
        fit_choices(choices("pytorch", "keras"), *machine("old_driver"))
    line = one_line(caught)
    assert line.startswith("No framework can run on GPU 0")
    assert "driver 580" in line
    assert "driver 525.60.13" in line


def test_an_implementation_without_limits_is_left_out(machine: Machine) -> None:
    unlimited = msgspec.structs.replace(KNOWN["keras"], gpu=None)
    with pytest.raises(WorkplaceError, match=r"has no \[gpu\] in its impl.toml, expected what"):
        fit_choices([Choice(unlimited, None)], *machine("h100"))


def test_both_of_a_pair_are_left_out_where_one_can_not_run(machine: Machine) -> None:
    older = msgspec.structs.replace(KNOWN["keras"], gpu=None, variant="base-1")
    pairs = [Choice(older, None), *choices("keras", "pytorch", "pytorch", "gluon", "gluon")]
    gpus, _ = machine("several")
    fit, left_out = fit_choices(pairs, gpus, gpus.devices[1])
    assert fit == choices("pytorch", "pytorch", "gluon", "gluon")
    assert [one.what for one in left_out] == ["keras"]


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("busy", "is in use: python3.11 (4711), process (4712), expected nobody else"),
        ("busy_unseen", "busy for 64% of the time, by what can't be seen from here"),
    ],
)
def test_a_gpu_that_others_use(machine: Machine, name: str, who: str) -> None:
    _, gpu = machine(name)
    with pytest.raises(WorkplaceError) as caught:
        check_idle(gpu)
    assert who in one_line(caught)


@pytest.mark.parametrize("name", ["h100", "several", "shared_memory"])
def test_a_gpu_that_is_free_or_only_draws(machine: Machine, name: str) -> None:
    """The last of several draws a desktop, and another has work of somebody else."""
    check_idle(machine(name)[1])


def test_all_contenders_have_to_fit_into_what_is_free(machine: Machine) -> None:
    _, gpu = machine("little_memory")
    check_gpu_memory(gpu, [700, 800])
    with pytest.raises(WorkplaceError) as caught:
        check_gpu_memory(gpu, [700, 800, 100])
    assert one_line(caught) == (
        "Not enough memory on GPU 0 (NVIDIA T400): 3 workers, alive together, need 1.6 GiB, "
        "1.5 GiB of 2.0 GiB is free: close what else uses it, or compare fewer at once with "
        "-f, --mode or --no-aa"
    )


def test_memory_that_is_not_told_is_no_obstacle(machine: Machine) -> None:
    check_gpu_memory(machine("shared_memory")[1], [10**9])


def test_limits_of_our_builds_are_doubts_about_those_that_were_there_already(
    machine: Machine,
) -> None:
    """Another build may have what ours lacks; one of ours beside it is left out as ever."""
    gpus, gpu = machine("h100")
    theirs = msgspec.structs.replace(KNOWN["gluon"], pythons={"new": "/theirs/python"})
    asked = [Choice(theirs, "new"), Choice(theirs, None), *choices("pytorch")]
    fit, left_out = fit_choices(asked, gpus, gpu)
    assert fit == [asked[0], asked[2]]
    assert [each.what for each in left_out] == ["gluon"]
    [doubt] = doubts(asked, gpus, gpu)
    assert doubt.startswith("/theirs/python is not held to the limits of our own build")
    assert "no PTX, got 9.0, GPU 0 (NVIDIA H100 80GB HBM3)" in doubt
    assert "\n" not in doubt
    assert not doubts(choices("pytorch", "gluon"), gpus, gpu)


def test_what_no_one_has_made_for_gpus_is_left_out_all_the_same(machine: Machine) -> None:
    gpus, gpu = machine("h100")
    theirs = msgspec.structs.replace(KNOWN["gluon"], gpu=None, pythons={"": "/theirs/python"})
    with pytest.raises(WorkplaceError, match=r"has no \[gpu\] in its impl.toml"):
        fit_choices([Choice(theirs, None)], gpus, gpu)
