from __future__ import annotations

import itertools
import signal
import threading
import time
from pathlib import Path

import pytest

from harness.execution import block
from harness.execution.block import Block, BlockPlan
from harness.execution.contenders import Contender
from harness.execution.process import Timeouts
from harness.spec.events import (
    AnyEvent,
    BlockFinished,
    Evaluation,
    Failure,
    TrialFinished,
    TrialStarted,
    Window,
)
from harness.worker.readings import read_counters
from harness.worker.wire import Ready

pytestmark = pytest.mark.heavy

PLAN = BlockPlan(number=1, group="g", long=False, seed=0, rounds=3, window_steps=2, epochs=2)
HASTY = Timeouts(hello=60, ready=120, answer=8, end=60)


def run_block(
    folder: Path, contenders: list[Contender], plan: BlockPlan = PLAN, timeouts: Timeouts = HASTY
) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    limited = [one._replace(timeouts=timeouts) for one in contenders]
    Block(plan, limited, folder, events.append, itertools.count(1)).run()
    return events


def of(events: list[AnyEvent], kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


def test_a_short_block_interleaves_windows_of_all_contenders(contender, tmp_path):
    twin = contender()._replace(twin=True)
    events = run_block(tmp_path, [contender(), twin])
    windows = of(events, Window)
    assert sorted((window.round, window.trial) for window in windows) == [
        (number, trial) for number in range(3) for trial in (1, 2)
    ]
    assert all({w.position for w in windows if w.round == n} == {0, 1} for n in range(3))
    for window in windows:
        assert (window.steps, window.examples, window.lead_in_steps) == (2, 16, 2)
        assert window.wall_seconds > 0
        assert window.trained_examples == 32
        assert window.control_seconds > 0
    assert [started.twin for started in of(events, TrialStarted)] == [False, True]
    [finished] = of(events, BlockFinished)
    assert finished.trials == (1, 2)


def test_the_second_copy_is_not_always_the_last_to_start(contender, tmp_path):
    contenders = [contender(), contender()._replace(twin=True)]
    orders = []
    for number in (1, 2):
        plan = PLAN._replace(number=number, rounds=1)
        events = run_block(tmp_path, contenders, plan)
        orders.append([started.twin for started in of(events, TrialStarted)])
    assert orders == [[False, True], [True, False]]


def test_workers_of_a_short_block_start_side_by_side(contender, tmp_path, monkeypatch):
    monkeypatch.setattr(block, "default_threads", lambda: 2)
    both, warm = threading.Barrier(2, timeout=60), Block._warm

    def met(self: Block, trial: block.Trial) -> Ready:
        both.wait()
        return warm(self, trial)

    monkeypatch.setattr(Block, "_warm", met)
    events = run_block(tmp_path, [contender(), contender()._replace(twin=True)])
    assert not of(events, Failure)
    assert len(of(events, TrialFinished)) == 2


@pytest.mark.parametrize(("long", "cpus"), [(True, 2), (False, 1)])
def test_the_others_start_one_by_one(contender, tmp_path, monkeypatch, long, cpus):
    monkeypatch.setattr(block, "default_threads", lambda: cpus)
    starting, most, warm = set(), [], Block._warm

    def counted(self: Block, trial: block.Trial) -> Ready:
        starting.add(trial.number)
        most.append(len(starting))
        ready = warm(self, trial)
        starting.remove(trial.number)
        return ready

    monkeypatch.setattr(Block, "_warm", counted)
    plan = PLAN._replace(long=long, epochs=1)
    run_block(tmp_path, [contender(), contender()._replace(twin=True)], plan)
    assert most == [1, 1]


def test_trials_of_one_seed_are_the_same_to_the_last_bit(contender, tmp_path):
    events = run_block(tmp_path, [contender(), contender()._replace(twin=True)])
    first, second = of(events, TrialFinished)
    assert first.hashes == second.hashes
    losses = [[w.loss_sum for w in of(events, Window) if w.trial == trial] for trial in (1, 2)]
    assert losses[0] == losses[1]


def test_a_long_block_trains_every_example_once_an_epoch_and_evaluates(contender, tmp_path):
    events = run_block(tmp_path, [contender()], PLAN._replace(long=True))
    windows, evaluations = of(events, Window), of(events, Evaluation)
    assert sum(window.trained_examples for window in windows) == 2 * 100
    assert sum(window.partial_steps for window in windows) == 2
    assert [(each.epoch, each.examples, each.step) for each in evaluations] == [
        (1, 30, 13),
        (2, 30, 26),
    ]
    [finished] = of(events, TrialFinished)
    assert finished.steps == 26
    assert finished.phases.keys() == {
        "spawn",
        "import",
        "build",
        "stage",
        "first_step",
        "warm_up",
        "training",
        "evaluation",
    }
    assert finished.phases["training"] > 0
    assert finished.peak_memory_bytes > 2**20
    assert finished.device == "cpu"


@pytest.mark.parametrize(
    ("rogue", "phase", "reason"),
    [
        ("hangs", "training", "no answer within 8 s"),
        ("dies", "training", "killed (SIGKILL), as the kernel does when memory runs out"),
        ("quits", "import", "ended with status 132 before it answered"),
        ("babbles", "import", "rubbish"),
        ("raises", "build", "ValueError: no mode 'eager' here, expected another"),
        ("starves", "build", "MemoryError"),
    ],
)
def test_a_worker_that_fails_is_recorded_and_the_others_go_on(
    contender, tmp_path, rogue, phase, reason
):
    events = run_block(tmp_path, [contender(), contender(rogue)])
    [failure] = of(events, Failure)
    assert failure.cell == contender(rogue).cell.id
    assert failure.trial == 2
    assert failure.phase == phase
    assert reason in failure.reason
    assert "\n" not in failure.reason
    [finished] = of(events, BlockFinished)
    assert finished.trials == (1,)
    assert len([window for window in of(events, Window) if window.trial == 1]) == 3


def test_the_tail_of_what_a_dead_worker_printed_is_kept(contender, tmp_path):
    [failure] = of(run_block(tmp_path, [contender("dies")]), Failure)
    assert "the last words" in failure.detail


def test_what_a_worker_writes_among_temporary_files_goes_with_it(contender, tmp_path):
    """Killed in the middle or not: loaders and compilers leave folders there."""
    events = run_block(tmp_path, [contender("scribbles"), contender("scribbles")])
    assert len(of(events, TrialFinished)) == 2
    places = (tmp_path / "trial-0001.log").read_text() + (tmp_path / "trial-0002.log").read_text()
    written = [Path(line) for line in places.splitlines() if line.endswith("scribbled")]
    assert len(set(written)) == 2
    assert not any(path.parent.exists() for path in written)


def test_what_a_framework_prints_never_reaches_the_wire(contender, tmp_path):
    events = run_block(tmp_path, [contender("prints")])
    assert not of(events, Failure)
    log = (tmp_path / "trial-0001.log").read_text()
    assert "on standard output" in log
    assert "a warning" in log


def test_an_interpreter_that_is_gone_is_a_failure(contender, tmp_path):
    absent = contender()._replace(python=tmp_path / "no-python")
    events = run_block(tmp_path, [absent, contender()])
    [failure] = of(events, Failure)
    assert failure.phase == "spawn"
    assert "no-python" in failure.reason
    assert of(events, BlockFinished)[0].trials == (2,)


def test_what_took_no_effect_is_on_record_and_is_no_failure(contender, tmp_path):
    given = contender()
    thresholds = {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=no-number", "LC_ALL": "C.UTF-8"}
    given = given._replace(variables={**given.variables, **thresholds})
    events = run_block(tmp_path, [given])
    assert not of(events, Failure)
    [finished] = of(events, TrialFinished)
    assert finished.effects["glibc.malloc.mmap_threshold"].startswith("large pieces of memory")
    assert finished.effects["LC_ALL"] == ""
    # Where the kernel shows it, each window knows how long the CPUs were idle.
    shown = read_counters().idle_seconds is not None
    assert all((window.idle_seconds is not None) == shown for window in of(events, Window))


def test_a_waiting_worker_uses_no_cpu(contender, tmp_path):
    """Its own thread pools may spin; the harness stops it all the same."""
    spinning = contender("spins")
    events = run_block(tmp_path, [spinning, contender()], PLAN._replace(window_steps=5), Timeouts())
    waits = [w for w in of(events, Window) if w.trial == 1 and w.round > 0]
    assert sum(w.waiting_seconds for w in waits) > 0
    # One clock tick at each end is all that the kernel's accounting may add.
    assert all(w.waiting_cpu_seconds <= 0.02 for w in waits)


def test_the_harness_leaves_no_worker_behind(contender, tmp_path):
    began = time.time()
    run_block(tmp_path, [contender(), contender("hangs")])
    import psutil

    left = [
        process
        for process in psutil.Process().children(recursive=True)
        if process.create_time() >= began - 1 and process.status() != psutil.STATUS_ZOMBIE
    ]
    assert left == []


def test_a_ctrl_c_is_not_lost_while_thread_pools_are_looked_up(monkeypatch):
    """ctypes prints and forgets what is raised in a callback."""

    class Interrupted(block.ThreadpoolController):
        def __init__(self) -> None:
            signal.raise_signal(signal.SIGINT)
            super().__init__()

    monkeypatch.setattr(block, "ThreadpoolController", Interrupted)
    block.thread_pools.cache_clear()
    with pytest.raises(KeyboardInterrupt):
        block.thread_pools()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
