"""One sentence for each thing that a verdict can be."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from harness.analysis.estimate import Interval
from harness.analysis.judgement import Verdict
from harness.analysis.observations import Observations
from harness.analysis.verdicts import judge
from harness.report.cast import Cast, cast_of
from harness.report.sentences import verdict_groups, verdict_line
from harness.spec.manifest import Run


@pytest.fixture(scope="module")
def cast(tell: Callable[..., Run]) -> Cast:
    return cast_of(tell(blocks=0, long_trials=False).manifest)


def interval(low: float, high: float, confidence: float = 0.995) -> Interval:
    return Interval(low=low, high=high, confidence=confidence)


@pytest.fixture
def verdict(cast: Cast) -> Callable[..., Verdict]:
    pytorch, gluon, _ = cast.groups[0].cells

    def make(**changes: Any) -> Verdict:
        usual: dict[str, Any] = {
            "group": cast.groups[0].name,
            "cell": gluon,
            "against": pytorch,
            "status": "judged",
            "verdict": "slower",
            "reason": "difference",
            "times_faster": 0.5,
            "interval": interval(0.48, 0.52),
            "equivalence_interval": interval(0.49, 0.51, 0.95),
            "p": 1e-9,
            "p_adjusted": 2e-9,
            "blocks": 10,
            "noise_floor": interval(0.99, 1.01),
        }
        return Verdict(**{**usual, **changes})

    return make


def test_the_faster_one_is_the_subject(cast: Cast, verdict: Callable[..., Verdict]) -> None:
    line = verdict_line(verdict(), cast)
    assert line.word == "faster"
    assert line.sentence == "PyTorch trains lenet-sgd 2.0× [1.9, 2.1] faster than MXNet Gluon."
    assert line.evidence == (
        "99.5 % interval over 10 blocks; p < 0.0001 after Holm; noise floor (A/A) [0.990, 1.010]"
    )
    faster = verdict(verdict="faster", times_faster=1.2, interval=interval(1.15, 1.25))
    assert verdict_line(faster, cast).sentence == (
        "MXNet Gluon trains lenet-sgd 1.200× [1.150, 1.250] faster than PyTorch."
    )


def test_equivalence_shows_the_interval_that_it_rests_on(
    cast: Cast, verdict: Callable[..., Verdict]
) -> None:
    line = verdict_line(
        verdict(
            verdict="equivalent",
            reason="equivalence",
            times_faster=1.0,
            interval=interval(0.968, 1.032),
            equivalence_interval=interval(0.98, 1.02, 0.95),
        ),
        cast,
    )
    assert line.sentence == (
        "PyTorch and MXNet Gluon are equivalent on lenet-sgd within ±3 %: 1.000× [0.980, 1.020]."
    )
    assert line.evidence.startswith("95 % interval over 10 blocks")


@pytest.mark.parametrize(
    ("needed", "way_out"),
    [
        (24, "about 14 more blocks, 9 minutes, would settle it"),
        (11, "about 1 more block, 39 seconds, would settle it"),
        (1001, "more than 1,000 blocks would be needed to settle it"),
    ],
)
def test_an_inconclusive_pair_says_what_would_settle_it(
    cast: Cast, verdict: Callable[..., Verdict], needed: int, way_out: str
) -> None:
    open_pair = verdict(
        verdict="inconclusive",
        reason="not_settled",
        times_faster=1.02,
        interval=interval(0.97, 1.07),
        blocks_to_settle=needed,
    )
    assert verdict_line(open_pair, cast, block_seconds=39.0).sentence == (
        f"MXNet Gluon against PyTorch on lenet-sgd is inconclusive at 1.020× [0.970, 1.070]: "
        f"{way_out}."
    )


def test_a_pair_without_numbers_is_named_with_its_reason(
    cast: Cast, verdict: Callable[..., Verdict]
) -> None:
    nothing = {"times_faster": None, "interval": None, "equivalence_interval": None, "p": None}
    gluon = cast.groups[0].cells[1]
    failed = verdict(
        **nothing,
        status="not_comparable",
        verdict=None,
        reason="parity_failed",
        detail=f"{gluon}: loss at step 5",
        p_adjusted=None,
        blocks=0,
    )
    line = verdict_line(failed, cast)
    assert line.sentence == (
        "MXNet Gluon and PyTorch are not comparable on lenet-sgd: MXNet Gluon does not compute "
        "what the oracle computes."
    )
    assert line.evidence == "loss at step 5"
    absent = verdict(**nothing, status="not_measured", verdict=None, reason="not_measured")
    assert verdict_line(absent, cast).sentence.startswith("MXNet Gluon and PyTorch were not")
    doomed = verdict(**nothing, verdict="inconclusive", reason="aa_failed")
    assert "is inconclusive: the reference differed" in verdict_line(doomed, cast).sentence


def test_what_else_differs_is_part_of_the_verdict(
    cast: Cast, verdict: Callable[..., Verdict]
) -> None:
    clause = "the builds differ: torch +cu130 against +cpu"
    assert verdict_line(verdict(confounders=(clause,)), cast).sentence == (
        "PyTorch trains lenet-sgd 2.0× [1.9, 2.1] faster than MXNet Gluon. MXNet Gluon against "
        f"PyTorch: {clause}."
    )


def test_stalls_stand_beside_the_verdict(cast: Cast, verdict: Callable[..., Verdict]) -> None:
    gluon = cast.groups[0].cells[1]
    stalling = verdict(stalling=gluon, times_faster_by_total_time=0.4)
    assert verdict_line(stalling, cast).evidence.endswith(
        "periodic stalls in MXNet Gluon: by total time MXNet Gluon is at 0.40×"
    )


def test_groups_say_the_order_or_why_there_is_none(tell: Callable[..., Run]) -> None:
    run = tell()
    (group,) = verdict_groups(Observations(run), judge(Observations(run)))
    assert group.order == "Fastest first: PyTorch and Keras (TensorFlow), then MXNet Gluon."
    assert group.contenders == (
        "PyTorch 2.14.1, compiled; MXNet Gluon 1.9.1, compiled; Keras (TensorFlow) 3.15.1, "
        "compiled; on cpu with 2 threads, resident input"
    )
    assert [(badge.label, badge.text) for badge in group.badges][0::2] == [
        ("parity", "proved for 3 cells"),
        ("blocks", "10"),
    ]
    few = tell(blocks=3, looks=(3,))
    (group,) = verdict_groups(Observations(few), judge(Observations(few)))
    assert group.order == "Not ranked: a verdict needs at least 5 blocks with both contenders."
    assert {line.word for line in group.lines} == {"indicative"}


def test_a_parity_badge_counts_who_failed_and_who_is_missing(tell: Callable[..., Run]) -> None:
    for changes, text in (
        ({"wrong_epsilon": "keras"}, "failed for 1 of 3 cells"),
        ({"parity": False}, "not run"),
    ):
        run = tell(**changes)
        assert verdict_groups(Observations(run), judge(Observations(run)))[0].badges[0].text == text


def test_every_word_has_a_tone_and_every_status_a_word(
    cast: Cast, verdict: Callable[..., Verdict]
) -> None:
    indicative = verdict(status="indicative", verdict=None, reason="no_noise_floor", interval=None)
    line = verdict_line(indicative, cast)
    assert (line.word, line.tone) == ("indicative", "doubt")
    assert line.sentence == (
        "MXNet Gluon ran lenet-sgd at 0.50× the rate of PyTorch, which is indicative and ranks "
        "nothing: the reference did not run twice, so the noise is unknown."
    )
    assert msgspec.structs.asdict(line)["evidence"].startswith("over 10 blocks")


def test_what_others_took_stands_beside_the_numbers(
    cast: Cast, verdict: Callable[..., Verdict]
) -> None:
    said = "others took 0.42 CPUs from the threads of one of them"
    assert said in verdict_line(verdict(taken_cpus=0.42), cast).evidence
    assert "others took a CPU or more" in verdict_line(verdict(taken_cpus=1.0), cast).evidence
    for little in (None, 0.0, 0.1):
        assert "others took" not in verdict_line(verdict(taken_cpus=little), cast).evidence
    left_open = verdict(verdict="inconclusive", reason="foreign_load", taken_cpus=0.42)
    assert "this alone may have made or hidden" in verdict_line(left_open, cast).sentence
