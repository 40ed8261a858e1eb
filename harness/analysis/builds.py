"""What differs between two environments of one framework beside what was asked to differ."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from packaging.version import InvalidVersion, Version

from harness.spec.cells import Cell
from harness.spec.machine import Environment

ACCELERATOR = re.compile(r"nvidia-|cuda-|.*triton|rocm|intel-extension")
"""Distributions that come with a build for an accelerator, whatever the device of the run."""
MOST_NAMED = 4
"""Packages that one clause names; the report's table of packages has all."""


def environments_of(
    cells: Sequence[Cell], environments: Sequence[Environment]
) -> dict[str, Environment]:
    """Cell id → its environment; a cell whose environment is not recorded is left out."""
    known = {(each.framework, each.version, each.variant): each for each in environments}
    found = {}
    for cell in cells:
        # A revision of the implementation shares the environment of its framework's version.
        for variant in (cell.variant, ""):
            if (cell.framework, cell.version, variant) in known:
                found[cell.id] = known[cell.framework, cell.version, variant]
                break
    return found


def confounders(one: Environment, other: Environment) -> tuple[str, ...]:
    """What a difference in speed between the two may come from beside the one that was asked for.

    Clauses for a reader; none where only one package differs, and not in its build.
    """
    facts = [(each.packages, each.moving, each.python, each.interpreter) for each in (one, other)]
    if facts[0] == facts[1]:
        return ()
    clauses = []
    if one.interpreter != other.interpreter:
        clauses.append(f"{_place(one)} against {_place(other)}")
    if one.moving != other.moving:
        moved = sorted({line.split()[0] for line in set(one.moving) ^ set(other.moving)})
        clauses.append(f"the requirements lead to something else: {', '.join(moved)}")
    if one.python != other.python:
        clauses.append(f"Python {one.python} against {other.python}")
    builds = [
        f"{name} {_build(one.packages[name])} against {_build(other.packages[name])}"
        for name in sorted(one.packages.keys() & other.packages.keys())
        if _build(one.packages[name]) != _build(other.packages[name])
    ]
    clauses += [f"the builds differ: {each}" for each in builds]
    accelerated = [_accelerated(each.packages) for each in (one, other)]
    if bool(accelerated[0]) != bool(accelerated[1]):
        named = next(filter(None, accelerated))
        side = "the first" if accelerated[0] else "the second"
        clauses.append(f"only {side} is a build for an accelerator ({named[0]} comes with it)")
    others = _others_that_differ(one, other)
    if others:
        rest = len(others) - MOST_NAMED
        more = f" and {rest} more" if rest > 0 else ""
        clauses.append(f"other packages differ: {', '.join(others[:MOST_NAMED])}{more}")
    return tuple(clauses)


def _others_that_differ(one: Environment, other: Environment) -> list[str]:
    """Packages that both have in different versions, without the one that was asked to differ."""
    subjects = {_subject(one), _subject(other)}
    return [
        f"{name} {one.packages[name]} against {other.packages[name]}"
        for name in sorted(one.packages.keys() & other.packages.keys() - subjects)
        if one.packages[name] != other.packages[name]
    ]


def _subject(environment: Environment) -> str:
    """The package that a comparison of versions is about: the one asked for by a requirement, else
    the framework's own."""
    match = re.match(r"([\w.-]+?)\s*[<>=!~\[]", environment.asked_version or "")
    return re.sub(r"[-_.]+", "-", match[1]).lower() if match else environment.package


def _place(environment: Environment) -> str:
    where = environment.interpreter
    return f"the interpreter {where}" if where else "an environment made from requirements"


def _build(version: str) -> str:
    """What follows the ``+`` of a version, as ``+cpu``; ``no label`` without."""
    try:
        local = Version(version).local
    except InvalidVersion:
        local = None
    return f"+{local}" if local else "no label"


def _accelerated(packages: Mapping[str, str]) -> list[str]:
    return sorted(name for name in packages if ACCELERATOR.match(name))
