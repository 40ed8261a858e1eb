"""Limits on micro-benchmarks: ``median:10%``, as users of pytest-benchmark write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, get_args

import msgspec

from harness.errors import UsageError
from harness.spec.tables import record, section, written_table

Field = Literal["min", "max", "mean", "median", "stddev", "iqr"]
FIELDS: tuple[Field, ...] = get_args(Field)
_EXPRESSION = re.compile(
    rf"(?P<field>{'|'.join(FIELDS)}):"
    r"(?P<number>(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?)(?P<percent>%)?",
    re.IGNORECASE,
)


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """How much larger one statistic may become: by a share of what it was, or by seconds."""

    field: Field
    share: float | None = None
    seconds: float | None = None

    @property
    def text(self) -> str:
        """As it is written: ``median:10%``, ``max:0.001``."""
        if self.share is not None:
            return f"{self.field}:{self.share * 100:.12g}%"
        return f"{self.field}:{self.seconds:.12g}"


def parse_limit(text: str, source: str = "--fail") -> Limit:
    """The limit that ``text`` stands for; ``source`` says in an error where it was written.

    Raises:
        UsageError: it is none.
    """
    match = _EXPRESSION.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            f"{source} is {text!r}, expected FIELD:PERCENT% or FIELD:SECONDS with one of "
            f"{', '.join(FIELDS)}, such as median:10% or max:0.001: give one of these"
        )
    [field] = [each for each in FIELDS if each == match["field"].lower()]
    number = float(match["number"])
    if match["percent"]:
        return Limit(field=field, share=number / 100)
    return Limit(field=field, seconds=number)


class MicroLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What every benchmark is held to, and those that have limits of their own."""

    usual: tuple[Limit, ...] = ()
    overrides: dict[str, tuple[Limit, ...]] = {}
    """Pattern of ``FRAMEWORK/test_…[…]`` → limits in place of the usual ones; none: it is held to
    nothing. The first pattern that fits counts."""

    def of(self, key: str) -> tuple[Limit, ...]:
        """The limits of a benchmark."""
        for pattern, limits in self.overrides.items():
            if fits(pattern, key):
                return limits
        return self.usual


def fits(pattern: str, key: str) -> bool:
    """Whether ``pattern`` describes ``key``: ``*`` and ``?`` as in a shell; brackets are none."""
    return fnmatchcase(key, pattern.replace("[", "[[]"))


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    """``[tool.levelfield.micro]`` in ``pyproject.toml``."""

    fail: list[str] = []
    overrides: dict[str, str | list[str]] = {}


def read_micro_limits(folder: Path, given: Sequence[str]) -> MicroLimits:
    """Those in the ``pyproject.toml`` of ``folder``, with ``given`` in place of its usual ones.

    Without any usual limit nothing is held to anything: overrides only change what there is.

    Raises:
        UsageError: the file can't be read, or an expression is none.
    """
    path = folder / "pyproject.toml"
    asked = tuple(parse_limit(text) for text in given)
    try:
        table = written_table(path)
    except FileNotFoundError:
        return MicroLimits(usual=asked)
    place = f"{path}, [tool.levelfield.micro]"
    try:
        settings = record(section(table, "tool", "levelfield", "micro"), _Settings)
    except msgspec.ValidationError as error:
        raise UsageError(f"{place}: {error}: mend that setting") from None
    usual = asked or tuple(parse_limit(text, f"{place}: fail") for text in settings.fail)
    if not usual:
        return MicroLimits()
    overrides = {
        pattern: tuple(
            parse_limit(text, f"{place}: {pattern!r}")
            for text in ([own] if isinstance(own, str) else own)
        )
        for pattern, own in settings.overrides.items()
    }
    return MicroLimits(usual=usual, overrides=overrides)
