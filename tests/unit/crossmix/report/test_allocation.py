"""The simplex: corners, the cut to where the paths run, and fewer than three platforms."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from crossmix.report.allocation import simplex
from crossmix.report.charts import series, shares
from crossmix.report.section import markup
from tests.support.drawn_axes import feet


def texts(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter("text")]


def test_the_corners_are_the_three_largest_and_say_what_they_stand_for() -> None:
    policy = np.tile([0.1, 0.4, 0.2, 0.3], (5, 1))
    drawn, names = simplex(policy.tolist(), policy.tolist(), ("a", "b", "c", "d"))
    assert names == ("b", "c", "d")
    corners = [label for label in texts(drawn) if re.match(r"[bcd]\d+%", label)]
    # They stay at 0.44, 0.22 and 0.33 of the three: cut at 0.40, 0.20 and 0.30, which leaves sides of 0.10.
    assert corners == ["b50%", "c30%", "d40%"]
    root = ElementTree.fromstring(drawn)
    assert len(list(root.iter("circle"))) == 5
    assert len([mark for mark in root.iter("polygon") if mark.attrib.get("stroke")]) == 5


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_platforms(count: int) -> None:
    share = np.full((4, count), 1 / count).tolist()
    drawn, names = simplex(share, share, ("a", "b", "c")[:count])
    assert names == ("a", "b", "c")[:count]
    assert len([label for label in texts(drawn) if label[0] in "abc"]) == count


def test_a_campaign_that_keeps_todays_split_is_named_before_the_policys() -> None:
    words = dict.fromkeys(("campaign", "seed", "apart", "policy", "oracle", "simplex", "covered"), "")
    page = str(markup("allocation.html.j2", kept=["x"], largest=[], legend=[], **words))
    assert page.index("keep today’s split of x") < page.index("The policy: share")


def test_time_runs_from_blue_to_orange() -> None:
    share = np.array([[0.6, 0.2, 0.2], [0.4, 0.3, 0.3], [0.2, 0.4, 0.4]]).tolist()
    drawn, _ = simplex(share, share, ("a", "b", "c"))
    fills = [mark.attrib["fill"] for mark in ElementTree.fromstring(drawn).iter("circle")]
    assert fills == ["#2f6fc0", "#8d8b97", "#e08a1e"]


def test_shares_fill_the_whole_height() -> None:
    root = ElementTree.fromstring(shares([[0.25, 0.75], [0.5, 0.5]], "shares"))
    layers = [mark.attrib["points"].split() for mark in root.iter("polygon")]
    assert len(layers) == 2
    # The second layer's upper edge is the upper end of the axis everywhere.
    upper = {float(point.split(",")[1]) for point in layers[1][:2]}
    assert len(upper) == 1
    assert len(list(ElementTree.fromstring(shares([[0.25, 0.75]], "one")).iter("polygon"))) == 2


def test_panels_line_up_and_name_their_lines() -> None:
    drawn = series([("small", [1, 2, 3], [1e-5, 2e-5, 3e-5]), ("large", [1, 2], [100.0, 300.0])], "round", "losses")
    root = ElementTree.fromstring(drawn)
    lefts = {float(mark.attrib["points"].split(",")[0]) for mark in root.iter("polyline")}
    assert len(lefts) == 1
    assert {"small", "large", "round"} <= set(texts(drawn))
    long = [0, 500_000, 1_000_000]
    assert len(set(feet(series([(name, long, [1.0, 2.0, 3.0]) for name in ("one", "two")], "round", "losses")))) == 1
