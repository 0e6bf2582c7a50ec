"""The page for people: what it says, that nothing of it is code, and how it stands in a real browser."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from crossmix import bundle as bundles
from crossmix.ledger import tables
from crossmix.ledger.store import StoreAwayError
from crossmix.schema import Held
from serving.campaigns import service as campaigns
from serving.experiment import routes as experiment
from serving.experiment import verdict
from serving.live.live import Live
from serving.page import routes as page
from tests.support import browser, page_server
from tests.support.experiments import DAY, START, deliver, make_store, paired_days
from tests.support.page_server import EVIL, FIRST, SECOND, STATUS, application, get
from tests.support.serving_run import BUDGET, CAMPAIGNS, NAMES

CONTROL = [1.0, 2.0, 1.5, 0.8, 1.2, 1.1, 2.2, 0.9, 1.0]
POLICY = [1.12, 2.14, 1.66, 0.91, 1.3, 1.21, 2.4, 1.02, 1.06]
"""ROI by cycle of an experiment in which the policy is better."""
WIDER = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth + 1)"
"""Tables that are wider than their frames."""
HINTED = "[...(one.closest('details') ?? one.parentElement).querySelectorAll('.swipe')].some(hint => hint.offsetHeight)"
"""Whether a sentence beside it, which is seen, says so of one of them."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bundles.Bundle:
    return page_server.saved(tmp_path_factory.mktemp("page") / "bundle")


@pytest.fixture
def live(saved: bundles.Bundle, tmp_path: Path) -> Iterator[Live]:
    yield from page_server.opened(saved, tmp_path)


def detail(found: dict[str, Any], campaign: str) -> dict[str, Any]:
    return next(one for one in found["details"] if one["campaign_id"] == campaign)


def test_money_that_is_held_stands_beside_every_budget(saved: bundles.Bundle, tmp_path: Path) -> None:
    """Also in the total, where no other campaign shares it."""
    shutil.copytree(saved.path, tmp_path / "bundle")
    tv = Held(platform="tv", missing="impressions", spend=5_000.0, share=0.3, today=50.0)
    bundle = bundles.annotate(tmp_path / "bundle", list(saved.manifest["gates"]), None, [asdict(tv)])
    for live in page_server.opened(bundle, tmp_path):
        app = application(live)
        found = get(app, "/page.json").json()
        assert [one["platform"] for one in found["bundle"]["held"]] == ["tv"]
        assert {one["together"] for one in found["details"]} == {None}
        shown = html.unescape(get(app, "/").text)
        assert shown.count(f"<dd>{tv.sentence}</dd>") == len(found["details"]) > 0
        alone = SimpleNamespace(**{"campaigns": {FIRST: live.campaigns[FIRST]}, "bundle": live.bundle})
        one = live.campaigns[FIRST]
        split, total = f"{one.cycle_budget:,.2f} {one.currency}", f"{one.cycle_budget + 50:,.2f}"
        said = page.in_all(alone, one)  # type: ignore[arg-type]
        assert said == f"{split} are split and 50.00 held: {total} a cycle in all"


def test_where_a_campaign_never_spent_the_split_says_so(saved: bundles.Bundle, tmp_path: Path) -> None:
    shutil.copytree(saved.path, tmp_path / "bundle")
    new = saved.platforms[1]
    gates = list(saved.manifest["gates"])
    bundle = bundles.annotate(tmp_path / "bundle", gates, None, (), {FIRST: [new]})
    for live in page_server.opened(bundle, tmp_path):
        app = application(live)
        found = get(app, "/page.json").json()
        told = {one["campaign_id"]: [row["platform"] for row in one["platforms"] if row["untried"]]
                for one in found["details"]}  # fmt: skip
        assert told.pop(FIRST) == [new]
        assert not any(told.values())
        arms = len(detail(found, FIRST)["arms"])
        assert get(app, "/").text.count(">never tried<") == arms


