"""The terms of a gate: what counts as a regression, fixed before the first measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import msgspec

from harness.errors import UsageError
from harness.files import clause
from harness.spec.bounds import Positive, Threshold
from harness.spec.cells import Cell
from harness.spec.tables import record, section, written_table


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """Of one cell. All are fractions."""

    slowdown: Threshold = 0.02
    """A cell is slower where the Holm-adjusted lower bound of its slowdown lies above this share
    of the base's time."""
    blind_to: Threshold = 0.10
    """Where a slowdown of this size could have gone unseen, the gate has seen too little."""
    accuracy: Threshold = 0.005
    """A cell is less accurate where the Holm-adjusted lower bound of its loss of final test
    accuracy lies above this."""
    accuracy_blind_to: Threshold = 0.05
    """Where a loss of this size could have gone unseen, the gate has seen too little."""


class GateTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a run compares, and by what it is judged."""

    base: str
    """What the user named: a git revision, or a framework in another version."""
    commit: str | None = None
    """The commit that is measured: the merge base of the revision and HEAD, or the revision's."""
    tip: str | None = None
    """The commit that the revision names; unknown in runs of before the merge base was taken."""
    strict: bool = False
    """Whether what could not be compared fails the gate."""
    impl_dirs: tuple[str, ...] = ()
    """Folders with the user's implementations, below their repository's top; none: our own."""
    alpha: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.01
    """Errors allowed to the whole family of cells: once for speed, once for accuracy."""
    thresholds: Thresholds = Thresholds()
    cells: dict[str, Thresholds] = {}
    """Pattern → the thresholds of the cells that it fits; the first that fits counts."""

    def of(self, cell: Cell) -> Thresholds:
        """The thresholds of ``cell``."""
        for pattern, thresholds in self.cells.items():
            if _fits(pattern, cell):
                return thresholds
        return self.thresholds

    def idle(self, cells: Sequence[Cell]) -> list[str]:
        """The patterns that fit none of ``cells``."""
        return [each for each in self.cells if not any(_fits(each, cell) for cell in cells)]


def _fits(pattern: str, cell: Cell) -> bool:
    """Whether ``pattern``, with ``*`` and ``?`` as in a shell, is that of ``Cell.series``.

    The recipe's name stands for its label too: what is overridden, such as a dataset that can't be
    had, does not make it another cell.
    """
    label, rest = cell.series.split("/", 1)
    return any(fnmatchcase(f"{name}/{rest}", pattern) for name in (label, cell.recipe.name))


class GateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``[tool.levelfield.gate]`` in a repository's ``pyproject.toml``."""

    alpha: float = 0.01
    slowdown: float = 0.02
    blind_to: float = 0.10
    accuracy: float = 0.005
    accuracy_blind_to: float = 0.05
    blocks: Positive | None = None
    """Looked at once, after so many; none: after 5, 8 and 12 of one cell, and after 20 of several,
    as long as they are undecided."""
    seeds: int | None = None
    """Of the long trials, which accuracy is judged by; none: the suite's."""
    strict: bool = False
    """Whether what could not be compared fails the gate."""
    cells: dict[str, dict[str, float]] = {}
    """Pattern → those of the thresholds that are its cells' own."""

    def terms(
        self,
        base: str,
        commit: str | None,
        impl_dirs: tuple[str, ...],
        *,
        tip: str | None = None,
    ) -> GateTerms:
        """Those of one gate."""
        usual = {name: getattr(self, name) for name in Thresholds.__struct_fields__}
        return GateTerms(
            base=base,
            commit=commit,
            tip=tip,
            strict=self.strict,
            impl_dirs=impl_dirs,
            alpha=self.alpha,
            thresholds=record(usual, Thresholds),
            cells={
                pattern: record({**usual, **own}, Thresholds) for pattern, own in self.cells.items()
            },
        )


def read_gate_settings(folder: Path) -> GateSettings:
    """Those in the ``pyproject.toml`` of ``folder``; the usual ones where it says nothing.

    Raises:
        UsageError: the file can't be read, or holds a setting that is none.
    """
    path = folder / "pyproject.toml"
    try:
        table = section(written_table(path), "tool", "levelfield", "gate")
    except FileNotFoundError:
        return GateSettings()
    where = f"{path}, [tool.levelfield.gate]"
    try:
        settings = record(table, GateSettings)
        names = ("alpha", *Thresholds.__struct_fields__)
        shares = {name: getattr(settings, name) for name in names}
        for pattern, own in settings.cells.items():
            shares |= {f"{pattern}: {name}": share for name, share in own.items() if name in names}
        _check_shares(shares, where)
        settings.terms("", None, ())
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {clause(error)}: mend that setting") from None
    if settings.seeds is not None and settings.seeds < 0:
        raise UsageError(
            f"{where}: seeds is {settings.seeds}, expected 0 (accuracy is not judged) or more: "
            "mend that setting"
        )
    return settings


def _check_shares(shares: Mapping[str, float], where: str) -> None:
    for name, share in shares.items():
        if not 0 <= share < 1 or (name == "alpha" and share == 0):
            raise UsageError(
                f"{where}: {name} is {share:g}, expected a share below 1 (0.02 is 2 %): "
                "mend that setting"
            )
