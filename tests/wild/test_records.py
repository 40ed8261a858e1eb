"""Damaged records: the one that is damaged is named in a line, and the others are read."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from .commands import levelfield
from .conftest import HEALTHY, VICTIM, Stored, campaign, drawn, remove
from .mutations import damaged_bytes, damaged_json, damaged_lines, no_file

pytestmark = pytest.mark.heavy

CELL = "lenet-sgd+dataset=fashion-mnist-20k+epochs=1/saboteur"
FILES = ("run.json", "trials.jsonl", "micro.json", "micro/quick.json")
CASES = [
    *(("json", "run.json", number) for number in range(90)),
    *(("lines", "trials.jsonl", number) for number in range(130)),
    *(("json", "micro.json", number) for number in range(30)),
    *(("json", "micro/quick.json", number) for number in range(30)),
    *(("bytes", name, number) for name in FILES for number in range(18)),
    *(("no file", name, number) for name in FILES for number in range(6)),
]
"""376, beside those of the other modules."""


def damage(draw: random.Random, kind: str, path: Path) -> None:
    content = path.read_bytes()
    if kind == "json":
        path.write_bytes(damaged_json(draw, json.loads(content)))
    elif kind == "lines":
        path.write_bytes(damaged_lines(draw, content))
    elif kind == "bytes":
        path.write_bytes(damaged_bytes(draw, content))
    else:
        remove(path)
        no_file(draw, path)


@pytest.mark.parametrize(
    ("kind", "name", "number"), [pytest.param(*case, marks=campaign(case[-1])) for case in CASES]
)
def test_a_damaged_run_is_named_and_the_others_are_read(
    stored: Stored, kind: str, name: str, number: int
) -> None:
    draw = drawn(f"{kind} {name}", number)
    damage(draw, kind, stored.victim / name)

    listed = {each["run"]: each for each in json.loads(
        levelfield(stored.folder, "list", "runs", "--json").stdout
    )}  # fmt: skip
    for run in HEALTHY:
        assert listed[run]["problem"] == ""
        assert listed[run]["blocks"] == 5
    # A dangling or missing manifest is no run, or one that can't be read.
    problem = listed.get(VICTIM, {"problem": "there is none"})["problem"]

    command = by_name(draw)
    asked = levelfield(stored.folder, *command)
    # What does not read the micro-benchmarks does not mind them.
    if problem and ("micro" not in name or command[0] == "report"):
        assert asked.code == 2
        assert len(asked.stderr.splitlines()) == 1, asked.stderr
        assert asked.stderr.startswith("levelfield: ")
        assert VICTIM in asked.stderr
        if VICTIM in listed:
            assert f"{stored.runs.relative_to(stored.folder) / VICTIM}" in problem

    if draw.random() < 0.5:
        return  # it draws a picture each time
    done = levelfield(stored.folder, "history", CELL, "--json")
    if done.code == 0:
        answer = json.loads(done.stdout)
        assert {point["run"] for point in answer["points"]} >= set(HEALTHY)
    else:
        # A victim that is read may hold another cell that fits, or be the newest of its machine.
        assert not problem, done.stderr


def by_name(draw: random.Random) -> tuple[str, ...]:
    """A command that is given the victim; the slow ones less often."""
    quick = (
        ("export", VICTIM, "--format", "csv"),
        ("export", VICTIM, "--format", "github"),
        ("export", VICTIM, "--format", "bmf"),
        ("check", VICTIM),
        ("baseline", "save", VICTIM, "--baseline", f"saved/{draw.random()}.json"),
    )
    slow = (("report", VICTIM), ("report", HEALTHY[0], VICTIM))
    return draw.choice(slow if draw.random() < 0.25 else quick)
