"""From a story to the run that would have been stored: every value is drawn from its seed."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
import numpy as np

from harness.spec.cells import Cell
from harness.spec.events import (
    AnyEvent,
    BlockFinished,
    Evaluation,
    Failure,
    Header,
    RunFinished,
    TrialFinished,
    TrialStarted,
    Window,
)
from harness.spec.machine import Environment, Machine
from harness.spec.manifest import DatasetUsed, Group, Manifest, Plan, Run
from harness.spec.proof_events import Deviation, Parity

from .stories import BEGAN, EXPECTED, LOADER_SECONDS, MEMORY_MIB, STARTS, Story


class Teller:
    """Turns a story into the run that would have been stored."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.random = np.random.RandomState(story.seed)
        self.events: list[AnyEvent] = []
        self.trials = 0
        self.clock = BEGAN

    def run(self) -> Run:
        self.add(Header(at=self.now()))
        for cell in self.cells():
            if self.story.parity:
                self.add(self.parity(cell))
        for recipe in self.story.recipes:
            for source in self.story.sources:
                cells = [
                    cell for cell in self.cells() if cell.recipe == recipe and cell.input == source
                ]
                if self.story.long_trials and source == "resident":
                    for number, seed in enumerate(self.story.seeds):
                        self.block(cells, long=True, number=number, seed=seed)
                if self.story.short_trials:
                    for number in range(1, self.story.blocks + 1):
                        self.block(cells, long=False, number=number, seed=self.story.seed)
        for event in self.story.extra:
            self.add(event)
        if self.story.finished:
            failed = any(isinstance(event, Failure) for event in self.story.extra)
            self.add(RunFinished(at=self.now(), exit_code=2 if failed else 0))
        return Run(manifest=self.manifest(), events=tuple(self.events))

    def now(self, seconds: float = 0.5) -> float:
        self.clock += seconds
        return self.clock

    def add(self, *events: AnyEvent) -> None:
        self.events.extend(events)

    def cells(self) -> list[Cell]:
        return [
            Cell(
                recipe=recipe,
                framework=framework,
                version=self.story.versions[framework],
                mode="compiled",
                input=source,
                loader_workers=2 if source == "loader" else 0,
                device="gpu" if self.story.gpu else "cpu",
                threads=2,
            )
            for recipe in self.story.recipes
            for source in self.story.sources
            for framework in self.story.frameworks
        ]

    def parity(self, cell: Cell) -> Parity:
        wrong = cell.framework == self.story.wrong_epsilon
        oracle = [2.3026 - 0.01 * step for step in range(10)]
        error = [4e-4 * step if wrong else 2e-7 * step for step in range(1, 11)]
        names = ("conv1.weight", "conv1.bias", "dense3.weight")
        first, later = (2e-6, 1e-5) if cell.recipe.name != "lenet-adam-b64" else (3e-6, 4e-5)
        if self.story.blunt:
            first, later = 0.3, 1.0
        deviations = [
            Deviation(check="logits", step=0, value=3.1e-7, tolerance=first),
            *(
                Deviation(check="weights", step=1, tensor=name, value=4.2e-7, tolerance=first)
                for name in names
            ),
            Deviation(check="logits", step=2, value=3.4e-7, tolerance=later),
            *(
                Deviation(
                    check="loss",
                    step=step,
                    value=error[step - 1],
                    tolerance=first if step == 1 else later,
                )
                for step in range(1, 11)
            ),
        ]
        return Parity(
            at=self.now(),
            cell=cell.id,
            adam_formula="epsilon" if cell.framework == "pytorch" else "epsilon-hat",
            momentum_formula="rate-outside" if cell.framework == "pytorch" else "rate-inside",
            batch_size=32,
            deviations=tuple(deviations),
            losses=tuple(a * (1 + e) for a, e in zip(oracle, error, strict=True)),
            oracle_losses=tuple(oracle),
            hashes=EXPECTED,
            expected_hashes=EXPECTED,
        )

    def block(self, cells: Iterable[Cell], *, long: bool, number: int, seed: int) -> None:
        cells = list(cells)
        twins = [False] * len(cells)
        if self.story.aa and not long:
            cells, twins = [*cells, cells[0]], [*twins, True]
        trials = list(range(self.trials, self.trials + len(cells)))
        self.trials += len(cells)
        for trial, cell, twin in zip(trials, cells, twins, strict=True):
            self.add(
                TrialStarted(
                    at=self.now(0.05),
                    trial=trial,
                    block=number,
                    group=cell.group,
                    cell=cell.id,
                    twin=twin,
                    long=long,
                    seed=seed,
                )
            )
        if long:
            for trial, cell in zip(trials, cells, strict=True):
                self.long_trial(trial, cell, seed)
        else:
            self.short_trials(trials, cells, twins)
        self.add(
            BlockFinished(
                at=self.now(), block=number, group=cells[0].group, long=long, trials=tuple(trials)
            )
        )

    def short_trials(self, trials: list[int], cells: list[Cell], twins: list[bool]) -> None:
        slowness = np.exp(self.random.normal(0, self.story.spread, len(trials)))
        for round_ in range(self.story.rounds):
            drift = math.exp(0.01 * self.random.normal())
            for position, index in enumerate(self.random.permutation(len(trials))):
                cell = cells[index]
                step_seconds = self.story.step_seconds[cell.framework] * slowness[index] * drift
                if cell.input == "loader":
                    step_seconds += LOADER_SECONDS
                step_seconds *= math.exp(0.01 * self.random.normal())
                if twins[index]:
                    step_seconds *= self.story.twin_slowdown
                self.window(trials[index], round_, position, round_ * 22, 20, step_seconds)
        for trial, cell in zip(trials, cells, strict=True):
            self.finish(trial, cell, steps=self.story.rounds * 22)

    def plateau(self, seed: int) -> float:
        """Epochs until a seed takes off; nothing is on a plateau in the usual story."""
        if len(self.story.seeds) < 2:
            return 0.0
        return math.inf if seed in self.story.stuck else 0.7 + np.random.RandomState(seed).rand()

    def long_trial(self, trial: int, cell: Cell, seed: int) -> None:
        steps_an_epoch, step, round_ = 235, 0, 0
        plateau = self.plateau(seed)
        spread = 0.002 * self.random.normal(size=cell.recipe.epochs)

        def learned(epochs: float) -> float:
            late = epochs - plateau
            return 0.8 - 0.55 * math.exp(-0.7 * late) if late > 0 else 0.1

        for epoch in range(cell.recipe.epochs):
            accuracy = learned(epoch + 1) + float(spread[epoch]) * (learned(epoch + 1) > 0.1)
            for window in range(10):
                loss = 2.3 * math.exp(-0.35 * max(0.0, epoch + window / 10 - plateau))
                steps = 25 if window == 9 else 23
                self.window(
                    trial,
                    round_,
                    0,
                    step,
                    steps - 2 - (window == 9),
                    self.story.step_seconds[cell.framework],
                    partial=window == 9,
                    loss=loss,
                    accuracy=(accuracy if not plateau else learned(epoch + window / 10)) - 0.03,
                )
                step += steps
                round_ += 1
            step = (epoch + 1) * steps_an_epoch
            self.add(
                Evaluation(
                    at=self.now(),
                    trial=trial,
                    epoch=epoch + 1,
                    step=step,
                    loss_sum=10_000 * 2.2 * math.exp(-0.35 * max(0.0, epoch + 1 - plateau)),
                    correct=round(10_000 * accuracy),
                    examples=10_000,
                    seconds=0.6,
                    stage_seconds=0.05,
                )
            )
        self.finish(trial, cell, steps=step)

    def window(
        self,
        trial: int,
        round_: int,
        position: int,
        first_step: int,
        steps: int,
        step_seconds: float,
        *,
        partial: bool = False,
        loss: float = 2.2,
        accuracy: float = 0.2,
    ) -> None:
        trained = (steps + 2) * 256 + (96 if partial else 0)
        wall_seconds = steps * step_seconds
        self.add(
            Window(
                at=self.now(wall_seconds + 0.1),
                trial=trial,
                round=round_,
                position=position,
                first_step=first_step,
                steps=steps,
                examples=steps * 256,
                wall_seconds=wall_seconds,
                cpu_seconds=wall_seconds * 1.86,
                lead_in_steps=2,
                lead_in_seconds=2 * step_seconds,
                partial_steps=int(partial),
                partial_seconds=0.5 * step_seconds if partial else 0.0,
                stage_seconds=0.03,
                loss_sum=loss * trained,
                correct=round(max(accuracy, 0.05) * trained),
                trained_examples=trained,
                minor_faults=3,
                major_faults=0,
                involuntary_switches=4,
                steal_seconds=0.0,
                load=1.9,
                frequency_mhz=None,
                waiting_seconds=1.2,
                waiting_cpu_seconds=0.0001,
                control_seconds=0.0100 * math.exp(0.01 * self.random.normal()),
                gpu=self.story.gpu,
            )
        )

    def finish(self, trial: int, cell: Cell, *, steps: int) -> None:
        names = ("spawn", "import", "build", "stage", "first_step", "warm_up")
        phases = dict(zip(names, STARTS[cell.framework], strict=True))
        phases["training"] = steps * self.story.step_seconds[cell.framework]
        phases["evaluation"] = 3.2 if steps > 500 else 0.0
        self.add(
            TrialFinished(
                at=self.now(),
                trial=trial,
                phases=phases,
                hashes=(
                    EXPECTED
                    if cell.input != "loader"
                    else msgspec.structs.replace(EXPECTED, order="")
                ),
                steps=steps,
                peak_memory_bytes=MEMORY_MIB[cell.framework] * 2**20 + 4096 * trial,
                device="gpu:0" if self.story.gpu else "cpu",
                result_device="gpu:0" if self.story.gpu else "cpu",
                threads={"omp": 2, "openblas": 2},
            )
        )

    def manifest(self) -> Manifest:
        cells = self.cells()
        groups = []
        for name in dict.fromkeys(cell.group for cell in cells):
            own = [cell for cell in cells if cell.group == name]
            loader = own[0].input == "loader"
            groups.append(
                Group(
                    name=name,
                    cells=tuple(cell.id for cell in own),
                    title=f"{own[0].recipe.label} on the CPU" + " with loaders" * loader,
                    rounds=2 if loader else None,
                    window_steps=115 if loader else None,
                )
            )
        environments = [
            Environment(
                framework=framework,
                key=f"{index:012x}",
                python="3.11.7",
                version=self.story.versions[framework],
                packages={
                    framework: self.story.versions[framework],
                    "numpy": "1.23.5" if framework == "gluon" else "2.4.6",
                    "msgspec": "0.19.0",
                },
            )
            for index, framework in enumerate(self.story.frameworks)
        ]
        return Manifest(
            run="2025-10-09T09-33-20-cpu",
            created="2025-10-09T09:33:20Z",
            levelfield="0.1.0",
            command=("levelfield", "run", "cpu", "-r", "lenet-sgd", "--seed", "7"),
            git_commit="1f3c5a7e9b",
            machine=Machine(
                cpu="Example CPU @ 2.50GHz",
                cores=2,
                memory_bytes=8 * 2**30,
                kernel="6.1.0",
                system="Debian GNU/Linux 12",
            ),
            environments=tuple(environments),
            cells=tuple(cells),
            titles=self.story.titles,
            plan=Plan(
                suite="cpu",
                groups=tuple(groups),
                looks=self.story.looks if self.story.short_trials else (0,),
                rounds=self.story.rounds,
                window_steps=20,
                lead_in_steps=2,
                long_trials=self.story.long_trials,
                aa=self.story.aa,
                seed=self.story.seed,
                seeds=self.story.seeds,
            ),
            datasets=(
                DatasetUsed(
                    name="fashion-mnist-20k" if self.story.fallback_for else "fashion-mnist",
                    source="embedded" if self.story.fallback_for else "system",
                    place="/data/fashion-mnist",
                    sha256=EXPECTED.data,
                    train_examples=20_000 if self.story.fallback_for else 60_000,
                    test_examples=4_000 if self.story.fallback_for else 10_000,
                    fallback_for=self.story.fallback_for,
                ),
            ),
            worker_environment={
                cell.id: {"OMP_NUM_THREADS": "2", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
                for cell in cells
            },
        )
