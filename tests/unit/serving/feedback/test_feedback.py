"""Feedback: what is counted, what is counted once, what is late, and what is refused as a whole."""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent
from fastapi import FastAPI
from fastapi.testclient import TestClient

from crossmix.ledger import feedback as ledger
from crossmix.ledger.store import Store
from crossmix.metrics import QUANTITIES
from serving.assignment.users import hashed
from serving.campaigns import service as campaigns
from serving.feedback import events as feedback
from serving.feedback.events import Fault, FeedbackError, Receipt
from serving.feedback.schema import EventData, NewEvent
from serving.http import resources as routes
from tests.support.serving_live import PLATFORMS, START, FakeLive, event, raw

DAY = timedelta(days=1)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[FakeLive]:
    store = Store(f"sqlite:///{tmp_path}/serving.db")
    campaigns.create(store, raw(), PLATFORMS, "ann")
    yield FakeLive(store)
    store.close()


@pytest.fixture
def seen() -> list[Receipt]:
    return []


@pytest.fixture
def client(live: FakeLive, seen: list[Receipt]) -> TestClient:
    app = FastAPI()
    app.include_router(routes.router(live, changed=live.reload, clock=live.clock, observed=seen.append))
    return TestClient(app)


def take(live: FakeLive, *raws: Any) -> Receipt:
    events = feedback.check(raws, live.campaigns, PLATFORMS, live.experiment, live.now)
    return feedback.ingest(live.store, events, live.now)


def sums(live: FakeLive, name: str = "impressions") -> Any:
    return ledger.totals(live.store, "spring", PLATFORMS).values[name]


def test_every_quantity_may_be_sent_and_is_nothing_where_it_is_not() -> None:
    about = ("event_id", "campaign_id", "arm", "user_id", "platform", "cycle", "timestamp", "requests")
    assert NewEvent.names()[:8] == about
    assert set(NewEvent.names()[8:-3]) == set(QUANTITIES)
    assert NewEvent.names()[-3:] == ("complete", "replaces", "reason")
    assert tuple(EventData.model_fields) == NewEvent.names()[1:]
    assert {name: NewEvent.model_fields[name].default for name in QUANTITIES} == dict.fromkeys(QUANTITIES, 0.0)


def conflict(event_id: str) -> str:
    return (
        f"event_id: {event_id!r} is known with other content; "
        f"send a new event_id that replaces {event_id!r} to correct it"
    )


def test_an_event_is_counted_once_and_other_content_under_its_id_is_a_conflict(live: FakeLive) -> None:
    assert take(live, event("a"), event("b", platform="video"), event("a")) == Receipt(2, 1, 0)
    again = take(live, event("b", impressions=7), event("c"), event("a"), event("c", clicks=2))
    faults = (Fault("b", 0, conflict("b")), Fault("c", 3, conflict("c")))
    assert again == Receipt(1, 1, 0, faults)
    assert again.error == (
        f"events[0].{conflict('b')} (2 of the request's events do not count; "
        "the others are kept: 1 accepted, 1 duplicates)"
    )
    assert sums(live).tolist() == [[[20, 0, 10]], [[0, 0, 0]]]


@pytest.mark.parametrize(
    "change",
    [
        {"spend": 2.25},
        {"requests": 0},
        {"arm": "control"},
        {"platform": "video"},
        {"cycle": 1},
        {"user_id": "u1"},
        {"complete": True},
        {"reason": "late invoice"},
    ],
)
def test_whatever_an_event_says_is_its_content(live: FakeLive, change: dict[str, Any]) -> None:
    take(live, event("a"))
    assert [fault.event_id for fault in take(live, event("a", **change)).conflicts] == ["a"]
    assert sums(live)[0, 0, 0] == 10


def test_a_repetition_is_known_again_by_the_users_hash_and_from_whichever_cycle_it_comes(live: FakeLive) -> None:
    one = event("a", arm=None, user_id="u1", clicks=0.1, reason="r")
    assert take(live, one) == Receipt(1, 0, 0)
    live.now += 3 * DAY
    assert take(live, {**one, "cycle": None, "timestamp": START.isoformat()}) == Receipt(0, 1, 0)


