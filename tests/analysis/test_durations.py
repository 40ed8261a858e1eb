"""How long blocks took, and what follows for the next run."""

from __future__ import annotations

import msgspec
import pytest

from harness.analysis.durations import durations, kind_of, latest_first, seconds_ahead
from harness.analysis.observations import Observations
from harness.spec.durations import GroupDurations
from harness.spec.events import BlockFinished, TrialStarted

from . import runs

KNOWN = GroupDurations(short_seconds=10.0, epoch_seconds=3.0)


def run_taking(*lengths: float, long: bool = False) -> Observations:
    """A run of one group, whose blocks take so many seconds."""
    of = runs.cell("alpha")
    events = []
    for number, seconds in enumerate(lengths, start=1):
        events += [
            TrialStarted(
                at=100.0 * number, trial=number, block=number, group=of.group, cell=of.id,
                long=long, seed=1,
            ),
            BlockFinished(
                at=100.0 * number + seconds, block=number, group=of.group, long=long,
                trials=(number,),
            ),
        ]  # fmt: skip
    return Observations(runs.run_of(events, ["alpha"]))


def test_a_kind_has_the_median_of_its_blocks():
    run = run_taking(10.0, 12.0, 99.0)
    [(kind, taken)] = durations(run).items()
    assert taken == GroupDurations(short_seconds=12.0)
    assert "1." not in kind.removeprefix(run.manifest.plan.groups[0].name), "no version in it"


def test_a_long_block_counts_by_epoch():
    run = run_taking(30.0, long=True)
    epochs = next(iter(run.cells.values())).recipe.epochs
    [taken] = durations(run).values()
    assert taken == GroupDurations(epoch_seconds=30.0 / epochs)


def test_what_was_taken_over_took_no_time():
    run = run_taking(5.0, long=True)
    events = [
        msgspec.structs.replace(each, trained_at=1.0) if isinstance(each, TrialStarted) else each
        for each in run.events
    ]
    assert durations(Observations(msgspec.structs.replace(run.run, events=events))) == {}


def test_all_groups_have_to_be_known():
    run = run_taking(10.0)
    [group] = run.manifest.plan.groups
    kind = kind_of(group, run.cells, aa=True)
    epochs = run.cells[group.cells[0]].recipe.epochs

    def ahead(known: dict[str, GroupDurations], blocks: int, trainings: int) -> float | None:
        return seconds_ahead([group], run.cells, known, aa=True, blocks=blocks, trainings=trainings)

    assert ahead({kind: KNOWN}, 10, 2) == 100.0 + 2 * epochs * 3.0
    assert ahead({}, 10, 0) is None
    assert ahead({kind: GroupDurations(short_seconds=10.0)}, 10, 1) is None
    assert ahead({kind: GroupDurations(short_seconds=10.0)}, 10, 0) == 100.0
    assert ahead({}, 0, 0) == 0.0
    assert seconds_ahead([group], run.cells, {kind: KNOWN}, aa=False, blocks=1, trainings=0) is None


def test_the_newest_stands_for_earlier_ones_and_lacks_nothing_that_they_had():
    merged = latest_first(
        {"a": KNOWN, "b": KNOWN}, {"a": GroupDurations(short_seconds=8.0)}, most=2
    )
    assert merged["a"] == GroupDurations(short_seconds=8.0, epoch_seconds=3.0)
    assert list(merged) == ["a", "b"]
    assert list(latest_first({"a": KNOWN}, {"b": KNOWN, "c": KNOWN}, most=2)) == ["b", "c"]


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"a": {"short_seconds": -1}}'])
def test_durations_that_cannot_be_read_are_none(tmp_path, monkeypatch, content):
    from harness.store.durations import keep_durations, read_durations

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    machine = run_taking(1.0).manifest.machine
    keep_durations(machine, {"a": KNOWN})
    assert read_durations(machine) == {"a": KNOWN}
    [file] = (tmp_path / "levelfield" / "durations").iterdir()
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert read_durations(machine) == {}