def test_it_tells_campaigns_splits_and_reasons(live: Live) -> None:
    found = get(application(live), "/page.json").json()
    listed = {one["campaign_id"]: one for one in found["campaigns"]}
    assert set(listed) == {*CAMPAIGNS, EVIL}
    assert (listed[FIRST]["cycle"], listed[FIRST]["cycles"], listed[FIRST]["state"]) == (4, 14, "running")
    assert listed[EVIL]["state"] == "not begun"
    assert listed[SECOND]["override"]["actor"] == "bob"
    one = detail(found, FIRST)
    for arm, weight in (("policy", 0.7), ("control", 0.3)):
        lines = [line["arms"][arm] for line in one["platforms"]]
        assert sum(line["share"] for line in lines) == pytest.approx(1, abs=1e-5)
        assert sum(line["amount"] for line in lines) == pytest.approx(weight * BUDGET, rel=1e-4)
    floor = one["platforms"][0]["arms"]["policy"]
    assert floor["platform"] == NAMES[0]
    assert floor["share"] == pytest.approx(0.3, abs=1e-6)
    assert floor["binding"] == "min"
    low, high = floor["marginal_roi_interval"]
    assert low < floor["marginal_roi"] < high
    held = detail(found, SECOND)["platforms"]
    assert all("kill switch" in line["arms"]["policy"]["reason"] for line in held)


def test_the_curves_are_the_bundles_and_now_stands_on_them(live: Live, saved: bundles.Bundle) -> None:
    one = detail(get(application(live), "/page.json").json(), FIRST)
    table = saved.responses[FIRST]
    for slot, curve in enumerate(one["curves"]):
        # An arm's amount stands where it would if every user were in the arm.
        for arm, weight in (("policy", 0.7), ("control", 0.3)):
            mark = curve["now"][arm]
            assert mark["amount"] == pytest.approx(one["platforms"][slot]["arms"][arm]["amount"] / weight, rel=1e-4)
            assert mark["amount"] < curve["amount"][-1]
            earns = one["platforms"][slot]["arms"][arm]["expected_revenue"]
            assert mark["revenue"] == pytest.approx(earns / weight, rel=1e-3)
            assert mark["marginal_roi"] == pytest.approx(one["platforms"][slot]["arms"][arm]["marginal_roi"], rel=1e-3)
        middle = curve["amount"][20]
        want = table.at([[middle] * len(NAMES)])
        assert curve["revenue"][20] == pytest.approx(want.revenue_P[0, slot], rel=1e-4)
        assert curve["revenue"][0] == 0
        assert curve["marginal_roi"][10] > curve["marginal_roi"][40] > 0
        assert curve["revenue_interval"][20][0] < curve["revenue"][20] < curve["revenue_interval"][20][1]
    assert detail(get(application(live), "/page.json").json(), EVIL)["curves"] == []


def test_looking_is_not_serving(live: Live) -> None:
    get(application(live), "/")
    live.recorder.flush()
    with live.store.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.served)).scalar() == 0


def test_a_name_is_never_code(live: Live) -> None:
    text = get(application(live), "/").text
    assert "<script" not in text
    assert "<i>broken" not in text
    assert "<b>why" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3
    assert "&lt;i&gt;broken&lt;/i&gt; landing page" in text


