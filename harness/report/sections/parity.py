"""Parity: what was proved before anything was timed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from harness.analysis.parity import ParityResult, cross_deviations
from harness.report.figures import Curves, Line, Panel
from harness.report.formats import NOTHING, deviation, joined
from harness.report.page import (
    Block,
    Column,
    Datum,
    Details,
    Figure,
    Items,
    Paragraph,
    Section,
    Table,
)
from harness.report.sections.story import Story
from harness.spec.events import Deviation, Group, Parity
from harness.spec.recipes import Tolerances

LAX = 0.5
"""A tolerance from which on a check proves nothing: half of the value itself may be off."""


def parity_section(story: Story) -> Section:
    """Each cell against the oracle, then cells against each other."""
    blocks: list[Block] = []
    for group in story.cast.groups:
        blocks += [*story.heading(group), *_group_blocks(story, group)]
    blocks.append(Details(summary="Tolerances of each recipe", blocks=(_tolerances(story),)))
    return Section(
        id="parity",
        title="Parity",
        lead="Do the contenders compute the same thing? Each was held against a float64 oracle "
        "from the same weights and batches, before it was timed. A deviation is relative; "
        "a contender that exceeds a tolerance is not comparable.",
        blocks=tuple(blocks),
    )


def _tolerances(story: Story) -> Table:
    """Each recipe's tolerances, and where they come from."""
    recipes = {cell.recipe.label: cell.recipe for cell in story.run.manifest.cells}
    usual = Tolerances()
    return Table(
        caption="Tolerances",
        columns=(
            Column("Recipe"),
            Column("Forward pass", number=True),
            Column("Step 1", number=True),
            Column("Steps 2–10", number=True),
            Column("Batch of the proof", number=True),
            Column("Where they come from"),
        ),
        rows=tuple(
            (
                Datum(label, strong=True),
                Datum(deviation(recipe.tolerances.forward)),
                Datum(deviation(recipe.tolerances.step_1)),
                Datum(deviation(recipe.tolerances.steps_2_to_10)),
                Datum(f"{recipe.proof_batch_size}"),
                Datum("a few roundings of float32, as for the LeNets", "quiet")
                if recipe.tolerances == usual
                else Datum("10 times the measured float32/float64 envelope of the oracle"),
            )
            for label, recipe in recipes.items()
        ),
        note="Forward pass: initial logits, first loss, running statistics. Step 1: weights after "
        "it. Deeper and normalised networks round more: there the oracle was computed in float32 "
        "and in float64, and ten times what lies between the two is tolerated. A tolerance near 1 "
        "lets everything through: of such a check nothing is proven. Methodology, in the "
        "documentation, says more.",
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
        note="Step 1: the largest of the initial logits, every tensor after one step (running "
        "statistics with them), and the first loss. Steps 2–10: the largest of the logits in "
        "inference mode after one step, and of the later losses. The formula is the "
        "implementation's own, and its proof is against that one. Dropout is off: random masks "
        "cannot be matched.",
    )
    yield from _lax(story, group)
    failures = [
        f"{story.cast.name(result.cell)}: {failure}."
        for result in results
        for failure in result.failures
    ]
    if failures:
        yield Items(items=tuple(failures), tone="bad")
    yield from _figure(story, group, proofs)
    yield from _remainder(story, group)
    yield Details(
        summary="All checks",
        blocks=tuple(_all_checks(story, proofs[cell]) for cell in group.cells if cell in proofs),
    )


def _lax(story: Story, group: Group) -> Iterator[Paragraph]:
    """Which checks prove nothing, because their tolerance lets everything through."""
    recipe = story.cast.recipe(group)
    allowed = recipe.tolerances if recipe else Tolerances()
    checks = {
        "the forward pass": allowed.forward,
        "the weights after step 1": allowed.step_1,
        "the losses of steps 2–10": allowed.steps_2_to_10,
    }
    lax = [name for name, tolerance in checks.items() if tolerance >= LAX]
    if lax:
        yield Paragraph(
            text=f"Of {joined(lax)} nothing is proven here: a tolerance near 1 lets everything "
            "through.",
            tone="doubt",
        )


def _figure(story: Story, group: Group, proofs: Mapping[str, Parity]) -> Iterator[Figure]:
    """How far each contender's losses are from the oracle's, step by step."""
    losses = {
        cell: [each for each in proofs[cell].deviations if each.check == "loss"]
        for cell in group.cells
        if cell in proofs
    }
    allowed = {each.step: each.tolerance for own in losses.values() for each in own}
    values = [each.value for own in losses.values() for each in own]
    if not any(values):
        return
    same = " Where a loss is the oracle's to the last digit, nothing is drawn."
    yield Figure(
        name=f"parity-{story.cast.number(group)}",
        caption="How far the loss of each step of the proof is from the oracle's, "
        f"{story.cast.label(group)}; above the tolerance is not comparable."
        + (same if 0 in values else ""),
        chart=Curves(
            unit="step of the proof",
            panels=(
                Panel(
                    unit="relative deviation",
                    log=True,
                    lines=(
                        *(
                            Line(
                                label=story.cast.name(cell),
                                style=story.cast.style(cell),
                                x=tuple(float(each.step) for each in own),
                                y=tuple(each.value or math.nan for each in own),
                            )
                            for cell, own in losses.items()
                        ),
                        Line(
                            label="tolerance",
                            style=None,
                            x=tuple(map(float, allowed)),
                            y=tuple(allowed.values()),
                        ),
                    ),
                ),
            ),
        ),
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
    return (story.contender(cell), *(Datum(NOTHING),) * 5, Datum("not run", "doubt"))


def _worst(worst: Deviation | None) -> tuple[Datum, Datum]:
    if worst is None:
        return Datum("not checked", "doubt"), Datum(NOTHING)
    holds = worst.value is not None and worst.value <= worst.tolerance
    return (
        Datum(deviation(worst.value), "plain" if holds else "bad"),
        Datum(deviation(worst.tolerance), "quiet"),
    )


def _formula(story: Story, proof: Parity) -> str:
    """The implementation's formulas of what the recipe has: its optimizer, its BatchNorm."""
    cell = story.cast.member(proof.cell).cell
    if cell is None:
        return NOTHING
    optimizer = cell.recipe.optimizer
    kind = type(optimizer).__name__
    parts = [kind if kind == "Adam" else kind.upper()]
    if kind == "Adam":
        parts.append(proof.adam_formula)
    elif getattr(optimizer, "momentum", 0.0):
        parts.append(proof.momentum_formula)
    if any(each.tensor.endswith(".running_var") for each in proof.deviations):
        parts.append(f"{proof.variance_formula} running variance")
    return ", ".join(parts)


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
