"""What stands below the ranking: the noise in words, and how accurate everybody got."""

from collections.abc import Callable
from typing import Any

import msgspec

from harness.analysis.observations import Observations
from harness.analysis.verdicts import judge
from harness.report.cast import cast_of
from harness.report.markdown import markdown
from harness.report.page import Section, Table, said_once
from harness.report.remarks import noise_remark
from harness.report.view import page_of
from harness.spec.manifest import Run


def test_the_noise_is_told_and_held_against_what_is_claimed(tell: Callable[..., Run]) -> None:
    run = tell(long_trials=False)
    judgement, cast = judge(Observations(run)), cast_of(run.manifest)
    (group,) = judgement.groups
    start = "PyTorch against a second copy of itself, the noise floor (A/A), shows 1.003× "
    claim = "Every difference that is claimed here is larger, with its whole interval."
    said = noise_remark(group, judgement.verdicts, cast)
    assert said.startswith(start)
    assert said.endswith(claim)
    assert group.noise_floor is not None
    # A floor as wide as the difference takes the claim away.
    wide = msgspec.structs.replace(
        group.noise_floor, interval=msgspec.structs.replace(group.noise_floor.interval, high=2.5)
    )
    noisy = msgspec.structs.replace(group, noise_floor=wide)
    assert claim not in noise_remark(noisy, judgement.verdicts, cast)
    equivalent = [each for each in judgement.verdicts if each.verdict == "equivalent"]
    assert claim not in noise_remark(group, equivalent, cast)


def test_without_a_second_copy_nothing_is_said_of_noise(tell: Callable[..., Run]) -> None:
    (group,) = page_of(Observations(tell(aa=False, long_trials=False))).verdicts
    assert group.notes == ()


def test_accuracies_stand_below_the_verdicts_with_their_times(tell: Callable[..., Run]) -> None:
    (group,) = page_of(Observations(tell())).verdicts
    assert group.notes[1].startswith("Test accuracy after 5 epochs: PyTorch 78.18 % (23.2 s of")
    (group,) = page_of(Observations(tell(seeds=(0, 1, 2)))).verdicts
    assert len(group.notes) == 1  # over seeds the verdicts themselves speak of accuracy


def test_the_recipe_is_told(tell: Callable[..., Run], recipes: dict[str, Any]) -> None:
    text = markdown(page_of(Observations(tell(recipes=tuple(recipes.values()), blocks=0))))
    assert (
        "| lenet-sgd | lenet | fashion-mnist | 256 | 5 | xavier | SGD, learning rate 0.9 |" in text
    )
    assert "Adam, learning rate 0.001, beta1 0.9, beta2 0.999, epsilon 1e-08 |" in text


def test_a_note_is_said_once_in_a_section() -> None:
    tables = [Table(caption=each, columns=(), rows=(), note=each[0]) for each in ("a", "ab", "b")]
    section = said_once(Section(id="", title="", blocks=tuple(tables)))
    assert [block.note for block in section.blocks if isinstance(block, Table)] == ["a", "", "b"]


def test_a_check_that_lets_everything_through_proves_nothing(
    tell: Callable[..., Run], recipes: dict[str, Any]
) -> None:
    said = "nothing is proven of them in float32, and float64 was not to be had for PyTorch"
    assert said in markdown(page_of(Observations(tell(blunt=True, blocks=0))))
    assert "nothing is proven" not in markdown(page_of(Observations(tell(blocks=0))))
