"""Interpreters that are there already: from the command line, a file, or a run's record."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from harness.commands.catalogue import Catalogue
from harness.commands.revisions import settings_folder
from harness.errors import UsageError
from harness.execution.planning import named
from harness.files import clause
from harness.spec.machine import Environment
from harness.spec.manifest import Manifest
from harness.spec.selection import GivenPython
from harness.spec.tables import section, written_table

SECTION = ("tool", "levelfield", "python")


def given_pythons(words: Iterable[str]) -> tuple[GivenPython, ...]:
    """What ``--python NAME[@LABEL]=PATH`` gives; paths are absolute, and not resolved.

    Raises:
        UsageError: a word names none, or two are for one.
    """
    found: dict[str, GivenPython] = {}
    for text in words:
        word, _, path = text.partition("=")
        one = GivenPython.parse(word, path, f"--python is {text!r}")
        if one.word in found:
            raise UsageError(
                f"--python {one.word} is given twice, expected one interpreter for it: leave one "
                f"out, or give them labels, as in --python {one.name}@new=PATH"
            )
        found[one.word] = _located(one, Path.cwd())
    return tuple(found.values())


def python_settings(folder: Path) -> tuple[GivenPython, ...]:
    """Those in ``[tool.levelfield.python]`` in the ``pyproject.toml`` of ``folder``.

    Raises:
        UsageError: the file can't be read, or a setting is none.
    """
    path = folder / "pyproject.toml"
    try:
        table = section(written_table(path), *SECTION)
    except FileNotFoundError:
        return ()
    where = f"{path}, [{'.'.join(SECTION)}]"
    try:
        settings = msgspec.convert(table, dict[str, str])
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {clause(error)}: mend that setting") from None
    return tuple(
        _located(GivenPython.parse(word, place, f"{where}: {word!r} = {place!r}"), folder)
        for word, place in settings.items()
    )


def with_pythons(catalogue: Catalogue, given: Sequence[GivenPython] = ()) -> Catalogue:
    """``catalogue``, whose implementations know the interpreters that are there already.

    Those ``given`` on the command line go before those of the settings.

    Raises:
        UsageError: one is for no implementation, or a setting is none.
    """
    pythons: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for one in (*python_settings(settings_folder()), *given):
        named("implementation", one.name, catalogue.implementations)
        pythons[one.name][one.label] = one.path
    return _replaced(catalogue, pythons)


def as_recorded(catalogue: Catalogue, manifest: Manifest) -> Catalogue:
    """``catalogue``, whose implementations know just the interpreters that the run was begun with.

    Raises:
        UsageError: another one was given now.
    """
    pythons: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for record in manifest.environments:
        one = catalogue.implementation(record.framework, record.variant)
        now, before = one.interpreter(record.asked_version), with_home(record.interpreter)
        if now is not None and now != before:
            raise UsageError(
                f"The interpreter given for {_word(record)} is {now}, expected "
                f"{before or 'none: an environment of our own'}, as {manifest.run} began with: "
                "give that one, or start a new run"
            )
        known = pythons[one.key]
        if before:
            known[record.asked_version or ""] = before
    return _replaced(catalogue, pythons)


def with_home(place: str) -> str:
    """``place`` with the user's home folder for ``~``."""
    return str(Path(place).expanduser()) if place else ""


def _replaced(catalogue: Catalogue, pythons: dict[str, dict[str, str]]) -> Catalogue:
    implementations = {
        key: msgspec.structs.replace(one, pythons=pythons[key]) if key in pythons else one
        for key, one in catalogue.implementations.items()
    }
    return catalogue._replace(implementations=implementations)


def _word(record: Environment) -> str:
    asked = record.asked_version
    return f"{record.framework}@{asked}" if asked else record.framework


def _located(one: GivenPython, folder: Path) -> GivenPython:
    """``one`` with an absolute path: a bare name is looked for on ``PATH``, as a shell does."""
    path = Path(one.path).expanduser()
    if path.name == one.path:
        found = shutil.which(one.path)
        if found is None:
            raise UsageError(
                f"No {one.path} on PATH for {one.word}, expected an interpreter: name it with its "
                "folder"
            )
        path = Path(found)
    whole = folder / path
    # Without "..", if that leads to the same place: what stands before it may be a link.
    plain = Path(os.path.normpath(whole))
    same = plain.parent.resolve() == whole.parent.resolve()
    return msgspec.structs.replace(one, path=str(plain if same else whole))