def test_refunds_and_corrections_change_what_the_sums_say(live: FakeLive) -> None:
    take(live, event("a", revenue=50.0, conversions=2, user_id="u1"), event("b", revenue=20.0))
    refund = event("r", impressions=0, spend=0, revenue=-30.0, conversions=-1, reason="returned goods")
    assert take(live, refund) == Receipt(1, 0, 0)
    assert sums(live, "revenue")[0, 0, 0] == 40.0
    assert take(live, event("c", revenue=5.0, spend=1.0, replaces="a", user_id="u1")) == Receipt(1, 0, 0)
    assert (sums(live, "revenue")[0, 0, 0], sums(live, "spend")[0, 0, 0]) == (-5.0, 3.5)
    assert ledger.by_user(live.store, "spring").values["revenue"].tolist() == [5.0]
    assert take(live, event("c", revenue=5.0, spend=1.0, replaces="a", user_id="u1")) == Receipt(0, 1, 0)


def test_a_correction_that_cannot_be_is_told_beside_those_that_count(client: TestClient, live: FakeLive) -> None:
    take(live, event("a"))
    wrong = event("x", replaces="nobody")
    answer = client.post("/feedback", json=[event("b"), wrong, event("a", clicks=3), wrong])
    told = "replaces: 'nobody' is unknown; name an event that was accepted"
    assert answer.status_code == 409
    assert answer.json() == {
        "error": f"events[1].{told} (3 of the request's events do not count; "
        "the others are kept: 1 accepted, 0 duplicates)",
        "accepted": 1,
        "duplicates": 0,
        "late": 0,
        "conflicts": [{"event_id": "a", "index": 2, "error": conflict("a")}],
        "refused": [{"event_id": "x", "index": index, "error": told} for index in (1, 3)],
    }
    assert sums(live).sum() == 20


def test_a_completeness_mark_says_that_nothing_more_comes(client: TestClient, live: FakeLive) -> None:
    mark = {"event_id": "m", "campaign_id": "spring", "arm": "policy", "platform": "video", "cycle": 0}
    assert client.post("/feedback", json=[event("a"), {**mark, "complete": True}]).json()["accepted"] == 2
    assert ledger.known_cells(live.store, "spring", "policy", PLATFORMS) == {(0, 2)}
    assert client.post("/feedback", json=event("b", platform="video")).json()["accepted"] == 1, "what comes counts"
    envelope = {"specversion": "1.0", "id": "m", "source": "//bidder", "type": "t", "data": {**mark, "complete": True}}
    del envelope["data"]["event_id"]
    envelope["data"]["platform"] = "search"
    assert client.post("/feedback", headers=STRUCTURED, json=envelope).json()["accepted"] == 1
    assert ledger.known_cells(live.store, "spring", "policy", PLATFORMS) == {(0, 0), (0, 2)}


def test_totals_by_arm_cycle_and_platform(live: FakeLive) -> None:
    live.now = START + 3.5 * DAY
    take(
        live,
        event("1", cycle=3, arm="control", platform="social", requests=40, clicks=2, conversions=0.5, revenue=7.25),
        event("2", cycle=1, requests=None),
        event("3", cycle=1, spend=0.25),
    )
    found = ledger.totals(live.store, "spring", PLATFORMS, ("control", "policy"))
    assert found.arms == ("control", "policy")
    assert found.values["impressions"].shape == (2, 4, 3)
    cell = {name: table[0, 3, 1] for name, table in found.values.items()}
    told = {"requests": 40, "impressions": 10, "clicks": 2, "conversions": 0.5, "revenue": 7.25, "spend": 2.5}
    assert cell == told
    assert found.values["spend"][1, 1, 0] == 2.75
    assert np.isnan(found.values["requests"][1, 1, 0])
    assert found.values["impressions"].sum() == 30
    assert ledger.totals(live.store, "none", PLATFORMS).values["spend"].shape == (2, 0, 3)


