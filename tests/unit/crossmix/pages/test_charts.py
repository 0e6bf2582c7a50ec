"""The chart kit: marks stand where their values are, nothing beyond the box, names are never code."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from crossmix.pages.charts import (
    ACCENT,
    PLATFORM_COLOURS,
    Chart,
    Panel,
    head_of,
    platform_colour,
    platform_legend,
    shade,
    standalone,
)
from crossmix.pages.scales import Axis, Scale


def drawn(chart: Chart) -> ElementTree.Element:
    """The chart as XML."""
    return ElementTree.fromstring(chart.svg())


def points(element: ElementTree.Element) -> list[tuple[float, float]]:
    """Of a polyline or polygon."""
    pairs = (pair.split(",") for pair in element.attrib["points"].split())
    return [(float(x), float(y)) for x, y in pairs]


@pytest.fixture
def panel() -> Panel:
    """100 by 100 at (10, 20), from 0 to 10 across and 0 to 1 upwards."""
    return Panel((10, 20, 110, 120), Axis(Scale(0, 10), ticks=()), Axis(Scale(0, 1), ticks=()))


def element(panel: Panel) -> ElementTree.Element:
    """The last mark."""
    return ElementTree.fromstring(panel.parts[-1])


def test_values_lie_where_the_scales_put_them(panel: Panel) -> None:
    assert panel.at(0, 0) == (10, 120)
    assert panel.at(10, 1) == (110, 20)
    assert panel.at(5, 0.25) == (60, 95)


def test_a_line_is_cut_at_the_box_where_it_crosses_it(panel: Panel) -> None:
    panel.line([-5, 5, 15], [0, 1, 0], ACCENT)
    assert points(element(panel)) == [(10, 70), (60, 20), (110, 70)]


def test_a_line_that_leaves_and_comes_back_is_two(panel: Panel) -> None:
    panel.line([0, 2, 4, 6, 8], [0.5, 1.5, 1.5, 1.5, 0.5], ACCENT)
    assert len(panel.parts) == 2
    panel.parts.clear()
    panel.line([0, 2, 4], [2, 3, 2], ACCENT)
    assert panel.parts == []


def test_a_line_breaks_at_what_is_not_finite_and_a_point_alone_is_a_dot(panel: Panel) -> None:
    panel.line([0, 2, 4, 6, 8], [0.1, 0.2, math.nan, 0.4, 0.5], ACCENT)
    assert [len(points(ElementTree.fromstring(part))) for part in panel.parts] == [2, 2]
    panel.line([1], [0.5], ACCENT)
    assert element(panel).tag == "circle"
    assert (element(panel).attrib["cx"], element(panel).attrib["cy"]) == ("20", "70")


def test_a_band_goes_there_above_and_back_below_and_is_cut_at_the_edges(panel: Panel) -> None:
    panel.band([0, 20], [0.0, 0.4], [0.2, 0.6], ACCENT, 0.25)
    # At 10, half of the way, the ends are 0.2 and 0.4.
    assert points(element(panel)) == [(10, 100), (110, 80), (110, 100), (10, 120)]
    assert element(panel).attrib["opacity"] == "0.25"


def test_layers_lie_on_each_other(panel: Panel) -> None:
    panel.stack([0, 10], [[0.2, 0.3], [0.3, 0.3]])
    first, second = (points(ElementTree.fromstring(part)) for part in panel.parts)
    assert first == [(10, 100), (110, 90), (110, 120), (10, 120)]
    assert second == [(10, 70), (110, 60), (110, 90), (10, 100)]
    assert [ElementTree.fromstring(part).attrib["fill"] for part in panel.parts] == list(PLATFORM_COLOURS[:2])


def test_one_column_of_layers_has_a_width() -> None:
    panel = Panel((0, 0, 100, 100), Axis(Scale(-0.5, 0.5)), Axis(Scale(0, 1)))
    panel.stack([0], [[0.5], [0.5]])
    assert points(element(panel)) == [(25, 0), (75, 0), (75, 50), (25, 50)]


def test_a_marker_beyond_the_box_sits_at_its_edge_and_says_what_it_is(panel: Panel) -> None:
    panel.dots([20, 5], [0.5, math.nan], ACCENT, kind="now policy")
    assert len(panel.parts) == 1
    mark = element(panel)
    assert (mark.attrib["cx"], mark.attrib["cy"], mark.attrib["class"]) == ("110", "70", "now policy")
    panel.dots([5], [0.5], ["#111111"], shape="diamond", size=4, hollow=True)
    assert points(element(panel)) == [(60, 65), (65, 70), (60, 75), (55, 70)]
    assert (element(panel).attrib["fill"], element(panel).attrib["stroke"]) == ("none", "#111111")


def test_references_lie_across_and_only_within(panel: Panel) -> None:
    panel.level(0.5)
    panel.upright(5)
    level, upright = (ElementTree.fromstring(part).attrib for part in panel.parts)
    assert (level["x1"], level["x2"], level["y1"], level["y2"]) == ("10", "110", "70", "70")
    assert (upright["x1"], upright["x2"], upright["y1"], upright["y2"]) == ("60", "60", "20", "120")
    panel.level(2)
    panel.upright(-1)
    assert len(panel.parts) == 2


def test_axes_have_grid_lines_and_labels_at_their_ticks() -> None:
    chart = Chart("a chart", 400, 200)
    panel = chart.panel(Axis(Scale(0, 10), "across", most=2), Axis(Scale(0, 1), "up", most=1))
    texts = [text.text for text in drawn(chart).iter("text")]
    assert texts == ["0", "1", "0", "5", "10", "across", "up"]
    left, top, right, bottom = panel.box
    assert 0 < left < 60
    assert 0 < top < 10
    assert right <= 394
    assert bottom < 170
    up = next(text for text in drawn(chart).iter("text") if text.text == "up")
    assert up.attrib["transform"].startswith("rotate(-90")


def test_a_panel_above_keeps_the_room_of_the_labels_that_the_one_below_writes() -> None:
    chart = Chart("two panels", 400, 200)
    ticks = [(0.0, "first"), (10.0, "a long last label")]
    above, below = (
        chart.panel(
            Axis(Scale(0, 10), ticks=ticks, labelled=lowest), Axis(Scale(0, 1)), area=(0, 100 * lowest, 400, top)
        )
        for lowest, top in ((False, 100), (True, 200))
    )
    assert (above.box[0], above.box[2]) == (below.box[0], below.box[2])
    assert below.box[2] < 380, "half of the last label lies beyond"
    assert [text.text for text in drawn(chart).iter("text")].count("first") == 1
    assert above.box[3] - above.box[1] > below.box[3] - below.box[1], "no room is kept below it"


def test_a_second_axis_stands_above_over_the_same_width() -> None:
    chart = Chart("two scales")
    axis = Axis(Scale(0, 50), most=1)
    panel = chart.panel(axis, Axis(Scale(0, 1)), above=Axis(Scale(0, 100), most=2))
    marks = {text.text: float(text.attrib["x"]) for text in drawn(chart).iter("text") if text.attrib.get("font-size")}
    left, top, right, _ = panel.box
    assert marks == {"0": pytest.approx(left, abs=0.1), "50": pytest.approx((left + right) / 2, abs=0.1),
                     "100": pytest.approx(right, abs=0.1)}  # fmt: skip
    assert top > 15


def test_a_square_panel_is_one() -> None:
    panel = Chart("square").panel(Axis(Scale(0, 1)), Axis(Scale(0, 1)), square=True)
    left, top, right, bottom = panel.box
    assert right - left == pytest.approx(bottom - top)


def test_names_are_never_code_and_may_have_lines() -> None:
    hostile = "<script>alert(1)</script>&\"'"
    chart = Chart(hostile)
    panel = chart.panel(Axis(Scale(0, 1), hostile), Axis(Scale(0, 1), ticks=[(0, hostile)]))
    panel.note(0, 0, f"{hostile}\nsecond")
    panel.legend([(hostile, ACCENT, "")])
    panel.dots([0], [0], ACCENT, kind=hostile)
    root = drawn(chart)
    assert "<script" not in chart.svg()
    assert root.attrib["aria-label"] == hostile
    assert sum(text.text == hostile for text in root.iter("text")) == 4
    assert [part.text for part in root.iter("tspan")] == ["second"]


def test_a_legend_shows_each_mark() -> None:
    chart = Chart("legend")
    panel = chart.panel(Axis(Scale(0, 1), ticks=()), Axis(Scale(0, 1), ticks=()))
    panel.legend(
        [("line", ACCENT, "6 4"), ("dot", ACCENT, "circle"), ("hollow", ACCENT, "diamond")], right=True, low=True
    )
    root = drawn(chart)
    assert [text.text for text in root.iter("text")] == ["line", "dot", "hollow"]
    assert len(list(root.iter("circle"))) == 1
    assert len(list(root.iter("polygon"))) == 1
    heights = [float(text.attrib["y"]) for text in root.iter("text")]
    assert heights == sorted(heights)
    assert max(heights) < panel.box[3]


def test_names_above_stand_side_by_side_in_the_rows_that_they_take() -> None:
    names = ["one", "two", "a long name that takes much of a row"]
    chart, head = Chart("names", 300, 200), head_of(names, 240)
    panel = chart.panel(Axis(Scale(0, 1), ticks=()), Axis(Scale(0, 1), ticks=()), gutter=40, head=head)
    panel.names_above([(name, ACCENT) for name in names])
    texts = {text.text: (float(text.attrib["x"]), float(text.attrib["y"])) for text in drawn(chart).iter("text")}
    assert texts["one"][1] == texts["two"][1] < texts[names[2]][1] < panel.box[1]
    assert texts["one"][0] < texts["two"][0]
    assert texts["one"][0] == texts[names[2]][0]
    assert min(y for _, y in texts.values()) > 10
    assert head == 10 + 2 * 17


def test_equal_data_give_equal_bytes() -> None:
    def once() -> str:
        chart = Chart("same")
        panel = chart.panel(Axis(Scale(0, 1)), Axis(Scale(0, 1)))
        panel.line([0, 0.1, 1], [0.3, 0.1 + 0.2, 1 / 3], ACCENT)
        return chart.svg()

    assert once() == once()
    assert not re.search(r"-0[\s,\"]", once())


def test_a_chart_alone_is_a_file_with_colours_of_its_own() -> None:
    chart = Chart("alone")
    chart.panel(Axis(Scale(0, 1)), Axis(Scale(0, 1))).line([0, 1], [0, 1], ACCENT)
    text = standalone(chart.svg())
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    for variable in set(re.findall(r"var\((--\w+)\)", text)):
        assert f"{variable}:#" in text


def test_colours() -> None:
    assert platform_colour(len(PLATFORM_COLOURS)) == PLATFORM_COLOURS[0]
    assert platform_legend(["a", "b"]) == [("a", PLATFORM_COLOURS[0]), ("b", PLATFORM_COLOURS[1])]
    assert shade(("#000000", "#ffffff"), 0.5) == "#808080"
    assert shade(("#000000", "#102030", "#ffffff"), 0.5) == "#102030"
    assert shade(("#000000", "#ffffff"), 2) == "#ffffff"


def test_drawing_imports_no_plotting_library() -> None:
    program = (
        "import sys\nfrom crossmix.pages import charts, render\nimport serving.page.curves, serving.experiment.page\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'matplotlib', 'torch', 'pandas'}))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_columns_stand_on_zero_and_what_may_change_is_hollow() -> None:
    chart = Chart("columns", 100, 100)
    panel = chart.bare((0, 0, 100, 100), Scale(-0.5, 3.5), Scale(-10, 10))
    panel.bars([0, 1, 2, 3], [10.0, -5.0, math.nan, 99.0], "red", width=0.5, hollow=[False, True, False, False])
    shapes = re.findall(r"<polygon ([^>]*)/>", str(chart.svg()))
    assert len(shapes) == 3
    assert 'points="6.2,50 6.2,0 18.8,0 18.8,50"' in shapes[0]
    assert ("stroke-dasharray" in shapes[0], "stroke-dasharray" in shapes[1]) == (False, True)
    assert 'points="31.2,50 31.2,75 43.8,75 43.8,50"' in shapes[1]
