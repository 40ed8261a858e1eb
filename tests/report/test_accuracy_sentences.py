"""One sentence for each thing that long trials over seeds can say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.analysis.convergence import Convergence
from harness.analysis.estimate import Interval
from harness.analysis.observations import Observations
from harness.analysis.reproduction import reproductions
from harness.analysis.verdicts import judge
from harness.report.accuracy_sentences import (
    convergence_line,
    convergence_lines,
    learning_order,
    reproduction_lines,
)
from harness.report.cast import Cast, cast_of
from harness.report.sentences import verdict_groups
from harness.spec.manifest import Run


@pytest.fixture(scope="module")
def cast(tell: Callable[..., Run]) -> Cast:
    return cast_of(tell(blocks=0, long_trials=False).manifest)


@pytest.fixture
def convergence(cast: Cast) -> Callable[..., Convergence]:
    pytorch, gluon, _ = cast.groups[0].cells

    def make(**changes: Any) -> Convergence:
        usual: dict[str, Any] = {
            "group": cast.groups[0].name,
            "cell": gluon,
            "against": pytorch,
            "word": "equivalent",
            "reason": "equivalence",
            "epoch": 5,
            "seeds": tuple(range(8)),
            "difference": 0.0002,
            "interval": Interval(low=-0.0005, high=0.0009, confidence=0.9),
            "p_equivalence": 1e-6,
            "p_difference": 0.4,
            "p_difference_adjusted": 0.8,
            "differences": (0.0002,) * 8,
        }
        return Convergence(**{**usual, **changes})

    return make


def test_equivalence_is_said_with_its_interval_and_its_tests(
    cast: Cast, convergence: Callable[..., Convergence]
) -> None:
    line = convergence_line(convergence(), cast)
    assert (line.word, line.tone) == ("equivalent", "good")
    assert line.sentence == (
        "PyTorch and MXNet Gluon train lenet-sgd to the same test accuracy within ±0.5 points: "
        "MXNet Gluon is at +0.02 points [-0.05, +0.09], over 8 seeds."
    )
    assert line.evidence == (
        "two one-sided tests at α = .05 for this pair, paired by seed; 90 % interval in brackets; "
        "difference p = 0.8 after Holm"
    )


def test_seeds_that_never_learned_are_told_beside_the_tests(
    cast: Cast, convergence: Callable[..., Convergence]
) -> None:
    line = convergence_line(convergence(both_guessing=(2, 5)), cast)
    assert line.evidence.endswith("; 2 seeds left out, with which both only guess")


def test_seeds_that_all_agree_are_said_to(
    cast: Cast, convergence: Callable[..., Convergence]
) -> None:
    same = convergence(difference=0.0, differences=(0.0,) * 8)
    assert (
        "points: it is the same in every seed, over 8 seeds."
        in convergence_line(same, cast).sentence
    )


def test_a_difference_says_who_is_where(
    cast: Cast, convergence: Callable[..., Convergence]
) -> None:
    line = convergence_line(convergence(word="different", reason="difference"), cast)
    assert (line.word, line.tone) == ("different", "bad")
    assert line.sentence.startswith(
        "PyTorch and MXNet Gluon do not train lenet-sgd to the same test accuracy: MXNet Gluon is "
        "at +0.02 points"
    )


@pytest.mark.parametrize(
    ("needed", "way_out"),
    [
        (20, "about 12 more seeds would settle it"),
        (9, "about 1 more seed would settle it"),
        (1001, "more than 1,000 seeds would be needed to settle it"),
    ],
)
def test_what_is_open_says_how_many_seeds_it_would_take(
    cast: Cast, convergence: Callable[..., Convergence], needed: int, way_out: str
) -> None:
    doubt = convergence(word="inconclusive", reason="not_settled", seeds_to_settle=needed)
    line = convergence_line(doubt, cast)
    assert (line.word, line.tone) == ("inconclusive", "doubt")
    assert line.sentence.endswith(f", over 8 seeds; {way_out}.")


def test_too_few_seeds_are_said_once_for_all_pairs(
    cast: Cast, convergence: Callable[..., Convergence]
) -> None:
    few = convergence(word=None, reason="too_few_seeds", seeds=(1, 2), interval=None)
    (line,) = convergence_lines((few, few, few), cast)
    assert (line.word, line.tone) == ("too few seeds", "quiet")
    assert line.sentence.endswith("needs at least 3 seeds that both of a pair have finished; here "
                                  "it is 2.")  # fmt: skip
    (line,) = convergence_lines((few,), cast)
    assert line.sentence.startswith("Whether MXNet Gluon and PyTorch train lenet-sgd")
    assert len(convergence_lines((few, convergence()), cast)) == 2


def test_a_pair_that_may_not_be_compared_says_why(
    cast: Cast, convergence: Callable[..., Convergence]
) -> None:
    barred = convergence(word=None, reason="not_comparable", detail="loss at step 5")
    line = convergence_line(barred, cast)
    assert (line.word, line.tone, line.evidence) == ("not comparable", "bad", "loss at step 5")


def test_a_reproduction_says_what_was_published_and_what_is_expected(
    tell: Callable[..., Run],
) -> None:
    run = tell(short_trials=False, aa=False, seeds=(0, 1, 2, 4))
    cast = cast_of(run.manifest)
    found = reproductions(Observations(run))
    (line,) = reproduction_lines(found[0], cast)
    assert (line.word, line.tone) == ("reproduced", "good")
    assert line.sentence.startswith(
        "PyTorch reproduces lenet-sgd: 76.30 % is published after epoch 5, and one new run is "
        "expected within ["
    )
    assert line.evidence.startswith("95 % prediction interval over 4 seeds, median of all 7")
    assert "guessing" not in line.evidence


def test_orders_sum_it_up(
    tell: Callable[..., Run], adam_64: Any, convergence: Callable[..., Convergence]
) -> None:
    run = tell(recipes=(adam_64,), short_trials=False, aa=False, seeds=(0, 1, 2))
    (group,) = verdict_groups(Observations(run), judge(Observations(run)))
    assert group.order.startswith("The published accuracy is reproduced by none of 3 contenders.")
    assert [line.word for line in group.lines[:3]] == ["not reproduced"] * 3
    found = reproductions(Observations(run))
    assert learning_order(found[:1], ()) == "The published accuracy is not reproduced."
    unpublished = tell(
        recipes=(adam_64.overridden(dataset="other"),), short_trials=False, seeds=(0, 1, 2)
    )
    assert learning_order(reproductions(Observations(unpublished)), (convergence(),)) == (
        "No figures are published for this recipe. All contenders converge to the same accuracy."
    )
    few = tell(short_trials=False, seeds=(0, 1))
    doubt = convergence(word="inconclusive")
    assert learning_order(reproductions(Observations(few)), (doubt, convergence())) == (
        "Nothing is held against the published figures: too few seeds, or another recipe. "
        "Converging to the same accuracy is shown for 1 of 2 pairs."
    )