def test_late_and_out_of_order_events_are_counted(live: FakeLive) -> None:
    live.now = START + 5.5 * DAY
    assert take(live, event("now", cycle=5), event("late", cycle=2), event("ahead", cycle=6)) == Receipt(3, 0, 1)
    assert take(live, event("later", cycle=0), event("late", cycle=2)) == Receipt(1, 1, 1)
    assert sums(live)[0, :, 0].tolist() == [10, 0, 10, 0, 0, 10, 10]
    with live.store.read() as connection:
        rows = connection.exec_driver_sql("SELECT event_id, known FROM events").all()
    assert dict(map(tuple, rows)) == {"now": 5, "late": 5, "ahead": 6, "later": 5}


def test_any_order_gives_the_same_sums(live: FakeLive, tmp_path: Path) -> None:
    live.now = START + 9.5 * DAY
    events = [event(str(n), cycle=n % 10, platform=PLATFORMS[n % 3], spend=n / 7, clicks=n) for n in range(40)]
    take(live, *events)
    for number, order in enumerate((events[::-1], events[1::2] + events[::2] + events[:9])):
        other = FakeLive(Store(f"sqlite:///{tmp_path}/{number}.db"), live.now)
        other.campaigns = live.campaigns
        take(other, *order[:7])
        take(other, *order[5:])
        for name in ("spend", "clicks"):
            np.testing.assert_allclose(sums(other, name), sums(live, name), rtol=1e-12)
        other.store.close()
    assert sums(live, "clicks").sum() == sum(range(40))


def test_a_timestamp_gives_the_cycle(live: FakeLive) -> None:
    live.now = START + 4.5 * DAY
    moments = ["2026-01-05T00:00:00Z", "2026-01-07T23:59:59.999999+00:00", "2026-01-08T00:30:00+01:00"]
    take(live, *(event(str(n), cycle=None, timestamp=moment) for n, moment in enumerate(moments)))
    assert sums(live)[0, :, 0].tolist() == [10, 0, 20]


def test_a_user_gets_the_experiments_arm_and_is_not_kept(live: FakeLive, tmp_path: Path) -> None:
    users = [f"user-{n}@example.org" for n in range(200)]
    take(live, *(event(user, event_id=str(n), arm=None, user_id=user) for n, user in enumerate(users)))
    control = [user for user in users if live.experiment.arm(user) == "control"]
    assert 30 < len(control) < 90
    assert sums(live).sum((1, 2)).tolist() == [10 * (200 - len(control)), 10 * len(control)]
    found = ledger.by_user(live.store, "spring")
    assert {user for arm, user in zip(found.arm_U, found.user_U, strict=True) if arm == "control"} == {
        hashed(user, "salt") for user in control
    }
    assert found.values["spend"].tolist() == [2.5] * 200
    live.store.close()
    assert all(b"example.org" not in file.read_bytes() for file in tmp_path.iterdir())


def test_a_told_arm_stands_beside_a_user(live: FakeLive) -> None:
    user = next(f"u{n}" for n in range(100) if live.experiment.arm(f"u{n}") == "control")
    take(live, event("1", arm="policy", user_id=user), event("2", arm="policy", user_id=user, clicks=3), event("3"))
    found = ledger.by_user(live.store)
    assert (found.arm_U, found.user_U) == (["policy"], [hashed(user, "salt")])
    assert found.values["clicks"].tolist() == [3]


