"""How long a worker is waited for follows from its work, and counts our own waking time alone."""

from __future__ import annotations

import msgspec
import pytest

from harness import paths
from harness.execution.timeouts import (
    LEAST_SECONDS,
    LONGEST_SLICE_SECONDS,
    Patience,
    Timeouts,
    evaluation,
    of_job,
    timeouts_of,
    training,
)
from harness.spec.recipes import read_models, read_recipes
from harness.worker.wire import Evaluate, Finish, Loader, Train

pytestmark = pytest.mark.heavy

MODELS = read_models(paths.BENCHMARKS / "models.toml")
RECIPES = read_recipes(paths.BENCHMARKS / "recipes.toml")
SEEN_SECONDS = 60_000 / 20
"""An epoch of AlexNet, at the 20 examples a second that two cores reach."""


def work(recipe: str, steps: int):
    known = RECIPES[recipe]
    return training(MODELS[known.model], known.optimizer, known.batch_size, steps)


def test_small_work_has_the_usual_limits():
    window, test = work("lenet-sgd", 20), evaluation(MODELS["lenet"], 10_000)
    found = timeouts_of(work("lenet-sgd", 6), window, test, threads=1)
    assert found.answer == LEAST_SECONDS == Timeouts().answer
    assert LEAST_SECONDS < found.ready <= 2 * LEAST_SECONDS
    assert (found.hello, found.end) == (Timeouts().hello, Timeouts().end)


def test_an_honest_epoch_of_a_large_model_has_ten_times_what_it_takes():
    epoch = work("alexnet", 60_000 // 128)
    assert timeouts_of(work("alexnet", 6), epoch, threads=2).answer > 10 * SEEN_SECONDS


def test_more_work_is_never_given_less_and_more_threads_never_more():
    seconds = [work("alexnet", steps).seconds(2) for steps in (1, 10, 100, 1000)]
    assert seconds == sorted(seconds)
    by_threads = [work("alexnet", 500).seconds(threads) for threads in (0, 1, 2, 64)]
    assert by_threads == sorted(by_threads, reverse=True)


def test_a_loader_has_time_to_bring_the_whole_set_to_a_slow_machine(contender):
    job = contender().job
    resident = of_job(job, 30, 60_000, 10_000)
    loading = msgspec.structs.replace(job, loader=Loader(data_folder="", kind="loader", workers=0))
    assert of_job(loading, 30, 600_000, 10_000).answer >= 6000 > resident.answer
    assert of_job(loading, 30, 600_000, 10_000, 5.0).answer == 5


def test_a_question_has_the_time_of_its_kind(contender):
    limits = Timeouts(hello=1, ready=2, answer=3, end=4)
    asked = [contender().job, Train(lead_in=0, steps=1), Evaluate(), Finish()]
    assert [limits.after(command) for command in asked] == [2, 3, 3, 4]


@pytest.mark.parametrize("asked", [1.0, 1e6])
def test_what_the_user_set_counts(asked):
    found = timeouts_of(work("alexnet", 6), work("alexnet", 500), threads=1, asked_seconds=asked)
    assert (found.ready, found.answer) == (asked, asked)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def waited_seconds(patience: Patience, clock: Clock, took=lambda part: part) -> float:
    """Until patience is at its end; a slice of ``part`` takes ``took(part)`` by the clock."""
    began = clock.now
    while part := patience.next_slice():
        assert 0 < part <= LONGEST_SLICE_SECONDS
        clock.now += took(part)
    return clock.now - began


def test_silence_lasts_as_long_as_it_was_told():
    clock = Clock()
    assert waited_seconds(Patience(12.5, clock), clock) == pytest.approx(12.5)
    assert Patience(0, clock).next_slice() == 0


def test_hours_in_which_nobody_was_awake_do_not_count():
    clock = Clock()
    slices = iter([1.0, 36_000.0, 1.0, 7200.0])
    waited = waited_seconds(Patience(20, clock), clock, lambda part: next(slices, part))
    assert 43_200 < waited < 43_202 + 20


def test_a_busy_machine_does_not_make_patience_endless():
    clock = Clock()
    assert waited_seconds(Patience(20, clock), clock, lambda part: 1.5 * part) <= 20 + 1
