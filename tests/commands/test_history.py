"""``levelfield history`` over runs that lie on disk."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from harness.spec.events import AnyEvent
from harness.spec.machine import Machine
from harness.spec.manifest import Manifest, Run
from harness.spec.proof_events import Audit, AuditCheck, DropoutCheck, LoaderCheck
from tests.analysis.golden import stored_run

from .stored import slowed, store

pytestmark = pytest.mark.heavy

FASTER = stored_run("faster")
BETA = "lenet-sgd/beta/eager/resident/cpu-2t"
BETA_ID = "lenet-sgd/beta-1.0/eager/resident/cpu-2t"


@pytest.fixture
def runs(tmp_path):
    """16 runs, from the ninth on 20 % slower."""
    random = np.random.RandomState(4)
    for number in range(16):
        factor = float(np.exp(random.normal(0, 0.01))) * (1.2 if number >= 8 else 1.0)
        store(
            slowed(FASTER, factor), tmp_path,
            run=f"run-{number:02d}", created=f"2026-01-{number + 1:02d}T00:00:00Z",
            git_commit="1a2b3c" if number < 8 else "9f8e7d",
        )  # fmt: skip
    return tmp_path / "results" / "runs"


def test_a_change_is_named_with_the_command_that_confirms_it(levelfield, tmp_path, runs):
    done = levelfield("history", "lenet-sgd/beta")
    assert done.returncode == 0, done.stderr
    assert "not interleaved" in done.stdout.splitlines()[0]
    [line] = [line for line in done.stdout.splitlines() if "To confirm it" in line]
    assert "from run-08 on (8 runs, after 8): commit 1a2b3c → 9f8e7d" in line
    assert "git switch --detach 9f8e7d && levelfield gate --base 1a2b3c -f beta@1.0" in line
    picture = tmp_path / "reports" / "history" / f"{BETA.replace('/', '_')}.svg"
    assert str(picture.relative_to(tmp_path)) in done.stdout
    assert picture.read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize("cell", [BETA, "lenet-sgd/beta-1.0", "lenet-sgd/*/eager/*2t"])
def test_a_cell_is_named_with_or_without_its_version(levelfield, runs, cell):
    done = levelfield("history", cell, "--json")
    if "*" in cell:
        assert done.returncode == 2
        assert f"{cell} fits 3 cells, expected one: name one of" in done.stderr
        return
    answer = json.loads(done.stdout)
    assert (answer["series"], len(answer["points"])) == (BETA, 16)
    assert [level["runs"] for level in answer["levels"]] == [8, 8]
    [change] = answer["changes"]
    assert change["change"] == pytest.approx(1 / 1.2 - 1, abs=0.02)


def test_other_machines_broken_runs_and_untimed_ones_are_left_out_and_said(
    levelfield, tmp_path, runs
):
    elsewhere = Machine(cpu="Another", cores=4, memory_bytes=2**34, kernel="6.1")
    store(FASTER, tmp_path, run="run-03b", machine=elsewhere)
    verified = Run(manifest=FASTER.manifest, events=FASTER.events[:4])
    store(verified, tmp_path, run="run-04b")
    (runs / "run-05b").mkdir()
    (runs / "run-05b" / "run.json").write_text("{")
    (runs / "run-06" / "trials.jsonl").write_bytes(b'{"event": "nonsense"}\n')
    done = levelfield("history", BETA)
    assert "Left out: 1 run of other machines" in done.stdout
    assert "Left out: 2 runs that did not time it" in done.stdout
    assert done.stderr.count("Warning: Left out: ") == 2
    there = levelfield("history", BETA, "--machine", elsewhere.fingerprint, "--json")
    assert [point["run"] for point in json.loads(there.stdout)["points"]] == ["run-03b"]


def test_several_versions_are_one_history(levelfield, tmp_path, runs):
    newer = msgspec.json.encode(FASTER.manifest).replace(b"beta-1.0", b"beta-1.1")
    manifest = msgspec.json.decode(newer, type=Manifest)
    cells = tuple(
        msgspec.structs.replace(cell, version="1.1") if cell.framework == "beta" else cell
        for cell in manifest.cells
    )
    manifest = msgspec.structs.replace(manifest, cells=cells)
    lines = b"\n".join(msgspec.json.encode(event) for event in FASTER.events)
    events = msgspec.json.Decoder(AnyEvent).decode_lines(lines.replace(b"beta-1.0", b"beta-1.1"))
    store(Run(manifest=manifest, events=events), tmp_path, run="run-90")
    answer = json.loads(levelfield("history", BETA, "--json").stdout)
    assert [point["version"] for point in answer["points"]].count("1.1") == 1
    only = json.loads(levelfield("history", "lenet-sgd/beta-1.1", "--json").stdout)
    assert [point["run"] for point in only["points"]] == ["run-90"]


def test_scripts_and_a_gates_base_are_no_part_of_it(levelfield, tmp_path, runs):
    own = {cell.framework: cell for cell in FASTER.manifest.cells}
    cells = tuple(
        msgspec.structs.replace(own["beta"], variant="handwritten")
        if cell.framework == "gamma"
        else cell
        for cell in FASTER.manifest.cells
    )
    old, new = own["gamma"].id.encode(), cells[2].id.encode()
    run = msgspec.json.decode(msgspec.json.encode(FASTER).replace(old, new), type=Run)
    manifest = msgspec.structs.replace(run.manifest, cells=cells)
    store(Run(manifest=manifest, events=run.events), tmp_path, run="run-91")
    answer = json.loads(levelfield("history", BETA, "--json").stdout)
    assert [point["run"] for point in answer["points"]].count("run-91") == 1


def test_the_table_is_as_long_as_it_is_asked_to_be(levelfield, tmp_path, runs):
    done = levelfield("history", BETA, "--last", "3", "--plot", "there.png")
    assert "13 older runs not shown: --last 16 does" in done.stdout
    assert sum(line.startswith("run-") for line in done.stdout.splitlines()) == 3
    assert (tmp_path / "there.png").read_bytes().startswith(b"\x89PNG")


def test_a_cell_that_never_computed_what_it_should_has_a_history_all_the_same(levelfield, tmp_path):
    store(stored_run("parity_failed"), tmp_path)
    done = levelfield("history", "lenet-sgd/gamma", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [point["parity"] for point in answer["points"]] == ["lost"]
    assert (answer["levels"], answer["noise"]) == ([], None)


DROPS_NOTHING = DropoutCheck(
    at=0.0, cell=BETA_ID, copies=3, losses=(2.3,) * 192,
    oracle_losses=tuple(np.linspace(2, 3, 192).tolist()),
    inference_losses=(2.3,), oracle_inference_loss=2.3,
)  # fmt: skip
BRINGS_HALF = LoaderCheck(
    at=0.0, cell=BETA_ID, examples=30_000, expected_examples=60_000, digest="", expected_digest="",
    labels=(), expected_labels=(), in_file_order=False, same_order_again=False, deviations=(),
)  # fmt: skip
SKIPS_STEPS = Audit(
    at=0.0, trial=1, cell=BETA_ID, held_steps=0,
    checks=(AuditCheck(name="examples", seen=2560, lowest=5120, highest=5120),),
)  # fmt: skip


@pytest.mark.parametrize("failed", [DROPS_NOTHING, BRINGS_HALF, SKIPS_STEPS])
def test_however_a_cell_was_found_out_its_rate_does_not_count(levelfield, tmp_path, failed):
    store(
        Run(manifest=FASTER.manifest, events=[*FASTER.events[:-1], failed, FASTER.events[-1]]),
        tmp_path,
    )
    points = json.loads(levelfield("history", BETA, "--json").stdout)["points"]
    assert [point["parity"] for point in points] == ["lost"]


def test_a_run_that_only_verified_is_no_part_of_it(levelfield, tmp_path, runs):
    compiled = msgspec.json.encode(FASTER).replace(b"/eager/", b"/compiled/")
    compiled = compiled.replace(b'"mode":"eager"', b'"mode":"compiled"')
    run = msgspec.json.decode(compiled, type=Run)
    plan = msgspec.structs.replace(run.manifest.plan, looks=(0,))
    store(Run(manifest=run.manifest, events=run.events[:4]), tmp_path, run="run-99", plan=plan)
    answer = json.loads(levelfield("history", "lenet-sgd/beta", "--json").stdout)
    assert (len(answer["points"]), answer["runs_without_rate"]) == (16, 0)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("lenet-sgd/betta",), f"has a cell lenet-sgd/betta, expected one of {BETA}"),
        (("lenet-sgd",), "lenet-sgd fits 3 cells, expected one: name one of"),
        ((BETA, "--plot", "x.pdf"), "--plot is x.pdf, expected a name that ends with .svg or .png"),
        ((BETA, "--machine", "none"), "--machine is none, expected one of"),
        ((BETA, "--plot", "/proc/x.svg"), "/proc/x.svg can't be written"),
        (
            (BETA, "--out", "elsewhere"),
            "No run in elsewhere/results/runs times anything, expected some",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(levelfield, runs, arguments, expected):
    done = levelfield("history", *arguments)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert expected in line
    assert done.stdout == ""
