"""Foreign surroundings: variables, encodings, descriptors, homes, folders, drawn in handfuls.

None of them is an error: a command does there what it does elsewhere, or says in a line what it
lacks.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import shutil
import signal
from collections.abc import Callable, Mapping

import pytest

from .commands import Done, held, levelfield
from .conftest import drawn
from .processes import HEALTHY, RUN, House
from .stories import Story, whole

pytestmark = [pytest.mark.campaign, pytest.mark.frameworks]

ABSENT = None
"""A variable that is not set."""
VARIABLES: Mapping[str, tuple[str | None, ...]] = {
    "HOME": ("", "/", "/nonexistent", "relative", "/dev/null", "/root/../root/.", "a b\n☃", ABSENT),
    "TMPDIR": ("", "/nonexistent", "relative", "/dev/null", "/dev/shm", ABSENT),
    "USER": ("", "a\nb", "../..", ABSENT),
    "LOGNAME": ("", ABSENT),
    "PATH": ("", "/nonexistent", "relative:", ABSENT),
    "SHELL": ("", "/bin/false", ABSENT),
    "LANG": ("", "C", "xx_XX.UTF-9", "de_DE@euro", ABSENT),
    "LC_ALL": ("", "C", "POSIX", "C.UTF-8", "tr_TR.UTF-8", "ja_JP.SJIS"),
    "LANGUAGE": ("de:fr", "☃"),
    "TZ": ("", "junk", ":/nonexistent", "Pacific/Kiritimati", "UTC+99"),
    "TERM": ("", "dumb", "junk", "linux", ABSENT),
    "COLUMNS": ("0", "-1", "1", "junk", "999999999999", ABSENT),
    "LINES": ("0", "junk"),
    "NO_COLOR": ("1",),
    "FORCE_COLOR": ("1", "junk"),
    "CLICOLOR_FORCE": ("1",),
    "CI": ("1", ""),
    "GITHUB_ACTIONS": ("true", "junk"),
    "GITHUB_STEP_SUMMARY": ("/nonexistent/summary", "/dev/full", "/", ""),
    "PYTHONIOENCODING": ("ascii", "latin-1:strict", "utf-16", "cp037", ":surrogateescape"),
    "PYTHONUTF8": ("0", "1"),
    "PYTHONCOERCECLOCALE": ("0", "warn"),
    "PYTHONWARNINGS": ("error", "junk:::"),
    "PYTHONOPTIMIZE": ("2",),
    "PYTHONDEVMODE": ("1",),
    "PYTHONUNBUFFERED": ("1",),
    "PYTHONDONTWRITEBYTECODE": ("1",),
    "PYTHONPYCACHEPREFIX": ("/nonexistent", "relative"),
    "PYTHONSTARTUP": ("/nonexistent",),
    "PYTHONHASHSEED": ("0", "random"),
    "PYTHONMALLOC": ("debug", "malloc"),
    "PYTHONFAULTHANDLER": ("1",),
    "PYTHONTRACEMALLOC": ("1",),
    "PYTHONINTMAXSTRDIGITS": ("640",),
    "PYTHONNOUSERSITE": ("1",),
    "PYTHONBREAKPOINT": ("junk",),
    "MPLBACKEND": ("junk", "module://nothing"),
    "MPLCONFIGDIR": ("/nonexistent", "/dev/null", "relative"),
    "MATPLOTLIBRC": ("/nonexistent", "/dev/null"),
    "OMP_NUM_THREADS": ("0", "junk", "-1", "4096"),
    "OPENBLAS_NUM_THREADS": ("0", "junk", "4096"),
    "MKL_NUM_THREADS": ("junk",),
    "OMP_PROC_BIND": ("junk", "true"),
    "GOMP_CPU_AFFINITY": ("0", "junk"),
    "MALLOC_ARENA_MAX": ("junk", "1"),
    "GLIBC_TUNABLES": ("junk", "glibc.malloc.mmap_threshold=1"),
    "MALLOC_PERTURB_": ("85",),
    "LD_LIBRARY_PATH": ("/nonexistent", ""),
    "CUDA_VISIBLE_DEVICES": ("junk", "", "-1", "99"),
    "GIT_DIR": ("/nonexistent", "relative"),
    "GIT_WORK_TREE": ("/nonexistent",),
    "GIT_CONFIG_GLOBAL": ("/nonexistent", "/dev/null"),
    "GIT_CONFIG_COUNT": ("junk", "1"),
    "GIT_TRACE": ("1", "2"),
    "GIT_TEST_ASSUME_DIFFERENT_OWNER": ("1",),
    "VIRTUAL_ENV": ("/nonexistent",),
    "CONDA_PREFIX": ("/nonexistent",),
    "PIP_CONFIG_FILE": ("/nonexistent", "/dev/null"),
    "XDG_CONFIG_HOME": ("relative", "/nonexistent"),
    "XDG_DATA_HOME": ("/dev/null",),
    "XDG_RUNTIME_DIR": ("/nonexistent",),
    "LEVELFIELD_DATA": ("",),
    "_LEVELFIELD_COMPLETE": ("junk", "bash_source"),
    "LEVELFIELD_WORKER": ("junk",),
    "☃": ("☃",),
    "A": ("\udcff\udcfe", "x" * 100_000, "\n\x1b[31m"),
}
"""``XDG_CACHE_HOME`` is the house's own: see below."""
DESCRIPTORS = ("", "", "", ">&-", "2>&-", "<&-", "<&- >&- 2>&-", "</dev/full", "0>/dev/null")
PROCESS: Mapping[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "umask 0": lambda: os.umask(0),
    "umask 0777": lambda: os.umask(0o077),
    "nice": lambda: os.nice(5),
    "no pipe signal": lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL),
    "no child signal": lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    "signals blocked": lambda: signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGUSR1}
    ),
    "many descriptors": lambda: [os.set_inheritable(os.dup(0), True) for _ in range(300)],
    "one processor": lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    "no core files": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
}
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("list", "runs", "--json"),
    ("list", "recipes"),
    ("list", "frameworks", "--json"),
    ("report", HEALTHY),
    ("export", HEALTHY, "--format", "csv"),
    ("check", HEALTHY),
    ("baseline", "save", HEALTHY, "--baseline", "kept.json"),
    ("env", "list"),
    ("data", "info"),
    ("run", "smoke", "-f", "nobody"),
    ("gate", "--base", "HEAD"),
    ("--help",),
)


