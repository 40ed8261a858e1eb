"""Requirements that move: real repositories and files, and environments made from them."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from harness.environments.moving import settled_line
from harness.errors import UsageError, WorkplaceError
from tests.commands.test_revisions import committed, git
from tests.environments.conftest import write_wheel

pytestmark = pytest.mark.heavy


@pytest.fixture
def library(tmp_path) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "one").write_text("1")
    committed(folder)
    git(folder, "tag", "-a", "v1", "-m", "one")
    return folder


def test_a_branch_stands_for_the_commit_that_it_is_at(library):
    first = git(library, "rev-parse", "HEAD")
    address = f"git+file://{library}"
    assert settled_line(f"lib @ {address}@main", "f") == f"lib @ {address}@{first}"
    (library / "one").write_text("2")
    second = committed(library)
    for asked in (address, f"{address}@main"):
        assert settled_line(f"lib[x] @ {asked}#egg=lib", "f") == (
            f"lib[x] @ {address}@{second}#egg=lib"
        )
    marked = settled_line(f"lib @ {address}@v1 ; python_version > '3'", "f")
    assert marked == f"lib @ {address}@{first} ; python_version > '3'"
    for fixed in (f"lib @ {address}@{first}", f"lib @ {address}@{first[:10]}"):
        assert settled_line(fixed, "f") == fixed


def test_what_cannot_be_asked_is_said(library, tmp_path):
    with pytest.raises(WorkplaceError, match=r"asks for gone, which .* does not have"):
        settled_line(f"lib @ git+file://{library}@gone", "f")
    with pytest.raises(WorkplaceError, match=r"stands for today can't be .*git said «fatal"):
        settled_line(f"lib @ git+file://{tmp_path}/nothing@main", "f")
    with pytest.raises(WorkplaceError, match="no such file"):
        settled_line(f"lib @ file://{tmp_path}/lib-1.0.tar.gz", "f")
    with pytest.raises(UsageError, match="can change, expected it to say what it is"):
        settled_line("lib @ https://example.org/archive/main.zip", "f")


@pytest.mark.parametrize(
    "line",
    [
        "lib==1.0",
        "--no-index",
        "lib>=1 --hash=sha256:00",
        "lib @ https://example.org/lib-1.0-py3-none-any.whl",
        f"lib @ https://example.org/main.zip#sha256={'0' * 64}",
    ],
)
def test_what_does_not_move_is_kept(line):
    assert settled_line(line, "f") == line


def test_a_folder_is_what_it_holds(tmp_path):
    folder = tmp_path / "lib"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "code.py").write_text("1")
    line = f"lib @ file://{folder}"
    first = settled_line(line, "f")
    assert first.startswith(f"{line} # holds ")
    for made in ("build/x", "src/lib.egg-info/y", "src/__pycache__/z"):
        (folder / made).parent.mkdir(parents=True)
        (folder / made).write_text("made")
    assert settled_line(line, "f") == first
    (folder / "src" / "code.py").write_text("2")
    assert settled_line(line, "f") != first


def test_what_has_moved_is_installed_anew(environments, make_toy, requirements, tmp_path):
    wheel = write_wheel(tmp_path, "toyextra", "1.0")
    implementation = make_toy(f"{requirements}toyextra @ {wheel.as_uri()}\n")
    first = environments.sync(implementation)
    assert environments.sync(implementation) == first
    [info] = environments.listed([implementation])
    assert info.current
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("moved.py", "value = 2\n")
    second = environments.sync(implementation)
    assert second.folder != first.folder
    told = subprocess.run(
        [second.python, "-c", "import moved; print(moved.value)"], capture_output=True, text=True
    )
    assert told.stdout.strip() == "2", told.stderr
