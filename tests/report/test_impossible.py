"""Numbers that cannot be true: where a reader takes them, they are shown as a dash.

Most are refused by every reader (``spec/bounds.py``); a page does not rely on that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import get_type_hints

import msgspec
import pytest

from harness.analysis.observations import Observations
from harness.report.charts import draw
from harness.report.files import figures_of
from harness.report.markdown import markdown
from harness.report.page import Page
from harness.report.view import page_of
from harness.spec.events import AnyEvent, Evaluation, TrialFinished, Window
from harness.spec.manifest import Run
from harness.spec.proof_events import Deviation, Parity
from harness.spec.recipes import Recipe

replace = msgspec.structs.replace
NUMBERS = (0, -1, 10**15)
KINDS = (Window, Evaluation, TrialFinished)


@pytest.fixture(scope="module")
def small(tell: Callable[..., Run], recipes: dict[str, Recipe]) -> Run:
    recipe = replace(recipes["sgd"], epochs=2)
    return tell(
        recipes=(recipe,), frameworks=("pytorch", "gluon"), blocks=1, rounds=2, seeds=(1, 2, 3)
    )


def fields() -> Iterator[tuple[type, str]]:
    """Every field that holds one number."""
    for kind in KINDS:
        for name, plain in get_type_hints(kind).items():  # which leaves the bounds out
            if name != "trial" and plain in (int, float, int | None, float | None):
                yield kind, name


def with_value(run: Run, kind: type, name: str, value: float, *, once: bool) -> Run:
    events: list[AnyEvent] = []
    done = False
    for event in run.events:
        if isinstance(event, kind) and not (once and done):
            event = replace(event, **{name: value})
            done = True
        events.append(event)
    return replace(run, events=tuple(events))


@pytest.mark.parametrize(
    ("kind", "name"), list(fields()), ids=lambda part: getattr(part, "__name__", part)
)
def test_a_number_that_cannot_be_has_a_page_all_the_same(kind: type, name: str, small: Run) -> None:
    markdown(page_of(Observations(with_value(small, kind, name, 0, once=True))))
    for value in NUMBERS:
        markdown(page_of(Observations(with_value(small, kind, name, value, once=False))))


def drawn(run: Run) -> Page:
    page = page_of(Observations(run))
    for figure in figures_of(page):
        draw(figure.chart)
    markdown(page)
    return page


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-300, 1e300])
def test_windows_of_no_time_can_be_drawn(value: float, small: Run) -> None:
    drawn(with_value(small, Window, "wall_seconds", value, once=False))


def test_windows_of_no_time_have_no_rate(small: Run) -> None:
    text = markdown(drawn(with_value(small, Window, "wall_seconds", 0.0, once=False)))
    assert "inf" not in text.replace("inference", "").replace("information", "")
    assert "nan" not in text


def test_evaluations_of_nothing_are_a_dash(small: Run) -> None:
    text = markdown(drawn(with_value(small, Evaluation, "examples", 0, once=False)))
    assert "| PyTorch, seed 1 | — | — |" in text
    assert "nan" not in text


def test_tolerances_of_nothing_are_told(small: Run) -> None:
    nothing = Deviation(check="loss", step=1, value=1e-7, tolerance=0.0)
    events = [
        replace(event, deviations=(*event.deviations, nothing))
        if isinstance(event, Parity)
        else event
        for event in small.events
    ]
    text = markdown(page_of(Observations(replace(small, events=events))))
    assert "loss at step 1: off by 1.0e-07, and nothing is tolerated" in text


def test_a_machine_without_cores_has_a_page(small: Run) -> None:
    machine = replace(small.manifest.machine, cores=0, memory_bytes=0)
    cells = tuple(replace(cell, threads=0) for cell in small.manifest.cells)
    drawn(replace(small, manifest=replace(small.manifest, machine=machine, cells=cells)))


def test_a_plan_without_looks_has_a_page(small: Run) -> None:
    plan = replace(small.manifest.plan, looks=(), rounds=0, seeds=())
    drawn(replace(small, manifest=replace(small.manifest, plan=plan)))
