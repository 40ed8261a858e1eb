"""Convergence: whether contenders train to the same accuracy, paired by seed."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.convergence import (
    EQUIVALENT_WITHIN,
    LEAST_SEEDS,
    Convergence,
    convergences,
)
from harness.report.accuracy_sentences import TONES, convergence_word
from harness.report.formats import NOTHING, p_value
from harness.report.page import Block, Column, Datum, Paragraph, Section, Table
from harness.report.sections.story import Story
from harness.report.spreads import points, points_bounds


def convergence_section(story: Story) -> Section | None:
    """Two one-sided tests for each pair; nothing where one seed was planned."""
    if not story.has_seeds:
        return None
    found = convergences(story.run)
    blocks: list[Block] = []
    for group in story.cast.groups:
        own = [each for each in found if each.group == group.name]
        if own:
            blocks += [*story.heading(group), *_pair_blocks(story, own)]
    if not blocks:
        blocks.append(Paragraph(text="No two contenders were trained whole.", tone="quiet"))
    within = f"±{EQUIVALENT_WITHIN * 100:.1f} points"
    return Section(
        id="convergence",
        title="Convergence",
        lead="Do contenders train to the same accuracy? Their test accuracies after the last epoch "
        f"are compared seed by seed. Where the 90 % interval of the mean difference lies within "
        f"{within}, they are equivalent: that is two one-sided tests at α = .05, 95 % confidence "
        f"on either side. Fewer than {LEAST_SEEDS} seeds are not tested.",
        blocks=tuple(blocks),
    )


def _pair_blocks(story: Story, own: list[Convergence]) -> Iterator[Block]:
    yield Table(
        caption=f"Test accuracy after epoch {own[0].epoch or NOTHING}, differences in points",
        columns=(
            Column("Contender"),
            Column("Against"),
            Column("Seeds", number=True),
            Column("Mean difference", number=True),
            Column("90 % interval", number=True),
            Column("p equivalent", number=True),
            Column("p different", number=True),
            Column("Convergence"),
        ),
        rows=tuple(_row(story, each) for each in own),
        note="Two one-sided t-tests (Schuirmann, 1987), paired by seed: trials of one seed share "
        "data, initial weights and order. p equivalent is of the pair alone, not adjusted for the "
        "number of pairs; a seed with which both only guess is left out. p different is "
        "two-sided, of no difference, adjusted by Holm's method over all pairs of this run.",
    )


def _row(story: Story, each: Convergence) -> tuple[Datum, ...]:
    word = convergence_word(each)
    return (
        story.contender(each.cell),
        story.contender(each.against),
        Datum(f"{len(each.seeds)}"),
        Datum(points(each.difference), strong=True),
        Datum(points_bounds(each.interval)),
        Datum(_p(each.p_equivalence)),
        Datum(_p(each.p_difference_adjusted)),
        Datum(word, TONES[word]),
    )


def _p(p: float | None) -> str:
    return p_value(p).removeprefix("p = ").removeprefix("p ") or NOTHING
