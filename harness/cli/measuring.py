"""Commands that measure: a new run, or one that goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import app
from harness.commands.flags import Flags, takes_flags
from harness.console import Console
from harness.errors import UsageError
from harness.store.runs import run_folder

if TYPE_CHECKING:
    from harness.commands.catalogue import Catalogue
    from harness.spec.manifest import Study
    from harness.spec.suites import Suite


@app.command()
@takes_flags()
def run(
    flags: Flags,
    suite: Annotated[str, typer.Argument(help="See 'levelfield list suites'.")] = "cpu",
) -> None:
    """Verify, train, time, judge; write a report."""
    from harness.commands.results import show_measured
    from harness.execution.planning import named

    console, catalogue = Console(json=flags.json), flags.catalogue()
    folder = _measured(console, catalogue, named("suite", suite, catalogue.suites), flags)
    raise typer.Exit(show_measured(console, "run", folder, flags.out / "reports", flags.junit))


@app.command()
@takes_flags(
    "input",
    "loader_workers",
    "settings",
    "epochs",
    "blocks",
    "budget",
    "no_aa",
    "reference",
    "dry_run",
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
    from harness.commands.results import show_verification

    console, catalogue = Console(json=flags.json), flags.catalogue()
    suite = suites.proof_alone(catalogue, every_recipe=every)
    if seeds is not None:
        from harness.commands.seeds import show_seeds

        if flags.resume is not None:
            raise UsageError(
                f"--seeds {seeds} and --resume {flags.resume} are given, expected one: proofs over "
                "seeds are kept nowhere to go on from"
            )
        within = seeds_from(flags.seed, seeds)
        code = show_seeds(console, catalogue, suite, flags.selection(), within, flags.junit)
        raise typer.Exit(code)
    folder = _measured(console, catalogue, suite, flags, "verify")
    raise typer.Exit(show_verification(console, folder, flags.junit))


@app.command()
@takes_flags(
    "recipe", "input", "loader_workers", "blocks", "budget", "no_aa", one_number_of_threads=True
)
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
    from harness.commands.results import show_measured

    seeds_from(flags.seed, seeds)
    console, catalogue = Console(json=flags.json), flags.catalogue()
    suite = suites.reproduction(catalogue, recipe or (), seeds)
    folder = _measured(console, catalogue, suite, flags, "reproduce")
    raise typer.Exit(
        show_measured(console, "reproduce", folder, flags.out / "reports", flags.junit)
    )


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
    from harness.commands.results import show_measured, show_stored

    console, these = Console(json=flags.json), these or []
    if len(these) < 2 and flags.resume is None:
        raise UsageError(
            f"{these[0] if these else 'Nothing'} stands alone, expected two or more: "
            "name what to compare with"
        )
    if flags.resume is None and not any("@" in each for each in these):
        if flags.dry_run:
            raise UsageError(
                "--dry-run is given for stored runs, which are not measured anew, expected "
                "versions to measure: leave it out"
            )
        if flags.junit is not None:
            raise UsageError(
                f"--junit {flags.junit} is given for stored runs, which are not judged anew, "
                "expected versions to measure: leave it out"
            )
        runs = flags.out / "results" / "runs"
        show_stored(console, [run_folder(runs, name) for name in these], flags.out / "reports")
        return
    catalogue = flags.catalogue()
    suite = suites.comparison(catalogue)
    flags = replace(flags, framework=these)
    folder = _measured(console, catalogue, suite, flags, "compare")
    raise typer.Exit(show_measured(console, "compare", folder, flags.out / "reports", flags.junit))


@app.command()
@takes_flags("no_aa", "reference", "batch_size", "dry_run", one_number_of_threads=True)
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
        folder = resume_gate(
            console, run_folder(runs, flags.resume), flags.data_dir, flags.pythons()
        )
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
@takes_flags(
    "recipe",
    "mode",
    "device",
    "epochs",
    "no_aa",
    "reference",
    "batch_size",
    "dry_run",
    one_number_of_threads=True,
)
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
        folder = resume_tax(console, folder, flags.catalogue(), flags.data_dir)
    else:
        folder = start_tax(console, flags.selection(), runs, batch or BATCH_SIZES, rounds or ROUNDS)
    raise typer.Exit(show_tax(console, folder, flags.out / "reports", flags.junit))


@app.command()
@takes_flags(
    "recipe",
    "input",
    "loader_workers",
    "epochs",
    "blocks",
    "budget",
    "no_aa",
    "reference",
    "batch_size",
    "fresh",
    "dry_run",
    one_number_of_threads=True,
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
    from harness.commands.micro import resume_micro, start_micro
    from harness.commands.micro_results import read_base, show_micro
    from harness.commands.micro_session import Request
    from harness.spec.micro_limits import read_micro_limits
    from harness.worker.micro_job import BATCH_SIZES

    console, runs = Console(json=flags.json), flags.out / "results" / "runs"
    limits = read_micro_limits(Path.cwd(), fail or ())
    earlier = None if base is None else read_base(run_folder(runs, base))
    catalogue = flags.catalogue()
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


def _measured(
    console: Console, catalogue: Catalogue, suite: Suite, flags: Flags, study: Study = "run"
) -> Path:
    """The folder of a run that has come to its end: a new one of ``suite``, or ``--resume``'s.

    With ``--dry-run`` the command ends here.
    """
    from harness.commands.outlook import show_dry_run
    from harness.commands.plan import command_line
    from harness.commands.run import resume_run, start_run

    if flags.dry_run:
        if flags.resume is not None:
            raise UsageError(
                f"--dry-run and --resume {flags.resume} are given, expected one: what a run that "
                "goes on has left to do, it says itself"
            )
        show_dry_run(console, catalogue, suite, flags.selection())
        raise typer.Exit
    runs = flags.out / "results" / "runs"
    if flags.resume is not None:
        return resume_run(console, catalogue, run_folder(runs, flags.resume), flags.data_dir)
    return start_run(
        console, catalogue, suite, flags.selection(), runs, command_line(), study=study
    )


def seeds_from(first: int, count: int) -> range:
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
