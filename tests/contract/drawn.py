"""What the contract tests hold today: what is small, and of the rest what the day draws.

A recipe of large images takes minutes to prove. Each day has one of them in one mode, and a seed of
its own for two of the small ones, so that all have their turn; ``LEVELFIELD_CONTRACT=all`` holds
everything at once.
"""

from __future__ import annotations

import datetime
import os

from harness import paths
from harness.spec.implementations import Implementation, read_implementations
from harness.spec.recipes import read_recipes

SMALL = [
    "lenet-sgd", "lenet-momentum", "lenet-avg-sgd", "lenet-adam", "lenet-adam-b64", "lenet-bn",
]  # fmt: skip
LARGE = [name for name in read_recipes(paths.BENCHMARKS / "recipes.toml") if name not in SMALL]
DAY = datetime.date.today().toordinal()
DRAWN_SEED = 1000 + DAY % 1_000_000
DRAWN: dict[str, int | None] = {LARGE[DAY % len(LARGE)]: DAY // len(LARGE)}
"""Large recipe → number of its mode, counted round those of each framework; none: all."""
IN_ALL_MODES = [SMALL[0], SMALL[1 + DAY % (len(SMALL) - 1)]]
"""Small recipes that are held in every mode; the others, in the one of the day's number."""
FROM_DRAWN_SEED = [SMALL[DAY % len(SMALL)], SMALL[(DAY + len(SMALL) // 2) % len(SMALL)]]
"""Small recipes that are held from today's seed as well."""
if os.environ.get("LEVELFIELD_CONTRACT") == "all":
    DRAWN = dict.fromkeys(LARGE)
    IN_ALL_MODES = SMALL
    FROM_DRAWN_SEED = SMALL
HELD = {recipe: None if recipe in IN_ALL_MODES else DAY for recipe in SMALL} | DRAWN
"""Each recipe that is held → number of its mode, as in ``DRAWN``."""
FRAMEWORKS = [one for one in read_implementations(paths.IMPLS).values() if one.role == "framework"]


def modes_of(one: Implementation, drawn: int | None) -> list[str]:
    """Those of a framework that are held: all, or the one of this number."""
    modes = list(one.modes)
    return modes if drawn is None else [modes[drawn % len(modes)]]
