"""A block: one trial of each contender, alive side by side, their windows interleaved."""

from __future__ import annotations

import itertools
import secrets
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from threadpoolctl import ThreadpoolController

from harness.environments.machine import default_threads
from harness.execution.contenders import Contender, started_worker
from harness.execution.devices import require_device
from harness.execution.family import CpuSeconds
from harness.execution.gpu_readings import GpuReader, OpenGpu, open_gpu
from harness.execution.process import WorkerError, WorkerProcess
from harness.execution.schedule import LEAD_IN_STEPS, epoch_windows, seats, turns
from harness.spec.events import (
    AnyEvent,
    BlockFinished,
    Evaluation,
    Failure,
    TrialFinished,
    TrialStarted,
    Window,
)
from harness.spec.proof_events import Hashes
from harness.worker.wire import Evaluate, Evaluated, Ready, Train, Trained

Record = Callable[[AnyEvent], None]
CONTROL_SIZE = 384
SAMPLES = 2**31
"""More batches than any test set has; a worker takes the number modulo its own."""


@cache
def thread_pools() -> ThreadpoolController:
    """Those of the harness's own libraries.

    They are looked up in a callback from C, in which the exception of a Ctrl-C would be lost: one
    that comes meanwhile is kept until afterwards.
    """
    interrupted = False

    def keep(number: int, frame: object) -> None:
        nonlocal interrupted
        interrupted = True

    usual = signal.signal(signal.SIGINT, keep)
    try:
        return ThreadpoolController()
    finally:
        signal.signal(signal.SIGINT, usual)
        if interrupted:
            signal.raise_signal(signal.SIGINT)


Prove = Callable[[Contender, WorkerProcess, int], None]
"""Holds a warm worker against the oracle, and records that; the number is its trial's.

Raises ``WorkerError``: the worker failed."""


class BlockPlan(NamedTuple):
    """What a block does."""

    number: int
    group: str
    long: bool
    seed: int
    rounds: int
    window_steps: int
    epochs: int


class Trial:
    """A worker that takes part in a block, with what has been seen of it."""

    def __init__(
        self, number: int, seat: int, contender: Contender, process: WorkerProcess
    ) -> None:
        self.number = number
        self.seat = seat
        self.contender = contender
        self.process = process
        self.phases: dict[str, float] = {}
        self.ready: Ready | None = None
        self.waits_since = 0.0
        self.cpu_at_wait = CpuSeconds(0.0, 0.0)


