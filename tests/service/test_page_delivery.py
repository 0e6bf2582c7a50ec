"""What the page says of delivery and the verdict, campaign by campaign, and as a file; many campaigns are pages."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crossmix import bundle as bundles
from crossmix.ledger import experiments, feedback, tables
from crossmix.ledger.campaigns import Campaign, changing
from crossmix.ledger.feedback import Event
from crossmix.ledger.store import StoreAwayError
from serving.live.live import Live
from serving.page import routes as page
from tests.support import page_server
from tests.support.page_server import EVIL, FIRST, NOW, SECOND, STATUS, application, get
from tests.support.serving_run import BUDGET, CAMPAIGNS, NAMES


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bundles.Bundle:
    return page_server.saved(tmp_path_factory.mktemp("page") / "bundle")


@pytest.fixture
def live(saved: bundles.Bundle, tmp_path: Path) -> Iterator[Live]:
    yield from page_server.opened(saved, tmp_path)


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
    app = application(live, lambda: {**STATUS, "experiment": {**over, "state": "shipped"}})
    assert "<h1>Shipped on 2026-06-14: the policy serves every user</h1>" in get(app, "/").text


def test_without_a_verdict_the_server_itself_knows_of_the_end(live: Live) -> None:
    app = application(live, lambda: None)
    assert live.experiment is not None
    experiments.finish(live.store, live.experiment.id, "planned so", "anna")
    live.reload()
    text = get(app, "/").text
    assert "<h1>The experiment has ended on 2026-06-15: planned so</h1>" in text
    assert "Every user gets the static split now." in text
    experiments.ship(live.store, live.experiment.id, "anna", "it is better")
    live.reload()
    text = get(app, "/").text
    assert "<h1>Shipped on 2026-06-15: the policy serves every user</h1>" in text
    assert "static split now" not in text


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
    with changing(live.store, "anna", "") as table:
        table.add_all([Campaign(campaign_id=f"many {number:05d}", **row) for number in range(10_000)])
    with live.store.change() as connection:
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
    assert max(counts.values()) <= 14, counts
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


def test_while_the_database_is_away_the_page_says_so_and_no_file_comes(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(live, range(0, 2))

    def away(*_: Any, **__: Any) -> Any:
        raise StoreAwayError("database sqlite: gone")

    monkeypatch.setattr(page.delivery, "read", away)
    monkeypatch.setattr(page.export, "read", away)
    app = application(live)
    found = get(app, "/page.json").json()
    assert [one["delivery"] for one in found["campaigns"]] == [None] * 3
    for path in ("/", f"/?campaign={FIRST}"):
        text = get(app, path).text
        assert "The database is away: figures come back with it." in text
        assert "not reported" not in text
    refused = get(app, "/delivery.csv")
    assert (refused.status_code, refused.json()) == (503, {"error": "database sqlite: gone"})
    assert refused.headers["retry-after"] == "1"
