from collections.abc import Callable

import msgspec

from harness.report.cast import cast_of
from harness.spec.events import Run


def test_names_are_titles_where_these_tell_contenders_apart(tell: Callable[..., Run]) -> None:
    cast = cast_of(tell(blocks=0, long_trials=False).manifest)
    assert [cast.name(cell) for cell in cast.groups[0].cells] == [
        "PyTorch",
        "MXNet Gluon",
        "Keras (TensorFlow)",
    ]
    assert cast.name(cast.groups[0].cells[0], twin=True) == "PyTorch, second copy"
    assert cast.label(cast.groups[0]) == "lenet-sgd"


def test_names_grow_by_what_differs_and_colours_stay_with_frameworks(
    tell: Callable[..., Run],
) -> None:
    manifest = tell(blocks=0, long_trials=False).manifest
    first = manifest.cells[0]
    cells = (
        *manifest.cells,
        msgspec.structs.replace(first, mode="eager"),
        msgspec.structs.replace(first, version="2.13.0"),
        msgspec.structs.replace(first, settings="stock"),
    )
    group = msgspec.structs.replace(manifest.plan.groups[0], cells=tuple(cell.id for cell in cells))
    plan = msgspec.structs.replace(manifest.plan, groups=(group,))
    cast = cast_of(msgspec.structs.replace(manifest, cells=cells, plan=plan))
    names = [cast.name(cell.id) for cell in cells]
    assert names == [
        "PyTorch 2.14.1 (compiled) [matched]",
        "MXNet Gluon",
        "Keras (TensorFlow)",
        "PyTorch 2.14.1 (eager)",
        "PyTorch 2.13.0",
        "PyTorch 2.14.1 (compiled) [stock]",
    ]
    assert [cast.style(cell.id).colour for cell in cells] == [0, 1, 2, 0, 0, 0]
    assert [cast.style(cell.id).variant for cell in cells] == [0, 0, 0, 1, 2, 3]


def test_two_frameworks_of_one_title_go_by_their_ids(tell: Callable[..., Run]) -> None:
    run = tell(
        blocks=0,
        long_trials=False,
        frameworks=("pytorch", "gluon"),
        titles={"pytorch": "Torch", "gluon": "Torch"},
        versions={"pytorch": "1", "gluon": "1"},
    )
    cast = cast_of(run.manifest)
    assert [cast.name(cell) for cell in cast.groups[0].cells] == list(cast.groups[0].cells)


def test_an_unknown_cell_stands_for_itself(tell: Callable[..., Run]) -> None:
    assert cast_of(tell(blocks=0, long_trials=False).manifest).name("who/knows") == "who/knows"
