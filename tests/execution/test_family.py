"""What a worker and its descendants use of the CPU, seen on real processes, and that they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import psutil
import pytest

from harness.execution.family import MARK, Family, adopt_orphans, cpu_clock

pytestmark = pytest.mark.heavy

SPENT_SECONDS = 0.2
SPEND = f"""
import os, subprocess, sys, time

def spend():
    while time.process_time() < {SPENT_SECONDS}:
        pass
    print(os.getpid(), flush=True)
"""
CHILD = (
    SPEND
    + """
if os.fork() == 0:
    spend()
time.sleep(600)
"""
)
DETACHED = (
    SPEND
    + """
if os.fork() == 0:
    os.setsid()
    between = os.getpid()
    if os.fork() == 0:
        while os.getppid() == between:
            time.sleep(0.01)
        spend()
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(600)
"""
)
WAITED_FOR = (
    SPEND
    + """
if os.fork() == 0:
    spend()
    os._exit(0)
os.wait()
print("waited", flush=True)
time.sleep(600)
"""
)

NOT_WAITED_FOR = (
    SPEND
    + """
print(os.getpid(), flush=True)
sys.stdin.readline()
if os.fork() == 0:
    while time.process_time() < 0.2:
        pass
    os._exit(0)
time.sleep(600)
"""
)
BETWEEN_TWO_LOOKS = (
    SPEND
    + """
print(os.getpid(), flush=True)
sys.stdin.readline()
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        while time.process_time() < 0.2:
            pass
        os._exit(0)
    os._exit(0)
os.wait()
time.sleep(600)
"""
)

Started = tuple[subprocess.Popen[str], Family, int]
"""A worker, its family, and the process whose number it has printed."""


@pytest.fixture
def start() -> Iterator[Callable[[str], Started]]:
    """Starts a worker that runs a program; all is gone afterwards."""
    adopt_orphans()
    started: list[tuple[subprocess.Popen[str], Family]] = []

    def call(program: str) -> Started:
        mark = uuid4().hex
        worker = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, MARK: mark},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        family = Family(worker.pid, mark)
        started.append((worker, family))
        assert worker.stdout is not None
        return worker, family, int(worker.stdout.readline())

    yield call
    for worker, family in started:
        worker.kill()
        worker.wait()
        worker.stdin.close()
        worker.stdout.close()
        family.end()


def end(worker: subprocess.Popen[str]) -> None:
    worker.kill()
    worker.wait()


def test_the_clock_of_a_process_is_exact():
    """It is the very clock that the process reads of itself."""
    for _ in range(3):
        before = time.process_time()
        seen = cpu_clock(os.getpid())
        assert before <= seen <= time.process_time()


def test_a_process_that_is_gone_has_no_clock():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert cpu_clock(gone.pid) == 0.0


def test_a_workers_own_time_is_not_its_childrens(start):
    _, family, _ = start(SPEND + "spend()\ntime.sleep(600)")
    worker, children = family.cpu_seconds()
    assert worker >= SPENT_SECONDS
    assert children == 0
    assert family.descendants() == []


@pytest.mark.parametrize("program", [CHILD, DETACHED])
def test_what_a_worker_has_started_is_counted_to_it(start, program):
    worker, family, child = start(program)
    assert family.descendants() == [child]
    seen = family.cpu_seconds()
    assert seen.children >= SPENT_SECONDS
    # The clock goes on where it is looked at again, and what ends takes nothing back.
    os.kill(child, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while family.descendants() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert family.descendants() == []
    assert family.cpu_seconds().children >= seen.children
    assert worker.poll() is None


def test_a_detached_process_is_nobody_elses(start):
    worker, family, child = start(DETACHED)
    _, other, _ = start(SPEND + "spend()\ntime.sleep(600)")
    assert psutil.Process(child).ppid() == os.getpid()
    assert os.getsid(child) != os.getsid(worker.pid)
    assert other.descendants() == []
    assert other.cpu_seconds().children == 0
    # Orphaned or not: it stays the worker's.
    end(worker)
    assert family.descendants() == [child]


def test_children_that_were_waited_for_are_counted(start):
    worker, family, _ = start(WAITED_FOR)
    assert worker.stdout.readline() == "waited\n"
    assert family.descendants() == []
    # The kernel counts it by the tick.
    assert family.cpu_seconds().children >= SPENT_SECONDS - 0.05


@pytest.mark.parametrize("program", [CHILD, DETACHED])
def test_nothing_is_left_of_a_family_that_was_ended(start, program):
    worker, family, child = start(program)
    end(worker)
    [ended] = family.end()
    assert ended.endswith(f"({child})")
    assert not psutil.pid_exists(child)
    assert family.end() == []


def test_nobody_else_is_ended(start):
    worker, family, child = start(CHILD)
    other, others, others_child = start(DETACHED)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        end(worker)
        assert len(family.end()) == 1
        assert not psutil.pid_exists(child)
        assert bystander.poll() is None
        assert other.poll() is None
        assert others.descendants() == [others_child]
    finally:
        end(bystander)


def test_a_worker_that_is_gone_has_no_family(start):
    worker, family, _ = start(SPEND + "spend()\ntime.sleep(600)")
    end(worker)
    assert family.descendants() == []
    assert family.cpu_seconds() == (0.0, 0.0)
    assert family.end() == []


@pytest.mark.parametrize("program", [BETWEEN_TWO_LOOKS, NOT_WAITED_FOR])
def test_what_lives_between_two_looks_is_counted_once_and_leaves_nothing(start, program):
    worker, family, _ = start(program)
    _, other, _ = start(SPEND + "print(0, flush=True)\ntime.sleep(600)")
    assert family.cpu_seconds().children == 0
    worker.stdin.write("\n")
    worker.stdin.flush()
    deadline = time.monotonic() + 60
    while not (orphans := zombies()) and time.monotonic() < deadline:
        time.sleep(0.01)
    seen = family.cpu_seconds().children
    assert seen >= SPENT_SECONDS * 0.9, "the kernel counts ticks of 10 ms"
    assert family.cpu_seconds().children == pytest.approx(seen)
    assert other.cpu_seconds().children == 0
    end(worker)
    family.end()
    assert not set(orphans) & set(zombies())


def zombies():
    """Numbers of descendants that have computed, ended and not been waited for."""
    children = psutil.Process().children(recursive=True)
    ended = [each for each in children if each.status() == psutil.STATUS_ZOMBIE]
    return [each.pid for each in ended if sum(each.cpu_times()[:2]) >= SPENT_SECONDS / 2]
