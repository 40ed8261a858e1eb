"""``levelfield history``: one cell over all runs in a folder."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from harness.analysis.controlled import controlled_rates
from harness.analysis.held import held_result
from harness.analysis.history import LEAST_RUNS, HistoryPoint, Level, RunRate, levels_of, neighbours
from harness.analysis.protocol import plans_short_blocks
from harness.console import Console
from harness.errors import RecordError, UsageError
from harness.files import write_whole
from harness.report.formats import count
from harness.report.history import (
    ChangePoint,
    Side,
    change_sentence,
    described_changes,
    history_header,
    history_rows,
    version_of,
)
from harness.report.history_chart import FORMATS, history_picture, picture_name
from harness.spec.cells import Cell
from harness.store.runs import read_manifest, run_folders
from harness.store.speeds import read_speed_events

SHOWN_CELLS = 4
"""In a line that says which there are."""


class HistoryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``history --json`` says."""

    series: str
    """The cell without version and variant."""
    machine: str
    """The fingerprint of the machine that all these runs were made on."""
    label: Literal["not interleaved"] = "not interleaved"
    points: tuple[HistoryPoint, ...]
    """Oldest first."""
    levels: tuple[Level, ...]
    noise: float | None
    """SD of one run around its level, as a share of the rate."""
    changes: tuple[ChangePoint, ...]
    plot: str
    """Path of the picture."""
    runs_on_other_machines: int
    runs_without_rate: int
    """Of this machine, where the cell was planned and not timed."""
    problems: tuple[str, ...]
    """Runs that can't be read, and why."""


class _Found(NamedTuple):
    """A run that planned the cell."""

    folder: Path
    created: str
    git_commit: str | None
    machine: str
    cells: tuple[Cell, ...]
    """Those that fit."""
    known: tuple[str, ...]
    """Ids of all that the run has."""


class RecordedRates(NamedTuple):
    """A cell's rates in all runs of one machine, and what was found on the way."""

    problems: tuple[str, ...]
    """Runs that can't be read, and why."""
    planned: tuple[_Found, ...]
    """All runs that planned the cell, oldest first."""
    own: tuple[_Found, ...]
    """Those of the machine."""
    rates: tuple[RunRate, ...]


def show_history(
    console: Console,
    cell: str,
    runs: Path,
    pictures: Path,
    *,
    machine: str | None = None,
    plot: Path | None = None,
    last: int,
) -> None:
    """The cell's runs stand in the terminal, and their picture in a file.

    Raises:
        UsageError: there is no such cell, or more than one.
    """
    if plot is not None and plot.suffix not in FORMATS:
        raise UsageError(
            f"--plot is {plot}, expected a name that ends with {' or '.join(FORMATS)}: choose one"
        )
    problems, planned, own, rates = recorded_rates(
        runs, cell, machine, lambda problem: console.warn(f"Left out: {problem}"), console.status
    )
    found = levels_of(rates)
    folders = {each.folder.name: each for each in own}
    sides = [(_side(folders, before), _side(folders, after)) for before, after in neighbours(found)]
    series = own[0].cells[0].series
    path = plot or pictures / f"{picture_name(series)}.svg"
    answer = HistoryAnswer(
        series=series,
        machine=own[-1].machine,
        points=found.points,
        levels=found.levels,
        noise=found.noise,
        changes=described_changes(found, sides),
        plot=str(path),
        runs_on_other_machines=len(planned) - len(own),
        runs_without_rate=sum(len(each.cells) for each in own) - len(rates),
        problems=problems,
    )
    title = f"{series} on {own[-1].machine}, not interleaved"
    if plot is not None:
        _write(path, history_picture(found, title, path.suffix))
    _show(console, answer, last)
    console.answer(answer)
    if plot is None:
        # Nobody asked for it: it comes on top of the answer.
        with console.extra("The picture"):
            _write(path, history_picture(found, title, path.suffix))


def recorded_rates(
    runs: Path,
    cell: str,
    machine: str | None,
    warn: Callable[[str], None],
    status: Callable[[str], None],
) -> RecordedRates:
    """What the runs in ``runs`` say of ``cell`` on ``machine``; none: on the newest run's.

    ``warn`` is told of each run that can't be read, ``status`` which is being read.

    Raises:
        UsageError: there is no such cell, or more than one, or nothing has timed it.
    """
    problems: list[str] = []

    def note(problem: str) -> None:
        problems.append(problem)
        warn(problem)

    planned = _planned(runs, cell, note)
    here = machine or planned[-1].machine
    own = [each for each in planned if each.machine == here]
    if not own:
        known = ", ".join(dict.fromkeys(each.machine for each in planned))
        raise UsageError(f"--machine is {here}, expected one of {known}: name one of these")
    rates = tuple(_rates(own, note, status))
    if not rates:
        raise UsageError(
            f"No run in {runs} has timed {cell}, expected at least one finished short block: "
            "measure it with 'levelfield run'"
        )
    return RecordedRates(tuple(problems), tuple(planned), tuple(own), rates)


