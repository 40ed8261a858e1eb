"""How large a mistake has to be for a proof to catch it, over many seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from harness.analysis.deviations import (
    FACTOR,
    WINDOW_END,
    Exactness,
    Observation,
    Quantity,
    granted_at_most,
    held,
    holds,
)
from harness.spec.proof_events import Deviation


class Expected(NamedTuple):
    """What a proof is held against, from one seed."""

    oracle: Observation
    envelope: Mapping[Quantity, float]
    finer_envelope: Mapping[Quantity, float]
    """Of float64; empty: nothing is held in it."""
    exactness: Exactness
    """Of a proof in float64."""
    window_steps: int

    def first_failure(self, seen: Observation, *, float32_alone: bool = False) -> Deviation | None:
        """The first check that ``seen`` fails, in float32 or else in float64.

        ``seen`` may be the beginning of a proof: it is held against as much of the oracle's.
        """
        oracle = self.oracle._replace(losses=self.oracle.losses[: len(seen.losses)])
        if seen.window is None:
            oracle = oracle._replace(window=None, end={})
        checks = held(seen, oracle, self.envelope, self.window_steps)
        if self.finer_envelope and not float32_alone:
            checks += held(seen, oracle, self.finer_envelope, self.window_steps, self.exactness)
        return next((each for each in checks if not holds(each)), None)


class Tried(NamedTuple):
    """A mistake from one seed, from its worst size down to the first that was not caught."""

    mistake: str
    sizes: tuple[float, ...]
    caught: tuple[Deviation, ...]
    """The check that caught each of the first sizes."""


class SizeCaught(msgspec.Struct, frozen=True, kw_only=True):
    """A mistake in one size."""

    size: float
    caught: int
    """From so many seeds."""


class Sensitivity(msgspec.Struct, frozen=True, kw_only=True):
    """How well a recipe's proof sees one kind of mistake."""

    mistake: str
    sizes: tuple[SizeCaught, ...]
    """From the worst on; a size is not tried from a seed that misses a worse one."""
    least: float | None
    """The least size that is caught from every seed, as is all that is worse."""
    check: str
    """What most often catches that size first."""


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """What a proof grants to one kind of check: of its tensors or steps, that with the most."""

    check: str
    least: float
    """From the seed with the least."""
    most: float


def sensitivities(seeds: Sequence[Sequence[Tried]]) -> tuple[Sensitivity, ...]:
    """One result for each kind of mistake; ``seeds``: the same kinds from each seed."""
    return tuple(_sensitivity(same) for same in zip(*seeds, strict=True))


def _sensitivity(seeds: Sequence[Tried]) -> Sensitivity:
    sizes = seeds[0].sizes
    counts = [sum(number < len(one.caught) for one in seeds) for number in range(len(sizes))]
    everywhere = min(len(one.caught) for one in seeds)
    checks = Counter(place(one.caught[everywhere - 1]) for one in seeds if everywhere)
    return Sensitivity(
        mistake=seeds[0].mistake,
        sizes=tuple(
            SizeCaught(size=size, caught=count) for size, count in zip(sizes, counts, strict=True)
        ),
        least=sizes[everywhere - 1] if everywhere else None,
        check=checks.most_common(1)[0][0] if checks else "",
    )


def place(check: Deviation) -> str:
    """``weights conv1.bias after step 1``, ``loss of step 2``."""
    after = "after" if check.check == "weights" else "of"
    name = " ".join(filter(None, (check.check.replace("_", " "), check.tensor)))
    return f"{name} {after} step {check.step}"


def granted(seeds: Sequence[Mapping[Quantity, float]]) -> tuple[Granted, ...]:
    """What the rounding ``envelope`` of each of ``seeds`` amounts to."""
    found = []
    for name, of in KINDS.items():
        widest = [
            max(
                (granted_at_most(FACTOR * off) for what, off in envelope.items() if of(what)),
                default=None,
            )
            for envelope in seeds
        ]
        known = [one for one in widest if one is not None]
        if known:
            found.append(Granted(check=name, least=min(known), most=max(known)))
    return tuple(found)


KINDS: dict[str, Callable[[Quantity], bool]] = {
    "weights after one step": lambda what: (what.check, what.step) == ("weights", 1),
    "losses of single steps": lambda what: what.check == "loss",
    "loss of the steps in one call": lambda what: what.check == "window_loss",
    "weights at the end": lambda what: (what.check, what.step) == ("weights", WINDOW_END),
}
"""Name → which quantities."""
