"""``import levelfield``: what notebooks and scripts meet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import levelfield
from harness import __version__, paths
from harness.spec.frames import FRAMES
from tests.analysis.golden import stored_run
from tests.analysis.runs import both_kinds
from tests.commands.stored import store

pytestmark = pytest.mark.heavy

plt.switch_backend("agg")


def answer(program: str, folder: Path, *path: Path) -> str:
    """What ``program`` prints in a process of its own."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*path, paths.ROOT]))}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_it_loads_nothing_of_weight(tmp_path):
    program = "import sys, levelfield; print({name.split('.')[0] for name in sys.modules})"
    loaded = answer(program, tmp_path)
    assert "levelfield" in loaded
    assert not [name for name in ("harness", "pandas", "numpy", "matplotlib") if name in loaded]


def test_a_run_is_named_by_latest_its_id_or_its_folder(tmp_path):
    folder = store(stored_run("faster"), tmp_path)
    for name in ("latest", "made-up", folder):
        run = levelfield.read_run(name, out=tmp_path)
        assert (run.id, len(run.windows)) == ("made-up", 40)
    assert repr(run) == "<levelfield run made-up>"
    assert run.verdicts is run.verdicts


def test_it_has_every_frame(tmp_path):
    run = levelfield.read_run(store(both_kinds(), tmp_path))
    for name in FRAMES:
        assert len(getattr(run, name)), name


def test_what_is_not_there_is_one_line(tmp_path):
    for call in (
        lambda: levelfield.read_run("latest", out=tmp_path),
        lambda: levelfield.read_run(tmp_path),
        lambda: levelfield.read_history("lenet", out=tmp_path),
    ):
        with pytest.raises(levelfield.LevelfieldError) as error:
            call()
        assert "\n" not in str(error.value)


def test_a_history_has_a_row_for_each_run_oldest_first(tmp_path):
    for number in (2, 1, 3):
        store(
            stored_run("faster"), tmp_path,
            run=f"run-{number}", created=f"2026-01-0{number}T00:00:00+00:00",
        )  # fmt: skip
    found = levelfield.read_history("lenet-sgd/alpha", out=tmp_path)
    assert list(found.run) == ["run-1", "run-2", "run-3"]
    assert found.examples_per_second.nunique() == 1


def test_a_run_that_can_t_be_read_is_a_warning(tmp_path):
    store(stored_run("faster"), tmp_path)
    broken = tmp_path / "results" / "runs" / "broken"
    broken.mkdir()
    (broken / "run.json").write_text("{}", encoding="utf-8")
    with pytest.warns(UserWarning, match="Left out: .*broken"):
        assert len(levelfield.read_history("lenet-sgd/alpha", out=tmp_path)) == 1


@pytest.mark.parametrize(
    ("plot", "words"),
    [
        (levelfield.plot_rates, "examples/s"),
        (levelfield.plot_ratios, "times as fast as"),
        (levelfield.plot_distribution, "ms a step"),
        (levelfield.plot_accuracy, "epochs"),
    ],
)
def test_charts_are_drawn_on_the_axes_that_are_given_or_on_new_ones(tmp_path, plot, words):
    run = levelfield.read_run(store(both_kinds(), tmp_path))
    figure, (left, right) = plt.subplots(1, 2)
    assert plot(run, left) is left
    assert words in left.get_xlabel()
    assert left.has_data()
    assert not right.has_data()
    fresh = plot(run)
    assert fresh.figure is not figure
    plt.close("all")


def test_a_chart_that_there_is_not_says_so(tmp_path):
    run = levelfield.read_run(store(stored_run("faster"), tmp_path))
    with pytest.raises(levelfield.LevelfieldError, match="nothing to draw of epochs"):
        levelfield.plot_accuracy(run)
    with pytest.raises(levelfield.LevelfieldError, match="no group 'g', expected one of lenet-sgd"):
        levelfield.plot_rates(run, group="g")


OTHERS = """
import sys
{before}
import levelfield
run = levelfield.read_run({run!r})
print(len(run.windows), len(run.verdicts), len(run.rates))
import harness, impls
print(harness.__file__, impls.__file__)
print(levelfield.plot_rates(run).get_xlabel(), len(run.parity))
import harness.spec
print(harness.mine, harness.spec.mine, [name for name in sys.modules if "harness." in name])
"""


@pytest.mark.parametrize("before", ["", "import harness.spec", "import impls"])
def test_a_program_keeps_its_own_modules_of_our_names(tmp_path, before):
    stored = store(stored_run("faster"), tmp_path)
    own = tmp_path / "own"
    for name in ("harness", "harness/spec", "impls"):
        (own / name).mkdir(parents=True)
        (own / name / "__init__.py").write_text("mine = True", encoding="utf-8")
    program = OTHERS.format(before=before, run=str(stored))
    lines = answer(program, tmp_path, own).splitlines()
    assert lines == [
        "40 3 4",
        f"{own}/harness/__init__.py {own}/impls/__init__.py",
        "examples/s 3",
        "True True ['harness.spec']",
    ]


def test_the_version_is_that_of_the_harness():
    assert levelfield.__version__ == __version__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = levelfield.nothing
