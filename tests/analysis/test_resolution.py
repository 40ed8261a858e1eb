from __future__ import annotations

import math

import numpy as np
import pytest

from harness.analysis.judgement import Look
from harness.analysis.protocol import (
    DIFFERENCE_ALPHA,
    EQUIVALENCE_ALPHA,
    rule_at,
    word,
)
from harness.analysis.resolution import (
    CHANCE,
    least_difference,
    paired_logs,
    resolutions,
    shows_equivalence,
    spread_of,
)
from harness.analysis.samples import mean_log

from .runs import Contender, noise, short_events

LOOK = Look(blocks=10, difference_alpha=DIFFERENCE_ALPHA, equivalence_alpha=EQUIVALENCE_ALPHA)


def share_of(verdict: set[str], mean: float, sd: float, blocks: int, runs: int = 2000) -> float:
    """In how many runs the protocol gives one of ``verdict`` to a true log ratio of ``mean``."""
    random = np.random.RandomState(7)
    found = [mean_log(row) for row in random.normal(mean, sd, (runs, blocks))]
    words = [word(each, each.p, LOOK) for each in found if each]
    return sum(each in verdict for each in words) / runs


@pytest.mark.parametrize(("sd", "blocks"), [(0.05, 10), (0.2, 20), (0.1, 40)])
def test_a_least_difference_is_found_as_often_as_is_said(sd, blocks):
    least = least_difference(sd, blocks)
    assert least is not None
    assert share_of({"faster"}, math.log1p(least), sd, blocks) == pytest.approx(CHANCE, abs=0.03)


def test_it_takes_more_than_what_is_expected_to_settle():
    """``values_to_settle`` names blocks that settle half the time; four of five take more."""
    least = least_difference(0.05, 10)
    assert least is not None
    of = mean_log(np.random.RandomState(0).normal(0, 0.05, 5))
    assert of is not None
    of = of._replace(mean=math.log1p(least), error=0.05 / math.sqrt(5))
    assert 5 < rule_at(LOOK).values_to_settle(of, family=1) <= 10


def test_equivalence_is_found_as_often_as_is_said():
    shown = [blocks for blocks in range(5, 60) if shows_equivalence(0.05, blocks)]
    first = shown[0]
    assert shown == list(range(first, 60))
    assert share_of({"equivalent"}, 0.0, 0.05, first) >= CHANCE - 0.03
    assert share_of({"equivalent"}, 0.0, 0.05, first - 2) < CHANCE + 0.03


def test_below_five_blocks_there_is_no_verdict():
    assert least_difference(0.01, 4) is None
    assert not shows_equivalence(0.0001, 4)


def test_more_time_shows_less():
    found = resolutions(0.05, block_seconds=30)
    assert [(one.minutes, one.blocks) for one in found] == [(5, 10), (15, 30), (60, 120)]
    sizes = [one.least_difference for one in found]
    assert sizes == sorted(sizes, reverse=True)
    assert resolutions(0.05, block_seconds=100)[0].least_difference is None


def test_a_spread_is_never_below_what_rounds_make_of_it():
    random = np.random.RandomState(1)
    blocks = [random.normal(0, 0.1, 6) for _ in range(400)]
    spread = spread_of(blocks)
    assert spread is not None
    # The formula is that of many rounds; of six, a median scatters a little less.
    assert spread.sd_from_rounds == pytest.approx(spread.sd_of_blocks, rel=0.15)
    lucky = spread_of([block - np.median(block) for block in blocks])
    assert lucky is not None
    assert lucky.sd_of_blocks == pytest.approx(0, abs=1e-6)
    assert lucky.sd == lucky.sd_from_rounds
    unlucky = spread_of([block + shift for block, shift in zip(blocks, (-1, 1), strict=False)])
    assert unlucky is not None
    assert unlucky.sd == unlucky.sd_of_blocks


def test_a_single_block_has_a_spread_from_its_rounds_alone():
    spread = spread_of([np.array([0.1, -0.1, 0.05])])
    assert spread is not None
    assert (spread.sd_of_blocks, spread.interval) == (None, None)
    assert spread.sd == spread.sd_from_rounds
    assert spread_of([]) is None


def test_windows_are_paired_by_round():
    logs = {
        Contender("alpha"): noise(0, 3, 4, 0.05),
        Contender("alpha", twin=True): noise(1, 3, 4, 0.05),
    }
    first, second = logs.values()
    found = paired_logs(short_events(logs))
    np.testing.assert_allclose(found, second - first, atol=1e-6)
