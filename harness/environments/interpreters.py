"""Which Python interpreters this machine has, each proven by running it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from harness.errors import WorkplaceError
from harness.paths import user_home
from harness.spec.implementations import Implementation

_PROBE = """
import json, sys, sysconfig
print(json.dumps({
    "path": sys.executable,
    "version": "%d.%d.%d" % tuple(sys.version_info[:3]),
    "usable": sys.implementation.name == "cpython"
              and not sysconfig.get_config_var("Py_GIL_DISABLED"),
}))
"""
_PACKAGES_PROBE = """
import importlib.metadata, json, platform, re
print(json.dumps({
    "python": platform.python_version(),
    "packages": {
        re.sub("[-_.]+", "-", found.metadata["Name"]).lower(): found.version
        for found in importlib.metadata.distributions() if found.metadata["Name"]
    },
}))
"""
_PROBE_SECONDS = 60.0
"""Far longer than an interpreter takes to start, even on a loaded machine with a cold disk."""
_NAME = re.compile(r"python3(\.\d+)?(\.exe)?$")


class Interpreter(msgspec.Struct, frozen=True):
    """An interpreter that ran and said what it is."""

    path: str
    """As it names itself: behind a shim stands the real one, which works in every folder."""
    version: str
    """``major.minor.patch``"""

    @property
    def minor(self) -> str:
        """``major.minor``"""
        return ".".join(self.version.split(".")[:2])


class Installed(msgspec.Struct, frozen=True):
    """What an environment's own interpreter says of it."""

    python: str
    packages: dict[str, str]


def preferred_pythons(
    listed: Sequence[str], running: tuple[int, int] = sys.version_info[:2]
) -> tuple[str, ...]:
    """``listed`` with the running interpreter's version first, if it is among them."""
    own = f"{running[0]}.{running[1]}"
    first = [own] if own in listed else []
    return (*first, *(python for python in listed if python != own))


def find_interpreter(minor: str, environ: Mapping[str, str] = os.environ) -> Interpreter | None:
    """The first interpreter of version ``minor`` that runs; nothing if there is none."""
    for path in _candidates(minor, environ):
        interpreter = prove(path)
        if interpreter is not None and interpreter.minor == minor:
            return interpreter
    return None


def found_minors(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Every ``major.minor`` that runs on this machine, ascending."""
    proven = (prove(path) for path in dict.fromkeys(_all_candidates(environ)))
    minors = {interpreter.minor for interpreter in proven if interpreter is not None}
    return tuple(sorted(minors, key=lambda minor: int(minor.split(".")[1])))


def no_interpreter_error(
    implementation: Implementation,
    others: Sequence[str],
    environ: Mapping[str, str] = os.environ,
) -> WorkplaceError:
    """The error for an implementation that no interpreter here serves."""
    versions = " or ".join(sorted(implementation.python, key=lambda v: int(v.split(".")[1])))
    found = ", ".join(found_minors(environ)) or "none"
    rest = " ".join(f"-f {name}" for name in others if name != implementation.name)
    leave_out = f", or leave {implementation.name} out with {rest}" if rest else ""
    return WorkplaceError(
        f"No Python {versions} for {implementation.name} (found {found}): install one{leave_out}"
    )


def prove(path: str) -> Interpreter | None:
    """What ``path`` says of itself when run; nothing if it doesn't run or doesn't serve.

    Names prove nothing: a version manager's shim may stand for no interpreter, or for another in
    the next folder.
    """
    try:
        said = _said(path, _PROBE)
    except subprocess.TimeoutExpired:
        return None
    if said is None or not said.get("usable"):
        return None
    return Interpreter(str(said["path"]), str(said["version"]))


def installed_packages(python: Path) -> Installed | None:
    """All that is installed beside ``python``; nothing if it doesn't run.

    Raises:
        WorkplaceError: it runs, but did not answer: that says nothing about it.
    """
    try:
        said = _said(str(python), _PACKAGES_PROBE)
    except subprocess.TimeoutExpired:
        raise WorkplaceError(
            f"{python} did not answer within {_PROBE_SECONDS:g} s, expected its list of packages: "
            "try again when this machine has less to do"
        ) from None
    return None if said is None else msgspec.convert(said, Installed)


def _said(path: str, program: str) -> dict[str, object] | None:
    """The answer of ``program``; nothing if ``path`` does not run it.

    Raises:
        subprocess.TimeoutExpired: none came.
    """
    # -I: neither PYTHON* variables nor the current folder may change the answer. -B: whoever is
    # asked has nothing written beside it.
    command = [path, "-I", "-B", "-c", program]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_PROBE_SECONDS, stdin=subprocess.DEVNULL
        )
        # A wrapper may have said something before.
        *_, last = done.stdout.splitlines() or [b""]
        answer = json.loads(last) if done.returncode == 0 else None
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None


def _candidates(minor: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Paths that may be an interpreter of version ``minor``, the likeliest first."""
    if minor == f"{sys.version_info[0]}.{sys.version_info[1]}" and sys.executable:
        yield sys.executable
    for folder in _path_folders(environ):
        for name in (f"python{minor}", "python3"):
            if os.access(folder / name, os.X_OK):
                yield str(folder / name)
    yield from _managed(f"{minor}.", environ)


def _all_candidates(environ: Mapping[str, str]) -> Iterator[str]:
    yield sys.executable
    for folder in _path_folders(environ):
        try:
            names = sorted(entry.name for entry in folder.iterdir() if _NAME.match(entry.name))
        except OSError:
            continue
        yield from (str(folder / name) for name in names)
    yield from _managed("3.", environ)


def _path_folders(environ: Mapping[str, str]) -> Iterator[Path]:
    yield from map(Path, filter(None, environ.get("PATH", os.defpath).split(os.pathsep)))


def _managed(prefix: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Interpreters that version managers keep off the PATH, the newest patch release first.

    They are looked for by hand because virtualenv's own search ends at a shim that doesn't run.
    """
    home = Path(environ.get("HOME") or user_home() or "/nonexistent")
    pyenv = Path(environ.get("PYENV_ROOT", home / ".pyenv")) / "versions"
    data = Path(environ.get("XDG_DATA_HOME", home / ".local" / "share"))
    uv = Path(environ.get("UV_PYTHON_INSTALL_DIR", data / "uv" / "python"))
    found = [*pyenv.glob(f"{prefix}*/bin/python"), *uv.glob(f"cpython-{prefix}*/bin/python3")]
    yield from map(str, sorted(found, key=_release, reverse=True))


def _release(path: Path) -> tuple[int, ...]:
    match = re.search(r"3\.(\d+)\.(\d+)", path.parent.parent.name)
    return tuple(map(int, match.groups())) if match else ()
