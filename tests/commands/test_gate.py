"""Gates of a user's own repository, whose implementations compute with NumPy."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from .conftest import IMPLEMENTATIONS
from .test_revisions import git

SUBSET = ("--dataset", "fashion-mnist-20k", "--epochs", "1", "--blocks", "5")


@pytest.fixture
def repository(tmp_path) -> Path:
    """A user's repository, in which ``levelfield`` runs, with one commit."""
    for name in ("quick", "plain_numpy"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(IMPLEMENTATIONS / name, tmp_path / "mine" / name, ignore=ignored)
    (tmp_path / ".gitignore").write_text("results\nreports\n__pycache__\n")
    (tmp_path / "pyproject.toml").write_text("[tool.levelfield.gate]\nseeds = 1\n")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    return tmp_path


def test_a_head_that_is_wrong_ends_with_3_and_says_so_everywhere(levelfield, repository):
    gate = ("gate", "--base", "main", "--impl-dir", "mine", "-f", "quick", *SUBSET)
    done = levelfield(*gate, "--junit", "out/gate.xml", GITHUB_ACTIONS="true")
    assert done.returncode == 3, done.stderr
    assert "::error title=levelfield%3A parity lost::" in done.stdout
    suite = ET.parse(repository / "out" / "gate.xml").getroot()
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["parity"]
    table = (repository / "reports" / "latest" / "gate.md").read_text()
    assert table.startswith("### Parity is lost, against main (")
    # Nothing is left behind in the user's repository.
    assert git(repository, "status", "--porcelain") == "?? out/"


def test_implementations_may_lie_at_the_top_of_the_repository(levelfield, repository):
    git(repository, "mv", "mine/quick", "quick")
    git(repository, "commit", "-q", "-m", "two")
    gate = ("gate", "--base", "main", "--impl-dir", ".", "-f", "quick", *SUBSET)
    done = levelfield(*gate, "--json")
    assert done.returncode == 3, done.stderr
    [cell] = json.loads(done.stdout)["judgement"]["cells"]
    assert cell["series"].split("/")[1] == "quick"
    [run] = (repository / "results" / "runs").glob("*/run.json")
    commit = json.loads(run.read_text())["git_commit"]
    assert git(repository, "rev-parse", "HEAD").startswith(commit)


def test_what_one_side_lacks_is_left_out_and_said(levelfield, repository):
    git(repository, "rm", "-rq", "--cached", "mine/plain_numpy")
    git(repository, "commit", "-q", "-m", "two")
    gate = ("gate", "--base", "main", "--impl-dir", "mine")
    done = levelfield(*gate, "-f", "plain_numpy", *SUBSET)
    assert done.returncode == 2
    assert "Nothing to compare: the work tree has plain_numpy, quick, main has quick" in done.stderr


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("gate",), "Neither of --base and --base-framework given"),
        (("gate", "--base", "main"), "name your own implementations with --impl-dir"),
        (("gate", "--base", "gone", "--impl-dir", "mine"), "--base is 'gone', expected a revision"),
        (("gate", "--base", "main", "--blocks", "3"), "--blocks is 3, expected 5 or more"),
        (
            ("gate", "--base", "main", "--impl-dir", "mine", "-f", "quick@1", "-f", "quick@2"),
            "-f names quick twice, expected one version of a framework",
        ),
        (
            ("gate", "--base", "main", "--impl-dir", "mine", "--junit", "mine"),
            "--junit mine can't be written (Is a directory)",
        ),
        (("gate", "--base-framework", "keras"), "--base-framework is 'keras' with -f keras"),
        (("gate", "--base-framework", "keras@1.0", "-f", "keras@1.0"), "expected two versions"),
        (("compare", "keras@1.0"), "stands alone, expected two or more"),
    ],
)
def test_what_cannot_be_gated_is_said_in_one_line(levelfield, repository, arguments, said):
    done = levelfield(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "settings, said",
    [
        ("slowdwon = 0.1", "unknown field `slowdwon`"),
        ("slowdown = 2", "expected a share below 1"),
        ("blocks = 3", "blocks is 3 in [tool.levelfield.gate] of pyproject.toml, expected 5"),
        ("[tool.levelfield.gate.cells.'*']\nspeed = 1.0", "unknown field `speed`"),
    ],
)
def test_wrong_settings_are_named_with_their_file(levelfield, repository, settings, said):
    (repository / "pyproject.toml").write_text(f"[tool.levelfield.gate]\n{settings}\n")
    done = levelfield("gate", "--base", "main", "--impl-dir", "mine")
    assert done.returncode == 2
    assert said in done.stderr and "pyproject.toml" in done.stderr


@pytest.mark.slow
def test_a_head_that_takes_twice_as_long_is_caught(levelfield, repository):
    adapter = repository / "mine" / "plain_numpy" / "adapter.py"
    head, body = adapter.read_text().split("    def train(")
    adapter.write_text(
        f"{head}    def train(self, batches):\n"
        "        began = time.perf_counter()\n"
        "        self.train_well(batches)\n"
        "        until = time.perf_counter() + (time.perf_counter() - began)\n"
        "        while time.perf_counter() < until:\n"
        "            pass\n\n"
        f"    def train_well({body}"
    )
    adapter.write_text(
        adapter.read_text().replace("import numpy", "import time\n\nimport numpy", 1)
    )
    gate = ("gate", "--base", "main", "--impl-dir", "mine", "-f", "plain_numpy", *SUBSET)
    done = levelfield(*gate, "-r", "lenet-adam-b64", "--json")
    answer = json.loads(done.stdout)
    [cell] = answer["judgement"]["cells"]
    assert (done.returncode, cell["speed"], cell["parity"]) == (1, "slower", "proved"), cell
    assert cell["slowdown"] > 0.5
