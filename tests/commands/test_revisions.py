from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.commands.revisions import commit_of, repository_of, revision_tree
from harness.errors import UsageError


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """Two commits of ``mine/a/code.py``; the second one also has ``other``."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "repository"
    (folder / "mine" / "a").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "mine" / "a" / "code.py").write_text("1")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "one")
    (folder / "mine" / "a" / "code.py").write_text("2")
    (folder / "other").write_text("3")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "two")
    return folder


def test_a_revision_stands_beside_the_work_tree(repository):
    before = git(repository, "status", "--porcelain"), git(repository, "worktree", "list")
    commit = commit_of(repository, "HEAD~1")
    tree = revision_tree(repository, commit, ["mine", "other"])
    assert (tree / "mine" / "a" / "code.py").read_text() == "1"
    assert not (tree / "other").exists()
    assert (repository / "mine" / "a" / "code.py").read_text() == "2"
    assert (git(repository, "status", "--porcelain"), git(repository, "worktree", "list")) == before
    assert revision_tree(repository, commit, ["mine", "other"]) == tree
    assert revision_tree(repository, commit_of(repository, "main"), ["mine", "other"]) != tree


def test_the_repository_is_found_from_within(repository):
    assert repository_of(repository / "mine" / "a") == repository.resolve()


def test_no_repository_and_no_revision_are_one_line_each(repository, tmp_path):
    with pytest.raises(UsageError, match="is in no git repository"):
        repository_of(tmp_path)
    with pytest.raises(UsageError, match="--base is 'nope', expected a revision of"):
        commit_of(repository, "nope")
    with pytest.raises(UsageError, match="--base is '--help'"):
        commit_of(repository, "--help")
