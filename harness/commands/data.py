"""``levelfield data …``: the datasets, found, downloaded, examined."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.commands.flags import DataDir, Json
from harness.console import Console

data_app = typer.Typer(help="The datasets.", no_args_is_help=True)


@data_app.command("fetch")
def data_fetch(
    dataset: Annotated[str, typer.Argument()] = "fashion-mnist",
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Find or download a dataset."""
    from harness.commands.inputs import DatasetProgress
    from harness.datasets.search import find_dataset

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
    from harness.datasets.search import dataset_info

    console = Console(json=json)
    info = dataset_info(dataset, Path(data_dir) if data_dir else None)
    rows = [(one.source, one.dataset, one.state, one.place, one.detail) for one in info.sources]
    header = ("source", "dataset", "state", "place", "detail")
    console.table(f"{info.name}, in the order in which sources are asked", header, rows)
    console.answer(info)
