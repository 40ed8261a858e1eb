"""Charts of a sweep: a line a contender, over batch sizes and over threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from harness.analysis.estimate import Interval
from harness.analysis.sweeps import Sweep, SweepPoint
from harness.report.figures import Course, Reach, Scale, Scaling
from harness.report.page import Figure
from harness.report.sections.story import Story
from harness.report.sweep_sentences import contender_name, threads_in_words

Value = Callable[[SweepPoint], tuple[float, Interval | None]]


def _rate(point: SweepPoint) -> tuple[float, Interval | None]:
    return point.examples_per_second, point.interval


def _efficiency(point: SweepPoint) -> tuple[float, Interval | None]:
    assert point.efficiency is not None
    return point.efficiency, point.efficiency_interval


def sweep_figures(story: Story, sweep: Sweep, index: int) -> Iterator[Figure]:
    """Rates over batch sizes, rates over threads, and efficiency, where there is more than one."""
    if len(sweep.batch_sizes) > 1:
        yield Figure(
            name=f"sweep-batch-{index}",
            caption=f"Examples per second against batch size, {sweep.recipe}; higher is faster. "
            f"Both axes are logarithmic.{_whiskers(sweep)}",
            chart=Scaling(
                x_unit="batch size",
                y_unit="examples/s",
                places=sweep.batch_sizes,
                panels=_by_threads(story, sweep),
                log=True,
            ),
        )
    if len(sweep.threads) < 2:
        return
    yield Figure(
        name=f"sweep-threads-{index}",
        caption=f"Examples per second against threads, {sweep.recipe}; higher is faster. Both axes "
        f"are logarithmic.{_whiskers(sweep)}",
        chart=Scaling(
            x_unit="threads",
            y_unit="examples/s",
            places=sweep.threads,
            panels=_by_batch(story, sweep, _rate),
            log=True,
        ),
    )
    if any(point.efficiency is not None for line in sweep.lines for point in line.points):
        yield Figure(
            name=f"sweep-efficiency-{index}",
            caption=f"Efficiency against {threads_in_words(sweep.threads[:1])}, {sweep.recipe}: "
            "rate ÷ what it would be if it grew as the threads do. The line across is 1, where "
            f"nothing is lost. Threads on a logarithmic axis.{_whiskers(sweep)}",
            chart=Scaling(
                x_unit="threads",
                y_unit="efficiency",
                places=sweep.threads,
                panels=_by_batch(story, sweep, _efficiency),
                ideal=1.0,
            ),
        )


def _whiskers(sweep: Sweep) -> str:
    several = any(point.interval for line in sweep.lines for point in line.points)
    return " Whiskers: 95 % intervals over blocks." if several else ""


def _by_threads(story: Story, sweep: Sweep) -> tuple[Scale, ...]:
    """A panel for each number of threads, over batch sizes."""
    return tuple(
        Scale(
            title=threads_in_words([threads]) if len(sweep.threads) > 1 else "",
            courses=_courses(
                story,
                sweep,
                lambda point, own=threads: point.threads == own,  # type: ignore[misc]
                lambda point: point.batch_size,
                _rate,
            ),
        )
        for threads in sweep.threads
    )


def _by_batch(story: Story, sweep: Sweep, value: Value) -> tuple[Scale, ...]:
    """A panel for each batch size, over threads."""
    return tuple(
        Scale(
            title=f"batch {batch_size:,}" if len(sweep.batch_sizes) > 1 else "",
            courses=_courses(
                story,
                sweep,
                lambda point, own=batch_size: (  # type: ignore[misc]
                    point.batch_size == own
                    and not (value is _efficiency and point.efficiency is None)
                ),
                lambda point: point.threads,
                value,
            ),
        )
        for batch_size in sweep.batch_sizes
    )


def _courses(
    story: Story,
    sweep: Sweep,
    belongs: Callable[[SweepPoint], bool],
    place: Callable[[SweepPoint], int],
    value: Value,
) -> tuple[Course, ...]:
    found = []
    for line in sweep.lines:
        points = [point for point in line.points if belongs(point)]
        if points:
            found.append(
                Course(
                    label=contender_name(story.cast, sweep, line.contender),
                    style=story.cast.style(points[0].cell),
                    points=tuple(_reach(place(point), *value(point)) for point in points),
                )
            )
    return tuple(found)


def _reach(x: int, y: float, interval: Interval | None) -> Reach:
    return Reach(
        x=x,
        y=y,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
    )
