"""Runs made up from a seed: what a report of three frameworks on a small machine reads."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from harness.spec.events import Failure, Skip
from harness.spec.manifest import Run
from harness.spec.recipes import Recipe

from .document import Document
from .stories import ADAM, ADAM_64, SGD, TITLES, VERSIONS, Story
from .teller import Teller

HOSTILE = (
    "<script>alert(1)</script>|`]($\\frac{{{7*7}}\"'><img src=x onerror=alert(2)> &amp; \U0001f600"
    "]]></style></title></text><svg onload=alert(3)>"
)


@pytest.fixture(scope="session")
def tell() -> Callable[..., Run]:
    """``tell(blocks=3)`` is the run of the usual story with that changed."""

    def tell_story(**changes: object) -> Run:
        return Teller(Story().with_(**changes)).run()

    return tell_story


@pytest.fixture(scope="session")
def recipes() -> dict[str, Recipe]:
    return {"sgd": SGD, "adam": ADAM}


@pytest.fixture(scope="session")
def adam_64() -> Recipe:
    return ADAM_64


@pytest.fixture(scope="session")
def read_html() -> Callable[[str], Document]:
    return Document


@pytest.fixture(scope="session")
def hostile() -> str:
    return HOSTILE


@pytest.fixture(scope="session")
def hostile_run(tell: Callable[..., Run]) -> Run:
    """A run whose every text comes from somebody who means harm."""
    versions = dict.fromkeys(VERSIONS, f"1{HOSTILE}")
    recipe = msgspec.structs.replace(SGD, name=f"r{HOSTILE}", overrides=(f"epochs={HOSTILE}",))
    cell_of = Teller(Story(recipes=(recipe,), versions=versions)).cells()[0]
    run = tell(
        recipes=(recipe,),
        versions=versions,
        titles={framework: f"{framework}{HOSTILE}\n\x00" for framework in TITLES},
        fallback_for=HOSTILE,
        wrong_epsilon="gluon",
        finished=False,
        blocks=5,
        looks=(5,),
        extra=(
            Failure(
                at=1.0, cell=cell_of.id, phase=HOSTILE, reason=HOSTILE, detail=f"```\n{HOSTILE}"
            ),
            Failure(
                at=2.0, cell="unknown", phase="run", reason="x" * 5000, detail="\x1b[31mred\x00"
            ),
            Skip(at=3.0, what=HOSTILE, reason=HOSTILE),
        ),
    )
    manifest = run.manifest
    hostile_plan = msgspec.structs.replace(
        manifest.plan,
        suite=HOSTILE,
        groups=tuple(msgspec.structs.replace(each, title=HOSTILE) for each in manifest.plan.groups),
    )
    return msgspec.structs.replace(
        run,
        manifest=msgspec.structs.replace(
            manifest,
            run=f"../../etc/{HOSTILE}",
            created=HOSTILE,
            command=("levelfield", HOSTILE, "```"),
            git_commit=HOSTILE,
            machine=msgspec.structs.replace(manifest.machine, cpu=HOSTILE, system=HOSTILE),
            environments=tuple(
                msgspec.structs.replace(each, packages={**each.packages, HOSTILE: HOSTILE})
                for each in manifest.environments
            ),
            plan=hostile_plan,
            datasets=tuple(
                msgspec.structs.replace(each, name=HOSTILE, place=HOSTILE)
                for each in manifest.datasets
            ),
            worker_environment={cell.id: {HOSTILE: HOSTILE} for cell in manifest.cells},
        ),
    )
