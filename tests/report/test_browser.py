"""The report in a real browser: nothing is loaded, nothing complains, the verdict can be seen."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.report.files import write_report
from harness.spec.events import Run

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not Path(CHROMIUM).exists(), reason="Chromium is not installed: apt-get install chromium"
    ),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def index(tell: Callable[..., Run], tmp_path: Path) -> Path:
    return write_report(tell(), tmp_path)


@pytest.mark.parametrize("width", [380, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_verdict_is_seen_and_nothing_is_loaded(
    browser: Any, index: Path, width: int, scheme: str
) -> None:
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=False
    )
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(index.as_uri())
    verdict = page.get_by_text("PyTorch trains lenet-sgd 2.1× [2.0, 2.2] faster than MXNet Gluon.")
    assert verdict.is_visible()
    assert verdict.bounding_box()["y"] < 900
    assert requests == [index.as_uri()]
    assert complaints == []
    for figure in page.locator("figure svg").all():
        box = figure.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    page.close()


def test_hostile_text_runs_no_script(browser: Any, hostile_run: Run, tmp_path: Path) -> None:
    page = browser.new_page()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(write_report(hostile_run, tmp_path).as_uri())
    assert dialogs == []
    assert len(requests) == 1
    page.close()
