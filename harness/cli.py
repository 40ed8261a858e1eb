"""``levelfield …``: parses, dispatches, maps what happened to an exit code.

Exit codes: 0 clean; 2 usage, environment, data or cell failure; 3 parity failed; 130 interrupted.
1 and 4 belong to the commands that gate.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from harness import __version__
from harness.commands import listings
from harness.commands.catalogue import Catalogue, read_catalogue
from harness.commands.data import data_app
from harness.commands.envelope import measure as measure_envelopes
from harness.commands.environments import env_app
from harness.commands.flags import Flags, Frameworks, ImplDirs, Json, Out, takes_flags
from harness.commands.new_impl import write_starter
from harness.commands.preparation import command_line
from harness.commands.results import exit_code, show_results, show_verification
from harness.commands.run import resume_run, start_run
from harness.commands.show import show_model
from harness.console import Console
from harness.errors import LevelfieldError, UsageError
from harness.execution.planning import chosen_implementations, named
from harness.spec.selection import FrameworkChoice, Selection
from harness.spec.suites import Suite
from harness.store.runs import run_folders

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it (128 + SIGINT)."""

REPRODUCED = ("lenet-sgd", "lenet-avg-sgd", "lenet-adam", "lenet-adam-b64")
"""What ``reproduce`` trains where no recipe is named: those whose curves others have shown."""

app = typer.Typer(
    name="levelfield",
    help="Proves that frameworks compute the same thing, then says which is faster, and how sure "
    "that is.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(env_app, name="env")
app.add_typer(data_app, name="data")


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Prove that frameworks compute the same thing, then say which is faster."""
    if show:
        typer.echo(f"levelfield {__version__}")
        raise typer.Exit


@app.command()
@takes_flags()
def run(
    flags: Flags,
    suite: Annotated[str, typer.Argument(help="See 'levelfield list suites'.")] = "cpu",
) -> None:
    """Verify, train, time, judge; write a report."""
    console, catalogue = Console(json=flags.json), read_catalogue(flags.impl_dir or ())
    folder = _measured(console, catalogue, named("suite", suite, catalogue.suites), flags)
    show_results(console, [folder], flags.out / "reports")
    raise typer.Exit(exit_code(folder))


@app.command()
@takes_flags(
    "input", "loader_workers", "settings", "epochs", "blocks", "budget", "no_aa", "reference"
)
def verify(
    flags: Flags,
    every: Annotated[bool, typer.Option("--all", help="Every recipe.")] = False,
) -> None:
    """Hold each cell against the float64 reference; measure nothing."""
    console, catalogue = Console(json=flags.json), read_catalogue(flags.impl_dir or ())
    usual = catalogue.suites["cpu"]
    modes = [mode for one in catalogue.implementations.values() for mode in one.modes]
    suite = Suite(
        name="verify",
        description="",
        recipes=tuple(catalogue.recipes) if every else usual.recipes,
        frameworks=usual.frameworks,
        modes=tuple(dict.fromkeys(modes)),
        long_trials=False,
        blocks=0,
        aa=False,
    )
    folder = _measured(console, catalogue, suite, flags)
    show_verification(console, folder)
    raise typer.Exit(exit_code(folder))


@app.command()
@takes_flags("recipe", "input", "loader_workers", "blocks", "budget", "no_aa")
def reproduce(
    flags: Flags,
    recipe: Annotated[
        list[str] | None, typer.Argument(help="See 'levelfield list recipes'.")
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Trainings of each cell, from --seed on.")
    ] = 8,
) -> None:
    """Train recipes over several seeds, beside published figures."""
    if flags.seed + seeds > 2**32:
        raise UsageError(
            f"--seeds {seeds} from --seed {flags.seed} on leads beyond {2**32 - 1}, expected no "
            "larger seed: lower one of them"
        )
    console, catalogue = Console(json=flags.json), read_catalogue(flags.impl_dir or ())
    suite = Suite(
        name="reproduce",
        description="",
        recipes=tuple(recipe or REPRODUCED),
        frameworks=catalogue.suites["cpu"].frameworks,
        seeds=seeds,
        blocks=0,
        aa=False,
    )
    folder = _measured(console, catalogue, suite, flags)
    show_results(console, [folder], flags.out / "reports")
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


@app.command()
def show(
    model: Annotated[str, typer.Argument(help="See 'levelfield list models'.")],
    framework: Frameworks = None,
    impl_dir: ImplDirs = None,
    json: Json = False,
) -> None:
    """Show a model's layers as each framework sees them."""
    catalogue = read_catalogue(impl_dir or ())
    definition = named("model", model, catalogue.models)
    asked = Selection(frameworks=tuple(FrameworkChoice.parse(text) for text in framework or ()))
    choices = chosen_implementations(catalogue.suites["cpu"], asked, catalogue.implementations)
    raise typer.Exit(show_model(Console(json=json), definition, choices))


@app.command("new-impl")
def new_impl(
    name: Annotated[str, typer.Argument(help="Its folder's name, and what -f will call it.")],
    impl_dir: Annotated[
        Path, typer.Option("--impl-dir", help="Folder that gets the new one.")
    ] = Path(),
    json: Json = False,
) -> None:
    """Write the starting files of an implementation of your own."""
    console = Console(json=json)
    written = write_starter(name, impl_dir, read_catalogue().implementations)
    console.result(f"{written.folder} holds {', '.join(written.files)}. What to do next:")
    console.result("  1. name the framework in impl.toml and requirements-cpu.txt")
    console.result(f"  2. write models.py and adapter.py, asking after each step: {written.verify}")
    console.answer(written)


@app.command(hidden=True)
def envelope(
    recipe: Annotated[list[str] | None, typer.Argument(help="None: all with their own.")] = None,
) -> None:
    """Measure what float32 alone does to recipes: the source of their tolerances."""
    measure_envelopes(Console(), read_catalogue(), recipe or ())


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


def _measured(console: Console, catalogue: Catalogue, suite: Suite, flags: Flags) -> Path:
    """The folder of a run that has come to its end: a new one of ``suite``, or ``--resume``'s."""
    runs = flags.out / "results" / "runs"
    if flags.resume is not None:
        return resume_run(console, catalogue, _run_folder(runs, flags.resume), flags.data_dir)
    return start_run(console, catalogue, suite, flags.selection(), runs, command_line())


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
