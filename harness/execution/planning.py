"""From a suite and the command line's selection to cells, groups and looks. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from harness.errors import UsageError
from harness.execution.schedule import LEAD_IN_STEPS
from harness.spec.cells import Cell
from harness.spec.implementations import Implementation
from harness.spec.manifest import Group
from harness.spec.recipes import Recipe
from harness.spec.selection import FrameworkChoice, Selection
from harness.spec.suites import Suite

T = TypeVar("T")

DEFAULT_LOOKS = (10, 20)
LOADER_ROUNDS = 2
"""Of half an epoch each."""
FEWEST_BLOCKS_FOR_A_VERDICT = 5


class Choice(NamedTuple):
    """An implementation in a version (none: the one that its requirements file pins), or with a
    requirement of its own (see ``FrameworkChoice``)."""

    implementation: Implementation
    version: str | None

    @property
    def interpreter(self) -> str | None:
        """The one that is there already for it, if any."""
        return self.implementation.interpreter(self.version)


class Installed(NamedTuple):
    """A choice whose environment is there."""

    choice: Choice
    version: str
    variant: str = ""


class LeftOut(NamedTuple):
    """Something that was asked for and can't be, with the reason."""

    what: str
    reason: str


def named(kind: str, name: str, known: Mapping[str, T]) -> T:
    """The entry of ``known`` that ``name`` stands for.

    Raises:
        UsageError: there is none; the text lists what there is, the likeliest first.
    """
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"'levelfield list {kind}s' shows them"
    raise UsageError(f"No {kind} {name!r}, expected one of {', '.join(known)}: {hint}")


def chosen_implementations(
    suite: Suite, selection: Selection, known: Mapping[str, Implementation]
) -> list[Choice]:
    """The frameworks to measure, the suite's order first where the command line names none.

    Those that the user brings along follow. Others of our own only where the suite wants every
    framework, so that a folder more under ``impls/`` changes no suite that is there.
    """
    frameworks = {
        name: one for name, one in known.items() if one.role == "framework" and not one.variant
    }
    # Whoever names interpreters, and nothing else, wants to see those measured.
    given = tuple(one.choice for one in selection.pythons if one.name in frameworks)
    if selection.frameworks or given:
        asked = selection.frameworks or given
    else:
        listed = [name for name in suite.frameworks if name in frameworks]
        every = suite.every_framework or not suite.frameworks
        others = [
            name
            for name, one in frameworks.items()
            if name not in suite.frameworks and (every or not one.is_our_own)
        ]
        asked = tuple(FrameworkChoice(name) for name in (*listed, *others))
    choices = [Choice(named("framework", one.name, frameworks), one.version) for one in asked]
    check_pythons_used(selection, choices, known)
    return choices


def check_pythons_used(
    selection: Selection, choices: Iterable[Choice], known: Mapping[str, Implementation]
) -> None:
    """Each interpreter of the command line is that of a choice, or the oracle's.

    Raises:
        UsageError: one would silently do nothing.
    """
    used = {(choice.implementation.name, choice.version or "") for choice in choices}
    used |= {(name, "") for name, one in known.items() if one.role == "oracle"}
    for one in selection.pythons:
        if (one.name, one.label) not in used:
            names = ", ".join(f"{name}@{asked}" if asked else name for name, asked in sorted(used))
            raise UsageError(
                f"--python {one.word} is for nobody who takes part, expected one for {names}: name "
                f"{one.word} as a framework to measure too, or leave it out"
            )


def chosen_recipes(suite: Suite, selection: Selection, known: Mapping[str, Recipe]) -> list[Recipe]:
    """The recipes to measure, with the overrides that command line and suite ask for."""
    names = selection.recipes or suite.recipes
    epochs = selection.epochs if selection.epochs is not None else suite.epochs
    return [
        named("recipe", name, known).overridden(
            dataset=selection.dataset, epochs=epochs, batch_size=batch_size
        )
        for name in names
        for batch_size in selection.batch_sizes or (suite.override(name).batch_size,)
    ]


def check_batches(recipes: Iterable[Recipe], train_examples: Mapping[str, int]) -> None:
    """An epoch of each recipe has a window: the lead-in and a step that is timed.

    ``train_examples``: by dataset.

    Raises:
        UsageError: a batch is too large for that.
    """
    for recipe in recipes:
        most = train_examples[recipe.dataset] // (LEAD_IN_STEPS + 1)
        if recipe.batch_size > most:
            raise UsageError(
                f"--batch-size is {recipe.batch_size}, expected at most {most}, for "
                f"{LEAD_IN_STEPS + 1} steps in an epoch of {recipe.dataset}: name a smaller one"
            )