def _show(console: Console, answer: HistoryAnswer, last: int) -> None:
    hidden = max(0, len(answer.points) - last)
    console.table(
        f"{answer.series} on {answer.machine} (runs are not interleaved)",
        history_header(),
        history_rows(answer.points[hidden:]),
    )
    if hidden:
        console.result(f"{count(hidden, 'older run')} not shown: --last {len(answer.points)} does")
    if answer.runs_on_other_machines:
        console.result(
            f"Left out: {count(answer.runs_on_other_machines, 'run')} of other machines, which "
            "--machine FINGERPRINT takes"
        )
    if answer.runs_without_rate:
        console.result(f"Left out: {count(answer.runs_without_rate, 'run')} that did not time it")
    if answer.noise is not None:
        console.result(f"Noise from run to run: {answer.noise:.1%} (SD, normalised)")
    if len(answer.points) < LEAST_RUNS:
        console.result(f"Change points are looked for in {LEAST_RUNS} runs or more")
    elif not answer.changes:
        console.result("No change point")
    for change in answer.changes:
        console.result(change_sentence(change))
    console.result(f"Plot: {answer.plot}")


def _planned(runs: Path, pattern: str, note: Callable[[str], None]) -> list[_Found]:
    """The runs that set out to time the one cell that ``pattern`` fits, in whatever versions.

    Oldest first.

    Raises:
        UsageError: it fits no cell, or several.
    """
    known: dict[str, bool] = {}
    planned = []
    for folder in run_folders(runs):
        try:
            manifest = read_manifest(folder)
        except RecordError as error:
            note(str(error))
            continue
        if not plans_short_blocks(manifest.plan):
            continue  # a verification alone, or trainings: nothing to be timed
        # A gate's base is another commit than the run's, a script another program.
        cells = [cell for cell in manifest.cells if cell.of_work_tree]
        fitting = tuple(cell for cell in cells if _fits(cell, pattern))
        known |= {cell.series: cell in fitting or known.get(cell.series, False) for cell in cells}
        if fitting:
            machine = manifest.machine.fingerprint
            ids = tuple(cell.id for cell in manifest.cells)
            planned.append(
                _Found(folder, manifest.created, manifest.git_commit, machine, fitting, ids)
            )
    chosen = [series for series, fits in known.items() if fits]
    if not known:
        raise UsageError(
            f"No run in {runs} times anything, expected some: make them with 'levelfield run'"
        )
    if not chosen:
        near = difflib.get_close_matches(pattern, known, SHOWN_CELLS, 0) or list(known)
        raise UsageError(
            f"No run in {runs} has a cell {pattern}, expected one of {_some(near, len(known))}: "
            "name one, with or without a version"
        )
    if len(chosen) > 1:
        raise UsageError(
            f"{pattern} fits {len(chosen)} cells, expected one: name one of "
            f"{_some(chosen, len(chosen))}"
        )
    return planned


def _some(names: Sequence[str], total: int) -> str:
    shown = list(names)[:SHOWN_CELLS]
    return ", ".join(shown) + (f" and {total - len(shown)} more" if total > len(shown) else "")


def _fits(cell: Cell, pattern: str) -> bool:
    """Whether ``pattern`` is the cell's id, with or without its version, or the beginning of it."""
    wanted = pattern.rstrip("/")
    return any(
        fnmatchcase(name, wanted) or fnmatchcase(name, f"{wanted}/*")
        for name in (cell.id, cell.series)
    )


def _rates(
    own: Sequence[_Found], note: Callable[[str], None], status: Callable[[str], None]
) -> Iterator[RunRate]:
    """Of each run; one run at a time is in memory."""
    for number, each in enumerate(own, start=1):
        status(f"Reading run {number} of {len(own)}")
        try:
            events = read_speed_events(each.folder, each.known)
        except RecordError as error:
            note(str(error))
            continue
        rates = controlled_rates(events)
        held = [result for result in map(held_result, events) if result is not None]
        for cell in each.cells:
            passed = [result.passed for result in held if result.cell == cell.id]
            if cell.id in rates:
                yield RunRate(
                    run=each.folder.name,
                    created=each.created,
                    git_commit=each.git_commit,
                    cell=cell.id,
                    version=version_of(cell),
                    parity="not_run" if not passed else "proved" if all(passed) else "lost",
                    rate=rates[cell.id],
                )


def _side(folders: dict[str, _Found], point: HistoryPoint) -> Side:
    found = folders[point.run]
    cell = next(cell for cell in found.cells if cell.id == point.cell)
    return Side(cell=cell, manifest=read_manifest(found.folder))


def _write(path: Path, picture: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, picture)
    except OSError as error:
        raise UsageError(
            f"{path} can't be written ({error.strerror}): name another file with --plot"
        ) from None
