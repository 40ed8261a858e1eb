"""Kills at any moment, of a run and of its workers: what was measured stays, and it goes on.

A run has several lives: it is killed, resumed, killed again, and in the end let go on to its end.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from harness.spec.events import Failure

from .commands import held
from .conftest import drawn
from .processes import HEALTHY, PHASES, QUICK, RUN, House, Watch, nothing_left, strike
from .stories import Story, whole

pytestmark = [pytest.mark.campaign, pytest.mark.frameworks]

DEATHS = 7
"""Of a run before it may end."""
LIVES = 12
CHANGES = 130
"""Of files, that a run with all in the cache makes: a few more than were counted."""
OWN_ENDS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}

Record = Callable[[str, object], None]


@pytest.mark.parametrize("number", range(LIVES))
def test_a_run_that_is_killed_again_and_again_comes_to_its_end(
    house: House, number: int, record_property: Record
) -> None:
    draw = drawn("kill", number)
    if number % 8 == 7:
        shutil.rmtree(house.cache / "levelfield" / "oracle")
    if number % 4 == 3:
        shutil.rmtree(house.cache / "levelfield" / "datasets")
    story = Story(house)
    for death in range(DEATHS):
        if death and draw.random() < 0.5:
            process = house.start(*story.next(), kill_at=draw.randrange(1, CHANGES))
            record_property("kill", "between two changes of files")
        else:
            process = house.start(*story.next())
            watch = Watch(house, process)
            whom = draw.choice(("itself", "itself", "all"))
            # A run that begins goes through all phases, one that goes on may not.
            wanted = draw.choice(PHASES) if death else PHASES[number % len(PHASES)]
            phase = strike(draw, process, watch, wanted, whom)
            record_property("kill", phase or "too late")
        done = house.ended(process)
        assert done.code in (-9, 3), done.stderr[-3000:]
        story.look()
    for events in story.end():
        whole(events)


@pytest.mark.parametrize("number", range(10))
def test_a_worker_that_is_killed_is_recorded_and_the_run_goes_on(
    house: House, number: int, record_property: Record
) -> None:
    draw = drawn("worker", number)
    if number % 4 == 3:
        shutil.rmtree(house.cache / "levelfield" / "oracle")
    story = Story(house)
    process = house.start(*RUN)
    wanted = draw.choice(("proof", "block", "block"))
    phase = strike(draw, process, Watch(house, process), wanted, "a worker")
    record_property("kill", f"worker in {phase}" if phase else "too late")
    done = held(house.ended(process), RUN, chatty=True)
    assert done.code in (2, 3), done.stderr[-3000:]
    story.look()
    [events] = story.end()
    failures = [event for event in events if isinstance(event, Failure)]
    assert len(failures) <= 1
    if phase and failures:
        assert "SIGKILL" in failures[0].reason


@pytest.mark.parametrize("number", range(10))
def test_a_polite_end_is_one_line_and_its_own_code(
    house: House, number: int, record_property: Record
) -> None:
    draw = drawn("signal", number)
    story = Story(house)
    process = house.start(*RUN)
    watch = Watch(house, process)
    wanted, which = draw.choice(PHASES), draw.choice([*OWN_ENDS][1:])
    watch.wait_for(wanted)
    time.sleep(draw.random())
    process.send_signal(which)
    record_property("kill", f"{which.name} in {watch.phase() or 'nothing'}")
    done = house.ended(process)
    # It may come before Python itself has begun, or after the answer.
    assert done.code in (OWN_ENDS[which], -which, 3), done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    if done.code == OWN_ENDS[which]:
        assert sum(line.startswith("levelfield: ") for line in done.stderr.splitlines()) == 1
    story.look()
    for events in story.end():
        whole(events)


@pytest.mark.parametrize("number", range(3))
def test_an_environment_whose_making_is_killed_is_made(
    tmp_path: Path, number: int, record_property: Record
) -> None:
    draw = drawn("environment", number)
    house = House(tmp_path / "house")
    sync = ("env", "sync", *QUICK[:4])
    with nothing_left():
        for _ in range(5):
            by_pip = draw.random() < 0.5
            at = None if by_pip else draw.choice((draw.randrange(1, 40), draw.randrange(1, 400)))
            process = house.start(*sync, kill_at=at)
            if by_pip:
                kill_pip_or_wait(draw, process)
            record_property("kill", "environment")
            done = house.ended(process)
            assert done.code in (-9, 0, 2), done.stderr
            assert "Traceback" not in done.stderr
            if done.code == 2:
                assert done.stderr.splitlines()[-1].startswith("levelfield: ")
            assert house.run("env", "list", "--json").code == 0
        assert house.run(*sync).code == 0
        assert house.left_files() == []
        assert len([each for each in house.environments.iterdir() if each.is_dir()]) == 1


def kill_pip_or_wait(draw: random.Random, process: subprocess.Popen[bytes]) -> None:
    """What the command has started is killed, or the command while that goes on."""
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            if busy := [each for each in watched.children() if "pip" in " ".join(each.cmdline())]:
                time.sleep(draw.random() * 4)
                draw.choice((busy[0], watched)).kill()
                return
        time.sleep(0.02)


@pytest.mark.parametrize("number", range(16))
def test_a_report_that_is_killed_is_the_old_one_or_the_next_one(
    house: House, number: int, record_property: Record
) -> None:
    draw = drawn("report", number)
    report = house.work / "reports" / HEALTHY / "index.html"
    if number % 2:
        assert house.run("report", HEALTHY).code == 0
    done = house.ended(house.start("report", HEALTHY, kill_at=draw.randrange(1, 40)))
    record_property("kill", "report alone" if done.code == -9 else "too late")
    assert done.code in (-9, 0), done.stderr
    if report.exists() or number % 2:
        assert report.read_text("utf-8").rstrip().endswith("</html>")
    assert house.run("report", HEALTHY).code == 0
    assert report.read_text("utf-8").rstrip().endswith("</html>")
    assert house.left_files() == []
