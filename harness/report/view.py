"""From a stored run to the page that a reader sees: formatted, escaped nowhere, drawn nowhere."""

from __future__ import annotations

from harness.analysis.judgement import Judgement
from harness.analysis.verdicts import judge
from harness.report.banners import banners
from harness.report.cast import cast_of
from harness.report.formats import count, gibibytes, moment
from harness.report.page import Page
from harness.report.sections.accuracy import accuracy_section
from harness.report.sections.conditions import (
    conditions_section,
    failures_section,
    reproduction_section,
)
from harness.report.sections.costs import costs_section, windows_section
from harness.report.sections.parity import parity_section
from harness.report.sections.speed import speed_section
from harness.report.sections.story import Story
from harness.report.sentences import verdict_groups
from harness.spec.events import Run

SECTIONS = (
    parity_section,
    speed_section,
    accuracy_section,
    costs_section,
    windows_section,
    conditions_section,
    failures_section,
    reproduction_section,
)


def page_of(run: Run) -> Page:
    """Everything that the report of ``run`` says, whatever the run lacks."""
    judgement = judge(run)
    story = Story(run, judgement, cast_of(run.manifest))
    return Page(
        title=f"Level Field: {run.manifest.plan.suite}",
        subtitle=run.manifest.run,
        facts=_facts(run, judgement),
        banners=banners(run, judgement, story.cast),
        verdicts=verdict_groups(run, judgement),
        sections=tuple(section(story) for section in SECTIONS),
    )


def _facts(run: Run, judgement: Judgement) -> tuple[tuple[str, str], ...]:
    machine = run.manifest.machine
    hardware = [
        machine.cpu,
        count(machine.cores, "core"),
        gibibytes(machine.memory_bytes),
        *([machine.gpu] if machine.gpu else []),
    ]
    blocks = sum(group.blocks for group in judgement.groups)
    return (
        ("Machine", ", ".join(hardware)),
        ("Measured", moment(run.manifest.created)),
        ("Data", ", ".join(dict.fromkeys(each.name for each in run.manifest.datasets)) or "none"),
        ("Finished", count(blocks, "block")),
    )
