"""What there is to choose from: recipes, models, suites and implementations."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness import paths
from harness.errors import UsageError
from harness.files import UnreadableFile
from harness.spec.implementations import Implementation, read_implementations
from harness.spec.recipes import Recipe, read_models, read_recipes
from harness.spec.suites import Suite, read_suites
from impls.definition import Model


class Catalogue(NamedTuple):
    """Everything by name."""

    recipes: dict[str, Recipe]
    models: dict[str, Model]
    suites: dict[str, Suite]
    implementations: dict[str, Implementation]
    """A second revision of one stands under ``NAME~VARIANT``."""

    def implementation(self, framework: str, variant: str) -> Implementation:
        """The one of ``framework`` that a cell of this variant is computed by."""
        for one in self.implementations.values():
            # What follows the revision is a requirement of the environment.
            if one.name == framework and one.variant and variant.startswith(one.variant):
                return one
        return self.implementations[framework]

    @property
    def oracle(self) -> Implementation:
        """The implementation that the others are held against."""
        return next(one for one in self.implementations.values() if one.role == "oracle")


def read_catalogue(impl_dirs: Iterable[str] = ()) -> Catalogue:
    """All that this checkout holds, with the implementations in ``impl_dirs`` beside its own.

    Raises:
        UsageError: a file is wrong, or a folder is no folder.
    """
    folders = [Path(folder) for folder in impl_dirs]
    for folder in folders:
        if not list(folder.glob("*/impl.toml")):
            raise UsageError(
                f"--impl-dir {folder} holds no implementation, expected a folder with "
                "NAME/impl.toml in it: name the parent folder of yours"
            )
    try:
        return Catalogue(
            recipes=read_recipes(paths.BENCHMARKS / "recipes.toml"),
            models=read_models(paths.BENCHMARKS / "models.toml"),
            suites=read_suites(paths.BENCHMARKS / "suites"),
            implementations=read_implementations(paths.IMPLS, *folders),
        )
    except (msgspec.DecodeError, UnreadableFile) as error:
        raise UsageError(f"A file in {paths.BENCHMARKS} is wrong ({error}): mend it") from None
