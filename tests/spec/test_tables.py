from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from harness import paths
from harness.environments.requirements import wanted_environment
from harness.errors import UsageError
from harness.spec.gates import read_gate_settings
from harness.spec.implementations import read_implementation
from harness.spec.micro_limits import read_micro_limits
from harness.spec.recipes import Recipe
from harness.spec.tables import record
from impls.definition import Model

TABLE = {
    "name": "r",
    "model": "lenet",
    "dataset": "d",
    "batch_size": 4,
    "epochs": 1,
    "init": "xavier",
    "optimizer": {"kind": "sgd", "learning_rate": 0.1},
    "published": {"source": "s", "hardware": "h", "test_accuracy": [0.5]},
}


def test_a_table_becomes_its_record():
    assert record(TABLE, Recipe) == msgspec.convert(TABLE, Recipe)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"epoch": 1}, r"`epoch` - at `\$`"),
        ({"optimizer": {**TABLE["optimizer"], "rate": 1}}, r"`rate` - at `\$\.optimizer`"),
        ({"published": {**TABLE["published"], "by": "x"}}, r"`by` - at `\$\.published`"),
    ],
)
def test_a_misspelt_field_is_named_with_its_place(wrong, named):
    with pytest.raises(msgspec.ValidationError, match=named):
        record({**TABLE, **wrong}, Recipe)


def test_a_layer_inside_another_is_looked_at_too():
    layers = [{"kind": "residual", "layers": [{"kind": "relu", "slope": 1}]}]
    with pytest.raises(msgspec.ValidationError, match=r"`slope` - at `\$\.layers\[0\]\.layers"):
        record({"name": "m", "input_shape": [1, 8, 8], "layers": layers}, Model)


def test_a_stored_record_with_a_field_from_the_future_can_be_read():
    later = {**TABLE, "augmentation": "none", "tolerances": {"step_1": 1e-6}, "agreement": 0.02}
    assert msgspec.convert(later, Recipe).agreement == 0.02


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    path.write_bytes(b"#" * 2**21)


def folder(path: Path) -> None:
    path.mkdir()


def nested(path: Path) -> None:
    path.write_text("a = " + "[" * 100_000)


def no_text(path: Path) -> None:
    path.write_bytes(b"a = '\xff'")


def no_table(path: Path) -> None:
    path.write_text("tool = 1\n")


WRITTEN_BY_HAND = {
    "impl.toml": lambda path: read_implementation(path.parent),
    "pyproject.toml": lambda path: read_gate_settings(path.parent),
    "pyproject.toml, micro": lambda path: read_micro_limits(path.parent, ()),
}


@pytest.mark.parametrize("make", [pipe, endless, huge, folder, nested, no_text, no_table])
@pytest.mark.parametrize("name", WRITTEN_BY_HAND)
def test_a_file_that_is_none_is_one_line(tmp_path, make, name):
    path = tmp_path / name.partition(",")[0]
    make(path)
    with pytest.raises(UsageError) as caught:
        WRITTEN_BY_HAND[name](path)
    assert str(path) in str(caught.value) and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("make", [pipe, endless, huge, folder])
def test_requirements_that_are_no_file_are_one_line(tmp_path, make):
    (tmp_path / "impl.toml").write_text((paths.IMPLS / "reference" / "impl.toml").read_text())
    make(tmp_path / "requirements-cpu.txt")
    with pytest.raises(UsageError, match=r"requirements-cpu\.txt") as caught:
        wanted_environment(read_implementation(tmp_path), "cpu", "3.11")
    assert len(str(caught.value).splitlines()) == 1
