"""Commands that measure one cell again: each is one that the command line takes."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from typer.main import get_command

from harness.cli import app
from harness.report.commands import cell_command, resume_command
from harness.spec.manifest import Run

replace = msgspec.structs.replace


def command_of(run: Run, *command: str, **cell: Any) -> list[str] | None:
    """Of the first cell of ``run``, had ``command`` made it."""
    first = replace(run.manifest.cells[0], **cell)
    manifest = replace(run.manifest, study=command[0], command=("levelfield", *command))
    return cell_command(first, manifest)


@pytest.mark.parametrize("made_by", [("run", "cpu"), ("verify",), ("reproduce", "--seeds", "3")])
def test_the_command_line_takes_it(tell: Callable[..., Run], made_by: tuple[str, ...]) -> None:
    run = tell(blocks=0, seeds=(0, 1, 2))
    words = command_of(run, *made_by)
    assert words is not None
    name, command, *arguments = words
    assert (name, command) == ("levelfield", made_by[0])
    # Parses, and fails with what it does not know.
    known = get_command(app).commands[command]  # type: ignore[attr-defined]
    known.make_context(command, list(arguments))


def test_it_names_version_mode_input_and_what_was_changed(
    tell: Callable[..., Run], recipes: dict[str, Any]
) -> None:
    run = tell(blocks=0)
    changed = recipes["sgd"].overridden(epochs=2, batch_size=64)
    words = command_of(
        run, "run", "zoo", "--impl-dir", "mine", recipe=changed, input="loader", loader_workers=2
    )
    assert words is not None
    assert " ".join(words) == (
        "levelfield run cpu -f pytorch@2.14.1 -r lenet-sgd --epochs 2 --mode compiled "
        "--input loader --loader-workers 2 --device cpu --threads 2 --settings matched --seed 7 "
        "--impl-dir mine"
    )


def test_the_batch_is_named_where_the_run_named_batches(
    tell: Callable[..., Run], recipes: dict[str, Any]
) -> None:
    run = tell(blocks=0)
    swept = ("run", "zoo", "--batch-size", "64,256")
    # The recipe's own too: the suite may have another.
    for recipe, batch in ((recipes["sgd"].overridden(batch_size=64), 64), (recipes["sgd"], 256)):
        words = command_of(run, *swept, recipe=recipe)
        assert words is not None
        assert f"--batch-size {batch} --mode" in " ".join(words)


def test_a_revision_has_none_and_another_requirement_is_asked_for(
    tell: Callable[..., Run],
) -> None:
    run = tell(blocks=0)
    assert command_of(run, "run", variant="base-1a2b3c4") is None
    environment = replace(
        run.manifest.environments[0], variant="numpy-2.3.1", asked_version="numpy==2.3.1"
    )
    other = replace(run, manifest=replace(run.manifest, environments=(environment,)))
    words = command_of(other, "run", variant="numpy-2.3.1")
    assert words is not None
    assert "pytorch@numpy==2.3.1" in words
    assert command_of(other, "gate", "--base", "main") is None


@pytest.mark.parametrize(("label", "word"), [(None, "pytorch"), ("new", "pytorch@new")])
def test_an_interpreter_that_was_there_is_named_again(
    tell: Callable[..., Run], label: str | None, word: str
) -> None:
    run = tell(blocks=0)
    cell = replace(run.manifest.cells[0], variant=label or "")
    record = replace(
        run.manifest.environments[0], variant=label or "", asked_version=label, interpreter="~/py"
    )
    manifest = replace(
        run.manifest,
        environments=(record,),
        command=("levelfield", "run", "--python", "pytorch=py", "--python", "keras=other"),
    )
    words = cell_command(cell, manifest)
    assert words is not None
    assert words[3:7] == ["-f", word, "--python", f"{word}=~/py"]
    assert words.count("--python") == 1
    assert resume_command(manifest)[4:] == ["--python", "pytorch=py", "--python", "keras=other"]


def test_a_run_goes_on_with_the_places_it_had(tell: Callable[..., Run]) -> None:
    manifest = tell(blocks=0).manifest
    command = ("levelfield", "verify", "--all", "--impl-dir=mine", "--out", "there")
    assert resume_command(replace(manifest, study="verify", command=command)) == [
        "levelfield", "verify", "--resume", manifest.run, "--impl-dir=mine", "--out", "there",
    ]  # fmt: skip
    assert resume_command(replace(manifest, command=()))[1] == "run"
