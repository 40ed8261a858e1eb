"""Parity: what was proved before anything was timed, and what was audited of what was timed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from harness.analysis.audit import audit_verdict
from harness.analysis.parity import cross_deviations, parity_verdict
from harness.report.figures import Curves, Line, Panel
from harness.report.formats import NOTHING, day, deviation, joined
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
from harness.spec.manifest import Group
from harness.spec.proof_events import Audit, Deviation, Parity

LAX = 0.5
"""A tolerance from which on a check proves nothing: half of the value itself may be off."""

EARLIER = (
    " With a date: proved then by an earlier run, with the same code, packages, data and machine."
)


def parity_section(story: Story) -> Section:
    """Each cell against the oracle, then cells against each other."""
    blocks: list[Block] = []
    for group in story.cast.groups:
        blocks += [*story.heading(group), *_group_blocks(story, group)]
    return Section(
        id="parity",
        title="Parity",
        lead="Do the contenders compute the same thing? Each was held against a float64 oracle "
        "from the same weights and batches before it was timed (the proof), and each timed trial "
        "was held against what it had to compute, and its time accounted for (the audit). "
        "A contender that fails either is not comparable.",
        blocks=tuple(blocks),
    )


def _group_blocks(story: Story, group: Group) -> Iterator[Block]:
    held = [result for result in story.judgement.parity if result.cell in group.cells]
    proved = [event for event in story.run.events if isinstance(event, Parity)]
    if not any(event.cell in group.cells for event in proved):
        yield Paragraph(text="Parity was not run for these contenders.", tone="doubt")
        return
    # Those of workers of their own stand for those of timed workers too, unless these failed.
    shown = [one for one in proved if one.trial is None or not parity_verdict(one).passed]
    proofs = {one.cell: one for one in shown if one.precision == "float32"}
    missing = [cell for cell in group.cells if cell not in proofs]
    yield Table(
        caption="Largest deviation from the oracle",
        columns=(
            Column("Contender"),
            Column("Formula"),
            Column("Step 1", number=True),
            Column("Granted", number=True),
            Column("After it", number=True),
            Column("Granted", number=True),
            Column("Proof"),
        ),
        rows=(
            *(_row(story, one) for one in shown if one.cell in group.cells),
            *(_missing_row(story, cell) for cell in missing),
        ),
        note="Of all that was held, what takes most of what it is granted. Step 1: the initial "
        "logits, every tensor after one step (running statistics with them), the first loss. After "
        "it: later losses, logits in inference mode, then several steps in one call, as timed "
        "windows take them, with every tensor at the end. Granted is ten times what rounding does "
        "to the oracle itself on these very batches, a hundred times in recipes that amplify it. "
        "The formula is the implementation's own, and its proof is against that one. Dropout is "
        "off in a proof: random masks cannot be matched."
        + (EARLIER if any(one.proved_at is not None for one in shown) else ""),
    )
    yield from _lax(story, [proofs[cell] for cell in group.cells if cell in proofs])
    yield from _audits(story, group)
    failures = [
        f"{story.cast.name(result.cell)}: {failure}."
        for result in held
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


def _lax(story: Story, proofs: Sequence[Parity]) -> Iterator[Paragraph]:
    """Where a tolerance lets everything through, and float64 did not prove it instead."""
    exact = {
        event.cell
        for event in story.run.events
        if isinstance(event, Parity) and event.precision == "float64"
    }
    lax = [
        story.cast.name(proof.cell)
        for proof in proofs
        if proof.cell not in exact and any(each.tolerance >= LAX for each in proof.deviations)
    ]
    if lax:
        yield Paragraph(
            text="Rounding alone moves some of this network's tensors so far that nothing is "
            f"proven of them in float32, and float64 was not to be had for {joined(lax)}.",
            tone="doubt",
        )


def _audits(story: Story, group: Group) -> Iterator[Block]:
    """What was seen of each contender's timed trials."""
    audits = [event for event in story.run.events if isinstance(event, Audit)]
    rows = []
    for cell in group.cells:
        own = [audit for audit in audits if audit.cell == cell]
        if not own:
            continue
        failed = sum(not audit_verdict(audit).passed for audit in own)
        unmade = dict.fromkeys(clause for audit in own for clause in audit.unmade)
        rows.append(
            (
                story.contender(cell),
                Datum(f"{len(own)}"),
                Datum(f"{max(audit.held_steps for audit in own)}"),
                Datum("; ".join(unmade) or "nothing", "quiet"),
                Datum(f"failed in {failed}", "bad", strong=True)
                if failed
                else Datum("held", "good"),
            )
        )
    if rows:
        yield Table(
            caption="Audit of timed trials",
            columns=(
                Column("Contender"),
                Column("Trials", number=True),
                Column("Steps beside the oracle", number=True),
                Column("What was not held"),
                Column("Audit"),
            ),
            rows=tuple(rows),
            note="Of every window: examples, loss and hits; weights at the end; that staging "
            "changes no weights; that all time between question and answer is accounted for, and "
            "nothing was left to do when the clock stopped; CPU time within the cell's threads.",
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


def _row(story: Story, proof: Parity) -> tuple[Datum, ...]:
    result = parity_verdict(proof)
    where = "" if proof.trial is None else f", in trial {proof.trial}"
    exact = "" if proof.precision == "float32" else f" in {proof.precision}"
    before = "" if proof.proved_at is None else f" on {day(proof.proved_at)}"
    passed = (
        Datum(f"proved{exact}{before}", "good")
        if result.passed
        else Datum(f"failed{exact}{where}", "bad", strong=True)
    )
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
    pairs = cross_deviations([group], story.run.events)
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
