"""Tax: what the suite's own layers cost, adapter by adapter."""

from __future__ import annotations

from harness.analysis.observations import Observations
from harness.analysis.tax import Tax, taxes
from harness.report.formats import NOTHING, bounds, times
from harness.report.page import Banner, Column, Datum, Section, Table, Tone
from harness.report.sections.story import Story

COLUMNS = (
    Column("Framework"),
    Column("Batch and input"),
    Column("Ratio", number=True),
    Column("95 % interval", number=True),
    Column("By hand twice", number=True),
    Column("Goal", number=True),
    Column("Outcome"),
    Column("Blocks", number=True),
    Column("First windows", number=True),
)
TONES: dict[str, Tone] = {
    "met": "good",
    "missed": "bad",
    "open": "doubt",
    "not_comparable": "bad",
    "not_measured": "quiet",
}


def tax_rows(found: tuple[Tax, ...], titles: dict[str, str]) -> list[tuple[str, ...]]:
    """The cells of ``COLUMNS``, one row for each adapter and batch size."""
    return [
        (
            titles.get(tax.framework, tax.framework),
            f"{tax.batch_size}, {tax.input}"
            + (f", {tax.loader_workers} workers" if tax.input != "resident" else ""),
            NOTHING if tax.times_handwritten_rate is None else times(tax.times_handwritten_rate),
            NOTHING if tax.interval is None else bounds(tax.interval),
            NOTHING if tax.noise_floor is None else bounds(tax.noise_floor),
            f"≥ {tax.goal:g}",
            tax.outcome.replace("_", " "),
            f"{tax.blocks}",
            NOTHING if tax.first_window_deviation is None else f"{tax.first_window_deviation:.1e}",
        )
        for tax in found
    ]


def tax_banner(run: Observations) -> tuple[Banner, ...]:
    """How many adapters keep to their goals; nothing for a run that is no tax."""
    if run.manifest.study != "tax" or not taxes(run):
        return ()
    words = [tax.outcome for tax in taxes(run)]
    parts = [f"{words.count(word)} {word.replace('_', ' ')}" for word in TONES if word in words]
    gravest: tuple[Tone, ...] = ("bad", "doubt", "quiet", "good")
    return (
        Banner(
            tone=min((TONES[word] for word in words), key=gravest.index),
            title=f"Goals of our adapters: {', '.join(parts)}",
            text="Each adapter ran in turns with a loop that an expert wrote by hand. See Tax.",
        ),
    )


def tax_section(story: Story) -> Section | None:
    """A row for each adapter and batch size; nothing for a run that is no tax."""
    if story.run.manifest.study != "tax":
        return None
    found = taxes(story.run)
    rows = zip(found, tax_rows(found, story.run.manifest.titles), strict=True)
    outcome = [column.title for column in COLUMNS].index("Outcome")
    return Section(
        id="tax",
        title="Tax",
        lead="What the suite's own layers cost: the rate of our adapter ÷ the rate of the loop "
        "written by hand. Met: the whole interval lies at or above the goal. Missed: it lies "
        "below. Open: the goal lies within, or there are fewer than 5 blocks.",
        blocks=(
            Table(
                caption="Our adapters against loops written by hand",
                columns=COLUMNS,
                rows=tuple(
                    tuple(
                        Datum(
                            text,
                            TONES[tax.outcome] if place == outcome else "plain",
                            strong=place == 0,
                        )
                        for place, text in enumerate(texts)
                    )
                    for tax, texts in rows
                ),
                note="By hand twice: the loop against its own second copy. First windows: by how "
                "much their losses differ; both start from the same weights on the same batches.",
            ),
        ),
    )
