"""Requirements that stand for something else tomorrow: a branch, a folder, an archive on a disk.

An environment is made once and kept, so what it is made from has to be said exactly: a branch by
the commit that it is at, a file or folder by a digest of what it holds.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement

from harness.errors import UsageError, WorkplaceError

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT_COMMIT = re.compile(r"[0-9a-f]{7,39}")
_HASH = re.compile(r"(^|&)(sha256|sha384|sha512)=")
_GIT_SECONDS = 60.0
_NOT_CONTENT = frozenset({".git", "build", "dist", ".venv", ".tox"})
"""At the top of a package's folder: what a build of it writes itself, or does not read."""


def settled_line(line: str, source: str) -> str:
    """``line``, exactly: it asks for the same thing at any time, or would not be equal to this.

    Raises:
        UsageError: nobody can say what it stands for.
        WorkplaceError: what it names can't be read, or does not answer.
    """
    if line.startswith("-"):
        return line
    requirement = Requirement(line.split(" --", 1)[0])
    if requirement.url is None:
        return line
    parts = urlsplit(requirement.url)
    if _HASH.search(parts.fragment):
        return line
    if parts.scheme.startswith("git+"):
        settled = _at_commit(requirement.url, line)
    elif parts.scheme == "file":
        path = Path(unquote(parts.path))
        if path.is_dir():
            # pip takes the digest of an archive alone; of a folder it stands in a comment.
            return f"{line} # holds {_folder_digest(path)}"
        settled = _with_digest(requirement.url, path, line)
    elif parts.scheme in ("http", "https") and parts.path.endswith(".whl"):
        return line  # its name holds its version
    else:
        raise UsageError(
            f"{source}: what {line!r} leads to can change, expected it to say what it is: add "
            "#sha256=… to an archive, or name a commit of a git repository"
        )
    return line.replace(requirement.url, settled, 1)


def _at_commit(url: str, line: str) -> str:
    """``url`` with the commit that its branch or tag is at."""
    address, mark, fragment = url.partition("#")
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    path, _, revision = path.rpartition("@") if "@" in path else (path, "", "")
    if revision and _COMMIT.fullmatch(revision):
        return url
    repository = f"{scheme.removeprefix('git+')}://{host}{slash}{path}"
    names = [revision] if revision else ["HEAD"]
    heads = _heads(repository, line)
    for name in (f"refs/heads/{revision}", f"refs/tags/{revision}^{{}}", f"refs/tags/{revision}"):
        names.append(name)
    commit = next((heads[name] for name in names if name in heads), None)
    if commit is None and _SHORT_COMMIT.fullmatch(revision):
        return url
    if commit is None:
        raise WorkplaceError(
            f"{line!r} asks for {revision or 'HEAD'}, which {repository} does not have: name a "
            "branch, a tag or a commit of it"
        )
    return f"{scheme}://{host}{slash}{path}@{commit}{mark}{fragment}"


def _heads(repository: str, line: str) -> dict[str, str]:
    """Name of each reference → commit."""
    try:
        done = subprocess.run(
            ["git", "ls-remote", "--", repository],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_GIT_SECONDS,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            # Nobody is there to be asked for a password.
            start_new_session=True,
        )
        said = "" if done.returncode == 0 else " ".join(done.stderr.split())
    except FileNotFoundError:
        said = "git was not found"
    except subprocess.TimeoutExpired:
        said = f"no answer within {_GIT_SECONDS:g} s"
    if said:
        raise WorkplaceError(
            f"What {line!r} stands for today can't be found out (git said «{said}»): see that "
            f"{repository} can be reached, or name a commit in place of a branch"
        )
    pairs = (each.split("\t", 1) for each in done.stdout.splitlines() if "\t" in each)
    return {name: commit for commit, name in pairs}


def _with_digest(url: str, path: Path, line: str) -> str:
    """``url`` with the digest of the archive that it leads to."""
    try:
        if not path.is_file():
            raise FileNotFoundError(f"no such file: {path}")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WorkplaceError(f"{line!r} can't be read ({error}): mend that line") from None
    address, _, fragment = url.partition("#")
    return f"{address}#{'&'.join(filter(None, (fragment, f'sha256={digest}')))}"


def _folder_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        made = any(part == "__pycache__" or part.endswith(".egg-info") for part in name.parts)
        if path.is_file() and not made and name.parts[0] not in _NOT_CONTENT:
            digest.update(f"{name}\0{path.stat().st_size}\0".encode("utf-8", "surrogateescape"))
            digest.update(path.read_bytes())
    return digest.hexdigest()
