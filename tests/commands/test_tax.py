"""An adapter against a loop written by hand, in a framework that needs nothing but NumPy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness.commands.catalogue import read_catalogue
from harness.commands.tax import with_scripts
from harness.spec.cells import HANDWRITTEN
from harness.spec.events import TrialStarted
from harness.spec.proof_events import Parity
from harness.store.runs import read_run

from .conftest import IMPLEMENTATIONS

pytestmark = pytest.mark.heavy

SCRIPT = Path(__file__).parent / "handwritten" / "plain_numpy.py"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with plain_numpy, whose loop has been written by hand too."""
    folder = tmp_path / "mine"
    shutil.copytree(IMPLEMENTATIONS / "plain_numpy", folder / "plain_numpy")
    shutil.copy(SCRIPT, folder / "plain_numpy" / "handwritten.py")
    return folder


def test_every_framework_of_ours_has_a_script():
    catalogue = with_scripts(read_catalogue())
    known = list(catalogue.implementations.values())
    for name in (one.name for one in known if one.role == "framework" and not one.variant):
        script = catalogue.implementations[f"{name}~{HANDWRITTEN}"]
        assert Path(script.script).name == f"{name}_by_hand.py"
        assert catalogue.implementation(name, HANDWRITTEN) == script
        assert catalogue.implementation(name, "").script == ""


def test_a_script_of_ones_own_lies_in_the_implementations_folder(mine):
    catalogue = with_scripts(read_catalogue([str(mine)]))
    script = catalogue.implementations[f"plain_numpy~{HANDWRITTEN}"].script
    assert script == str(mine / "plain_numpy" / "handwritten.py")


def test_without_a_script_one_line_says_so(levelfield):
    done = levelfield("tax", "--impl-dir", str(IMPLEMENTATIONS), "-f", "quick")
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "No loop written by hand for quick" in line


@pytest.mark.frameworks
@pytest.mark.slow
def test_the_ratio_comes_from_a_stored_run_with_a_report(levelfield, tmp_path, mine):
    done = levelfield(
        "tax", "--impl-dir", str(mine), "-f", "plain_numpy", "--batch", "32", "--blocks", "1",
        "--rounds", "3", "--dataset", "fashion-mnist-20k", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    [tax] = answer["taxes"]
    assert (tax["framework"], tax["batch_size"], tax["blocks"]) == ("plain_numpy", 32, 1)
    assert (tax["outcome"], tax["goal"]) == ("open", 0.95)
    assert tax["times_handwritten_rate"] > 0
    assert tax["interval"] is None, "one block has none"
    assert tax["first_window_deviation"] <= tax["first_window_tolerance"]
    assert (tmp_path / answer["report"]).exists()
    run = read_run(tmp_path / answer["folder"])
    proofs = [event for event in run.events if isinstance(event, Parity)]
    assert [event.losses_alone for event in proofs if event.trial is None] == [True, False]
    # The reference contender is the script, which runs against its own second copy.
    started = [event for event in run.events if isinstance(event, TrialStarted)]
    assert sorted((f"~{HANDWRITTEN}" in event.cell, event.twin) for event in started) == [
        (False, False),
        (True, False),
        (True, True),
    ]

    resumed = levelfield("tax", "--impl-dir", str(mine), "--resume", answer["run"], "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["taxes"] == answer["taxes"]
    # Any other command would measure the adapter in the script's place.
    other = levelfield("run", "--impl-dir", str(mine), "--resume", answer["run"])
    assert other.returncode == 2
    assert f"'levelfield tax --resume {answer['run']}'" in other.stderr
