"""How long blocks took, so that the next run of their kind can say beforehand how long it takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

import msgspec

from harness.analysis.observations import Observations
from harness.spec.cells import Cell
from harness.spec.durations import GroupDurations
from harness.spec.events import BlockFinished, TrialStarted
from harness.spec.manifest import Group


def kind_of(group: Group, cells: Mapping[str, Cell], *, aa: bool) -> str:
    """What blocks that take about as long have in common, whatever the frameworks' versions."""
    contenders = sorted(
        f"{cell.framework}/{cell.mode}/{cell.settings}"
        for cell in (cells[name] for name in group.cells)
    )
    return " ".join((group.name, *contenders, *(["A/A"] if aa else [])))


def durations(run: Observations) -> dict[str, GroupDurations]:
    """Kind of group → what its blocks took in ``run``; those without a finished block are left
    out, and so are those whose trials were taken over from an earlier run."""
    began = {event.trial: event for event in run.all(TrialStarted)}
    short: defaultdict[str, list[float]] = defaultdict(list)
    long: defaultdict[str, list[float]] = defaultdict(list)
    for end in run.all(BlockFinished):
        trials = [began[number] for number in end.trials if number in began]
        if not trials or any(one.trained_at is not None for one in trials):
            continue
        seconds = end.at - min(one.at for one in trials)
        if seconds > 0:
            (long if end.long else short)[end.group].append(seconds)
    found = {}
    for group in run.manifest.plan.groups:
        epochs = run.cells[group.cells[0]].recipe.epochs
        taken = GroupDurations(
            short_seconds=median(short[group.name]) if short[group.name] else None,
            epoch_seconds=median(long[group.name]) / epochs if long[group.name] else None,
        )
        if taken != GroupDurations():
            found[kind_of(group, run.cells, aa=run.manifest.plan.aa)] = taken
    return found


def seconds_ahead(
    groups: Iterable[Group],
    cells: Mapping[str, Cell],
    known: Mapping[str, GroupDurations],
    *,
    aa: bool,
    blocks: int,
    trainings: int,
) -> float | None:
    """Seconds that so many short blocks and whole trainings of each group will take.

    Nothing where a kind of group has never been measured.
    """
    total = 0.0
    for group in groups:
        taken = known.get(kind_of(group, cells, aa=aa), GroupDurations())
        first = cells[group.cells[0]]
        wanted = [(blocks, taken.short_seconds)]
        if group.long_trials and not first.loads:
            wanted.append((trainings * first.recipe.epochs, taken.epoch_seconds))
        for times, seconds in wanted:
            if times and seconds is None:
                return None
            total += times * (seconds or 0.0)
    return total


def latest_first(
    earlier: Mapping[str, GroupDurations], new: Mapping[str, GroupDurations], most: int
) -> dict[str, GroupDurations]:
    """Both, what is ``new`` in place of what it measures again; ``most`` kinds at most."""
    merged = {
        kind: _completed(taken, earlier.get(kind, GroupDurations())) for kind, taken in new.items()
    }
    merged |= {kind: taken for kind, taken in earlier.items() if kind not in merged}
    return dict(list(merged.items())[:most])


def _completed(new: GroupDurations, earlier: GroupDurations) -> GroupDurations:
    fields: Sequence[str] = GroupDurations.__struct_fields__
    lacking = {name: getattr(earlier, name) for name in fields if getattr(new, name) is None}
    return msgspec.structs.replace(new, **lacking)
