"""Our modules inside somebody else's program, whose own may have the same names."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from types import ModuleType

from levelfield.ours import HERE, OURS, Finder

_kept: dict[str, ModuleType] = {}
"""Our modules, while somebody else's program goes on."""


@contextmanager
def within() -> Iterator[None]:
    """Meanwhile ``harness`` and ``impls`` are ours; afterwards they are whose they were before."""
    swapped = () if Finder in sys.meta_path else tuple(filter(_is_of_others, OURS))
    theirs = _taken_out(swapped)
    sys.modules.update({name: each for name, each in _kept.items() if _top(name) in swapped})
    sys.meta_path.insert(0, Finder)
    try:
        yield
    finally:
        sys.meta_path.remove(Finder)
        _kept.update(_taken_out(swapped))
        sys.modules.update(theirs)


def _taken_out(packages: Collection[str]) -> dict[str, ModuleType]:
    """The modules of ``packages`` that were loaded; they are loaded no more."""
    names = [name for name in sys.modules if _top(name) in packages]
    return {name: sys.modules.pop(name) for name in names}


def _top(name: str) -> str:
    return name.partition(".")[0]


def _is_of_others(package: str) -> bool:
    """Whether the program, by itself, would not get ours by this name."""
    loaded = sys.modules.get(package)
    spec = loaded.__spec__ if loaded else PathFinder.find_spec(package)
    return spec is None or not (spec.origin or "").startswith(HERE + os.sep)
