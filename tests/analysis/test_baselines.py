"""What a baseline keeps of a run, and what two runs must share."""

from __future__ import annotations

import math

import msgspec
import pytest

from harness.analysis.baselines import (
    NO_CONDITIONS,
    Difference,
    differences,
    extended,
    nearest,
    run_cells,
)
from harness.analysis.builds import confounders
from harness.analysis.controlled import controlled_rates
from harness.analysis.observations import Observations
from harness.environments.variables import VARIABLES
from harness.spec.baselines import Baseline, BaselineCell
from harness.spec.events import AnyEvent
from harness.spec.machine import Environment, Machine
from harness.spec.manifest import Manifest, Run

from .golden import stored_run
from .runs import HASHES, Contender, cell, noise, run_of, seeds_events, short_events, speed_run


def run(**changes: object) -> Run:
    """Two contenders, with the reference's second copy and with long trials of two seeds."""
    contenders = (Contender("alpha"), Contender("alpha", True), Contender("beta"))
    logs = {each: noise(seed, 5, 3, 0.01) for seed, each in enumerate(contenders)}
    trained = {"alpha": [(0.3, 0.7), (0.3, 0.6)], "beta": [(0.3, 0.8), (0.3, 0.9)]}
    made = run_of([*short_events(logs), *seeds_events(trained)], ["alpha", "beta"])
    manifest = msgspec.structs.replace(
        made.manifest,
        environments=tuple(
            Environment(
                framework=name, key="k", python="3.11.7", version="1.0",
                packages={"numpy": "2.4.6", name: "1.0"},
            )
            for name in ("alpha", "beta")
        ),
        worker_environment={
            cell(name).id: {"OMP_NUM_THREADS": "2", "PATH": "/bin"} for name in ("alpha", "beta")
        },
    )  # fmt: skip
    return Run(manifest=msgspec.structs.replace(manifest, **changes), events=made.events)


def entries(of: Run) -> list[BaselineCell]:
    return [each.kept for each in run_cells(Observations(of)) if each.kept]


def test_each_cell_is_kept_with_its_raw_rate_and_the_control_of_its_blocks():
    of = run()
    kept = {entry.series: entry.values[0] for entry in entries(of)}
    assert list(kept) == [cell("alpha").series, cell("beta").series]
    rate = controlled_rates(of.events)[cell("beta").id]
    value = kept[cell("beta").series]
    assert (value.blocks, value.run) == (5, "made-up")
    assert value.examples_per_second == rate.examples_per_second
    assert value.control_seconds == pytest.approx(0.02)
    assert math.log(value.examples_per_second * value.control_seconds) == pytest.approx(
        rate.normalised
    )
    assert [msgspec.structs.astuple(each) for each in value.accuracies] == [
        (40, 2, 0.8), (41, 2, 0.9),
    ]  # fmt: skip


