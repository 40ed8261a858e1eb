from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness import paths
from harness.commands.plan import without_home
from harness.errors import WorkplaceError


@pytest.fixture
def scratch(tmp_path, monkeypatch) -> Path:
    """The folder for temporary files; the user's entry names no home."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def no_entry(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    return tmp_path


NO_HOMES = ["/", "", None, "relative", "/proc/none"]


@pytest.mark.parametrize("home", NO_HOMES)
def test_who_has_no_home_gets_one(home, scratch, monkeypatch):
    if home is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", home)
    assert paths.user_home() is None
    assert without_home("/a/b: c/d") == "/a/b: c/d"
    own = scratch / f"levelfield-{os.getuid()}"
    assert paths.user_cache() == own / ".cache" / "levelfield"
    assert (os.environ["HOME"], own.stat().st_mode & 0o777) == (str(own), 0o700)
    assert paths.user_cache() == own / ".cache" / "levelfield"


def test_a_home_that_is_there_is_kept(scratch, monkeypatch):
    monkeypatch.setenv("HOME", str(scratch))
    assert paths.user_cache() == scratch / ".cache" / "levelfield"
    assert list(scratch.iterdir()) == []
    monkeypatch.setenv("XDG_CACHE_HOME", str(scratch / "elsewhere"))
    assert paths.user_cache() == scratch / "elsewhere" / "levelfield"


def test_nothing_is_run_from_where_others_could_have_put_it(scratch, monkeypatch):
    monkeypatch.setenv("HOME", "/")
    (scratch / f"levelfield-{os.getuid()}").symlink_to("/usr")
    with pytest.raises(WorkplaceError, match=r"it is not yours\): name one with HOME"):
        paths.user_cache()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{home}/a:{home}/b", "~/a:~/b"),
        ("{home}", "~"),
        ("See {home}.", "See ~."),
        ("{home}-two/a", "{home}-two/a"),
        ("{home}.bak/a", "{home}.bak/a"),
        ("/x{home}/a", "/x{home}/a"),
        ("file://{home}/a", "file://~/a"),
    ],
)
def test_only_the_home_folder_itself_is_hidden(text, shown, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert without_home(text.format(home=tmp_path)) == shown.format(home=tmp_path)


@pytest.mark.heavy
@pytest.mark.parametrize("home", ["/", "relative", "/proc/none"])
def test_a_command_without_a_home_says_nothing_of_it(home, tmp_path):
    surroundings = {
        **os.environ, "HOME": home, "TMPDIR": str(tmp_path), "PYTHONPATH": str(paths.ROOT),
    }  # fmt: skip
    surroundings.pop("XDG_CACHE_HOME", None)
    done = subprocess.run(
        [sys.executable, "-m", "harness", "report"],
        env=surroundings,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert not (tmp_path / "~").exists() and not (tmp_path / "relative").exists()
