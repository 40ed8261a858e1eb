"""The gate's promises in small; `tox -e power` makes the table of docs/methodology.md."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from harness.analysis.observations import Observations
from harness.analysis.power import Noise, coverage, recorded_noise, simulated

from .runs import Contender, noise, speed_run

RANDOM = np.random.RandomState(5)
NOISE = Noise(
    cpu="cpu",
    cores=2,
    runs=1,
    blocks=tuple(
        tuple(row)
        for row in (RANDOM.normal(size=(400, 1)) + RANDOM.normal(0, 0.5, size=(400, 8))).tolist()
    ),
)
"""Between blocks and within them; scaled below."""
SD = 0.05
"""Of blocks, as the targets have it."""


def test_without_a_change_one_gate_in_a_thousand_fails():
    found = simulated(NOISE, SD, slowdown=0.0, cells=1, gates=20_000, seed=1)
    assert found.flagged <= 0.001
    assert found.blocks < 8, "most are decided at the first look"


def test_a_tenth_is_caught_among_one_cell_and_among_six():
    alone = simulated(NOISE, SD, slowdown=0.1, cells=1, gates=4_000, seed=2)
    assert alone.flagged >= 0.94
    among = simulated(NOISE, SD, slowdown=0.1, cells=6, gates=2_000, seed=3)
    assert among.flagged >= 0.99
    assert among.flagged_elsewhere <= 0.001


def test_at_the_threshold_alarms_are_as_rare_as_alpha_says():
    found = simulated(NOISE, SD, slowdown=0.02, cells=1, gates=20_000, seed=4)
    # Bonferroni over looks that see the same blocks gives some of it away.
    assert 0.004 <= found.flagged <= 0.013


def test_much_noise_ends_as_too_noisy_and_not_as_held():
    found = simulated(NOISE, 6 * SD, slowdown=0.0, cells=1, gates=2_000, seed=5)
    # The threshold no longer helps, so alarms are what alpha allows.
    assert found.flagged <= 0.013
    assert found.blind >= 0.7


@pytest.mark.parametrize("blocks", [5, 10, 20])
def test_intervals_cover_the_truth_as_often_as_they_say(blocks):
    assert 0.93 <= coverage(NOISE, blocks=blocks, intervals=5_000, seed=6) <= 0.97


def test_noise_is_what_the_second_copy_showed():
    logs = {
        Contender("alpha"): noise(1, 6, 3, 0.05),
        Contender("alpha", True): noise(2, 6, 3, 0.05),
        Contender("beta"): noise(3, 6, 3, 0.05, shift=1.0),
    }
    run = speed_run(logs)
    found = recorded_noise(map(Observations, [run, run]))
    assert (found.runs, len(found.blocks)) == (2, 12)
    expected = logs[Contender("alpha", True)] - logs[Contender("alpha")]
    assert np.array(found.blocks[:6]) == pytest.approx(expected, abs=1e-5)
    assert found.medians().mean() == pytest.approx(0)


def test_noise_of_two_machines_is_not_mixed():
    run = speed_run({Contender("alpha"): noise(1, 5, 3, 0.05)})
    machine = msgspec.structs.replace(run.manifest.machine, cores=64)
    other = msgspec.structs.replace(
        run, manifest=msgspec.structs.replace(run.manifest, machine=machine)
    )
    with pytest.raises(ValueError, match="2 machines"):
        recorded_noise(map(Observations, [run, other]))
    with pytest.raises(ValueError, match="no run has a block"):
        recorded_noise(map(Observations, [run]))


def test_what_is_drawn_scatters_as_the_blocks_do():
    drawn = NOISE.drawn(np.random.RandomState(7), (50_000,))
    assert drawn.std() == pytest.approx(NOISE.sd, rel=0.02)
    assert abs(drawn.mean()) < 0.02 * NOISE.sd
