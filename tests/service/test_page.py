"""The page for people: what it says, that nothing of it is code, and how it stands in a real browser."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI

from crossmix import bundle as bundles
from crossmix.clock import MemoryClock
from crossmix.config import load
from crossmix.ledger import audit, feedback, tables
from crossmix.ledger.feedback import Event
from crossmix.ledger.store import StoreAwayError
from serving.campaigns import service as campaigns
from serving.http import access
from serving.live.champion import Champion
from serving.live.live import Live
from serving.page import routes as page
from tests.support import browser
from tests.support.serving_run import BUDGET, CAMPAIGNS, NAMES, save_bundle

EVIL = "<script>alert(1)</script> & \"quoted\" 'name'"
FIRST, SECOND = sorted(CAMPAIGNS)[:2]
NOW = datetime(2026, 6, 15, 10, tzinfo=UTC)
STATUS: dict[str, Any] = {
    "experiment": {
        "id": "first",
        "weights": {"policy": 0.7, "control": 0.3},
        "started": "2026-01-01T00:00:00+00:00",
    },
    "verdict": {
        "word": "running",
        "line": "Running, 5 of 14 cycles: no difference found so far; ROI +8.1% [-2%, +19%].",
    },
    "cycles": {"finished": 5, "planned": 14},
    "sample_ratio": {
        "users": {"policy": 7_012, "control": 2_988},
        "verdict": "balanced",
        "reason": "10,000 users are split 70.1% : 29.9% where 70% : 30% was wanted (p = 0.79).",
    },
    "arms": {
        "policy": {"roi": {"value": 1.31, "low": 1.2, "high": 1.42}},
        "control": {"roi": {"value": 1.21, "low": 1.08, "high": 1.34}},
    },
    "lifts": {"roi": {"always_valid": {"lift": 0.081, "low": -0.022, "high": 0.191}}},
    "guardrails": [
        {
            "name": "roi",
            "verdict": "holds",
            "detail": "the lift +8.1% is not below -20%",
            "sentence": "guardrail roi: the lift +8.1% is not below -20%",
        }
    ],
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bundles.Bundle:
    made = save_bundle(tmp_path_factory.mktemp("page") / "bundle", load("laptop"), 1)
    gates = [
        {"name": name, "value": 0.5, "threshold": "> 0", "verdict": verdict, "required": True, "detail": "<b>why</b>"}
        for name, verdict in (("policy.lead", "pass"), ("market.roi", "fail"), ("policy.limits", "pass"))
    ]
    return bundles.annotate(made.path, gates)


@pytest.fixture
def live(saved: bundles.Bundle, tmp_path: Path) -> Iterator[Live]:
    """A server's own, with its feature store away: one campaign runs with limits, one is held by hand, one is evil."""
    own, now = tmp_path / "own", NOW
    champion = Champion(own, None, saved.path)
    made = Live(
        load("laptop"), own, f"sqlite:///{own / 'serving.db'}", champion, tmp_path / "nothing", clock=MemoryClock(NOW)
    )
    made.reload()
    made.refresh_states()
    starts = (now - timedelta(days=4, hours=10)).isoformat()
    campaigns.edit(made.store, FIRST, {"starts": starts, "cycles": 14}, NAMES, "anna", "begin")
    campaigns.edit(made.store, FIRST, {"limits": {NAMES[0]: {"min": 0.3}}}, NAMES, "anna", "a floor")
    campaigns.set_override(made.store, SECOND, "static", None, NAMES, "bob", "<i>broken</i> landing page")
    campaigns.create(
        made.store,
        {
            "campaign_id": EVIL,
            "currency": "EUR",
            "cycle_budget": 500.0,
            "share": {NAMES[0]: 0.25, NAMES[1]: 0.75},
            "starts": (now + timedelta(days=2)).isoformat(),
            "cycles": 7,
            "cycle_hours": 24.0,
        },
        NAMES,
        "anna",
    )
    made.reload()
    yield made
    made.stop()


def application(live: Live, status: Callable[[], dict[str, Any] | None] = lambda: STATUS) -> FastAPI:
    app = FastAPI()
    app.include_router(page.router(live, status, lambda most: audit.trail(live.store, limit=most)))
    return app


def get(app: Any, path: str) -> httpx.Response:
    import asyncio

    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.get(path)

    return asyncio.run(call())


