"""The example notebook, executed from its first cell to its last."""

from __future__ import annotations

import re

import pytest

from harness import paths

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")

from tests.interface.notebook import NOTEBOOK, executed, said  # noqa: E402

pytestmark = pytest.mark.heavy


@pytest.mark.filterwarnings("ignore")  # of the kernel's own libraries
def test_it_says_what_it_said_when_it_was_written(tmp_path):
    pytest.importorskip("ipykernel")
    kept = nbformat.read(NOTEBOOK, as_version=4)
    fresh = executed(tmp_path)
    assert said(fresh) == said(kept)
    drawn = [output for cell in fresh.cells for output in cell.get("outputs", ())
             if "image/png" in output.get("data", {})]  # fmt: skip
    assert len(drawn) == 2


def test_each_question_is_answered_in_ten_lines():
    code = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells
            if cell.cell_type == "code"]  # fmt: skip
    assert len(code) == 4
    assert all(len(cell.splitlines()) <= 10 for cell in code)


def test_the_page_shows_the_cells_of_the_notebook():
    page = (paths.ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")
    shown = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    code = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells
            if cell.cell_type == "code"]  # fmt: skip
    assert [each.strip() for each in shown] == code
