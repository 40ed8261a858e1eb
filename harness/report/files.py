"""Reports on disk: the one module here that writes."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from harness.analysis.observations import Observations
from harness.files import UnreadableFile, content_of, write_whole
from harness.report.comparison import comparison_of
from harness.report.headlines import Headline, headline, read_headline
from harness.report.markdown import FIGURES, comment, markdown
from harness.report.page import Figure, Gallery, Page
from harness.report.view import page_of
from harness.spec.micro import Micro
from harness.texts import printable

LATEST = "latest"
HEADLINE = "headline.json"
"""What the list of reports reads of each."""
MOST_HEADLINE_BYTES = 2**22


def write_report(run: Observations, reports: Path, micro: Micro | None = None) -> Path:
    """``index.html``, ``report.md``, its figures and ``comment.md`` stand in ``reports/<run-id>/``.

    ``micro``: the run's micro-benchmarks, which get a section of their own. Returns the path of
    ``index.html``. A report of the same run that stood there is replaced.
    """
    return write_page(page_of(run, micro), reports, folder_name(run.manifest.run))


def report_page(reports: Path, run: str) -> Path:
    """Where ``write_report`` puts the page of the run called ``run``."""
    return reports / folder_name(run) / "index.html"


def write_comparison(runs: Sequence[Observations], reports: Path) -> Path:
    """The same for a page that puts ``runs``, two or more, side by side."""
    return write_page(comparison_of(runs), reports, comparison_name(runs))


def comparison_name(runs: Sequence[Observations]) -> str:
    """The folder of a comparison: the same for the same runs in the same order."""
    names = "\n".join(run.manifest.run for run in runs)
    digest = hashlib.sha256(names.encode("utf-8", "replace")).hexdigest()
    return f"comparison-of-{len(runs)}-runs-{digest[:8]}"


def check_name(run: str) -> str:
    """The folder of the page of a check of ``run``."""
    return f"check-of-{folder_name(run)}"


def write_page(page: Page, reports: Path, name: str) -> Path:
    """``page`` stands under ``reports/name`` in all its forms, and the list of reports knows it.

    Returns the path of its ``index.html``.
    """
    # These libraries take a while: nobody waits for them before there is something to draw.
    from harness.report.charts import draw
    from harness.report.html import html

    folder = reports / name
    figures = folder / FIGURES
    figures.mkdir(parents=True, exist_ok=True)
    drawings = {each.name: printable(draw(each.chart)) for each in figures_of(page)}
    for old in figures.glob("*.svg"):
        old.unlink()
    for name, drawing in drawings.items():
        _write(figures / f"{name}.svg", drawing)
    _write(folder / "report.md", markdown(page))
    _write(folder / "comment.md", comment(page))
    _write(folder / HEADLINE, msgspec.json.encode(headline(page)).decode())
    index = folder / "index.html"
    _write(index, html(page, drawings))
    write_index(reports)
    return index


def write_index(reports: Path) -> Path:
    """``reports/index.html`` lists every report that stands there, the newest first.

    Folders that hold something else are passed over.
    """
    from harness.report.html import index_html

    index = reports / "index.html"
    _write(index, index_html(read_headlines(reports)))
    return index


def read_headlines(reports: Path) -> list[Headline]:
    """Those of all reports under ``reports``, the newest first."""
    found = []
    for folder in sorted(_folders(reports), reverse=True):
        try:
            source = content_of(folder / HEADLINE, MOST_HEADLINE_BYTES)
        except (FileNotFoundError, UnreadableFile):
            continue
        known = read_headline(source, folder.relative_to(reports).as_posix())
        if known is not None:
            found.append(known)
    return sorted(found, key=lambda each: each.measured, reverse=True)


def _folders(reports: Path) -> Iterator[Path]:
    """Folders of reports: those that stand there, and those that stand within these."""
    for folder in reports.iterdir():
        if folder.is_dir() and not folder.is_symlink() and (folder / "index.html").is_file():
            yield folder
            if folder.name != FIGURES:
                yield from _folders(folder)


def point_latest(reports: Path, run: str) -> Path:
    """``reports/latest`` leads to the report of ``run``.

    A symbolic link, or where the file system has none, a folder with a page that leads on.
    """
    latest, name = reports / LATEST, folder_name(run)
    fresh = reports / f".{LATEST}-{os.getpid()}"
    try:
        fresh.symlink_to(name, target_is_directory=True)
        if latest.is_dir() and not latest.is_symlink():
            _remove_page(latest)
        fresh.replace(latest)
    except OSError:
        fresh.unlink(missing_ok=True)
        latest.mkdir(exist_ok=True)
        _write(
            latest / "index.html",
            '<!doctype html><meta charset="utf-8"><title>Level Field</title>'
            f'<meta http-equiv="refresh" content="0; url=../{name}/index.html">'
            f'<a href="../{name}/index.html">{name}</a>\n',
        )
    return latest


def folder_name(run: str) -> str:
    """A run's id as the name of a folder, and never a way out of the reports folder."""
    return re.sub(r"[^\w.+-]", "-", run, flags=re.ASCII).lstrip(".")[:120] or "run"


def figures_of(page: Page) -> Iterator[Figure]:
    """All figures of ``page``, in order."""
    for section in page.sections:
        for block in section.blocks:
            if isinstance(block, Figure):
                yield block
            elif isinstance(block, Gallery):
                yield from block.figures


def _remove_page(folder: Path) -> None:
    (folder / "index.html").unlink(missing_ok=True)
    folder.rmdir()


def _write(path: Path, text: str) -> None:
    """``path`` holds ``text``, whole: a reader never sees half a report."""
    write_whole(path, text.encode())
