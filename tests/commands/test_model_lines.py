from __future__ import annotations

from pathlib import Path

import pytest

from harness import paths
from harness.commands.model_lines import model_lines
from harness.spec.implementations import read_implementations

SOURCE = '''"""Models."""

from typing import Any


def small() -> Any:
    """A model
    of two lines."""
    # A comment.

    return helper(
        1,  # another

    )


def helper(value: int) -> int: return value


@decorated
class Large:
    """With a docstring."""

    def __init__(self) -> None:
        self.inner = """a string

        over lines"""
        helper(2)


def unused() -> None: ...


MODELS: dict[str, Any] = {"small": small, "large": Large, "elsewhere": imported}
'''


def lines_of(tmp_path: Path, source: str) -> dict[str, int]:
    (tmp_path / "models.py").write_text(source)
    return model_lines(tmp_path)


def test_only_code_counts_and_what_it_uses(tmp_path):
    # small: def, return, 1, ); helper is one line more.
    # Large: decorator, class, def, three lines of the string, helper(2); and helper's own.
    assert lines_of(tmp_path, SOURCE) == {"small": 5, "large": 8}


@pytest.mark.parametrize("source", ["", "def f(:", "MODELS = 3", "MODELS = {'a': lambda: 0}"])
def test_what_cant_be_counted_is_left_out(tmp_path, source):
    assert lines_of(tmp_path, source) == {}


def test_a_folder_without_models(tmp_path):
    assert model_lines(tmp_path) == {}


def test_models_that_are_shared_count_where_there_are_none_of_its_own(tmp_path):
    own, shared = tmp_path / "own", tmp_path / "shared"
    own.mkdir()
    shared.mkdir()
    (shared / "models.py").write_text(SOURCE)
    assert model_lines(own, shared) == model_lines(shared) != {}
    (own / "models.py").write_text("")
    assert model_lines(own, shared) == {}


FRAMEWORKS = [one for one in read_implementations(paths.IMPLS).values() if one.role == "framework"]


@pytest.mark.parametrize("one", FRAMEWORKS, ids=lambda one: one.name)
def test_every_model_of_ours_has_lines(one):
    found = model_lines(Path(one.folder), *map(Path, one.shared_folders))
    assert {"lenet", "alexnet", "resnet18", "densenet"} <= found.keys()
    assert all(5 < lines < 100 for lines in found.values())
    assert found["resnet18"] > found["lenet"]
