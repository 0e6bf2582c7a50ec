"""What-if charts of the server's page: marks stand on their curve, names are never code, undefined is left out."""

from __future__ import annotations

import re
from typing import Any

from serving.page import curves


def curve(**changed: Any) -> dict[str, Any]:
    """A platform's curve, as `curves.curves` gives it."""
    line = {"amount": [0.0, 50.0, 100.0], "revenue": [0.0, 10.0, 20.0], "marginal_roi": [0.3, 0.2, 0.1]}
    spans = {"revenue_interval": [[0, 0], [9, 11], [18, 22]], "marginal_roi_interval": [[0, 1]] * 3}
    now = {"policy": {"amount": 50.0, "revenue": 10.0, "marginal_roi": 0.2}}
    return {"platform": "a<b", **line, **spans, "now": now} | changed


def test_a_mark_is_drawn_where_its_amount_is() -> None:
    panel = curves.panels([curve()])[0]
    place = re.search(r'class="now policy" cx="([\d.]+)" cy="([\d.]+)"', panel["revenue"])
    corners = re.search(r'<polyline points="([^"]+)"', panel["revenue"])
    assert place is not None
    assert corners is not None
    assert corners[1].split()[1] == f"{place[1]},{place[2]}"
    assert "a&lt;b" in panel["marginal"]
    assert "a<b" not in panel["marginal"]


def test_each_arm_has_a_mark_of_its_own_shape() -> None:
    now = {arm: {"amount": 50.0, "revenue": 10.0, "marginal_roi": 0.2} for arm in ("policy", "control")}
    chart = curves.panels([curve(now=now)])[0]["revenue"]
    assert len(re.findall(r'<circle class="now policy"', chart)) == 1
    assert len(re.findall(r'<polygon class="now control"[^>]* fill="none"', chart)) == 1


def test_what_is_undefined_is_left_out() -> None:
    first = curve(marginal_roi=[None, 0.2, 0.1], marginal_roi_interval=[[None, None], [0, 1], [0, 1]])
    line = re.search(r'<polyline points="([^"]+)"', curves.panels([first])[0]["marginal"])
    assert line is not None
    assert len(line[1].split()) == 2
    nothing = curve(marginal_roi=[None] * 3, marginal_roi_interval=[[None, None]] * 3, now={})
    assert curves.panels([nothing])[0]["marginal"] == ""


def test_marginal_roi_has_one_scale_over_all_platforms() -> None:
    steep = curve(platform="steep", marginal_roi=[3.0, 2.0, 1.0])
    charts = [panel["marginal"] for panel in curves.panels([curve(), steep])]
    labels = [re.findall(r'text-anchor="end"[^>]*>([^<]*)<', chart) for chart in charts]
    assert labels[0] == labels[1]
