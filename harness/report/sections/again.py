"""Do it again: the commands, the plan, and hashes of what was trained on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from harness.report.commands import cell_command
from harness.report.formats import NOTHING, count, joined, shortened
from harness.report.page import (
    Block,
    Code,
    Column,
    Datum,
    Details,
    Section,
    Table,
    facts_table,
)
from harness.report.sections.story import Story
from harness.spec.events import TrialFinished, TrialStarted
from harness.spec.proof_events import Hashes, Parity


def again_section(story: Story) -> Section:
    """The command, what it was run with, and hashes of what was trained on."""
    manifest = story.run.manifest
    plan = manifest.plan
    facts = [
        ("Level Field", manifest.levelfield),
        ("Commit of the implementations", manifest.git_commit or "not in a git checkout"),
        ("Suite", plan.suite),
        *(_short_trials(story) if story.is_timed else ()),
        *([("Lead-in", count(plan.lead_in_steps, "step"))] if story.is_timed else ()),
        ("Seed", f"{plan.seed}"),
    ]
    if plan.long_trials and plan.seeds:
        facts.append(("Seeds of long trials", ", ".join(f"{seed}" for seed in plan.seeds)))
    return Section(
        id="reproduce",
        title="Do it again",
        lead="In a checkout of Level Field, after python3.11 -m pip install -e . there, this "
        "command makes such a run; below are the plan, and hashes of what the workers really used.",
        blocks=(
            Code(text=shlex.join(manifest.command)),
            *_command_table(story),
            facts_table("Plan", facts),
            Details(summary="Hashes", blocks=(_hash_table(story),)),
        ),
    )


def _command_table(story: Story) -> Iterator[Block]:
    """How each cell is measured again by itself."""
    manifest = story.run.manifest
    commands = [(cell.id, cell_command(cell, manifest)) for cell in manifest.cells]
    rows = tuple(
        (*_whose(story, cell), Datum(shlex.join(command), code=True))
        for cell, command in commands
        if command
    )
    if rows:
        yield Table(
            caption="One cell at a time",
            columns=(*_whose_columns(story), Column("Command")),
            rows=rows,
            note="A contender by itself has nobody to be compared with.",
        )


def _whose_columns(story: Story) -> tuple[Column, ...]:
    """Heads of ``_whose``."""
    recipe = (Column("Trains"),) if len(story.cast.groups) > 1 else ()
    return (Column("Contender"), *recipe)


def _whose(story: Story, cell: str) -> tuple[Datum, ...]:
    """The contender, and what it trains where a run has more than one group."""
    labels = [story.cast.label(group) for group in story.cast.groups if cell in group.cells]
    several = len(story.cast.groups) > 1
    return (story.contender(cell), *([Datum(next(iter(labels), NOTHING))] if several else ()))


def _short_trials(story: Story) -> Iterator[tuple[str, str]]:
    """How short trials were looked at; groups with other windows than the plan's by name."""
    plan = story.run.manifest.plan
    *before, last = plan.looks or (0,)
    yield "Looks", f"after {joined([*map(str, before), count(last, 'block')])}"
    usual = (plan.rounds, plan.window_steps)
    yield "Block", _block_in_words(*usual)
    for group in plan.groups:
        rounds = plan.rounds if group.rounds is None else group.rounds
        steps = plan.window_steps if group.window_steps is None else group.window_steps
        if (rounds, steps) != usual:
            yield f"Block of {story.cast.title(group)}", _block_in_words(rounds, steps)


def _block_in_words(rounds: int, steps: int) -> str:
    return f"{count(rounds, 'round')} of {count(steps, 'timed step')}"


def _hash_table(story: Story) -> Table:
    started = {event.trial: event for event in story.run.events if isinstance(event, TrialStarted)}
    seen: dict[tuple[str, str, Hashes], None] = {}
    for event in story.run.events:
        if isinstance(event, Parity):
            seen[event.cell, "parity", event.hashes] = None
        elif isinstance(event, TrialFinished) and event.trial in started:
            trial = started[event.trial]
            cell = story.cast.member(trial.cell).cell
            kind = f"long trial, seed {trial.seed}" if trial.long else "short trial"
            kind += f", {cell.input}" if cell and cell.loads else ""
            seen[trial.cell, kind, event.hashes] = None
    return Table(
        caption="SHA-256, first 12 digits",
        columns=(
            *_whose_columns(story),
            Column("Of"),
            Column("Data"),
            Column("Weights"),
            Column("Order"),
        ),
        rows=tuple(
            (
                *_whose(story, cell),
                Datum(kind),
                Datum(shortened(hashes.data)),
                Datum(shortened(hashes.weights)),
                Datum(shortened(hashes.order) if hashes.order else "the loader's own"),
            )
            for cell, kind, hashes in seen
        ),
        note="Contenders whose hashes differ within a block are never compared.",
    )
