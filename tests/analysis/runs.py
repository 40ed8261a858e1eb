"""Runs made up for tests: the events that a run would have left, with speeds that we choose."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.spec.cells import Cell, Input
from harness.spec.events import (
    AnyEvent,
    BlockFinished,
    Evaluation,
    Failure,
    GpuReading,
    Header,
    RunFinished,
    TrialFinished,
    TrialStarted,
    Window,
)
from harness.spec.machine import Machine
from harness.spec.manifest import DatasetUsed, Group, Manifest, Plan, Run
from harness.spec.proof_events import Deviation, Hashes, Parity
from harness.spec.recipes import Published, Recipe
from impls.adapter import Sgd

Logs = NDArray[np.float64]
"""(blocks, rounds): log of a contender's rate ÷ ``USUAL_RATE`` in each window; NaN: it failed."""

USUAL_RATE = 10_000.0
STEPS = 20
BATCH = 256
CORES = 2
HASHES = Hashes(data="d" * 64, weights="e" * 64, order="f" * 64)
PUBLISHED = Published(
    source="A book", hardware="A computer", test_accuracy=(0.1, 0.6), train_accuracy=(0.1, 0.5)
)


class Contender(NamedTuple):
    """A framework's cell, or the second copy of the reference's."""

    framework: str
    twin: bool = False


def cell(
    framework: str,
    recipe: str = "lenet-sgd",
    device: str = "cpu",
    *,
    source: Input = "resident",
    published: Published = PUBLISHED,
    batch_size: int = BATCH,
    threads: int = 2,
) -> Cell:
    return Cell(
        recipe=Recipe(
            name=recipe,
            model="lenet",
            dataset="fashion-mnist",
            batch_size=BATCH,
            epochs=2,
            init="xavier",
            optimizer=Sgd(learning_rate=0.9),
            published=published,
            target_accuracy=0.5,
        ).overridden(batch_size=batch_size),
        framework=framework,
        version="1.0",
        mode="eager",
        input=source,
        loader_workers=0 if source == "resident" else 2,
        device=device,
        threads=threads,
    )


def noise(seed: int, blocks: int, rounds: int, sd: float, *, shift: float = 0.0) -> Logs:
    """Log rates around ``shift``: a block's luck of SD ``sd``, and a fifth of that in a round."""
    random = np.random.RandomState(seed)
    luck = random.normal(0, sd, size=(blocks, 1))
    return np.round(shift + luck + random.normal(0, sd / 5, size=(blocks, rounds)), 6)


def parity(of: Cell, worst: float = 1e-7) -> Parity:
    """A full verification; ``worst`` is the deviation of the loss at step 5."""
    deviations = [
        Deviation(check="logits", step=0, value=2e-7, tolerance=2e-6),
        Deviation(check="weights", step=1, tensor="conv1.weight", value=3e-7, tolerance=2e-6),
        Deviation(check="logits", step=2, value=5e-8, tolerance=1e-5),
    ]
    deviations += [
        Deviation(
            check="loss",
            step=step,
            value=worst if step == 5 else 1e-7,
            tolerance=2e-6 if step == 1 else 1e-5,
        )
        for step in range(1, 11)
    ]
    losses = tuple(round(2.4 - step / 100, 6) for step in range(1, 11))
    return Parity(
        at=0.0,
        cell=of.id,
        adam_formula="epsilon",
        momentum_formula="rate-outside",
        batch_size=16,
        deviations=tuple(deviations),
        losses=losses,
        oracle_losses=losses,
        hashes=HASHES,
        expected_hashes=HASHES,
    )


def window(
    trial: int,
    round_: int,
    position: int,
    log_rate: float,
    *,
    steal_share: float = 0.0,
    control_seconds: float = 0.02,
    accuracy: float | None = None,
) -> Window:
    """``accuracy``: of all trained examples; usually half of the timed ones are correct."""
    examples = STEPS * BATCH
    trained = examples + 2 * BATCH
    wall = round(float(examples / (USUAL_RATE * np.exp(log_rate))), 9)
    return Window(
        at=0.0,
        trial=trial,
        round=round_,
        position=position,
        first_step=round_ * (STEPS + 2),
        steps=STEPS,
        examples=examples,
        wall_seconds=wall,
        cpu_seconds=round(1.9 * wall, 9),
        lead_in_steps=2,
        lead_in_seconds=round(wall / 10, 9),
        stage_seconds=0.05,
        loss_sum=1.5 * examples,
        correct=examples // 2 if accuracy is None else round(accuracy * trained),
        trained_examples=trained,
        minor_faults=0,
        major_faults=0,
        involuntary_switches=3,
        steal_seconds=round(steal_share * wall * CORES, 9),
        load=1.0,
        waiting_seconds=1.0,
        waiting_cpu_seconds=0.001,
        control_seconds=control_seconds,
    )


