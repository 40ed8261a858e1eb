"""The environment that holds pytest and pytest-benchmark, for micro-benchmarks to borrow."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness import paths
from harness.console import Console
from harness.environments.installation import site_packages
from harness.environments.records import SyncedEnvironment
from harness.spec.implementations import Implementation

SUITES = paths.BENCHMARKS / "micro"
"""The suites, with the requirements of whatever runs them."""
NAME = "micro-tools"
"""What the environment is called among the frameworks'."""


def tools_implementation(pythons: Iterable[str]) -> Implementation:
    """What ``Environments`` makes such an environment from, for one of ``pythons``."""
    return Implementation(
        name=NAME,
        folder=str(SUITES),
        title="pytest-benchmark",
        package="pytest-benchmark",
        python=tuple(pythons),
        default_mode="",
        modes={},
        memory_mib=0,
    )


def tools_folder(console: Console, environment: SyncedEnvironment) -> Path:
    """``site-packages`` with pytest and pytest-benchmark, for the Python of ``environment``.

    It is in an environment of its own, made if it was not there: ``environment`` stays as it is.

    Raises:
        LevelfieldError: it could not be made.
    """
    # What installs comes with it, for which a list of environments need not wait.
    from harness.environments.collection import Environments

    python = ".".join(environment.record.python.split(".")[:2])
    made = Environments().sync(
        tools_implementation([python]), progress=console.say, base=environment.python
    )
    return site_packages(Path(made.folder), python)
