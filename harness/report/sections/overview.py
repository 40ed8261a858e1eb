"""At a glance: one table over all groups, where a run has so many that a reader needs one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from harness.analysis.reproduction import Reproduction, reproductions
from harness.report.formats import (
    NOTHING,
    accuracy,
    deviation,
    mebibytes,
    number,
    range_of_counts,
)
from harness.report.page import Block, Column, Datum, Details, Section, Table
from harness.report.sections.reproduction import inside_in_words
from harness.report.sections.story import Story
from harness.report.spreads import accuracy_spread
from harness.spec.cells import Cell
from harness.spec.manifest import Group

MANY_GROUPS = 3
"""From so many on, rates stand in one table before everything else."""


class Seat(NamedTuple):
    """What a column holds: the same framework, version, mode and settings in every group."""

    contender: str
    title: str


def overview_section(story: Story) -> Section | None:
    """Tables of recipes × contenders; nothing where a single group says it all."""
    blocks = (*_rates(story), *_reproduced(story), *_proved(story))
    if not blocks:
        return None
    return Section(id="overview", title="At a glance", blocks=blocks)


def _rates(story: Story) -> Iterator[Block]:
    rates = {rate.cell: rate.examples_per_second for rate in story.judgement.rates if not rate.twin}
    if not rates or len(story.cast.groups) < MANY_GROUPS:
        return
    blocks = {each.group: each.blocks for each in story.judgement.groups}
    settled = any(each.verdict for each in story.judgement.verdicts)

    def rate(cell: str) -> Datum:
        if cell not in rates:
            return Datum("not measured", "quiet")
        if story.is_barred(cell):
            return Datum("not comparable", "bad")
        return Datum(number(rates[cell]))

    yield _matrix(
        story,
        "Examples per second",
        rate,
        note=f"Each recipe: {range_of_counts(blocks.values(), 'block')}. "
        + (
            "The verdicts below say which differences are larger than the noise."
            if settled
            else "Indicative: nothing here shows which differences are larger than the noise."
        ),
        batch=True,
    )
    peaks = _peaks(story)
    yield Details(
        summary="Peak memory",
        blocks=(
            _matrix(
                story,
                "Peak memory of a worker",
                lambda cell: Datum(mebibytes(peaks[cell]) if cell in peaks else NOTHING),
                note="Its peak resident set, interpreter and libraries with it.",
            ),
        ),
    )


def _reproduced(story: Story) -> Iterator[Block]:
    """Final accuracies beside the published ones, where seeds were the point of the run."""
    found = reproductions(story.run) if story.has_seeds else ()
    by_cell = {each.cell: each for each in found}
    groups = [group for group in story.cast.groups if any(cell in by_cell for cell in group.cells)]
    if not groups:
        return
    seats = _seats(story, groups)
    rows = []
    for group in groups:
        own = [by_cell[cell] for cell in group.cells if cell in by_cell]
        last = own[0].epochs[-1].compared_test_accuracy
        rows.append(
            (
                Datum(story.cast.label(group), strong=True),
                Datum(accuracy(last.published), strong=True),
                inside_in_words(
                    story,
                    own,
                    [
                        each.epochs[-1].compared_test_accuracy.inside_prediction_interval
                        for each in own
                    ],
                ),
                *(_final(story, group, seat, by_cell) for seat in seats),
                Datum(f"{own[0].epochs[-1].epoch}"),
            )
        )
    sizes = {each.published.whole_batches_of for each in found if each.published} - {None}
    seeds = range_of_counts((len(each.seeds) for each in found), "seed")
    note = (
        f"Median over {seeds}, in brackets the lowest and the highest. "
        "Reproduced: inside the 95 % prediction interval for one new run."
    )
    if sizes:
        note += (
            " Where the source divides by whole batches, so does this table; see Reproduction for "
            "the right figures."
        )
    yield Table(
        caption="Test accuracy after the last epoch",
        columns=(
            Column("Recipe"),
            Column("Published", number=True),
            Column("Reproduced"),
            *(Column(seat.title, number=True) for seat in seats),
            Column("Epochs", number=True),
        ),
        rows=tuple(rows),
        note=note,
    )


def _final(story: Story, group: Group, seat: Seat, found: dict[str, Reproduction]) -> Datum:
    cell = _cell_of(story, group, seat)
    if cell is None or cell not in found:
        return Datum(NOTHING, "quiet")
    return Datum(accuracy_spread(found[cell].epochs[-1].compared_test_accuracy.by_seed))


def _proved(story: Story) -> Iterator[Block]:
    """Deviations from the oracle, where proving was all that the run set out to do."""
    # The one that is worst off stands for a cell that was held several times.
    results = {
        result.cell: result
        for result in sorted(story.judgement.parity, key=lambda one: one.passed, reverse=True)
    }
    if story.is_timed or story.run.manifest.plan.long_trials or not results:
        return

    def proof(cell: str) -> Datum:
        result = results.get(cell)
        if result is None:
            return Datum("not run", "doubt")
        worst = [
            NOTHING if each is None else deviation(each.value)
            for each in (result.worst_at_step_1, result.worst_at_steps_2_to_10)
        ]
        text = " / ".join(worst)
        return Datum(text, "good") if result.passed else Datum(f"failed: {text}", "bad")

    passed = sum(results[cell].passed for cell in results)
    yield _matrix(
        story,
        "Deviation from the oracle, at step 1 / after it",
        proof,
        note=f"Proved: {passed} of {len(story.run.manifest.cells)} cells. What each is granted "
        "stands under Parity.",
    )


def _matrix(
    story: Story, caption: str, datum: Callable[[str], Datum], *, note: str, batch: bool = False
) -> Table:
    """One row a group, one column a contender."""
    seats = _seats(story, story.cast.groups)
    rows = []
    for group in story.cast.groups:
        recipe = story.cast.recipe(group)
        cells = [_cell_of(story, group, seat) for seat in seats]
        rows.append(
            (
                Datum(story.cast.label(group), strong=True),
                *((Datum(f"{recipe.batch_size}" if recipe else NOTHING),) if batch else ()),
                *(Datum(NOTHING, "quiet") if cell is None else datum(cell) for cell in cells),
            )
        )
    return Table(
        caption=caption,
        columns=(
            Column("Recipe"),
            *((Column("Batch", number=True),) if batch else ()),
            *(Column(seat.title, number=True) for seat in seats),
        ),
        rows=tuple(rows),
        note=note,
    )


def _seats(story: Story, groups: Sequence[Group]) -> list[Seat]:
    """The columns, in order of first appearance, under the shortest titles that differ."""
    cells: dict[str, Cell] = {}
    for group in groups:
        for name in group.cells:
            cell = story.cast.member(name).cell
            if cell:
                cells.setdefault(cell.contender, cell)
    short = {each: story.cast.name(cell.id) for each, cell in cells.items()}
    titles = list(short.values())
    return [
        Seat(
            contender,
            short[contender]
            if titles.count(short[contender]) == 1
            else story.cast.member(cell.id).full_name,
        )
        for contender, cell in cells.items()
    ]


def _cell_of(story: Story, group: Group, seat: Seat) -> str | None:
    for name in group.cells:
        cell = story.cast.member(name).cell
        if cell and cell.contender == seat.contender:
            return name
    return None


def _peaks(story: Story) -> dict[str, int]:
    """Cell id → peak memory of its trials."""
    peaks: dict[str, int] = {}
    for block in story.run.blocks:
        for trial in block.trials:
            cell, peak = trial.started.cell, trial.finished.peak_memory_bytes
            peaks[cell] = max(peaks.get(cell, peak), peak)
    return peaks
