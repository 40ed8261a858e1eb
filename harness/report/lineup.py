"""Runs to be put side by side: what their contenders have in common, and their looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.analysis.judgement import Judgement
from harness.analysis.observations import Observations
from harness.analysis.verdicts import judge
from harness.report.cast import Cast, cast_of, label_of
from harness.report.figures import Style
from harness.report.page import Datum

Line = tuple[str, ...]
"""What makes cells of different runs the same contender: what it trains, framework, mode, input,
device, threads, settings, whether it is a variant, and its number among those of its run that are
equal otherwise: all but version and variant."""


class Told(NamedTuple):
    """One run, judged, with its contenders by what they have in common with those of others."""

    run: Observations
    judgement: Judgement
    cast: Cast
    lines: Mapping[str, Line]
    """Cell id → its line."""

    @property
    def name(self) -> str:
        """The run's id."""
        return self.run.manifest.run


class Players(NamedTuple):
    """Every line of any run, with its looks and names, in order of appearance."""

    styles: dict[Line, Style]
    names: dict[Line, str]
    frameworks: dict[Line, str]

    def datum(self, line: Line) -> Datum:
        """A table's cell that names the contender, with its colour."""
        style = self.styles[line]
        return Datum(self.names[line], colour=style.colour, variant=style.variant, strong=True)


def lined_up(run: Observations) -> Told:
    """``run``, judged, each of its cells with its line."""
    seen: dict[Line, int] = {}
    lines = {}
    for cell in run.manifest.cells:
        line = (
            label_of(cell),
            cell.framework,
            cell.mode,
            cell.input,
            cell.device,
            f"{cell.threads}",
            cell.settings,
            "variant" if cell.variant else "",
        )
        # Two versions in one run are two lines.
        seen[line] = seen.get(line, 0) + 1
        lines[cell.id] = (*line, f"{seen[line]}")
    return Told(run, judge(run), cast_of(run.manifest), lines)


def players_of(told: Sequence[Told]) -> Players:
    """The contenders of all runs; one framework has one colour in all of them."""
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
    return Players(styles, _distinct(names), titles)


def _distinct(names: Mapping[Line, str]) -> dict[Line, str]:
    """The names, and mode, device, threads or settings where those of a recipe are equal."""
    found = dict(names)
    for line, name in names.items():
        alike = [each for each in names if (each[0], names[each]) == (line[0], name)]
        parts = [line[2], line[4], f"{line[5]} threads", line[6]]
        differ = [len({each[place] for each in alike}) > 1 for place in (2, 4, 5, 6)]
        extra = [part for part, told in zip(parts, differ, strict=True) if told]
        found[line] = f"{name} ({', '.join(extra)})" if extra else name
    return found
