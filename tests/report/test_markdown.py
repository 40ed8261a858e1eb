from collections.abc import Callable

from harness.analysis.observations import Observations
from harness.report.markdown import comment, fenced, markdown
from harness.report.view import page_of
from harness.spec.manifest import Run


def test_a_fence_is_longer_than_any_within() -> None:
    assert fenced("```\nx") == "````text\n```\nx\n````"


def test_hostile_text_breaks_no_table(hostile_run: Run) -> None:
    text = markdown(page_of(Observations(hostile_run)))
    assert "<script" not in text.replace(_code_blocks(text), "")
    columns: int | None = None
    for line in text.splitlines():
        if line.startswith("| "):
            bars = line.replace("\\\\", "").replace("\\|", "").count("|")
            assert columns in (None, bars)
            columns = bars
        else:
            columns = None


def test_every_figure_has_words_in_its_place(tell: Callable[..., Run]) -> None:
    text = markdown(page_of(Observations(tell())))
    assert text.count("![") == 9
    assert (
        "![Examples per second while training lenet-sgd; longer is faster. 95 % intervals" in text
    )


def test_the_comment_is_short_and_holds_every_verdict(tell: Callable[..., Run]) -> None:
    text = comment(page_of(Observations(tell())))
    assert len(text.splitlines()) < 15
    assert "- **faster**: PyTorch trains lenet-sgd 2.1× [2.0, 2.2] faster than MXNet" in text
    assert "parity: proved for 3 cells" in text
    assert "Whole report: levelfield report 2025-10-09T09-33-20-cpu" in text


def test_hostile_text_cannot_leave_the_comment(hostile_run: Run) -> None:
    text = comment(page_of(Observations(hostile_run)))
    assert "<script" not in text
    assert "<img" not in text
    assert "<svg" not in text


def _code_blocks(text: str) -> str:
    fences = [index for index, line in enumerate(text.splitlines()) if line.startswith("```")]
    return "\n".join(text.splitlines()[fences[0] : fences[-1] + 1])
