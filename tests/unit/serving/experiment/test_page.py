"""The verdict's page: self-contained, escaped, its charts where the figures are."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from crossmix.clock import wall
from crossmix.config import load
from crossmix.ledger import experiments
from serving.experiment.routes import router
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


def test_an_earlier_experiment_has_its_page_and_all_are_listed(tmp_path: Path) -> None:
    """The first was replaced by the second, whose id is evil; each page lists both and links to the other."""
    store, evil = make_store(tmp_path), "b/<i>&?"
    deliver(store, paired_days([1.1, 1.2, 1.0, 1.3], [1.0, 1.1, 1.2, 1.0]))
    experiments.begin(store, experiments.Plan(evil, "salt", {"policy": 0.5, "control": 0.5}, 7, 0.05), "anna")
    live: Any = SimpleNamespace(
        store=store, experiment=SimpleNamespace(id=evil), clock=wall, config=load("laptop"), campaigns={}
    )
    app = FastAPI()
    app.include_router(router(live))
    client = TestClient(app)
    newest = client.get("/experiment").text
    assert "<span>experiment <b>b/&lt;i&gt;&amp;?</b></span>" in newest
    assert '<a href="experiment?experiment=first">first</a>' in newest
    earlier = client.get("/experiment", params={"experiment": "first"}).text
    assert "<span>experiment <b>first</b></span>" in earlier
    assert '<a href="experiment?experiment=b/%3Ci%3E%26%3F">b/&lt;i&gt;&amp;?</a>' in earlier
    assert "experiment?experiment=first" not in earlier
    assert "<td>replaced</td>" in earlier
    assert "<td>running</td>" in earlier
    plain = client.get("/experiment.json", params={"experiment": "first"}).json()
    assert (plain["experiment"]["id"], plain["cycles"]["with_feedback"]) == ("first", 4)
    assert client.get("/experiment.json").json()["cycles"]["with_feedback"] == 0
    gone = client.get("/experiment", params={"experiment": "nobody"})
    assert (gone.status_code, "'nobody'" in gone.json()["error"]) == (404, True)
    assert 'id="all"' not in render(plain), "a page of a file alone has no links"
    store.close()
