"""What an audit holds losses and hits against: the oracle, other contenders, or nothing."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.audit import Expectation, holds
from harness.analysis.trials import Trial
from harness.datasets.order import examples_in

from .audits import (
    ACCOUNTS,
    ALL,
    CONDITIONS,
    CORRECT,
    END,
    EXAMPLES,
    EXPECTED,
    FIRST_WINDOW,
    HONEST,
    LOSSES,
    PER_WINDOW,
    WINDOWS,
    changed,
    failures,
    findings,
    honest_window,
    named,
    names,
)
from .runs import BATCH, cell


def test_a_window_is_granted_what_rounding_did_to_those_before_it():
    """By the last window, rounding has moved the oracle's own loss back to where it was."""
    moved = LOSSES * np.repeat([1 + 1e-4, 1.0, 1.0], PER_WINDOW)
    expected = EXPECTED._replace(rounded_losses=np.array([moved]))
    last = honest_window(2).loss_sum
    within = changed(HONEST, [2], loss_sum=last * (1 + 9e-4))
    beyond = changed(HONEST, [2], loss_sum=last * (1 + 11e-4))
    assert holds(named("loss", findings(within, expectation=expected)))
    assert not holds(named("loss", findings(beyond, expectation=expected)))
    # What comes later does not count for what was before.
    expected = EXPECTED._replace(rounded_losses=np.array([moved[::-1] / LOSSES[::-1] * LOSSES]))
    early = changed(HONEST, [0], loss_sum=honest_window(0).loss_sum * (1 + 9e-4))
    assert not holds(named("loss", findings(early, expectation=expected)))


def test_where_rounding_alone_makes_another_loss_nothing_is_asked():
    wild = EXPECTED._replace(rounded_losses=np.array([LOSSES * 3]))
    check = named("loss", findings(HONEST, expectation=wild))
    assert check.lowest < 0 < 1000 * check.seen < check.highest


def test_hits_that_rounding_changes_are_granted():
    flipped = EXPECTED._replace(rounded_correct=np.array([CORRECT + 1]))
    trial = changed(HONEST, [0], correct=honest_window(0).correct + 10 * PER_WINDOW)
    assert holds(named("correct", findings(trial, expectation=flipped)))
    assert not holds(named("correct", findings(trial)))
    # As with losses, later windows are granted as much at least.
    early = CORRECT + np.repeat([1, 0, 0], PER_WINDOW)
    flipped = EXPECTED._replace(rounded_correct=np.array([early]))
    trial = changed(HONEST, [2], correct=honest_window(2).correct + 10 * PER_WINDOW)
    assert holds(named("correct", findings(trial, expectation=flipped)))


def test_dropout_leaves_no_loss_to_foretell():
    other = changed(HONEST, ALL, loss_sum=1.0, correct=0)
    conditions = CONDITIONS._replace(dropout=True, agreement=0.02)
    found = findings(other, conditions, end={}, others=[HONEST])
    assert failures(found) == []
    assert not {"loss", "correct", "weights", "agreement"} & set(names(found))
    assert ACCOUNTS | {"examples", "rate"} <= set(names(found))
    assert found.held_steps == 0
    assert found.unmade == ("no loss can be foretold: dropout is random",)


LOADER = CONDITIONS._replace(cell=cell("alpha", source="loader"), agreement=0.02)


def test_a_loader_chooses_the_order():
    other = changed(HONEST, ALL, loss_sum=1.0, correct=0)
    found = findings(other, LOADER, None, {}, [HONEST])
    assert failures(found) == []
    checked = set(names(found))
    assert checked == ACCOUNTS - {"staging_time", "lead_in"} | {"examples", "rate", "evaluation"}
    assert found.unmade == ("no loss was foretold: the loader chose the order",)


@pytest.mark.parametrize(("examples", "failed"), [(5_632, True), (5_472, False), (5_471, True)])
def test_a_loaders_partial_batches_are_counted(examples, failed):
    """60,000 examples are 234 batches of 256 and one of 96: 160 fewer where an epoch ends."""
    trial = changed(HONEST, [1], first_step=234 - 5, trained_examples=examples)
    found = failures(findings(trial, LOADER, None, {}))
    expected = f"window 1, examples trained: {examples:,}, expected 5,472"
    assert found == [expected] * failed


@given(st.integers(1, 500), st.integers(1, 64), st.integers(0, 99), st.integers(1, 99))
def test_harness_and_worker_count_a_loaders_examples_alike(examples, size, first, steps):
    recipe = msgspec.structs.replace(LOADER.cell.recipe, batch_size=size)
    own = msgspec.structs.replace(LOADER.cell, recipe=recipe)
    one = msgspec.structs.replace(
        honest_window(0), first_step=first, lead_in_steps=0, steps=steps, trained_examples=0
    )
    found = findings(
        HONEST._replace(windows=(one,)), LOADER._replace(cell=own, train_examples=examples), None
    )
    assert named("examples", found).highest == (
        examples_in(first + steps, size, examples) - examples_in(first, size, examples)
    )