def trial_finished(trial: int, *, hashes: Hashes, steps: int, device: str = "cpu") -> TrialFinished:
    return TrialFinished(
        at=0.0,
        trial=trial,
        phases={"spawn": 0.1, "import": 2.0, "training": 6.0},
        hashes=hashes,
        steps=steps,
        peak_memory_bytes=400_000_000,
        device=device,
        threads={"openmp": 2},
    )


def short_events(
    logs: Mapping[Contender, Logs],
    *,
    hashes: Mapping[str, Hashes] = {},
    restless: Collection[int] = (),
    recipe: str = "lenet-sgd",
    first_trial: int = 0,
    devices: Mapping[str, str] = {},
    source: Input = "resident",
    batch_size: int = BATCH,
    threads: int = 2,
) -> list[AnyEvent]:
    """The events of all short blocks. Blocks in ``restless`` have steal and a slow control."""

    def contender_cell(contender: Contender) -> Cell:
        return cell(
            contender.framework, recipe, source=source, batch_size=batch_size, threads=threads
        )

    events: list[AnyEvent] = []
    trial = first_trial
    for block in range(max(map(len, logs.values()))):
        trials = []
        for position, (contender, rows) in enumerate(logs.items()):
            of = contender_cell(contender)
            events.append(
                TrialStarted(
                    at=0.0,
                    trial=trial,
                    block=block,
                    group=of.group,
                    cell=of.id,
                    twin=contender.twin,
                    seed=block,
                )
            )
            trials.append(trial)
            if block >= len(rows) or np.isnan(rows[block]).any():
                events.append(
                    Failure(
                        at=0.0,
                        cell=of.id,
                        trial=trial,
                        block=block,
                        phase="import",
                        reason="ImportError: no such library",
                    )
                )
            else:
                unrest = {"steal_share": 0.05, "control_seconds": 0.03} if block in restless else {}
                events += [
                    window(trial, round_, position, log_rate, **unrest)
                    for round_, log_rate in enumerate(rows[block])
                ]
                events.append(
                    trial_finished(
                        trial,
                        hashes=hashes.get(contender.framework, HASHES),
                        steps=rows.shape[1] * (STEPS + 2),
                        device=devices.get(contender.framework, "cpu"),
                    )
                )
            trial += 1
        group = contender_cell(next(iter(logs))).group
        events.append(
            BlockFinished(at=0.0, block=block, group=group, long=False, trials=tuple(trials))
        )
    return events


def long_events(
    accuracies: Mapping[str, Sequence[float]],
    *,
    block: int = 100,
    first_trial: int = 1000,
    seed: int = 1,
    plateau: int = 0,
) -> list[AnyEvent]:
    """One long block: framework → test accuracy after each epoch of 5 windows.

    ``plateau``: so many windows have a training accuracy of 10 %.
    """
    events: list[AnyEvent] = []
    trials = range(first_trial, first_trial + len(accuracies))
    of = cell("alpha")
    for trial, (framework, accuracy) in zip(trials, accuracies.items(), strict=True):
        of = cell(framework)
        events.append(
            TrialStarted(
                at=0.0, trial=trial, block=block, group=of.group, cell=of.id, long=True, seed=seed
            )
        )
        for epoch, value in enumerate(accuracy, start=1):
            numbers = range(5 * (epoch - 1), 5 * epoch)
            events += [
                window(trial, each, 0, float(np.log(2.0)), accuracy=0.1 if each < plateau else None)
                for each in numbers
            ]
            events.append(
                Evaluation(
                    at=0.0,
                    trial=trial,
                    epoch=epoch,
                    step=5 * epoch * (STEPS + 2),
                    loss_sum=9_000.0,
                    correct=round(value * 10_000),
                    examples=10_000,
                    seconds=0.5,
                    stage_seconds=0.1,
                )
            )
        events.append(trial_finished(trial, hashes=HASHES, steps=5 * len(accuracy) * (STEPS + 2)))
    events.append(
        BlockFinished(at=0.0, block=block, group=of.group, long=True, trials=tuple(trials))
    )
    return events


def seeds_events(
    accuracies: Mapping[str, Sequence[Sequence[float]]], *, plateaus: Sequence[int] = ()
) -> list[AnyEvent]:
    """One long block a seed: framework → for each seed its test accuracy after each epoch.

    Block n has seed 40 + n; ``plateaus``: as in ``long_events``, by block.
    """
    seeds = max(map(len, accuracies.values()))
    events: list[AnyEvent] = []
    for block in range(seeds):
        events += long_events(
            {name: rows[block] for name, rows in accuracies.items() if block < len(rows)},
            block=block,
            first_trial=1000 + 100 * block,
            seed=40 + block,
            plateau=plateaus[block] if plateaus else 0,
        )
    return events


