"""The sections of a page that puts runs side by side: pairs, rates, accuracy, machines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from harness.analysis.curves import curves
from harness.analysis.judgement import Rate, Verdict
from harness.report.figures import Bar, Bars
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
from harness.report.lineup import Line, Players, Told
from harness.report.page import (
    Block,
    Column,
    Datum,
    Figure,
    Gallery,
    Paragraph,
    Section,
    Table,
)
from harness.report.sentences import shown_interval
from harness.spec.machine import Machine


def _columns(told: Sequence[Told], *, number: bool = True) -> tuple[Column, ...]:
    return tuple(Column(each.name, number=number) for each in told)


def _recipes(players: Players) -> list[str]:
    return list(dict.fromkeys(line[0] for line in players.styles))


def pairs_section(told: Sequence[Told], players: Players) -> Section:
    """Each pair of contenders with its ratio in each run."""
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
        if not rows:
            blocks.append(Paragraph(text=f"No pair was compared on {recipe}.", tone="quiet"))
            continue
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


def _ratio(each: Told, line: Line, against: Line) -> Datum:
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
    blocks = count(verdict.blocks, "block")
    return Datum(Amount(f"{shown}, {blocks}, {word}", value, "×"))


def rates_section(told: Sequence[Told], players: Players) -> Section:
    """Examples per second of each contender in each run."""
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
                    if any((line, each.name) in rates for each in told)
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
    told: Sequence[Told],
    players: Players,
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
    order_of_runs = "; ".join(f"run {i} is {each.name}" for i, each in enumerate(told, start=1))
    return Figure(
        name=f"rates-{index}",
        caption=f"Examples per second while training {recipe}; longer is faster, with "
        f"95 % intervals over the blocks of each run. Here {order_of_runs}.",
        chart=Bars(unit="examples/s", bars=tuple(bars)),
    )


def accuracy_section(told: Sequence[Told], players: Players) -> Section:
    """Test accuracy at the end of each run's long trials."""
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
        lines = [
            line
            for line in players.styles
            if line[0] == recipe and any((line, each.name) in final for each in told)
        ]
        if not lines:
            continue
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


def machines_section(told: Sequence[Told]) -> Section:
    """Machines, versions and plans, with what differs marked."""
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
