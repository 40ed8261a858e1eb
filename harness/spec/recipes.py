"""Recipes and models, read from ``benchmarks/``."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from harness.files import table_of
from harness.spec.bounds import Count, Loss, Positive, Share
from harness.spec.tables import record
from impls.adapter import Optimizer, Sgd
from impls.definition import Model

Init = Literal["xavier", "fan-in-uniform"]


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """Figures that a recipe's source prints, one value an epoch."""

    source: str
    hardware: str
    test_accuracy: tuple[Share, ...]
    train_accuracy: tuple[Share, ...] = ()
    train_loss: tuple[Loss, ...] = ()
    whole_batches_of: Positive | None = None
    """Set where the source divides its hits by batches times this size, as if the last batch were
    whole: 157 · 64 = 10,048 for 10,000 images. Its test accuracies are too low by that."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is matched between frameworks."""

    name: str
    """The recipe's name in ``benchmarks/recipes.toml``."""
    model: str
    dataset: str
    batch_size: Positive
    epochs: Count
    init: Init
    optimizer: Optimizer
    published: Published | None = None
    target_accuracy: Share | None = None
    """Test accuracy whose time is reported: how soon a framework gets there."""
    agreement: Share | None = None
    """How far, as a share of it, the mean loss of a window of training may be from what the other
    contenders agree on, where the oracle does not go; nothing: trajectories part by themselves."""
    overrides: tuple[Annotated[str, msgspec.Meta(pattern="^[^=]+=")], ...] = ()
    """``field=value`` for each field that this run changed, sorted."""

    @property
    def label(self) -> str:
        """The name with its overrides: ``lenet-sgd+epochs=3``. Another label is another recipe."""
        return "+".join((self.name, *self.overrides))

    def overridden(self, **changes: Any) -> Recipe:
        """This recipe with ``changes``, each of which that differs shows in the label.

        Nothing else follows: another batch keeps the learning rate. The published figures stay for
        the reader, who sees by the label that they are of another recipe, unless the dataset or the
        batch changed: then they say nothing and are left out.
        """
        real = {
            field: value
            for field, value in changes.items()
            if value is not None and getattr(self, field) != value
        }
        if not real:
            return self
        marks = dict(mark.split("=", 1) for mark in self.overrides)
        marks.update({field: str(value) for field, value in real.items()})
        overrides = tuple(f"{field}={value}" for field, value in sorted(marks.items()))
        if {"dataset", "batch_size"} & real.keys():
            real["published"] = None
        return msgspec.structs.replace(self, **real, overrides=overrides)


def read_recipes(path: Path) -> dict[str, Recipe]:
    """Name → recipe.

    Raises:
        UnreadableFile: it holds no TOML.
        msgspec.ValidationError: a field is missing, unknown or of another type.
    """
    tables = msgspec.convert(table_of(path), dict[str, dict[str, Any]])
    return {name: record({"name": name, **table}, Recipe) for name, table in tables.items()}


def read_models(path: Path) -> dict[str, Model]:
    """Name → model.

    Raises:
        UnreadableFile: it holds no TOML.
        msgspec.ValidationError: a field is missing, unknown or of another type.
    """
    tables = msgspec.convert(table_of(path), dict[str, dict[str, Any]])
    return {name: record({"name": name, **table}, Model) for name, table in tables.items()}


def oracle_optimizer(optimizer: Optimizer) -> Optimizer:
    """What a cell in float32 is held against.

    Frameworks hand a rate of SGD on in float32. Adam's constants stay: that 1 − β₂ is off in
    float32, and its correction isn't, is what rounding does there.
    """
    return held_by_float32(optimizer) if isinstance(optimizer, Sgd) else optimizer


def held_by_float32(optimizer: Optimizer) -> Optimizer:
    """``optimizer`` with constants that float32 holds exactly: 0.9 becomes 0.89999998.

    For comparisons in float64: some frameworks hand constants on in float32 whatever they compute
    in, which would be all that is seen of them.
    """
    constants = {name: getattr(optimizer, name) for name in optimizer.__struct_fields__}
    return type(optimizer)(**{name: _in_float32(value) for name, value in constants.items()})


def _in_float32(value: float) -> float:
    """``value``, rounded to float32; without NumPy, for which a page of help would wait."""
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded
