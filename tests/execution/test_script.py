"""Scripts that know nothing of the suite, in a worker's place."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest

from harness.execution.block import Block, BlockPlan
from harness.execution.contenders import Contender, started_worker
from harness.execution.process import Timeouts, WorkerError
from harness.execution.proof import ProofPlan, take_proof
from harness.execution.schedule import seats
from harness.spec.events import AnyEvent, BlockFinished, Failure, TrialFinished, Window
from harness.worker.wire import Evaluate, Evaluated, Loader, Ready, Train, Trained

COMMANDS = Path(__file__).parent.parent / "commands"
PLAN = BlockPlan(number=1, group="g", long=False, seed=0, rounds=4, window_steps=2, epochs=2)
HASTY = Timeouts(hello=60, ready=60, answer=8, end=60)
OBEDIENT = "import sys\nfor line in sys.stdin:\n    print(0.5, 0.5, 1.0, 1, flush=True)\n"
SPINNING = (
    "import threading\n"
    "def spin():\n    while True: pass\n"
    "threading.Thread(target=spin, daemon=True).start()\n" + OBEDIENT
)

MakeScript = Callable[..., Contender]


@pytest.fixture
def script(contender, tmp_path: Path) -> MakeScript:
    """Makes a contender that a script computes: of the given text, or one in plain NumPy."""

    def make(text: str | None = None) -> Contender:
        folder = tmp_path / "script"
        folder.mkdir(exist_ok=True)
        path = folder / "handwritten.py"
        if text is None:
            shutil.copy(COMMANDS / "implementations" / "plain_numpy" / "models.py", folder)
            shutil.copy(COMMANDS / "handwritten" / "plain_numpy.py", path)
        else:
            path.write_text(text, encoding="utf-8")
        return contender(variant="handwritten")._replace(script=str(path))

    return make


def run_block(folder: Path, contenders: list[Contender]) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    limited = [one._replace(timeouts=HASTY) for one in contenders]
    Block(PLAN, limited, folder, events.append, itertools.count(1)).run()
    return events


def lives(pid: int) -> bool:
    """Whether a process still runs; one that has ended may wait for us, who adopt orphans."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def of(events: list[AnyEvent], kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


def test_a_script_trains_what_a_worker_trains(contender, script, tmp_path):
    events = run_block(tmp_path, [script(), script()._replace(twin=True), contender()])
    assert of(events, Failure) == []
    assert of(events, BlockFinished)[0].trials == (1, 2, 3)
    started = seats(PLAN.seed, PLAN.number, 3)
    trials = [1 + started.index(contender) for contender in range(3)]
    finished = {each.trial: each for each in of(events, TrialFinished)}
    by_hand, copy, worker = (finished[trial] for trial in trials)
    assert by_hand.hashes == copy.hashes == worker.hashes
    assert by_hand.steps == worker.steps == 16
    assert by_hand.peak_memory_bytes > 2**20
    # 12 steps make an epoch of 100 examples in batches of 8: the last window is of the next one.
    windows = [[w for w in of(events, Window) if w.trial == trial] for trial in trials]
    for one, twin, other in zip(*windows, strict=True):
        assert one.loss_sum == twin.loss_sum
        assert one.loss_sum == pytest.approx(other.loss_sum, rel=1e-5)
        assert one.correct == other.correct
        assert (one.examples, one.trained_examples) == (other.examples, other.trained_examples)
        assert (one.first_step, one.round) == (other.first_step, other.round)
        assert one.wall_seconds > 0
        assert one.stage_seconds > 0


def test_a_scripts_losses_are_proof(contender, script, tmp_path):
    plan = ProofPlan(6, 4)
    proof = take_proof(script(), plan, tmp_path / "script.log")
    oracle = take_proof(contender(), plan, tmp_path / "oracle.log")
    assert proof.losses_alone
    assert not oracle.losses_alone
    assert proof.hashes == oracle.hashes
    np.testing.assert_allclose(proof.losses, oracle.losses, rtol=1e-5)
    assert proof.window.correct == oracle.window.correct
    assert proof.window.examples == oracle.window.examples == 32


