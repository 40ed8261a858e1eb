"""An interpreter that is there already: looked at and used, and never changed.

What a worker needs beside the framework lies in a folder of ours, an environment that is made once
for each version of Python. It goes behind everything on the path (see ``worker/guest.py``).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness import paths
from harness.environments.installation import site_packages
from harness.environments.interpreters import Installed, installed_packages, prove
from harness.environments.records import SyncedEnvironment
from harness.environments.requirements import requirement_lines
from harness.errors import WorkplaceError
from harness.spec.implementations import Implementation
from harness.spec.machine import Environment

GUEST = paths.ROOT / "harness" / "worker" / "guest.py"
TOOLS = "worker-tools"
"""What the environment that lends its packages is called among the frameworks'."""
TOOLS_PACKAGE = "msgspec"
"""The distribution whose version is that environment's."""
ARRAYS = "numpy"
"""What every worker computes with: no folder of ours may choose its version."""
_DEVICES = ("cpu", "gpu")

Lender = Callable[[Implementation, str], SyncedEnvironment | None]
"""The environment of the tools, by an interpreter that it can be made with; nothing where it is
not there and is not to be made."""


def tools_implementation(pythons: Iterable[str]) -> Implementation:
    """What ``Environments`` makes such an environment from, for one of ``pythons``."""
    return Implementation(
        name=TOOLS,
        folder=str(GUEST.parent),
        title="What workers need",
        package=TOOLS_PACKAGE,
        python=tuple(pythons),
        default_mode="",
        modes={},
        memory_mib=0,
    )


def given_environment(
    implementation: Implementation,
    device: str,
    label: str | None,
    path: str,
    lender: Lender,
    *,
    loader: bool = False,
) -> SyncedEnvironment | None:
    """The interpreter ``path`` as the environment of ``implementation``.

    Args:
        implementation: Whose environment.
        device: ``cpu``, ``gpu`` or ``gpu:N``.
        label: What sets it apart from another one for the same implementation.
        path: Never resolved: what it is called may decide what it finds.
        lender: Asked where the interpreter lacks something that a worker needs.
        loader: Whether the framework's own data loader must work in it.

    Returns:
        Nothing where the lender has nothing.

    Raises:
        WorkplaceError: it is no interpreter, of a Python that does not serve, or lacks the
            framework.
    """
    who = f"The interpreter {path} for {implementation.name}{f'@{label}' if label else ''}"
    if prove(path) is None:
        seen = "it did not answer" if Path(path).exists() else "there is no such file"
        raise WorkplaceError(
            f"{who} is none ({seen}), expected CPython with its lock, or a wrapper that starts "
            "one: name another with --python"
        )
    installed = installed_packages(Path(path))
    assert installed is not None  # it has answered
    minor = _minor(installed.python)
    _check_python(implementation, who, installed.python)
    package = _package(implementation, device, installed.packages)
    needed = (package, ARRAYS, *(_loader_names(implementation, device) if loader else ()))
    if lacking := _lacking(needed, installed.packages):
        raise WorkplaceError(
            f"{who} has no {' and no '.join(lacking)}, expected it among its own packages (workers "
            "see neither PYTHONPATH nor a user's site): install it there, or name another with "
            "--python"
        )
    folder = ""
    if _tools_missing(installed.packages, who):
        tools = lender(tools_implementation([minor]), path)
        if tools is None:
            return None
        folder = str(site_packages(Path(tools.folder), minor))
    return _synced(implementation, package, label, path, installed, folder)


def own_environment(implementation: Implementation) -> SyncedEnvironment:
    """The interpreter that runs this, with all that it finds, as an environment.

    Raises:
        WorkplaceError: it is of a Python that does not serve.
    """
    packages: dict[str, str] = {}
    for found in importlib.metadata.distributions():
        # As an import does: what comes first on the path counts.
        packages.setdefault(canonicalize_name(found.metadata["Name"] or ""), found.version)
    ours = Installed(platform.python_version(), packages)
    _check_python(implementation, f"Levelfield's own interpreter {sys.executable}", ours.python)
    package = _package(implementation, "cpu", packages)
    behind = os.pathsep.join(filter(None, sys.path))
    return _synced(implementation, package, None, sys.executable, ours, behind)


def _synced(
    implementation: Implementation,
    package: str,
    label: str | None,
    path: str,
    installed: Installed,
    behind: str,
) -> SyncedEnvironment:
    facts = (path, installed.python, sorted(installed.packages.items()))
    return SyncedEnvironment(
        folder=str(Path(path).parent),
        python=path,
        record=Environment(
            framework=implementation.name,
            key=hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:12],
            python=installed.python,
            version=installed.packages[package],
            packages=installed.packages,
            package=package,
            asked_version=label,
            variant="-".join(filter(None, (implementation.variant, label))),
            interpreter=path,
        ),
        size_bytes=0,
        options=("-B", str(GUEST), behind),
    )


def _package(implementation: Implementation, device: str, packages: Mapping[str, str]) -> str:
    """The distribution that is the framework there; the usual one where none is.

    Which one our own build for a device is says little of what others build.
    """
    known = [implementation.distribution(device), *map(implementation.distribution, _DEVICES)]
    names = [str(canonicalize_name(name)) for name in known]
    return next((name for name in names if name in packages), names[0])


def _check_python(implementation: Implementation, who: str, python: str) -> None:
    if _minor(python) not in implementation.python:
        known = ", ".join(sorted(implementation.python, key=lambda each: int(each.split(".")[1])))
        raise WorkplaceError(
            f"{who} is Python {python}, expected one of {known}, which {implementation.title} "
            "runs on here: name another with --python"
        )


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])


def _loader_names(implementation: Implementation, device: str) -> tuple[str, ...]:
    path = implementation.loader_requirements(device)
    return tuple(each.name for each in _requirements(path)) if path.exists() else ()


def _lacking(names: Iterable[str], packages: Mapping[str, str]) -> list[str]:
    return [name for name in map(canonicalize_name, names) if name not in packages]


def _tools_missing(packages: Mapping[str, str], who: str) -> bool:
    """Whether a folder of ours has to lend something.

    Raises:
        WorkplaceError: what is there would be found first, and is too old.
    """
    needed = _requirements(GUEST.with_name("requirements-cpu.txt"))
    for each in needed:
        version = packages.get(canonicalize_name(each.name))
        if version is not None and not each.specifier.contains(version, prereleases=True):
            raise WorkplaceError(
                f"{who} has {each.name} {version}, expected {each.specifier} or none, which a "
                "worker needs: update it there, or name another with --python"
            )
    return bool(_lacking((each.name for each in needed), packages))


def _requirements(path: Path) -> list[Requirement]:
    lines = requirement_lines(path.read_text(encoding="utf-8"), str(path))
    return [Requirement(line) for line in lines if not line.startswith("-")]
