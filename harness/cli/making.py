"""Commands for who makes implementations, looks after a machine, or doubts the statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.app import app
from harness.cli.measuring import seeds_from
from harness.commands.flags import DataDir, ImplDirs, Json, Out
from harness.console import Console
from harness.store.runs import run_folder


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
        seeds_from(seed, seeds),
        data_dir,
        dataset=dataset,
    )
