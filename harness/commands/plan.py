"""Everything about a run is decided here, before the first measurement."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness import __version__, paths
from harness.analysis.slowdown import planned_looks
from harness.commands.catalogue import Catalogue
from harness.commands.gpu_preflight import doubts_on_device
from harness.commands.inputs import find_datasets, on_found_dataset
from harness.commands.resources import (
    Resources,
    alive_together,
    code_digests,
    harness_versions,
    sync_environments,
)
from harness.commands.sketch import sketch_run
from harness.console import Console
from harness.environments.machine import (
    available_memory_bytes,
    inspect_machine,
)
from harness.environments.memory import (
    batches_bytes,
    memory_beyond_lenet_mib,
    memory_shortfall,
    shared_memory_left_bytes,
    shared_memory_shortfall,
)
from harness.environments.variables import worker_environment
from harness.errors import UsageError, WorkplaceError
from harness.execution.planning import (
    Choice,
    Installed,
    LeftOut,
    cells_of,
    check_batches,
    groups_of,
    in_pairs,
    paced,
)
from harness.execution.schedule import LEAD_IN_STEPS
from harness.spec.cells import Cell
from harness.spec.gates import GateTerms
from harness.spec.manifest import Manifest, Plan, Study
from harness.spec.selection import Selection
from harness.spec.suites import Suite


class Planned(NamedTuple):
    """A run that can begin."""

    manifest: Manifest
    left_out: list[LeftOut]
    resources: Resources


def plan_run(
    console: Console,
    catalogue: Catalogue,
    suite: Suite,
    selection: Selection,
    command: Sequence[str],
    *,
    study: Study = "run",
    pairs: Sequence[Choice] | None = None,
    gate: GateTerms | None = None,
) -> Planned:
    """Environments and data are there, and everything about the run is decided.

    Args:
        console: says what is being fetched and made.
        catalogue: all that there is to choose from.
        suite: what is measured where ``selection`` says nothing else.
        selection: what was asked for on the command line.
        command: the command line, for the record.
        study: what the run will be judged as.
        pairs: what to measure instead of the selection's frameworks, the reference of each pair
            first; then a cell is compared with its own versions and variants alone.
        gate: the terms on which a gate's run is judged afterwards.

    Raises:
        LevelfieldError: something that was asked for does not exist or can't be made.
    """
    sketch = sketch_run(catalogue, suite, selection, pairs)
    choices, device, aa, looks = sketch.choices, sketch.device, sketch.aa, sketch.looks
    left_out = list(sketch.left_out)
    machine = inspect_machine()
    for doubt in doubts_on_device(choices, device):
        console.warn(doubt)
    # Data before environments: a wrong name must not show only after gigabytes of downloads.
    datasets = find_datasets(console, sketch.recipes, selection.data_dir)
    train_examples = {one.name: one.train_examples for one in datasets.values()}
    recipes = [on_found_dataset(recipe, datasets, selection) for recipe in sketch.recipes]
    if selection.batch_sizes:
        check_batches(recipes, train_examples)
    loader = selection.inputs != ("resident",)
    environments = sync_environments(console, choices, device, loader=loader)
    installed = [
        Installed(choice, one.record.version, one.record.variant)
        for choice, one in zip(choices, environments, strict=True)
    ]
    _check_distinct(installed)
    cells = cells_of(recipes, installed, sketch.modes, selection, device, sketch.threads)
    if pairs is not None:
        cells, alone = in_pairs(cells)
        left_out += alone
    if gate is not None:
        for pattern in gate.idle(cells):
            console.warn(f"[tool.levelfield.gate.cells.{pattern!r}] fits no cell of this gate")
    if gate is not None and selection.blocks is None and suite.blocks is None:
        looks = planned_looks(len({cell.series for cell in cells}))
    groups = groups_of(cells, selection.reference, paired=pairs is not None)
    groups = paced(groups, cells, suite, train_examples, catalogue.recipes)
    _check_memory(alive_together(groups, cells, sketch.together), catalogue, aa)
    manifest = Manifest(
        run=f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%d-%H%M%S}-{suite.name}",
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        levelfield=__version__,
        study=study,
        command=tuple(command),
        git_commit=git_commit(Path(selection.impl_dirs[0]) if selection.impl_dirs else paths.ROOT),
        machine=machine,
        environments=tuple(
            msgspec.structs.replace(one.record, interpreter=without_home(one.record.interpreter))
            for one in environments
        ),
        cells=tuple(cells),
        titles={one.implementation.name: one.implementation.title for one in choices},
        plan=Plan(
            suite=suite.name,
            groups=tuple(groups),
            looks=looks,
            rounds=suite.rounds,
            window_steps=suite.window_steps,
            lead_in_steps=LEAD_IN_STEPS,
            long_trials=suite.long_trials,
            aa=aa,
            seed=selection.seed,
            seeds=tuple(range(selection.seed, selection.seed + suite.seeds)),
            budget_seconds=selection.budget_seconds,
            timeout_seconds=selection.timeout_seconds,
            fresh=selection.fresh,
        ),
        datasets=tuple(
            msgspec.structs.replace(one.used(), place=without_home(one.place))
            for one in datasets.values()
        ),
        worker_environment={
            cell.id: {
                name: without_home(value)
                for name, value in worker_environment(
                    catalogue.implementation(cell.framework, cell.variant),
                    cell.settings,
                    cell.threads,
                    device,
                ).items()
            }
            for cell in cells
        },
        harness=harness_versions(),
        code=code_digests(choices),
        gate=gate,
    )
    resources = Resources(
        tuple(choices), tuple(environments), {one.name: one for one in datasets.values()}
    )
    return Planned(manifest, left_out, resources)


def git_commit(folder: Path) -> str | None:
    """The commit that ``folder`` is at, with ``+`` where it has changes; nothing outside git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "-s") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def without_home(text: str) -> str:
    """``text`` with ``~`` for the user's home folder: reports are shown to others."""
    home = paths.user_home()
    if home is None:
        return text
    # A folder whose name only begins like it is another one.
    return re.sub(rf"(?<![\w.~-]){re.escape(str(home))}(?![\w-]|\.\w)", "~", text)


