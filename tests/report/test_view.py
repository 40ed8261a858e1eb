"""Whatever a run lacks, it has a page."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from harness.analysis.observations import Observations
from harness.report.files import write_report
from harness.report.markdown import markdown
from harness.report.page import Page
from harness.report.view import page_of
from harness.spec.events import Evaluation, Failure, Skip, TrialFinished, Window
from harness.spec.manifest import Run
from harness.spec.proof_events import Parity

replace = msgspec.structs.replace


def titles(page: Page) -> list[str]:
    return [banner.title for banner in page.banners]


PARTS: dict[str, dict[str, Any]] = {
    "only parity": {"short_trials": False, "long_trials": False},
    "only long trials": {"short_trials": False},
    "only short trials": {"long_trials": False},
    "no parity": {"parity": False},
    "one block": {"blocks": 1},
    "one contender": {"frameworks": ("keras",)},
    "no A/A": {"aa": False},
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_a_run_has_a_report(part: str, tell: Callable[..., Run], tmp_path: Any) -> None:
    assert write_report(Observations(tell(**PARTS[part])), tmp_path).is_file()


def test_a_run_killed_at_any_moment_has_a_page(tell: Callable[..., Run]) -> None:
    run = tell(blocks=2, rounds=3)
    for length in range(0, len(run.events), 11):
        page = page_of(Observations(replace(run, events=run.events[:length])))
        assert "The run did not come to its own end" in titles(page)
        markdown(page)


def test_a_manifest_that_knows_nothing_has_a_page(tell: Callable[..., Run]) -> None:
    run = tell(blocks=1, rounds=2)
    empty = replace(
        run.manifest,
        cells=(),
        environments=(),
        datasets=(),
        worker_environment={},
        titles={},
        command=(),
        git_commit=None,
    )
    markdown(page_of(Observations(replace(run, manifest=empty))))
    plan = replace(empty.plan, groups=())
    page = page_of(Observations(replace(run, manifest=replace(empty, plan=plan))))
    assert page.verdicts == ()
    markdown(page)


def test_trials_that_recorded_next_to_nothing_have_a_page(
    tell: Callable[..., Run], tmp_path: Any
) -> None:
    run = tell(blocks=2, rounds=2)
    bare = [
        replace(event, phases={}, threads={}) if isinstance(event, TrialFinished) else event
        for event in run.events
        if not isinstance(event, Window)
    ]
    assert write_report(Observations(replace(run, events=bare)), tmp_path).is_file()


def test_training_that_diverged_has_a_page(tell: Callable[..., Run], tmp_path: Any) -> None:
    run = tell(blocks=1, rounds=2)
    diverged = [
        replace(event, loss_sum=None) if isinstance(event, (Window, Evaluation)) else event
        for event in run.events
    ]
    assert write_report(Observations(replace(run, events=diverged)), tmp_path).is_file()
    proofs = [
        replace(
            event,
            losses=(None,) * 10,
            deviations=tuple(replace(each, value=None) for each in event.deviations),
        )
        if isinstance(event, Parity)
        else event
        for event in run.events
    ]
    assert "Parity failed" in titles(page_of(Observations(replace(run, events=proofs))))


def test_failures_everywhere_are_told_with_their_reasons(
    tell: Callable[..., Run], read_html: Callable[[str], Any], tmp_path: Any
) -> None:
    cells = tell(blocks=0).manifest.cells
    run = tell(
        blocks=0,
        long_trials=False,
        parity=False,
        extra=(
            *(
                Failure(at=1.0, cell=cell.id, phase="import", reason="libfoo.so.1 is missing")
                for cell in cells
            ),
            Skip(at=2.0, what="gpu", reason="compute capability 9.0 is newer than its code"),
        ),
    )
    page = page_of(Observations(run))
    assert {"3 failures", "Parity was not run"} <= set(titles(page))
    text = read_html(write_report(Observations(run), tmp_path).read_text("utf-8")).text
    assert text.count("libfoo.so.1 is missing") == 3
    assert "compute capability 9.0 is newer than its code" in text


WARNINGS: dict[str, dict[str, Any]] = {
    "A fallback dataset stood in": {"fallback_for": "fashion-mnist"},
    "Indicative: ranks nothing": {"blocks": 3, "looks": (3,)},
    "The noise floor failed": {"twin_slowdown": 1.2},
    "Parity failed": {"wrong_epsilon": "gluon"},
    "The run did not come to its own end": {"finished": False},
}


@pytest.mark.parametrize("title", WARNINGS)
def test_what_weakens_a_run_is_said_before_its_numbers(
    title: str, tell: Callable[..., Run]
) -> None:
    assert titles(page_of(Observations(tell(long_trials=False, **WARNINGS[title])))) == [title]


def test_a_run_without_faults_has_no_banner(tell: Callable[..., Run]) -> None:
    assert titles(page_of(Observations(tell()))) == []


def test_a_changed_recipe_is_named(tell: Callable[..., Run], recipes: dict[str, Any]) -> None:
    page = page_of(Observations(tell(recipes=(recipes["sgd"].overridden(epochs=2),), blocks=0)))
    (banner,) = page.banners
    assert banner.title == "The recipe was changed"
    assert banner.text.startswith("lenet-sgd+epochs=2 is lenet-sgd with epochs=2.")


def test_restless_blocks_and_odd_contenders_are_told(tell: Callable[..., Run]) -> None:
    run = tell(long_trials=False)
    events = [
        replace(event, steal_seconds=0.5, waiting_cpu_seconds=0.5)
        if isinstance(event, Window) and event.trial < 4
        else event
        for event in run.events
    ]
    page = page_of(Observations(replace(run, events=events)))
    assert "1 restless block" in titles(page)
    assert "Busy while waiting" in titles(page)


def test_the_way_to_go_on_is_the_command_that_made_the_run(tell: Callable[..., Run]) -> None:
    run = tell(finished=False)
    command = ("levelfield", "reproduce", "--impl-dir", "mine", "--seeds", "3")
    (banner,) = page_of(
        Observations(
            replace(run, manifest=replace(run.manifest, study="reproduce", command=command))
        )
    ).banners
    name = run.manifest.run
    assert f"levelfield reproduce --resume {name} --impl-dir mine goes on with it." in banner.text


def test_flags_are_told_with_their_rule_and_that_nothing_is_dropped(
    tell: Callable[..., Run],
) -> None:
    text = markdown(page_of(Observations(tell(long_trials=False))))
    assert "gave more than 2 % of the CPUs' time to others" in text
    assert "was more than 10 % off" in text
    assert "no block is dropped, whole or in part" in text
    assert "No block was flagged, and none was dropped." in text
    assert "finished, and all are read." in text


def test_confounders_are_told_beside_the_verdict(tell: Callable[..., Run]) -> None:
    run = tell(frameworks=("pytorch", "gluon"), long_trials=False)
    first, other = run.manifest.cells
    newer = replace(first, version="2.15.0")
    known = replace(run.manifest.environments[0], package="torch")
    environments = (
        replace(known, packages={"torch": "2.14.1+cpu"}),
        replace(known, packages={"torch": "2.15.0+cu130"}, version="2.15.0"),
    )
    group = replace(run.manifest.plan.groups[0], cells=(first.id, newer.id))
    manifest = replace(
        run.manifest,
        cells=(first, newer),
        environments=environments,
        plan=replace(run.manifest.plan, groups=(group,)),
    )
    events = [
        replace(event, cell=newer.id) if getattr(event, "cell", "") == other.id else event
        for event in run.events
    ]
    (told,) = page_of(Observations(Run(manifest=manifest, events=events))).verdicts
    assert told.lines[0].sentence.endswith(
        "faster than PyTorch 2.15.0. PyTorch 2.15.0 against PyTorch 2.14.1: the builds differ: "
        "torch +cu130 against +cpu."
    )
    assert [badge.label for badge in told.badges][-1] == "confounder"


def test_two_recipes_have_two_of_everything(tell: Callable[..., Run], recipes: Any) -> None:
    page = page_of(Observations(tell(recipes=tuple(recipes.values()), blocks=5, looks=(5,))))
    assert [group.title for group in page.verdicts] == [
        "lenet-sgd on the CPU",
        "lenet-adam on the CPU",
    ]
    text = markdown(page)
    assert text.count("### lenet-adam on the CPU") == 6
    assert "figures/rates-2.svg" in text
    assert "Adam, epsilon-hat" in text


def test_settings_without_effect_are_told_once_with_what_was_seen(tell: Callable[..., Run]) -> None:
    run = tell(long_trials=False)
    events = [
        replace(event, effects={"some.threshold": "it is as it was", "OTHER": ""})
        if isinstance(event, TrialFinished)
        else event
        for event in run.events
    ]
    page = page_of(Observations(replace(run, events=events)))
    (text,) = [each.text for each in page.banners if each.title == "Settings without effect"]
    assert text.endswith("(it is as it was).")
    assert "OTHER" not in text
    assert "Settings without effect" not in titles(page_of(Observations(run)))


def test_others_that_used_the_cpus_are_told(tell: Callable[..., Run]) -> None:
    def busy(share: float) -> Run:
        run = tell(long_trials=False)
        events = [
            replace(event, idle_seconds=2 * (1 - share) * event.wall_seconds - event.cpu_seconds)
            if isinstance(event, Window)
            else event
            for event in run.events
        ]
        return replace(run, events=events)

    page = page_of(Observations(busy(0.3)))
    (text,) = [each.text for each in page.banners if each.title == "Others used the CPUs"]
    assert "took up to 0.6 CPUs" in text
    assert "Not ranked: others took so much CPU time" in markdown(page)
    assert "Others used the CPUs" not in titles(page_of(Observations(busy(0.01))))
