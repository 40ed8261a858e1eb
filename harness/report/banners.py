"""What a reader must know before any number."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator

from harness.analysis.judgement import REASONS, Judgement, Reason
from harness.analysis.observations import Observations
from harness.analysis.settings import observed_settings
from harness.report.cast import Cast
from harness.report.commands import resume_command
from harness.report.formats import count, joined, percent
from harness.report.page import Banner
from harness.spec.events import Failure, RunFinished
from harness.spec.manifest import Manifest
from harness.spec.recipes import Recipe


def banners(run: Observations, judgement: Judgement, cast: Cast) -> tuple[Banner, ...]:
    """Every warning that this run deserves, the gravest first."""
    found = (
        *_failed_noise_floors(judgement, cast),
        *_failed_parity(judgement, cast),
        *_missing_parity(run, judgement, cast),
        *_indicative(judgement, cast),
        *_stand_ins(run.manifest),
        *_changed_recipes(run.manifest),
        *_unfinished(run, judgement),
        *_failures(run, cast),
        *_settings_without_effect(run, cast),
        *_foreign_load(judgement, cast),
        *_restless_blocks(judgement),
        *_odd_contenders(judgement, cast),
    )
    return tuple(sorted(found, key=lambda banner: banner.tone != "bad"))


def _failed_noise_floors(judgement: Judgement, cast: Cast) -> Iterator[Banner]:
    for group in judgement.groups:
        floor = group.noise_floor
        if floor is not None and floor.failed:
            yield Banner(
                tone="bad",
                title="The noise floor failed",
                text=f"{cast.name(floor.cell)} came out different from its own second copy in "
                f"{cast.title(cast.group(group.group))}. Whatever did that may do it to any "
                "comparison, so every verdict of this run is inconclusive.",
            )


def _failed_parity(judgement: Judgement, cast: Cast) -> Iterator[Banner]:
    failed = dict.fromkeys(result.cell for result in judgement.parity if not result.passed)
    if failed:
        names = _names(failed, cast)
        yield Banner(
            tone="bad",
            title="Parity failed",
            text=f"Not comparable: {names}. What is trained there is not what the oracle "
            "computes; the failing checks are listed under Parity.",
        )


def _missing_parity(run: Observations, judgement: Judgement, cast: Cast) -> Iterator[Banner]:
    proved = {result.cell for result in judgement.parity}
    missing = [cell.id for cell in run.manifest.cells if cell.id not in proved]
    if missing:
        names = _names(missing, cast)
        yield Banner(
            tone="doubt",
            title="Parity was not run",
            text=f"Not comparable: {names}. Nothing shows yet that they compute the same thing.",
        )


def _indicative(judgement: Judgement, cast: Cast) -> Iterator[Banner]:
    """One for all groups that lack the same."""
    alike: defaultdict[tuple[tuple[Reason, ...], int], list[str]] = defaultdict(list)
    for group in judgement.groups:
        reasons = dict.fromkeys(
            each.reason
            for each in judgement.verdicts
            if each.group == group.group and each.status == "indicative"
        )
        if reasons:
            title = cast.title(cast.group(group.group))
            alike[tuple(reasons), group.blocks].append(title)
    for (why, blocks), titles in alike.items():
        whole = len(titles) == len(judgement.groups) > 1
        each = " each" if len(titles) > 1 else ""
        yield Banner(
            tone="doubt",
            title="Indicative: ranks nothing",
            text=f"{'The whole run' if whole else joined(titles)}: "
            f"{joined([REASONS[reason] for reason in why])} "
            f"({count(blocks, 'finished block')}{each}).",
        )


def _stand_ins(manifest: Manifest) -> Iterator[Banner]:
    for dataset in manifest.datasets:
        if dataset.fallback_for is not None:
            yield Banner(
                tone="bad",
                title="A fallback dataset stood in",
                text=f"{dataset.fallback_for} was not found, so {dataset.name} was used: "
                f"{dataset.train_examples:,} training and {dataset.test_examples:,} test "
                "examples. It is another dataset: nothing here is comparable with results on "
                f"{dataset.fallback_for}.",
            )


def _changed_recipes(manifest: Manifest) -> Iterator[Banner]:
    # A dataset that stood in has a banner of its own.
    told = {f"dataset={each.name}" for each in manifest.datasets if each.fallback_for is not None}
    changed: defaultdict[str, list[Recipe]] = defaultdict(list)
    for recipe in dict.fromkeys(cell.recipe for cell in manifest.cells):
        changes = [each for each in recipe.overrides if each not in told]
        if changes:
            changed[joined(changes)].append(recipe)
    recipes = [recipe for alike in changed.values() for recipe in alike]
    batches = any(change.startswith("batch_size=") for each in recipes for change in each.overrides)
    rate = " With another batch the learning rate stays what it was." if batches else ""
    if len(recipes) == 1:
        yield Banner(
            tone="doubt",
            title="The recipe was changed",
            text=f"{recipes[0].label} is {recipes[0].name} with {next(iter(changed))}. It is "
            f"another recipe: its results and the published figures do not compare.{rate}",
        )
    elif recipes:
        parts = [
            f"{joined([recipe.name for recipe in alike])} with {changes}"
            for changes, alike in changed.items()
        ]
        yield Banner(
            tone="doubt",
            title="Recipes were changed",
            text=f"{'; '.join(parts)}. They are other recipes: their results and the published "
            f"figures do not compare.{rate}",
        )


def _unfinished(run: Observations, judgement: Judgement) -> Iterator[Banner]:
    if any(isinstance(event, RunFinished) for event in run.events):
        return
    blocks = sum(group.blocks for group in judgement.groups)
    blocks += len(run.long_blocks)
    again = shlex.join(resume_command(run.manifest))
    yield Banner(
        tone="doubt",
        title="The run did not come to its own end",
        text=f"It was stopped, or is still going. {count(blocks, 'finished block')} "
        f"{'is' if blocks == 1 else 'are'} read; {again} goes on with it.",
    )


def _failures(run: Observations, cast: Cast) -> Iterator[Banner]:
    failures = [event for event in run.events if isinstance(event, Failure)]
    if failures:
        names = _names((event.cell for event in failures), cast)
        yield Banner(
            tone="bad",
            title=f"{count(len(failures), 'failure')}",
            text=f"{names}: see Failures and skips for the reasons.",
        )


def _settings_without_effect(run: Observations, cast: Cast) -> Iterator[Banner]:
    refused = [each for each in observed_settings(run.events) if each.refused_in]
    if refused:
        said = []
        for each in refused:
            seen = dict.fromkeys(each.refused_in.values())
            said.append(f"{each.name} in {_names(each.refused_in, cast)} ({joined([*seen])})")
        yield Banner(
            tone="doubt",
            title="Settings without effect",
            text=f"Workers were given them, and were seen to go on without: {'; '.join(said)}.",
        )


def _foreign_load(judgement: Judgement, cast: Cast) -> Iterator[Banner]:
    """One for all groups; the pairs themselves say what it did to them."""
    blocks = [flag for flag in judgement.block_flags if flag.kind == "foreign"]
    if blocks:
        groups = dict.fromkeys(flag.group for flag in blocks)
        where = joined([cast.title(cast.group(group)) for group in groups])
        most = max(flag.value for flag in blocks)
        yield Banner(
            tone="doubt",
            title="Others used the CPUs",
            text=f"In {count(len(blocks), 'block')} of {where} other programs, or other guests of "
            f"the host, took up to {most:.1f} CPUs from the threads of a contender. Taking turns "
            "does not cancel that: threads that wait for each other lose more by it than threads "
            "that don't. Where it was enough to decide a pair, that pair is left open.",
        )


def _restless_blocks(judgement: Judgement) -> Iterator[Banner]:
    steal = {(flag.group, flag.block) for flag in judgement.block_flags if flag.kind == "steal"}
    control = {(flag.group, flag.block) for flag in judgement.block_flags if flag.kind == "control"}
    control -= steal
    causes = [
        f"in {count(len(steal), 'block')} the hypervisor gave CPU time to others" if steal else "",
        f"in {count(len(control), 'block')} a fixed matrix product took another time than usual"
        if control
        else "",
    ]
    if steal or control:
        yield Banner(
            tone="doubt",
            title=f"{count(len(steal | control), 'restless block')}",
            text=f"The machine was not at rest: {joined([each for each in causes if each])}. "
            "They count, since every contender had its share; intervals are wider for it.",
        )


ODDITIES = {
    "periodic_stalls": (
        "Periodic stalls",
        "the typical rate and the rate by total time differ, so some windows stall",
    ),
    "busy_while_waiting": (
        "Busy while waiting",
        "CPU time was used while others had their turn, which may have slowed them down",
    ),
    "more_threads_than_set": (
        "More threads than set",
        "more CPU time was used than the set threads account for",
    ),
}


def _odd_contenders(judgement: Judgement, cast: Cast) -> Iterator[Banner]:
    for kind, (title, meaning) in ODDITIES.items():
        worst: dict[str, float] = {}
        for flag in judgement.contender_flags:
            if flag.kind == kind:
                name = cast.name(flag.cell, twin=flag.twin)
                worst[name] = max(worst.get(name, flag.value), flag.value, key=abs)
        if worst:
            values = joined([f"{name} {percent(value)}" for name, value in worst.items()])
            yield Banner(tone="doubt", title=title, text=f"{values}: {meaning}.")


def _names(cells: Iterable[str], cast: Cast) -> str:
    return joined(list(dict.fromkeys(map(cast.name, cells))))
