"""Commands as processes of their own, in a house of their own, to which something happens.

A house has its own folder, cache and place for temporary files, so that what is left in it is seen.
Whatever its processes start becomes a child of the test's process when its parent dies, so that
nothing outlives a case unseen.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil

from harness import paths
from harness.execution.family import adopt_orphans
from tests.commands.conftest import IMPLEMENTATIONS

from .commands import Done, held

KILL_AT = Path(__file__).parent / "kill_at.py"
QUICK = ("--impl-dir", str(IMPLEMENTATIONS), "-f", "quick", "--dataset", "fashion-mnist-20k")
RUN = ("run", "smoke", *QUICK, "--epochs", "1", "--blocks", "2")
"""A whole run in seconds; it ends with 3, as ``quick`` does not compute what it should."""
HEALTHY = "2026-01-01-healthy"
"""A run that is there already, and that nothing happens to."""
LONGEST_SECONDS = 400
GONE_WITHIN_SECONDS = 30.0
PHASES = ("planning", "environment", "inputs", "proof", "block", "audit", "report")
"""Of a run, in their order."""


class House:
    """Where commands run that may be killed, and that leave nothing."""

    def __init__(self, folder: Path, environments: Path | None = None) -> None:
        """``environments``: those of another house, to be used here too."""
        self.folder = folder
        self.work, self.cache, self.temporary = (folder / name for name in ("work", "cache", "tmp"))
        for each in (self.work, self.cache / "levelfield", self.temporary):
            each.mkdir(parents=True)
        self.runs = self.work / "results" / "runs"
        if environments:
            self.environments.symlink_to(environments)
        adopt_orphans()

    @property
    def environments(self) -> Path:
        return self.cache / "levelfield" / "environments"

    def variables(self, **more: str | None) -> dict[str, str]:
        """The house's own, and ``more``; those that are none are not set."""
        all_of_them = {
            "PIP_CACHE_DIR": str(Path.home() / ".cache" / "pip"), **os.environ,
            "PYTHONPATH": str(paths.ROOT), "COLUMNS": "200",
            "XDG_CACHE_HOME": str(self.cache), "TMPDIR": str(self.temporary), **more,
        }  # fmt: skip
        return {name: value for name, value in all_of_them.items() if value is not None}

    def start(
        self,
        *arguments: str,
        kill_at: int | None = None,
        before: Callable[[], object] | None = None,
        redirected: str = "",
        **variables: str | None,
    ) -> subprocess.Popen[bytes]:
        """The command, in the house.

        ``kill_at``: it kills itself before such a change of files. ``before``: what happens in its
        process first. ``redirected``: its streams, as a shell has that.
        """
        how = ["-m", "harness"] if kill_at is None else [str(KILL_AT), str(kill_at)]
        command = [sys.executable, *how, *arguments]
        if redirected:
            command = ["/bin/sh", "-c", f'exec "$@" {redirected}', "sh", *command]
        with (self.folder / "stdout").open("wb") as out, (self.folder / "stderr").open("wb") as err:
            return subprocess.Popen(
                command, cwd=self.work, env=self.variables(**variables),
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
                preexec_fn=before,
            )  # fmt: skip

    def ended(self, process: subprocess.Popen[bytes]) -> Done:
        """How the command ended, and nothing that it had started lives any more."""
        try:
            code = process.wait(LONGEST_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        out, err = (
            (self.folder / name).read_text("utf-8", "replace") for name in ("stdout", "stderr")
        )
        left = left_after(GONE_WITHIN_SECONDS)
        assert not left, f"{left} outlived {process.args}"
        return Done(code, out, err)

    def run(self, *arguments: str) -> Done:
        """How the command ended, which has kept to all that holds for every command."""
        return held(self.ended(self.start(*arguments)), arguments, chatty=True)

    def left_files(self) -> list[str]:
        """What no command should leave once the next one has ended."""
        cache = self.cache / "levelfield"
        found = [
            *self.temporary.glob("*/*"),
            *(each for each in self.temporary.iterdir() if not each.name.startswith("levelfield-")),
            *(cache / "temporary").glob("*"),
            *self.folder.rglob("*.part"),
            *self.environments.resolve().glob("*.use-*"),
            *self.runs.glob("*/inputs"),
            *(each for each in self.runs.glob("*") if not (each / "run.json").is_file()),
        ]
        return [str(each.relative_to(self.folder.parent.parent)) for each in found]


def left_after(seconds: float) -> list[str]:
    """Processes that still live then; they are ended. Those that have ended are waited for."""
    deadline = time.monotonic() + seconds
    while (living := _living()) and time.monotonic() < deadline:
        time.sleep(0.02)
    names = []
    for each in living:
        with contextlib.suppress(psutil.Error):
            names.append(" ".join(each.cmdline())[:200])
            each.kill()
    return names


def _living() -> list[psutil.Process]:
    found = []
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
            elif each.ppid() == os.getpid():
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(each.pid, os.WNOHANG)
    return found


class Watch:
    """What a command that measures is at, seen from outside."""

    def __init__(self, house: House, process: subprocess.Popen[bytes]) -> None:
        self._house = house
        self._process = psutil.Process(process.pid)
        self._sizes = {path: path.stat().st_size for path in house.runs.glob("*/trials.jsonl")}

    def phase(self) -> str:
        """One of ``PHASES``, or an empty string once it has ended."""
        logs = [log for _, log in self.workers()]
        if any(log.startswith("trial-") for log in logs):
            return "block"
        if logs:
            return "proof"
        try:
            if self._process.status() == psutil.STATUS_ZOMBIE:
                return ""
            busy = [each for each in self._process.children() if each.status() != "zombie"]
        except psutil.Error:
            return ""
        last = self._last_event()
        if b'"run_finished"' in last:
            return "report"
        if last:
            return "audit" if b'"block_finished"' in last or b'"audit"' in last else "inputs"
        return "environment" if busy else "planning"

    def wait_for(self, wanted: str) -> None:
        """The command is in this phase, or in one that comes later, or has ended."""
        later = ("", *PHASES[PHASES.index(wanted) :])
        while self.phase() not in later:
            time.sleep(0.01)

    def workers(self) -> list[tuple[int, str]]:
        """Number and log of each worker that lives."""
        found = []
        with contextlib.suppress(psutil.Error):
            for each in self._process.children():
                with contextlib.suppress(psutil.Error, OSError):
                    log = Path(f"/proc/{each.pid}/fd/1").readlink()
                    if log.parent.name == "logs":
                        found.append((each.pid, log.name))
        return found

    def _last_event(self) -> bytes:
        """The last one that this command has recorded."""
        for path in self._house.runs.glob("*/trials.jsonl"):
            content = path.read_bytes()
            if len(content) > self._sizes.get(path, 0):
                return content.rstrip(b"\n").rpartition(b"\n")[2]
        return b""


def strike(
    draw: random.Random, process: subprocess.Popen[bytes], watch: Watch, wanted: str, whom: str
) -> str:
    """The command was killed in, or soon after the beginning of, phase ``wanted``; in which one.

    Empty if it ended before. ``whom``: itself, with all that it has started, or a worker of its.
    """
    late = draw.choice((0.0, draw.random())) * (2.0 if wanted in ("planning", "report") else 0.3)
    watch.wait_for(wanted)
    time.sleep(late)
    phase = watch.phase()
    workers = [pid for pid, _ in watch.workers()]
    if not phase or (whom == "a worker" and not workers):
        return ""
    victims: Sequence[int] = [process.pid]
    if whom == "a worker":
        victims = [draw.choice(workers)]
    elif whom == "all":
        victims = [process.pid, *workers]
    for pid in victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return phase


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """Whatever happens within, no process is left of it."""
    try:
        yield
    finally:
        left_after(0.0)
