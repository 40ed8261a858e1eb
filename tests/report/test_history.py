"""What a history says, and its picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import msgspec
import pytest

from harness.analysis.controlled import ControlledRate
from harness.analysis.history import RunRate, levels_of
from harness.report.history import (
    Side,
    change_sentence,
    described_changes,
    history_rows,
)
from harness.report.history_chart import history_picture, picture_name
from harness.spec.machine import Environment
from tests.analysis.golden import stored_run

MANIFEST = stored_run("faster").manifest
CELL = MANIFEST.cells[1]


def levels(*, lost: tuple[int, ...] = ()):
    rates = [9.0 + 0.01 * (number % 3) - 0.2 * (number >= 8) for number in range(16)]
    return levels_of(
        [
            RunRate(
                run=f"run-{number:02d}",
                created=f"2026-01-{number + 1:02d}T10:00:00Z",
                git_commit="1a2b3c",
                cell=CELL.id,
                version="1.0" if number < 8 else "1.1",
                parity="lost" if number in lost else "proved",
                rate=ControlledRate(blocks=10, log_rate=log, log_control=-4.0),
            )
            for number, log in enumerate(rates)
        ]
    )


def side(*, version: str = "1.0", commit: str | None = "1a2b3c", numpy: str = "2.4.6") -> Side:
    environment = Environment(
        framework=CELL.framework, key="k", python="3.11.7", version=version, package="beta",
        packages={"numpy": numpy, "beta": version},
    )  # fmt: skip
    return Side(
        cell=msgspec.structs.replace(CELL, version=version),
        manifest=msgspec.structs.replace(MANIFEST, git_commit=commit, environments=(environment,)),
    )


def described(before: Side, after: Side):
    [change] = described_changes(levels(), [(before, after)])
    return change


def test_a_row_a_run_and_a_word_where_it_changed():
    rows = history_rows(levels(lost=(3,)).points)
    assert rows[0] == (
        "run-00", "2026-01-01 10:00 UTC", "1.0", "1a2b3c", "10", "8,103", "8,103", "",
    )  # fmt: skip
    assert [row[0] for row in rows if row[-1]] == ["run-03", "run-08"]
    assert rows[3][-1] == "parity failed"
    assert rows[8][-1].endswith("% from here on")


def test_another_version_is_confirmed_by_comparing_versions():
    change = described(side(), side(version="1.1"))
    assert change.differs == ("version 1.0 → 1.1",)
    assert change.confirm == (
        "levelfield compare beta@1.0 beta@1.1 -r lenet-sgd --mode eager --input resident "
        "--device cpu --threads 2 --settings matched --seed 1"
    )


def test_another_commit_is_confirmed_by_the_gate():
    change = described(side(), side(commit="9f8e7d+", numpy="2.4.7"))
    assert change.differs == ("commit 1a2b3c → 9f8e7d+", "numpy 2.4.6 → 2.4.7")
    assert change.confirm.startswith(
        "git switch --detach 9f8e7d && levelfield gate --base 1a2b3c -f beta@1.0 -r lenet-sgd "
    )


@pytest.mark.parametrize("after", [side(), side(commit=None)])
def test_where_nothing_can_be_set_side_by_side_it_is_measured_again(after):
    change = described(side(), after)
    assert change.confirm.startswith("levelfield run cpu -f beta@1.0 -r lenet-sgd --mode eager ")


def test_the_sentence_says_how_much_from_where_and_what_differs():
    sentence = change_sentence(described(side(), side()))
    change = f"{levels().points[8].change:+.1%}"
    assert sentence.startswith(
        f"{change} from made-up on (8 runs, after 8): nothing that is recorded differs. To confirm "
        "it: levelfield run cpu -f beta@1.0 "
    )


def test_the_picture_shows_every_run_and_every_level():
    picture = history_picture(levels(lost=(3,)), "a cell <on> $a$ machine", ".svg")
    root = ET.fromstring(picture)
    text = "".join(root.itertext())
    for words in ("a cell <on> $a$ machine", "1.0", "1.1", "level", "parity failed", "2026-01-01"):
        assert words in text
    assert f"{levels(lost=(3,)).points[8].change:+.1%}" in text


def test_the_same_runs_give_the_same_bytes_and_png_is_a_picture():
    assert history_picture(levels(), "t", ".svg") == history_picture(levels(), "t", ".svg")
    assert history_picture(levels(), "t", ".png").startswith(b"\x89PNG")


def test_a_cell_is_one_word_of_a_file_name():
    name = str(picture_name("lenet-sgd+epochs=1/beta/eager/loader-2w/cpu-2t"))
    assert name == "lenet-sgd+epochs=1_beta_eager_loader-2w_cpu-2t"