class Block:
    """Runs one block and records all of it.

    A worker that fails is recorded and leaves the block; the others go on.
    """

    def __init__(
        self,
        plan: BlockPlan,
        contenders: Sequence[Contender],
        logs: Path,
        record: Record,
        trial_numbers: itertools.count[int],
        open_gpu: OpenGpu = open_gpu,
        prove: Prove | None = None,
        audit: Callable[[BlockFinished], None] | None = None,
        ends: Path | None = None,
        taken_over: tuple[int, ...] = (),
    ) -> None:
        """Ready to run.

        Args:
            plan: What the block does.
            contenders: One trial each, in the order of their seats.
            logs: Folder for what workers print.
            record: Takes each event as it happens.
            trial_numbers: Where the next trial's number comes from.
            open_gpu: Finds the GPU's readings.
            prove: Called with each warm worker before its first window.
            audit: Called with what will be recorded once all trials have ended.
            taken_over: Numbers of trials that are part of it and need not be made.
            ends: Folder for the weights at the end of each trial, ``TRIAL.npz``; none: not kept.
        """
        self._prove = prove
        self._audit = audit
        self._ends = ends
        self._taken_over = taken_over
        self._plan = plan
        self._contenders = contenders
        self._logs = logs
        self._record = record
        self._numbers = trial_numbers
        self._open_gpu = open_gpu
        self._gpu: GpuReader | None = None
        self._trials: list[Trial] = []
        self._stack = ExitStack()
        generator = np.random.RandomState(0)
        self._control = generator.rand(CONTROL_SIZE, CONTROL_SIZE).astype(np.float32)

    def run(self) -> None:
        """The block has been run, and recorded as finished."""
        with self._stack:
            first = self._contenders[0]
            if first.cell.device != "cpu":  # the others of a group are on the same
                visible = first.variables.get("CUDA_VISIBLE_DEVICES", "")
                self._gpu = self._stack.enter_context(self._open_gpu(visible))
            self._start()
            if self._plan.long:
                self._train_epochs()
            else:
                window = Train(lead_in=LEAD_IN_STEPS, steps=self._plan.window_steps)
                self._train_rounds([window] * self._plan.rounds, first_round=0)
            for trial in list(self._trials):
                self._guard(trial, self._finish)
            finished = tuple(trial.number for trial in self._trials)
        end = BlockFinished(
            at=time.time(),
            block=self._plan.number,
            group=self._plan.group,
            long=self._plan.long,
            trials=(*self._taken_over, *finished),
        )
        if self._audit is not None:
            self._audit(end)
        self._record(end)

    def _start(self) -> None:
        """Every contender's worker is warm and waits, or its failure is recorded.

        They start side by side, one for each CPU; but one by one where their phases are told of,
        as those of long trials are, and on a GPU, which all of them would fill at once.
        """
        alone = self._plan.long or self._contenders[0].cell.device != "cpu"
        at_once = 1 if alone else default_threads()
        # Before the workers: they are ended first, and with them what the pool waits for.
        pool = self._stack.enter_context(ThreadPoolExecutor(at_once))
        taken = seats(self._plan.seed, self._plan.number, len(self._contenders))
        coming = deque((seat, self._contenders[number]) for seat, number in enumerate(taken))
        starting: dict[Future[Ready], Trial] = {}
        while coming or starting:
            while coming and len(starting) < at_once:
                # From this thread: a worker ends with the one that started it (PR_SET_PDEATHSIG).
                if trial := self._spawned(*coming.popleft()):
                    starting[pool.submit(self._warm, trial)] = trial
            for warm in wait(starting, return_when=FIRST_COMPLETED).done:
                self._guard(starting.pop(warm), partial(self._take_in, warm=warm))

    def _spawned(self, seat: int, contender: Contender) -> Trial | None:
        """The contender's worker is a process now, or its failure is recorded."""
        number = next(self._numbers)
        self._record(
            TrialStarted(
                at=time.time(),
                trial=number,
                block=self._plan.number,
                group=self._plan.group,
                cell=contender.cell.id,
                twin=contender.twin,
                long=self._plan.long,
                seed=self._plan.seed,
            )
        )
        try:
            log = self._logs / f"trial-{number:04d}.log"
            process = started_worker(contender, log)
        except WorkerError as error:
            self._record(self._failure(number, contender, error))
            return None
        self._stack.enter_context(process)
        trial = Trial(number, seat, contender, process)
        self._trials.append(trial)
        return trial

    def _warm(self, trial: Trial) -> Ready:
        """The worker is warm and rests. Runs beside others: nothing is recorded here."""
        trial.phases["spawn"] = trial.process.greet()
        job = msgspec.structs.replace(trial.contender.job, whole_epochs=self._plan.long)
        ready = trial.process.ask(job, Ready, "import")
        self._rest(trial)
        return ready

    def _take_in(self, trial: Trial, warm: Future[Ready]) -> None:
        """The warm worker is what was asked for, and proved where that is wanted."""
        trial.ready = warm.result()
        require_device(trial.contender.cell, trial.ready)
        trial.phases.update(trial.ready.phases)
        trial.phases.update(training=0.0, evaluation=0.0)
        if self._prove is not None:
            trial.process.resume()
            self._prove(trial.contender, trial.process, trial.number)
            self._rest(trial)

    def _train_epochs(self) -> None:
        """Every contender has trained all epochs, with an evaluation after each."""
        first_round = 0
        for epoch in range(1, self._plan.epochs + 1):
            ready = [trial.ready for trial in self._trials if trial.ready]
            if not ready:
                return
            batch_size = self._contenders[0].cell.recipe.batch_size
            windows = epoch_windows(ready[0].train_examples, batch_size)
            self._train_rounds(windows, first_round)
            first_round += len(windows)
            for trial in list(self._trials):
                self._guard(trial, partial(self._evaluate, epoch=epoch))

    def _train_rounds(self, windows: Sequence[Train], first_round: int) -> None:
        """Each contender has trained all ``windows``, one a round."""
        orders = turns(
            self._plan.seed + first_round,
            self._plan.number,
            len(self._contenders),
            len(windows),
        )
        for offset, (window, order) in enumerate(zip(windows, orders, strict=True)):
            # Contenders that have left the block fall away; the order of the others stays random.
            present = {trial.seat: trial for trial in self._trials}
            taking_part = [present[seat] for seat in order if seat in present]
            for position, trial in enumerate(taking_part):
                number = first_round + offset
                train = partial(self._train, window=window, number=number, position=position)
                self._guard(trial, train)

    def _train(self, trial: Trial, window: Train, number: int, position: int) -> None:
        control_seconds = self._control_seconds()
        waiting_seconds, waiting_cpu_seconds = self._wake(trial)
        gpu = self._gpu.start() if self._gpu else None
        before, asked_at = trial.process.cpu_seconds(), time.perf_counter()
        trained = trial.process.ask(window, Trained, "training")
        answer_seconds, after = time.perf_counter() - asked_at, trial.process.cpu_seconds()
        reading = self._gpu.since(gpu) if self._gpu and gpu else None
        self._rest(trial)
        trial.phases["training"] += (
            trained.wall_seconds + trained.lead_in_seconds + trained.partial_seconds
        )
        self._record(
            Window(
                at=time.time(),
                trial=trial.number,
                round=number,
                position=position,
                waiting_seconds=waiting_seconds,
                waiting_cpu_seconds=waiting_cpu_seconds,
                control_seconds=control_seconds,
                gpu=reading,
                answer_seconds=answer_seconds,
                answer_cpu_seconds=after.worker - before.worker,
                children_cpu_seconds=max(0.0, after.children - before.children),
                **msgspec.structs.asdict(trained),
            )
        )

    def _evaluate(self, trial: Trial, epoch: int) -> None:
        self._wake(trial)
        # Which batch is counted again can't be known beforehand.
        question = Evaluate(sample=secrets.randbelow(SAMPLES))
        evaluated = trial.process.ask(question, Evaluated, "evaluation")
        self._rest(trial)
        trial.phases["evaluation"] += evaluated.seconds
        self._record(
            Evaluation(
                at=time.time(), trial=trial.number, epoch=epoch, **msgspec.structs.asdict(evaluated)
            )
        )

    def _finish(self, trial: Trial) -> None:
        self._wake(trial)
        held_bytes = self._gpu.memory_of(trial.process.pid) if self._gpu else None
        end = str(self._ends / f"{trial.number}.npz") if self._ends else ""
        report = trial.process.finish(end)
        ready = trial.ready
        assert ready is not None
        self._record(
            TrialFinished(
                at=time.time(),
                trial=trial.number,
                phases=trial.phases,
                hashes=Hashes(
                    data=ready.data_hash, weights=ready.weights_hash, order=report.order_hash
                ),
                steps=report.steps,
                peak_memory_bytes=report.peak_memory_bytes,
                gpu=self._gpu.model() if self._gpu else None,
                peak_device_memory_bytes=report.peak_device_memory_bytes,
                held_device_memory_bytes=held_bytes,
                device=ready.device,
                result_device=ready.result_device,
                threads=ready.threads,
                effects=ready.effects,
            )
        )

    def _guard(self, trial: Trial, act: Callable[[Trial], None]) -> None:
        """``act`` is done, or the trial's failure is recorded and it has left the block."""
        try:
            act(trial)
        except WorkerError as error:
            trial.process.kill()
            self._trials.remove(trial)
            self._record(self._failure(trial.number, trial.contender, error))

    def _failure(self, number: int, contender: Contender, error: WorkerError) -> Failure:
        return Failure(
            at=time.time(),
            cell=contender.cell.id,
            trial=number,
            block=self._plan.number,
            phase=error.phase,
            reason=error.reason,
            detail=error.detail,
        )

    def _rest(self, trial: Trial) -> None:
        trial.process.stop()
        trial.waits_since = time.perf_counter()
        trial.cpu_at_wait = trial.process.cpu_seconds()

    def _wake(self, trial: Trial) -> tuple[float, float]:
        """Wall and CPU seconds that the trial has waited; it runs again."""
        waited = time.perf_counter() - trial.waits_since
        used = sum(trial.process.cpu_seconds()) - sum(trial.cpu_at_wait)
        trial.process.resume()
        return waited, max(0.0, used)

    def _control_seconds(self) -> float:
        """Seconds of a fixed matrix product on one thread: how fast the machine is just now."""
        # On one thread: a thread pool of the harness would spin into the window that follows.
        with thread_pools().limit(limits=1):
            _ = self._control @ self._control
            began = time.perf_counter()
            _ = self._control @ self._control
            return time.perf_counter() - began
