"""Gate: what base and head are judged by, and what came of it."""

from __future__ import annotations

from harness.analysis.gate import GatedCell, gate
from harness.analysis.observations import Observations
from harness.report.formats import percent
from harness.report.gate import conclusion, gate_header, gate_rows, sentences
from harness.report.outcomes import ACCURACY_TONES, EXIT_TONES, PARITY_TONES, SPEED_TONES
from harness.report.page import Banner, Block, Column, Datum, Items, Section, Table, Tone
from harness.report.sections.story import Story


def gate_banner(run: Observations) -> tuple[Banner, ...]:
    """The gate's conclusion; nothing for a run that is none."""
    if run.manifest.gate is None:
        return ()
    found = gate(run)
    text = f"Exit code {found.exit_code}. See Gate for each cell, with its bounds."
    return (Banner(tone=EXIT_TONES[found.exit_code], title=conclusion(found), text=text),)


def gate_section(story: Story) -> Section | None:
    """A row for each cell; nothing for a run that is no gate."""
    if story.run.manifest.gate is None:
        return None
    found = gate(story.run)
    titles = story.run.manifest.titles
    cells = [*found.cells, *(None for _ in found.left_out)]
    rows = zip(cells, gate_rows(found, titles), strict=True)
    notes = sentences(found)
    blocks: list[Block] = [
        Table(
            caption="The head against the base",
            columns=tuple(Column(title.capitalize()) for title in gate_header()),
            rows=tuple(_row(cell, texts) for cell, texts in rows),
            note="Time of a step: the head's against the base's, with the Holm-adjusted lower "
            "bound and the one-sided 95 % upper bound. A/A: the base's speed against its own "
            "second copy.",
        )
    ]
    if notes:
        blocks.append(Items(items=tuple(notes)))
    usual = story.run.manifest.gate.thresholds
    return Section(
        id="gate",
        title="Gate",
        lead="Has it become slower, less accurate, or wrong? Slower: the lower bound of the "
        f"slowdown is above {percent(usual.slowdown)}. Too noisy: {percent(usual.blind_to)} more "
        "time could have gone unseen. Less accurate: the lower bound of the loss of final test "
        f"accuracy, paired by seed, is above {usual.accuracy * 100:g} points. Cells may have "
        "limits of their own.",
        blocks=tuple(blocks),
    )


def _row(cell: GatedCell | None, texts: tuple[str, ...]) -> tuple[Datum, ...]:
    tones: dict[int, Tone] = {}
    if cell is not None:
        tones = {
            1: SPEED_TONES[cell.speed],
            5: ACCURACY_TONES[cell.accuracy],
            6: PARITY_TONES[cell.parity],
        }
    return tuple(
        Datum(text, tones.get(place, "plain"), strong=place == 0)
        for place, text in enumerate(texts)
    )
