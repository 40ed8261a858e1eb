"""Many proofs from one worker, and what is said of them."""

from __future__ import annotations

import json

import pytest

from .conftest import IMPLEMENTATIONS

pytestmark = pytest.mark.heavy

OURS = ("--impl-dir", str(IMPLEMENTATIONS), "-f", "saboteur", "--dataset", "fashion-mnist-20k")


@pytest.mark.frameworks
def test_each_seed_is_held_against_its_own_oracle(levelfield, tmp_path):
    modes = ("--mode", "honest", "--mode", "epsilon")
    asked = ("-r", "lenet-adam-b64", *modes, "--seed", "6", "--seeds", "2", "--json")
    done = levelfield("verify", *OURS, *asked)
    assert done.returncode == 3, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["seeds"], answer["exit_code"], answer["unproved"]) == ([6, 7], 3, [])
    honest, wrong = answer["cells"]
    assert honest["cell"].split("/")[2] == "honest"
    assert (honest["seeds"], honest["proved"], honest["failed"]) == (2, 2, [])
    # The same code, the same batches: another seed's would be far off.
    assert honest["worst_share"] < 0.01
    assert (wrong["seeds"], wrong["proved"]) == (2, 0)
    assert [failed["seed"] for failed in wrong["failed"]] == [6, 7]
    assert any("after step 1" in line for line in wrong["failed"][0]["failures"])
    assert list(tmp_path.iterdir()) == []  # nothing is kept


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--resume", "latest"), "--seeds 2 and --resume latest are given, expected one"),
        (("--seed", str(2**32 - 1)), "--seeds 2 from --seed 4294967295 on leads beyond"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(levelfield, flags, expected):
    done = levelfield("verify", "--seeds", "2", *flags)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert expected in line
