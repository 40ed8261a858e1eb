"""What all commands of ``levelfield`` hang on."""

from __future__ import annotations

from typing import Annotated

import typer

from harness import __version__
from harness.commands.data import data_app
from harness.commands.environments import env_app

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
