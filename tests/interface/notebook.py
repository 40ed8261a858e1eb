"""The example notebook: what its cells hold, and how they are executed.

``python -m tests.interface.notebook`` (from the repository's root) writes ``docs/notebook.ipynb``
anew.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from unittest import mock

import nbformat
from nbclient import NotebookClient

from harness import paths
from tests.analysis.runs import Contender, noise, run_of, seeds_events, short_events
from tests.commands.stored import store

NOTEBOOK = paths.ROOT / "docs" / "notebook.ipynb"


def store_example(folder: Path) -> None:
    """A made-up run of two frameworks lies below ``folder``: five short blocks, three seeds."""
    alpha, twin, beta = Contender("alpha"), Contender("alpha", True), Contender("beta")
    logs = {
        alpha: noise(1, 5, 4, 0.02),
        twin: noise(2, 5, 4, 0.02),
        beta: noise(3, 5, 4, 0.02, shift=0.2),
    }
    curves = {
        "alpha": [(0.42, 0.71), (0.38, 0.69), (0.45, 0.73)],
        "beta": [(0.55, 0.70), (0.36, 0.72), (0.41, 0.68)],
    }
    run = run_of([*short_events(logs), *seeds_events(curves)], ["alpha", "beta"])
    store(run, folder, run="made-up", created="2026-01-01T00:00:00+00:00")


def executed(folder: Path) -> nbformat.NotebookNode:
    """The notebook, executed in ``folder``, where the example is the latest run."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    store_example(folder)
    with mock.patch.dict(os.environ, {"PYTHONPATH": str(paths.ROOT)}):
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}).execute()
    return notebook


def said(notebook: nbformat.NotebookNode) -> list[str]:
    """What each cell answers, as text."""
    return [
        output.get("text") or output["data"]["text/plain"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        fresh = executed(Path(place))
    for cell in fresh.cells:
        cell.metadata = {}  # when it was executed
    fresh.metadata = {"language_info": {"name": "python"}}
    nbformat.write(fresh, NOTEBOOK)