REFUSED: list[tuple[Any, str]] = [
    (3, r"event: 3; send an object with event_id"),
    ({}, r"event_id: missing; give 1 to 200"),
    (event("x" * 201), r"event_id: 'x+\.\.\.; give 1 to 200"),
    (event("a\x00"), r"event_id: 'a\\x00'; give"),
    (event(""), r"event_id: ''; give"),
    (event("a", event_id=5), r"event_id: 5; give"),
    (event("a", campaign_id="autumn"), r"campaign_id: 'autumn' is unknown; known: spring"),
    (event("a", campaign_id=None), r"campaign_id: missing"),
    (event("a", platform="radio"), r"platform: 'radio' is unknown; use search, social, video"),
    (event("a", platform=["search"]), r"platform: an array; give"),
    (event("a", arm="both"), r"arm: 'both'; use policy, control"),
    (event("a", arm=["policy"]), r"arm: an array; use policy"),
    (event("a", arm=None), r"arm: missing; give one of policy, control, or a user_id"),
    (event("a", arm=None, user_id=""), r"user_id: ''; send"),
    (event("a", user_id=7), r"user_id: 7; send"),
    (event("a", cycle=None), r"cycle: missing; give the impressions' cycle"),
    (event("a", cycle=1.0), r"cycle: 1.0; give the impressions' cycle, a whole number"),
    (event("a", cycle=True), r"cycle: True; give"),
    (event("a", cycle=-1), r"cycle: -1 is before the start"),
    (event("a", cycle=2), r"cycle: 2 is ahead, cycle 0 of 'spring' runs; mend it"),
    (event("a", timestamp="2026-01-05T00:00:00Z"), r"timestamp: '2026.* beside cycle 0; give one of them"),
    (event("a", cycle=None, timestamp="2026-01-05"), r"timestamp: '2026-01-05' has no zone; add Z"),
    (event("a", cycle=None, timestamp=1736035200), r"timestamp: 1736035200; give a time"),
    (event("a", cycle=None, timestamp="2026-01-04T23:59:59Z"), r"timestamp: '2026-01-04.*' is before the start"),
    (event("a", cycle=None, timestamp="2027-01-04T00:00:00Z"), r"timestamp: '2027-.*' is ahead, cycle 0"),
    (event("a", impressions=float("nan")), r"impressions: nan; give a number from 0 to 1e\+15"),
    (event("a", spend=float("inf")), r"spend: inf; give a number"),
    (event("a", clicks=-1), r"clicks: -1; give a number"),
    (event("a", conversions=True), r"conversions: True; give a number"),
    (event("a", revenue="5"), r"revenue: '5'; give a number"),
    (event("a", requests=-2), r"requests: -2; give a number"),
    (event("a", clicks=None), r"clicks: missing; give a number"),
    (event("a", spend=10**400), r"spend: a number too large; give"),
    (event("a", requests=-2, clicks=-1, spend=-0.5), r"requests: -2; give a number from 0 to 1e\+15, or below 0 with"),
    (event("a", reason=""), r"reason: ''; give text of 1 to 1,000 characters"),
    (event("a", reason="x\x00"), r"reason: 'x\\x00'; give text"),
    (event("a", complete=1), r"complete: 1; give true or false"),
    (event("a", replaces=""), r"replaces: ''; give 1 to 200 printable characters"),
    (event("a", replaces="a"), r"replaces: 'a' is the event itself; give the correction its own id"),
    (event("a", spend=-1e16, reason="r"), r"spend: -1e\+16; give a number"),
    (event("a", cost=1), r"cost: unknown field; use event_id, campaign_id"),
]


@pytest.mark.parametrize(("bad", "message"), REFUSED)
def test_a_bad_event_refuses_the_request(live: FakeLive, bad: Any, message: str) -> None:
    with pytest.raises(FeedbackError, match=rf"^events\[1\]\.{message}"):
        take(live, event("good"), bad)
    assert sums(live).size == 0


def test_a_request_has_its_limits(live: FakeLive) -> None:
    with pytest.raises(FeedbackError, match="events: none; send at least one"):
        take(live)
    with pytest.raises(FeedbackError, match="events: 10,001 in a request; send at most 10,000"):
        take(live, *(event(str(n)) for n in range(10_001)))
    assert take(live, *(event(str(n)) for n in range(10_000))).accepted == 10_000


