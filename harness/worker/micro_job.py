"""What ``micro.py`` is to measure: one JSON file, written by the command and read by the launcher.

The launcher is run by path by the framework environment's interpreter, ``python -I …/micro.py
JOB.json``, and ends with pytest's exit code.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.spec.recipes import Init
from impls.adapter import Optimizer
from impls.definition import Model

BATCH_SIZES = (1, 32, 256)


class MicroJob(msgspec.Struct, frozen=True, kw_only=True):
    """The micro-benchmarks of one implementation, in one process."""

    implementation: str
    """Name of the implementation."""
    package: str
    """The distribution whose version is the framework's version, on this device."""
    folder: str
    """Folder of the implementation."""
    shared: tuple[str, ...] = ()
    """Folders of others whose modules it imports."""
    model: Model
    optimizer: Optimizer
    modes: tuple[str, ...]
    """In the order in which they are built: the first pays for what a process does only once."""
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    device: str = "cpu"
    """``cpu``, ``gpu`` or ``gpu:N``, as the user says it."""
    threads: int
    seed: int = 0
    """Of the initial weights and of whatever the framework draws by itself."""
    init: Init = "xavier"
    """The distribution of the initial weights, as a recipe names it."""
    data: str
    """A prepared folder of arrays, as ``wire.Job.data_folder``."""
    tools: str
    """``site-packages`` with pytest and pytest-benchmark; it goes to the end of ``sys.path``."""
    suites: str
    """The folder ``benchmarks/micro``."""
    output: str
    """Where pytest-benchmark writes its JSON."""
    quick: bool = False
    """Each benchmark runs a single round: it shows that everything works, and no speed."""
    select: str = ""
    """pytest's ``-k`` expression; empty: everything."""


def write_job(job: MicroJob, path: Path) -> None:
    """``path`` holds ``job`` as JSON."""
    path.write_bytes(msgspec.json.encode(job))


def read_job(path: Path) -> MicroJob:
    """The job that ``path`` holds.

    Raises:
        OSError: there is no such file.
        msgspec.DecodeError: it holds no job.
    """
    return msgspec.json.decode(path.read_bytes(), type=MicroJob)
