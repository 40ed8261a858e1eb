"""Commands that a reader may type: to go on with a run, and to measure one cell of it again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from harness.analysis.builds import environments_of
from harness.spec.cells import Cell
from harness.spec.manifest import Manifest

SOURCES = ("--impl-dir", "--data-dir")
"""Options that say where implementations and data are: whatever is measured again needs them."""
PYTHON = "--python"
NOT_TAKEN = {
    "run": ("--seeds",),
    "verify": ("--epochs", "--input", "--loader-workers", "--settings", "--seeds"),
    "reproduce": ("-r", "--input", "--loader-workers"),
}
"""Commands that measure cells, and which of the options for one cell they do without."""
OVERRIDES = ("dataset", "epochs")
"""What the command line changes of a recipe beside the batch; other changes are a suite's own."""


def resume_command(manifest: Manifest) -> list[str]:
    """What goes on with the run: the command that made it, by its name."""
    return [
        "levelfield",
        manifest.study,
        "--resume",
        manifest.run,
        *_kept(manifest.command, (*SOURCES, PYTHON, "--out")),
    ]


def cell_command(cell: Cell, manifest: Manifest) -> list[str] | None:
    """What measures ``cell`` again by itself, as in the run of ``manifest``.

    Nothing where no command does: for a revision of an implementation that only a comparison
    with another one checks out, and in runs of such comparisons.
    """
    verb = manifest.study
    framework = _framework(cell, manifest)
    if framework is None or verb not in NOT_TAKEN:
        return None
    plan = manifest.plan
    argument = {"run": plan.suite, "reproduce": cell.recipe.name}.get(verb)
    changes = [each.partition("=") for each in cell.recipe.overrides]
    batch = [("--batch-size", f"{cell.recipe.batch_size}")]
    interpreter = _interpreter(cell, manifest)
    options = [
        ("-f", framework),
        *([(PYTHON, f"{framework}={interpreter}")] if interpreter else []),
        ("-r", cell.recipe.name),
        *((f"--{name}", value) for name, _, value in changes if name in OVERRIDES),
        *(batch if _kept(manifest.command, ("--batch-size",)) else []),
        ("--mode", cell.mode),
        ("--input", cell.input),
        *([("--loader-workers", f"{cell.loader_workers}")] if cell.loader_workers else []),
        ("--device", cell.device),
        ("--threads", f"{cell.threads}"),
        ("--settings", cell.settings),
        ("--seed", f"{plan.seed}"),
        ("--seeds", f"{len(plan.seeds)}"),
    ]
    words = [word for each in options if each[0] not in NOT_TAKEN[verb] for word in each]
    kept = _kept(manifest.command, SOURCES)
    return ["levelfield", verb, *([argument] if argument else []), *words, *kept]


def _framework(cell: Cell, manifest: Manifest) -> str | None:
    """``NAME@1.2.3``, or what was asked for instead: ``NAME@PACKAGE==1.2.3``, ``NAME@LABEL``,
    or ``NAME`` with an interpreter of its own."""
    if not cell.variant:
        own = _interpreter(cell, manifest)
        return cell.framework if own else f"{cell.framework}@{cell.version}"
    for each in manifest.environments:
        same = (each.framework, each.variant) == (cell.framework, cell.variant)
        if same and each.asked_version:
            return f"{cell.framework}@{each.asked_version}"
    return None


def _interpreter(cell: Cell, manifest: Manifest) -> str:
    """The one that was there already for the cell; empty where there was none."""
    known = environments_of([cell], manifest.environments).get(cell.id)
    return known.interpreter if known else ""


def _kept(command: Sequence[str], options: Sequence[str]) -> list[str]:
    """Those of ``options`` that ``command`` has, with their values."""
    kept: list[str] = []
    for word, following in pairwise((*command, "")):
        if word in options:
            kept += [word, following]
        elif word.partition("=")[0] in options:
            kept.append(word)
    return kept