def test_the_browser_is_told_to_run_and_fetch_nothing(live: Live) -> None:
    answer = get(application(live), "/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert not re.findall(r'(?:src|href|action)="(?!#|\./|data:,)[^"]*"', answer.text)


def test_what_is_away_and_the_bundle_stand_on_top(live: Live, saved: bundles.Bundle) -> None:
    app = application(live)
    text = get(app, "/").text
    assert "DEGRADED" in text
    assert "<b>feature store</b> since" in text
    assert "2 of 3 pass" in text
    assert saved.digest in text
    live.states.trouble = None
    text = get(app, "/").text
    assert "DEGRADED" not in text
    assert "all well" in text


def test_the_trail_has_the_newest_changes(live: Live) -> None:
    found = get(application(live), "/page.json").json()["trail"]
    assert (found[0]["action"], found[0]["subject"], found[0]["actor"]) == ("campaign.create", EVIL, "anna")
    text = get(application(live), "/").text
    assert "begin" in text
    assert f"limits.{NAMES[0]}.min: 0.02 → 0.3" in text
    for number in range(30):
        campaigns.edit(live.store, FIRST, {"cycles": 20 + number}, NAMES, "anna", f"change {number}.")
    found = get(application(live), "/page.json").json()["trail"]
    assert [one["reason"] for one in found] == [f"change {number}." for number in range(29, 9, -1)]
    assert "cycles: 48 → 49" in get(application(live), "/").text


def _without(found: Any, path: tuple[str, ...]) -> Any:
    if len(path) == 1:
        return {key: value for key, value in found.items() if key != path[0]}
    return {**found, path[0]: _without(found[path[0]], path[1:])}


def test_the_experiment_so_far_and_any_part_of_it_missing(live: Live) -> None:
    text = get(application(live), "/").text
    assert STATUS["verdict"]["line"] in text
    for told in ("7\u202f012", "2\u202f988", "+8.1\u202f%", "−2.2\u202f% to +19.1\u202f%", "1.31", "5 of 14 finished"):
        assert told in text
    assert "holds: the lift +8.1% is not below -20%" in text
    missing = [(key,) for key in STATUS] + [("arms", "policy"), ("arms", "policy", "roi"), ("lifts", "roi")]
    missing += [("lifts", "roi", "always_valid"), ("lifts", "roi", "always_valid", "low"), ("sample_ratio", "users")]
    for path in missing:
        assert get(application(live, lambda path=path: _without(STATUS, path)), "/").status_code == 200, path  # type: ignore[misc]
    assert get(application(live, dict), "/").status_code == 200
    assert "Nothing to tell yet" in get(application(live, lambda: None), "/").text


def test_the_page_stands_while_the_database_is_away(live: Live) -> None:
    def away(*_: Any) -> Any:
        raise StoreAwayError("database sqlite: gone")

    app = FastAPI()
    app.include_router(page.router(live, away, away))
    answer = get(app, "/")
    assert answer.status_code == 200
    assert "The database is away; the trail comes back with it." in answer.text
    assert FIRST in answer.text


def test_limits_that_leave_no_split_are_a_sentence(live: Live) -> None:
    def refused(campaign: str, arm: str) -> Any:
        raise ValueError("limits: floors sum to 1.2; lower one")

    app = FastAPI()
    app.include_router(page.router(live, lambda: None, lambda _: [], refused))
    answer = get(app, "/")
    assert answer.status_code == 200
    assert "policy: limits: floors sum to 1.2; lower one" in answer.text


def test_of_many_campaigns_some_are_shown_and_each_can_be(live: Live) -> None:
    rows = [
        {
            "campaign_id": f"many {number:02d}/x?y",
            "currency": "EUR",
            "cycle_budget": 10.0,
            "share": {NAMES[0]: 1.0},
            "starts": "2026-01-01T00:00:00Z",
            "cycles": 3,
            "cycle_hours": 24.0,
        }
        for number in range(12)
    ]
    campaigns.import_(live.store, rows, "anna", NAMES)
    live.reload()
    app = application(live)
    listed = get(app, "/page.json").json()
    assert len(listed["campaigns"]) == 12 + len(CAMPAIGNS) + 1
    assert listed["details"] == []
    assert len(get(app, "/page.json?q=MANY 0").json()["campaigns"]) == 10
    assert len(get(app, "/page.json?q=many 01").json()["details"]) == 1
    link = html.unescape(re.findall(r'<th scope="row"><a href="\.(/[^"]*)"', get(app, "/").text)[-1])
    found = get(app, link.replace("/?", "/page.json?")).json()
    assert [one["campaign_id"] for one in found["details"]] == ["many 11/x?y"]
    assert len(get(app, "/?campaign=unknown").text) > 1_000


@pytest.fixture
def served(live: Live, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The page behind tokens, on loopback: its address, and a token to read."""
    with page_server.listening(application(live), tmp_path, "read") as found:
        yield found


@pytest.mark.slow
@browser.needed
def test_in_a_browser_it_fits_runs_nothing_and_complains_of_nothing(served: tuple[str, str], tmp_path: Path) -> None:
    url, token = served
    campaigns = len(CAMPAIGNS)
    with browser.chromium(tmp_path) as shown:
        for width in (1280, 390):
            for dark in (False, True):
                shown.dark(dark)
                shown.open(url, width, {"authorization": f"Bearer {token}"})
                assert shown.accessibility() == []
            assert shown.complaints == []
            assert {address for address in shown.requests if not address.startswith("data:")} == {url}
            assert shown.value("document.documentElement.clientWidth") == width
            assert shown.value("document.documentElement.scrollWidth") <= width
            assert shown.value("document.documentElement.scrollHeight") <= 4_000
            # Nothing but what scrolls in its own frame reaches beyond the edge.
            beyond = """[...document.querySelectorAll("body *")].filter(one => !one.closest(".scroll")
                && one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 120))"""
            assert shown.value(beyond) == []
            names = json.loads(
                shown.value(
                    "JSON.stringify([...document.querySelectorAll('.campaigns th a')].map(x => x.innerText.trim()))"
                )
            )
            assert names == sorted([*CAMPAIGNS, EVIL])
            assert shown.value("document.scripts.length") == 0
            assert shown.value("document.querySelectorAll('form[method=post], .buttons').length") == 0
            for arm in ("policy", "control"):
                widths = shown.value(
                    f"""[...document.querySelectorAll('.bar[aria-label="split of arm {arm}"]')].map(
                        bar => [...bar.children].reduce((sum, part) => sum + parseFloat(part.style.width), 0))"""
                )
                assert widths == pytest.approx([100.0] * len(names), abs=0.05)
            assert shown.value("document.querySelectorAll('.panels svg').length") == 2 * len(NAMES) * campaigns
            assert shown.value("document.querySelectorAll('svg .now').length") == 4 * len(NAMES) * campaigns
            # Readable: opened, no text of a chart is smaller than 8 px.
            shown.value("document.querySelectorAll('details').forEach(one => one.open = true)")
            smallest = """Math.min(...[...document.querySelectorAll('.panels svg, .figures svg')].map(
                svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width
                    * parseFloat(svg.getAttribute("font-size"))))"""
            assert shown.value(smallest) > 8
            assert shown.accessibility() == []
            shown.screenshot(tmp_path / f"page{width}.png")
            assert (tmp_path / f"page{width}.png").stat().st_size > 20_000
        shown.open(url.replace("http://", f"http://me:{token}@"), 1280)
        assert shown.value("document.querySelector('h1').innerText") == STATUS["verdict"]["line"]


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Fifty campaigns of ten platforms with delivery, and the verdict's page: its address, and an admin's token."""
    (tmp_path / "experiment").mkdir()
    store = make_store(tmp_path / "experiment")
    deliver(store, paired_days(POLICY, CONTROL))
    standing = SimpleNamespace(plain=lambda: verdict.status(store, "first", START + len(POLICY) * DAY))
    for live in page_server.many(tmp_path):
        app = application(live)
        app.include_router(experiment.router(live, SimpleNamespace(get=lambda *_: standing)))  # type: ignore[arg-type]
        with page_server.listening(app, tmp_path, "admin") as found:
            yield found
    store.close()


@pytest.mark.slow
@browser.needed
def test_fifty_campaigns_and_one_of_ten_platforms_are_short_on_a_phone(
    crowded: tuple[str, str], tmp_path: Path
) -> None:
    url, token = crowded
    one = f"{url}?campaign={FIRST}"
    frame = "document.querySelector('.scroll:has(> .campaigns)')"
    rows = "document.querySelectorAll('.campaigns tbody tr').length"
    shares = "document.querySelector('table.split').checkVisibility({contentVisibilityAuto: true})"
    with browser.chromium(tmp_path) as shown:
        for width in (390, 1280):
            for address, most in ((url, 2_600), (one, 3_600), (f"{url}?campaign={SECOND}", 3_600)):
                shown.open(address, width, {"authorization": f"Bearer {token}"})
                assert shown.complaints == []
                assert shown.value("document.documentElement.scrollWidth") <= width
                assert shown.value("document.querySelector('.lead').innerText").startswith("49 of 50 campaigns run")
                if width == 390:
                    assert shown.value("document.documentElement.scrollHeight") <= most, address
                if address == url:
                    # Each campaign is there; on a phone within a frame, below heads that stay.
                    assert shown.value(rows) == 50
                    assert shown.value(f"{frame}.scrollHeight > {frame}.clientHeight") is (width == 390)
                else:
                    assert shown.value("document.querySelectorAll('.figures svg').length") == 2
                    assert shown.value("document.querySelectorAll('table.split tbody tr').length") == 10
                    # Closed on a phone until it is opened; open on a wide screen, without a press.
                    if width == 1280:
                        shown.until(shares, "the split on a wide screen")
                    assert shown.value(shares) is (width == 1280)
            shown.value("document.querySelectorAll('details').forEach(one => one.open = true)")
            shown.until(shares, "the split that was opened")  # drawn in the browser's own time
            assert shown.value("document.documentElement.scrollWidth") <= width
            if width == 390:
                # What goes on beyond a frame's edge says so.
                assert shown.value(f"{WIDER}.length") > 2
                assert shown.value(f"{WIDER}.filter(one => !{HINTED}).map(one => one.innerText.slice(0, 60))") == []


@pytest.mark.slow
@browser.needed
def test_a_campaign_and_the_verdict_are_accessible_and_complain_of_nothing(
    crowded: tuple[str, str], tmp_path: Path
) -> None:
    url, token = crowded
    with browser.chromium(tmp_path) as shown:
        for address, lead in (
            (f"{url}?campaign={FIRST}", "Running, 5 of 14"),
            (f"{url}experiment", "The policy is better"),
        ):
            for width, dark in ((1280, False), (1280, True), (390, False), (390, True)):
                shown.dark(dark)
                shown.open(address, width, {"authorization": f"Bearer {token}"})
                assert shown.value("document.querySelector('h1').innerText").startswith(lead)
                assert shown.value("document.querySelectorAll('.figures svg').length") >= 2
                assert shown.accessibility() == []
                assert shown.complaints == []
                assert {asked for asked in shown.requests if not asked.startswith("data:")} == {address}
                assert shown.value("document.documentElement.scrollWidth") <= width
            shown.value("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert shown.accessibility() == []


def test_it_says_what_holds_for_an_answer_as_a_whole(live: Live) -> None:
    """Once, also where a note says the same; and what differs from usual has a column."""
    text = html.unescape(get(application(live), "/").text)
    assert re.search(r"<th[^>]*>Differs from usual</th>", text)
    one = detail(get(application(live), "/page.json").json(), FIRST)
    for arm in ("policy", "control"):
        for line in one["arms"][arm]["reasons"]:
            assert line in text
    waits = detail(get(application(live), "/page.json").json(), EVIL)["arms"]["policy"]
    assert waits["reasons"][0].startswith("The campaign starts ")
    # What holds for both arms stands once.
    assert text.count(waits["reasons"][0]) == 1
    assert re.search(r'<dt class="long">Both arms</dt><dd class="long">The campaign starts ', text)
