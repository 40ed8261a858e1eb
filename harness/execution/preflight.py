"""Whether contenders can run on a GPU, from what its driver says. Pure.

What a whole run needs (a driver, the GPU, memory for all) is an error where it is missing. What one
framework needs (a newer driver, machine code for this GPU) leaves that framework out, as long as
there is something left to compare.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.environments.gpus import Gpu, Gpus
from harness.errors import WorkplaceError
from harness.execution.planning import Choice, LeftOut
from harness.spec.implementations import Implementation

BUSY_SHARE = 0.1
"""From this share of the time on, a GPU is in use, be it by a desktop or by what can't be seen."""
MOST_NAMED = 3
_PROBLEMS = {
    "no bindings": ("Python's bindings to the driver are missing", "pip install nvidia-ml-py"),
    "no driver": ("no NVIDIA driver is installed", "install NVIDIA's driver"),
    "not loaded": ("an NVIDIA driver is installed but not loaded", "see what nvidia-smi says"),
    "mismatch": ("the NVIDIA driver was updated since it was loaded", "restart the machine"),
    "no permission": ("the NVIDIA driver refuses this user", "ask for access to /dev/nvidia*"),
}


def chosen_gpu(gpus: Gpus, device: str, name: str) -> Gpu:
    """The GPU to measure on: it is there, whole, and lets several processes compute.

    Args:
        gpus: All that there are.
        device: ``gpu`` or ``gpu:N``, as the user put it.
        name: What the driver calls it: a number, or the beginning of a UUID.

    Raises:
        WorkplaceError: there is no such GPU, or nothing can be measured on it as it is set up.
    """
    if gpus.problem or gpus.said or not gpus.devices:
        what, advice = _PROBLEMS.get(
            gpus.problem or "",
            (gpus.said or f"driver {gpus.driver} shows none", "see what nvidia-smi says"),
        )
        raise WorkplaceError(
            f"No GPU found for --device {device} ({what}), expected one: {advice}, "
            "or measure with --device cpu"
        )
    if name.startswith("MIG-"):
        raise WorkplaceError(
            f"--device {device} is {name}, a part of a GPU, expected a whole one: parts share what "
            "is measured; name a GPU in CUDA_VISIBLE_DEVICES"
        )
    if name.isdecimal():
        found = [gpu for gpu in gpus.devices if gpu.index == int(name)]
    else:
        found = [gpu for gpu in gpus.devices if gpu.uuid.startswith(name)]
    if len(found) != 1:
        known = ", ".join(gpu.title for gpu in gpus.devices)
        raise WorkplaceError(
            f"No GPU {name} for --device {device}, expected one of {known}: choose one of these "
            "with --device gpu:N, and see what CUDA_VISIBLE_DEVICES shows of them"
        )
    [gpu] = found
    if gpu.mig:
        raise WorkplaceError(
            f"{gpu.title} is divided into parts (MIG is on), expected a whole GPU: "
            "choose another --device, or have MIG turned off"
        )
    if gpu.compute_mode != "default":
        raise WorkplaceError(
            f"{gpu.title} has the compute mode {gpu.compute_mode}, expected default, since "
            "contenders share a GPU: choose another --device, or have 'nvidia-smi "
            f"-i {gpu.index} -c DEFAULT' set"
        )
    return gpu


def check_idle(gpu: Gpu) -> None:
    """Nobody else uses ``gpu``.

    Raises:
        WorkplaceError: somebody does.
    """
    if gpu.processes:
        named = [f"{one.name or 'process'} ({one.pid})" for one in gpu.processes[:MOST_NAMED]]
        more = len(gpu.processes) - len(named)
        who = ", ".join([*named, *([f"and {more} more"] if more else [])])
    elif gpu.busy_share is not None and gpu.busy_share >= BUSY_SHARE:
        who = f"busy for {gpu.busy_share:.0%} of the time, by what can't be seen from here"
    else:
        return
    raise WorkplaceError(
        f"{gpu.title} is in use: {who}, expected nobody else on it: end that or wait for it, "
        "or choose another --device"
    )