def run_of(
    events: Sequence[AnyEvent],
    frameworks: Sequence[str],
    *,
    looks: tuple[int, ...] = (5,),
    aa: bool = True,
    worst: Mapping[str, float] = {},
    unverified: Collection[str] = (),
    recipes: Sequence[str] = ("lenet-sgd",),
    sources: Sequence[Input] = ("resident",),
    published: Published = PUBLISHED,
    batch_sizes: Sequence[int] = (BATCH,),
    threads: Sequence[int] = (2,),
) -> Run:
    """A run of ``frameworks`` (the first is the reference) with ``events`` after verification.

    ``worst``: framework → deviation of its loss at step 5.
    """
    cells = [
        cell(
            framework,
            recipe,
            source=source,
            published=published,
            batch_size=batch_size,
            threads=number,
        )
        for recipe in recipes
        for batch_size in batch_sizes
        for number in threads
        for source in sources
        for framework in frameworks
    ]
    verified = [
        parity(each, worst.get(each.framework, 1e-7))
        for each in cells
        if each.framework not in unverified
    ]
    return Run(
        manifest=_manifest(cells, frameworks, looks, aa),
        events=[Header(at=0.0), *verified, *events, RunFinished(at=0.0, exit_code=0)],
    )


def speed_run(
    logs: Mapping[Contender, Logs],
    *,
    looks: tuple[int, ...] = (5,),
    worst: Mapping[str, float] = {},
    unverified: Collection[str] = (),
    hashes: Mapping[str, Hashes] = {},
    restless: Collection[int] = (),
    devices: Mapping[str, str] = {},
) -> Run:
    """A run of short blocks alone; A/A is on where a second copy is among ``logs``."""
    return run_of(
        short_events(logs, hashes=hashes, restless=restless, devices=devices),
        [contender.framework for contender in logs if not contender.twin],
        looks=looks,
        aa=any(contender.twin for contender in logs),
        worst=worst,
        unverified=unverified,
    )


def on_gpu(run: Run, reading: GpuReading) -> Run:
    """``run`` as if it had been made on a GPU, with ``reading`` in every window."""
    text = msgspec.json.encode(run).replace(b"cpu-2t", b"gpu-2t")
    stored = msgspec.json.decode(text, type=Run)
    manifest = msgspec.structs.replace(
        stored.manifest,
        cells=tuple(msgspec.structs.replace(c, device="gpu") for c in stored.manifest.cells),
    )
    events: list[AnyEvent] = []
    for event in stored.events:
        if isinstance(event, Window):
            event = msgspec.structs.replace(event, gpu=reading)
        elif isinstance(event, TrialFinished):
            event = msgspec.structs.replace(event, device="gpu:0", result_device="gpu:0")
        events.append(event)
    return Run(manifest=manifest, events=events)


def _manifest(
    cells: Sequence[Cell],
    frameworks: Sequence[str],
    looks: tuple[int, ...],
    aa: bool,
) -> Manifest:
    groups = [
        Group(name=name, cells=tuple(each.id for each in cells if each.group == name))
        for name in dict.fromkeys(each.group for each in cells)
    ]
    return Manifest(
        run="made-up",
        created="2026-01-01T00:00:00Z",
        levelfield="0.1.0",
        command=("levelfield", "run"),
        git_commit=None,
        machine=Machine(cpu="A processor", cores=CORES, memory_bytes=2**33, kernel="6.1"),
        environments=(),
        cells=tuple(cells),
        titles={framework: framework.title() for framework in frameworks},
        plan=Plan(
            suite="cpu",
            groups=tuple(groups),
            looks=looks,
            rounds=3,
            window_steps=STEPS,
            lead_in_steps=2,
            long_trials=False,
            aa=aa,
            seed=1,
        ),
        datasets=(
            DatasetUsed(
                name="fashion-mnist",
                source="system",
                place="/data",
                sha256=HASHES.data,
                train_examples=60_000,
                test_examples=10_000,
            ),
        ),
        worker_environment={},
    )


def both_kinds() -> Run:
    """Short and long blocks of two contenders, and the reference's second copy."""
    contenders = (Contender("alpha"), Contender("alpha", True), Contender("beta"))
    logs = {each: noise(seed, 5, 3, 0.01) for seed, each in enumerate(contenders)}
    events = [
        *short_events(logs),
        *seeds_events({"alpha": [(0.3, 0.7), (0.3, 0.6)], "beta": [(0.3, 0.8), (0.3, 0.9)]}),
    ]
    return run_of(events, ["alpha", "beta"])