def detail(found: dict[str, Any], campaign: str) -> dict[str, Any]:
    return next(one for one in found["details"] if one["campaign_id"] == campaign)


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


def deliver(live: Live, cycles: range, platforms: tuple[str, ...] = NAMES) -> None:
    """Reports of `FIRST`: half of its budget spent, twice that earned."""
    events = [
        Event(f"{cycle}.{arm}.{name}", FIRST, arm, name, cycle, cycle, None, None, 100.0, 10.0, 5.0, amount * 2, amount)
        for cycle in cycles
        for arm, weight in (("policy", 0.7), ("control", 0.3))
        for name in platforms
        for amount in (0.5 * BUDGET * weight / len(NAMES),)
    ]
    assert len(feedback.insert(live.store, events, NOW).new) == len(events)


def test_what_was_delivered_stands_beside_what_was_planned(live: Live) -> None:
    deliver(live, range(0, 3))
    deliver(live, range(3, 4), NAMES[1:])
    app = application(live)
    found = get(app, f"/page.json?campaign={FIRST}").json()
    assert [one["campaign_id"] for one in found["campaigns"]] == [FIRST]
    delivered = found["campaigns"][0]["delivery"]
    states = [day["state"] for day in delivered["days"]]
    assert states == ["settled", "settled", "settled", "partly reported", "running"]
    assert delivered["days"][3]["missing"] == [NAMES[0]]
    assert delivered["total"]["pace"] == pytest.approx(0.5)
    assert delivered["total"]["roas"] == pytest.approx(2)
    assert delivered["days"][4]["spend"] is None
    text = get(app, f"/?campaign={FIRST}").text
    for word in ("partly reported", f"no report of {NAMES[0]}", "not reported", "50\u202f%", "2.00"):
        assert word in text
    # One day alone; days that are none are a sentence, and the page stands.
    day = (NOW - timedelta(days=3)).date().isoformat()
    found = get(app, f"/page.json?campaign={FIRST}&from={day}&to={day}").json()
    assert len(found["campaigns"][0]["delivery"]["days"]) == 1
    refused = get(app, "/page.json?from=soon")
    assert refused.status_code == 422
    assert refused.json()["error"].startswith("from: 'soon'; give a day, as 2026-01-31")
    assert "from: &#39;soon&#39;; give a day" in get(app, "/?from=soon").text
    away = get(app, "/?campaign=nobody").text
    assert "“nobody” is unknown" in away


def test_each_campaign_has_its_line_of_the_verdict(live: Live) -> None:
    lift = {"lift": -0.05, "low": -0.09, "high": -0.01}
    rows = [{"campaign_id": FIRST, "word": "control better", "lift": lift, "reason": None}]
    rows.append({"campaign_id": SECOND, "word": "insufficient data", "lift": None, "reason": "2 more cycles"})
    marks = [
        {
            "at": "2026-06-13T10:00:00+00:00",
            "what": "override set",
            "action": "override.set",
            "subject": name,
            "who": "bob",
        }
        for name in (FIRST, SECOND)
    ]
    marks.append(
        {"at": "2026-06-14T10:00:00+00:00", "what": "version", "action": "bundle.serve", "subject": "version 2"}
    )
    status = {**STATUS, "by_campaign": {"page": 1, "pages": 1, "rows": rows}, "phases": marks}
    app = application(live, lambda: status)
    changes = get(app, f"/page.json?campaign={FIRST}").json()["campaigns"][0]["changes"]
    assert [(one["what"], one["subject"]) for one in changes] == [("override set", FIRST), ("version", "version 2")]
    assert "2026-06-13 10:00 UTC: override set" in get(app, f"/?campaign={FIRST}").text
    listed = {one["campaign_id"]: one["verdict"] for one in get(app, "/page.json").json()["campaigns"]}
    assert listed[FIRST] == {"word": "control better", "lift": lift, "reason": None}
    assert listed[EVIL] is None
    text = get(app, "/").text
    line = re.search(rf'<tr><th scope="row"><a href="[^"]*">{FIRST}</a>.*?</tr>', text, re.DOTALL)
    assert line is not None
    assert re.search(r'<td class="num bad">−5.0\u202f%<small>−9.0\u202f% to −1.0\u202f%', line[0])
    assert "Policy over control" in text
    assert "insufficient data: 2 more cycles" in get(app, f"/?campaign={SECOND}").text


