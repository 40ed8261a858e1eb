"""Damaged files beside the runs: baselines, lists of reports, settings, implementations."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import msgspec
import pytest

from harness import paths
from harness.store.baselines import read_baseline, write_baseline
from tests.analysis.golden import stored_run
from tests.commands.stored import store

from .commands import levelfield
from .conftest import cases, drawn, remove
from .mutations import damaged_bytes, damaged_json, no_file

pytestmark = pytest.mark.heavy

KINDS = ("json", "json", "json", "bytes", "no file")
TOML_VALUES = (
    "nan", "inf", "-1", "0", "1e308", "9" * 5000, "'x'", "[]", "{}", "[[1]]", "true", "1979-05-27",
    "'" + "x" * 50_000 + "'", "[" * 50_000, "", "''", "['three']", "-0.0", "1_000_000_000_000_000",
)  # fmt: skip


def damaged(draw: random.Random, path: Path, kind: str) -> None:
    content = path.read_bytes()
    if kind == "json":
        path.write_bytes(damaged_json(draw, json.loads(content)))
    elif kind == "bytes":
        path.write_bytes(damaged_bytes(draw, content))
    else:
        remove(path)
        no_file(draw, path)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, its report, and a baseline of twelve like it."""
    folder = tmp_path_factory.mktemp("measured")
    store(stored_run("faster"), folder, run="before")
    store(stored_run("faster"), folder, run="now")
    levelfield(folder, "baseline", "save", "before", "--baseline", "kept.json")
    baseline = read_baseline(folder / "kept.json")
    cells = tuple(
        msgspec.structs.replace(
            cell,
            values=tuple(
                msgspec.structs.replace(value, run=f"before-{number}")
                for value in cell.values
                for number in range(12)
            ),
        )
        for cell in baseline.cells
    )
    write_baseline(folder / "kept.json", msgspec.structs.replace(baseline, cells=cells))
    assert levelfield(folder, "check", "now", "--baseline", "kept.json").code == 0
    levelfield(folder, "report", "before")
    return folder


@pytest.mark.parametrize("number", cases(40))
def test_a_damaged_baseline_is_named_or_held_against(measured: Path, number: int) -> None:
    draw = drawn("baseline", number)
    path = measured / "damaged.json"
    remove(path)
    shutil.copy(measured / "kept.json", path)
    damaged(draw, path, draw.choice(KINDS))
    done = levelfield(measured, "check", "now", "--baseline", path.name)
    if done.code == 2:
        assert len(done.stderr.splitlines()) == 1
        assert path.name in done.stderr


@pytest.mark.parametrize("number", cases(15))
def test_a_damaged_headline_is_passed_over(measured: Path, number: int) -> None:
    draw = drawn("headline", number)
    path = measured / "reports" / "other" / "headline.json"
    remove(path.parent)
    shutil.copytree(measured / "reports" / "before", path.parent)
    damaged(draw, path, draw.choice(KINDS))
    assert levelfield(measured, "report", "now").code == 0
    listed = (measured / "reports" / "index.html").read_text(encoding="utf-8")
    assert "now/index.html" in listed


@pytest.mark.parametrize("number", cases(40))
def test_settings_that_are_none_are_one_line(measured: Path, number: int) -> None:
    draw = drawn("settings", number)
    name = draw.choice(("alpha", "slowdown", "blind_to", "accuracy", "blocks", "seeds", "cells"))
    place = draw.choice(("tool.levelfield.gate", "tool.levelfield.gate.cells.'*'", "tool", ""))
    head = f"[{place}]\n" if place else ""
    content = f"{head}{name} = {draw.choice(TOML_VALUES)}\n".encode()
    path = measured / "pyproject.toml"
    path.write_bytes(damaged_bytes(draw, content) if draw.random() < 0.2 else content)
    if draw.random() < 0.1:
        remove(path)
        no_file(draw, path)
    try:
        done = levelfield(measured, "check", "now", "--baseline", "kept.json")
    finally:
        remove(path)
    if done.code == 2:
        assert len(done.stderr.splitlines()) == 1
        assert "pyproject.toml" in done.stderr


@pytest.mark.parametrize("number", cases(60))
def test_an_implementation_that_is_none_is_one_line(tmp_path: Path, number: int) -> None:
    draw = drawn("implementation", number)
    folder = tmp_path / "own" / "mine"
    shutil.copytree(paths.IMPLS / "reference", folder)
    path = folder / "impl.toml"
    lines = path.read_text(encoding="utf-8").replace('role = "oracle"', "").splitlines()
    settings = [number for number, line in enumerate(lines) if " = " in line]
    chosen = draw.choice(settings)
    lines[chosen] = f"{lines[chosen].split(' = ')[0]} = {draw.choice(TOML_VALUES)}"
    content = "\n".join(lines).encode()
    path.write_bytes(damaged_bytes(draw, content) if draw.random() < 0.3 else content)
    if draw.random() < 0.15:
        remove(path)
        no_file(draw, path)
    done = levelfield(tmp_path, "list", "frameworks", "--impl-dir", "own", "--json")
    if done.code == 2:
        assert len(done.stderr.splitlines()) == 1
        assert "impl.toml" in done.stderr or "--impl-dir own" in done.stderr