def surroundings(draw: random.Random, most: int) -> dict[str, str | None]:
    """Some variables, none of which is for us."""
    names = draw.sample(sorted(VARIABLES), draw.randrange(1, most + 1))
    return {name: draw.choice(VARIABLES[name]) for name in names}


def asked(house: House, draw: random.Random, command: tuple[str, ...], most: int) -> Done:
    """How ``command`` ended in drawn surroundings; all that always holds, holds."""
    variables = surroundings(draw, most)
    process, descriptors = draw.choice(sorted(PROCESS)), draw.choice(DESCRIPTORS)
    shown = (*command, f"{variables}", process, descriptors)
    print(*shown)
    done = house.ended(
        house.start(
            *command, before=lambda: PROCESS[process]() and None, redirected=descriptors,
            **variables,
        )
    )  # fmt: skip
    # Python's own words about such variables come before ours. Colours may have been asked for.
    said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.stderr)
    ours = [line for line in said.splitlines() if not of_python(line)]
    held(done._replace(stderr="\n".join(ours)), shown, chatty=True)
    return done._replace(stderr="\n".join(ours))


def of_python(line: str) -> bool:
    """Whether Python or git says it about variables that are meant for them."""
    return line.startswith(("Python detected LC_CTYPE", "Invalid -W option", "bash: ", "perl: "))


@pytest.mark.parametrize("number", range(48))
def test_a_command_does_in_foreign_surroundings_what_it_does_elsewhere(
    house: House, number: int
) -> None:
    draw = drawn("foreign", number)
    command = COMMANDS[number % len(COMMANDS)]
    usual = levelfield(house.work, *command).code
    done = asked(house, draw, command, 6)
    assert done.code == usual, done.stderr
    if done.code == 2 and done.stderr:
        assert done.stderr.splitlines()[-1].startswith("levelfield: ")
    if done.code == 0 and done.stdout and command == COMMANDS[0]:
        assert json.loads(done.stdout)[0]["problem"] == ""
    Story(house).look()


@pytest.mark.parametrize("number", range(5))
def test_a_run_in_foreign_surroundings_is_a_run(house: House, number: int) -> None:
    draw = drawn("foreign run", number)
    done = asked(house, draw, RUN, 8)
    assert done.code == 3, done.stderr
    story = Story(house)
    story.look()
    for events in story.end():
        whole(events)


def folder_that_went(house: House) -> None:
    shutil.rmtree(house.work)


def file_in_the_way(house: House) -> None:
    shutil.rmtree(house.work / "results")
    (house.work / "results").write_text("")


def link_to_nowhere(house: House) -> None:
    shutil.rmtree(house.work / "results")
    (house.work / "results").symlink_to("nowhere")


def reports_in_the_way(house: House) -> None:
    (house.work / "reports").write_text("")


def latest_in_the_way(house: House) -> None:
    (house.work / "reports" / "latest").mkdir(parents=True)
    (house.work / "reports" / "latest" / "mine").write_text("")


def cache_in_the_way(house: House) -> None:
    shutil.rmtree(house.cache)
    house.cache.write_text("")


def temporary_in_the_way(house: House) -> None:
    house.temporary.rmdir()
    house.temporary.write_text("")


WAYS = (
    folder_that_went, file_in_the_way, link_to_nowhere, reports_in_the_way, latest_in_the_way,
    cache_in_the_way, temporary_in_the_way,
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("command", [("list", "runs"), ("report", HEALTHY), (*RUN[:-1], "1")])
def test_what_stands_in_the_way_is_one_line(
    house: House, command: tuple[str, ...], way: Callable[[House], None]
) -> None:
    process = house.start(*command, before=lambda: way(house))
    done = held(house.ended(process), (*command, way.__name__), chatty=True)
    assert done.code in (0, 2, 3), done.stderr
    if done.code == 2:
        assert done.stderr.splitlines()[-1].startswith("levelfield: ")
    if way is latest_in_the_way:
        assert (house.work / "reports" / "latest" / "mine").exists(), "it is the user's"
