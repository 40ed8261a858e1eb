"""``levelfield new-impl NAME``: the starting files of an implementation of the user's own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Container
from pathlib import Path
from string import Template

import msgspec

from harness.errors import UsageError

STARTER = Path(__file__).parent / "starter"
"""Each file's template, its own name before ``.template``; ``docs/add-a-framework.md`` goes through
them one by one."""


class StarterFiles(msgspec.Struct, frozen=True, kw_only=True):
    """What ``new-impl --json`` says."""

    name: str
    folder: str
    files: tuple[str, ...]
    verify: str
    """The command that holds the implementation against the reference."""


def write_starter(name: str, parent: Path, known: Container[str]) -> StarterFiles:
    """A new folder ``name`` in ``parent`` holds an implementation that says what is missing.

    Raises:
        UsageError: the name is none or taken, the folder is there, or it can't be written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise UsageError(
            f"{name!r} is no name for an implementation, expected small letters, digits, - and _, "
            "a letter first: choose such a name"
        )
    if name in known:
        raise UsageError(f"There is an implementation of the name {name}: choose another name")
    folder = parent / name
    title = name.replace("_", " ").replace("-", " ").title()
    values = {"name": name, "title": title, "class_name": title.replace(" ", "") + "Adapter"}
    templates = sorted(STARTER.glob("*.template"))
    try:
        folder.mkdir(parents=True)
        for template in templates:
            text = Template(template.read_text(encoding="utf-8")).substitute(values)
            (folder / template.stem).write_text(text, encoding="utf-8")
    except FileExistsError:
        raise UsageError(
            f"{folder} is there already, expected nothing of that name: choose another name, or "
            "another folder with --impl-dir"
        ) from None
    except OSError as error:
        raise UsageError(
            f"{folder} can't be written ({error.strerror}): name another folder with --impl-dir"
        ) from None
    command = ["levelfield", "verify", "--impl-dir", str(parent), "-f", name, "-r", "lenet-sgd"]
    return StarterFiles(
        name=name,
        folder=str(folder),
        files=tuple(template.stem for template in templates),
        verify=shlex.join(command),
    )
