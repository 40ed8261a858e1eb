"""What a report says of several batch sizes and numbers of threads."""

from __future__ import annotations

import msgspec
import pytest

from harness.analysis.judgement import Word
from harness.analysis.observations import Observations
from harness.analysis.sweeps import PairAt, Sweep, SweepPair, order_of, sweeps
from harness.report.cast import cast_of
from harness.report.figures import Scaling
from harness.report.markdown import markdown
from harness.report.page import Figure, Gallery, Items, Page, Paragraph, Section, Table
from harness.report.sweep_sentences import order_in_words, swept_in_words
from harness.report.view import page_of, question
from harness.spec.manifest import Run
from tests.analysis.runs import cell, long_events, run_of
from tests.analysis.test_sweeps import CROSSING, swept


def section(run: Run) -> Section:
    [found] = [each for each in page_of(Observations(run)).sections if each.id == "sweep"]
    return found


def tables(run: Run) -> list[Table]:
    return [block for block in section(run).blocks if isinstance(block, Table)]


def texts(table: Table) -> list[list[str]]:
    return [[datum.text for datum in row] for row in table.rows]


def charts(run: Run) -> dict[str, Scaling]:
    galleries = [block for block in section(run).blocks if isinstance(block, Gallery)]
    figures: list[Figure] = [figure for each in galleries for figure in each.figures]
    assert all(isinstance(each.chart, Scaling) for each in figures)
    return {each.name: each.chart for each in figures if isinstance(each.chart, Scaling)}


@pytest.fixture(scope="module")
def crossing() -> Run:
    return swept(CROSSING)


def test_every_combination_has_a_row_with_rates_and_the_order_of_its_own_verdicts(
    crossing: Run,
) -> None:
    rates, efficiency = tables(crossing)
    assert [column.title for column in rates.columns] == [
        "Batch", "Threads", "Alpha", "Beta", "Order",
    ]  # fmt: skip
    assert [(*row[:2], row[4]) for row in texts(rates)] == [
        ("32", "1", "Alpha > Beta"),
        ("32", "2", "Alpha > Beta"),
        ("256", "1", "Beta > Alpha"),
        ("256", "2", "Alpha > Beta"),
    ]
    (found,) = sweeps(Observations(crossing))
    alpha = found.lines[0].points
    assert [row[2] for row in texts(rates)] == [
        f"{each.examples_per_second:,.0f}" for each in alpha
    ]
    assert texts(efficiency)[0][2:] == ["100 %", "100 %"]
    assert texts(efficiency)[3][3].startswith("75") and texts(efficiency)[3][3].endswith(" %]")


def test_charts_go_over_batch_sizes_and_over_threads_in_panels_of_the_other(crossing: Run) -> None:
    found = charts(crossing)
    assert list(found) == ["sweep-batch-1", "sweep-threads-1", "sweep-efficiency-1"]
    batch, threads, efficiency = found.values()
    assert [panel.title for panel in batch.panels] == ["1 thread", "2 threads"]
    assert [panel.title for panel in threads.panels] == ["batch 32", "batch 256"]
    assert (batch.places, threads.places) == ((32, 256), (1, 2))
    assert batch.log and threads.log and not efficiency.log
    for chart in found.values():
        for panel in chart.panels:
            assert [course.label for course in panel.courses] == ["Alpha", "Beta"]
            assert [[p.x for p in c.points] for c in panel.courses] == [[*chart.places]] * 2
    assert all(p.low and p.low < p.y for p in batch.panels[0].courses[0].points)
    assert [p.y for p in efficiency.panels[0].courses[0].points] == pytest.approx(
        [1, 0.8], rel=0.03
    )


def test_one_axis_has_one_chart_and_titles_nothing_that_does_not_differ() -> None:
    batches = swept({place: rates for place, rates in CROSSING.items() if place[1] == 2})
    assert list(charts(batches)) == ["sweep-batch-1"]
    assert [panel.title for panel in charts(batches)["sweep-batch-1"].panels] == [""]
    assert len(tables(batches)) == 1
    threads = swept({place: rates for place, rates in CROSSING.items() if place[0] == 256})
    assert list(charts(threads)) == ["sweep-threads-1", "sweep-efficiency-1"]


