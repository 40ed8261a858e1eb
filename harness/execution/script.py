"""A training script that stands by itself, driven through the same calls as a worker.

The script has never heard of the suite. It is started with ``--data FOLDER --weights FILE --batch B
--threads N --seed S --windows 0`` and then asked, line by line on its standard input, for windows:

    EPOCH FIRST LEAD_IN STEPS

LEAD_IN untimed and STEPS timed steps on the examples from number FIRST on in the order of an epoch
(``datasets/order.py``). It answers each on its standard output, by its own clocks, with a line that
begins

    SECONDS CPU_SECONDS LOSS_SUM CORRECT

of the timed steps; the sums are over all of them. Its first window is a warm-up, which leaves no
trace. It ends with its input. What it prints elsewhere goes to the log.

Where the framework's own data loader is measured, it is also given ``--input loader`` or ``--input
pipeline``, and ``--workers N``. Its steps then take the next batches of that loader, whatever EPOCH
and FIRST say; its warm-up takes none.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from harness.datasets.arrays import array_path, digest_of_folder, digest_of_weights
from harness.datasets.order import OrderCursor, examples_in
from harness.execution.process import Timeouts, WorkerError, WorkerProcess
from harness.worker.loop import finite
from harness.worker.readings import cpu_frequency_mhz, system_times
from harness.worker.wire import (
    WARM_UP_STEPS,
    Command,
    Finish,
    Finished,
    Job,
    Message,
    Ready,
    Train,
    Trained,
)

M = TypeVar("M", bound=Message)


class Answer(NamedTuple):
    """What the script says of a window."""

    wall_seconds: float
    cpu_seconds: float
    loss_sum: float
    correct: int


class Asked(NamedTuple):
    """A window as it is put to the script, and how many examples it holds."""

    line: str
    examples: int
    """Of the timed steps."""
    trained_examples: int
    """With those of the lead-in."""


class Counters(NamedTuple):
    """Of a process since its start."""

    minor_faults: int
    major_faults: int
    involuntary_switches: int


def answer_in(line: str) -> Answer | None:
    """What ``line`` says of a window; nothing where it can't be true of one.

    A training may diverge: its loss alone need not be finite.
    """
    try:
        wall, cpu, loss_sum, correct = (float(word) for word in line.split()[:4])
    except ValueError:
        return None
    counted = all(math.isfinite(each) and each >= 0 for each in (wall, cpu, correct))
    if not counted or wall == 0 or loss_sum < 0 or correct != int(correct):
        return None
    return Answer(wall, cpu, loss_sum, int(correct))


class ScriptProcess(WorkerProcess):
    """A running script, which takes a worker's place in a block.

    It follows the harness's batch order and starts from the harness's weights, but does not say so:
    the hashes that stand for it are of what it was given. That it used it is shown by its losses.

    From outside, only the script knows when its timed steps began. So what the kernel counts (page
    faults, steal, switches) is counted from the question to the answer, staging and lead-in with
    it; ``stage_seconds`` is all of that time but the timed steps.
    """

    def __init__(
        self,
        python: Path,
        variables: Mapping[str, str],
        log: Path,
        *,
        script: str,
        job: Job,
        options: Sequence[str] = (),
        stoppable: bool = True,
        timeouts: Timeouts | None = None,
    ) -> None:
        setup = job.setup
        told = {
            "data": job.data_folder,
            "weights": job.weights,
            "batch": setup.batch_size,
            "threads": setup.threads,
            "seed": setup.seed,
            "windows": 0,
        }
        if job.loader is not None:
            told |= {
                "data": job.loader.data_folder,
                "input": job.loader.kind,
                "workers": job.loader.workers,
            }
        words = [word for name, value in told.items() for word in (f"--{name}", f"{value}")]
        super().__init__(
            python,
            variables,
            log,
            options=options,
            script=(script, *words),
            stoppable=stoppable,
            timeouts=timeouts,
        )
        self._job = job
        self._order = np.load(job.order, mmap_mode="r")
        self._cursor = OrderCursor(self._order)
        self._steps = 0

    def greet(self) -> float:
        """0: a script says nothing before its first window."""
        return 0.0

    def ask(self, command: Command, answer: type[M], phase: str) -> M:
        """What a worker would answer to ``command``.

        Raises:
            WorkerError: the script died, fell silent for too long, said something else, or was
                asked for what a script does not do.
        """
        self.phase = phase
        seconds = self.timeouts.after(command)
        reply: Message
        if isinstance(command, Job):
            reply = self._ready(seconds)
        elif isinstance(command, Train) and not command.partial:
            reply = self._trained(command, seconds)
        elif isinstance(command, Finish):
            reply = self._finished()
        else:
            raise WorkerError(phase, f"a script does not do what {type(command).__name__} asks for")
        assert isinstance(reply, answer)
        return reply

    def _ready(self, seconds: float) -> Ready:
        began = time.perf_counter()
        steps = min(WARM_UP_STEPS, self._order.shape[1] // self._job.setup.batch_size - 1)
        self._window(f"0 0 1 {steps}", seconds)
        folder = Path(self._job.data_folder)
        with np.load(self._job.weights) as archive:
            weights_hash = digest_of_weights({name: archive[name] for name in archive.files})
        return Ready(
            phases={"warm_up": time.perf_counter() - began},
            data_hash=digest_of_folder(folder),
            weights_hash=weights_hash,
            device="cpu",
            result_device="cpu",
            threads={},
            train_examples=self._order.shape[1],
            test_examples=len(np.load(array_path(folder, "test_labels"), mmap_mode="r")),
        )

    def _trained(self, command: Train, seconds: float) -> Trained:
        asked = self._from_order(command) if self._job.loader is None else self._loaded(command)
        first_step = self._steps
        self._steps += command.lead_in + command.steps
        before, steal_seconds = self._counters(), system_times().steal
        began = time.perf_counter()
        answer = self._window(asked.line, seconds)
        took_seconds = time.perf_counter() - began
        after = self._counters()
        return Trained(
            first_step=first_step,
            steps=command.steps,
            examples=asked.examples,
            wall_seconds=answer.wall_seconds,
            cpu_seconds=answer.cpu_seconds,
            lead_in_steps=command.lead_in,
            lead_in_seconds=0.0,
            partial_steps=0,
            partial_seconds=0.0,
            stage_seconds=max(0.0, took_seconds - answer.wall_seconds),
            loss_sum=finite(answer.loss_sum),
            correct=answer.correct,
            trained_examples=asked.trained_examples,
            minor_faults=after.minor_faults - before.minor_faults,
            major_faults=after.major_faults - before.major_faults,
            involuntary_switches=after.involuntary_switches - before.involuntary_switches,
            steal_seconds=system_times().steal - steal_seconds,
            load=os.getloadavg()[0],
            frequency_mhz=cpu_frequency_mhz(),
        )

    def _from_order(self, command: Train) -> Asked:
        """The window on the next examples of the harness's order."""
        size = self._job.setup.batch_size
        steps = command.lead_in + command.steps
        self._cursor.require(steps * size)
        epoch, first = self._cursor.place
        self._cursor.take(steps, size)
        line = f"{epoch} {first} {command.lead_in} {command.steps}"
        return Asked(line, command.steps * size, steps * size)

    def _loaded(self, command: Train) -> Asked:
        """The window on the next batches of the script's loader, the last of an epoch partial."""
        timed = self._steps + command.lead_in
        before, at, after = (
            examples_in(steps, self._job.setup.batch_size, self._order.shape[1])
            for steps in (self._steps, timed, timed + command.steps)
        )
        return Asked(f"0 0 {command.lead_in} {command.steps}", after - at, after - before)

    def _finished(self) -> Finished:
        """The script's input has ended, and with it soon the script."""
        peak_bytes = self._status("VmHWM") * 1024
        os.close(self._commands)
        self._commands = -1
        return Finished(
            steps=self._steps,
            order_hash="" if self._job.loader else self._cursor.hash,
            peak_memory_bytes=peak_bytes,
        )

    def _window(self, line: str, seconds: float) -> Answer:
        """The script's answer to ``line``.

        Raises:
            WorkerError: as ``ask``.
        """
        try:
            os.write(self._commands, f"{line}\n".encode())
        except BrokenPipeError:
            raise self._death() from None
        said = self._read_line(seconds).decode("utf-8", "replace").strip()
        answer = answer_in(said)
        if answer is None:
            reason = (
                f"the script wrote {said[:80]!r}, expected SECONDS CPU_SECONDS LOSS_SUM CORRECT: "
                "finite numbers, none below 0, and more than 0 seconds"
            )
            raise WorkerError(self.phase, reason, self.log_tail())
        return answer

    def _counters(self) -> Counters:
        """Of the script's process so far; zeros where the kernel does not show them."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return Counters(0, 0, 0)
        # The name before the last bracket may hold anything; behind it, proc(5) counts from 3 on.
        fields = stat.rpartition(")")[2].split()
        switches = self._status("nonvoluntary_ctxt_switches")
        return Counters(int(fields[10 - 3]), int(fields[12 - 3]), switches)

    def _status(self, name: str) -> int:
        """A number of the process's status, see proc(5); 0 where there is none."""
        try:
            text = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        except OSError:
            return 0
        lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        return int(lines.get(name, "0").split()[0])
