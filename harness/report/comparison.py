"""Several runs side by side: their verdicts, rates and machines, and no verdict across runs."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from harness.analysis.curves import curves
from harness.analysis.judgement import Judgement, Rate, Verdict
from harness.analysis.verdicts import judge
from harness.report.cast import Cast, cast_of
from harness.report.figures import Bar, Bars, Style
from harness.report.formats import (
    NOTHING,
    Amount,
    accuracy,
    bounds,
    count,
    gibibytes,
    moment,
    number,
    times,
    wide_bounds,
)
from harness.report.page import (
    Banner,
    Block,
    Column,
    Datum,
    Figure,
    Gallery,
    Page,
    Paragraph,
    Player,
    Section,
    Table,
    VerdictGroup,
)
from harness.report.sentences import joined, shown_interval, verdict_groups
from harness.spec.cells import Cell
from harness.spec.events import Run
from harness.spec.machine import Machine

NOT_INTERLEAVED = (
    "Each run was measured at its own time, so a difference between two runs holds whatever "
    "changed on the machine in between. No verdict is made across runs; those below are each "
    "run's own, of contenders that took turns. Put what you want to compare into one run."
)

Line = tuple[str, ...]
"""What makes cells of different runs the same contender: everything but the version."""


class _Told(NamedTuple):
    """One run, judged, with its contenders by what they have in common with those of others."""

    run: Run
    judgement: Judgement
    cast: Cast
    lines: Mapping[str, Line]
    """Cell id → its line."""

    @property
    def name(self) -> str:
        return self.run.manifest.run

    def cell(self, line: Line) -> Cell | None:
        """This run's cell of ``line``."""
        cells = [each for each in self.run.manifest.cells if self.lines[each.id] == line]
        return cells[0] if cells else None


class _Players(NamedTuple):
    """Every line of any run, with its looks and names, in order of appearance."""

    styles: dict[Line, Style]
    names: dict[Line, str]
    frameworks: dict[Line, str]

    def datum(self, line: Line) -> Datum:
        style = self.styles[line]
        return Datum(self.names[line], colour=style.colour, variant=style.variant, strong=True)


def comparison_of(runs: Sequence[Run]) -> Page:
    """A page of ``runs``, two or more, in the order given."""
    told = [_told(run) for run in runs]
    players = _players(told)
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
            _pairs_section(told, players),
            _rates_section(told, players),
            _accuracy_section(told, players),
            _machines_section(told),
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


def _told(run: Run) -> _Told:
    seen: dict[Line, int] = {}
    lines = {}
    for cell in run.manifest.cells:
        line = (
            cell.recipe.label,
            cell.framework,
            cell.mode,
            cell.input,
            cell.device,
            f"{cell.threads}",
            cell.settings,
        )
        # Two versions in one run are two lines.
        seen[line] = seen.get(line, 0) + 1
        lines[cell.id] = (*line, f"{seen[line]}")
    return _Told(run, judge(run), cast_of(run.manifest), lines)


def _players(told: Sequence[_Told]) -> _Players:
    styles: dict[Line, Style] = {}
    names: dict[Line, str] = {}
    titles: dict[Line, str] = {}
    frameworks: list[str] = []
    for each in told:
        for cell in each.run.manifest.cells:
            line = each.lines[cell.id]
            if line in styles:
                continue
            if cell.framework not in frameworks:
                frameworks.append(cell.framework)
            recipe_and_framework = [known[:2] for known in styles]
            styles[line] = Style(
                frameworks.index(cell.framework), recipe_and_framework.count(line[:2])
            )
            names[line] = each.cast.name(cell.id)
            titles[line] = each.run.manifest.titles.get(cell.framework, cell.framework)
    return _Players(styles, names, titles)


def _banners(same_machine: bool) -> Iterator[Banner]:
    if not same_machine:
        yield Banner(
            tone="bad",
            title="The machines differ",
            text="What differs between runs may be the machine alone; see Machines and versions.",
        )
    yield Banner(tone="doubt", title="These runs are not interleaved", text=NOT_INTERLEAVED)


