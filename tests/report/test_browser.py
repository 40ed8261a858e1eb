"""The report in a real browser: what is seen, what can be done, and what must never happen."""

import csv
import importlib.resources
import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.analysis.observations import Observations
from harness.report.files import write_comparison, write_report
from harness.spec.events import AnyEvent
from harness.spec.manifest import Run

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
SIZES = [(380, "light"), (380, "dark"), (1280, "light"), (1280, "dark")]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not Path(CHROMIUM).exists(), reason="Chromium is not installed: apt-get install chromium"
    ),
]


class Tab:
    """A page in the browser, and everything it asked for or complained about."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.dialogs: list[str] = []
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(180_000)  # a busy machine is no failure
        self.page = context.new_page()
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._dialog)
        self.page.goto(path.as_uri())
        self.requests.remove(path.as_uri())

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def unfold(self) -> None:
        self.page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")

    def column(self, table: str, index: int) -> list[str]:
        rows = self.table(table).locator("tbody tr:visible")
        return [row.locator("td").nth(index).inner_text() for row in rows.all()]

    def table(self, caption: str) -> Any:
        return self.page.locator("table").filter(has=self.page.locator("caption", has_text=caption))


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
def tab(browser: Any) -> Iterator[Callable[..., Tab]]:
    """Opens pages; none may have asked for anything, complained or run a script of others."""
    tabs: list[Tab] = []

    def open_tab(path: Path, **options: Any) -> Tab:
        tabs.append(Tab(browser, path, **options))
        return tabs[-1]

    yield open_tab
    for each in tabs:
        assert [url for url in each.requests if not url.startswith("blob:")] == []
        assert each.complaints == []
        assert each.dialogs == []
        each.page.context.close()


@pytest.fixture(scope="module")
def index(tell: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(Observations(tell()), tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="module")
def pages(
    tell: Callable[..., Run], hostile_run: Run, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """One page of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    troubled = tell(blocks=6, looks=(20,), wrong_epsilon="keras", fallback_for="fashion-mnist")
    return {
        "hostile": write_report(Observations(hostile_run), folder / "hostile"),
        "troubled": write_report(Observations(troubled), folder),
        "comparison": write_comparison(list(map(Observations, [tell(), troubled])), folder),
        "hostile comparison": write_comparison(
            list(map(Observations, [hostile_run, tell()])), folder / "hostile"
        ),
        "list": folder / "index.html",
        "hostile list": folder / "hostile" / "index.html",
    }


@pytest.mark.parametrize(("width", "scheme"), SIZES)
@pytest.mark.parametrize("scripts", [True, False])
def test_the_verdict_is_seen_at_once(
    tab: Callable[..., Tab], index: Path, width: int, scheme: str, scripts: bool
) -> None:
    page = tab(
        index,
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        java_script_enabled=scripts,
    ).page
    verdict = page.get_by_text("PyTorch trains lenet-sgd 2.1× [2.0, 2.2] faster than MXNet Gluon.")
    assert verdict.is_visible()
    assert verdict.bounding_box()["y"] < 900
    for figure in page.locator("figure svg").all():
        box = figure.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_without_scripts_nothing_is_missing_or_dead(tab: Callable[..., Tab], index: Path) -> None:
    page = tab(index, java_script_enabled=False).page
    assert page.locator("button:visible").count() == 0
    assert page.locator("input:visible").count() == 0
    assert page.locator("table").first.is_visible()
    assert page.get_by_role("link", name="Raw values of").is_visible()


