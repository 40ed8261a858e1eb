"""The terms of a gate: what counts as a regression, fixed before the first measurement."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.spec.tables import record


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """Of one cell."""

    slowdown: float = 0.02
    """A cell is slower where the Holm-adjusted lower bound of its slowdown lies above this share
    of the base's time."""
    blind_to: float = 0.10
    """Where a slowdown of this size could have gone unseen, the gate has seen too little."""
    accuracy: float = 0.005
    """A cell is less accurate where the Holm-adjusted lower bound of its loss of final test
    accuracy lies above this fraction."""


class GateTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a run compares, and by what it is judged."""

    base: str
    """What the user named: a git revision, or a framework in another version."""
    commit: str | None = None
    """The revision's commit."""
    impl_dirs: tuple[str, ...] = ()
    """Folders with the user's implementations, below their repository's top; none: our own."""
    alpha: float = 0.01
    """Errors allowed to the whole family of cells: once for speed, once for accuracy."""
    thresholds: Thresholds = Thresholds()
    cells: dict[str, Thresholds] = {}
    """Pattern of ``Cell.series`` → its own thresholds; the first that fits counts."""

    def of(self, series: str) -> Thresholds:
        """The thresholds of a cell; patterns have ``*`` and ``?`` as in a shell."""
        for pattern, thresholds in self.cells.items():
            if fnmatchcase(series, pattern):
                return thresholds
        return self.thresholds


class GateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``[tool.levelfield.gate]`` in a repository's ``pyproject.toml``."""

    alpha: float = 0.01
    slowdown: float = 0.02
    blind_to: float = 0.10
    accuracy: float = 0.005
    blocks: int | None = None
    """None: 10 for one cell, 20 for several."""
    seeds: int | None = None
    """Of the long trials, which accuracy is judged by; none: the suite's."""
    cells: dict[str, dict[str, float]] = {}
    """Pattern of ``Cell.series`` → those of ``slowdown``, ``blind_to``, ``accuracy`` that are its
    own."""

    def terms(self, base: str, commit: str | None, impl_dirs: tuple[str, ...]) -> GateTerms:
        """Those of one gate."""
        usual = {"slowdown": self.slowdown, "blind_to": self.blind_to, "accuracy": self.accuracy}
        return GateTerms(
            base=base,
            commit=commit,
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
        table: dict[str, Any] = msgspec.toml.decode(path.read_bytes())
    except FileNotFoundError:
        return GateSettings()
    except (msgspec.DecodeError, OSError) as error:
        raise UsageError(f"{path} can't be read ({error}): mend it") from None
    try:
        settings = record(table.get("tool", {}).get("levelfield", {}).get("gate", {}), GateSettings)
        _ = settings.terms("", None, ())
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}, [tool.levelfield.gate]: {error}: mend that setting") from None
    shares = [settings.alpha, settings.slowdown, settings.blind_to, settings.accuracy]
    if not all(0 <= each < 1 for each in shares) or settings.alpha == 0:
        raise UsageError(
            f"{path}, [tool.levelfield.gate]: alpha, slowdown, blind_to and accuracy are "
            f"{', '.join(f'{each:g}' for each in shares)}, expected shares below 1 (0.02 is 2 %): "
            "mend that setting"
        )
    return settings
