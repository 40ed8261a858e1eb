"""What a report says of micro-benchmarks."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from harness.analysis.micro_check import MicroComparison
from harness.analysis.observations import Observations
from harness.report.cast import cast_of
from harness.report.charts import draw
from harness.report.figures import Roofline, Stack, Style
from harness.report.files import figures_of, write_report
from harness.report.markdown import markdown
from harness.report.micro_words import brief, comparison_rows, micro_rows, sides_of
from harness.report.page import Page, Section, Table
from harness.report.view import page_of
from harness.spec.manifest import Run
from harness.spec.micro import Micro, MicroFailure

from .micros import micro_of

Tell = Callable[..., Run]


def section(page: Page) -> Section:
    [found] = [each for each in page.sections if each.id == "micro"]
    return found


def table(page: Page, caption: str) -> Table:
    [found] = [
        block
        for block in section(page).blocks
        if isinstance(block, Table) and block.caption == caption
    ]
    return found


def told(run: Run, micro: Micro) -> str:
    """The section alone, in Markdown."""
    page = page_of(Observations(run), micro)
    return markdown(msgspec.structs.replace(page, sections=(section(page),)))


@pytest.fixture(scope="module")
def run(tell: Tell) -> Run:
    return tell(blocks=0, looks=(0,), long_trials=False)


def test_a_run_without_them_has_no_such_section(run):
    assert "micro" not in [each.id for each in page_of(Observations(run)).sections]


def test_a_step_is_told_part_by_part_with_shares(run):
    found = table(
        page_of(Observations(run), micro_of(run)), "Where a step's time goes, eager, batch 256"
    )
    assert [column.title for column in found.columns] == [
        "Part", "PyTorch", "MXNet Gluon", "Keras (TensorFlow)",
    ]  # fmt: skip
    rows = {row[0].text: row[1].text for row in found.rows}
    # 13.3 ms, of which a layer takes 5 % forward and 15 % both ways; there are six of them.
    assert rows["conv1 forward"] == "665 µs (5.0 %)"
    assert rows["conv1 backward"] == "1.33 ms (10.0 %)"
    assert rows["optimizer"] == "100 µs (0.8 %)"
    assert rows["rest"] == "1.23 ms (9.2 %)"
    assert rows["whole step"] == "13.3 ms"
    assert list(rows)[:2] == ["conv1 forward", "conv1 backward"]


def test_the_chart_of_parts_adds_up_layers_of_a_kind(run):
    [chart] = [
        each.chart
        for each in figures_of(page_of(Observations(run), micro_of(run)))
        if each.name == "micro-steps"
    ]
    assert isinstance(chart, Stack)
    assert chart.parts == ("conv", "sigmoid", "pool", "dense", "optimizer", "rest")
    name, lengths = chart.rows[0]
    assert name == "PyTorch (eager)"
    assert lengths[0] == pytest.approx(2 * 0.15 * 13.3)
    assert sum(lengths) == pytest.approx(13.3)


def test_the_roofline_holds_every_piece_that_computes(run):
    micro = micro_of(run)
    [chart] = [
        each.chart
        for each in figures_of(page_of(Observations(run), micro))
        if each.name == "micro-roofline"
    ]
    assert isinstance(chart, Roofline)
    assert chart.peak == pytest.approx(2 * 1.024**3 / 0.02)
    assert chart.slope == pytest.approx(128 * 2**20 / 0.01 / 1e9)
    pieces = {point.piece for point in chart.points}
    assert pieces == {
        "whole training step", "forward pass", "matrix product", "conv1", "conv2", "dense1",
        "dense2",
    }  # fmt: skip
    [step] = [
        point
        for point in chart.points
        if (point.piece, point.label) == ("whole training step", "PyTorch (eager)")
    ]
    assert (step.x, step.y) == (100, pytest.approx(256e6 / 13.3e-3 / 1e9))
    drawing = draw(chart)
    for text in (chart.peak_text, chart.slope_text, "whole training step", "MXNet Gluon (eager)"):
        assert text in drawing
    assert draw(chart) == drawing


def test_without_a_measured_roof_there_is_no_roofline(run):
    micro = micro_of(run)
    files = {
        name: msgspec.structs.replace(
            file,
            benchmarks=tuple(one for one in file.benchmarks if one.extra_info.piece != "matmul"),
        )
        for name, file in micro.files.items()
    }
    page = page_of(Observations(run), msgspec.structs.replace(micro, files=files))
    assert "micro-roofline" not in [each.name for each in figures_of(page)]
    assert "Rates of every piece" in markdown(page)


def test_what_a_framework_costs_before_it_trains(run):
    found = table(page_of(Observations(run), micro_of(run)), "Before it trains")
    assert [datum.text for datum in found.rows[1]] == [
        "PyTorch 2.14.1 (compiled)", "2.00 s", "500 ms", "1.00 s", "3.50 s", "3,072 MiB",
        "17 lines",
    ]  # fmt: skip
    assert "Lines of code of every model" in told(run, micro_of(run))


def test_colours_are_those_of_the_training_results(tell):
    run = tell(blocks=1)
    cast = cast_of(run.manifest)
    trained = {
        (member.cell.framework, member.cell.mode): member.style
        for member in cast.members.values()
        if member.cell
    }
    sides = {
        (side.framework.framework, side.mode): side.style for side in sides_of(micro_of(run), cast)
    }
    assert len(set(sides.values())) == len(sides), "every contender looks different"
    for contender, style in trained.items():
        assert sides.get(contender, style) == style
    assert {style.colour for (name, _), style in sides.items() if name == "keras"} == {
        style.colour for (name, _), style in trained.items() if name == "keras"
    }


def test_without_a_cast_frameworks_are_counted_from_the_first(run):
    sides = sides_of(micro_of(run))
    assert sides[0].style == Style(0, 0)
    assert sides[-1].style == Style(2, 1)


def test_what_was_not_measured_is_said(run):
    failure = MicroFailure(
        framework="gluon", what="MXNet Gluon 1.9.1", phase="micro-benchmarks", reason="it hung"
    )
    micro = micro_of(
        run, measured=("pytorch",), failures=(failure,), skips=("x: has no mode",), select="layer",
        quick=True,
    )  # fmt: skip
    text = told(run, micro)
    assert "MXNet Gluon 1.9.1: micro-benchmarks: it hung" in text
    assert "Keras (TensorFlow): interrupted before it was measured" in text
    assert "x: has no mode" in text
    assert "Measured with --quick" in text
    assert "only benchmarks that fit -k 'layer' were measured" in text


def test_a_reader_is_told_when_rounds_were_unsteady(run):
    micro = micro_of(run)
    assert "disturbed this machine" not in told(run, micro)
    files = {
        name: msgspec.structs.replace(
            file,
            benchmarks=tuple(
                msgspec.structs.replace(
                    one, stats=msgspec.structs.replace(one.stats, iqr=0.26 * one.stats.median)
                )
                for one in file.benchmarks
            ),
        )
        for name, file in micro.files.items()
        if name == "gluon"
    }
    third = msgspec.structs.replace(micro, files={**micro.files, **files})
    total = len(third.benchmarks)
    assert f"In {total // 3} of {total} benchmarks the middle half" in told(run, third)


def test_a_run_of_which_nothing_was_measured_still_has_a_page(run, tmp_path):
    micro = micro_of(run, measured=())
    assert "interrupted before it was measured" in told(run, micro)
    assert write_report(Observations(run), tmp_path, micro).is_file()


def test_modes_whose_parts_cant_be_measured_say_why(run):
    assert "(xla): a step of this mode has no parts" in told(run, micro_of(run, modes=("xla",)))


def test_a_page_in_all_its_forms(run, tmp_path):
    index = write_report(Observations(run), tmp_path, micro_of(run))
    assert "Where a step&#39;s time goes" in index.read_text("utf-8")
    drawn = {each.name for each in (index.parent / "figures").glob("micro-*.svg")}
    assert drawn == {
        "micro-steps.svg", "micro-latency.svg", "micro-roofline.svg", "micro-start.svg",
    }  # fmt: skip


def test_the_question_of_a_run_made_for_them(run, tell):
    assert page_of(Observations(run), micro_of(run)).question.startswith(
        "Where does the time of a training step"
    )
    trained = tell(blocks=1)
    assert (
        page_of(Observations(trained), micro_of(trained)).question
        == page_of(Observations(trained)).question
    )


def test_a_hostile_name_is_harmless(hostile_run, hostile, tmp_path):
    micro = micro_of(hostile_run)
    source = write_report(Observations(hostile_run), tmp_path, micro).read_text("utf-8")
    assert "<script>alert(1)" not in source
    assert "onerror=alert(2)>" not in source


def test_a_terminal_shows_the_same_tables(run):
    titles = [title for title, _, _ in micro_rows(micro_of(run))]
    assert titles == [
        "Median time of one call, eager",
        "Median time of one call, compiled",
        "Median time of one call, any mode",
        "Before it trains",
    ]
    _, header, rows = micro_rows(micro_of(run))[0]
    assert header == ["Piece", "Batch", "PyTorch", "MXNet Gluon", "Keras (TensorFlow)"]
    assert rows[0] == ["Whole training step", "1", "550 µs", "1.16 ms", "715 µs"]


@pytest.mark.parametrize(
    ("value", "said"),
    [(1.5e-6, "1.50 µs"), (9.994e-4, "999 µs"), (1e-3, "1.00 ms"), (2.5, "2.50 s"),
     (-2e-3, "-2.00 ms"), (-2e-5, "-20.0 µs"), (0.0, "0 s")],
)  # fmt: skip
def test_brief_times(value, said):
    assert brief(value) == said


def test_a_comparison_is_a_row_a_framework():
    comparison = MicroComparison(
        base="b", compared=3, missing=(), fresh=(), versions=(), breaches=(),
        times={"a/x": (1.0, 2.0), "a/y": (1.0, 1.0), "a/z": (2.0, 1.0), "c/x": (0.0, 1.0)},
    )  # fmt: skip
    assert comparison_rows(comparison) == [["a", "3", "0.50×", "1.000×", "2.0×"]]