@pytest.mark.parametrize(("width", "scheme"), [(380, "light"), (1280, "dark")])
def test_no_accessibility_rule_is_broken(
    tab: Callable[..., Tab], index: Path, width: int, scheme: str
) -> None:
    opened = tab(index, viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened.unfold()
    assert violations(opened.page) == []


@pytest.mark.parametrize("kind", ["troubled", "comparison", "list", "hostile"])
def test_no_other_page_breaks_an_accessibility_rule(
    tab: Callable[..., Tab], pages: dict[str, Path], kind: str
) -> None:
    opened = tab(pages[kind])
    opened.unfold()
    assert violations(opened.page) == []


def violations(page: Any) -> list[str]:
    """What axe-core has against ``page``."""
    axe = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    page.evaluate(importlib.resources.files(axe).joinpath("axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [f"{rule['id']}: {[node['html'] for node in rule['nodes']]}" for rule in found]


@pytest.mark.parametrize("how", ["click", "keyboard"])
def test_a_table_is_sorted_by_value_and_back(
    tab: Callable[..., Tab], index: Path, how: str
) -> None:
    opened = tab(index)
    planned = opened.column("Rates", 0)
    head = opened.table("Rates").get_by_role("columnheader", name="Examples/s")
    button = head.get_by_role("button")

    def act() -> None:
        if how == "click":
            button.click()
        else:
            button.focus()
            opened.page.keyboard.press("Enter")

    assert head.get_attribute("aria-sort") == "none"
    act()
    assert head.get_attribute("aria-sort") == "ascending"
    rates = [float(text.replace(",", "")) for text in opened.column("Rates", 1)]
    assert rates == sorted(rates)
    act()
    assert head.get_attribute("aria-sort") == "descending"
    assert opened.column("Rates", 0)[-1] == "MXNet Gluon"
    act()
    assert opened.column("Rates", 0) == planned


def test_times_are_sorted_by_their_length_not_their_text(
    tab: Callable[..., Tab], index: Path
) -> None:
    opened = tab(index)
    opened.table("Phases of a long trial").get_by_role("button", name="First step").click()
    assert opened.column("Phases of a long trial", 5) == ["90.0 ms", "800 ms", "6.20 s"]


def test_a_large_table_is_filtered(tab: Callable[..., Tab], index: Path) -> None:
    opened = tab(index)
    opened.unfold()
    field = opened.table("Keras (TensorFlow), batch of 32").get_by_role("searchbox")
    field.fill("Conv1")
    assert opened.column("Keras (TensorFlow), batch of 32", 0) == [
        "weights conv1.weight",
        "weights conv1.bias",
    ]
    assert opened.page.get_by_role("status").inner_text() == "2 of 15 rows shown"
    field.fill("")
    assert len(opened.column("Keras (TensorFlow), batch of 32", 0)) == 15
    assert opened.table("Rates").get_by_role("searchbox").count() == 0


def test_a_table_is_kept_as_raw_values(
    tab: Callable[..., Tab], index: Path, tmp_path: Path
) -> None:
    opened = tab(index)
    with opened.page.expect_download() as download:
        opened.page.get_by_role("button", name="CSV of Phases of a long trial").click()
    assert download.value.suggested_filename == "phases-of-a-long-trial.csv"
    download.value.save_as(tmp_path / "table.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "table.csv").read_text("utf-8"))))
    assert rows[0][:3] == ["Contender", "Spawn (s)", "Import (s)"]
    assert rows[2][:3] == ["MXNet Gluon", "0.04", "1.1"]


def test_a_spreadsheet_computes_nothing_of_a_kept_table(
    tab: Callable[..., Tab], index: Path, tmp_path: Path
) -> None:
    opened = tab(index)
    shown = ["=1+1", "@SUM(A1)", "-1+cmd", "-0.98", "+3.1 %", "plain"]
    opened.page.evaluate(
        """shown => {
            const [, row] = [...document.querySelectorAll("caption")]
                .find(each => each.textContent.includes("Phases of a long trial"))
                .closest("table").rows;
            shown.forEach((text, index) => {
                row.cells[index].replaceChildren(text);
                delete row.cells[index].dataset.value;
            });
        }""",
        shown,
    )
    with opened.page.expect_download() as download:
        opened.page.get_by_role("button", name="CSV of Phases of a long trial").click()
    download.value.save_as(tmp_path / "table.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "table.csv").read_text("utf-8"))))
    assert rows[1][:6] == ["'=1+1", "'@SUM(A1)", "'-1+cmd", "-0.98", "+3.1 %", "plain"]


@pytest.mark.parametrize("scripts", [True, False])
def test_all_windows_are_kept_as_raw_values(
    tab: Callable[..., Tab], index: Path, tmp_path: Path, scripts: bool
) -> None:
    opened = tab(index, java_script_enabled=scripts)
    with opened.page.expect_download() as download:
        opened.page.get_by_role("link", name="Raw values of 400 windows").click()
    assert download.value.suggested_filename == "windows-1.csv"
    download.value.save_as(tmp_path / "windows.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "windows.csv").read_text("utf-8"))))
    assert len(rows) == 400
    assert all(float(row["wall_seconds"]) > 0 for row in rows)
    opened.requests.clear()  # the link itself, which holds the file


def test_a_click_on_a_legend_hides_a_contender_everywhere(
    tab: Callable[..., Tab], index: Path
) -> None:
    opened = tab(index)
    page = opened.page
    button = page.get_by_role("button", name="MXNet Gluon", exact=True)
    drawn = page.locator("svg [data-who='1-0']:not([data-legend])")
    before = page.locator("svg [data-who='0-0']:visible").count()
    assert drawn.count() > 10
    page.locator("svg [data-legend]").filter(has_text="MXNet Gluon").first.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert page.locator("svg [data-who='1-0']:not([data-legend]):visible").count() == 0
    assert page.locator("svg [data-who='0-0']:visible").count() == before
    assert "MXNet Gluon" not in opened.column("Rates", 0)
    assert "PyTorch" in opened.column("Rates", 0)
    assert page.get_by_text("faster than MXNet Gluon.").first.is_visible()
    button.focus()
    page.keyboard.press("Space")
    assert button.get_attribute("aria-pressed") == "true"
    assert "MXNet Gluon" in opened.column("Rates", 0)


def test_a_single_cell_of_a_framework_can_be_chosen(
    tab: Callable[..., Tab], tell: Callable[..., Run], tmp_path: Path
) -> None:
    run = tell(blocks=5, looks=(5,))
    eager = msgspec.json.encode(run.events, enc_hook=float).replace(
        b"keras-3.15.1/compiled", b"pytorch-2.14.1/eager"
    )
    cells = tuple(
        msgspec.structs.replace(cell, framework="pytorch", version="2.14.1", mode="eager")
        if cell.framework == "keras"
        else cell
        for cell in run.manifest.cells
    )
    group = msgspec.structs.replace(
        run.manifest.plan.groups[0], cells=tuple(cell.id for cell in cells)
    )
    plan = msgspec.structs.replace(run.manifest.plan, groups=(group,))
    manifest = msgspec.structs.replace(run.manifest, cells=cells, plan=plan)
    events = msgspec.json.decode(eager, type=tuple[AnyEvent, ...])
    opened = tab(write_report(Observations(Run(manifest=manifest, events=events)), tmp_path))
    chooser = opened.page.get_by_role("group", name="Contenders shown in charts and tables")
    assert [button.inner_text() for button in chooser.get_by_role("button").all()] == [
        "PyTorch",
        "PyTorch (compiled)",
        "PyTorch (eager)",
        "MXNet Gluon",
    ]
    chooser.get_by_role("button", name="PyTorch (eager)").click()
    assert "PyTorch (eager)" not in opened.column("Rates", 0)
    assert "PyTorch (compiled)" in opened.column("Rates", 0)
    chooser.get_by_role("button", name="PyTorch", exact=True).click()
    assert opened.column("Rates", 0) == ["MXNet Gluon"]
    chooser.get_by_role("button", name="PyTorch", exact=True).click()
    assert len(opened.column("Rates", 0)) == 4


def test_the_pointer_and_the_arrow_keys_read_values(tab: Callable[..., Tab], index: Path) -> None:
    page = tab(index).page
    chart = page.get_by_role("application", name="What lenet-sgd learns")
    chart.scroll_into_view_if_needed()
    box = chart.locator("[data-label='published']").first.locator("path").first.bounding_box()
    page.mouse.move(box["x"] + 1, box["y"] + box["height"] - 1)
    assert chart.locator(".tip").inner_text() == "published: test accuracy 0.1, epochs trained 1"
    page.mouse.move(0, 0)
    assert not chart.locator(".tip").is_visible()
    chart.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    spoken = page.get_by_role("status").inner_text()
    assert spoken == "published: test accuracy 0.61, epochs trained 2"
    page.keyboard.press("ArrowDown")
    assert "PyTorch: test accuracy 0.6634, epochs trained 2" in chart.locator(".tip").inner_text()
    page.keyboard.press("Escape")
    assert not chart.locator(".tip").is_visible()


def test_the_command_of_a_cell_is_copied(tab: Callable[..., Tab], index: Path) -> None:
    opened = tab(index, permissions=["clipboard-read", "clipboard-write"])
    row = opened.table("One cell at a time").locator("tbody tr").filter(has_text="MXNet Gluon")
    row.get_by_role("button").click()
    assert opened.page.evaluate("navigator.clipboard.readText()") == (
        "levelfield run cpu -f gluon@1.9.1 -r lenet-sgd --mode compiled --input resident "
        "--device cpu --threads 2 --settings matched --seed 7"
    )


def test_on_paper_there_is_nothing_to_press(tab: Callable[..., Tab], index: Path) -> None:
    page = tab(index).page
    page.emulate_media(media="print")
    assert page.locator(".players:visible, .tools:visible, .copy:visible, nav:visible").count() == 0
    assert page.get_by_text("PyTorch trains lenet-sgd").is_visible()


@pytest.mark.parametrize(
    "kind", ["hostile", "hostile comparison", "hostile list", "troubled", "comparison"]
)
def test_whatever_is_pressed_no_text_becomes_a_script(
    tab: Callable[..., Tab], pages: dict[str, Path], kind: str
) -> None:
    opened = tab(pages[kind])
    opened.unfold()
    page = opened.page
    for field in page.get_by_role("searchbox").all():
        field.fill("<img src=x onerror=alert(9)>")
        field.fill("")
    for chart in page.get_by_role("application").all():
        chart.focus()
        for key in ("ArrowRight", "ArrowDown", "ArrowRight"):
            page.keyboard.press(key)
    for button in page.locator(".players button, th button, .copy").all():
        button.dispatch_event("click")
    page.wait_for_timeout(200)


def test_a_script_of_others_would_not_run_even_in_the_page(browser: Any, index: Path) -> None:
    opened = Tab(browser, index)
    opened.page.evaluate(
        """() => {
          document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.ran = 1'>");
          const script = document.createElement("script");
          script.textContent = "window.ran = 1";
          document.body.append(script);
          fetch("http://127.0.0.1:9/").catch(() => {});
        }"""
    )
    opened.page.wait_for_timeout(200)
    assert opened.page.evaluate("window.ran") is None
    assert any("Content Security Policy" in each for each in opened.complaints)
    opened.page.context.close()


def test_the_list_leads_to_each_report(tab: Callable[..., Tab], pages: dict[str, Path]) -> None:
    opened = tab(pages["list"])
    assert opened.page.get_by_text("Parity failed").first.is_visible()
    opened.page.get_by_role("link", name="2 runs side by side").click()
    assert opened.page.get_by_text("These runs are not interleaved").is_visible()
    opened.requests.clear()  # the report that was asked for


def test_a_page_is_small(index: Path) -> None:
    assert index.stat().st_size < 3_000_000