def test_a_script_that_spins_uses_no_cpu_while_it_waits(script, tmp_path):
    spinning = script(SPINNING)
    events = run_block(tmp_path, [spinning, spinning._replace(twin=True)])
    waited = sum(window.waiting_seconds for window in of(events, Window))
    used = sum(window.waiting_cpu_seconds for window in of(events, Window))
    assert used <= 0.1 * waited + 0.02 * 2 * 2 * PLAN.rounds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("print('nan 1 2.3 4')", "the script wrote 'nan 1 2.3 4', expected SECONDS"),
        ("print('-1 1 2.3 4')", "the script wrote '-1 1 2.3 4', expected SECONDS"),
        ("print('0 1 2.3 4')", "the script wrote '0 1 2.3 4', expected SECONDS"),
        ("print('1 inf 2.3 4')", "the script wrote '1 inf 2.3 4', expected SECONDS"),
        ("print('1 1 2.3 nan')", "the script wrote '1 1 2.3 nan', expected SECONDS"),
        ("print('1 1 2.3 inf')", "the script wrote '1 1 2.3 inf', expected SECONDS"),
        ("print('1 1 2.3')", "the script wrote '1 1 2.3', expected SECONDS"),
        ("print('hello')", "the script wrote 'hello', expected SECONDS CPU_SECONDS LOSS_SUM"),
        *(
            (f"print('{said}')", f"the script wrote '{said}', expected SECONDS")
            for said in ("0 0 1 1", "nan 0 1 1", "-1 0 1 1", "inf 0 1 1", "1 nan 1 1", "1 0 1", "")
        ),
        *(
            (f"print('1 1 {said}')", "finite numbers")
            for said in ("1 -1", "1 nan", "-1 1", "1 inf", "1 0.5")
        ),
        (
            OBEDIENT.replace("0.5, 0.5,", "'nan' if line == '0 0 2 2\\n' else 0.5, 0,"),
            "the script wrote 'nan 0 1.0 1'",
        ),
        ("1 / 0", "the worker ended with status 1 before it answered"),
        ("import time; time.sleep(3600)", "no answer within 2 s"),
        (
            OBEDIENT.replace("print(", "line == '0 0 2 2\\n' and sys.exit(7); print("),
            "the worker ended with status 7",
        ),
    ],
)
def test_what_a_script_does_wrong_is_recorded(script, tmp_path, text, expected):
    events: list[AnyEvent] = []
    hasty = Timeouts(ready=2, answer=8)
    if "sleep" not in text:
        hasty = Timeouts(ready=60, answer=8)
    limited = [script(text)._replace(timeouts=hasty)]
    Block(PLAN, limited, tmp_path, events.append, itertools.count(1)).run()
    [failure] = of(events, Failure)
    assert expected in failure.reason
    assert "\n" not in failure.reason
    # What was recorded can be read again, and holds no number that JSON has no word for.
    for event in events:
        assert msgspec.json.decode(msgspec.json.encode(event), type=type(event)) == event
    if "1 / 0" in text:
        assert "ZeroDivisionError" in failure.detail


def test_a_script_does_not_evaluate(script, tmp_path):
    process = started_worker(script(OBEDIENT), tmp_path / "log")
    with process, pytest.raises(WorkerError, match="Evaluate"):
        process.ask(Evaluate(), Evaluated, "evaluation")


def test_a_loss_that_is_not_finite_is_none(script, tmp_path):
    one = script(OBEDIENT.replace("1.0", "'nan'"))
    with started_worker(one, tmp_path / "log") as process:
        process.ask(one.job, Ready, "import")
        trained = process.ask(Train(lead_in=1, steps=2), Trained, "training")
        assert trained.loss_sum is None
        assert process.finish().steps == 3


def test_a_scripts_loader_windows_hold_what_an_epoch_has_left(script, tmp_path):
    """12 whole batches of 8 and one of 4 make an epoch of 100."""
    text = "import sys; print(*sys.argv[1:], file=sys.stderr)\n" + OBEDIENT
    one = script(text.replace("print(0.5", "print(line, file=sys.stderr); print(0.5"))
    loader = Loader(kind="pipeline", data_folder=one.job.data_folder, workers=3)
    one = one._replace(job=msgspec.structs.replace(one.job, loader=loader))
    with started_worker(one, tmp_path / "log") as process:
        process.ask(one.job, Ready, "import")
        windows = [process.ask(Train(lead_in=2, steps=5), Trained, "training") for _ in range(4)]
        assert process.finish().order_hash == ""
    assert [each.first_step for each in windows] == [0, 7, 14, 21]
    assert [each.examples for each in windows] == [40, 36, 40, 36]
    assert [each.trained_examples for each in windows] == [56, 52, 56, 52]
    said = (tmp_path / "log").read_text(encoding="utf-8")
    assert "--input pipeline --workers 3" in said
    assert said.count("0 0 2 5\n") == 4


def test_a_script_dies_with_the_harness(script, tmp_path):
    """Even one that is stopped, when the harness is killed."""
    path = script(OBEDIENT).script
    harness = f"""
import os, time
from pathlib import Path
from harness.execution.process import WorkerProcess
process = WorkerProcess(Path({sys.executable!r}), dict(os.environ), Path({str(tmp_path)!r}, "log"),
                        script=({path!r},))
os.write(process._commands, b"0 0 1 5\\n")
process._read_line(60)
process.stop()
print(process._process.pid, flush=True)
time.sleep(60)
"""
    ours = subprocess.Popen(
        [sys.executable, "-c", harness], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert ours.stdout is not None
    pid = int(ours.stdout.readline())
    deadline = time.monotonic() + 30
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert psutil.Process(pid).cmdline()[1:] == [path], "nothing of the suite is in it"
    ours.kill()
    ours.communicate()
    while lives(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not lives(pid)
