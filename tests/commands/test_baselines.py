"""``baseline save`` and ``check`` as users meet them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from harness.analysis.baselines import extended, run_cells
from harness.analysis.observations import Observations
from harness.spec.baselines import Baseline
from harness.spec.events import BlockFinished, Failure, TrialStarted, Window
from harness.spec.machine import Machine
from harness.spec.manifest import Run
from harness.store.baselines import read_baseline, write_baseline
from tests.analysis.golden import stored_run

from .stored import slowed, store

pytestmark = pytest.mark.heavy

FASTER = stored_run("faster")
FILE = "results/baselines/mine.json"


def grown(folder: Path, runs: int = 10, *, noise: float = 0.01) -> Path:
    """A baseline of so many runs."""
    baseline = Baseline()
    random = np.random.RandomState(5)
    for number in range(runs):
        run = slowed(FASTER, float(np.exp(random.normal(0, noise))))
        manifest = msgspec.structs.replace(run.manifest, run=f"earlier-{number}")
        cells = run_cells(Observations(Run(manifest=manifest, events=run.events)))
        baseline = extended(baseline, [each.kept for each in cells if each.kept])
    write_baseline(folder / FILE, baseline)
    return folder / FILE


def test_a_saved_run_is_in_the_file_once(levelfield, tmp_path):
    store(FASTER, tmp_path)
    store(slowed(FASTER, 1.01), tmp_path, run="second")
    first = json.loads(levelfield("baseline", "save", "made-up", "--json").stdout)
    [file] = (tmp_path / "results" / "baselines").iterdir()
    assert file.name == f"cpu-{FASTER.manifest.machine.fingerprint}.json"
    assert first["baseline"] == str(file.relative_to(tmp_path))
    assert first["runs_to_check"] == 9
    again = levelfield("baseline", "save", "made-up")
    assert again.returncode == 2
    assert "has made-up already, expected a run that is new to it" in again.stderr
    second = levelfield("baseline", "save", "second")
    assert second.returncode == 0, second.stderr
    assert "8 more to save" in second.stdout
    assert {len(cell.values) for cell in read_baseline(file).cells} == {2}


@pytest.mark.parametrize(
    ("factor", "strict", "code", "said"),
    [
        (1.0, True, 0, "No regression"),
        (1.1, False, 0, "A regression by the look of it"),
        (1.1, True, 1, "Regression"),
        (0.8, True, 0, "No regression"),
    ],
)
def test_a_slower_run_warns_and_fails_where_it_is_asked_to(
    levelfield, tmp_path, factor, strict, code, said
):
    grown(tmp_path)
    store(slowed(FASTER, factor), tmp_path)
    done = levelfield("check", "latest", "--baseline", FILE, *["--strict"] * strict)
    assert done.returncode == code, done.stderr
    assert said in done.stdout
    assert "(not interleaved)" in done.stdout.splitlines()[0]
    assert done.stderr.count("time a step") == (3 if factor > 1.05 else 0)


def test_the_answer_holds_every_number(levelfield, tmp_path):
    grown(tmp_path)
    store(slowed(FASTER, 1.1), tmp_path)
    answer = json.loads(levelfield("check", "latest", "--baseline", FILE, "--json").stdout)
    assert (answer["label"], answer["exit_code"]) == ("not interleaved", 0)
    for each in answer["cells"]:
        assert (each["speed"], each["parity"], each["earlier_runs"]) == ("slower", "proved", 10)
        assert each["slowdown"] == pytest.approx(0.1, abs=0.02)
        assert each["usual_from"] < 0 < each["usual_to"] < 0.05


def test_a_noisy_past_is_exit_code_4(levelfield, tmp_path):
    grown(tmp_path, noise=0.2)
    store(FASTER, tmp_path)
    done = levelfield("check", "latest", "--baseline", FILE)
    assert done.returncode == 4
    assert "Too noisy to judge" in done.stdout


def test_lost_parity_is_exit_code_3(levelfield, tmp_path):
    grown(tmp_path)
    store(stored_run("parity_failed"), tmp_path)
    done = levelfield("check", "latest", "--baseline", FILE)
    assert done.returncode == 3
    assert "Parity is lost" in done.stdout
    assert done.stdout.count("not compared") == 3
    saved = levelfield("baseline", "save", "latest", "--baseline", FILE)
    assert saved.returncode == 2
    assert "failed parity" in saved.stderr


def test_thresholds_are_those_of_the_gate(levelfield, tmp_path):
    grown(tmp_path)
    store(slowed(FASTER, 1.1), tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.levelfield.gate]\nslowdown = 0.15\n")
    done = levelfield("check", "latest", "--baseline", FILE, "--strict")
    assert done.returncode == 0, done.stderr


def refused(done, *words: str) -> None:
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert all(word in line for word in words), line
    assert done.stdout == ""


@pytest.mark.parametrize("command", [("check",), ("baseline", "save")])
def test_other_conditions_are_refused_by_name(levelfield, tmp_path, command):
    grown(tmp_path)
    machine = Machine(cpu="A processor", cores=2, memory_bytes=2**33, kernel="6.2")
    store(FASTER, tmp_path, machine=machine)
    before = (tmp_path / FILE).read_bytes()
    done = levelfield(*command, "latest", "--baseline", FILE)
    refused(done, "kernel is 6.2, expected 6.1", "name another file with --baseline")
    assert (tmp_path / FILE).read_bytes() == before


def test_two_versions_of_one_cell_are_refused(levelfield, tmp_path):
    cells = tuple(
        msgspec.structs.replace(cell, framework="beta") if cell.framework == "gamma" else cell
        for cell in FASTER.manifest.cells
    )
    cells = (*cells[:2], msgspec.structs.replace(cells[2], version="1.1"))
    old, new = FASTER.manifest.cells[2].id.encode(), cells[2].id.encode()
    manifest = msgspec.structs.replace(FASTER.manifest, cells=cells)
    run = msgspec.json.decode(
        msgspec.json.encode(Run(manifest=manifest, events=FASTER.events)).replace(old, new),
        type=Run,
    )
    store(run, tmp_path)
    done = levelfield("baseline", "save", "latest")
    refused(
        done, "holds lenet-sgd/beta/eager/resident/cpu-2t twice", "version is 1.1, expected 1.0"
    )


def test_too_few_earlier_runs_are_refused_with_what_to_do(levelfield, tmp_path):
    grown(tmp_path, runs=9)
    store(FASTER, tmp_path)
    done = levelfield("check", "latest", "--baseline", FILE)
    refused(done, "holds 9 runs", "expected 10 or more", "add 1 with 'levelfield baseline save")


def test_runs_that_say_nothing_are_refused(levelfield, tmp_path):
    grown(tmp_path)
    verified = Run(manifest=FASTER.manifest, events=[*FASTER.events[:4], FASTER.events[-1]])
    store(verified, tmp_path)
    for command in (("check",), ("baseline", "save")):
        refused(
            levelfield(*command, "latest", "--baseline", FILE),
            "made-up timed no cell",
            "no finished block",
        )
    torn = Run(manifest=FASTER.manifest, events=FASTER.events[:-1])
    store(torn, tmp_path, run="torn")
    refused(levelfield("baseline", "save", "torn"), "--resume torn")
    refused(levelfield("check", "torn", "--baseline", FILE), "--resume torn")
    refused(levelfield("check", "made-up", "--baseline", "none.json"), "No baseline none.json")


def test_cells_that_failed_or_have_few_blocks_have_failed(levelfield, tmp_path):
    grown(tmp_path)
    [beta] = [cell.id for cell in FASTER.manifest.cells if cell.framework == "beta"]
    broke = Failure(at=0.0, cell=beta, phase="training", reason="it ran out of memory")
    store(Run(manifest=FASTER.manifest, events=[*FASTER.events[:-1], broke, FASTER.events[-1]]),
          tmp_path, run="broke")  # fmt: skip
    done = levelfield("check", "broke", "--baseline", FILE)
    assert done.returncode == 2
    assert "training: it ran out of memory" in done.stderr
    few = [
        event for event in FASTER.events if not isinstance(event, BlockFinished) or event.block < 3
    ]
    store(Run(manifest=FASTER.manifest, events=few), tmp_path, run="few")
    done = levelfield("check", "few", "--baseline", FILE)
    assert done.returncode == 2
    assert "3 finished blocks, expected 5 or more" in done.stderr


def test_where_a_reference_differed_from_itself_nothing_is_called_slower(levelfield, tmp_path):
    grown(tmp_path)
    shaken = [
        msgspec.structs.replace(event, wall_seconds=1.5 * event.wall_seconds)
        if isinstance(event, Window) and event.trial in twins(FASTER)
        else event
        for event in slowed(FASTER, 1.1).events
    ]
    store(Run(manifest=FASTER.manifest, events=shaken), tmp_path)
    done = levelfield("check", "latest", "--baseline", FILE, "--strict")
    assert done.returncode == 4
    assert "a reference of the run differed from its own second copy" in done.stderr


def twins(run: Run) -> set[int]:
    return {each.trial for each in run.events if isinstance(each, TrialStarted) and each.twin}