def test_a_run_without_a_sweep_has_no_such_section() -> None:
    page = page_of(Observations(swept({(256, 2): {"alpha": 1.0, "beta": 2.0}})))
    assert "sweep" not in [each.id for each in page.sections]
    assert "batch sizes" not in page.question and "threads" not in page.question


def test_where_the_order_changes_is_said_with_the_ratios_of_the_verdicts(crossing: Run) -> None:
    blocks = section(crossing).blocks
    assert blocks[0] == Paragraph(text="The order changes within the sweep.")
    items = blocks[1]
    assert isinstance(items, Items)
    [sentence] = items.items
    assert sentence.startswith("Beta is faster than Alpha at batch 256 with 1 thread (1.1")
    assert (
        ", and Alpha is faster at batch 32 with 1 and 2 threads and batch 256 with 2 threads ("
        in (sentence)
    )


def test_without_a_verdict_no_order_is_spoken_of_though_the_rates_cross() -> None:
    few = swept(CROSSING, blocks=2)
    assert section(few).blocks[0] == Paragraph(
        text="No pair has a verdict anywhere in this sweep, so whether the order changes is open."
    )
    assert not any(isinstance(block, Items) for block in section(few).blocks)
    assert {row[4] for row in texts(tables(few)[0])} == {"open"}


