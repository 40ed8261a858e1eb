"""``levelfield …``: parses, dispatches, maps what happened to an exit code.

Exit codes: 0 clean; 2 usage, environment, data or cell failure; 3 parity failed; 130 interrupted.
1, a regression, and 4, too noisy to judge, belong to the commands that gate. What a command alone
needs is imported when it runs: a page of help waits for no library that draws.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import TyperException

from harness import __version__
from harness.commands.data import data_app
from harness.commands.environments import env_app
from harness.commands.flags import (
    DataDir,
    Flags,
    Frameworks,
    ImplDirs,
    Json,
    Junit,
    Out,
    check_writable,
    takes_flags,
)
from harness.console import Console
from harness.errors import LevelfieldError, UsageError
from harness.spec.exports import Format
from harness.store.runs import run_folder

if TYPE_CHECKING:
    from harness.commands.catalogue import Catalogue
    from harness.spec.events import Study
    from harness.spec.suites import Suite

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it (128 + SIGINT)."""

BaselineFile = Annotated[
    Path | None,
    typer.Option("--baseline", metavar="FILE", help="[default: results/baselines/SUITE-MACHINE]"),
]

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
baseline_app = typer.Typer(help="Earlier runs that 'check' goes by.", no_args_is_help=True)
app.add_typer(baseline_app, name="baseline")


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
    from harness.commands.catalogue import read_catalogue
    from harness.commands.results import show_measured
    from harness.execution.planning import named

    console, catalogue = Console(json=flags.json), read_catalogue(flags.impl_dir or ())
    folder = _measured(console, catalogue, named("suite", suite, catalogue.suites), flags)
    raise typer.Exit(show_measured(console, "run", folder, flags.out / "reports", flags.junit))


@app.command()
@takes_flags(
    "input", "loader_workers", "settings", "epochs", "blocks", "budget", "no_aa", "reference"
)
def verify(
    flags: Flags,
    every: Annotated[bool, typer.Option("--all", help="Every recipe.")] = False,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, help="Proofs of each cell, from --seed on; kept nowhere."),
    ] = None,
) -> None:
    """Hold each cell against the float64 reference; measure nothing."""
    from harness.commands import suites
    from harness.commands.catalogue import read_catalogue
    from harness.commands.results import show_verification

    console, catalogue = Console(json=flags.json), read_catalogue(flags.impl_dir or ())
    suite = suites.proof_alone(catalogue, every_recipe=every)
    if seeds is not None:
        from harness.commands.seeds import show_seeds

        if flags.resume is not None:
            raise UsageError(
                f"--seeds {seeds} and --resume {flags.resume} are given, expected one: proofs over "
                "seeds are kept nowhere to go on from"
            )
        within = _seeds(flags.seed, seeds)
        code = show_seeds(console, catalogue, suite, flags.selection(), within, flags.junit)
        raise typer.Exit(code)
    folder = _measured(console, catalogue, suite, flags, "verify")
    raise typer.Exit(show_verification(console, folder, flags.junit))


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
    from harness.commands import suites
    from harness.commands.catalogue import read_catalogue
    from harness.commands.results import show_measured

    _seeds(flags.seed, seeds)
    console, catalogue = Console(json=flags.json), read_catalogue(flags.impl_dir or ())
    suite = suites.reproduction(catalogue, recipe or (), seeds)
    folder = _measured(console, catalogue, suite, flags, "reproduce")
    raise typer.Exit(
        show_measured(console, "reproduce", folder, flags.out / "reports", flags.junit)
    )


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


@app.command()
@takes_flags("framework")
def compare(
    flags: Flags,
    these: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN... | F@V F@V", help="Stored runs, or versions."),
    ] = None,
) -> None:
    """Put stored runs side by side, or measure versions of a framework against each other.

    A version is NAME@1.2.3, or NAME@PACKAGE==1.2.3 for another package of its environment.
    """
    from harness.commands import suites
    from harness.commands.catalogue import read_catalogue
    from harness.commands.results import show_measured, show_stored

    console, these = Console(json=flags.json), these or []
    if len(these) < 2 and flags.resume is None:
        raise UsageError(
            f"{these[0] if these else 'Nothing'} stands alone, expected two or more: "
            "name what to compare with"
        )
    if flags.resume is None and not any("@" in each for each in these):
        if flags.junit is not None:
            raise UsageError(
                f"--junit {flags.junit} is given for stored runs, which are not judged anew, "
                "expected versions to measure: leave it out"
            )
        runs = flags.out / "results" / "runs"
        show_stored(console, [run_folder(runs, name) for name in these], flags.out / "reports")
        return
    catalogue = read_catalogue(flags.impl_dir or ())
    suite = suites.comparison(catalogue)
    flags = replace(flags, framework=these)
    folder = _measured(console, catalogue, suite, flags, "compare")
    raise typer.Exit(show_measured(console, "compare", folder, flags.out / "reports", flags.junit))


