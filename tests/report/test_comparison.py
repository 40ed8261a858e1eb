from collections.abc import Callable

import msgspec
import pytest

from harness.analysis.observations import Observations
from harness.report.comparison import comparison_of
from harness.report.page import Page, Table
from harness.spec.manifest import Run


def renamed(run: Run, name: str, **machine: str) -> Run:
    machine_then = msgspec.structs.replace(run.manifest.machine, **machine)
    manifest = msgspec.structs.replace(run.manifest, run=name, machine=machine_then)
    return msgspec.structs.replace(run, manifest=manifest)


def rows(page: Page, caption: str) -> dict[str, list[str]]:
    for section in page.sections:
        for block in section.blocks:
            if isinstance(block, Table) and block.caption == caption:
                return {row[0].text: [datum.text for datum in row[1:]] for row in block.rows}
    raise AssertionError(caption)


@pytest.fixture
def page(tell: Callable[..., Run]) -> Page:
    slower = {"pytorch": 0.0300, "gluon": 0.0424, "keras": 0.0201}
    return comparison_of(
        list(
            map(
                Observations,
                [
                    renamed(tell(), "first"),
                    renamed(tell(step_seconds=slower, seed=8), "second", kernel="6.9"),
                ],
            )
        )
    )


def test_no_verdict_is_made_across_runs_and_that_is_said_first(page: Page) -> None:
    titles = [banner.title for banner in page.banners]
    assert titles == ["The machines differ", "These runs are not interleaved"]
    assert [group.title for group in page.verdicts] == [
        "lenet-sgd on the CPU, run first",
        "lenet-sgd on the CPU, run second",
    ]
    assert page.verdicts[0].lines[1].word == "equivalent"
    assert page.verdicts[1].lines[1].word == "faster"


def test_rates_of_each_contender_stand_side_by_side(page: Page) -> None:
    first, second = rows(page, "Examples/s, lenet-sgd")["PyTorch"]
    assert first.startswith("12,831 [12,")
    assert first.endswith("], 10 blocks")
    assert second.startswith("8,")


def test_what_differs_between_machines_is_marked(page: Page) -> None:
    (table,) = page.sections[-1].blocks
    assert isinstance(table, Table)
    tones = {row[0].text: {datum.tone for datum in row[1:]} for row in table.rows}
    assert tones["Kernel"] == {"differs"}
    assert tones["CPU"] == {"plain"}
    assert tones["PyTorch"] == {"plain"}


def test_a_pair_keeps_its_direction_whatever_the_order_of_a_run(tell: Callable[..., Run]) -> None:
    turned = renamed(tell(frameworks=("gluon", "pytorch")), "turned")
    page = comparison_of(
        list(map(Observations, [renamed(tell(frameworks=("pytorch", "gluon")), "plain"), turned]))
    )
    table = next(block for block in page.sections[0].blocks if isinstance(block, Table))
    (row,) = table.rows
    assert [row[0].text, row[1].text] == ["MXNet Gluon", "PyTorch"]
    assert row[2].text.startswith("0.47×")
    assert row[3].text.startswith("0.4")
    assert {datum.text.rsplit(" ", 1)[1] for datum in row[2:]} == {"slower"}


def test_runs_without_anything_in_common_can_be_shown(
    tell: Callable[..., Run], recipes: dict[str, object]
) -> None:
    page = comparison_of(
        list(
            map(
                Observations,
                [
                    renamed(tell(frameworks=("pytorch",), blocks=0, long_trials=False), "one"),
                    renamed(tell(frameworks=("keras",), recipes=(recipes["adam"],)), "two"),
                ],
            )
        )
    )
    assert rows(page, "Examples/s, lenet-adam")["Keras (TensorFlow)"][0] == "—"


def test_loaders_stand_apart_from_resident_input(tell: Callable[..., Run]) -> None:
    run = tell(sources=("resident", "loader"), long_trials=False, blocks=5, looks=(5,))
    page = comparison_of(
        list(map(Observations, [renamed(tell(), "resident"), renamed(run, "both")]))
    )
    assert rows(page, "Examples/s, lenet-sgd")["PyTorch"][0] != "—"
    loader = rows(page, "Examples/s, lenet-sgd (loader input with 2 workers)")
    assert [loader["PyTorch"][0], loader["PyTorch"][1] != "—"] == ["—", True]
    assert len(page.players) == 3


def test_contenders_that_differ_only_between_runs_have_names_of_their_own(
    tell: Callable[..., Run],
) -> None:
    def run(name: str, **changes: object) -> Run:
        manifest = tell(frameworks=("pytorch",), blocks=0, long_trials=False).manifest
        cell = msgspec.structs.replace(manifest.cells[0], **changes)
        group = msgspec.structs.replace(manifest.plan.groups[0], cells=(cell.id,))
        plan = msgspec.structs.replace(manifest.plan, groups=(group,))
        manifest = msgspec.structs.replace(manifest, cells=(cell,), plan=plan, run=name)
        return Run(manifest=manifest, events=())

    page = comparison_of(
        list(map(Observations, [run("a"), run("b", mode="eager"), run("c", threads=4), run("d")]))
    )
    assert [each.name for each in page.players] == [
        "PyTorch (compiled, 2 threads)",
        "PyTorch (eager, 2 threads)",
        "PyTorch (compiled, 4 threads)",
    ]
