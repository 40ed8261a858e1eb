"""What code a worker runs: a run that goes on must not go on with another."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from harness import paths
from harness.spec.implementations import Implementation

OF_EVERY_WORKER = ("harness/worker", "impls/*.py")
"""Below the top of a levelfield."""


@cache
def harness_digest() -> str:
    """SHA-256, 64 hexadecimal digits, over names and contents of the harness's own modules."""
    digest = hashlib.sha256()
    top = paths.ROOT / "harness"
    for path in sorted(top.rglob("*.py")):
        digest.update(f"{path.relative_to(top)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def code_digest(implementation: Implementation) -> str:
    """SHA-256, 64 hexadecimal digits, over names and contents of files that are run.

    Those of the implementation's folder and of those that it shares, its script, and what every
    worker has of levelfield: of another revision's where the implementation brings one.
    """
    top = Path(implementation.tree) if implementation.tree else paths.ROOT
    digest = hashlib.sha256()
    own = map(Path, (implementation.folder, *implementation.shared_folders))
    for place in (*own, *(top / each for each in OF_EVERY_WORKER)):
        folder, pattern = (place.parent, place.name) if "*" in place.name else (place, "**/*")
        for path in sorted(folder.glob(pattern)):
            name = path.relative_to(folder)
            if path.is_file() and "__pycache__" not in name.parts:
                digest.update(f"{name}\0{path.stat().st_size}\0".encode())
                digest.update(path.read_bytes())
    if implementation.script:
        digest.update(Path(implementation.script).read_bytes())
    return digest.hexdigest()