@app.command()
@takes_flags("no_aa", "reference")
def gate(
    flags: Flags,
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="REF", help="Compare with where HEAD and REF parted."),
    ] = None,
    base_exact: Annotated[
        str | None,
        typer.Option("--base-exact", metavar="REF", help="Or with what the revision itself holds."),
    ] = None,
    base_framework: Annotated[
        str | None, typer.Option("--base-framework", metavar="F@V", help="Or another version.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="What could not be compared ends with exit code 2.")
    ] = False,
) -> None:
    """Fail if the work tree is slower, less accurate or wrong, against a base.

    Base and head are measured interleaved, in one job. Exit codes: 0 held, 1 regression, 2 failed
    or not compared, 3 parity lost, 4 too noisy.
    """
    from harness.commands.gate import resume_gate, show_gate, start_gate

    console = Console(json=flags.json)
    runs = flags.out / "results" / "runs"
    if flags.resume is not None:
        folder = resume_gate(console, run_folder(runs, flags.resume), flags.data_dir)
    else:
        folder = start_gate(
            console,
            flags.selection(),
            runs,
            base=base,
            base_exact=base_exact,
            base_framework=base_framework,
            strict=strict,
        )
    raise typer.Exit(show_gate(console, folder, flags.out / "reports", flags.junit))


@app.command()
@takes_flags("recipe", "mode", "device", "epochs", "no_aa", "reference")
def tax(
    flags: Flags,
    batch: Annotated[
        list[int] | None,
        typer.Option("--batch", min=1, max=4096, help="Batch size.  [default: 256, 32]"),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            "--rounds",
            min=1,
            help="Resident windows of each contender in a block.  [default: 24]",
        ),
    ] = None,
) -> None:
    """Hold our adapters against loops that an expert wrote by hand (CPU)."""
    from harness.commands.tax import BATCH_SIZES, ROUNDS, resume_tax, show_tax, start_tax

    console, runs = Console(json=flags.json), flags.out / "results" / "runs"
    if flags.resume is not None:
        folder = run_folder(runs, flags.resume)
        folder = resume_tax(console, folder, flags.impl_dir or (), flags.data_dir)
    else:
        folder = start_tax(console, flags.selection(), runs, batch or BATCH_SIZES, rounds or ROUNDS)
    raise typer.Exit(show_tax(console, folder, flags.out / "reports", flags.junit))


@app.command()
@takes_flags(
    "recipe", "input", "loader_workers", "epochs", "blocks", "budget", "no_aa", "reference"
)
def micro(
    flags: Flags,
    batch: Annotated[
        list[int] | None,
        typer.Option("--batch", min=1, max=4096, help="Batch size.  [default: 1, 32, 256]"),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Put them into a stored run.")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option("--compare", metavar="RUN", help="[default with --fail: the newest earlier]"),
    ] = None,
    fail: Annotated[
        list[str] | None,
        typer.Option("--fail", metavar="EXPR", help="Such as median:10% or max:0.001."),
    ] = None,
    select: Annotated[
        str, typer.Option("-k", metavar="EXPR", help="Benchmarks to run, as pytest's -k.")
    ] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="One round each: does everything run?")
    ] = False,
) -> None:
    """Time the pieces of a training step, with pytest-benchmark.

    Exit codes: 0 clean; 1 a benchmark went beyond a limit of --fail; 2 a framework failed or there
    is nothing to compare; 3 parity lost.
    """
    from harness.commands.catalogue import read_catalogue
    from harness.commands.micro import resume_micro, start_micro
    from harness.commands.micro_results import read_base, show_micro
    from harness.commands.micro_session import Request
    from harness.spec.micro_limits import read_micro_limits
    from harness.worker.micro_job import BATCH_SIZES

    console, runs = Console(json=flags.json), flags.out / "results" / "runs"
    limits = read_micro_limits(Path.cwd(), fail or ())
    earlier = None if base is None else read_base(run_folder(runs, base))
    catalogue = read_catalogue(flags.impl_dir or ())
    if flags.resume is not None and run is not None:
        raise UsageError(
            f"--resume {flags.resume} and --run {run} are given, expected one: --resume alone goes "
            "on with a run's micro-benchmarks"
        )
    if flags.resume is not None:
        folder = run_folder(runs, flags.resume)
        resume_micro(console, catalogue, folder, flags.data_dir)
    else:
        request = Request(tuple(dict.fromkeys(batch or BATCH_SIZES)), quick, select)
        into = None if run is None else run_folder(runs, run)
        folder = start_micro(
            console, catalogue, flags.selection(), request, runs, into=into, base=earlier
        )
    reports = flags.out / "reports"
    raise typer.Exit(show_micro(console, folder, reports, limits, earlier, flags.junit))


