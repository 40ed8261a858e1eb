from collections.abc import Callable

import msgspec

from harness.report.cast import cast_of
from harness.report.figures import Style
from harness.spec.manifest import Group, Run


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


def test_builds_of_one_framework_have_names_and_line_styles_of_their_own(
    tell: Callable[..., Run],
) -> None:
    manifest = tell(blocks=0, long_trials=False).manifest
    first = manifest.cells[0]
    cells = (
        first,
        msgspec.structs.replace(first, variant="base-1a2b3c4"),
        msgspec.structs.replace(first, version="2.13.0"),
        manifest.cells[1],
        msgspec.structs.replace(manifest.cells[1], variant="numpy-1.22.4"),
    )
    group = Group(name=first.group, cells=tuple(cell.id for cell in cells))
    plan = msgspec.structs.replace(manifest.plan, groups=(group,))
    cast = cast_of(msgspec.structs.replace(manifest, cells=cells, plan=plan))
    assert [cast.name(cell.id) for cell in cells] == [
        "PyTorch 2.14.1",
        "PyTorch 2.14.1 (base-1a2b3c4)",
        "PyTorch 2.13.0",
        "MXNet Gluon 1.9.1",
        "MXNet Gluon 1.9.1 (numpy-1.22.4)",
    ]
    assert [cast.style(cell.id) for cell in cells] == [
        Style(0, 0), Style(0, 1), Style(0, 2), Style(1, 0), Style(1, 1)
    ]  # fmt: skip
    assert cast.member(cells[1].id).full_name == "PyTorch 2.14.1 (base-1a2b3c4), compiled"
    assert cast.title(group) == "lenet-sgd on cpu with 2 threads, resident input"


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
