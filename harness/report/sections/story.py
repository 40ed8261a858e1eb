"""What every section is told from."""

from __future__ import annotations

from typing import NamedTuple

from harness.analysis.judgement import Judgement
from harness.report.cast import Cast
from harness.report.page import Block, Datum, Heading
from harness.spec.events import Group, Run


class Story(NamedTuple):
    """A run, what was judged of it, and under which names."""

    run: Run
    judgement: Judgement
    cast: Cast

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

    def contender(self, cell: str, *, twin: bool = False) -> Datum:
        """A table cell that names a contender in its colour."""
        return Datum(
            self.cast.name(cell, twin=twin), colour=self.cast.style(cell).colour, strong=not twin
        )
