"""Figures of long trials, as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.analysis.curves import curves_by_cell
from harness.analysis.observations import Observations
from harness.analysis.verdicts import judge
from harness.report.cast import cast_of
from harness.report.charts import draw
from harness.report.figures import Line
from harness.report.sections.learning import (
    Learned,
    figure_by_epoch,
    figure_by_seconds,
    figure_of_seeds,
    printed_by,
    published_name,
)
from harness.report.sections.story import Story
from harness.spec.manifest import Run


def told(run: Run) -> tuple[Story, Learned]:
    story = Story(Observations(run), judge(Observations(run)), cast_of(run.manifest))
    group = story.cast.groups[0]
    found = curves_by_cell(Observations(run))
    return story, {cell: found[group.name, cell] for cell in group.cells}


@pytest.fixture(scope="module")
def seeds(tell: Callable[..., Run]) -> tuple[Story, Learned]:
    return told(tell(short_trials=False, seeds=(0, 1, 2), stuck=(1,)))


def first_line(story: Story, learned: Learned) -> Line:
    chart: Any = figure_by_epoch(story, story.cast.groups[0], learned).chart
    line: Line = chart.panels[0].lines[0]
    return line


def test_one_seed_is_a_line_and_several_a_line_before_those_of_the_seeds(
    tell: Callable[..., Run], seeds: tuple[Story, Learned]
) -> None:
    line = first_line(*told(tell(short_trials=False)))
    assert (line.low, line.high, line.members) == ((), (), ())
    line = first_line(*seeds)
    assert line.low == line.high == ()
    assert len(line.members) == 3
    assert line.members[1] == ((1, 2, 3, 4, 5), (0.1,) * 5)


def test_many_seeds_are_a_line_in_a_band(tell: Callable[..., Run]) -> None:
    line = first_line(*told(tell(short_trials=False, seeds=tuple(range(13)), stuck=(1,))))
    assert line.members == ()
    assert line.low == (0.1,) * 5
    assert all(low <= y <= high for low, y, high in zip(line.low, line.y, line.high, strict=True))
    assert line.high[-1] > 0.7


def test_training_is_drawn_in_the_middle_of_what_it_is_a_mean_of(
    seeds: tuple[Story, Learned],
) -> None:
    story, learned = seeds
    chart: Any = figure_by_epoch(story, story.cast.groups[0], learned).chart
    test, accuracy, loss = chart.panels
    assert test.lines[0].x == (1, 2, 3, 4, 5)
    assert test.lines[-1].label == "published"
    assert test.lines[-1].x == (1, 2, 3, 4, 5)
    assert accuracy.lines[-1].x == loss.lines[-1].x == (0.5, 1.5, 2.5, 3.5, 4.5)
    assert 0 < accuracy.lines[0].x[0] < 0.1
    assert 4.9 < accuracy.lines[0].x[-1] < 5


def test_against_seconds_nothing_is_published(seeds: tuple[Story, Learned]) -> None:
    story, learned = seeds
    chart: Any = figure_by_seconds(story, story.cast.groups[0], learned).chart
    assert {line.label for panel in chart.panels for line in panel.lines} == {
        "PyTorch",
        "MXNet Gluon",
        "Keras (TensorFlow)",
    }


def test_every_seed_has_a_line_of_its_own_that_is_in_no_legend(
    seeds: tuple[Story, Learned],
) -> None:
    story, learned = seeds
    figure = figure_of_seeds(story, story.cast.groups[0], learned)
    chart: Any = figure.chart
    assert [panel.unit for panel in chart.panels] == [
        "PyTorch",
        "MXNet Gluon",
        "Keras (TensorFlow)",
    ]
    assert [line.label for line in chart.panels[0].lines] == [
        "PyTorch, seed 0",
        "PyTorch, seed 1",
        "PyTorch, seed 2",
        "published",
    ]
    texts = "".join(ElementTree.fromstring(draw(figure.chart)).itertext())
    assert "seed 1" not in texts
    assert "published" in texts


def test_published_figures_of_whole_batches_are_put_right_beside_ours(
    tell: Callable[..., Run], adam_64: Any, seeds: tuple[Story, Learned]
) -> None:
    _, learned = told(tell(recipes=(adam_64,), short_trials=False))
    printed = printed_by(learned)
    assert printed.test_accuracy[-1] == pytest.approx(0.8744 * 10_048 / 10_000)
    assert published_name(printed) == "published, hits ÷ images"
    assert printed_by(seeds[1]).test_accuracy[-1] == 0.763
    assert printed_by({}).test_accuracy == ()
