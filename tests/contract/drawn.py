"""What the contract tests hold today: all that is small, and of the rest what the day draws.

A recipe of large images takes minutes to prove. Each day has one of them in one mode, and a seed of
its own, so that all have their turn; ``LEVELFIELD_CONTRACT=all`` holds everything at once.
"""

from __future__ import annotations

import datetime
import os

from harness import paths
from harness.spec.recipes import read_recipes

SMALL = ["lenet-sgd", "lenet-avg-sgd", "lenet-adam", "lenet-adam-b64", "lenet-bn"]
LARGE = [name for name in read_recipes(paths.BENCHMARKS / "recipes.toml") if name not in SMALL]
MODES = ("eager", "compiled")
"""Those that every framework has."""
DAY = datetime.date.today().toordinal()
DRAWN_SEED = 1000 + DAY % 1_000_000
DRAWN: dict[str, tuple[str, ...]] = {
    LARGE[DAY % len(LARGE)]: (MODES[DAY // len(LARGE) % len(MODES)],)
}
"""Large recipe → its modes; none: all that a framework has."""
if os.environ.get("LEVELFIELD_CONTRACT") == "all":
    DRAWN = dict.fromkeys(LARGE, ())
