"""Another revision of a git repository, beside the work tree: read-only, and out of git's sight.

What stands there is what a checkout of the commit gives in this clone: its submodules, its filters
and line ends, its sparse patterns. An archive is not that: attributes leave files out of it and
change others, and it has no submodules.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from filelock import FileLock

from harness.errors import UsageError, WorkplaceError
from harness.paths import user_cache

_KEPT_SECONDS = 30 * 86400.0
"""How long a revision that no gate asked for is kept: no run takes so long."""
_MOST_WORDS = 600
"""Letters of git's own that are passed on."""
_AS_IT_IS = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    # It would write a part of our own index into the user's repository.
    *("-c", "core.splitIndex=false"),
)
_OF_ONE_REPOSITORY = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE"}
)
"""Variables that a hook hands on; the repository is the one that holds the folder."""
_UNREACHABLE = re.compile("promisor|[Cc]ould not (fetch|resolve|read from remote)|unable to access")


class GitRefusal(Exception):
    """git ended with an error; the text is its own words, in one line."""


def repository_of(folder: Path) -> Path:
    """The top folder of the git repository that holds ``folder``.

    Raises:
        UsageError: it is in none that git reads.
        WorkplaceError: there is no git.
    """
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel"))
    except GitRefusal as error:
        raise UsageError(
            f"{folder.resolve()} is in no git repository that can be read (git said «{error}»), "
            "expected one for --base: go to the repository whose revisions are to be compared, or "
            "mend what git names"
        ) from None


def settings_folder() -> Path:
    """Where ``pyproject.toml`` is looked for: at the repository's top, else here.

    git is not asked: it refuses a repository of another owner, as containers often have it.
    """
    here = Path.cwd()
    return next((each for each in (here, *here.parents) if (each / ".git").exists()), here)


def commit_of(repository: Path, revision: str, option: str = "--base") -> str:
    """The commit, 40 hexadecimal digits, that ``revision`` names.

    Raises:
        UsageError: it names none here.
    """
    try:
        return _git(
            repository, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}"
        )
    except GitRefusal as error:
        raise UsageError(
            f"{option} is {revision!r}, expected a revision of {repository} (git said «{error}»): "
            "'git fetch' it, or name one that 'git log' shows"
        ) from None


def merge_base(repository: Path, revision: str) -> str:
    """The commit at which HEAD and ``revision`` parted.

    Raises:
        UsageError: this clone has none.
    """
    tip = commit_of(repository, revision)
    try:
        return _git(repository, "merge-base", tip, "HEAD")
    except GitRefusal as error:
        shallow = _git(repository, "rev-parse", "--is-shallow-repository") == "true"
        why = "the clone is shallow" if shallow else str(error) or "they have no common history"
        do = "'git fetch --unshallow' ('fetch-depth: 0' in a workflow)" if shallow else "merge them"
        raise UsageError(
            f"--base is {revision!r} ({tip[:12]}), expected one with a merge base with HEAD ({why})"
            f": {do}, or compare with that commit itself by --base-exact {revision}"
        ) from None


def revision_tree(repository: Path, commit: str) -> Path:
    """A folder that holds what a checkout of ``commit`` gives here.

    It is made once and found again. The repository gets no second work tree, so that nothing is
    left in it when this is killed.

    Raises:
        WorkplaceError: git can't read the commit's files, or they can't be written.
    """
    folder = user_cache() / "revisions" / f"{commit[:12]}-{_state(repository)}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if not folder.exists():
                _remove_unused(folder.parent)
                with _begun(folder) as part:
                    _check_out(repository, commit, part, repository)
            os.utime(folder)
    except GitRefusal as error:
        raise WorkplaceError(
            f"{commit[:12]} of {repository} could not be checked out to {folder}, git said "
            f"«{error}»: {_advice(str(error))}"
        ) from None
    except OSError as error:
        raise WorkplaceError(
            f"{commit[:12]} could not be written to {folder} ({error}): make room, or move it with "
            "XDG_CACHE_HOME"
        ) from error
    return folder


