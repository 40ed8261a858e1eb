"""Who takes part in a run, under which name and with which colour, the same on every page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from harness.report.figures import Style
from harness.report.formats import count
from harness.spec.cells import Cell
from harness.spec.manifest import Group, Manifest
from harness.spec.recipes import Recipe

SECOND_COPY = "second copy"


class Member(NamedTuple):
    """One contender of the run."""

    cell: Cell | None
    """Nothing for a cell id that the manifest does not know."""
    name: str
    """As short as its group allows: a title, and what tells it apart from others of that title."""
    full_name: str
    """The title with version, variant, mode and settings."""
    style: Style


class Cast(NamedTuple):
    """Every contender of a run by cell id, and the groups they meet in."""

    members: dict[str, Member]
    groups: tuple[Group, ...]

    def member(self, cell: str) -> Member:
        """The contender with this cell id; an unknown id stands for itself."""
        return self.members.get(cell) or Member(None, cell, cell, Style(0))

    def name(self, cell: str, *, twin: bool = False) -> str:
        """Its short name."""
        name = self.member(cell).name
        return f"{name}, {SECOND_COPY}" if twin else name

    def style(self, cell: str) -> Style:
        """Its colour and variant."""
        return self.member(cell).style

    def group(self, name: str) -> Group:
        """The group of this name."""
        known = {group.name: group for group in self.groups}
        return known.get(name) or Group(name=name, cells=())

    def number(self, group: Group) -> int:
        """Its place in the plan, from 1: what file names tell groups apart by."""
        names = [each.name for each in self.groups]
        return names.index(group.name) + 1 if group.name in names else 0

    def title(self, group: Group) -> str:
        """What a reader calls the group: ``lenet-sgd on cpu with 2 threads, resident input``."""
        cell = next((cell for each in group.cells if (cell := self.member(each).cell)), None)
        if group.title or cell is None:
            return group.title or group.name
        return f"{cell.recipe.label} {place_in_words(cell)}"

    def label(self, group: Group) -> str:
        """The recipe that the group trains, with its overrides, its input if it is its own, and its
        threads where the run has several numbers of them."""
        cell = next((cell for each in group.cells if (cell := self.member(each).cell)), None)
        if cell is None:
            return group.name.split("/")[0]
        threads = {member.cell.threads for member in self.members.values() if member.cell}
        several = f" with {count(cell.threads, 'thread')}" if len(threads) > 1 else ""
        return f"{label_of(cell)}{several}"

    def recipe(self, group: Group) -> Recipe | None:
        """The recipe that the group trains."""
        cells = [self.member(cell).cell for cell in group.cells]
        return next((cell.recipe for cell in cells if cell), None)


def cast_of(manifest: Manifest) -> Cast:
    """Names and colours, assigned in the order of the plan."""
    cells = {cell.id: cell for cell in manifest.cells}
    frameworks = list(dict.fromkeys(cell.framework for cell in manifest.cells))
    members: dict[str, Member] = {}
    for group in manifest.plan.groups or (Group(name="", cells=tuple(cells)),):
        own = [cells[cell] for cell in group.cells if cell in cells]
        names = _short_names(own, manifest.titles)
        for cell in own:
            siblings = [each for each in own if each.framework == cell.framework]
            members[cell.id] = Member(
                cell=cell,
                name=names[cell.id],
                full_name=_full_name(cell, manifest.titles),
                style=Style(frameworks.index(cell.framework), siblings.index(cell)),
            )
    return Cast(members, manifest.plan.groups)


def place_in_words(cell: Cell) -> str:
    """``on cpu with 2 threads, resident input``."""
    return f"on {cell.device} with {count(cell.threads, 'thread')}, {input_in_words(cell)}"


def input_in_words(cell: Cell) -> str:
    """``resident input``, ``loader input with 2 workers``."""
    if not cell.loads:
        return f"{cell.input} input"
    return f"{cell.input} input with {count(cell.loader_workers, 'worker')}"


def label_of(cell: Cell) -> str:
    """The recipe that it trains, with its overrides, and its input if it is its own."""
    label = cell.recipe.label
    return f"{label} ({input_in_words(cell)})" if cell.loads else label


def _short_names(cells: list[Cell], titles: dict[str, str]) -> dict[str, str]:
    """Cell id → the title, and as much more as it takes to tell the cells apart."""
    extras: list[Callable[[Cell], str]] = [
        _build,
        lambda cell: f"({cell.mode})",
        lambda cell: f"[{cell.settings}]",
    ]
    names = {cell.id: titles.get(cell.framework, cell.framework) for cell in cells}
    for extra in extras:
        for name in _repeated(names.values()):
            alike = [cell for cell in cells if names[cell.id] == name]
            if len({extra(cell) for cell in alike}) > 1:
                names.update({cell.id: f"{name} {extra(cell)}" for cell in alike})
    for name in _repeated(names.values()):
        names.update({key: key for key, value in names.items() if value == name})
    return names


def _build(cell: Cell) -> str:
    """``2.14.1``, ``2.14.1 (base-1a2b3c4d5e6f)``."""
    return f"{cell.version} ({cell.variant})" if cell.variant else cell.version


def _repeated(names: Iterable[str]) -> list[str]:
    listed = list(names)
    return [name for name in dict.fromkeys(listed) if listed.count(name) > 1]


def _full_name(cell: Cell, titles: dict[str, str]) -> str:
    stock = ", stock settings" if cell.settings == "stock" else ""
    title = titles.get(cell.framework, cell.framework)
    return f"{title} {_build(cell)}, {cell.mode}{stock}"
