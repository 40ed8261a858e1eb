"""What ``list`` and ``env list`` answer: typed, for ``--json``, and as tables."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import msgspec

from harness.commands.catalogue import Catalogue
from harness.console import Console
from harness.errors import LevelfieldError
from harness.spec.events import BlockFinished, RunFinished
from harness.store.micro import has_micro, read_micro_manifest
from harness.store.runs import read_run, run_folders
from impls.definition import Layer, Model, Shape, elementary_steps, steps


class ListedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model, and what follows from its definition."""

    name: str
    input_shape: tuple[int, ...]
    """(C, H, W) of one image."""
    parameters: int
    forward_flops: int
    """Of a forward pass, per image: multiplications and additions of convolutions and dense layers,
    two for each product, biases left out."""
    training_flops: int
    """Of a forward and a backward pass, per image, counted likewise."""
    layers: tuple[ListedLayer, ...]


class ListedLayer(msgspec.Struct, frozen=True, kw_only=True):
    """One layer of a model; what it holds is counted with it."""

    name: str = ""
    """Canonical name; empty where the layer has no parameters of its own."""
    kind: str
    output_shape: tuple[int, ...]
    """Of one image: (C, H, W), or (features,)."""
    parameters: int
    forward_flops: int
    layers: tuple[ListedLayer, ...] = ()
    """What a residual block or a dense connection holds."""
    shortcut: tuple[ListedLayer, ...] = ()
    """The other way through a residual block; empty: its inputs as they are."""


class ListedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A stored run, in short."""

    run: str
    created: str
    suite: str
    machine: str
    """Its fingerprint."""
    cells: tuple[str, ...]
    blocks: int
    exit_code: int | None
    """Nothing where the run did not come to its own end; ``--resume`` goes on with it."""
    problem: str = ""
    """Why it can't be read."""


def list_frameworks(console: Console, catalogue: Catalogue) -> None:
    """The console shows every implementation that can be measured."""
    known = [one for one in catalogue.implementations.values() if one.role == "framework"]
    rows = [
        (one.name, one.title, ", ".join(one.modes), ", ".join(sorted(one.python)), one.folder)
        for one in known
    ]
    console.table("Frameworks", ("name", "framework", "modes", "Python", "folder"), rows)
    console.answer(known)


def list_models(console: Console, catalogue: Catalogue) -> None:
    """The console shows every model with its parameters, FLOPs and shapes."""
    models = [listed_model(model) for model in catalogue.models.values()]
    rows = [
        (
            model.name,
            shape_text(model.input_shape),
            str(sum(1 for _ in model.elementary_steps())),
            f"{listed.parameters / 1e6:.3f}",
            f"{listed.forward_flops / 1e6:,.2f}",
            f"{listed.training_flops / 1e6:,.2f}",
        )
        for model, listed in zip(catalogue.models.values(), models, strict=True)
    ]
    header = ("name", "input", "layers", "M parameters", "forward MFLOP", "training MFLOP")
    console.table("Models (FLOPs per image)", header, rows)
    console.answer(models)


def listed_model(model: Model) -> ListedModel:
    """All that follows from the definition of ``model``."""
    return ListedModel(
        name=model.name,
        input_shape=model.input_shape,
        parameters=_count(model.parameter_shapes().values()),
        forward_flops=model.forward_flops(),
        training_flops=model.training_flops(),
        layers=_listed_layers(model.layers, model.input_shape),
    )


def shape_text(shape: Iterable[int]) -> str:
    """``6×24×24``."""
    return "×".join(map(str, shape))


def list_recipes(console: Console, catalogue: Catalogue) -> None:
    """The console shows every recipe."""
    rows = [
        (
            one.name,
            one.model,
            one.dataset,
            f"{type(one.optimizer).__name__} {one.optimizer.learning_rate:g}",
            str(one.batch_size),
            str(one.epochs),
            one.init,
            "none" if one.target_accuracy is None else f"{one.target_accuracy:.2f}",
            f"{one.published.test_accuracy[-1]:.3f}" if one.published else "none",
        )
        for one in catalogue.recipes.values()
    ]
    header = (
        "name", "model", "dataset", "optimizer", "batch", "epochs", "init", "target", "published",
    )  # fmt: skip
    console.table("Recipes", header, rows)
    console.answer(list(catalogue.recipes.values()))