def test_plain_json_over_http(client: TestClient, live: FakeLive, seen: list[Receipt]) -> None:
    good = {"conflicts": [], "refused": []}
    assert client.post("/feedback", json=event("a")).json() == {"accepted": 1, "duplicates": 0, "late": 0, **good}
    answer = client.post("/feedback", json=[event("a"), event("b")])
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "duplicates": 1, "late": 0, **good})
    assert seen == [Receipt(1, 0, 0), Receipt(1, 1, 0)]
    assert sums(live).sum() == 20


def fields(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in event("", **changes).items() if key != "event_id"}


def cloud(event_id: str, source: str = "//bidder/eu", **changes: Any) -> CloudEvent:
    attributes = {"id": event_id, "source": source, "type": "org.crossmix.outcome"}
    if "time" in changes:
        attributes["time"] = changes.pop("time")
    return CloudEvent(attributes, fields(**changes))


def test_cloud_events_in_each_mode(client: TestClient, live: FakeLive) -> None:
    headers, body = to_structured(cloud("é 1"))
    assert client.post("/feedback", headers=headers, content=body).json()["accepted"] == 1
    headers, body = to_binary(cloud("2"))
    assert client.post("/feedback", headers=headers, content=body).json()["accepted"] == 1
    batch = [json.loads(to_structured(cloud(name))[1]) for name in ("é 1", "2", "3")]
    kind = {"content-type": "application/cloudevents-batch+json; charset=utf-8"}
    answer = client.post("/feedback", headers=kind, json=batch)
    assert answer.json() == {"accepted": 1, "duplicates": 2, "late": 0, "conflicts": [], "refused": []}
    batch[1]["data"]["impressions"] = 11
    answer = client.post("/feedback", headers=kind, json=batch)
    assert (answer.status_code, answer.json()["duplicates"]) == (409, 2)
    told = {"event_id": "//bidder/eu 2", "index": 1, "error": conflict("//bidder/eu 2")}
    assert answer.json()["conflicts"] == [told]
    headers, body = to_structured(cloud("2", source="//bidder/us"))
    assert client.post("/feedback", headers=headers, content=body).json()["accepted"] == 1
    assert sums(live).sum() == 40


def test_ids_in_headers_are_unquoted_and_percent_decoded(client: TestClient, live: FakeLive) -> None:
    """One event, however its id and source are written, in binary and in structured mode, is counted once."""
    data = {key: value for key, value in event("x").items() if key != "event_id"}
    headers = {"ce-specversion": "1.0", "ce-type": "delivery", "content-type": "application/json"}
    written = (
        ("%C3%A9%201", "//bidder/%E2%82%AC"),
        ('"%C3%A9 1"', '"//bidder/%E2%82%AC"'),
        (b'"\xc3\xa9 \\1"', "//bidder/\u20ac".encode()),
    )
    for number, (name, source) in enumerate(written):
        answer = client.post("/feedback", headers={**headers, "ce-id": name, "ce-source": source}, json=data)  # type: ignore[dict-item]
        receipt = {"accepted": int(number == 0), "duplicates": int(number > 0), "late": 0}
        assert answer.json() == {**receipt, "conflicts": [], "refused": []}
    envelope = {"specversion": "1.0", "type": "delivery", "id": "\u00e9 1", "source": "//bidder/\u20ac"}
    encoded = base64.b64encode(json.dumps(data).encode()).decode()
    for one in ({**envelope, "data": data}, {**envelope, "data_base64": encoded}):
        assert client.post("/feedback", headers=STRUCTURED, json=one).json()["duplicates"] == 1
    batch = [{**envelope, "data_base64": encoded}, {**envelope, "id": "2", "data_base64": encoded}]
    kind = {"content-type": "application/cloudevents-batch+json"}
    receipt = {"accepted": 1, "duplicates": 1, "late": 0, "conflicts": [], "refused": []}
    assert client.post("/feedback", headers=kind, json=batch).json() == receipt


