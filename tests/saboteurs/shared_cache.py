"""A cache folder in which saboteurs share the environments of the frameworks that they wrap.

``python -m tests.saboteurs.shared_cache FOLDER``, and then ``XDG_CACHE_HOME=FOLDER levelfield run
--impl-dir tests/saboteurs …``, measures them without another 7 GB.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from harness import paths
from harness.environments.collection import Environments
from harness.environments.records import MARKER, written_marker
from harness.environments.requirements import wanted_environment
from harness.spec.implementations import read_implementation

FOLDER = Path(__file__).parent


def shared_cache(place: Path) -> Path:
    """``place`` can be ``XDG_CACHE_HOME``: the user's datasets and environments, and ours."""
    cache = paths.user_cache()
    environments = place / "levelfield" / "environments"
    environments.mkdir(parents=True)
    (cache / "datasets").mkdir(parents=True, exist_ok=True)
    (place / "levelfield" / "datasets").symlink_to(cache / "datasets")
    for name in ("reference", "pytorch", "gluon", "keras"):
        real = Environments().sync(read_implementation(paths.IMPLS / name))
        folder = Path(real.folder)
        (environments / folder.name).symlink_to(folder)
        saboteur = FOLDER / f"{name}_saboteur"
        if not saboteur.exists():
            continue
        minor = ".".join(real.record.python.split(".")[:2])
        wanted = wanted_environment(read_implementation(saboteur), "cpu", minor)
        # The same files; the record in it says whose it is.
        twin = environments / wanted.name
        twin.mkdir()
        for entry in folder.iterdir():
            if entry.name != MARKER:
                (twin / entry.name).symlink_to(entry)
        written_marker(twin, wanted, real.record.python, real.record.packages, time.time())
    return place


if __name__ == "__main__":
    print(shared_cache(Path(sys.argv[1]).resolve()))
