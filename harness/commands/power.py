"""``levelfield power``: what the gate's promises are worth, with the noise of real runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from harness import paths
from harness.analysis.observations import Observations
from harness.analysis.power import Noise, coverage, recorded_noise, simulated
from harness.analysis.slowdown import planned_looks
from harness.console import Console
from harness.errors import RecordError, UsageError
from harness.files import UnreadableFile, content_of, decoded, write_whole
from harness.store.runs import read_run

NOISE = paths.ROOT / "results" / "baselines" / "noise.json"
"""A/A blocks that were recorded for this purpose."""
BLOCK_SDS = (0.02, 0.05, 0.10, 0.15)
"""To which the recorded noise is scaled, besides its own."""
SLOWDOWNS = (0.0, 0.02, 0.05, 0.10, 0.20)
BLOCKS = (5, 10, 20)
"""Over which intervals are taken."""
CELLS = (1, 3, 6)
GATES = 10_000
AA_GATES = 100_000
"""Of one cell, where alarms are rare."""


class PowerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table."""

    block_sd: float
    cells: int
    looks: tuple[int, ...]
    """Numbers of blocks after which undecided cells are looked at."""
    slowdown: float
    gates: int
    flagged: float
    flagged_elsewhere: float
    too_noisy: float
    blocks: float
    """Mean number until a cell was decided."""


class CoverageRow(msgspec.Struct, frozen=True, kw_only=True):
    """How often 95 % intervals hold the truth."""

    blocks: int
    intervals: int
    coverage: float


class PowerAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``power --json`` says."""

    cpu: str
    noise_runs: int
    noise_blocks: int
    block_sd: float
    """Of the recorded blocks."""
    rows: tuple[PowerRow, ...]
    coverage: tuple[CoverageRow, ...]


def show_power(
    console: Console, folders: Sequence[Path], save: Path | None, *, gates: int = GATES
) -> None:
    """The table of false alarms, power and coverage stands on standard output, as Markdown.

    ``folders``: runs whose A/A blocks are the noise; without any, the recorded one.

    Raises:
        LevelfieldError: there is no noise.
    """
    noise = noise_of(folders)
    if save is not None:
        save.parent.mkdir(parents=True, exist_ok=True)
        write_whole(save, msgspec.json.encode(noise) + b"\n")
        console.say(f"{len(noise.blocks)} A/A blocks of {noise.runs} runs are in {save}")
    rows = [row for sd in (noise.sd, *BLOCK_SDS) for row in power_rows(noise, sd, gates)]
    covered = tuple(
        CoverageRow(
            blocks=blocks,
            intervals=gates,
            coverage=coverage(noise, blocks=blocks, intervals=gates, seed=blocks),
        )
        for blocks in BLOCKS
    )
    for line in markdown(noise, rows, covered):
        console.result(line)
    console.answer(
        PowerAnswer(
            cpu=noise.cpu,
            noise_runs=noise.runs,
            noise_blocks=len(noise.blocks),
            block_sd=noise.sd,
            rows=tuple(rows),
            coverage=covered,
        )
    )


def noise_of(folders: Sequence[Path]) -> Noise:
    """The A/A blocks of the runs in ``folders``, or those that were recorded for this purpose.

    Raises:
        LevelfieldError: there are none.
    """
    if folders:
        try:
            return recorded_noise(Observations(read_run(folder)) for folder in folders)
        except ValueError as error:
            raise UsageError(
                f"No noise in these runs: {error}; expected A/A blocks of one machine: name runs "
                "that were made without --no-aa"
            ) from None
    try:
        return decoded(content_of(NOISE), Noise)
    except (FileNotFoundError, UnreadableFile) as error:
        raise RecordError(
            f"{NOISE} can't be read ({error}), expected recorded A/A blocks: name runs instead"
        ) from None


def power_rows(noise: Noise, sd: float, gates: int) -> Iterator[PowerRow]:
    """Every number of cells, every slowdown, at a block SD of ``sd``."""
    for cells in CELLS:
        for slowdown in SLOWDOWNS:
            rare = slowdown == 0 and cells == 1
            found = simulated(
                noise,
                sd,
                slowdown=slowdown,
                cells=cells,
                gates=AA_GATES * gates // GATES if rare else gates,
                seed=cells,
            )
            yield PowerRow(
                block_sd=sd,
                cells=cells,
                looks=planned_looks(cells),
                slowdown=slowdown,
                gates=found.gates,
                flagged=found.flagged,
                flagged_elsewhere=found.flagged_elsewhere,
                too_noisy=found.blind,
                blocks=found.blocks,
            )


def markdown(
    noise: Noise, rows: Sequence[PowerRow], covered: Sequence[CoverageRow]
) -> Iterator[str]:
    """One table a block SD: a line for each number of cells, a column for each slowdown."""
    yield (
        f"Noise: {len(noise.blocks)} A/A blocks of {noise.runs} runs on {noise.cpu}, "
        f"{noise.cores} cores; block SD {noise.sd:.1%}."
    )
    names = [f"+{slowdown:.0%}" if slowdown else "no change" for slowdown in SLOWDOWNS]
    for sd in dict.fromkeys(row.block_sd for row in rows):
        own = [row for row in rows if row.block_sd == sd]
        yield ""
        yield (
            f"Share of gates that call the cell slower, and blocks until it is decided, at a block "
            f"SD of {sd:.1%}:"
        )
        yield ""
        yield f"| cells | looks | {' | '.join(names)} | too noisy, no change |"
        yield "| --- " * (len(SLOWDOWNS) + 3) + "|"
        for cells in CELLS:
            line = [row for row in own if row.cells == cells]
            shown = " | ".join(f"{row.flagged:.2%} in {row.blocks:.1f}" for row in line)
            looks = ", ".join(map(str, line[0].looks))
            yield f"| {cells} | {looks} | {shown} | {line[0].too_noisy:.2%} |"
    yield ""
    shares = [f"{row.coverage:.1%} with {row.blocks} blocks" for row in covered]
    yield f"Coverage of 95 % intervals: {', '.join(shares)}."
