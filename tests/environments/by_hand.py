"""Interpreters as people have them: made by hand, without anything of ours."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"


def write_script(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o755)
    return path


def virtual_environment(folder: Path, base: str = sys.executable) -> Path:
    """The interpreter of a new virtual environment of ``base``, with nothing in it."""
    # By the base's own module, in isolation: a virtual environment's copy would be one of it.
    subprocess.run([base, "-I", "-B", "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


def prefix(folder: Path) -> Path:
    """The interpreter of a whole Python in ``folder``, as conda lays it out: no ``pyvenv.cfg``."""
    real, library = Path(sys.executable).resolve(), Path(os.__file__).parent
    (folder / "bin").mkdir(parents=True)
    python = Path(shutil.copy2(real, folder / "bin" / f"python{RUNNING}"))
    ours = folder / "lib" / f"python{RUNNING}"
    (ours / "site-packages").mkdir(parents=True)
    for entry in library.iterdir():
        if entry.name != "site-packages":
            (ours / entry.name).symlink_to(entry)
    for shared in real.parent.parent.glob("lib/libpython*"):
        (folder / "lib" / shared.name).symlink_to(shared)
    return python


def packages_of(python: Path) -> Path:
    """Where what is installed into ``python`` lies."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    command = [str(python), "-I", "-B", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Path(done.stdout.splitlines()[-1])  # a wrapper may have said something before


def lay_in(python: Path, packages: Mapping[str, str]) -> None:
    """Distributions of these names and versions lie beside ``python``, empty ones."""
    for name, version in packages.items():
        info = packages_of(python) / f"{name}-{version}.dist-info"
        info.mkdir()
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(text)


def digest(folder: Path) -> str:
    """Over names, kinds, contents and times of all that lies in ``folder``."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        found.update(f"{path}\0{status.st_mode}\0{status.st_mtime_ns}\0".encode())
        if path.is_symlink():
            found.update(str(path.readlink()).encode())
        elif path.is_file():
            found.update(path.read_bytes())
    return found.hexdigest()