def test_after_the_end_the_headline_says_so(live: Live) -> None:
    over = {**STATUS["experiment"], "ended": "2026-06-14T08:00:00+00:00", "reason": "it was planned so"}
    app = application(live, lambda: {**STATUS, "experiment": over})
    text = get(app, "/").text
    assert "<h1>The experiment has ended on 2026-06-14: it was planned so</h1>" in text
    assert STATUS["verdict"]["line"] in text
    app = application(live, lambda: {**STATUS, "experiment": {**over, "outcome": "shipped"}})
    assert "<h1>Shipped on 2026-06-14: the policy serves every user</h1>" in get(app, "/").text


def test_delivery_comes_as_a_file(live: Live) -> None:
    deliver(live, range(0, 2))
    app = application(live)
    answer = get(app, f"/delivery.csv?campaign={FIRST}")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="delivery.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    reported = [row for row in rows if row["reported"] == "yes"]
    assert len(reported) == 2 * 2 * len(NAMES)
    assert sum(float(row["spend"]) for row in reported) == pytest.approx(BUDGET)
    assert {row["spend"] for row in rows if row["reported"] == "no"} == {""}
    assert {row["campaign_id"] for row in csv.DictReader(io.StringIO(get(app, "/delivery.csv").text))} >= {
        FIRST,
        SECOND,
    }
    assert get(app, "/delivery.csv?campaign=nobody").status_code == 404
    assert get(app, "/delivery.csv?to=never").status_code == 422


@pytest.mark.slow
def test_ten_thousand_campaigns_are_pages_of_fifty_by_a_fixed_number_of_queries(live: Live) -> None:
    starts = NOW - timedelta(days=20, hours=1)
    row = {"currency": "EUR", "cycle_budget": 100.0, "share": {NAMES[0]: 1.0}, "limits": {}, "starts": starts}
    row |= {"cycles": 30, "cycle_hours": 24.0, "paused": False, "timezone": "UTC"}
    with live.store.change() as connection:
        rows = [{**row, "campaign_id": f"many {number:05d}"} for number in range(10_000)]
        connection.execute(tables.campaigns.insert(), rows)
        total = {"arm": "policy", "platform": NAMES[0], "won": 0.0, "impressions": 10.0, "clicks": 1.0, "events": 1}
        total |= {"conversions": 1.0, "revenue": 20.0, "spend": 10.0, "complete": 0, "received": starts}
        cells = [
            {**total, "campaign_id": f"many {number:05d}", "cycle": cycle, "known": cycle}
            for number in range(0, 10_000, 50)
            for cycle in range(20)
        ]
        connection.execute(tables.totals.insert(), cells)
    live.reload()
    asked: list[str] = []
    sa.event.listen(live.store.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    app, counts = application(live, lambda: None), {}
    for path in ("/page.json", "/page.json?page=101", "/page.json?q=MANY 0995", "/page.json?page=100000"):
        asked.clear()
        found = get(app, path).json()
        counts[path] = len(asked)
        assert len(found["campaigns"]) <= page.LISTED
        assert found["details"] == []
        assert found["listing"]["total"] == 10_000 + len(CAMPAIGNS) + 1
        names = [one["campaign_id"] for one in found["campaigns"]]
        assert names == sorted(names)
    # Some of the audit trail's and seven of delivery.
    assert max(counts.values()) <= 10, counts
    found = get(app, "/page.json?q=many 0995").json()
    assert [one["campaign_id"] for one in found["campaigns"]] == [
        f"many {number:05d}" for number in range(9_950, 9_960)
    ]
    assert found["campaigns"][0]["delivery"]["total"]["spend"] == 130
    assert found["campaigns"][1]["delivery"]["total"]["spend"] is None
    text = get(app, "/?page=2").text
    assert len(re.findall(r'<th scope="row">', text)) >= page.LISTED
    assert 'href="./?page=3"' in text
    assert "page 2 of 201" in text


@pytest.fixture
def served(live: Live, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The page behind tokens, on loopback: its address, and a token to read."""
    file = tmp_path / "tokens.json"
    token = access.create(file, "person", ["read"])
    app = application(live)
    app.add_middleware(access.Access, tokens=access.Tokens(file))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 300
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/", token
    server.should_exit = True
    thread.join(20)


@pytest.mark.slow
@pytest.mark.skipif(browser.program() is None, reason="no Chromium here: apt-get install chromium")
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
