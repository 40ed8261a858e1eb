"""What every section is told from."""

from __future__ import annotations

from typing import NamedTuple

from harness.analysis.judgement import Judgement
from harness.analysis.observations import Observations
from harness.analysis.protocol import plans_short_blocks
from harness.report.cast import Cast
from harness.report.page import Block, Datum, Heading
from harness.spec.manifest import Group
from harness.spec.micro import Micro


class Story(NamedTuple):
    """A run, what was judged of it, and under which names."""

    run: Observations
    judgement: Judgement
    cast: Cast
    micro: Micro | None = None
    """Its micro-benchmarks, where there are any."""

    @property
    def has_seeds(self) -> bool:
        """Whether long trials were planned with more than one seed."""
        return len(self.run.manifest.plan.seeds) > 1

    @property
    def is_timed(self) -> bool:
        """Whether short trials were planned, or happened: else there is nothing to say of speed."""
        return plans_short_blocks(self.run.manifest.plan) or bool(self.judgement.rates)

    def heading(self, group: Group) -> tuple[Block, ...]:
        """The group's title, where there is more than one group."""
        if len(self.cast.groups) < 2:
            return ()
        return (Heading(text=self.cast.title(group)),)

    def marked_name(self, cell: str, *, twin: bool = False) -> str:
        """The contender's name, marked where it must not be compared with the others."""
        barred = self.is_barred(cell)
        return self.cast.name(cell, twin=twin) + (", not comparable" if barred else "")

    def is_barred(self, cell: str) -> bool:
        """Whether the cell was measured and may be compared with nobody."""
        return any(
            each.cell == cell and each.reason != "not_measured"
            for group in self.judgement.groups
            for each in group.left_out
        )

    def contender(self, cell: str, *, twin: bool = False, marked: bool = False) -> Datum:
        """A table cell that names a contender in its colour, ``marked`` as ``marked_name`` does."""
        style = self.cast.style(cell)
        return Datum(
            self.marked_name(cell, twin=twin) if marked else self.cast.name(cell, twin=twin),
            colour=style.colour,
            variant=style.variant,
            strong=not twin,
        )
