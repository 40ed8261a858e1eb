"""Shapes of git repositories: a gate measures the base's commit, or says in a line why it can't."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.conftest import IMPLEMENTATIONS
from tests.commands.test_revisions import committed, git

from .commands import held
from .processes import House

pytestmark = [pytest.mark.campaign, pytest.mark.frameworks]

GATE = (
    "gate", "--impl-dir", "mine", "-f", "quick", "--dataset", "fashion-mnist-20k", "--epochs", "1",
    "--blocks", "5",
)  # fmt: skip
BASE, HEAD = "# of the base\n", "# of the head\n"


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A repository of a user's, on a branch ``topic``, one commit ahead of ``main``."""
    folder = tmp_path / "origin"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(IMPLEMENTATIONS / "quick", folder / "mine" / "quick", ignore=ignored)
    (folder / ".gitignore").write_text("results\nreports\n__pycache__\n")
    git(folder, "init", "-q", "-b", "main")
    write(folder, BASE)
    committed(folder)
    git(folder, "switch", "-q", "-c", "topic")
    write(folder, HEAD)
    committed(folder)
    return folder


def write(folder: Path, text: str) -> None:
    """The implementation ends with ``text``."""
    path = folder / "mine" / "quick" / "adapter.py"
    code = (IMPLEMENTATIONS / "quick" / "adapter.py").read_text("utf-8")
    path.write_text(code + text, encoding="utf-8")


def clone(origin: Path, *how: str) -> Path:
    folder = origin.parent / "clone"
    git(origin.parent, "clone", "-q", *how, f"file://{origin}", str(folder))
    return folder


def as_it_is(origin: Path) -> Path:
    return origin


def changed(origin: Path) -> Path:
    (origin / "mine" / "quick" / "untracked").write_text("")
    write(origin, "# changed\n")
    return origin


def detached(origin: Path) -> Path:
    git(origin, "switch", "-q", "--detach")
    return origin


def export_ignored(origin: Path) -> Path:
    git(origin, "switch", "-q", "main")
    (origin / ".gitattributes").write_text("mine export-ignore\n*.py export-subst\n")
    committed(origin)
    git(origin, "switch", "-q", "topic")
    git(origin, "rebase", "-q", "main")
    return origin


def linked(origin: Path) -> Path:
    """The implementation's code is a symbolic link within the repository."""
    for branch, text in (("main", BASE), ("topic", HEAD)):
        git(origin, "switch", "-q", branch)
        write(origin, text)
        code = origin / "mine" / "quick" / "adapter.py"
        code.rename(origin / "code.py")
        code.symlink_to("../../code.py")
        committed(origin)
    git(origin, "merge", "-q", "-s", "ours", "main", "-m", "merged")
    return origin


def submodule(origin: Path) -> Path:
    """The implementations are a repository of their own."""
    parent = origin.parent / "parent"
    parent.mkdir()
    git(parent, "init", "-q", "-b", "main")
    (parent / ".gitignore").write_text("results\nreports\n__pycache__\n")
    own = origin.parent / "own"
    shutil.move(origin / "mine", own)
    git(own, "init", "-q", "-b", "main")
    write_in = own / "quick" / "adapter.py"
    code = (IMPLEMENTATIONS / "quick" / "adapter.py").read_text("utf-8")
    write_in.write_text(code + BASE)
    committed(own)
    git(parent, "submodule", "--quiet", "add", f"file://{own}", "mine")
    committed(parent)
    git(parent, "switch", "-q", "-c", "topic")
    write_in.write_text(code + HEAD)
    committed(own)
    git(parent / "mine", "pull", "-q")
    committed(parent)
    return parent


def worktree(origin: Path) -> Path:
    folder = origin.parent / "a work tree ☃"
    git(origin, "switch", "-q", "main")
    git(origin, "worktree", "add", "-q", str(folder), "topic")
    return folder


def blobless(origin: Path) -> Path:
    git(origin, "config", "uploadpack.allowFilter", "true")
    git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
    return with_main(clone(origin, "--filter=blob:none"))


def with_main(folder: Path) -> Path:
    git(folder, "branch", "main", "origin/main")
    return folder


def packed(origin: Path) -> Path:
    git(origin, "gc", "-q", "--aggressive", "--prune=now")
    git(origin, "pack-refs", "--all")
    return origin


def of_another_owner(origin: Path) -> Path:
    return origin


def shallow(origin: Path) -> Path:
    write(origin, "# more\n")
    committed(origin)
    folder = clone(origin, "--depth=1", "--no-single-branch")
    return with_main(folder)


def without_main(origin: Path) -> Path:
    git(origin, "branch", "-q", "-D", "main")
    return origin


