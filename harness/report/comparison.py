"""Several runs side by side: their verdicts, rates and machines, and no verdict across runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from harness.analysis.observations import Observations
from harness.report.comparison_sections import (
    accuracy_section,
    machines_section,
    pairs_section,
    rates_section,
)
from harness.report.figures import Style
from harness.report.formats import (
    count,
    joined,
    moment,
)
from harness.report.lineup import Line, lined_up, players_of
from harness.report.page import (
    Banner,
    Page,
    Player,
    VerdictGroup,
    said_once,
)
from harness.report.sentences import verdict_groups
from harness.spec.machine import Machine

NOT_INTERLEAVED = (
    "Each run was measured at its own time, so a difference between two runs holds whatever "
    "changed on the machine in between. No verdict is made across runs; those below are each "
    "run's own, of contenders that took turns. Put what you want to compare into one run."
)


def comparison_of(runs: Sequence[Observations]) -> Page:
    """A page of ``runs``, two or more, in the order given."""
    told = [lined_up(run) for run in runs]
    players = players_of(told)
    machines = [run.manifest.machine for run in runs]
    same = len({machine.fingerprint for machine in machines}) == 1
    return Page(
        title=f"Level Field: {count(len(runs), 'run')} side by side",
        subtitle=joined([each.name for each in told]),
        facts=(
            ("Machines", _machines_in_words(machines, same=same)),
            ("Measured", moment(max(run.manifest.created for run in runs))),
        ),
        banners=tuple(_banners(same)),
        verdicts=tuple(
            _named(group, each.name)
            for each in told
            for group in verdict_groups(each.run, each.judgement)
        ),
        sections=(
            said_once(pairs_section(told, players)),
            said_once(rates_section(told, players)),
            said_once(accuracy_section(told, players)),
            machines_section(told),
        ),
        players=tuple(
            Player(
                colour=style.colour,
                variant=style.variant,
                framework=players.frameworks[line],
                name=players.names[line],
            )
            for line, style in sorted(
                _one_each(players.styles), key=lambda each: (each[1].colour, each[1].variant)
            )
        ),
        again=shlex.join(("levelfield", "report", *(each.name for each in told))),
    )


def _machines_in_words(machines: Sequence[Machine], *, same: bool) -> str:
    names = list(dict.fromkeys(machine.cpu for machine in machines))
    return joined(names) + ("" if same or len(names) > 1 else ", not the same machine")


def _one_each(styles: Mapping[Line, Style]) -> list[tuple[Line, Style]]:
    """The first line of each style: two recipes' lines of one framework share theirs."""
    first: dict[Style, Line] = {}
    for line, style in styles.items():
        first.setdefault(style, line)
    return [(line, style) for style, line in first.items()]


def _banners(same_machine: bool) -> Iterator[Banner]:
    if not same_machine:
        yield Banner(
            tone="bad",
            title="The machines differ",
            text="What differs between runs may be the machine alone; see Machines and versions.",
        )
    yield Banner(tone="doubt", title="These runs are not interleaved", text=NOT_INTERLEAVED)


def _named(group: VerdictGroup, run: str) -> VerdictGroup:
    return msgspec.structs.replace(group, title=f"{group.title}, run {run}")
