"""Whether the workers of a block fit into memory together, and their loaders into shared memory."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from impls.definition import Model

_MIB = 2**20
_SHARED = Path("/dev/shm")
"""Where processes share memory, on Linux; containers often have 64 MiB of it."""
_AHEAD = 2
"""Batches that each of a loader's processes prepares ahead, in every framework's default."""


def memory_shortfall(needs_mib: Sequence[int], available_bytes: int) -> str | None:
    """Why workers that need ``needs_mib`` at once don't fit, in one line; nothing if they do.

    All contenders of a block are alive together, so their peaks add up. A machine that swaps
    measures its disk.
    """
    need_bytes = sum(needs_mib) * _MIB
    if need_bytes <= available_bytes:
        return None
    count = len(needs_mib)
    workers = "1 worker needs" if count == 1 else f"{count} workers, alive together, need"
    return (
        f"Not enough memory: {workers} {_gib(need_bytes)}, {_gib(available_bytes)} is free: "
        "close other programs, or compare fewer at once with -f, --mode or --no-aa"
    )


def batches_bytes(model: Model, batch_size: int, workers: int) -> int:
    """Shared memory for the float32 batches that a loader's ``workers`` processes have at hand.

    Those ahead, one that is trained on, one on its way, and a tenth for labels and pages. Seen in
    two frameworks: 3.1 to 3.5 batches with one process, 5.1 to 5.5 with 2, 9.6 to 10.1 with 4.
    """
    if not workers:
        return 0
    batches = _AHEAD * workers + 2
    return batches * batch_size * math.prod(model.input_shape) * 4 * 11 // 10


def shared_memory_left_bytes(place: Path = _SHARED) -> int | None:
    """What is left of the shared memory; nothing where the system has no such place."""
    try:
        seen = os.statvfs(place)
    except OSError:
        return None
    return seen.f_bavail * seen.f_frsize


def shared_memory_shortfall(need_bytes: int, available_bytes: int | None) -> str | None:
    """Why loaders can't hand over their batches, in one line; nothing if they can.

    A framework would only wait, and then say that nothing came.
    """
    if available_bytes is None or need_bytes <= available_bytes:
        return None
    return (
        f"Not enough shared memory: the loaders' processes hand over {_mib(need_bytes)} of "
        f"batches, {_SHARED} has {_mib(available_bytes)} left: enlarge it (docker run "
        f"--shm-size={2 * math.ceil(need_bytes / _MIB)}m), or choose fewer --loader-workers"
    )


def memory_beyond_lenet_mib(model: Model, batch_size: int) -> int:
    """How much more than LeNet's a worker of ``model`` is expected to need, by a rule of thumb.

    Weights, their gradients and one copy of both while they are loaded; every layer's outputs and
    the gradients by them. What LeNet itself needs by this rule is less than a few MiB.
    """
    parameters = sum(math.prod(shape) for shape in model.weight_shapes().values())
    values = sum(math.prod(step.output_shape) for step in model.elementary_steps())
    return (4 * parameters + 2 * batch_size * values) * 4 // _MIB


def _gib(count_bytes: int) -> str:
    return f"{count_bytes / 2**30:.1f} GiB"


def _mib(count_bytes: int) -> str:
    return f"{count_bytes / _MIB:.1f} MiB"
