"""``levelfield env …``: the frameworks' environments, made, listed, removed."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.commands.flags import Device, Frameworks, ImplDirs, Json
from harness.console import Console

env_app = typer.Typer(help="The frameworks' environments.", no_args_is_help=True)


@env_app.command("sync")
def env_sync(
    framework: Frameworks = None,
    device: Device = None,
    impl_dir: ImplDirs = None,
    json: Json = False,
) -> None:
    """Make the environments that are not there yet."""
    from harness.commands.catalogue import read_catalogue
    from harness.commands.resources import sync_environments
    from harness.execution.planning import Choice, named
    from harness.spec.selection import FrameworkChoice

    console = Console(json=json)
    catalogue = read_catalogue(impl_dir or ())
    device = device or "cpu"
    # What has no limits for a GPU computes on the CPU alone, as an oracle does.
    usual = [name for name, one in catalogue.implementations.items() if device == "cpu" or one.gpu]
    asked = [FrameworkChoice.parse(text) for text in framework or usual]
    choices = [
        Choice(named("framework", one.name, catalogue.implementations), one.version)
        for one in asked
    ]
    synced = sync_environments(console, choices, device)
    for one in synced:
        console.result(
            f"{one.record.framework} {one.record.version}, Python {one.record.python}, "
            f"{one.size_bytes / 2**30:.2f} GiB: {one.folder}"
        )
    console.answer(synced)


@env_app.command("list")
def env_list(impl_dir: ImplDirs = None, json: Json = False) -> None:
    """Show all environments: versions, size and place."""
    from harness.commands import listings
    from harness.commands.catalogue import read_catalogue

    listings.list_environments(Console(json=json), read_catalogue(impl_dir or ()))


@env_app.command("remove")
def env_remove(
    name: Annotated[list[str], typer.Argument(help="As 'levelfield env list' names them.")],
    json: Json = False,
) -> None:
    """Remove environments."""
    from harness.environments.collection import Environments

    console = Console(json=json)
    freed = {one: Environments().remove(one) for one in name}
    for one, size_bytes in freed.items():
        console.result(f"{one} removed, {size_bytes / 2**30:.2f} GiB freed")
    console.answer(freed)