def _state(repository: Path) -> str:
    """8 hexadecimal digits over what decides, beside the commit, what a checkout gives here."""
    parts = [str(repository.resolve())]
    with contextlib.suppress(GitRefusal):  # refused where nothing is sparse
        parts.append(_git(repository, "sparse-checkout", "list"))
    submodules = (path for path, _ in _submodules(repository, "HEAD"))
    parts += [path for path in submodules if (repository / path / ".git").exists()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]


@contextlib.contextmanager
def _begun(folder: Path) -> Iterator[Path]:
    """An empty folder to fill, which then has the name ``folder``."""
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}-"))
    try:
        yield part
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _check_out(repository: Path, commit: str, folder: Path, top: Path) -> None:
    """``folder`` holds ``commit`` of ``repository``, which is ``top`` or a submodule in it.

    A submodule that the work tree does not have stays empty, as there.
    """
    with tempfile.TemporaryDirectory() as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        place = (*_AS_IT_IS, f"--work-tree={folder}")
        # It would move a submodule of the user's: those are checked out below.
        how = ("-m", "-u", "--no-recurse-submodules")
        _git(repository, *place, "read-tree", *how, commit, variables=index)
    for path, own in _submodules(repository, commit):
        inner = repository / path
        if (inner / ".git").exists():
            (folder / path).mkdir(parents=True, exist_ok=True)
            try:
                _check_out(inner, own, folder / path, top)
            except GitRefusal as error:
                raise GitRefusal(
                    f"{inner.relative_to(top)}: {error} (its submodule lacks {own[:12]}: "
                    f"'git -C {inner} fetch origin {own}')"
                ) from None
    if repository == top:
        _lead_outside(repository, folder)


def _lead_outside(repository: Path, folder: Path) -> None:
    """Symbolic links that leave the repository lead where they do from its work tree."""
    for parent, folders, names in os.walk(folder):
        for path in (Path(parent) / name for name in (*folders, *names)):
            if not path.is_symlink() or path.readlink().is_absolute():
                continue
            place = (repository / path.relative_to(folder)).parent / path.readlink()
            target = Path(os.path.normpath(place))
            if not target.is_relative_to(repository):
                path.unlink()
                path.symlink_to(target)


def _submodules(repository: Path, commit: str) -> list[tuple[str, str]]:
    """Paths and commits of the submodules that ``commit`` names."""
    try:
        listed = _git(repository, "ls-tree", "-r", "-z", "--full-tree", commit)
    except GitRefusal:
        return []  # HEAD is of no commit yet
    entries = (entry.partition("\t") for entry in listed.split("\0"))
    return [(path, kind.split()[2]) for kind, _, path in entries if kind.startswith("160000 ")]


def _remove_unused(revisions: Path) -> None:
    """Revisions that no gate has asked for in a long time are gone, killed beginnings too."""
    for folder in revisions.iterdir():
        if folder.suffix != ".lock" and time.time() - folder.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _advice(said: str) -> str:
    if "No space left" in said or "Disk quota" in said:
        return "make room there, or move it with XDG_CACHE_HOME"
    if _UNREACHABLE.search(said):
        return (
            "this clone has only a part of its history's files, and its remote must be reached "
            "for the others: see that 'git fetch' works, or make a full clone"
        )
    return "mend what it names"


def _git(folder: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
    """What git prints, without the last line end.

    Raises:
        GitRefusal: it ended with an error.
        WorkplaceError: there is no git.
    """
    # A partial clone fetches what it lacks; nobody is there to be asked for a password.
    own = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8", **(variables or {})}
    kept = {name: value for name, value in os.environ.items() if name not in _OF_ONE_REPOSITORY}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env={**kept, **own},
            start_new_session=True,
            check=False,
        )
    except FileNotFoundError:
        raise WorkplaceError(
            "git was not found, expected it for --base: install it, or compare versions with "
            "--base-framework"
        ) from None
    if done.returncode:
        raise GitRefusal(" ".join(os.fsdecode(done.stderr).split())[:_MOST_WORDS])
    return os.fsdecode(done.stdout).removesuffix("\n")
