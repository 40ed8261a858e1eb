"""``levelfield …``: parses, dispatches, maps what happened to an exit code.

Exit codes: 0 clean; 2 usage, environment, data or cell failure; 3 parity failed; 130 interrupted.
1 and 4 belong to the commands that gate.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, cast

import typer
from typer.exceptions import TyperException

from harness import __version__
from harness.commands import listings
from harness.commands.catalogue import Catalogue, read_catalogue
from harness.commands.preparation import DatasetProgress, command_line, sync_environments
from harness.commands.results import (
    exit_code,
    show_results,
    show_verification,
)
from harness.commands.run import resume_run, start_run
from harness.console import Console
from harness.datasets.search import dataset_info, find_dataset
from harness.environments.collection import Environments
from harness.errors import LevelfieldError, UsageError
from harness.execution.planning import Choice, named
from harness.spec.cells import Input, Settings
from harness.spec.selection import FrameworkChoice, Selection
from harness.spec.suites import Suite
from harness.store.runs import run_folders

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it (128 + SIGINT)."""

app = typer.Typer(
    name="levelfield",
    help="Proves that frameworks compute the same thing, then says which is faster, and how sure "
    "that is.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
env_app = typer.Typer(help="The frameworks' environments.", no_args_is_help=True)
data_app = typer.Typer(help="The datasets.", no_args_is_help=True)
app.add_typer(env_app, name="env")
app.add_typer(data_app, name="data")

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ImplDirs = Annotated[
    list[str] | None,
    typer.Option(
        "--impl-dir", help="Folder that holds implementations of your own (NAME/impl.toml)."
    ),
]
Frameworks = Annotated[
    list[str] | None, typer.Option("-f", "--framework", metavar="NAME[@VERSION]")
]
Recipes = Annotated[list[str] | None, typer.Option("-r", "--recipe")]
Modes = Annotated[list[str] | None, typer.Option("--mode", help="eager, compiled or xla.")]
Inputs = Annotated[list[str] | None, typer.Option("--input", help="resident.")]
Device = Annotated[str | None, typer.Option("--device", help="cpu, gpu or gpu:N.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")]
SettingsFlag = Annotated[list[str] | None, typer.Option("--settings", help="matched or stock.")]
DatasetFlag = Annotated[str | None, typer.Option("--dataset")]
DataDir = Annotated[
    str | None, typer.Option("--data-dir", help="Folder with the dataset's IDX files.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1)]
Epochs = Annotated[int | None, typer.Option("--epochs", min=1, help="Of the long trials.")]
Blocks = Annotated[
    int | None, typer.Option("--blocks", min=0, help="One look after so many; 5 for verdicts.")
]
Budget = Annotated[
    str | None, typer.Option("--budget", help="Such as 10m: blocks fixed from the first one.")
]
NoAa = Annotated[bool, typer.Option("--no-aa", help="No second copy of the reference.")]
Reference = Annotated[
    str | None, typer.Option("--reference", help="Contender that the others are compared with.")
]
Resume = Annotated[str | None, typer.Option("--resume", metavar="RUN", help="Go on with a run.")]
Out = Annotated[Path, typer.Option("--out", help="Folder that gets results/ and reports/.")]


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Prove that frameworks compute the same thing, then say which is faster."""
    if show:
        typer.echo(f"levelfield {__version__}")
        raise typer.Exit


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="See 'levelfield list suites'.")] = "cpu",
    framework: Frameworks = None,
    recipe: Recipes = None,
    mode: Modes = None,
    source: Inputs = None,
    device: Device = None,
    threads: Threads = None,
    settings: SettingsFlag = None,
    dataset: DatasetFlag = None,
    data_dir: DataDir = None,
    seed: Seed = 0,
    epochs: Epochs = None,
    blocks: Blocks = None,
    budget: Budget = None,
    no_aa: NoAa = False,
    reference: Reference = None,
    impl_dir: ImplDirs = None,
    resume: Resume = None,
    out: Out = Path(),
    json: Json = False,
) -> None:
    """Verify, train, time, judge; write a report."""
    console = Console(json=json)
    catalogue = read_catalogue(impl_dir or ())
    runs = out / "results" / "runs"
    if resume is not None:
        folder = resume_run(console, catalogue, _run_folder(runs, resume), data_dir)
    else:
        selection = _selection(
            framework,
            recipe,
            mode,
            source,
            device,
            threads,
            settings,
            dataset,
            data_dir,
            seed,
            epochs,
            blocks,
            budget,
            no_aa,
            reference,
            impl_dir,
        )
        chosen = named("suite", suite, catalogue.suites)
        folder = start_run(console, catalogue, chosen, selection, runs, command_line())
    show_results(console, [folder], out / "reports")
    raise typer.Exit(exit_code(folder))


@app.command()
def verify(
    every: Annotated[bool, typer.Option("--all", help="Every recipe.")] = False,
    framework: Frameworks = None,
    recipe: Recipes = None,
    mode: Modes = None,
    device: Device = None,
    threads: Threads = None,
    data_dir: DataDir = None,
    dataset: DatasetFlag = None,
    seed: Seed = 0,
    impl_dir: ImplDirs = None,
    out: Out = Path(),
    json: Json = False,
) -> None:
    """Hold each cell against the float64 reference; measure nothing."""
    console = Console(json=json)
    catalogue = read_catalogue(impl_dir or ())
    selection = _selection(
        framework,
        recipe,
        mode,
        None,
        device,
        threads,
        None,
        dataset,
        data_dir,
        seed,
        None,
        None,
        None,
        True,
        None,
        impl_dir,
    )
    suite = _verification(catalogue, every)
    runs = out / "results" / "runs"
    folder = start_run(console, catalogue, suite, selection, runs, command_line())
    show_verification(console, folder)
    raise typer.Exit(exit_code(folder))


@app.command()
def report(
    run: Annotated[list[str] | None, typer.Argument(help="Run folders or ids.")] = None,
    out: Out = Path(),
    json: Json = False,
) -> None:
    """Write the reports of stored runs; without RUN, of the newest."""
    runs = out / "results" / "runs"
    folders = [_run_folder(runs, name) for name in run or ["latest"]]
    show_results(Console(json=json), folders, out / "reports")


@app.command("list")
def list_things(
    what: Annotated[str, typer.Argument(help="frameworks, models, recipes, suites or runs.")],
    impl_dir: ImplDirs = None,
    out: Out = Path(),
    json: Json = False,
) -> None:
    """Show what there is to choose from."""
    console = Console(json=json)
    if what == "runs":
        listings.list_runs(console, out / "results" / "runs")
        return
    shows = {
        "frameworks": listings.list_frameworks,
        "models": listings.list_models,
        "recipes": listings.list_recipes,
        "suites": listings.list_suites,
    }
    if what not in shows:
        raise UsageError(
            f"No list of {what!r}, expected one of {', '.join([*shows, 'runs'])}: name one of these"
        )
    shows[what](console, read_catalogue(impl_dir or ()))


@env_app.command("sync")
def env_sync(
    framework: Frameworks = None,
    device: Device = None,
    impl_dir: ImplDirs = None,
    json: Json = False,
) -> None:
    """Make the environments that are not there yet."""
    console = Console(json=json)
    catalogue = read_catalogue(impl_dir or ())
    asked = [FrameworkChoice.parse(text) for text in framework or catalogue.implementations]
    choices = [
        Choice(named("framework", one.name, catalogue.implementations), one.version)
        for one in asked
    ]
    synced = sync_environments(console, choices, device or "cpu")
    for one in synced:
        console.result(
            f"{one.record.framework} {one.record.version}, Python {one.record.python}, "
            f"{one.size_bytes / 2**30:.2f} GiB: {one.folder}"
        )
    console.answer(synced)


@env_app.command("list")
def env_list(impl_dir: ImplDirs = None, json: Json = False) -> None:
    """Show all environments: versions, size and place."""
    listings.list_environments(Console(json=json), read_catalogue(impl_dir or ()))


@env_app.command("remove")
def env_remove(
    name: Annotated[list[str], typer.Argument(help="As 'levelfield env list' names them.")],
    json: Json = False,
) -> None:
    """Remove environments."""
    console = Console(json=json)
    freed = {one: Environments().remove(one) for one in name}
    for one, size_bytes in freed.items():
        console.result(f"{one} removed, {size_bytes / 2**30:.2f} GiB freed")
    console.answer(freed)


@data_app.command("fetch")
def data_fetch(
    dataset: Annotated[str, typer.Argument()] = "fashion-mnist",
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Find or download a dataset."""
    console = Console(json=json)
    found = find_dataset(
        dataset,
        Path(data_dir) if data_dir else None,
        progress=DatasetProgress(console),
        allow_fallback=False,
    )
    console.result(
        f"{found.name}: {found.train_examples:,} + {found.test_examples:,} images from "
        f"{found.source} ({found.place}), prepared in {found.folder}"
    )
    console.answer(found)


@data_app.command("info")
def data_info(
    dataset: Annotated[str, typer.Argument()] = "fashion-mnist",
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show every source of a dataset, and which of them have it."""
    console = Console(json=json)
    info = dataset_info(dataset, Path(data_dir) if data_dir else None)
    rows = [(one.source, one.dataset, one.state, one.place, one.detail) for one in info.sources]
    header = ("source", "dataset", "state", "place", "detail")
    console.table(f"{info.name}, in the order in which sources are asked", header, rows)
    console.answer(info)


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    console = Console()
    try:
        status = app(standalone_mode=False) or 0
    except LevelfieldError as error:
        console.fail(str(error))
        status = 2
    except TyperException as error:
        console.fail(
            f"{error.format_message().rstrip('.')}: 'levelfield --help' shows what there is"
        )
        status = 2
    if status == INTERRUPTED:
        console.fail(
            "Interrupted. What was measured is kept: 'levelfield list runs' shows it, "
            "'levelfield run --resume RUN' goes on"
        )
    sys.exit(status)


def _verification(catalogue: Catalogue, every: bool) -> Suite:
    """Every mode of every framework, no measurement."""
    modes = [mode for one in catalogue.implementations.values() for mode in one.modes]
    recipes = tuple(catalogue.recipes) if every else catalogue.suites["cpu"].recipes
    return Suite(
        name="verify",
        description="",
        recipes=recipes,
        frameworks=catalogue.suites["cpu"].frameworks,
        modes=tuple(dict.fromkeys(modes)),
        long_trials=False,
        blocks=0,
        aa=False,
    )


def _selection(
    framework: list[str] | None,
    recipe: list[str] | None,
    mode: list[str] | None,
    source: list[str] | None,
    device: str | None,
    threads: int | None,
    settings: list[str] | None,
    dataset: str | None,
    data_dir: str | None,
    seed: int,
    epochs: int | None,
    blocks: int | None,
    budget: str | None,
    no_aa: bool,
    reference: str | None,
    impl_dir: list[str] | None,
) -> Selection:
    if device is not None and not re.fullmatch(r"cpu|gpu(:\d+)?", device):
        raise UsageError(f"--device is {device!r}, expected cpu, gpu or gpu:N: choose one of these")
    return Selection(
        frameworks=tuple(FrameworkChoice.parse(text) for text in framework or ()),
        recipes=tuple(recipe or ()),
        modes=tuple(mode or ()),
        inputs=cast(tuple[Input, ...], _words("--input", source, ("resident",), ("resident",))),
        device=device,
        threads=threads,
        settings=cast(
            tuple[Settings, ...], _words("--settings", settings, ("matched", "stock"), ("matched",))
        ),
        dataset=dataset,
        data_dir=data_dir,
        seed=seed,
        epochs=epochs,
        blocks=blocks,
        budget_seconds=_seconds(budget) if budget else None,
        aa=False if no_aa else None,
        reference=reference,
        impl_dirs=tuple(impl_dir or ()),
    )


def _words(
    flag: str, given: list[str] | None, known: tuple[str, ...], default: tuple[str, ...]
) -> tuple[str, ...]:
    for word in given or ():
        if word not in known:
            raise UsageError(
                f"{flag} is {word!r}, expected one of {', '.join(known)}: choose one of these"
            )
    return tuple(given or default)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if match is None:
        raise UsageError(f"--budget is {text!r}, expected a time such as 90s, 10m or 1h: give one")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def _run_folder(runs: Path, name: str) -> Path:
    """The folder of a run: a path, an id under ``runs``, or ``latest``."""
    if name == "latest":
        folders = run_folders(runs)
        if not folders:
            raise UsageError(f"No run in {runs}, expected one: make one with 'levelfield run'")
        return folders[-1]
    return runs / name if (runs / name).is_dir() else Path(name)


if __name__ == "__main__":
    main()