def bare(origin: Path) -> Path:
    folder = origin.parent / "bare"
    git(origin.parent, "clone", "-q", "--bare", str(origin), str(folder))
    shutil.copytree(origin / "mine", folder / "mine")
    return folder


def no_repository(origin: Path) -> Path:
    shutil.rmtree(origin / ".git")
    return origin


def no_commit(origin: Path) -> Path:
    shutil.rmtree(origin / ".git")
    git(origin, "init", "-q", "-b", "topic")
    return origin


def unrelated(origin: Path) -> Path:
    git(origin, "switch", "-q", "--orphan", "alone")
    shutil.copytree(IMPLEMENTATIONS / "quick", origin / "mine" / "quick")
    committed(origin)
    return origin


def blobless_and_away(origin: Path) -> Path:
    folder = blobless(origin)
    origin.rename(origin.parent / "away")
    return folder


def damaged(origin: Path) -> Path:
    for path in (origin / ".git" / "objects").glob("??/*"):
        path.chmod(0o644)
        path.write_bytes(b"")
    return origin


def dangling_git(origin: Path) -> Path:
    shutil.rmtree(origin / ".git")
    (origin / ".git").write_text("gitdir: /nonexistent\n")
    return origin


def renamed(origin: Path) -> Path:
    """The base has no implementation of that name."""
    git(origin, "switch", "-q", "main")
    git(origin, "mv", "mine/quick", "mine/other")
    committed(origin)
    git(origin, "switch", "-q", "topic")
    git(origin, "merge", "-q", "-s", "ours", "main", "-m", "merged")
    return origin


def configured(origin: Path) -> Path:
    """The user's own settings of git are not ours."""
    for name, value in {
        "core.autocrlf": "true", "core.quotepath": "true", "color.ui": "always",
        "core.pager": "false", "diff.external": "false", "core.hooksPath": "/nonexistent",
        "core.fsmonitor": "false", "log.showSignature": "true", "status.short": "true",
        "core.worktree": str(origin),
    }.items():  # fmt: skip
        git(origin, "config", name, value)
    return origin


MEASURED: tuple[Callable[[Path], Path], ...] = (
    as_it_is, changed, detached, export_ignored, linked, submodule, worktree, blobless, packed,
    configured,
)  # fmt: skip
REFUSED: dict[Callable[[Path], Path], str] = {
    of_another_owner: "dubious ownership",
    shallow: "shallow",
    without_main: "--base is 'main'",
    bare: "",
    no_repository: "no git repository",
    no_commit: "",
    unrelated: "no common history",
    blobless_and_away: "remote must be reached",
    damaged: "",
    dangling_git: "git said",
    renamed: "Nothing to compare",
}


@pytest.mark.parametrize("shape", MEASURED, ids=lambda shape: shape.__name__)
def test_the_commit_of_the_base_is_measured_beside_the_work_tree(
    house: House, origin: Path, shape: Callable[[Path], Path]
) -> None:
    house.work = shape(origin)
    before = of_git(house.work)
    done = house.run(*GATE, "--base", "main")
    assert done.code == 3, f"quick is wrong in both: {done.stderr[-2000:]}"
    bases = list((house.cache / "levelfield" / "revisions").glob("*/mine/quick/adapter.py"))
    assert [path.read_text("utf-8").endswith(BASE) for path in bases] == [True]
    [run] = (house.work / "results" / "runs").glob("*/run.json")
    code = json.loads(run.read_bytes())["code"]
    assert len(set(code.values())) == 2, code
    assert of_git(house.work) == before


@pytest.mark.parametrize("shape", REFUSED, ids=lambda shape: shape.__name__)
def test_what_can_t_be_compared_is_a_line_that_names_the_cause(
    house: House, origin: Path, shape: Callable[[Path], Path]
) -> None:
    house.work = shape(origin)
    owner = "1" if shape is of_another_owner else None
    process = house.start(*GATE, "--base", "main", GIT_TEST_ASSUME_DIFFERENT_OWNER=owner)
    done = held(house.ended(process), GATE)
    assert done.code == 2, done.stderr
    said = done.stderr.splitlines()[-1]
    assert said.startswith("levelfield: ")
    assert REFUSED[shape] in said
    assert not (house.work / "results").exists()
    trees = list((house.cache / "levelfield").glob("revisions/*/mine"))
    assert bool(trees) == (shape is renamed), "only a whole base is kept"


def of_git(folder: Path) -> tuple[str, ...]:
    """What a gate must leave as it is."""
    inside = Path(git(folder, "rev-parse", "--absolute-git-dir"))
    return (
        git(folder, "status", "--porcelain"),
        git(folder, "rev-parse", "HEAD"),
        git(folder, "worktree", "list"),
        *sorted(each.name for each in inside.iterdir()),
    )
