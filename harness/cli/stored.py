"""Commands that read what is stored, and what there is to choose from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import app
from harness.commands.flags import Frameworks, ImplDirs, Json, Junit, Out, check_writable
from harness.console import Console
from harness.errors import UsageError
from harness.spec.exports import Format
from harness.store.runs import run_folder

BaselineFile = Annotated[
    Path | None,
    typer.Option("--baseline", metavar="FILE", help="[default: results/baselines/SUITE-MACHINE]"),
]

baseline_app = typer.Typer(help="Earlier runs that 'check' goes by.", no_args_is_help=True)
app.add_typer(baseline_app, name="baseline")


@app.command()
def report(
    run: Annotated[list[str] | None, typer.Argument(help="Run folders or ids.")] = None,
    out: Out = Path(),
    json: Json = False,
) -> None:
    """Write the reports of stored runs; without RUN, of the newest."""
    from harness.commands.results import show_stored

    runs = out / "results" / "runs"
    folders = [run_folder(runs, name) for name in run or ["latest"]]
    show_stored(Console(json=json), folders, out / "reports")


@app.command("list")
def list_things(
    what: Annotated[str, typer.Argument(help="frameworks, models, recipes, suites or runs.")],
    impl_dir: ImplDirs = None,
    out: Out = Path(),
    json: Json = False,
) -> None:
    """Show what there is to choose from."""
    from harness.commands import listings
    from harness.commands.catalogue import read_catalogue

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
    from harness.commands.catalogue import read_catalogue
    from harness.commands.pythons import with_pythons
    from harness.commands.show import show_model
    from harness.execution.planning import chosen_implementations, named
    from harness.spec.selection import FrameworkChoice, Selection

    catalogue = with_pythons(read_catalogue(impl_dir or ()))
    definition = named("model", model, catalogue.models)
    asked = Selection(frameworks=tuple(FrameworkChoice.parse(text) for text in framework or ()))
    choices = chosen_implementations(catalogue.suites["cpu"], asked, catalogue.implementations)
    raise typer.Exit(show_model(Console(json=json), definition, choices))


@baseline_app.command("save")
def baseline_save(
    run: Annotated[str, typer.Argument(help="Run folder or id, or latest.")],
    baseline: BaselineFile = None,
    out: Out = Path(),
    json: Json = False,
) -> None:
    """Add a stored run to the earlier ones of a baseline."""
    from harness.commands.baselines import save_run

    results = out / "results"
    folder = run_folder(results / "runs", run)
    save_run(Console(json=json), folder, baseline, results / "baselines")


@app.command()
def check(
    run: Annotated[str, typer.Argument(help="Run folder or id, or latest.")],
    baseline: BaselineFile = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="A regression ends with exit code 1.")
    ] = False,
    junit: Junit = None,
    out: Out = Path(),
    json: Json = False,
) -> None:
    """Hold a stored run against a stored baseline; warn of a regression.

    Exit codes: 0 held, or only a warning; 1 regression, with --strict; 2 a cell failed or there is
    nothing to compare; 3 parity lost; 4 too noisy.
    """
    from harness.commands.baselines import check_run

    if junit is not None:
        check_writable(junit)
    folder = run_folder(out / "results" / "runs", run)
    console = Console(json=json)
    raise typer.Exit(check_run(console, folder, baseline, out, strict=strict, junit_file=junit))


@app.command()
def history(
    cell: Annotated[
        str,
        typer.Argument(help="Its id, with or without the version; its beginning; * and ? fit all."),
    ],
    machine: Annotated[
        str | None, typer.Option("--machine", help="Fingerprint; else the newest run's machine.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="SVG or PNG. [default: in reports/history]"),
    ] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="Runs in the table.")] = 40,
    out: Out = Path(),
    json: Json = False,
) -> None:
    """Show a cell over all stored runs, and where it changed."""
    from harness.commands.history import show_history

    show_history(
        Console(json=json),
        cell,
        out / "results" / "runs",
        out / "reports" / "history",
        machine=machine,
        plot=plot,
        last=last,
    )


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="Run folder or id, or latest.")],
    format_: Annotated[Format, typer.Option("--format", help="What reads it.")],
    output: Annotated[
        Path | None, typer.Option("--output", help="File; without it, standard output.")
    ] = None,
    out: Out = Path(),
    json: Json = False,
) -> None:
    """Write a stored run in a format that other tools read."""
    from harness.commands.export import export_run

    export_run(Console(json=json), run_folder(out / "results" / "runs", run), format_, output)
