"""How long the blocks of a run took."""

from __future__ import annotations

from collections import defaultdict
from statistics import mean

from harness.analysis.observations import Observations
from harness.spec.events import BlockFinished, TrialStarted


def block_seconds(run: Observations) -> dict[str, float]:
    """Group → mean seconds of its finished short blocks, from the first spawn to the end."""
    began: dict[int, float] = {}
    lengths: defaultdict[str, list[float]] = defaultdict(list)
    for event in run.events:
        if isinstance(event, TrialStarted):
            began[event.trial] = event.at
        elif isinstance(event, BlockFinished) and not event.long:
            starts = [began[trial] for trial in event.trials if trial in began]
            if starts:
                lengths[event.group].append(event.at - min(starts))
    return {group: mean(own) for group, own in lengths.items()}
