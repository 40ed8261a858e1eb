"""From a stored run to the page that a reader sees: formatted, escaped nowhere, drawn nowhere."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Callable, Collection

from harness.analysis.judgement import Judgement
from harness.analysis.observations import Observations
from harness.analysis.protocol import plans_short_blocks
from harness.analysis.verdicts import judge
from harness.report.banners import banners
from harness.report.cast import Cast, cast_of
from harness.report.formats import count, gibibytes, joined, moment
from harness.report.page import Page, Player, Section, said_once
from harness.report.sections.accuracy import accuracy_section
from harness.report.sections.again import again_section
from harness.report.sections.conditions import (
    conditions_section,
    failures_section,
)
from harness.report.sections.convergence import convergence_section
from harness.report.sections.costs import costs_section
from harness.report.sections.gate import gate_banner, gate_section
from harness.report.sections.gpu import gpu_section
from harness.report.sections.inputs import inputs_section
from harness.report.sections.micro import micro_section
from harness.report.sections.overview import overview_section
from harness.report.sections.parity import parity_section
from harness.report.sections.reproduction import reproduction_section
from harness.report.sections.speed import speed_section
from harness.report.sections.story import Story
from harness.report.sections.sweep import sweep_section
from harness.report.sections.tax import tax_banner, tax_section
from harness.report.sections.windows import windows_section
from harness.report.sentences import verdict_groups
from harness.report.sweep_sentences import swept_in_words
from harness.spec.manifest import Manifest
from harness.spec.micro import Micro
from harness.spec.recipes import Recipe

SECTIONS: tuple[Callable[[Story], Section | None], ...] = (
    sweep_section,
    parity_section,
    speed_section,
    inputs_section,
    reproduction_section,
    convergence_section,
    accuracy_section,
    costs_section,
    gpu_section,
    windows_section,
    micro_section,
    conditions_section,
    failures_section,
    again_section,
)
"""In the order of the page; one that has nothing to say is left out."""
LEADS: tuple[Callable[[Story], Section | None], ...] = (
    gate_section,
    tax_section,
    overview_section,
)
"""What stands before the verdicts: the first of them that has something to say."""


def page_of(run: Observations, micro: Micro | None = None) -> Page:
    """Everything that the report of ``run`` says, whatever the run lacks; with its ``micro``."""
    judgement = judge(run)
    story = Story(run, judgement, cast_of(run.manifest), micro)
    return Page(
        title=f"Level Field: {run.manifest.plan.suite}",
        subtitle=run.manifest.run,
        facts=_facts(run, judgement),
        banners=(*gate_banner(run), *tax_banner(run), *banners(run, judgement, story.cast)),
        verdicts=verdict_groups(run, judgement),
        overview=next((said_once(found) for lead in LEADS if (found := lead(story))), None),
        sections=tuple(
            said_once(found) for section in SECTIONS if (found := section(story)) is not None
        ),
        players=players(story.cast, run.manifest.titles),
        question=question(run.manifest, micro),
        again=shlex.join(("levelfield", "report", run.manifest.run)),
    )


def question(manifest: Manifest, micro: Micro | None = None) -> str:
    """What ``manifest`` sets out to answer; nothing where nobody is compared."""
    titles = dict.fromkeys(
        manifest.titles.get(cell.framework, cell.framework) for cell in manifest.cells
    )
    swept = swept_in_words(manifest.cells)
    recipes = dict.fromkeys(_label(cell.recipe, swept) for cell in manifest.cells)
    if len(manifest.cells) < 2 or not recipes:
        return ""
    plan = manifest.plan
    if micro is not None and not (plans_short_blocks(plan) or plan.long_trials):
        return f"Where does the time of a training step go, in {joined(list(titles))}?"
    if manifest.study == "tax":
        return f"What do our adapters of {joined(list(titles))} cost over a loop written by hand?"
    if manifest.gate is not None:
        who = joined(list(titles))
        return f"Has {who} become slower, less accurate or wrong since {manifest.gate.base}?"
    if not plans_short_blocks(plan):
        who, what = joined(list(titles)), " ".join(filter(None, (_in_words(recipes), swept)))
        if plan.long_trials:
            return f"Do {who} train {what} to the same accuracy, and to the published one?"
        return f"Do {who} compute the same on {what}?"
    who = f"Which {'of' if len(titles) > 1 else 'way of running'} {joined(list(titles))}"
    pace = "fastest" if len(manifest.cells) > 2 * len(plan.groups) else "faster"
    where = f"on this machine, {swept}" if swept else "on this machine"
    return f"{who} trains {_in_words(recipes)} {pace} {where}, and do they compute the same?"


def _label(recipe: Recipe, swept: str) -> str:
    """Its label; in a sweep over batches, which are said elsewhere, without the batch."""
    if "batch sizes" not in swept:
        return recipe.label
    kept = [each for each in recipe.overrides if not each.startswith("batch_size=")]
    return "+".join((recipe.name, *kept))


def _in_words(recipes: Collection[str]) -> str:
    return joined(list(recipes)) if len(recipes) <= 3 else count(len(recipes), "recipe")


def players(cast: Cast, titles: dict[str, str]) -> tuple[Player, ...]:
    """Whoever can be left out of charts and tables; contenders that look alike go together."""
    names: defaultdict[tuple[int, int], dict[str, str]] = defaultdict(dict)
    for member in cast.members.values():
        framework = member.cell.framework if member.cell else member.name
        names[member.style.colour, member.style.variant][member.name] = framework
    return tuple(
        Player(
            colour=colour,
            variant=variant,
            framework=titles.get(framework, framework),
            name=" / ".join(own),
        )
        for (colour, variant), own in sorted(names.items())
        for framework in [next(iter(own.values()))]
    )


def _facts(run: Observations, judgement: Judgement) -> tuple[tuple[str, str], ...]:
    machine = run.manifest.machine
    hardware = [
        machine.cpu,
        count(machine.cores, "core"),
        gibibytes(machine.memory_bytes),
        *([machine.gpu] if machine.gpu else []),
    ]
    short = sum(group.blocks for group in judgement.groups)
    long = len(run.long_blocks)
    only_proofs = not (plans_short_blocks(run.manifest.plan) or run.manifest.plan.long_trials)
    finished = [
        count(short, "block") if not (long or only_proofs) or short else "",
        f"{count(long, 'long block')} of whole recipes" if long else "",
        count(len(judgement.parity), "proof") if only_proofs and not (short or long) else "",
    ]
    return (
        ("Machine", ", ".join(hardware)),
        ("Measured", moment(run.manifest.created)),
        ("Data", ", ".join(dict.fromkeys(each.name for each in run.manifest.datasets)) or "none"),
        ("Finished", ", ".join(part for part in finished if part)),
    )
