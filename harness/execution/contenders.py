"""How the worker of a cell is started."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from harness.execution.process import BOOTSTRAP, Timeouts, WorkerProcess
from harness.execution.script import ScriptProcess
from harness.spec.cells import Cell
from harness.worker.wire import Job


class Contender(NamedTuple):
    """All that is needed to start a worker for a cell."""

    cell: Cell
    python: Path
    variables: dict[str, str]
    job: Job
    twin: bool = False
    options: tuple[str, ...] = ()
    """Words between the interpreter and what it runs, as ``SyncedEnvironment.options``."""
    bootstrap: Path = BOOTSTRAP
    """What the worker's interpreter runs; another revision has its own."""
    script: str = ""
    """A program that trains by itself, in place of the implementation's adapter."""
    timeouts: Timeouts = Timeouts()
    """Of its worker."""


def started_worker(contender: Contender, log: Path) -> WorkerProcess:
    """A new process that computes ``contender``; what it prints goes to ``log``.

    Raises:
        WorkerError: it can't be started.
    """
    # A process that holds a GPU is not stopped: its kernels and driver would not be.
    stoppable = contender.cell.device == "cpu"
    if contender.script:
        return ScriptProcess(
            contender.python,
            contender.variables,
            log,
            script=contender.script,
            job=contender.job,
            options=contender.options,
            stoppable=stoppable,
            timeouts=contender.timeouts,
        )
    return WorkerProcess(
        contender.python,
        contender.variables,
        log,
        options=contender.options,
        bootstrap=contender.bootstrap,
        stoppable=stoppable,
        timeouts=contender.timeouts,
    )