def _named(group: VerdictGroup, run: str) -> VerdictGroup:
    return VerdictGroup(
        title=f"{group.title}, run {run}",
        order=group.order,
        contenders=group.contenders,
        badges=group.badges,
        lines=group.lines,
    )


def _columns(told: Sequence[_Told], *, number: bool = True) -> tuple[Column, ...]:
    return tuple(Column(each.name, number=number) for each in told)


def _recipes(players: _Players) -> list[str]:
    return list(dict.fromkeys(line[0] for line in players.styles))


def _pairs_section(told: Sequence[_Told], players: _Players) -> Section:
    blocks: list[Block] = []
    for recipe in _recipes(players):
        lines = [line for line in players.styles if line[0] == recipe]
        rows = [
            (
                players.datum(line),
                players.datum(against),
                *(_ratio(each, line, against) for each in told),
            )
            for against, line in combinations(lines, 2)
        ]
        rows = [row for row in rows if any(datum.text != NOTHING for datum in row[2:])]
        blocks.append(
            Table(
                caption=f"Times as fast, {recipe}",
                columns=(Column("Contender"), Column("Against"), *_columns(told)),
                rows=tuple(rows),
                note="Each with its run's own interval and verdict on the first contender.",
            )
        )
    return Section(
        id="pairs",
        title="Pairs",
        lead="The same pair in each run. Ratios within a run are known better than rates, and "
        "travel better from one day to the next.",
        blocks=tuple(blocks),
    )


def _ratio(each: _Told, line: Line, against: Line) -> Datum:
    for verdict in each.judgement.verdicts:
        pair = (each.lines.get(verdict.cell), each.lines.get(verdict.against))
        if verdict.times_faster is None:
            continue
        if pair == (line, against):
            return _ratio_datum(verdict, turned=False)
        if pair == (against, line):
            return _ratio_datum(verdict, turned=True)
    return Datum(NOTHING, "quiet")


def _ratio_datum(verdict: Verdict, *, turned: bool) -> Datum:
    assert verdict.times_faster is not None
    value, interval = verdict.times_faster, shown_interval(verdict)
    word = verdict.verdict or verdict.status.replace("_", " ")
    if turned:
        value = 1 / value
        word = {"faster": "slower", "slower": "faster"}.get(word, word)
        if interval is not None:
            interval = type(interval)(
                low=1 / interval.high, high=1 / interval.low, confidence=interval.confidence
            )
    shown = f"{times(value)} {bounds(interval)}" if interval else times(value)
    return Datum(Amount(f"{shown} {word}", value, "×"))


def _rates_section(told: Sequence[_Told], players: _Players) -> Section:
    blocks: list[Block] = []
    for index, recipe in enumerate(_recipes(players), start=1):
        lines = [line for line in players.styles if line[0] == recipe]
        rates = {
            (line, each.name): rate
            for each in told
            for rate in each.judgement.rates
            if not rate.twin
            for line in lines
            if each.lines.get(rate.cell) == line
        }
        if not rates:
            blocks.append(Paragraph(text=f"No rate of {recipe} was measured.", tone="quiet"))
            continue
        blocks.append(Gallery(figures=(_rates_figure(index, recipe, lines, told, players, rates),)))
        blocks.append(
            Table(
                caption=f"Examples/s, {recipe}",
                columns=(Column("Contender"), *_columns(told)),
                rows=tuple(
                    (
                        players.datum(line),
                        *(_rate_datum(rates.get((line, each.name))) for each in told),
                    )
                    for line in lines
                ),
                note="Geometric mean over blocks of each block's median window, with its 95 % "
                "interval within the run: the spread from run to run is larger.",
            )
        )
    return Section(id="rates", title="Rates", blocks=tuple(blocks))


def _rate_datum(rate: Rate | None) -> Datum:
    if rate is None:
        return Datum(NOTHING, "quiet")
    value = rate.examples_per_second
    interval = f" {wide_bounds(rate.interval)}" if rate.interval else ""
    return Datum(Amount(f"{number(value)}{interval}, {count(rate.blocks, 'block')}", value))


