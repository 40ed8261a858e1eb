"""What one run shows. Each view of its events is made once, however many ask for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, wraps
from typing import Any, TypeVar

from harness.analysis.builds import environments_of
from harness.analysis.comparability import Obstacles, obstacles
from harness.analysis.held import held_result
from harness.analysis.outcomes import Proof
from harness.analysis.parity import ParityResult
from harness.analysis.samples import Sample, sample_of
from harness.analysis.trials import Block, finished_blocks
from harness.spec.cells import Cell
from harness.spec.events import AnyEvent, Failure
from harness.spec.machine import Environment
from harness.spec.manifest import Manifest, Run

E = TypeVar("E")
T = TypeVar("T")


class Observations:
    """A run, and what follows from its events alone. It never changes."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.answers: dict[Callable[..., Any], Any] = {}
        """What was made of this run, by the function that made it: see ``once``."""

    @property
    def manifest(self) -> Manifest:
        """What was planned, with what, and where."""
        return self.run.manifest

    @property
    def events(self) -> Sequence[AnyEvent]:
        """What happened, in order."""
        return self.run.events

    def all(self, kind: type[E]) -> tuple[E, ...]:
        """The events of one kind, in order."""
        return tuple(event for event in self.events if isinstance(event, kind))

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """Cell id → cell, in the order of the plan."""
        return {cell.id: cell for cell in self.manifest.cells}

    @cached_property
    def short_blocks(self) -> tuple[Block, ...]:
        """The finished blocks of short trials, in the order of finishing."""
        return finished_blocks(self.events, long=False)

    @cached_property
    def long_blocks(self) -> tuple[Block, ...]:
        """The finished blocks of long trials, likewise."""
        return finished_blocks(self.events, long=True)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """All finished blocks, short ones first."""
        return (*self.short_blocks, *self.long_blocks)

    @cached_property
    def samples(self) -> dict[str, Sample]:
        """Group → the windows of its short blocks, in the order of the plan."""
        return {
            group.name: sample_of(group, self.short_blocks) for group in self.manifest.plan.groups
        }

    @cached_property
    def held(self) -> tuple[ParityResult, ...]:
        """One result for each time that a cell was held against what it has to compute."""
        results = map(held_result, self.events)
        return tuple(result for result in results if result is not None)

    @cached_property
    def proofs(self) -> dict[str, Proof]:
        """Cell id → what became of it; cells that were never held are not in it."""
        found: dict[str, Proof] = {}
        for result in self.held:
            kept = result.passed and found.get(result.cell) != "lost"
            found[result.cell] = "proved" if kept else "lost"
        return found

    def proof(self, cell: str) -> Proof:
        """What became of ``cell``, an id."""
        return self.proofs.get(cell, "not_run")

    @cached_property
    def failures(self) -> dict[str, Failure]:
        """Cell id → how it failed last."""
        return {failure.cell: failure for failure in self.all(Failure)}

    @cached_property
    def obstacles(self) -> Obstacles:
        """What forbids comparing cells, and pairs of them."""
        return obstacles(self.manifest.cells, self.held, self.blocks)

    @cached_property
    def environments(self) -> dict[str, Environment]:
        """Cell id → the environment that it ran in."""
        return environments_of(self.manifest.cells, self.manifest.environments)


def once(view: Callable[[Observations], T]) -> Callable[[Observations], T]:
    """``view``, which is asked once for each ``Observations``."""

    @wraps(view)
    def kept(run: Observations) -> T:
        if view not in run.answers:
            run.answers[view] = view(run)
        answer: T = run.answers[view]
        return answer

    return kept