def fit_choices(
    choices: Sequence[Choice], gpus: Gpus, gpu: Gpu
) -> tuple[list[Choice], list[LeftOut]]:
    """Those that can run on ``gpu``, and why the others can't.

    What the limits say of our own builds leaves no interpreter out that was there already.

    Raises:
        WorkplaceError: too few are left: none, or one of several frameworks.
    """
    reasons = {
        choice.implementation.name: reason
        for choice in choices
        if not _only_doubtful(choice) and (reason := unfit_reason(choice.implementation, gpus, gpu))
    }
    fit = [
        choice
        for choice in choices
        if choice.implementation.name not in reasons or _only_doubtful(choice)
    ]
    asked = {choice.implementation.name for choice in choices}
    left = list(dict.fromkeys(choice.implementation.name for choice in fit))
    if len(left) < min(2, len(asked)):
        why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        if len(asked) == 1:
            raise WorkplaceError(f"{why}, or measure with --device cpu")
        only = f"Only {left[0]} can" if left else "No framework can"
        alone = f"; or measure {left[0]} alone with -f {left[0]}" if left else ""
        raise WorkplaceError(
            f"{only} run on {gpu.title}, expected two or more to compare: {why}{alone}"
        )
    return fit, [LeftOut(name, reason) for name, reason in reasons.items()]


def _only_doubtful(choice: Choice) -> bool:
    """Whether it is a build of which no limits are known: our own builds' say little of it."""
    return choice.interpreter is not None and choice.implementation.gpu is not None


def doubts(choices: Sequence[Choice], gpus: Gpus, gpu: Gpu) -> list[str]:
    """A line for each interpreter that was there already where our own build could not run."""
    return [
        f"{choice.interpreter} is not held to the limits of our own build, but that could not run "
        f"here: {reason}"
        for choice in choices
        if _only_doubtful(choice) and (reason := unfit_reason(choice.implementation, gpus, gpu))
    ]


def unfit_reason(implementation: Implementation, gpus: Gpus, gpu: Gpu) -> str | None:
    """Why ``implementation`` can't run on ``gpu``, with what to do; nothing if it can."""
    limits = implementation.gpu
    if limits is None:
        return (
            f"{implementation.title} has no [gpu] in its impl.toml, expected what it needs of a "
            "GPU: write that and requirements-gpu.txt, or leave it out"
        )
    build = f"{implementation.title} for CUDA {limits.cuda}"
    if gpus.driver is not None and _numbers(gpus.driver) < _numbers(limits.least_driver):
        return (
            f"{build} needs NVIDIA's driver {limits.least_driver} or newer, got {gpus.driver}: "
            "update the driver"
        )
    if not limits.has_code_for(gpu.compute_capability):
        major, minor = gpu.compute_capability
        held = ", ".join(limits.machine_code)
        ptx = f"PTX of {limits.ptx}" if limits.ptx else "no PTX"
        least = limits.least_compute_capability
        needs = f", and a library that needs {least} or newer" if least else ""
        return (
            f"{build} has machine code for compute capability {held} and {ptx}{needs}, "
            f"got {major}.{minor}, {gpu.title}: choose another GPU with --device gpu:N"
        )
    return None


def check_gpu_memory(gpu: Gpu, needs_mib: Sequence[int]) -> None:
    """Workers that need ``needs_mib`` at once fit into what is free on ``gpu``.

    Contenders wait with their weights, data and workspaces on the device, so their needs add up.

    Raises:
        WorkplaceError: they don't.
    """
    need_bytes = sum(needs_mib) * 2**20
    if gpu.memory_free_bytes is None or need_bytes <= gpu.memory_free_bytes:
        return
    count = len(needs_mib)
    workers = "1 worker needs" if count == 1 else f"{count} workers, alive together, need"
    total = "" if gpu.memory_total_bytes is None else f" of {_gib(gpu.memory_total_bytes)}"
    raise WorkplaceError(
        f"Not enough memory on {gpu.title}: {workers} {_gib(need_bytes)}, "
        f"{_gib(gpu.memory_free_bytes)}{total} is free: close what else uses it, "
        "or compare fewer at once with -f, --mode or --no-aa"
    )


def _numbers(version: str) -> tuple[int, ...]:
    """``535.183.01`` as numbers; vendors' additions are left out."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _gib(count_bytes: int) -> str:
    return f"{count_bytes / 2**30:.1f} GiB"