def chosen_modes(
    suite: Suite, selection: Selection, implementations: Iterable[Implementation], device: str
) -> tuple[dict[str, list[str]], list[LeftOut]]:
    """Framework → modes to measure, and what was asked for but does not exist.

    Raises:
        UsageError: no framework has any of the modes asked for.
    """
    modes: dict[str, list[str]] = {}
    left_out = []
    implementations = list(implementations)
    asked = selection.modes or suite.modes
    for one in implementations:
        extra = [mode for name, mode in suite.extra_contenders if name == one.name]
        # Two revisions of an implementation are measured in the same modes, which both have.
        usual = asked or tuple(modes.get(one.name, (one.default_mode_on(device), *extra)))
        wanted = [mode for mode in usual if mode in modes.get(one.name, usual)]
        modes[one.name] = [mode for mode in wanted if mode in one.modes]
        left_out += [
            LeftOut(f"{one.name} {mode}", f"{one.title} has no mode {mode}")
            for mode in wanted
            if mode not in one.modes and (selection.modes or not asked)
        ]
    if not any(modes.values()):
        known = sorted({mode for one in implementations for mode in one.modes})
        if not asked:
            why = "; ".join(each.reason for each in left_out)
            raise UsageError(f"Nothing to compare: {why}, expected a mode that both have")
        raise UsageError(
            f"No framework has the mode {', '.join(asked)}, expected one of {', '.join(known)}: "
            "'levelfield list frameworks' shows them"
        )
    return modes, left_out


def cells_of(
    recipes: Iterable[Recipe],
    installed: Iterable[Installed],
    modes: Mapping[str, list[str]],
    selection: Selection,
    device: str,
    threads: Sequence[int],
) -> list[Cell]:
    """Every combination, recipe by recipe, each once."""
    installed = list(installed)
    cells = [
        Cell(
            recipe=recipe,
            framework=choice.implementation.name,
            version=version,
            variant=variant,
            mode=mode,
            input=source,
            loader_workers=0 if source == "resident" else selection.loader_workers,
            device=device,
            threads=number,
            settings=settings,
        )
        for recipe in recipes
        for number in threads
        for source in selection.inputs
        for settings in selection.settings
        for choice, version, variant in installed
        if source in choice.implementation.inputs
        for mode in modes[choice.implementation.name]
    ]
    return list({cell.id: cell for cell in cells}.values())


def in_pairs(cells: Sequence[Cell]) -> tuple[list[Cell], list[LeftOut]]:
    """The cells of which two versions or variants are there, and the others.

    Raises:
        UsageError: all are alone.
    """
    counts = Counter(cell.series for cell in cells)
    alone = [
        LeftOut(cell.id, "nothing is there to compare it with")
        for cell in cells
        if counts[cell.series] == 1
    ]
    if len(alone) == len(cells):
        raise UsageError(
            f"Nothing to compare: {', '.join(each.what for each in alone)} would each stand alone, "
            "expected one on both sides: choose another base, mode or input"
        )
    return [cell for cell in cells if counts[cell.series] > 1], alone


def without_input(selection: Selection, implementations: Iterable[Implementation]) -> list[LeftOut]:
    """Which frameworks can't take part with which input that was asked for.

    Raises:
        UsageError: there is none that can, for some input.
    """
    implementations = list(implementations)
    left_out = []
    for source in selection.inputs:
        lacking = [one for one in implementations if source not in one.inputs]
        if len(lacking) == len(implementations):
            raise UsageError(
                f"No framework has the input {source}, expected one whose impl.toml lists it: "
                "name another with -f, or leave --input out"
            )
        left_out += [
            LeftOut(f"{one.name} {source}", f"{one.title} has no input {source}") for one in lacking
        ]
    return left_out


