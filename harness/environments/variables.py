"""The environment variables of a worker: an allow-list, set explicitly and recorded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from harness.errors import UsageError
from harness.paths import user_cache
from harness.spec.cells import Settings
from harness.spec.implementations import Implementation
from harness.spec.matched import THREADS, filled_in

ALLOCATOR = ":".join(
    (
        "glibc.malloc.hugetlb=1",
        "glibc.malloc.mmap_threshold=4294967296",
        "glibc.malloc.trim_threshold=4294967296",
    )
)
"""glibc's allocator without its adaptive thresholds, which settle by chance at each start."""


@dataclass(frozen=True)
class Variable:
    """One variable that a worker may have."""

    name: str
    value: str | None
    """``{threads}``, ``{home}`` and ``{gpus}`` are filled in; None: the user's own, if set."""
    why: str
    settings: tuple[Settings, ...] = ("matched", "stock")
    devices: tuple[str, ...] = ("cpu", "gpu")


VARIABLES = (
    Variable("PATH", None, "compilers that a framework calls are found on it"),
    Variable("HOME", "{home}", "a folder of the suite: no settings file of the user's is read"),
    Variable("USER", None, "libraries name scratch folders after it; some users have no entry"),
    Variable("TZ", None, "time stamps in messages are the user's; no measurement reads it"),
    Variable("LC_ALL", "C.UTF-8", "numbers and messages are formatted alike for everyone"),
    Variable(
        "GLIBC_TUNABLES",
        ALLOCATOR,
        "memory is kept instead of given back and fetched again, which happens or not by chance",
        ("matched",),
    ),
    *(
        Variable(name, THREADS, f"the same number of threads in {library}")
        for name, library in (
            ("OMP_NUM_THREADS", "OpenMP"),
            ("MKL_NUM_THREADS", "Intel's MKL"),
            ("OPENBLAS_NUM_THREADS", "OpenBLAS"),
            ("BLIS_NUM_THREADS", "BLIS"),
            ("VECLIB_MAXIMUM_THREADS", "Apple's Accelerate"),
        )
    ),
    Variable(
        "OPENBLAS_CORETYPE",
        None,
        "on some processors older OpenBLAS builds compute wrong results without it",
    ),
    Variable("OPENBLAS_L2_SIZE", None, "goes with OPENBLAS_CORETYPE: the same builds crash"),
    Variable(
        "CUDA_VISIBLE_DEVICES",
        "",
        "a run on the CPU can't use a GPU by accident",
        devices=("cpu",),
    ),
    Variable("CUDA_VISIBLE_DEVICES", "{gpus}", "the chosen GPU is the only one", devices=("gpu",)),
    Variable(
        "CUDA_DEVICE_ORDER",
        "PCI_BUS_ID",
        "GPUs have the numbers that the driver's own tool shows",
        devices=("gpu",),
    ),
)
"""All that a worker gets, beside ``environment`` in its ``impl.toml`` and a ``TMPDIR`` of its own,
which lies in the user's (see ``temporary``). Not on the list, on purpose:
``LD_LIBRARY_PATH`` and ``LD_PRELOAD`` (would put other libraries under the measured wheels),
``PYTHON*`` (other modules), proxies and credentials (a worker fetches nothing and is recorded)."""


def worker_environment(
    implementation: Implementation,
    settings: Settings,
    threads: int,
    device: str,
    base: Mapping[str, str] = os.environ,
    home: Path | None = None,
) -> dict[str, str]:
    """The whole environment of a worker; the folder that ``HOME`` names exists.

    Args:
        implementation: Its own ``environment`` is added, which holds nothing of what is matched.
        settings: ``stock`` gets no allocator settings: the memory of a user who sets nothing.
            Threads are the cell's all the same. Some frameworks are told them in their own words,
            others hear them from these variables alone, and would have another number.
        threads: Threads of the worker's libraries.
        device: ``cpu``, ``gpu`` or ``gpu:N``.
        base: Where variables that are passed on come from.
        home: The worker's home folder; by default one in the user's cache.

    Raises:
        UsageError: ``device`` names no GPU, or one that ``CUDA_VISIBLE_DEVICES`` doesn't show.
    """
    kind = device.split(":")[0]
    home = home if home is not None else user_cache() / "worker-home"
    home.mkdir(parents=True, exist_ok=True)
    gpus = visible_gpu(device, base) if kind == "gpu" else ""
    chosen: dict[str, str] = {}
    for variable in VARIABLES:
        if settings not in variable.settings or kind not in variable.devices:
            continue
        if variable.value is not None:
            chosen[variable.name] = variable.value.format(threads=threads, home=home, gpus=gpus)
        elif variable.name in base:
            chosen[variable.name] = base[variable.name]
    return {**chosen, **filled_in(implementation.environment_on(device), threads, home)}


def visible_gpu(device: str, base: Mapping[str, str] = os.environ) -> str:
    """The driver's name for the GPU: its number, or (the beginning of) its UUID.

    Where the user sees only some, ``gpu:N`` counts those; numbers among them are the driver's own,
    as with ``CUDA_DEVICE_ORDER=PCI_BUS_ID``.

    Raises:
        UsageError: ``device`` names no GPU, or one that ``CUDA_VISIBLE_DEVICES`` doesn't show.
    """
    asked = device.partition(":")[2] or "0"
    if not asked.isdecimal():
        raise UsageError(f"--device {device}: expected cpu, gpu or gpu:N with a number for N")
    number = int(asked)
    given = base.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return str(number)
    visible = list(takewhile(_is_gpu, (name.strip() for name in given.split(","))))
    if number >= len(visible):
        raise UsageError(
            f"No GPU {number}: CUDA_VISIBLE_DEVICES is {given!r} and shows {len(visible)}, "
            f"expected at least {number + 1}: choose another --device, or change that variable"
        )
    return visible[number]


def _is_gpu(name: str) -> bool:
    """Whether CUDA takes it for a GPU; it reads no further than to the first that is none.

    https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#cuda-environment-variables
    """
    return name.isdecimal() or name.startswith(("GPU-", "MIG-"))