def command_line(arguments: Sequence[str] | None = None) -> tuple[str, ...]:
    """The command that makes such a run again: without ``--json`` and ``--resume``."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return ("levelfield", *(argument for argument in given if argument != "--json"))


def _check_distinct(installed: Sequence[Installed]) -> None:
    """Nothing would be measured against itself under another name."""
    seen = set()
    for choice, version, variant in installed:
        name = choice.implementation.name
        if (name, version, variant) in seen:
            raise UsageError(
                f"{name} is asked for twice and is {version} both times, expected two versions: "
                f"name another one, leave one out, or set an interpreter apart by a label "
                f"({name}@LABEL, --python {name}@LABEL=PATH)"
            )
        seen.add((name, version, variant))


def _check_memory(groups: Sequence[Sequence[Cell]], catalogue: Catalogue, aa: bool) -> None:
    for cells in groups:
        needs = [_memory_mib(cell, catalogue) for cell in cells]
        shortfall = memory_shortfall(needs + needs[:1] * aa, available_memory_bytes())
        shared = [_batches_bytes(cell, catalogue) for cell in cells]
        shortfall = shortfall or shared_memory_shortfall(
            sum(shared + shared[:1] * aa), shared_memory_left_bytes()
        )
        if shortfall:
            raise WorkplaceError(shortfall)


def _batches_bytes(cell: Cell, catalogue: Catalogue) -> int:
    """Shared memory that the cell's loader takes."""
    if not catalogue.implementation(cell.framework, cell.variant).loader_processes:
        return 0
    model = catalogue.models[cell.recipe.model]
    return batches_bytes(model, cell.recipe.batch_size, cell.loader_workers)


def _memory_mib(cell: Cell, catalogue: Catalogue) -> int:
    """An estimate of a worker's peak, from its LeNet's and the size of its own model."""
    model = catalogue.models[cell.recipe.model]
    extra = memory_beyond_lenet_mib(model, cell.recipe.batch_size)
    return catalogue.implementation(cell.framework, cell.variant).memory_mib + extra
