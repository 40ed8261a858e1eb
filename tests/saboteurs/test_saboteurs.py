"""Implementations that are wrong in one way each: the tool has to say so, and of them alone.

What each does wrong stands in its ``impl.toml``. Those of a group are measured at once, beside an
honest mode of the same implementation, which must not be blamed for what they do.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache as remembered
from pathlib import Path
from typing import NamedTuple

import pytest

from harness import paths
from harness.spec.implementations import read_implementations

from .shared_cache import FOLDER

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

AT_ONCE = 5
"""Saboteurs of one run: all of its contenders are alive together."""


class Place(NamedTuple):
    """Where a mistake shows."""

    command: tuple[str, ...]
    recipe: str = "lenet-sgd"
    threads: int = 2
    alone: bool = False
    """Whether it may disturb what is measured beside it."""


VERIFY = ("verify",)
SHORT = ("run", "zoo")
LONG = ("run", "smoke", "--epochs", "1", "--blocks", "0")
"""The only trials with partial batches and evaluations."""
LOADER = ("run", "zoo", "--input", "loader", "--loader-workers", "1")


class Saboteur(NamedTuple):
    """A mode that is wrong, where it has to be caught, and what the line about it says."""

    implementation: str
    mode: str
    place: Place
    clause: str
    """Regular expression."""


AUDIT = r"parity failed|not comparable: .* audit of trial"
TIMED = Place(SHORT)
ALONE = Place(SHORT, alone=True)
DROPOUT = Place(VERIFY, "alexnet")
EPOCH = Place(LONG)
FIRST_STEP = r"parity failed: .*: weights .* after step 1: off by"

SABOTEURS = [
    Saboteur("pytorch_saboteur", "trains-while-staging", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "trains-window-in-lead-in", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "trains-when-metrics-are-taken", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "updates-when-weights-are-asked", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "trains-before-lead-in", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "slow-clock", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "stopped-clock", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "skips-every-second-step", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "skips-in-silence", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "halves-large-batches", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "drops-last-batch", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "trains-first-batch-again", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "shuffles-staged", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "accumulates", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "clips-gradients", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "decays-rate", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "decays-weights-later", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "lowers-precision-later", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "reuses-first-loss", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "guesses-hits", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "returns-stale-weights", TIMED, AUDIT),
    Saboteur("pytorch_saboteur", "forgets-to-synchronize", ALONE, AUDIT),
    Saboteur("pytorch_saboteur", "detached-child", ALONE, AUDIT),
    Saboteur("pytorch_saboteur", "child-process", ALONE._replace(threads=1), AUDIT),
    Saboteur("pytorch_saboteur", "twice-the-threads", ALONE._replace(threads=1), AUDIT),
    Saboteur("pytorch_saboteur", "evaluates-a-tenth", EPOCH, AUDIT),
    Saboteur("pytorch_saboteur", "pads-evaluation", EPOCH, AUDIT),
    Saboteur("pytorch_saboteur", "evaluates-in-training-mode", Place(LONG, "lenet-bn"), AUDIT),
    Saboteur("pytorch_saboteur", "omits-dropout", DROPOUT, AUDIT),
    Saboteur("pytorch_saboteur", "drops-too-little", DROPOUT, AUDIT),
    Saboteur("pytorch_saboteur", "freezes-dropout", DROPOUT, AUDIT),
    Saboteur("pytorch_saboteur", "leaves-dropout-unscaled", DROPOUT, AUDIT),
    Saboteur("pytorch_saboteur", "smooths-labels", Place(VERIFY), FIRST_STEP),
    Saboteur("pytorch_saboteur", "raises-rate", Place(VERIFY), FIRST_STEP),
    Saboteur("pytorch_saboteur", "raises-rate", Place(VERIFY, "resnet18"), r"parity failed"),
    Saboteur("pytorch_saboteur", "flattens-another-way", Place(VERIFY), r"logits of the initial"),
    Saboteur("pytorch_saboteur", "uses-epsilon-hat", Place(VERIFY, "lenet-adam"), FIRST_STEP),
    Saboteur("pytorch_saboteur", "keeps-optimizer-state", Place(VERIFY, "lenet-adam"), FIRST_STEP),
    Saboteur("pytorch_saboteur", "dampens-momentum", Place(VERIFY, "lenet-momentum"), FIRST_STEP),
    Saboteur("pytorch_saboteur", "biases-variance", Place(VERIFY, "lenet-bn"), r"running_var"),
    Saboteur("pytorch_saboteur", "confuses-momentum", Place(VERIFY, "lenet-bn"), r"running_mean"),
    Saboteur("pytorch_saboteur", "stays-in-evaluation-mode", Place(VERIFY, "lenet-bn"), r"loss at"),
    Saboteur("keras_saboteur", "shuffles-in-fit", TIMED, AUDIT),
    Saboteur("keras_saboteur", "captures-first-batches", TIMED, AUDIT),
    Saboteur("keras_saboteur", "forgets-logits", Place(VERIFY), FIRST_STEP),
    Saboteur("keras_saboteur", "repeats-first-batch", Place(LOADER), AUDIT),
    Saboteur("keras_saboteur", "drops-partial-batches", Place(LOADER), AUDIT),
    Saboteur("keras_saboteur", "never-shuffles", Place(LOADER), AUDIT),
    Saboteur("keras_saboteur", "yields-twice", Place(LOADER), AUDIT),
    Saboteur("keras_saboteur", "takes-a-tenth", Place(LOADER), AUDIT),
    Saboteur("gluon_saboteur", "forgets-waitall", ALONE, AUDIT),
    Saboteur("gluon_saboteur", "divides-by-whole-batch", EPOCH, AUDIT),
    Saboteur("gluon_saboteur", "adds-gradients", Place(VERIFY), r"loss at step"),
    Saboteur("gluon_saboteur", "records-in-predict-mode", Place(VERIFY, "lenet-bn"), r"loss at"),
]  # fmt: skip


def together() -> dict[Saboteur, tuple[Saboteur, ...]]:
    """Each saboteur → those that it is measured with, itself among them."""
    found = {}
    for one in SABOTEURS:
        same = [each for each in SABOTEURS if each[0] == one[0] and each.place == one.place]
        size = 1 if one.place.alone else AT_ONCE
        start = same.index(one) // size * size
        found[one] = tuple(same[start : start + size])
    return found


Measured = Callable[[Saboteur], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def measured(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """The outcome of the command that has to catch a saboteur, beside honest ones and others."""

    @remembered
    def outcome(group: tuple[Saboteur, ...]) -> subprocess.CompletedProcess[str]:
        implementation, _, place, _ = group[0]
        modes = [f"--mode={mode}" for mode in ("honest", *(one.mode for one in group))]
        return subprocess.run(
            [
                *(sys.executable, "-m", "harness", *place.command, "--json"),
                *("--impl-dir", str(FOLDER), "-f", implementation, *modes),
                *("-r", place.recipe, "--threads", str(place.threads)),
                *("--dataset", "fashion-mnist-20k"),
            ],
            cwd=tmp_path_factory.mktemp(f"{implementation}-{group[0].mode}"),
            env={**os.environ, "PYTHONPATH": str(paths.ROOT), "XDG_CACHE_HOME": str(cache)},
            capture_output=True,
            text=True,
            timeout=1800,
        )

    groups = together()
    return lambda saboteur: outcome(groups[saboteur])


def failures(done: subprocess.CompletedProcess[str], mode: str) -> list[str]:
    """What was said against the cell of ``mode``."""
    return [
        line
        for line in done.stderr.splitlines()
        if f"/{mode}/" in line and re.search(r"failed|not comparable", line)
    ]


def label(saboteur: Saboteur) -> str:
    return f"{saboteur.implementation}-{saboteur.mode}-{saboteur.place.recipe}"


EVERY_TIME = {
    "trains-while-staging",
    "trains-when-metrics-are-taken",
    "skips-every-second-step",
    "halves-large-batches",
}
"""What is tried whenever the tests are run; the others, with ``tox -e saboteurs``."""


@pytest.mark.parametrize(
    "saboteur",
    [
        pytest.param(one, marks=[] if one.mode in EVERY_TIME else pytest.mark.campaign)
        for one in SABOTEURS
    ],
    ids=label,
)
def test_it_is_caught_and_nobody_else(measured: Measured, saboteur: Saboteur) -> None:
    done = measured(saboteur)
    assert done.returncode == 3, done.stderr
    said = failures(done, saboteur.mode)
    assert any(re.search(saboteur.clause, line) for line in said), done.stderr
    assert failures(done, "honest") == []


SEEDS = 20
PROVED = [
    one
    for one in SABOTEURS
    if one.place.command == VERIFY and one.clause != AUDIT and one.place.recipe != "resnet18"
]
"""What the proof alone catches, within seconds."""


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("implementation", "recipe"),
    sorted({(one.implementation, one.place.recipe) for one in PROVED}),
)
def test_a_proof_catches_it_from_every_seed(
    cache: Path, tmp_path: Path, implementation: str, recipe: str
) -> None:
    wrong = [
        one.mode
        for one in PROVED
        if (one.implementation, one.place.recipe) == (implementation, recipe)
    ]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "harness", "verify", "--seeds", f"{SEEDS}", "--seed", "1000"),
            *("--json", "--impl-dir", str(FOLDER), "-f", implementation, "-r", recipe),
            *(f"--mode={mode}" for mode in ("honest", *wrong)),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(paths.ROOT), "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert done.returncode == 3, done.stderr
    caught: dict[str, set[int]] = {mode: set() for mode in ("honest", *wrong)}
    for held in json.loads(done.stdout)["cells"]:
        caught[held["cell"].split("/")[2]] |= {failed["seed"] for failed in held["failed"]}
    everywhere = set(range(1000, 1000 + SEEDS))
    assert caught == {"honest": set(), **dict.fromkeys(wrong, everywhere)}


@pytest.mark.parametrize("name", ["pytorch", "keras", "gluon"])
def test_a_mistake_stands_where_the_honest_adapter_has_something(name: str) -> None:
    """Else it makes none: a method that the honest one no longer has is never called."""
    theirs = ast.parse((paths.IMPLS / name / "adapter.py").read_text(encoding="utf-8"))
    ours = ast.parse((FOLDER / f"{name}_saboteur" / "adapter.py").read_text(encoding="utf-8"))
    honest = {each.name for each in ast.walk(theirs) if isinstance(each, ast.FunctionDef)}
    for one in (each for each in ours.body if isinstance(each, ast.ClassDef)):
        methods = {each.name for each in one.body if isinstance(each, ast.FunctionDef)}
        assert methods - {"__init__"} <= honest, f"{one.name} overrides what is not there"


def test_every_mode_is_expected_to_be_caught() -> None:
    modes = {
        (name, mode)
        for name, implementation in read_implementations(FOLDER).items()
        for mode in implementation.modes
        if mode != "honest"
    }
    assert modes == {(one.implementation, one.mode) for one in SABOTEURS}