def list_suites(console: Console, catalogue: Catalogue) -> None:
    """The console shows every suite."""
    rows = [
        (
            one.name,
            ", ".join(one.recipes),
            str(one.blocks) if one.blocks is not None else "10, then 20",
            one.description,
        )
        for one in catalogue.suites.values()
    ]
    console.table("Suites", ("name", "recipes", "blocks", "what for"), rows)
    console.answer(list(catalogue.suites.values()))


def list_runs(console: Console, runs: Path) -> None:
    """The console shows every stored run, oldest first."""
    listed = [_listed_run(folder) for folder in run_folders(runs)]
    rows = [
        (
            one.run,
            str(len(one.cells)),
            str(one.blocks),
            one.problem or ("unfinished" if one.exit_code is None else f"exit {one.exit_code}"),
        )
        for one in listed
    ]
    console.table(f"Runs in {runs}", ("run", "cells", "short blocks", "end"), rows)
    console.answer(listed)


def list_environments(console: Console, catalogue: Catalogue) -> None:
    """The console shows every environment with versions, size and place."""
    # Lists of what is written down wait for nothing that installs and computes.
    from harness.commands.micro_tools import tools_implementation
    from harness.environments.collection import Environments
    from harness.environments.given import tools_implementation as worker_tools

    implementations = catalogue.implementations.values()
    pythons = [python for one in implementations for python in one.python]
    tools = [tools_implementation(pythons), worker_tools(pythons)]
    environments = Environments().listed([*implementations, *tools])
    rows = [
        (
            one.name,
            f"{one.framework} {one.version or '?'}",
            one.python or "?",
            f"{one.size_bytes / 2**30:.2f} GiB",
            one.state + ("" if one.current else ", no longer asked for"),
            one.place,
        )
        for one in environments
    ]
    header = ("name", "framework", "Python", "size", "state", "place")
    console.table("Environments", header, rows)
    console.answer(environments)


def _listed_run(folder: Path) -> ListedRun:
    try:
        run = read_run(folder)
        broken = has_micro(folder) and read_micro_manifest(folder).failures
    except LevelfieldError as error:
        return ListedRun(
            run=folder.name,
            created="",
            suite="",
            machine="",
            cells=(),
            blocks=0,
            exit_code=None,
            problem=str(error),
        )
    ends = [event.exit_code for event in run.events if isinstance(event, RunFinished)]
    code = ends[-1] if ends else None
    if broken:
        code = max(code or 0, 2)
    blocks = {
        (event.group, event.block)
        for event in run.events
        if isinstance(event, BlockFinished) and not event.long
    }
    return ListedRun(
        run=folder.name,
        created=run.manifest.created,
        suite=run.manifest.plan.suite,
        machine=run.manifest.machine.fingerprint,
        cells=tuple(cell.id for cell in run.manifest.cells),
        blocks=len(blocks),
        exit_code=code,
    )


def _listed_layers(layers: tuple[Layer, ...], shape: Shape) -> tuple[ListedLayer, ...]:
    """``layers``, the first fed with images of ``shape``."""
    listed = []
    for layer, inputs, output in steps(layers, shape):
        inside = list(elementary_steps((layer,), inputs))
        listed.append(
            ListedLayer(
                name=getattr(layer, "name", ""),
                kind=str(layer.__struct_config__.tag),
                output_shape=output,
                parameters=sum(
                    _count(step.layer.parameter_shapes(step.input_shape).values())
                    for step in inside
                ),
                forward_flops=sum(step.layer.forward_flops(step.input_shape) for step in inside),
                layers=_listed_layers(getattr(layer, "layers", ()), inputs),
                shortcut=_listed_layers(getattr(layer, "shortcut", ()), inputs),
            )
        )
    return tuple(listed)


def _count(shapes: Iterable[tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in shapes)
