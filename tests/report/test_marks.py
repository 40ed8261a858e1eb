import re
from xml.etree import ElementTree

from matplotlib.figure import Figure

from harness.report.charts import draw
from harness.report.figures import Curves, Line, Panel, Style
from harness.report.html import inline_svg
from harness.report.marks import attributes, mark, mark_panel, whose

HOSTILE = '"\'><script>]]>&%#00508f id="m1" \U0001f600'


def test_a_mark_says_whose_a_thing_is() -> None:
    (line,) = Figure().add_subplot().plot([1, 2], [3, 4])
    assert whose(line) is None
    mark(line, Style(2, 1), label=HOSTILE)
    assert whose(line) == Style(2, 1)
    assert re.fullmatch(r"mark:[\w.%-]+", line.get_gid() or "")
    element = ElementTree.fromstring(f"<g{attributes(line.get_gid() or '')}/>")
    assert element.attrib == {"data-who": "2-1", "data-label": HOSTILE}


def test_a_panel_says_what_its_edges_are() -> None:
    axes = Figure().add_subplot()
    axes.set_yscale("log")
    axes.set_xlim(1, 5)
    axes.set_ylim(0.1, 10)
    mark_panel(axes, x="epochs", y="nats")
    element = ElementTree.fromstring(f"<g{attributes(axes.patch.get_gid() or '')}/>")
    assert element.attrib == {
        "data-panel": "1.0 5.0 0.1 10.0",
        "data-scales": "linear log",
        "data-x": "epochs",
        "data-y": "nats",
    }


def test_marks_come_through_a_drawing_as_they_were() -> None:
    line = Line(label=HOSTILE, style=Style(1), x=(1.0, 2.0), y=(3.0, 4.0))
    chart = Curves(unit="epochs", panels=(Panel(unit=HOSTILE, lines=(line,)),))
    tree = ElementTree.fromstring(inline_svg(draw(chart), "curves-1").replace("xlink:href", "href"))
    labels = [each.get("data-label") for each in tree.iter() if each.get("data-label")]
    assert labels == [HOSTILE]
    panels = [each.get("data-y") for each in tree.iter() if each.get("data-panel")]
    assert panels == [HOSTILE]
    legend = [each for each in tree.iter() if each.get("data-legend")]
    assert {each.get("data-who") for each in legend} == {"1-0"}
