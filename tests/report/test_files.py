from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from harness.analysis.observations import Observations
from harness.report.files import (
    HEADLINE,
    folder_name,
    point_latest,
    read_headlines,
    write_comparison,
    write_index,
    write_report,
)
from harness.spec.manifest import Run


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_report_is_a_page_a_document_and_figures(
    tell: Callable[..., Run], tmp_path: Path
) -> None:
    index = write_report(Observations(tell()), tmp_path)
    assert index == tmp_path / "2025-10-09T09-33-20-cpu" / "index.html"
    assert list(contents(tmp_path)) == [
        *(
            f"2025-10-09T09-33-20-cpu/{name}"
            for name in (
                "comment.md",
                "figures/distribution-1.svg",
                "figures/epochs-1.svg",
                "figures/memory-1.svg",
                "figures/parity-1.svg",
                "figures/phases-1.svg",
                "figures/rates-1.svg",
                "figures/ratios-1.svg",
                "figures/seconds-1.svg",
                "figures/windows-1.svg",
                "headline.json",
                "index.html",
                "report.md",
            )
        ),
        "index.html",
    ]


def test_the_same_run_gives_the_same_bytes(tell: Callable[..., Run], tmp_path: Path) -> None:
    write_report(Observations(tell(blocks=5, looks=(5,))), tmp_path / "a")
    write_report(Observations(tell(blocks=5, looks=(5,))), tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_newer_report_leaves_no_old_figures(tell: Callable[..., Run], tmp_path: Path) -> None:
    folder = write_report(Observations(tell(blocks=5, looks=(5,))), tmp_path).parent
    write_report(Observations(tell(blocks=0, long_trials=False, parity=False)), tmp_path)
    assert list((folder / "figures").iterdir()) == []


@pytest.mark.parametrize(
    ("run", "name"),
    [
        ("2025-10-09T09-33-20-cpu", "2025-10-09T09-33-20-cpu"),
        ("../../etc/passwd", "-..-etc-passwd"),
        ("..", "run"),
        ("", "run"),
        ("a/b\\c\x00", "a-b-c-"),
    ],
)
def test_no_run_id_leads_out_of_the_reports_folder(run: str, name: str) -> None:
    assert folder_name(run) == name


def test_latest_follows_the_newest(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.html").write_text(name)
        latest = point_latest(tmp_path, name)
        assert (latest / "index.html").read_text() == name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "one", "two"]


def test_latest_leads_on_where_there_are_no_symbolic_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("not here")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "symlink_to", refuse)
        latest = point_latest(tmp_path, "one")
        assert 'url=../one/index.html"' in (latest / "index.html").read_text()
    (tmp_path / "two").mkdir()
    assert point_latest(tmp_path, "two").is_symlink()


def test_the_list_of_reports_is_as_long_as_there_are_reports(
    tell: Callable[..., Run], tmp_path: Path
) -> None:
    run = tell(blocks=5, looks=(5,))
    older = msgspec.structs.replace(
        run, manifest=msgspec.structs.replace(run.manifest, run="older", created="2024-01-01T00:00")
    )
    write_report(Observations(older), tmp_path)
    write_report(Observations(run), tmp_path)
    both = write_comparison(list(map(Observations, [older, run])), tmp_path)
    point_latest(tmp_path, "older")
    found = read_headlines(tmp_path)
    assert {each.folder for each in found} == {"older", run.manifest.run, both.parent.name}
    assert found[-1].folder == "older"
    source = (tmp_path / "index.html").read_text("utf-8")
    for each in found:
        assert f'href="{each.folder}/index.html"' in source
    assert source.count("PyTorch trains lenet-sgd 2.1×") == 2
    # Of the comparison's two groups it is said once, with both titles.
    assert source.count("Fastest first: PyTorch and Keras (TensorFlow)") == 3
    title = "lenet-sgd on the CPU, run"
    assert f"{title} older; {title} {run.manifest.run}" in source


def test_reports_within_reports_are_listed_too(tell: Callable[..., Run], tmp_path: Path) -> None:
    first = write_report(Observations(tell(blocks=0, long_trials=False)), tmp_path).parent
    first.rename(tmp_path / "example")
    write_report(Observations(tell(blocks=0, long_trials=False)), tmp_path / "example")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    folders = [each.folder for each in read_headlines(tmp_path)]
    assert sorted(folders) == ["example", "example/2025-10-09T09-33-20-cpu"]
    source = write_index(tmp_path).read_text("utf-8")
    assert 'href="example/2025-10-09T09-33-20-cpu/index.html"' in source


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff\xfe", b'{"format": 99}', b"[" * 10_000, b'"text"']
)
def test_foreign_folders_are_passed_over(
    tell: Callable[..., Run], tmp_path: Path, content: bytes
) -> None:
    for name, file in (("a", HEADLINE), ("b", "index.html")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_bytes(content)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / HEADLINE).write_bytes(content)
    (tmp_path / "c" / "index.html").write_text("foreign")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "index.html").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    write_report(Observations(tell(blocks=0, long_trials=False)), tmp_path)
    assert [each.folder for each in read_headlines(tmp_path)] == ["2025-10-09T09-33-20-cpu"]


def test_a_folder_without_reports_has_a_list_too(tmp_path: Path) -> None:
    assert "There is no report yet" in write_index(tmp_path).read_text("utf-8")
