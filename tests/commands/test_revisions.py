"""Revisions of real repositories, in the shapes that repositories have."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.commands.revisions import (
    commit_of,
    merge_base,
    repository_of,
    revision_tree,
    settings_folder,
)
from harness.errors import UsageError, WorkplaceError


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, "-c", "protocol.file.allow=always", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def committed(folder: Path, message: str = "more") -> str:
    """All that ``folder`` holds is committed; the commit."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """Two commits of ``mine/a/code.py``; the second one also has ``other``."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "repository"
    (folder / "mine" / "a").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "mine" / "a" / "code.py").write_text("1")
    committed(folder, "one")
    (folder / "mine" / "a" / "code.py").write_text("2")
    (folder / "other").write_text("3")
    committed(folder, "two")
    return folder


def state(repository: Path) -> tuple[str, ...]:
    """What must be as before, whatever was read from the repository."""
    listed = sorted(str(path) for path in (repository / ".git").iterdir())
    return (
        git(repository, "status", "--porcelain"),
        git(repository, "worktree", "list"),
        git(repository, "rev-parse", "HEAD"),
        *listed,
    )


def test_a_revision_stands_beside_the_work_tree(repository):
    before = state(repository)
    commit = commit_of(repository, "HEAD~1")
    tree = revision_tree(repository, commit)
    assert (tree / "mine" / "a" / "code.py").read_text() == "1"
    assert not (tree / "other").exists()
    assert (repository / "mine" / "a" / "code.py").read_text() == "2"
    assert state(repository) == before
    assert revision_tree(repository, commit) == tree
    assert revision_tree(repository, commit_of(repository, "main")) != tree
    # No lock, index or half-made folder beside them but what stands for the two.
    assert {path.suffix for path in tree.parent.iterdir()} == {"", ".lock"}
    assert len(list(tree.parent.iterdir())) == 4


def test_it_is_the_commit_whatever_its_attributes_say_of_archives(repository):
    (repository / ".gitattributes").write_text(
        "mine export-ignore\nother export-subst\n*.bat eol=crlf\n"
    )
    (repository / "other").write_text("$Format:%H$")
    (repository / "run.bat").write_text("one\ntwo\n")
    tree = revision_tree(repository, committed(repository))
    assert (tree / "mine" / "a" / "code.py").read_text() == "2"
    assert (tree / "other").read_text() == "$Format:%H$"
    # As a checkout has it, and so the work tree of the head.
    assert (tree / "run.bat").read_bytes() == b"one\r\ntwo\r\n"


def test_symbolic_links_lead_where_they_lead_from_the_work_tree(repository, tmp_path):
    (tmp_path / "outside").write_text("outside")
    links = {
        "mine/a/within.py": "code.py",
        "mine/a/sideways": "../../other",
        "mine/a/outside": "../../../outside",
        "absolute": str(tmp_path / "outside"),
    }
    for name, target in links.items():
        (repository / name).symlink_to(target)
    commit = committed(repository)
    (repository / "other").write_text("of the head")
    (repository / "mine" / "a" / "code.py").write_text("of the head")
    tree = revision_tree(repository, commit)
    read = {name: (tree / name).read_text() for name in links}
    assert read == {
        "mine/a/within.py": "2",
        "mine/a/sideways": "3",
        "mine/a/outside": "outside",
        "absolute": "outside",
    }


@pytest.fixture
def with_submodule(repository, tmp_path) -> Path:
    """The repository with another in it, at ``mine/sub``, whose ``code.py`` says 1, then 2."""
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q", "-b", "main")
    (library / "code.py").write_text("1")
    committed(library)
    git(repository, "submodule", "--quiet", "add", f"file://{library}", "mine/sub")
    committed(repository, "with a submodule")
    (library / "code.py").write_text("2")
    committed(library)
    git(repository / "mine" / "sub", "pull", "-q", "origin", "main")
    committed(repository, "a newer submodule")
    return repository


@pytest.mark.parametrize("recurse", ["false", "true"])
def test_submodules_are_those_of_the_commit(with_submodule, recurse):
    git(with_submodule, "config", "submodule.recurse", recurse)
    before = state(with_submodule), git(with_submodule / "mine" / "sub", "rev-parse", "HEAD")
    tree = revision_tree(with_submodule, commit_of(with_submodule, "HEAD~1"))
    assert (tree / "mine" / "sub" / "code.py").read_text() == "1"
    assert (with_submodule / "mine" / "sub" / "code.py").read_text() == "2"
    after = state(with_submodule), git(with_submodule / "mine" / "sub", "rev-parse", "HEAD")
    assert before == after


def test_a_submodule_is_as_empty_as_in_the_work_tree(with_submodule, tmp_path):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(with_submodule), str(clone))
    commit = commit_of(clone, "HEAD~1")
    tree = revision_tree(clone, commit)
    assert list((tree / "mine" / "sub").iterdir()) == []
    git(clone, "submodule", "--quiet", "update", "--init")
    tree = revision_tree(clone, commit)
    assert (tree / "mine" / "sub" / "code.py").read_text() == "1"


def test_a_submodule_without_the_commit_is_named(with_submodule, tmp_path):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(with_submodule), str(clone))
    git(clone, "submodule", "--quiet", "update", "--init", "--depth", "1")
    commit = commit_of(clone, "HEAD~1")
    with pytest.raises(WorkplaceError, match=r"«mine/sub: fatal: .* fetch origin"):
        revision_tree(clone, commit)