@app.command()
def doctor(
    seconds: Annotated[
        float,
        typer.Option("--seconds", min=0, help="How long a program runs against itself; 0: not."),
    ] = 60,
    framework: Annotated[
        str | None, typer.Option("-f", "--framework", help="Which one.  [default: the reference]")
    ] = None,
    impl_dir: ImplDirs = None,
    json: Json = False,
) -> None:
    """Look at this machine, and say how small a difference it can show."""
    from harness.commands.catalogue import read_catalogue
    from harness.commands.doctor import show_diagnosis

    show_diagnosis(Console(json=json), read_catalogue(impl_dir or ()), seconds, framework)


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
    from harness.commands.show import show_model
    from harness.execution.planning import chosen_implementations, named
    from harness.spec.selection import FrameworkChoice, Selection

    catalogue = read_catalogue(impl_dir or ())
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


@app.command("new-impl")
def new_impl(
    name: Annotated[str, typer.Argument(help="Its folder's name, and what -f will call it.")],
    impl_dir: Annotated[
        Path, typer.Option("--impl-dir", help="Folder that gets the new one.")
    ] = Path(),
    json: Json = False,
) -> None:
    """Write the starting files of an implementation of your own."""
    from harness.commands.catalogue import read_catalogue
    from harness.commands.new_impl import write_starter

    console = Console(json=json)
    written = write_starter(name, impl_dir, read_catalogue().implementations)
    console.result(f"{written.folder} holds {', '.join(written.files)}. What to do next:")
    console.result("  1. name the framework in impl.toml and requirements-cpu.txt")
    console.result(f"  2. write models.py and adapter.py, asking after each step: {written.verify}")
    console.answer(written)


@app.command(hidden=True)
def power(
    run: Annotated[
        list[str] | None, typer.Argument(help="Runs with A/A blocks; none: recorded ones.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Keep their A/A blocks there.")
    ] = None,
    out: Out = Path(),
    json: Json = False,
) -> None:
    """Simulate gates: how often they cry wolf, how often they catch a slowdown."""
    from harness.commands.power import show_power

    folders = [run_folder(out / "results" / "runs", name) for name in run or []]
    show_power(Console(json=json), folders, save)


@app.command(hidden=True)
def sensitivity(
    recipe: Annotated[
        list[str] | None, typer.Argument(help="See 'levelfield list recipes'.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="From --seed on.")] = 8,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1)] = 0,
    dataset: Annotated[str | None, typer.Option("--dataset")] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Make mistakes in the reference: how large must one be for the proof to catch it?"""
    from harness.commands.catalogue import read_catalogue
    from harness.commands.sensitivity import show_sensitivity

    show_sensitivity(
        Console(json=json),
        read_catalogue(),
        recipe or (),
        _seeds(seed, seeds),
        data_dir,
        dataset=dataset,
    )


def main() -> int:
    """The command line has been run; its exit code.

    What is neither an answer nor a mistake that users can mend is raised, for ``levelfield`` (see
    there) to end with.
    """
    console = Console()
    status = 2
    try:
        status = app(standalone_mode=False) or 0
    except LevelfieldError as error:
        console.fail(str(error))
    except TyperException as error:
        told = " ".join(error.format_message().split()).rstrip(".")
        console.fail(f"{told}: 'levelfield --help' shows what there is")
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        told = error.strerror or type(error).__name__
        console.fail(f"{where}{told}: make room there, or name another place")
    if status == INTERRUPTED:
        console.fail(
            "Interrupted. What was measured is kept: 'levelfield list runs' shows it, "
            "the same command with '--resume RUN' goes on"
        )
    return status


def _measured(
    console: Console, catalogue: Catalogue, suite: Suite, flags: Flags, study: Study = "run"
) -> Path:
    """The folder of a run that has come to its end: a new one of ``suite``, or ``--resume``'s."""
    from harness.commands.plan import command_line
    from harness.commands.run import resume_run, start_run

    runs = flags.out / "results" / "runs"
    if flags.resume is not None:
        return resume_run(console, catalogue, run_folder(runs, flags.resume), flags.data_dir)
    return start_run(
        console, catalogue, suite, flags.selection(), runs, command_line(), study=study
    )


def _seeds(first: int, count: int) -> range:
    """``count`` seeds from ``first`` on.

    Raises:
        UsageError: there are not so many.
    """
    if first + count > 2**32:
        raise UsageError(
            f"--seeds {count} from --seed {first} on leads beyond {2**32 - 1}, expected no "
            "larger seed: lower one of them"
        )
    return range(first, first + count)
