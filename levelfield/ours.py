"""``harness`` and ``impls`` are those that belong to this package, whatever else has their names.

In a clone they lie beside the package, where their owner keeps them; what pip installs has them
inside it, so that nothing else lies in ``site-packages``.
"""

from __future__ import annotations

import os
from importlib.machinery import PathFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

OURS = ("harness", "impls")


def _home(package: str) -> str:
    """The folder that holds ``OURS``."""
    inside = os.path.isdir(os.path.join(package, OURS[0]))  # noqa: PTH112, PTH118
    return package if inside else os.path.dirname(package)  # noqa: PTH120


HERE = _home(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120  # pathlib takes time


class Finder:
    """Finds our packages in ``HERE``, whatever folders of their names ``sys.path`` has."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """As the import system asks for it."""
        return PathFinder.find_spec(name, [HERE]) if name in OURS else None
