"""Parity: what was proved before anything was timed."""

from __future__ import annotations

from collections.abc import Iterator

from harness.analysis.parity import ParityResult, cross_deviations
from harness.report.formats import deviation
from harness.report.page import Block, Column, Datum, Details, Items, Paragraph, Section, Table
from harness.report.sections.story import Story
from harness.spec.events import Deviation, Group, Parity


def parity_section(story: Story) -> Section:
    """Each cell against the oracle, then cells against each other."""
    blocks: list[Block] = []
    for group in story.cast.groups:
        blocks += [*story.heading(group), *_group_blocks(story, group)]
    return Section(
        id="parity",
        title="Parity",
        lead="Do the contenders compute the same thing? Each was held against a float64 oracle "
        "from the same weights and batches, before it was timed. A deviation is relative; "
        "a contender that exceeds a tolerance is not comparable.",
        blocks=tuple(blocks),
    )


def _group_blocks(story: Story, group: Group) -> Iterator[Block]:
    results = [result for result in story.judgement.parity if result.cell in group.cells]
    if not results:
        yield Paragraph(text="Parity was not run for these contenders.", tone="doubt")
        return
    proofs = {event.cell: event for event in story.run.events if isinstance(event, Parity)}
    missing = [cell for cell in group.cells if cell not in proofs]
    yield Table(
        caption="Largest deviation from the oracle",
        columns=(
            Column("Contender"),
            Column("Formula"),
            Column("Step 1", number=True),
            Column("Tolerance", number=True),
            Column("Steps 2–10", number=True),
            Column("Tolerance", number=True),
            Column("Parity"),
        ),
        rows=(
            *(_row(story, result, proofs[result.cell]) for result in results),
            *(_missing_row(story, cell) for cell in missing),
        ),
        note="Step 1: the largest of the initial logits, every tensor after one step, and the "
        "first loss. Steps 2–10: the largest of the losses. The formula is the "
        "implementation's own, and its proof is against that one.",
    )
    failures = [
        f"{story.cast.name(result.cell)}: {failure}."
        for result in results
        for failure in result.failures
    ]
    if failures:
        yield Items(items=tuple(failures), tone="bad")
    yield from _remainder(story, group)
    yield Details(
        summary="All checks",
        blocks=tuple(_all_checks(story, proofs[cell]) for cell in group.cells if cell in proofs),
    )


def _row(story: Story, result: ParityResult, proof: Parity) -> tuple[Datum, ...]:
    passed = Datum("proved", "good") if result.passed else Datum("failed", "bad", strong=True)
    return (
        story.contender(result.cell),
        Datum(_formula(story, proof)),
        *_worst(result.worst_at_step_1),
        *_worst(result.worst_at_steps_2_to_10),
        passed,
    )


def _missing_row(story: Story, cell: str) -> tuple[Datum, ...]:
    return (story.contender(cell), *(Datum("—"),) * 5, Datum("not run", "doubt"))


def _worst(worst: Deviation | None) -> tuple[Datum, Datum]:
    if worst is None:
        return Datum("not checked", "doubt"), Datum("—")
    holds = worst.value is not None and worst.value <= worst.tolerance
    return (
        Datum(deviation(worst.value), "plain" if holds else "bad"),
        Datum(deviation(worst.tolerance), "quiet"),
    )


def _formula(story: Story, proof: Parity) -> str:
    """The implementation's formula of the optimizer that the recipe has."""
    cell = story.cast.member(proof.cell).cell
    if cell is None:
        return "—"
    optimizer = cell.recipe.optimizer
    kind = type(optimizer).__name__
    if kind == "Adam":
        return f"Adam, {proof.adam_formula}"
    momentum = getattr(optimizer, "momentum", 0.0)
    return f"{kind.upper()}, {proof.momentum_formula}" if momentum else f"{kind.upper()}"


def _remainder(story: Story, group: Group) -> Iterator[Block]:
    pairs = [each for each in cross_deviations(story.run) if each.group == group.name]
    if not pairs:
        return
    yield Table(
        caption="What remains between contenders",
        columns=(
            Column("Contender"),
            Column("Against"),
            Column("Loss, step 1", number=True),
            Column("Loss, steps 2–10", number=True),
        ),
        rows=tuple(
            (
                story.contender(each.cell),
                story.contender(each.against),
                Datum(_remaining(each.at_step_1)),
                Datum(_remaining(each.largest_at_steps_2_to_10)),
            )
            for each in pairs
        ),
        note="Shown, not judged: contenders whose formulas differ part ways by more than rounding.",
    )


def _remaining(value: float | None) -> str:
    return "not comparable" if value is None else deviation(value)


def _all_checks(story: Story, proof: Parity) -> Table:
    return Table(
        caption=f"{story.cast.name(proof.cell)}, batch of {proof.batch_size}",
        columns=(
            Column("Check"),
            Column("Step", number=True),
            Column("Deviation", number=True),
            Column("Tolerance", number=True),
        ),
        rows=tuple(
            (
                Datum(f"{each.check} {each.tensor}".strip()),
                Datum(f"{each.step}"),
                _worst(each)[0],
                Datum(deviation(each.tolerance), "quiet"),
            )
            for each in proof.deviations
        ),
    )