def test_every_variable_that_is_handed_on_is_a_condition_only_where_it_is_computed_with():
    handed_on = {one.name for one in VARIABLES if one.value is None}
    assert handed_on - NO_CONDITIONS == {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"}


def test_another_job_s_places_and_user_are_no_difference():
    """Not in new files, nor in those that still have them."""
    old = entries(run())[0].conditions | {"variable TMPDIR": "/tmp/1", "variable TZ": "UTC"}
    variables = {"TMPDIR": "/tmp/2", "USER": "b", "TZ": "CET", "OMP_NUM_THREADS": "2"}
    new = run(worker_environment={cell("alpha").id: variables})
    assert differences(entries(new)[0].conditions, old) == ()
    more = run(worker_environment={cell("alpha").id: {**variables, "OPENBLAS_CORETYPE": "X"}})
    [found] = differences(entries(more)[0].conditions, old)
    assert found.field == "variable OPENBLAS_CORETYPE"


def test_what_a_branch_led_to_is_a_condition():
    of = run()
    alpha, beta = of.manifest.environments
    moved = msgspec.structs.replace(alpha, moving=("lib @ git+https://h/lib@1a2b",))
    other = entries(run(environments=(moved, beta)))[0].conditions
    [found] = differences(other, entries(of)[0].conditions)
    assert (found.field, found.expected) == ("moving requirements", "none")
    [clause] = confounders(moved, alpha)
    assert clause == "the requirements lead to something else: lib"


def test_conditions_say_what_a_rate_depends_on_and_no_places():
    conditions = entries(run())[0].conditions
    expected = {
        "framework": "alpha", "mode": "eager", "input": "resident", "device": "cpu",
        "threads": "2", "settings": "matched", "CPU": "A processor", "cores": "2",
        "memory in GiB": "8", "kernel": "6.1", "GPU": "none", "version": "1.0",
        "data": HASHES.data, "initial weights": HASHES.weights, "seed": "0",
        "recipe's batch_size": "256", "window_steps": "20", "lead_in_steps": "2",
        "variable OMP_NUM_THREADS": "2", "Python": "3.11.7", "package numpy": "2.4.6",
    }  # fmt: skip
    assert expected.items() <= conditions.items()
    assert not [field for field in conditions if "PATH" in field or "published" in field]


def other_machine(**changes: object) -> Machine:
    usual = Machine(cpu="A processor", cores=2, memory_bytes=2**33, kernel="6.1")
    return msgspec.structs.replace(usual, **changes)


@pytest.mark.parametrize(
    ("change", "field", "got", "expected"),
    [
        ({"machine": other_machine(kernel="6.2")}, "kernel", "6.2", "6.1"),
        ({"machine": other_machine(cpu="Another")}, "CPU", "Another", "A processor"),
        ({"machine": other_machine(gpu="A GPU")}, "GPU", "A GPU", "none"),
    ],
)
def test_another_machine_is_another_condition(change, field, got, expected):
    [entry, _], [other, _] = entries(run()), entries(run(**change))
    assert differences(other.conditions, entry.conditions) == (Difference(field, got, expected),)


def changed(of: Run, **changes: object) -> Run:
    """Every cell of ``of`` with other fields, under the id that it has."""
    cells = tuple(msgspec.structs.replace(each, **changes) for each in of.manifest.cells)
    text = b"\n".join(msgspec.json.encode(event) for event in of.events)
    manifest = msgspec.json.encode(msgspec.structs.replace(of.manifest, cells=cells))
    for old, new in zip(of.manifest.cells, cells, strict=True):
        text = text.replace(old.id.encode(), new.id.encode())
        manifest = manifest.replace(old.id.encode(), new.id.encode())
    decoder = msgspec.json.Decoder(AnyEvent)
    return Run(
        manifest=msgspec.json.decode(manifest, type=Manifest), events=decoder.decode_lines(text)
    )


def test_another_version_is_another_condition_of_the_same_series():
    newer = changed(run(), version="1.1")
    found = differences(entries(newer)[0].conditions, entries(run())[0].conditions)
    assert Difference("version", "1.1", "1.0") in found
    assert entries(newer)[0].series == entries(run())[0].series


def test_another_package_is_another_condition():
    of = run()
    environments = [
        msgspec.structs.replace(each, packages={**each.packages, "numpy": "2.4.7", "extra": "1"})
        for each in of.manifest.environments
    ]
    found = differences(
        entries(run(environments=tuple(environments)))[0].conditions, entries(of)[0].conditions
    )
    assert found == (
        Difference("package numpy", "2.4.7", "2.4.6"),
        Difference("package extra", "1", "none"),
    )


def test_the_nearest_series_differ_in_the_fewest_words():
    baseline = extended(Baseline(), entries(run()))
    one_thread = entries(changed(run(), threads=1))
    assert nearest(one_thread, baseline) == (Difference("threads", "1", "2"),)
    stock = entries(changed(run(), settings="stock"))
    assert nearest(stock, baseline) == (Difference("settings", "stock", "matched"),)


def test_runs_are_added_behind_those_that_there_are():
    first = extended(Baseline(), entries(run()))
    second = extended(first, entries(run(run="another"))[:1])
    assert [[value.run for value in each.values] for each in second.cells] == [
        ["made-up", "another"], ["made-up"],
    ]  # fmt: skip
    assert second.cells[0].conditions == first.cells[0].conditions


def test_cells_that_prove_or_measure_nothing_are_not_kept_and_say_why():
    lost = {
        each.cell.framework: each for each in run_cells(Observations(stored_run("parity_failed")))
    }
    assert (lost["gamma"].parity, lost["gamma"].kept) == ("lost", None)
    assert lost["gamma"].lack == "it does not compute what the oracle computes"
    assert lost["beta"].parity == "proved"
    assert lost["beta"].kept
    failed = {
        each.cell.framework: each for each in run_cells(Observations(stored_run("failed_cell")))
    }
    assert failed["gamma"].kept is None
    assert failed["gamma"].lack.startswith("import: ImportError")


def test_the_base_of_a_gate_is_no_cell_of_its_own():
    of = speed_run({Contender("alpha"): noise(1, 5, 3, 0.01)})
    based = changed(of, variant="base-1a2b3c4d5e6f")
    assert run_cells(Observations(based)) == ()
