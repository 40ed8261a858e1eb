"""What depends on the very release of Python: the oldest ones that this machine has are asked."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path

import pytest

from harness import paths
from harness.environments.interpreters import Interpreter, prove
from tests.commands.test_revisions import committed, git

pytestmark = pytest.mark.heavy

LOWEST = (3, 11)
"""As ``requires-python`` has it."""
PURE = ("filelock", "platformdirs")
"""All that ``PROGRAM`` imports beside our own: no compiled code, so it serves every release."""
PROGRAM = """
import sys
from pathlib import Path
from harness.commands.revisions import commit_of, merge_base, revision_tree, settings_folder
repository = Path(sys.argv[1])
assert merge_base(repository, "HEAD") == commit_of(repository, "HEAD")
print((revision_tree(repository, commit_of(repository, "HEAD~1")) / "mine" / "code.py").read_text())
"""


def oldest_of_each_minor() -> list[Interpreter]:
    """Those that levelfield's own command may run on."""
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    folders = [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep) if each]
    candidates = [folder / f"python3.{minor}" for folder in folders for minor in range(11, 16)]
    candidates += home.glob("3.*/bin/python")
    proven = (prove(str(path)) for path in candidates if os.access(path, os.X_OK))
    found: dict[str, Interpreter] = {}
    for one in sorted(filter(None, proven), key=_release, reverse=True):
        if _release(one) >= LOWEST:
            found[one.minor] = one
    return list(found.values())


def _release(one: Interpreter) -> tuple[int, ...]:
    return tuple(map(int, one.version.split(".")))


@pytest.mark.parametrize("one", oldest_of_each_minor(), ids=lambda one: one.version)
def test_a_base_can_be_read_by_the_oldest_release_of(one, tmp_path):
    repository = tmp_path / "repository"
    (repository / "mine").mkdir(parents=True)
    git(repository, "init", "-q", "-b", "main")
    for text in ("1", "2"):
        (repository / "mine" / "code.py").write_text(text)
        committed(repository)
    places = {str(Path(importlib.util.find_spec(name).origin).parents[1]) for name in PURE}
    surroundings = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(paths.ROOT), *sorted(places))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [one.path, "-c", PROGRAM, str(repository)],
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout.strip(), done.returncode) == ("1", 0), done.stderr