def test_a_cloud_events_time_is_its_timestamp(client: TestClient, live: FakeLive) -> None:
    live.now = START + 4.5 * DAY
    for number, changes in enumerate(({"cycle": None}, {"cycle": 3})):
        one = cloud(str(number), time="2026-01-06T12:00:00Z", **changes)
        envelope = json.loads(to_structured(one)[1])
        envelope["data"] = {key: value for key, value in envelope["data"].items() if value is not None}
        headers = {"content-type": "application/cloudevents+json"}
        assert client.post("/feedback", headers=headers, json=envelope).status_code == 200
    assert sums(live)[0, :, 0].tolist() == [0, 10, 0, 10]


STRUCTURED = {"content-type": "application/cloudevents+json"}


@pytest.mark.parametrize(
    ("headers", "body", "status", "message"),
    [
        ({}, b"", 400, "body: not JSON"),
        ({}, b"{nope", 400, "body: not JSON"),
        ({}, b"\xff", 400, "body: not JSON"),
        ({}, b"[" * 200_000, 400, "body: "),
        ({}, b"null", 422, "events[0].event: missing; send an object"),
        ({}, b"[]", 422, "events: none"),
        ({}, b'{"\\ud800": 1}', 400, "body: not JSON (half of a surrogate pair is no UTF-8)"),
        ({"ce-specversion": "1.0", "ce-id": "%FF"}, b"{}", 400, "ce-id: not UTF-8"),
        (STRUCTURED, b'{"data_base64": "*"}', 400, "events[0].data_base64: not base64"),
        (STRUCTURED, b"[]", 422, "events[0]: an array; send a CloudEvent"),
        (STRUCTURED, b"{}", 422, "events[0].specversion: missing; send CloudEvents 1.0"),
        (STRUCTURED, b'{"specversion": "1.0", "source": "s", "type": "t"}', 422, "events[0].id: missing"),
        (
            STRUCTURED,
            b'{"specversion": "1.0", "id": "1", "source": "a b", "type": "t"}',
            422,
            "events[0].source: 'a b'",
        ),
        (STRUCTURED, b'{"specversion": "1.0", "id": "1", "source": "s", "type": "t"}', 422, "events[0].data: missing"),
        ({"content-type": "application/cloudevents-batch+json"}, b"{}", 422, "body: an object; send an array"),
        ({"ce-specversion": "0.3"}, b"{}", 422, "events[0].specversion: '0.3'"),
    ],
)
def test_bad_bodies_over_http(
    client: TestClient, headers: dict[str, str], body: bytes, status: int, message: str
) -> None:
    answer = client.post("/feedback", headers=headers, content=body)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert message in answer.json()["error"]


def test_a_campaign_that_another_replica_made_is_found(client: TestClient, live: FakeLive) -> None:
    campaigns.create(live.store, raw("autumn"), PLATFORMS, "ann")
    assert "autumn" not in live.campaigns
    assert client.post("/feedback", json=event("a", campaign_id="autumn")).status_code == 200


def test_a_locked_database_is_503_and_nothing_is_kept(
    client: TestClient, live: FakeLive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sqlite3.connect(tmp_path / "serving.db", isolation_level=None)
    with live.store.read() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=50")
        other.execute("BEGIN IMMEDIATE")
    answer = client.post("/feedback", json=event("a"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "locked" in answer.json()["error"]
    other.execute("ROLLBACK")
    other.close()
    assert sums(live).size == 0
    assert client.post("/feedback", json=event("a")).json()["accepted"] == 1


def test_clients_that_send_the_same_events_at_once(client: TestClient, live: FakeLive) -> None:
    receipts: list[dict[str, int]] = []

    def send(order: int) -> None:
        events = [event(str(n)) for n in range(50)][::order]
        receipts.extend(client.post("/feedback", json=events[start : start + 10]).json() for start in range(0, 50, 10))

    threads = [threading.Thread(target=send, args=(order,)) for order in (1, -1, 1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(receipt["accepted"] for receipt in receipts) == 50
    assert sum(receipt["duplicates"] for receipt in receipts) == 150
    assert sums(live).sum() == 500
