"""What stands first where a run has many groups, or nothing to say of speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from harness.analysis.observations import Observations
from harness.report.files import figures_of
from harness.report.html import html
from harness.report.markdown import markdown
from harness.report.page import Page, Section, Table
from harness.report.view import page_of
from harness.spec.events import BlockFinished, TrialStarted
from harness.spec.manifest import Run
from harness.spec.proof_events import Parity
from harness.spec.recipes import Recipe

replace = msgspec.structs.replace
MODELS = ("lenet", "lenet-avg", "lenet-bn", "alexnet", "vgg11-small", "nin", "resnet18", "densenet")


@pytest.fixture(scope="module")
def zoo_recipes(recipes: dict[str, Recipe]) -> tuple[Recipe, ...]:
    plain = [replace(recipes["sgd"], name=f"{model}-sgd", model=model) for model in MODELS]
    return (*plain[:3], *(each.overridden(batch_size=16) for each in plain[3:]))


@pytest.fixture(scope="module")
def zoo(tell: Callable[..., Run], zoo_recipes: tuple[Recipe, ...]) -> Run:
    return tell(recipes=zoo_recipes, blocks=1, rounds=2, looks=(1,), aa=False, long_trials=False)


def overview(run: Run) -> Section:
    found = page_of(Observations(run)).overview
    assert found is not None
    return found


def table(section: Section) -> Table:
    first = section.blocks[0]
    assert isinstance(first, Table)
    return first


def titles(page: Page) -> list[str]:
    return [banner.title for banner in page.banners]


def texts(rows: Any) -> list[list[str]]:
    return [[str(datum.text) for datum in row] for row in rows]


def test_a_zoo_begins_with_a_table_of_models_and_frameworks(zoo: Run) -> None:
    rates = table(overview(zoo))
    assert [column.title for column in rates.columns] == [
        "Recipe",
        "Batch",
        "PyTorch",
        "MXNet Gluon",
        "Keras (TensorFlow)",
    ]
    rows = texts(rates.rows)
    assert [row[0] for row in rows] == [
        "lenet-sgd",
        "lenet-avg-sgd",
        "lenet-bn-sgd",
        *(f"{model}-sgd+batch_size=16" for model in MODELS[3:]),
    ]
    assert [row[1] for row in rows] == ["256"] * 3 + ["16"] * 5
    assert all(float(text.replace(",", "")) > 1000 for row in rows for text in row[2:])
    assert rates.note.startswith("Each recipe: 1 block. Indicative: nothing here shows")
    document = markdown(page_of(Observations(zoo)))
    assert document.index("## At a glance") < document.index("## Verdicts")
    drawings = dict.fromkeys(
        (each.name for each in figures_of(page_of(Observations(zoo)))), "<svg></svg>"
    )
    page = html(page_of(Observations(zoo)), drawings)
    assert page.index('id="overview"') < page.index('id="verdicts"')


def test_a_zoo_says_once_what_weakens_it(zoo: Run) -> None:
    page = page_of(Observations(zoo))
    assert titles(page) == ["Indicative: ranks nothing", "Recipes were changed"]
    indicative, changed = page.banners
    assert indicative.text == (
        "The whole run: the reference did not run twice, so the noise is unknown "
        "(1 finished block each)."
    )
    assert changed.text == (
        "alexnet-sgd, vgg11-small-sgd, nin-sgd, resnet18-sgd and densenet-sgd with batch_size=16. "
        "They are other recipes: their results and the published figures do not compare. "
        "With another batch the learning rate stays what it was."
    )


def test_a_zoo_does_not_repeat_that_it_has_no_long_trials(zoo: Run) -> None:
    assert "long trial" not in markdown(page_of(Observations(zoo)))


def test_what_failed_or_may_not_be_compared_has_no_rate(
    tell: Callable[..., Run], zoo_recipes: tuple[Recipe, ...]
) -> None:
    usual = {"recipes": zoo_recipes[:3], "blocks": 1, "looks": (1,), "long_trials": False}
    wrong = table(overview(tell(**usual, wrong_epsilon="gluon")))
    assert [row[3] for row in texts(wrong.rows)] == ["not comparable"] * 3
    missing = table(overview(_without(tell(**usual), "keras")))
    assert [row[4] for row in texts(missing.rows)] == ["not measured"] * 3


def _without(run: Run, framework: str) -> Run:
    gone = {
        event.trial
        for event in run.events
        if isinstance(event, TrialStarted) and framework in event.cell
    }
    events = [
        replace(event, trials=tuple(each for each in event.trials if each not in gone))
        if isinstance(event, BlockFinished)
        else event
        for event in run.events
    ]
    return replace(run, events=events)


def test_one_or_two_groups_need_no_table_before_the_verdicts(
    tell: Callable[..., Run], recipes: dict[str, Recipe]
) -> None:
    assert page_of(Observations(tell(long_trials=False))).overview is None
    two = tell(recipes=tuple(recipes.values()), blocks=1, looks=(1,), long_trials=False)
    assert page_of(Observations(two)).overview is None


def test_a_run_that_only_verified_shows_its_proofs_first(
    tell: Callable[..., Run], recipes: dict[str, Recipe]
) -> None:
    run = tell(
        recipes=tuple(recipes.values()), short_trials=False, long_trials=False,
        wrong_epsilon="keras",
    )  # fmt: skip
    page = page_of(Observations(run))
    proofs = table(overview(run))
    assert texts(proofs.rows)[0] == [
        "lenet-sgd",
        "4.2e-7 / 2.0e-6",
        "4.2e-7 / 2.0e-6",
        "failed: 4.0e-4 / 4.0e-3",
    ]
    assert proofs.note.startswith("Proved: 4 of 6 cells.")
    assert page.verdicts == ()
    assert page.question.endswith("compute the same on lenet-sgd and lenet-adam?")
    text = markdown(page)
    assert dict(page.facts)["Finished"] == "6 proofs"
    for nonsense in ("## Speed", "## Accuracy", "## Time", "noise floor", "0 blocks", "seeds"):
        assert nonsense not in text
    events = [event for event in run.events if not isinstance(event, Parity)]
    assert page_of(Observations(replace(run, events=events))).overview is None


def test_a_run_of_long_trials_alone_says_nothing_of_speed(
    tell: Callable[..., Run], recipes: dict[str, Recipe]
) -> None:
    run = tell(short_trials=False, aa=False, seeds=(0, 1, 2, 3, 4, 5, 6, 7), stuck=(2,))
    page = page_of(Observations(run))
    assert page.question == (
        "Do PyTorch, MXNet Gluon and Keras (TensorFlow) train lenet-sgd to the same accuracy, and "
        "to the published one?"
    )
    (row,) = texts(table(overview(run)).rows)
    assert row[:3] == ["lenet-sgd", "76.30 %", "yes, all 3"]
    assert row[-1] == "5"
    assert table(overview(run)).note.startswith("Median over 8 seeds, in brackets")
    (group,) = page.verdicts
    assert group.order == (
        "The published accuracy is reproduced by all 3 contenders. All contenders converge to the "
        "same accuracy."
    )
    assert [badge.label for badge in group.badges] == ["parity", "seeds"]
    assert [line.word for line in group.lines] == ["reproduced"] * 3 + ["equivalent"] * 3
    assert "1 of 8 never got beyond guessing" in group.lines[0].evidence
    text = markdown(page)
    for nonsense in ("## Speed", "## Windows", "noise floor", "after 0 blocks", "not measured"):
        assert nonsense not in text
    assert titles(page) == []
    facts = dict(page.facts)
    assert facts["Finished"] == "8 long blocks of whole recipes"


def test_speed_and_seeds_are_told_together(tell: Callable[..., Run]) -> None:
    run = tell(seeds=(1, 2, 3), blocks=5, looks=(5,))
    (group,) = page_of(Observations(run)).verdicts
    assert "ranked" in group.order or group.order.startswith("Fastest first:")
    assert [badge.label for badge in group.badges] == [
        "parity", "noise floor (A/A)", "blocks", "seeds",
    ]  # fmt: skip
    words = [line.word for line in group.lines]
    assert words[3:6] == ["reproduced"] * 3
    assert len(words) == 9
