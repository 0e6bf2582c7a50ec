"""The verdict's page: self-contained, escaped, its charts where the figures are."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from serving.experiment.verdict import render, status
from tests.support.experiments import DAY, START, deliver, event, make_store, paired_days
from tests.support.html_pages import Page, words

CONTROL = [1.0, 2.0, 1.5, 0.8, 1.2, 1.1, 2.2, 0.9, 1.0]
POLICY = [1.12, 2.14, 1.66, 0.91, 1.3, 1.21, 2.4, 1.02, 1.06]


def at(days: int) -> datetime:
    """So many cycles after the beginning."""
    return START + days * DAY


def test_the_page_stands_alone_and_escapes(tmp_path: Path) -> None:
    store = make_store(tmp_path, campaigns={"brand": {}, "<b>x</b>": {}})
    deliver(store, paired_days(POLICY, CONTROL))
    deliver(
        store,
        [
            event(arm, day, campaign_id="<b>x</b>", platform="<i>", revenue=0.0)
            for arm in ("policy", "control")
            for day in (0, 1)
        ],
    )
    html = render(status(store, "first", at(9)))
    assert "<b>x</b>" not in html
    assert "&lt;b&gt;x" in html
    assert "<i>" not in re.sub(r"<style>.*</style>", "", html, flags=re.S)
    assert not re.search(r"(src|href)=\"(?!#|data:,)|url\(|<script|@import", html)
    assert html.count("<svg") == 2
    assert "The policy is better" in html
    # The band of the lift goes there above the line and back below it, within its frame.
    band, line = (re.search(rf'<{mark} points="([^"]+)"', html.split("<svg")[2])[1] for mark in ("polygon", "polyline"))
    heights, middle = ([float(point.split(",")[1]) for point in part.split()] for part in (band, line))
    assert len(heights) == 2 * len(middle)
    assert heights[len(middle) - 1] < middle[-1] < heights[len(middle)]
    assert min(heights) >= 12
    assert max(heights) <= 216
    # An experiment that has just begun has a page too.
    (tmp_path / "empty").mkdir()
    assert "Insufficient data" in render(status(make_store(tmp_path / "empty"), "first", START))


def test_figures_and_lifts_stand_in_the_table_and_eq_10_beside_revenue(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    deliver(store, paired_days(POLICY, CONTROL))
    found = status(store, "first", at(9))
    page = render(found)
    assert "Tables go on to the right" in page  # shown where it is narrow
    assert ", the lift of " in page
    assert "cycle(s)" not in page
    text = words(page)
    roi = found["arms"]["policy"]["roi"]["value"]
    assert re.search(rf"ROI revenue / planned budget {roi:.2f} ", text)
    assert f"policy {found['arms']['policy']['revenue']:,.0f}".replace(",", "\u202f") in text
    reward = found["dynamic_reward"]["policy"]["mean"]
    assert f"Reward, eq. 10 policy {reward:.3g}" in text
    assert "it decides nothing" in text
    parsed = Page(page)
    assert not parsed.open
    assert {link[1:] for link in parsed.links if link != "data:,"} <= set(parsed.ids)  # the icon is no link