def told(*words: Word | None, threads: tuple[int, ...] = (1, 2)) -> tuple[str, ...]:
    """The sentences on alpha and beta, whose verdicts on beta are ``words``: by batch, then by
    threads; beta is twice as fast where it is faster."""
    ratios = {"faster": 2.0, "slower": 0.5}
    batch_sizes = tuple(32 * 2**number for number in range(len(words) // len(threads)))
    places = [(batch, number) for batch in batch_sizes for number in threads]
    pair = SweepPair(
        contender=cell("beta").contender,
        against=cell("alpha").contender,
        at=tuple(
            PairAt(
                batch_size=batch,
                threads=number,
                verdict=word,
                times_faster=ratios.get(word or "", 1.0),
            )
            for (batch, number), word in zip(places, words, strict=True)
        ),
        order=order_of(words),
    )
    sweep = Sweep(
        recipe="lenet-sgd", input="resident", device="cpu", batch_sizes=batch_sizes,
        threads=threads, lines=(), pairs=(pair,),
    )  # fmt: skip
    return order_in_words(sweep, cast_of(run_of([], ["alpha", "beta"]).manifest))


def test_each_way_in_which_two_contenders_can_fare_has_its_sentence() -> None:
    assert told("faster", "faster", "slower", "slower") == (
        "The order changes within the sweep.",
        "Beta is faster than Alpha at batch 32 (2.0×), and Alpha is faster at batch 64 (2.0×).",
    )
    assert told("slower", "slower", "slower", "slower") == (
        "The order is the same everywhere in the sweep.",
        "Alpha is faster than Beta everywhere (2.0×).",
    )
    nothing_shown = "No order is shown to change; where there is no verdict, that is open."
    assert told("faster", "inconclusive", "faster", None) == (
        nothing_shown,
        "Beta is faster than Alpha at batch 32 with 1 thread and batch 64 with 1 thread (2.0×); "
        "open at batch 32 with 2 threads and batch 64 with 2 threads.",
    )
    assert told("equivalent", "equivalent", "equivalent", "equivalent") == (
        nothing_shown,
        "Beta and Alpha: neither is shown to be the faster one; equivalent at batch 32 and batch "
        "64.",
    )
    assert told("faster", "equivalent", threads=(1, 4))[1] == (
        "Beta is faster than Alpha with 1 thread (2.0×); equivalent with 4 threads."
    )
    assert told(None, None) == (
        "No pair has a verdict anywhere in this sweep, so whether the order changes is open.",
    )


def test_of_many_pairs_only_those_that_change_are_listed() -> None:
    words: dict[str, tuple[Word | None, ...]] = {
        "changes": ("faster", "slower"), "keeps": ("slower", "slower"), "open": ("faster", None),
    }  # fmt: skip
    orders = ["changes"] + ["keeps"] * 8 + ["open"] * 3
    pairs = tuple(
        SweepPair(
            contender=f"beta-{number}/eager",
            against="alpha-1.0/eager",
            at=tuple(
                PairAt(batch_size=batch, threads=2, verdict=word, times_faster=1.5)
                for batch, word in zip((32, 64), words[order], strict=True)
            ),
            order=order_of(words[order]),
        )
        for number, order in enumerate(orders)
    )
    sweep = Sweep(
        recipe="lenet-sgd", input="resident", device="cpu", batch_sizes=(32, 64), threads=(2,),
        lines=(), pairs=pairs,
    )  # fmt: skip
    cast = cast_of(run_of([], ["alpha"]).manifest)
    first, changing, rest = order_in_words(sweep, cast)
    assert first == "The order of 1 of 12 pairs changes within the sweep."
    assert changing.startswith("beta-0/eager is faster than Alpha at batch 32")
    assert rest == (
        "Of the others 8 pairs keep their order everywhere, and of 3 no order is shown at some "
        "combination."
    )
    few = msgspec.structs.replace(sweep, pairs=pairs[:11])
    assert len(order_in_words(few, cast)) == 12


def test_the_question_and_the_rows_say_what_was_gone_through(crossing: Run) -> None:
    page = page_of(Observations(crossing))
    assert page.question == (
        "Which of Alpha and Beta trains lenet-sgd faster on this machine, at batch sizes 32 and "
        "256 with 1 and 2 threads, and do they compute the same?"
    )
    plan = msgspec.structs.replace(crossing.manifest.plan, looks=(0,))
    proofs_alone = msgspec.structs.replace(crossing.manifest, plan=plan)
    assert question(proofs_alone) == (
        "Do Alpha and Beta compute the same on lenet-sgd at batch sizes 32 and 256 with 1 and 2 "
        "threads?"
    )
    assert page.overview is not None
    rows = page.overview.blocks[0]
    assert isinstance(rows, Table)
    assert [row[0].text for row in rows.rows] == [
        "lenet-sgd+batch_size=32 with 1 thread",
        "lenet-sgd+batch_size=32 with 2 threads",
        "lenet-sgd with 1 thread",
        "lenet-sgd with 2 threads",
    ]
    assert "batch sizes" not in swept_in_words([cell("alpha"), cell("alpha", threads=1)])
    assert swept_in_words([cell("alpha"), cell("alpha", "lenet-adam", batch_size=64)]) == ""


def test_another_batch_says_that_the_rate_was_not_scaled(crossing: Run) -> None:
    def changed(page: Page) -> str:
        return next(each.text for each in page.banners if each.title.endswith("changed"))

    assert changed(page_of(Observations(crossing))).endswith(
        "With another batch the learning rate stays what it was."
    )


def test_a_training_that_was_made_once_is_shown_once_and_says_so(crossing: Run) -> None:
    plan = crossing.manifest.plan
    groups = tuple(
        msgspec.structs.replace(group, long_trials=group.name.endswith("2t"))
        for group in plan.groups
    )
    plan = msgspec.structs.replace(plan, groups=groups, long_trials=True, seeds=(1,))
    run = Run(
        manifest=msgspec.structs.replace(crossing.manifest, plan=plan),
        events=[*crossing.events, *long_events({"alpha": [0.3, 0.7], "beta": [0.3, 0.7]})],
    )
    page = page_of(Observations(run))
    text = markdown(page)
    own = text[text.index("## Accuracy") :]
    own = own[: own.index("\n## ", 5)]
    assert "with 2 threads" in own and "with 1 thread," not in own
    assert "trained whole once, with the most threads" in text[: text.index("## Accuracy")]