@pytest.mark.parametrize("kept_back", ["blob:none", "tree:0"])
def test_a_partial_clone_fetches_or_says_that_it_could_not(repository, tmp_path, kept_back):
    git(repository, "config", "uploadpack.allowFilter", "true")
    git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
    clone, address = tmp_path / "clone", f"file://{repository}"
    git(tmp_path, "clone", "-q", f"--filter={kept_back}", address, str(clone))
    commit = commit_of(clone, "HEAD~1")
    away = repository.rename(tmp_path / "away")
    with pytest.raises(WorkplaceError) as caught:
        revision_tree(clone, commit)
    assert "git said «fatal: " in str(caught.value)
    assert "its remote must be reached" in str(caught.value)
    assert "room" not in str(caught.value) and len(str(caught.value).splitlines()) == 1
    away.rename(repository)
    assert (revision_tree(clone, commit) / "mine" / "a" / "code.py").read_text() == "1"


def test_what_is_not_checked_out_here_is_not_fetched_for_the_base(repository, tmp_path):
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), str(clone))
    git(clone, "sparse-checkout", "set", "mine")
    (repository / "big").mkdir()
    (repository / "big" / "file").write_text("big")
    committed(repository)
    git(clone, "pull", "-q")
    commit = commit_of(clone, "HEAD")
    tree = revision_tree(clone, commit)
    assert (tree / "mine" / "a" / "code.py").read_text() == "2"
    assert not (tree / "big").exists()
    git(clone, "sparse-checkout", "disable")
    assert (revision_tree(clone, commit) / "big" / "file").read_text() == "big"


def test_a_hook_s_variables_do_not_lead_elsewhere(repository, tmp_path, monkeypatch):
    other = tmp_path / "elsewhere"
    other.mkdir()
    git(other, "init", "-q")
    for name, value in {"GIT_DIR": other / ".git", "GIT_INDEX_FILE": other / "index"}.items():
        monkeypatch.setenv(name, str(value))
    assert repository_of(repository) == repository.resolve()
    tree = revision_tree(repository, commit_of(repository, "HEAD"))
    assert (tree / "other").read_text() == "3"
    assert not (other / "index").exists()


def test_no_hook_of_the_repository_runs(repository, tmp_path):
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    revision_tree(repository, commit_of(repository, "HEAD"))
    assert not (tmp_path / "ran").exists()


def test_a_damaged_repository_is_reported_in_git_s_own_words(repository):
    commit = commit_of(repository, "HEAD~1")
    blob = git(repository, "rev-parse", "HEAD~1:mine/a/code.py")
    loose = repository / ".git" / "objects" / blob[:2] / blob[2:]
    loose.unlink()
    with pytest.raises(WorkplaceError, match=f"git said «.*{blob}.*»: mend what it names"):
        revision_tree(repository, commit)
    assert not any(path.is_dir() for path in (Path(os.environ["XDG_CACHE_HOME"])).glob("*/*/*"))


def test_a_folder_that_cannot_be_written_is_named(repository, tmp_path):
    (tmp_path / "cache").write_text("no folder")
    with pytest.raises(WorkplaceError, match="move it with XDG_CACHE_HOME"):
        revision_tree(repository, commit_of(repository, "HEAD"))


def test_old_revisions_make_room(repository):
    first = revision_tree(repository, commit_of(repository, "HEAD~1"))
    os.utime(first, (0, 0))
    second = revision_tree(repository, commit_of(repository, "HEAD"))
    assert second.exists() and not first.exists()


def test_a_branch_is_not_charged_with_what_others_did(repository):
    parted = commit_of(repository, "HEAD")
    git(repository, "switch", "-q", "-c", "topic")
    (repository / "topic").write_text("1")
    own = committed(repository)
    git(repository, "switch", "-q", "main")
    (repository / "faster").write_text("1")
    tip = committed(repository)
    git(repository, "switch", "-q", "topic")
    assert merge_base(repository, "main") == parted
    assert commit_of(repository, "main") == tip
    assert merge_base(repository, "topic") == own


def test_without_a_merge_base_the_reason_is_said(repository, tmp_path):
    clone = tmp_path / "clone"
    git(repository, "switch", "-q", "-c", "topic", "HEAD~1")
    (repository / "topic").write_text("1")
    committed(repository)
    address = f"file://{repository}"
    git(tmp_path, "clone", "-q", "--depth=1", "--no-single-branch", address, str(clone))
    with pytest.raises(UsageError, match=r"the clone is shallow.*--unshallow.*--base-exact"):
        merge_base(clone, "origin/main")
    git(clone, "fetch", "-q", "--unshallow")
    assert merge_base(clone, "origin/main") == git(clone, "rev-parse", "origin/main~1")
    git(clone, "switch", "-q", "--orphan", "alone")
    (clone / "new").write_text("1")
    committed(clone)
    with pytest.raises(UsageError, match=r"no common history.*--base-exact origin/main"):
        merge_base(clone, "origin/main")


def test_the_repository_is_found_from_within(repository):
    assert repository_of(repository / "mine" / "a") == repository.resolve()


def test_settings_are_found_in_a_repository_that_git_refuses(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.chdir(repository / "mine")
    assert settings_folder() == repository
    with pytest.raises(UsageError, match=r"dubious ownership.*safe.directory"):
        repository_of(Path.cwd())
    monkeypatch.chdir(tmp_path)
    assert settings_folder() == tmp_path


def test_no_repository_and_no_revision_are_one_line_each(repository, tmp_path):
    with pytest.raises(UsageError, match="is in no git repository"):
        repository_of(tmp_path)
    with pytest.raises(UsageError, match="--base is 'nope', expected a revision of"):
        commit_of(repository, "nope")
    with pytest.raises(UsageError, match="--base is '--help'"):
        commit_of(repository, "--help")
    shutil.rmtree(repository / ".git")
    with pytest.raises(UsageError, match="git said «fatal: not a git repository"):
        repository_of(repository)
