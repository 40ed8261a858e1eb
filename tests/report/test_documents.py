"""Whole reports against stored ones; ``LEVELFIELD_REWRITE_GOLDEN=1`` stores them anew."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.observations import Observations
from harness.report.files import write_report
from harness.spec.events import Failure, Skip
from harness.spec.manifest import Run
from harness.spec.recipes import Recipe

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def stories(tell: Callable[..., Run], recipes: dict[str, Any], adam_64: Recipe) -> dict[str, Run]:
    changed = recipes["adam"].overridden(epochs=3, dataset="fashion-mnist-20k")
    troubled = {
        "recipes": (changed,),
        "looks": (20,),
        "fallback_for": "fashion-mnist",
        "wrong_epsilon": "keras",
        "finished": False,
        "spread": 0.08,
    }
    cells = tell(**troubled, blocks=0).manifest.cells
    return {
        "usual": tell(),
        "troubled": tell(
            **troubled,
            blocks=6,
            extra=(
                Failure(
                    at=1.0,
                    cell=cells[1].id,
                    trial=24,
                    block=7,
                    phase="training",
                    reason="the worker ended with signal 9",
                    detail="Traceback (most recent call last):\n  out of memory | <killed>",
                ),
                Skip(at=2.0, what="gpu cells", reason="there is no GPU"),
            ),
        ),
        "reproduction": tell(
            recipes=(recipes["sgd"], adam_64),
            frameworks=("pytorch", "gluon"),
            short_trials=False,
            aa=False,
            seeds=(0, 1, 2, 3, 4),
            stuck=(3,),
        ),
        "loader": tell(
            frameworks=("pytorch", "gluon"),
            sources=("resident", "loader"),
            long_trials=False,
            blocks=5,
            looks=(5,),
        ),
    }


@pytest.mark.parametrize("name", ["usual", "troubled", "reproduction", "loader"])
def test_reports_are_word_for_word_as_stored(
    name: str,
    stories: dict[str, Run],
    read_html: Callable[[str], Any],
    tmp_path: Path,
) -> None:
    index = write_report(Observations(stories[name]), tmp_path)
    found = {
        f"{name}.md": (index.parent / "report.md").read_text("utf-8"),
        f"{name}.txt": read_html(index.read_text("utf-8")).text,
    }
    for file, text in found.items():
        if os.environ.get("LEVELFIELD_REWRITE_GOLDEN"):
            (GOLDEN / file).write_text(text, encoding="utf-8")
        assert text == (GOLDEN / file).read_text("utf-8")