def _rates_figure(
    index: int,
    recipe: str,
    lines: Sequence[Line],
    told: Sequence[_Told],
    players: _Players,
    rates: Mapping[tuple[Line, str], Rate],
) -> Figure:
    bars = []
    for line in lines:
        for order, each in enumerate(told, start=1):
            rate = rates.get((line, each.name))
            if rate is None:
                continue
            bars.append(
                Bar(
                    label=f"{players.names[line]}, run {order}",
                    style=players.styles[line],
                    value=rate.examples_per_second,
                    low=rate.interval.low if rate.interval else None,
                    high=rate.interval.high if rate.interval else None,
                    text=number(rate.examples_per_second),
                    faint=order % 2 == 0,
                )
            )
    order_of_runs = "; ".join(f"run {i}: {each.name}" for i, each in enumerate(told, start=1))
    return Figure(
        name=f"rates-{index}",
        caption=f"Examples per second while training {recipe}; longer is faster. {order_of_runs}.",
        chart=Bars(unit="examples/s (95 % interval)", bars=tuple(bars)),
    )


def _accuracy_section(told: Sequence[_Told], players: _Players) -> Section:
    final: dict[tuple[Line, str], list[float]] = {}
    for each in told:
        for curve in curves(each.run):
            last = curve.epochs[-1].test_accuracy if curve.epochs else None
            line = each.lines.get(curve.cell)
            if last is not None and line is not None:
                final.setdefault((line, each.name), []).append(last)
    if not final:
        nothing = Paragraph(text="None of these runs trained a whole recipe.", tone="quiet")
        return Section(id="accuracy", title="Accuracy", blocks=(nothing,))
    blocks = []
    for recipe in _recipes(players):
        lines = [line for line in players.styles if line[0] == recipe]
        blocks.append(
            Table(
                caption=f"Test accuracy after the last epoch, {recipe}",
                columns=(Column("Contender"), *_columns(told)),
                rows=tuple(
                    (
                        players.datum(line),
                        *(_accuracy_datum(final.get((line, each.name), [])) for each in told),
                    )
                    for line in lines
                ),
                note="The mean over seeds, where there are several.",
            )
        )
    return Section(id="accuracy", title="Accuracy", blocks=tuple(blocks))


def _accuracy_datum(found: Sequence[float]) -> Datum:
    return Datum(accuracy(math.fsum(found) / len(found)) if found else NOTHING)


def _machines_section(told: Sequence[_Told]) -> Section:
    machines = [_machine_facts(each.run.manifest.machine) for each in told]
    rows = [_row(label, [facts[label] for facts in machines]) for label in machines[0]]
    versions: dict[str, list[str]] = {}
    for index, each in enumerate(told):
        for environment in each.run.manifest.environments:
            title = each.run.manifest.titles.get(environment.framework, environment.framework)
            known = versions.setdefault(title, [NOTHING] * len(told))
            before = known[index]
            known[index] = (
                environment.version if before == NOTHING else f"{before}, {environment.version}"
            )
    plans = [
        {
            "Level Field": each.run.manifest.levelfield,
            "Commit": each.run.manifest.git_commit or NOTHING,
            "Measured": moment(each.run.manifest.created),
            "Suite": each.run.manifest.plan.suite,
            "Finished blocks": f"{sum(group.blocks for group in each.judgement.groups)}",
        }
        for each in told
    ]
    rows += [_row(title, found) for title, found in versions.items()]
    rows += [_row(label, [facts[label] for facts in plans]) for label in plans[0]]
    return Section(
        id="machines",
        title="Machines and versions",
        lead="What differs is marked.",
        blocks=(
            Table(
                caption="Machines, versions and plans",
                columns=(Column("What"), *_columns(told, number=False)),
                rows=tuple(rows),
            ),
        ),
    )


def _row(label: str, values: Sequence[str]) -> tuple[Datum, ...]:
    differ = len(set(values)) > 1
    return (Datum(label), *(Datum(value, "differs" if differ else "plain") for value in values))


def _machine_facts(machine: Machine) -> dict[str, str]:
    return {
        "CPU": machine.cpu,
        "Cores": f"{machine.cores}",
        "Memory": gibibytes(machine.memory_bytes),
        "System": machine.system or NOTHING,
        "Kernel": machine.kernel,
        "GPU": machine.gpu or "none used",
        "Driver": machine.driver or NOTHING,
    }