def groups_of(cells: Iterable[Cell], reference: str | None, *, paired: bool = False) -> list[Group]:
    """Cells that may be compared, the reference contender first.

    On a GPU those with settings ``stock`` are groups of their own, and so never alive beside
    matched ones: contenders share its memory while they wait, and what takes all that it can get
    would starve the others. ``paired``: only a cell's versions and variants with each other. Groups
    that differ in threads alone have their long trials once.

    Raises:
        UsageError: ``reference`` names no contender.
    """

    def name_of(cell: Cell) -> str:
        return cell.series if paired else _group_name(cell)

    groups: dict[str, list[Cell]] = {}
    most_threads: dict[str, int] = {}
    for cell in cells:
        groups.setdefault(name_of(cell), []).append(cell)
        alike = _whatever_threads(cell, name_of)
        most_threads[alike] = max(cell.threads, most_threads.get(alike, 0))
    if reference is not None:
        for members in groups.values():
            fitting = [cell for cell in members if reference in names_of(cell)]
            if not fitting:
                known = ", ".join(cell.contender for cell in members)
                raise UsageError(
                    f"No contender {reference!r} for --reference, expected one of {known}, "
                    "or a framework's name: name one of these"
                )
            members.remove(fitting[0])
            members.insert(0, fitting[0])
    return [
        Group(
            name=name,
            cells=tuple(cell.id for cell in members),
            long_trials=members[0].threads == most_threads[_whatever_threads(members[0], name_of)],
        )
        for name, members in groups.items()
    ]


def _whatever_threads(cell: Cell, name_of: Callable[[Cell], str]) -> str:
    return name_of(msgspec.structs.replace(cell, threads=0))


def paced(
    groups: Iterable[Group],
    cells: Iterable[Cell],
    suite: Suite,
    train_examples: Mapping[str, int],
    known: Mapping[str, Recipe],
) -> list[Group]:
    """``groups``, each with the windows that suit its model and input.

    Numbers of steps are for the batch that ``suite``, or the recipe among those ``known``, has; a
    window of another batch has about as many examples.

    A loader's windows are half an epoch: its queues are full when a short one begins, and a short
    one would measure how long they last. Others are never longer than an epoch, whose batches are
    staged together. ``train_examples``: by dataset.
    """
    by_id = {cell.id: cell for cell in cells}
    result = []
    for group in groups:
        cell = by_id[group.cells[0]]
        override = suite.override(cell.recipe.name)
        rounds, window_steps = override.rounds, override.window_steps
        usual_batch = override.batch_size or known[cell.recipe.name].batch_size
        if window_steps is None and suite.window_examples is not None:
            window_steps = max(1, suite.window_examples // cell.recipe.batch_size)
        elif cell.recipe.batch_size != usual_batch:
            examples = (window_steps or suite.window_steps) * usual_batch
            window_steps = max(1, round(examples / cell.recipe.batch_size))
        if cell.loads:
            half_epoch = train_examples[cell.recipe.dataset] // cell.recipe.batch_size // 2
            rounds, window_steps = LOADER_ROUNDS, max(1, half_epoch - LEAD_IN_STEPS)
        longest = train_examples[cell.recipe.dataset] // cell.recipe.batch_size - LEAD_IN_STEPS
        if (window_steps or suite.window_steps) > longest:
            window_steps = max(1, longest)
        result.append(msgspec.structs.replace(group, rounds=rounds, window_steps=window_steps))
    return result


def _group_name(cell: Cell) -> str:
    apart = cell.settings == "stock" and cell.device != "cpu"
    return f"{cell.group}-stock" if apart else cell.group


def names_of(cell: Cell) -> set[str]:
    """What ``--reference`` may call a cell."""
    names = {cell.framework, f"{cell.framework}/{cell.mode}", cell.contender, cell.id}
    if cell.device != "cpu":
        # Matched and stock ones are in two groups: one name serves for both.
        names.add(cell.contender.removesuffix("-stock"))
    return names


def looks_of(suite: Suite, selection: Selection) -> tuple[int, ...]:
    """Numbers of blocks after which verdicts are looked at.

    Raises:
        UsageError: a number that is none.
    """
    blocks = selection.blocks if selection.blocks is not None else suite.blocks
    if blocks is None:
        return DEFAULT_LOOKS
    if blocks < 0:
        raise UsageError(f"--blocks is {blocks}, expected 0 or more: 5 or more give verdicts")
    return (blocks,)


def affordable_blocks(budget_seconds: float, spent_seconds: float, block_seconds: float) -> int:
    """How many blocks a budget allows, fixed from the first block's duration; at least 1."""
    return max(1, int((budget_seconds - spent_seconds) // block_seconds) + 1)
