"""One worker process, seen from the harness: spawn, send, receive in time, stop, continue, end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TypeVar
from uuid import uuid4

from harness import worker
from harness.execution.answers import checked
from harness.execution.family import MARK, CpuSeconds, Family, adopt_orphans
from harness.execution.logs import (
    bounded_detail,
    bounded_reason,
    keep_small,
    opened_log,
    tail_of,
)
from harness.execution.timeouts import Patience
from harness.execution.timeouts import Timeouts as Timeouts
from harness.files import UnreadableFile, decoding
from harness.temporary import temporary_folder
from harness.worker.wire import (
    Command,
    Failed,
    Finish,
    Finished,
    Hello,
    Message,
    decode_message,
    encode,
)

BOOTSTRAP = Path(worker.__file__).parent / "bootstrap.py"
"""What a worker's interpreter runs."""
LONGEST_LINE_BYTES = 4 * 2**20

M = TypeVar("M", bound=Message)


def bootstrap_in(tree: Path) -> Path:
    """The same in another levelfield, in the folder ``tree``."""
    return tree / "harness" / "worker" / BOOTSTRAP.name


class WorkerError(Exception):
    """A worker did not do what it was asked to; becomes a recorded failure."""

    def __init__(self, phase: str, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.phase = phase
        self.reason = bounded_reason(reason)
        self.detail = bounded_detail(detail)


class WorkerProcess:
    """A running worker; leaving its context ends it, whatever state it is in."""

    def __init__(
        self,
        python: Path,
        variables: Mapping[str, str],
        log: Path,
        *,
        options: Sequence[str] = (),
        bootstrap: Path = BOOTSTRAP,
        script: Sequence[str] = (),
        stoppable: bool = True,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.timeouts = timeouts or Timeouts()
        self.phase = "spawn"
        self.left_behind: list[str] = []
        """Processes of the worker's that had to be ended after it."""
        self._log = log
        self._stoppable = stoppable
        self._buffer = b""
        self._mark = uuid4().hex
        self._scratch = ExitStack()
        """Of what the worker and its children write without being asked, and a kill leaves."""
        scratch = self._scratch.enter_context(temporary_folder("worker", for_sockets=True))
        adopt_orphans()
        self._began = time.perf_counter()
        commands, self._commands = os.pipe()
        self._messages, messages = os.pipe()
        try:
            with opened_log(log) as output:
                # In a process group of its own: the whole group is stopped and ended together.
                self._process = subprocess.Popen(
                    # Not symlink-resolved: the path is what makes it the environment's interpreter.
                    [
                        *(str(python), "-I", *options),
                        *(str(bootstrap), str(commands), str(messages), *script),
                    ],
                    env={**variables, MARK: self._mark, "TMPDIR": str(scratch)},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=(commands, messages),
                    process_group=0,
                )
        except OSError as error:
            os.close(self._commands)
            os.close(self._messages)
            self._scratch.close()
            raise WorkerError("spawn", f"{python} can't be started: {error.strerror}") from None
        finally:
            os.close(commands)
            os.close(messages)
        self._family = Family(self._process.pid, self._mark)
        self._stopped = False

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def greet(self) -> float:
        """Seconds from spawn to the interpreter's first word."""
        self.receive(Hello, self.timeouts.hello)
        return time.perf_counter() - self._began

    def ask(self, command: Command, answer: type[M], phase: str) -> M:
        """The worker's answer to ``command``.

        Raises:
            WorkerError: it failed, died, fell silent for too long, or said something else.
        """
        self.phase = phase
        try:
            os.write(self._commands, encode(command))
        except BrokenPipeError:
            raise self._death() from None
        return self.receive(answer, self.timeouts.after(command))

    def receive(self, expected: type[M], seconds: float) -> M:
        """The next message, which is of the type ``expected``.

        Raises:
            WorkerError: as ``ask``.
        """
        line = self._read_line(seconds)
        try:
            with decoding():
                message = decode_message(line)
        except UnreadableFile as error:
            shown = line[:80].decode("utf-8", "replace").rstrip()
            reason = f"the worker wrote {shown!r} where a message was expected ({error})"
            raise WorkerError(self.phase, reason, self.log_tail()) from None
        if isinstance(message, Failed):
            detail = f"{message.detail}\n{self.log_tail()}".strip()
            raise WorkerError(message.phase, message.reason, detail)
        if not isinstance(message, expected):
            reason = f"the worker answered {type(message).__name__}, expected {expected.__name__}"
            raise WorkerError(self.phase, reason, self.log_tail())
        try:
            return checked(message)
        except ValueError as error:
            raise WorkerError(self.phase, bounded_reason(str(error)), self.log_tail()) from None

    def stop(self) -> None:
        """The worker uses no CPU until ``resume``: thread pools spin while they wait."""
        if self._stoppable and not self._stopped:
            os.killpg(self._process.pid, signal.SIGSTOP)
            self._stopped = True

    def resume(self) -> None:
        """The worker runs again."""
        if self._stopped:
            os.killpg(self._process.pid, signal.SIGCONT)
            self._stopped = False

    @property
    def pid(self) -> int:
        """The worker's, as this process sees it."""
        return self._process.pid

    def cpu_seconds(self) -> CpuSeconds:
        """User and system CPU time so far of the worker and of all that it has started."""
        return self._family.cpu_seconds()

    def finish(self, weights: str = "") -> Finished:
        """The worker has reported and ended by itself; its weights are in the file ``weights``.

        Raises:
            WorkerError: as ``ask``, or it did not end with status 0.
        """
        report = self.ask(Finish(weights=weights), Finished, "end")
        try:
            status = self._process.wait(self.timeouts.end)
        except subprocess.TimeoutExpired:
            raise self._silence(self.timeouts.end) from None
        if status != 0:
            raise self._death()
        return report

    def kill(self) -> None:
        """The worker, its whole process group and all that it has started are gone."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self.left_behind += self._family.end()
        self._scratch.close()
        for descriptor in (self._commands, self._messages):
            if descriptor >= 0:
                os.close(descriptor)
        self._commands = self._messages = -1

    def log_tail(self) -> str:
        """The last lines of what the worker printed."""
        return tail_of(self._log)

    def _read_line(self, seconds: float) -> bytes:
        patience = Patience(seconds)
        while b"\n" not in self._buffer:
            if len(self._buffer) > LONGEST_LINE_BYTES:
                reason = f"the worker wrote {len(self._buffer)} bytes without an end of line"
                raise WorkerError(self.phase, reason, self.log_tail())
            part_seconds = patience.next_slice()
            if part_seconds <= 0:
                raise self._silence(seconds)
            heard = select.select([self._messages], [], [], part_seconds)[0]
            keep_small(self._log)
            if not heard:
                continue
            part = os.read(self._messages, 65536)
            if not part:
                raise self._death()
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _silence(self, seconds: float) -> WorkerError:
        reason = f"no answer within {seconds:g} s: the worker hung and was killed"
        return WorkerError(self.phase, reason, self.log_tail())

    def _death(self) -> WorkerError:
        try:
            status = self._process.wait(self.timeouts.end)
        except subprocess.TimeoutExpired:
            reason = "the worker closed its pipe without ending"
            return WorkerError(self.phase, reason, self.log_tail())
        if status >= 0:
            reason = f"the worker ended with status {status} before it answered"
        elif -status == signal.SIGKILL:
            reason = "the worker was killed (SIGKILL), as the kernel does when memory runs out"
        else:
            reason = f"the worker was ended by {signal.Signals(-status).name}"
        return WorkerError(self.phase, reason, self.log_tail())
