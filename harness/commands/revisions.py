"""Another revision of a git repository, beside the work tree: read-only, and out of git's sight."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from harness.errors import UsageError, WorkplaceError
from harness.paths import user_cache


def repository_of(folder: Path) -> Path:
    """The top folder of the git repository that holds ``folder``.

    Raises:
        UsageError: it is in none.
        WorkplaceError: there is no git.
    """
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel").decode().strip())
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(
            f"{folder.resolve()} is in no git repository that can be read ({' '.join(said[:1])}), "
            "expected one for --base: go to the repository whose revisions are to be compared"
        ) from None


def settings_folder() -> Path:
    """Where ``pyproject.toml`` is looked for: at the repository's top, else here."""
    try:
        return repository_of(Path.cwd())
    except (UsageError, WorkplaceError):
        return Path.cwd()


def commit_of(repository: Path, revision: str) -> str:
    """The commit, 40 hexadecimal digits, that ``revision`` names.

    Raises:
        UsageError: it names none here.
    """
    try:
        name = f"{revision}^{{commit}}"
        return _git(repository, "rev-parse", "--verify", "--end-of-options", name).decode().strip()
    except subprocess.CalledProcessError:
        raise UsageError(
            f"--base is {revision!r}, expected a revision of {repository}: 'git fetch' it, or name "
            "one that 'git log' shows"
        ) from None


def revision_tree(repository: Path, commit: str, paths: Sequence[str]) -> Path:
    """A folder that holds what ``commit`` has at ``paths``, below the repository's top.

    It is made once and found again. A path that the commit does not have is left out; the
    repository gets no second work tree, so that nothing is left in it when this is killed.

    Raises:
        WorkplaceError: it can't be written.
    """
    there = [path for path in paths if _has(repository, commit, path)]
    digest = hashlib.sha256("\0".join(sorted(there)).encode()).hexdigest()[:8]
    folder = user_cache() / "revisions" / f"{commit[:12]}-{digest}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(folder.name + ".lock")):
            if not folder.exists():
                _extract(repository, commit, there, folder)
    except (OSError, tarfile.TarError, subprocess.CalledProcessError) as error:
        raise WorkplaceError(
            f"{commit[:12]} could not be written to {folder} ({error}): make room, or move it with "
            "XDG_CACHE_HOME"
        ) from error
    return folder


def _extract(repository: Path, commit: str, paths: Sequence[str], folder: Path) -> None:
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}-"))
    try:
        if paths:
            archive = _git(repository, "archive", "--format=tar", commit, "--", *paths)
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                tar.extractall(part, filter="data")
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _has(repository: Path, commit: str, path: str) -> bool:
    try:
        _git(repository, "cat-file", "-e", f"{commit}:{'' if path == '.' else path}")
    except subprocess.CalledProcessError:
        return False
    return True


def _git(folder: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise WorkplaceError(
            "git was not found, expected it for --base: install it, or compare versions with "
            "--base-framework"
        ) from None
