"""Micro-benchmark suites in a framework's environment: one process from start to end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from harness import worker
from harness.execution.logs import keep_small, last_lines, opened_log, tail_of
from harness.execution.process import LONGEST_LINE_BYTES, WorkerError

LAUNCHER = Path(worker.__file__).parent / "micro.py"
"""What a framework's interpreter runs."""
PHASE = "micro-benchmarks"
POLL_SECONDS = 1.0
NOTHING_SELECTED = 5
"""pytest's exit code where no test was left."""


class SuiteTimeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds after which a suite is taken for hung."""

    silence: float = 300
    """Without a word: import, or the compilation of one piece."""
    whole: float = 3600


def run_suites(
    python: Path,
    variables: Mapping[str, str],
    job: Path,
    log: Path,
    tell: Callable[[str], None],
    timeouts: SuiteTimeouts | None = None,
    options: Sequence[str] = (),
) -> None:
    """The suites of ``job`` have run to their end, and all of what they measured is in its output.

    Args:
        python: The environment's interpreter, not symlink-resolved.
        variables: The whole environment of the process.
        job: File with a ``MicroJob``.
        log: Gets whatever the process prints.
        tell: Called with each line of that.
        timeouts: After which the process is killed.
        options: Words between the interpreter and what it runs.

    Raises:
        WorkerError: it could not be started, failed, or fell silent.
    """
    process = SuiteProcess(python, variables, job, log, timeouts or SuiteTimeouts(), options)
    try:
        process.wait(tell)
    finally:
        process.kill()


class SuiteProcess:
    """The launcher, running."""

    def __init__(
        self,
        python: Path,
        variables: Mapping[str, str],
        job: Path,
        log: Path,
        timeouts: SuiteTimeouts,
        options: Sequence[str] = (),
    ) -> None:
        self._log = log
        self._timeouts = timeouts
        try:
            # In a process group of its own, so that compilers that it calls end with it.
            self._process = subprocess.Popen(
                [str(python), "-I", *options, str(LAUNCHER), str(job)],
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        except OSError as error:
            reason = f"{python} can't be started: {error.strerror}"
            raise WorkerError("spawn", reason) from None

    def wait(self, tell: Callable[[str], None]) -> None:
        """It has ended with status 0.

        Raises:
            WorkerError: it has not.
        """
        output = self._process.stdout
        assert output is not None
        ends, heard = time.monotonic() + self._timeouts.whole, time.monotonic()
        rest = b""
        with opened_log(self._log) as log:
            while True:
                if not select.select([output], [], [], POLL_SECONDS)[0]:
                    if self._process.poll() is not None:
                        break  # a process that it left behind may hold its output open
                    self._check_time(time.monotonic() - heard, ends - time.monotonic())
                    continue
                part = os.read(output.fileno(), 65536)
                if not part:
                    break
                heard = time.monotonic()
                self._check_time(0, ends - heard)
                log.write(part)
                keep_small(self._log)
                *lines, rest = (rest + part).split(b"\n")
                rest = rest[-LONGEST_LINE_BYTES:]
                for line in lines:
                    tell(line.decode("utf-8", "replace").rstrip())
        self._end()

    def kill(self) -> None:
        """The process and its whole group are gone."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _end(self) -> None:
        try:
            status = self._process.wait(self._timeouts.silence)
        except subprocess.TimeoutExpired:
            raise WorkerError(PHASE, "it closed its output without ending", self._tail()) from None
        if status == 0:
            return
        if status == NOTHING_SELECTED:
            raise WorkerError(PHASE, "no benchmark fits what was selected", self._tail())
        if status == -signal.SIGKILL:
            reason = "it was killed (SIGKILL), as the kernel does when memory runs out"
        elif status < 0:
            reason = f"it was ended by {signal.Signals(-status).name}"
        else:
            reason = f"it ended with status {status}: {self._last_error()}"
        raise WorkerError(PHASE, reason, self._tail())

    def _check_time(self, silent: float, left: float) -> None:
        limits = self._timeouts
        if silent <= limits.silence and left > 0:
            return
        what = f"no word for {limits.silence:g} s" if left > 0 else f"no end in {limits.whole:g} s"
        raise WorkerError(PHASE, f"{what}: it hung and was killed", self._tail())

    def _tail(self) -> str:
        return tail_of(self._log)

    def _last_error(self) -> str:
        """The line that says best why: pytest's own summary, else the last one."""
        lines = [line.strip() for line in last_lines(self._log) if line.strip()]
        summed_up = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
        errors = [line[2:].strip() for line in lines if line.startswith("E ")]
        return (summed_up or errors[:1] or lines[-1:] or ["it printed nothing"])[0]
