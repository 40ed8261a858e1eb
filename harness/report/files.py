"""Reports on disk: the one module here that writes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from harness.report.charts import draw
from harness.report.html import html, printable
from harness.report.markdown import FIGURES, markdown
from harness.report.page import Figure, Gallery, Page
from harness.report.view import page_of
from harness.spec.events import Run

LATEST = "latest"


def write_report(run: Run, reports: Path) -> Path:
    """``index.html``, ``report.md`` and its figures stand under ``reports/<run-id>/``.

    Returns the path of ``index.html``. A report of the same run that stood there is replaced.
    """
    folder = reports / folder_name(run.manifest.run)
    figures = folder / FIGURES
    figures.mkdir(parents=True, exist_ok=True)
    page = page_of(run)
    drawings = {each.name: printable(draw(each.chart)) for each in figures_of(page)}
    for old in figures.glob("*.svg"):
        old.unlink()
    for name, drawing in drawings.items():
        _write(figures / f"{name}.svg", drawing)
    _write(folder / "report.md", markdown(page))
    index = folder / "index.html"
    _write(index, html(page, drawings))
    return index


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
    part = path.with_name(f".{path.name}-{os.getpid()}")
    part.write_text(text, encoding="utf-8", newline="\n")
    part.replace(path)