def test_a_loaders_processes_may_use_their_own_threads():
    """Two of them beside two threads; they also work between windows, and all of that counts."""
    seconds = sum(window.answer_seconds for window in HONEST.windows)
    for children, held in ((1.5, True), (1.8, True), (3.3, False)):
        trial = changed(HONEST, ALL, children_cpu_seconds=children * seconds / WINDOWS)
        assert holds(named("threads", findings(trial, LOADER, None))) is held


def test_a_partial_batch_is_counted_where_it_was_trained():
    last = changed(HONEST, [2], partial_steps=1, trained_examples=EXAMPLES + 60_000 % BATCH)
    assert holds(named("examples", findings(last)))
    missing = changed(HONEST, [2], partial_steps=1)
    assert failures(findings(missing)) == ["window 2, examples trained: 5,632, expected 5,728"]


AGREEING = CONDITIONS._replace(agreement=0.02)


def off(share: float) -> Trial:
    """Whose losses are all off by this share."""
    trial = HONEST
    for one in HONEST.windows:
        trial = changed(trial, [one.round], loss_sum=one.loss_sum * (1 + share))
    return trial


@pytest.mark.parametrize(
    ("share", "others", "held"),
    [
        (0.019, [0.0, 0.0], True),
        (0.021, [0.0, 0.0], False),
        # The median is that of all, the audited trial among them.
        (0.039, [0.0], True),
        (0.042, [0.0], False),
        # One that is far off condemns nobody but itself.
        (0.0, [0.0, 0.5], True),
        (0.5, [0.0, 0.0], False),
        (0.0, [float("nan"), 0.0], True),
    ],
)
def test_contenders_agree_where_the_oracle_did_not_go(share, others, held):
    found = findings(off(share), AGREEING, None, {}, list(map(off, others)))
    assert holds(named("agreement", found)) is held
    assert found.unmade == ()


def test_where_the_oracle_went_no_contender_is_asked():
    found = findings(off(0.0), AGREEING, others=[off(0.5), off(0.5)])
    assert failures(found) == []
    assert "agreement" not in names(found)


def test_contenders_agree_about_the_same_steps_alone():
    elsewhere = changed(HONEST, ALL, first_step=1)
    found = findings(HONEST, AGREEING, None, {}, [elsewhere])
    assert "agreement" not in names(found)
    assert found.unmade == (
        "losses of 3 of 3 windows were held against nothing: the oracle did not go so far",
    )


@pytest.mark.parametrize(
    ("conditions", "others"), [(CONDITIONS, [HONEST]), (AGREEING, []), (CONDITIONS, [])]
)
def test_windows_that_nothing_was_held_against_are_said(conditions, others):
    found = findings(HONEST, conditions, FIRST_WINDOW, END, others)
    assert failures(found) == []
    assert found.held_steps == PER_WINDOW
    assert found.unmade == (
        "losses of 2 of 3 windows were held against nothing: the oracle did not go so far",
    )


def test_a_window_that_ends_beyond_the_oracles_last_step_is_not_held():
    short = Expectation(*(each[..., : 2 * PER_WINDOW - 1] for each in EXPECTED))
    assert findings(HONEST, expectation=short).held_steps == PER_WINDOW
    partial = changed(HONEST, [1], partial_steps=1, trained_examples=EXAMPLES + 96)
    exact = Expectation(*(each[..., : 2 * PER_WINDOW] for each in EXPECTED))
    assert findings(partial, expectation=exact).held_steps == PER_WINDOW


@pytest.mark.parametrize("source", ["resident", "loader"])
def test_losses_that_are_no_numbers_pass_nothing(source):
    nothing = changed(HONEST, ALL, loss_sum=None)
    resident = source == "resident"
    found = findings(nothing, AGREEING if resident else LOADER, EXPECTED if resident else None)
    assert ["loss"] * resident == [check.name for check in found.checks if not holds(check)]
    unheld = findings(nothing, AGREEING, None, {}, [HONEST, HONEST])
    assert [check.name for check in unheld.checks if not holds(check)] == ["agreement"]


def test_nothing_trained_is_no_loss_either():
    none = changed(HONEST, [0], trained_examples=0, loss_sum=0.0, correct=0)
    failed = [check.name for check in findings(none).checks if not holds(check)]
    assert failed == ["examples", "loss", "correct"]
