"""Gates of a user's own repository, whose implementations compute with NumPy."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from harness import paths
from harness.analysis.gate import GateJudgement, gate
from harness.analysis.observations import Observations
from harness.commands.catalogue import read_catalogue
from harness.commands.gate_sides import Comparison, revisions
from harness.commands.revisions import settings_folder
from harness.commands.run import start_run
from harness.console import Console
from harness.report.gate import base_in_words, sentences
from harness.spec.events import TrialStarted
from harness.spec.gates import GateSettings, read_gate_settings
from harness.spec.selection import FrameworkChoice, Selection
from harness.store.runs import read_run

from .conftest import IMPLEMENTATIONS
from .test_revisions import committed, git

pytestmark = pytest.mark.heavy

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
    commit = git(repository, "rev-parse", "HEAD")[:12]
    assert f"- Base: main ({commit}). Head: {commit}." in table
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
    assert "Nothing to compare: the work tree has plain_numpy, quick, " in done.stderr
    assert " of main has quick (plain_numpy: the base, " in done.stderr


def test_a_branch_is_held_against_where_it_left_the_base(repository, monkeypatch):
    parted = git(repository, "rev-parse", "HEAD")
    git(repository, "switch", "-q", "-c", "topic")
    (repository / "mine" / "quick" / "topic").write_text("")
    committed(repository)
    git(repository, "switch", "-q", "main")
    (repository / "mine" / "quick" / "faster").write_text("")
    tip = committed(repository)
    git(repository, "switch", "-q", "topic")
    monkeypatch.chdir(repository)
    monkeypatch.setenv("XDG_CACHE_HOME", str(repository.parent / "cache"))

    found = compared("main", "quick")
    assert (found.terms.base, found.terms.commit, found.terms.tip) == ("main", parted, tip)
    [base, _] = found.pairs
    assert not (Path(base.implementation.folder) / "faster").exists()
    assert base_in_words(found.terms) == f"{parted[:12]}, the merge base with main ({tip[:12]})"

    exact = compared("main", "quick", exact=True)
    assert (exact.terms.commit, exact.terms.tip) == (tip, tip)
    assert (Path(exact.pairs[0].implementation.folder) / "faster").exists()
    assert base_in_words(exact.terms) == f"main ({tip[:12]})"


def test_each_that_is_left_out_has_its_reason(repository, monkeypatch):
    definition = repository / "mine" / "plain_numpy" / "impl.toml"
    good = definition.read_text()
    definition.write_text("python = 1\n")
    shutil.copytree(repository / "mine" / "quick", repository / "mine" / "renamed")
    committed(repository)
    definition.write_text(good)
    (repository / "mine" / "renamed").rename(repository / "mine" / "anew")
    monkeypatch.chdir(repository)
    monkeypatch.setenv("XDG_CACHE_HOME", str(repository.parent / "cache"))
    found = compared("main")
    reasons = {each.what: each.reason for each in found.left_out}
    assert set(reasons) == {"plain_numpy", "anew", "renamed"}
    commit = git(repository, "rev-parse", "HEAD")[:12]
    assert f"can't be read: {commit}:mine/plain_numpy/impl.toml: " in reasons["plain_numpy"]
    assert reasons["anew"] == f"the base, {commit}, does not have it"
    assert "does not have it any more" in reasons["renamed"]
    assert [choice.implementation.name for choice in found.pairs] == ["quick", "quick"]
    # What was not asked for is not missed.
    assert compared("main", "quick").left_out == ()


def test_the_setting_makes_a_gate_strict(repository, monkeypatch):
    settings = "[tool.levelfield.gate]\nstrict = true\n"
    (repository / "pyproject.toml").write_text(settings)
    monkeypatch.chdir(repository / "mine")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert read_gate_settings(settings_folder()).terms("main", None, ()).strict


def compared(base: str, *frameworks: str, exact: bool = False) -> Comparison:
    """What a gate of ``mine`` would put side by side."""
    selection = Selection(frameworks=tuple(map(FrameworkChoice, frameworks)), impl_dirs=("mine",))
    catalogue = read_catalogue(selection.impl_dirs)
    return revisions(catalogue, selection, base, GateSettings(), exact=exact)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("gate",), "No base given, expected one of --base, --base-exact, --base-framework"),
        (("gate", "--base", "main", "--base-exact", "main"), "--base and --base-exact given"),
        (
            ("gate", "--base-exact", "gone", "--impl-dir", "mine"),
            "--base-exact is 'gone', expected a revision",
        ),
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


WRAPPED = """import time

from impls.pytorch import adapter as framework


def create(setup):
    adapter = framework.create(setup)
    train = adapter.train

    def later(batches):
        began = time.perf_counter()
        train(batches)
        until = time.perf_counter() + TIMES * (time.perf_counter() - began)
        while time.perf_counter() < until:
            pass

    adapter.train = later
    return adapter
"""


@pytest.mark.frameworks
@pytest.mark.slow
def test_a_head_that_takes_three_times_as_long_is_caught(levelfield, repository):
    """Whatever else the machine does meanwhile: five blocks of a busy one show nothing smaller."""
    wrapped = repository / "mine" / "wrapped"
    wrapped.mkdir()
    for name in ("impl.toml", "requirements-cpu.txt", "__init__.py"):
        shutil.copy(paths.IMPLS / "pytorch" / name, wrapped)
    (wrapped / "adapter.py").write_text(WRAPPED.replace("TIMES", "0"))
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "two")
    (wrapped / "adapter.py").write_text(WRAPPED.replace("TIMES", "2"))
    gate = ("gate", "--base", "main", "--impl-dir", "mine", "-f", "wrapped", *SUBSET)
    done = levelfield(*gate, "-r", "lenet-sgd", "--json")
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    [cell] = answer["judgement"]["cells"]
    assert (done.returncode, cell["speed"], cell["parity"]) == (1, "slower", "proved"), cell
    assert cell["slowdown"] > 0.7
    [listed] = json.loads(levelfield("list", "runs", "--json").stdout)
    assert listed["exit_code"] == 1


@pytest.mark.slow
@pytest.mark.frameworks
def test_a_second_gate_does_not_train_the_base_again(repository, own_cache, monkeypatch):
    """Whatever commit it is of: what its code says counts."""
    shutil.copytree(paths.IMPLS / "pytorch", repository / "mine" / "pytorch_again")
    committed(repository)
    monkeypatch.chdir(repository)
    monkeypatch.setenv("XDG_CACHE_HOME", own_cache)

    def trained() -> tuple[list[TrialStarted], GateJudgement]:
        """The long trials of a gate that measures no speed."""
        found = compared("HEAD", "pytorch_again")
        suite = msgspec.structs.replace(found.catalogue.suites["gate"], seeds=1, blocks=0)
        folder = start_run(
            Console(json=True), found.catalogue, suite,
            Selection(dataset="fashion-mnist-20k", epochs=1, impl_dirs=("mine",)),
            repository / "results", ("levelfield", "gate"),
            study="gate", pairs=found.pairs, gate=found.terms,
        )  # fmt: skip
        run = Observations(read_run(folder))
        return [one for one in run.all(TrialStarted) if one.long], gate(run)

    first, judged = trained()
    assert [one.trained_at for one in first] == [None, None]
    assert judged.cells[0].base_trained_at is None
    (repository / "notes.txt").write_text("another commit")
    committed(repository)
    second, judged = trained()
    assert sorted(one.trained_at is None for one in second) == [False, True]
    [cell] = judged.cells
    assert cell.base_trained_at in [one.at for one in first]
    assert any("the base's accuracies are of " in line for line in sentences(judged))
