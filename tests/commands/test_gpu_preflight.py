"""What a GPU lacks is said in one line before anything is downloaded or made."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import matplotlib
import msgspec
import pytest

from harness import paths
from harness.commands import plan
from harness.commands.catalogue import read_catalogue
from harness.commands.gpu_preflight import (
    cells_before_installation,
    check_device_free,
    fit_for_device,
)
from harness.commands.plan import plan_run
from harness.console import Console
from harness.environments import gpus
from harness.environments.records import SyncedEnvironment
from harness.errors import WorkplaceError
from harness.execution.planning import Choice
from harness.spec.machine import Environment
from harness.spec.selection import FrameworkChoice, Selection

from .conftest import Levelfield

pytestmark = pytest.mark.heavy

NVML = paths.ROOT / "tests" / "environments" / "nvml"
NO_DRIVER = (
    "levelfield: No GPU found for --device gpu (no NVIDIA driver is installed), expected one"
)


@pytest.fixture
def on(levelfield: Levelfield, tmp_path: Path) -> Callable[..., str]:
    """The one line that a command ends with on a machine; nothing was downloaded or made."""

    def call(machine: str, *arguments: str, **variables: str) -> str:
        cache = tmp_path / "cache"
        done = levelfield(
            *arguments,
            PYTHONPATH=os.pathsep.join([str(NVML), str(paths.ROOT)]),
            NVML_ANSWERS=str(NVML / f"{machine}.json"),
            XDG_CACHE_HOME=str(cache),
            LEVELFIELD_DATA=str(tmp_path / "no-data"),
            # Its list of fonts is made once; in an empty cache that takes long, and it says so.
            **{"MPLCONFIGDIR": matplotlib.get_cachedir(), **variables},
        )
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
        [line] = done.stderr.splitlines()
        assert not cache.exists()
        assert not (tmp_path / "results").exists()
        return line

    return call


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "gpu"),
        ("run", "cpu", "--device", "gpu"),
        ("verify", "--device", "gpu"),
        ("compare", "keras@3.15.1", "keras@3.14.0", "--device", "gpu"),
        ("gate", "-f", "keras", "--base-framework", "keras@3.14.0", "--device", "gpu"),
    ],
)
def test_without_a_driver_every_command_says_the_same(on, arguments) -> None:
    assert on("no_driver", *arguments).startswith(NO_DRIVER)


@pytest.mark.parametrize(
    ("machine", "arguments", "expected"),
    [
        ("old_driver", (), "Only gluon can run on GPU 0 (NVIDIA A100-SXM4-40GB), expected two"),
        ("h100", ("-f", "gluon"), "MXNet Gluon for CUDA 11.7 has machine code for compute"),
        ("busy", (), "is in use: python3.11 (4711), process (4712), expected nobody else on it"),
        ("several", (), "GPU 0 (Tesla V100-SXM2-16GB)"),
        ("several", ("--device", "gpu:7"), "No GPU 7 for --device gpu:7, expected one of GPU 0"),
        ("little_memory", (), "Not enough memory on GPU 0 (NVIDIA T400): 7 workers, alive"),
        (
            "little_memory",
            ("-f", "keras", "--no-aa", "--mode", "xla", "--mode", "compiled"),
            "2 wo",
        ),
        ("divided", (), "is divided into parts (MIG is on)"),
    ],
)
def test_what_a_gpu_lacks_is_one_line(on, machine, arguments, expected) -> None:
    assert expected in on(machine, "run", "gpu", *arguments)


@pytest.mark.parametrize(
    ("visible", "arguments", "expected"),
    [
        ("1", ("--device", "gpu:1"), "No GPU 1: CUDA_VISIBLE_DEVICES is '1' and shows 1"),
        ("", (), "No GPU 0: CUDA_VISIBLE_DEVICES is '' and shows 0"),
        ("5", (), "No GPU 5 for --device gpu, expected one of GPU 0 (Tesla V100"),
        ("GPU-77c2", ("-f", "gluon"), "GPU 0 (Tesla V100-SXM2-16GB) is in use: python3 (99)"),
    ],
)
def test_gpus_that_cuda_does_not_show(on, visible, arguments, expected) -> None:
    line = on("several", "run", "gpu", *arguments, CUDA_VISIBLE_DEVICES=visible)
    assert expected in line


class Begun(Exception):
    """The preflight was passed."""


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str]]:
    """Frameworks and device of the environments that a plan would make: gigabytes, so it ends."""
    asked: list[tuple[list[str], str]] = []

    def sync(console: object, choices: list[Choice], device: str, **_: object) -> None:
        asked.append(([choice.implementation.name for choice in choices], device))
        raise Begun

    monkeypatch.setattr(plan, "sync_environments", sync)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return asked


@pytest.mark.parametrize(
    ("machine", "device", "frameworks"),
    [
        ("h100", "gpu", ["pytorch", "keras"]),
        ("older_than_cuda_13", "gpu", ["gluon", "keras"]),
        ("several", "gpu:1", ["pytorch", "gluon", "keras"]),
    ],
)
def test_a_run_goes_on_with_those_that_can(nvml, synced, machine, device, frameworks) -> None:
    nvml(machine)
    catalogue = read_catalogue()
    with pytest.raises(Begun):
        plan_run(
            Console(), catalogue, catalogue.suites["gpu"], Selection(device=device), ("levelfield",)
        )
    assert synced == [(frameworks, device)]


def test_the_plan_carries_who_was_left_out_and_why(nvml, monkeypatch) -> None:
    def as_if_made(console: object, choices: list[Choice], device: str, **_: object):
        return [
            SyncedEnvironment(
                folder="",
                python="",
                record=Environment(
                    framework=choice.implementation.name,
                    key="0" * 12,
                    python="3.11.7",
                    version="1.0",
                    packages={},
                ),
                size_bytes=0,
            )
            for choice in choices
        ]

    monkeypatch.setattr(plan, "sync_environments", as_if_made)
    monkeypatch.setattr(plan, "available_memory_bytes", lambda: 2**40)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvml("h100")
    catalogue = read_catalogue()
    planned = plan_run(Console(), catalogue, catalogue.suites["gpu"], Selection(), ("levelfield",))
    [left_out] = planned.left_out
    assert left_out.what == "gluon"
    assert "no PTX, got 9.0, GPU 0 (NVIDIA H100 80GB HBM3)" in left_out.reason
    manifest = planned.manifest
    assert {cell.framework for cell in manifest.cells} == {"pytorch", "keras"}
    assert {cell.device for cell in manifest.cells} == {"gpu"}
    assert manifest.machine.gpu == "NVIDIA H100 80GB HBM3"


def test_one_that_was_asked_for_alone_is_enough(nvml, synced) -> None:
    nvml("h100")
    catalogue = read_catalogue()
    selection = Selection(frameworks=(FrameworkChoice("keras"),))
    with pytest.raises(Begun):
        plan_run(Console(), catalogue, catalogue.suites["gpu"], selection, ("levelfield",))
    assert synced == [(["keras"], "gpu")]


def test_matched_and_stock_contenders_need_no_room_together(nvml, synced) -> None:
    """Three workers of 5.7 GiB fit on this GPU; the five of both settings would not."""
    nvml("several")
    catalogue = read_catalogue()
    selection = Selection(
        device="gpu:1",
        frameworks=(FrameworkChoice("pytorch"), FrameworkChoice("keras")),
        modes=("eager",),
        recipes=("vgg11-small",),
        settings=("matched", "stock"),
    )
    with pytest.raises(Begun):
        plan_run(Console(), catalogue, catalogue.suites["gpu"], selection, ("levelfield",))
    with pytest.raises(WorkplaceError, match="Not enough memory on GPU 1"):
        plan_run(
            Console(),
            catalogue,
            catalogue.suites["gpu"],
            msgspec.structs.replace(selection, modes=("eager", "compiled")),
            ("levelfield",),
        )


def test_a_run_on_a_cpu_asks_no_gpu(monkeypatch) -> None:
    monkeypatch.setattr(gpus, "open_nvml", lambda: pytest.fail("a GPU was asked"))
    choices = [Choice(one, None) for one in read_catalogue().implementations.values()]
    assert fit_for_device(choices, "cpu") == (choices, [])


def test_a_busy_gpu_is_noticed_again_when_workers_are_about_to_start(nvml, monkeypatch) -> None:
    nvml("busy")
    catalogue = read_catalogue()
    choices = [Choice(catalogue.implementations["keras"], None)]
    recipes = [catalogue.recipes["lenet-sgd"]]
    modes = {"keras": ["compiled"]}
    cells = cells_before_installation(choices, recipes, modes, Selection(), "gpu", [1])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(WorkplaceError, match="is in use"):
        check_device_free(catalogue, [cells], aa=False)
