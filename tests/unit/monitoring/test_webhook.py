"""The webhook: a code for everything that can be sent, one run for a flood, nothing kept that was not acknowledged."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossmix.config import Webhook
from crossmix.ledger import alerts as ledger
from crossmix.ledger import runs, tables
from crossmix.ledger.store import StoreAwayError
from monitoring import signed
from monitoring.alerts import MEDIA, body_of
from monitoring.webhook import Bucket, application
from tests.support.webhooks import OTHER, SECRET, TOKEN, WALL, Hook, alert, event, firing, group, pairs

MANY = Webhook(per_minute=100_000, waiting=1_000)


@pytest.fixture
def hook(database: str, tmp_path: Path) -> Hook:
    return Hook(tmp_path, database)


def test_a_new_alert_opens_a_run_and_starts_it(hook: Hook) -> None:
    answer = hook.post(event())
    run_id = ledger.run_of(alert().alert_id)
    assert (answer.status, answer.content) == (202, {"outcome": "run", "run_id": run_id, "reason": None})
    assert hook.launcher.calls == [run_id]
    assert hook.launcher.specs[run_id] == {
        "campaign_id": "*",
        "at": "2026-01-05T00:00:00+00:00",
        "alert": event() | {"time": "2026-01-05T00:00:00Z"},
    }
    (run,) = runs.newest(hook.store)
    assert (run.state, run.started_id, run.claimed) == ("started", f"job-{run_id}", hook.market())


def test_a_replay_is_a_duplicate(hook: Hook) -> None:
    hook.post(event())
    answer = hook.post(event())
    assert answer.status == 200
    assert answer.content["outcome"] == "duplicate"
    assert answer.content["reason"] == "this alert was taken before"
    assert answer.content["run_id"] == ledger.run_of(alert().alert_id)
    assert len(hook.launcher.calls) == 1


def test_an_alert_raised_in_the_same_database_is_no_duplicate(hook: Hook) -> None:
    assert ledger.raise_alert(hook.store, alert().notice("/crossmix/monitor"), ["ops"], WALL)
    assert hook.post(event()).status == 202
    sides = {one.side: one.outcome for one in ledger.newest(hook.store)}
    assert sides == {"raised": None, "accepted": "run"}


def test_another_alert_of_a_campaign_finds_its_run_open_and_then_the_cooldown(hook: Hook) -> None:
    first = hook.post(event()).content["run_id"]
    second = hook.post(event(cycle=8))
    assert (second.status, second.content["outcome"], second.content["run_id"]) == (200, "open", first)
    hook.launcher.states[first] = "succeeded"
    hook.starter.round()
    hook.market.advance(timedelta(hours=23.9))
    third = hook.post(event(cycle=9))
    assert (third.status, third.content["outcome"], third.content["run_id"]) == (200, "cooldown", first)
    hook.market.advance(timedelta(hours=0.1))
    assert hook.post(event(cycle=10)).status == 202
    assert [run.state for run in runs.newest(hook.store)] == ["started", "succeeded"]


def test_the_cooldown_is_of_the_markets_time_and_not_of_the_walls(hook: Hook) -> None:
    run_id = hook.post(event()).content["run_id"]
    hook.launcher.states[run_id] = "failed"
    hook.starter.round()
    hook.wall.advance(timedelta(days=30))
    assert hook.post(event(cycle=8)).content["outcome"] == "cooldown"


def test_a_market_clock_that_is_set_back_holds_nobody_up(hook: Hook) -> None:
    run_id = hook.post(event()).content["run_id"]
    hook.launcher.states[run_id] = "succeeded"
    hook.starter.round()
    hook.market.advance(timedelta(days=-40))
    assert hook.post(event(cycle=1)).content["outcome"] == "run"


def test_campaigns_that_alarm_alike_have_one_run_together(on_either: str, tmp_path: Path) -> None:
    hook = Hook(tmp_path, on_either)
    first = hook.post(event(campaign_id="spring")).content
    assert first["outcome"] == "run"
    for campaign in ("summer", "autumn", "*"):
        answer = hook.post(event(campaign_id=campaign))
        assert (answer.status, answer.content["outcome"], answer.content["run_id"]) == (200, "open", first["run_id"])
        assert answer.content["reason"] == "a run is open, and runs are of all campaigns"
    assert (hook.launcher.calls, [run.campaign_id for run in runs.newest(hook.store)]) == ([first["run_id"]], ["*"])
    kept = {one.notice.campaign_id: one.run_id for one in ledger.newest(hook.store)}
    assert kept == dict.fromkeys(("spring", "summer", "autumn", "*"), first["run_id"])
    hook.launcher.states[first["run_id"]] = "succeeded"
    hook.starter.round()
    late = hook.post(event(campaign_id="winter", cause="value")).content
    assert (late["outcome"], late["run_id"]) == ("cooldown", first["run_id"])
    hook.market.advance(timedelta(hours=24))
    mine = hook.post(event(campaign_id="summer", cycle=9)).content
    assert mine["outcome"] == "run"
    assert hook.launcher.calls == [first["run_id"], mine["run_id"]]


def test_a_run_of_before_that_was_of_one_campaign_is_found_open(hook: Hook) -> None:
    run_id = hook.post(event()).content["run_id"]
    with hook.store.write() as connection:
        connection.execute(tables.runs.update().values(campaign_id="spring"))
    assert hook.post(event(campaign_id="summer")).content["run_id"] == run_id
    assert len(runs.newest(hook.store)) == 1


def test_what_only_informs_is_noted(hook: Hook) -> None:
    answer = hook.post(event(severity="info", cause="roi"))
    assert (answer.status, answer.content["outcome"], answer.content["run_id"]) == (202, "noted", None)
    assert hook.launcher.calls == []


@pytest.mark.slow
def test_a_flood_gives_one_run(on_either: str, tmp_path: Path) -> None:
    hook = Hook(tmp_path, on_either, MANY)
    statuses = [answer.status for answer in hook.flood(event(cycle=number) for number in range(1_000))]
    assert sorted(statuses) == [200] * 999 + [202]
    assert hook.launcher.begun == len(runs.newest(hook.store)) == 1


def test_too_many_of_our_own_senders_come_again_later(database: str, tmp_path: Path) -> None:
    hook = Hook(tmp_path, database, Webhook(per_minute=60))
    answers = [hook.post(event(cycle=number)) for number in range(62)]
    assert [answer.status for answer in answers] == [202] + [200] * 59 + [429] * 2
    assert answers[-1].headers["retry-after"] == "2"
    hook.seconds += 2.0
    assert [hook.post(event(cycle=number)).status for number in (60, 61, 62)] == [200, 200, 429]
    assert hook.group(firing()).status == 200  # a run is open; never 429
    wrong = hook.post(event(cycle=63), OTHER)
    assert wrong.status == 401  # whose signature is wrong learns nothing of it


def test_a_bucket_fills_up_no_further_than_its_brim() -> None:
    now = [0.0]
    bucket = Bucket(60, lambda: now[0])
    now[0] = 3_600.0
    assert [bucket.wait() for _ in range(61)] == [0.0] * 60 + [1.0]


def _unsigned(hook: Hook) -> int:
    return hook.ask("POST", "/alerts", [(b"content-type", MEDIA.encode())], body_of(event())).status


REFUSED: dict[str, tuple[int, Callable[[Hook], int]]] = {
    "signed with another key": (401, lambda hook: hook.post(event(), OTHER).status),
    "not signed": (401, _unsigned),
    "a signature of an unknown version": (401, lambda hook: hook.post(event(), webhook_signature="v9,AAAA").status),
    "a signature of another body": (
        401,
        lambda hook: hook.ask("POST", "/alerts", pairs(b"{}", SECRET, int(WALL.timestamp())), body_of(event())).status,
    ),
    "a signature of another id": (401, lambda hook: hook.post(event(), webhook_id="message-2").status),
    "stale": (401, lambda hook: hook.post(event(), off=-301).status),
    "of the future": (401, lambda hook: hook.post(event(), off=301).status),
    "an id with a blank": (400, lambda hook: hook.post(event(), webhook_id="a b").status),
    "an id that is too long": (400, lambda hook: hook.post(event(), webhook_id="a" * 201).status),
    "an id that is no ASCII": (400, lambda hook: hook.post(event(), webhook_id="\xfc").status),
    "a time that is no number": (400, lambda hook: hook.post(event(), webhook_timestamp="noon").status),
    "a time below 0": (400, lambda hook: hook.post(event(), webhook_timestamp="-1").status),
    "a time that is too long": (400, lambda hook: hook.post(event(), webhook_timestamp="9" * 400).status),
    "a signature that is no base64": (400, lambda hook: hook.post(event(), webhook_signature="v1,***").status),
    "a signature without a version": (400, lambda hook: hook.post(event(), webhook_signature="QUFB").status),
    "an empty signature": (400, lambda hook: hook.post(event(), webhook_signature="").status),
    "a hundred signatures": (
        400,
        lambda hook: hook.post(event(), webhook_signature=" ".join(["v1,AAAA"] * 100)).status,
    ),
    "another media type": (415, lambda hook: hook.post(event(), content_type="application/json").status),
    "no media type": (415, lambda hook: hook.post(event(), content_type="").status),
    "compressed": (415, lambda hook: hook.post(event(), content_encoding="gzip").status),
    "a body that is no JSON": (400, lambda hook: hook.post(b"{").status),
    "a body that is no UTF-8": (400, lambda hook: hook.post(b'{"id": "\xff"}').status),
    "an empty body": (400, lambda hook: hook.post(b"").status),
    "NaN": (400, lambda hook: hook.post(body_of(event()).replace(b'"z":null', b'"z":NaN')).status),
    "infinity": (400, lambda hook: hook.post(body_of(event()).replace(b'"z":null', b'"z":1e999')).status),
    "nested too deep": (400, lambda hook: hook.post(b"[" * 100_000).status),
    "half a surrogate pair": (400, lambda hook: hook.post(body_of(event()).replace(b"spring", b"\\ud800")).status),
    "a NUL character": (400, lambda hook: hook.post(body_of(event()).replace(b"spring", b"\\u0000")).status),
    "a list": (400, lambda hook: hook.post(b"[]").status),
    "without a subject": (400, lambda hook: hook.post(event() | {"subject": ""}).status),
    "another type": (400, lambda hook: hook.post(event() | {"type": "com.example.other"}).status),
    "another version of CloudEvents": (400, lambda hook: hook.post(event() | {"specversion": "0.3"}).status),
    "a cycle beyond an integer": (400, lambda hook: hook.post(event() | {"cycle": 2**31}).status),
    "a severity that is none": (400, lambda hook: hook.post(event() | {"severity": "loud"}).status),
    "told to be too large": (413, lambda hook: hook.post(event(), content_length="9999999").status),
    "a length of 400 digits": (413, lambda hook: hook.post(event(), content_length="9" * 400).status),
    "another method": (405, lambda hook: hook.ask("PUT", "/alerts", [], b"").status),
    "another path": (404, lambda hook: hook.ask("POST", "/nowhere", [], b"").status),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_taken_is_refused_and_not_kept(hook: Hook, what: str) -> None:
    status, send = REFUSED[what]
    assert send(hook) == status
    assert ledger.newest(hook.store) == []
    assert runs.newest(hook.store) == []
    assert hook.launcher.calls == []


def test_the_windows_edges_are_within_it(hook: Hook) -> None:
    assert hook.post(event(), off=-300).status == 202
    assert hook.post(event(), off=300).status == 200


def test_a_header_that_is_there_twice_is_malformed(hook: Hook) -> None:
    body = body_of(event())
    headers = pairs(body, SECRET, int(WALL.timestamp()))
    for name in (b"webhook-id", b"webhook-timestamp", b"webhook-signature"):
        twice = [*headers, (name, dict(headers)[name])]
        assert hook.ask("POST", "/alerts", twice, body).status == 400


def test_size_comes_before_media_type_before_signature_before_the_body(database: str, tmp_path: Path) -> None:
    hook = Hook(tmp_path, database, Webhook(largest_body=2_000))
    large, wrong = b"x" * 2_001, {"content_type": "text/plain", "webhook_signature": "v1,AAAA"}
    assert hook.post(large, OTHER, **wrong).status == 413
    assert hook.post(large[1:], OTHER, **wrong).status == 415
    assert hook.post(large[1:], OTHER).status == 401
    assert hook.post(large[1:], off=-301).status == 401
    assert hook.post(large[1:]).status == 400


def test_a_body_of_unknown_length_is_cut_off_at_the_bound(database: str, tmp_path: Path) -> None:
    hook = Hook(tmp_path, database, Webhook(largest_body=2_000))
    body = b"x" * 3_000
    assert hook.ask("POST", "/alerts", pairs(body, SECRET, int(WALL.timestamp())), body, pieces=3).status == 413
    body = body_of(event())
    assert hook.ask("POST", "/alerts", pairs(body, SECRET, int(WALL.timestamp())), body, pieces=3).status == 202


def test_keys_rotate_without_a_gap(hook: Hook) -> None:
    body, at = body_of(event()), int(WALL.timestamp())
    both = signed.sign([signed.key_of(OTHER), signed.key_of(SECRET)], "message-1", at, body)
    assert hook.post(event(), OTHER, **{"webhook_signature": both["webhook-signature"]}).status == 202  # sender first
    hook.write(hook.secret_file, (OTHER, SECRET))
    assert hook.post(event(cycle=8), SECRET).status == hook.post(event(cycle=9), OTHER).status == 200
    hook.write(hook.secret_file, (OTHER,))
    assert hook.post(event(cycle=10), OTHER).status == 200
    assert hook.post(event(cycle=11), SECRET).status == 401


def test_a_broken_file_of_keys_leaves_those_of_before(hook: Hook) -> None:
    hook.write(hook.secret_file, ("whsec_short",))
    assert hook.post(event()).status == 202
    assert hook.intake.keys.trouble is not None
    assert "whsec_short" not in hook.intake.keys.trouble


def test_a_database_that_is_away_is_503_and_nothing_is_lost(hook: Hook) -> None:
    hook.away = StoreAwayError("database: connection refused")
    for answer in (hook.post(event()), hook.group(firing()), hook.get("/alerts"), hook.get("/runs")):
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert answer.content == {"error": "database: connection refused"}
    assert hook.get("/healthz").status == 200
    hook.away = None
    assert hook.post(event()).status == 202


def test_beyond_the_waiting_it_is_503(database: str, tmp_path: Path) -> None:
    hook = Hook(tmp_path, database, Webhook(waiting=1))
    inner: list[int] = []
    hook.meanwhile = lambda: inner.append(hook.post(event(cycle=9)).status)
    assert hook.post(event()).status == 202
    assert inner == [503]


def test_alertmanagers_group_opens_runs_and_resolved_ones_count_for_nothing(hook: Hook) -> None:
    resolved = firing("5eed", campaign="summer") | {"status": "resolved", "endsAt": "2026-01-05T01:00:00Z"}
    answer = hook.group(firing(), resolved)
    assert answer.status == 202
    assert answer.content["resolved"] == 1
    assert [one["outcome"] for one in answer.content["alerts"]] == ["run"]
    (kept,) = ledger.newest(hook.store)
    assert (kept.notice.campaign_id, kept.notice.cause, kept.notice.severity) == ("spring", "NoFeedback", "warning")


def test_alertmanager_tells_the_same_again_and_again(hook: Hook) -> None:
    assert [hook.group(firing()).status for _ in range(3)] == [202, 200, 200]
    assert hook.group(firing(starts="2026-01-05T00:10:00.500+00:00")).content["alerts"][0]["outcome"] == "duplicate"
    assert hook.group(firing(starts="2026-01-06T00:10:00Z")).content["alerts"][0]["outcome"] == "open"
    assert hook.group(firing("beef")).content["alerts"][0]["outcome"] == "open"
    twice = hook.group(firing("f00d", campaign="summer"), firing("f00d", campaign="summer"))
    assert [one["outcome"] for one in twice.content["alerts"]] == ["open", "duplicate"]
    assert len(hook.launcher.calls) == 1


def test_alertmanager_is_never_turned_away(database: str, tmp_path: Path) -> None:
    hook = Hook(tmp_path, database, Webhook(per_minute=1))
    statuses = {hook.group(firing(f"{number:x}")).status for number in range(50)}
    assert statuses == {200, 202}
    assert hook.launcher.begun == 1


def test_an_alert_without_a_campaign_is_about_all(hook: Hook) -> None:
    alert = firing()
    del alert["labels"]["campaign"]
    assert hook.group(alert).status == 202
    (run,) = runs.newest(hook.store)
    assert run.campaign_id == "*"


def test_a_group_of_resolved_ones_or_of_none_is_fine(hook: Hook) -> None:
    assert hook.group(firing() | {"status": "resolved"}).status == 200
    assert hook.group().status == 200
    assert ledger.newest(hook.store) == []


def test_what_alertmanager_must_not_send(hook: Hook) -> None:
    assert hook.group(firing(), token=None).status == 401
    assert hook.group(firing(), token="another-token-of-somebody").status == 401
    assert hook.group(firing(), version="3").status == 400
    assert hook.group(firing() | {"startsAt": "yesterday"}).status == 400
    assert hook.group(firing() | {"labels": {"alertname": "a\x00b"}}).status == 400
    body = json.dumps(group(firing())).encode()
    headers = [(b"content-type", b"text/plain"), (b"authorization", f"Bearer {TOKEN}".encode())]
    assert hook.ask("POST", "/alertmanager", headers, body).status == 415
    assert hook.ask("POST", "/alertmanager", [*headers[1:], (b"content-length", b"9999999")], body).status == 413
    twice = [(b"content-type", b"application/json"), headers[1], headers[1]]
    assert hook.ask("POST", "/alertmanager", twice, body).status == 401
    assert ledger.newest(hook.store) == []


def test_without_a_token_alertmanager_is_refused_and_reading_is_local(database: str, tmp_path: Path) -> None:
    hook = Hook(tmp_path, database, tokens=())
    assert hook.group(firing()).status == 401
    assert [hook.get(path, None).status for path in ("/alerts", "/runs", "/metrics", "/healthz")] == [200] * 4
    assert hook.get("/runs", None, host="[::1]:8090").status == 200
    assert hook.get("/runs", None, host="evil.example").status == 403


def test_with_tokens_readers_need_one(hook: Hook) -> None:
    assert [hook.get(path, None).status for path in ("/alerts", "/runs", "/metrics", "/healthz")] == [401] * 3 + [200]
    assert hook.get("/runs", None).headers["www-authenticate"] == 'Bearer realm="crossmix"'
    assert hook.get("/runs", host="evil.example").status == 200


def test_what_was_taken_can_be_read(hook: Hook) -> None:
    hook.post(event())
    hook.post(event(cycle=8))
    (run,) = hook.get("/runs").content["runs"]
    assert (run["campaign_id"], run["state"], run["attempts"]) == ("*", "started", 1)
    alerts = hook.get("/alerts").content["alerts"]
    assert {(one["cycle"], one["outcome"], one["run_id"]) for one in alerts} == {
        (7, "run", run["run_id"]),
        (8, "open", run["run_id"]),
    }
    text = hook.get("/metrics").body.decode()
    assert 'crossmix_webhook_requests_total{path="/alerts",status="202"}' in text
    assert 'crossmix_runs_open{state="started"}' in text


def test_health_tells_what_is_missing(hook: Hook) -> None:
    assert hook.get("/healthz", None).content == {"status": "alive", "degraded": []}
    intake = replace(hook.intake, troubles=lambda: [{"what": "launcher", "why": "none is configured"}])
    hook.app = application(intake)
    assert hook.get("/healthz", None).content["degraded"] == [{"what": "launcher", "why": "none is configured"}]


NAMES = st.sampled_from(
    [
        b"webhook-id",
        b"webhook-timestamp",
        b"webhook-signature",
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"authorization",
        b"host",
        b"transfer-encoding",
        b"expect",
    ]
)
VALUES = st.binary(max_size=60) | st.sampled_from(
    [
        MEDIA.encode(),
        b"application/json",
        b"v1,AAAA",
        b"v1,",
        b"1811851200",
        b"Bearer " + TOKEN.encode(),
        b"-1",
        b"\xff",
    ]
)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
SLOWLY = settings(
    max_examples=80,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@SLOWLY
@given(
    path=st.sampled_from(["/alerts", "/alertmanager"]),
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=8),
    body=st.binary(max_size=80),
)
def test_no_header_and_no_bytes_are_a_fault(hook: Hook, path: str, headers: Any, body: bytes) -> None:
    assert 400 <= hook.ask("POST", path, headers, body).status < 500


@SLOWLY
@given(change=st.dictionaries(st.sampled_from(sorted(event())), JSONS, max_size=4), data=JSONS | st.just(...))
def test_no_signed_content_is_a_fault(hook: Hook, change: dict[str, Any], data: Any) -> None:
    content = event() | change | ({} if data is ... else {"data": data})
    answer = hook.post(json.dumps(content).encode())
    assert answer.status in (200, 202, 400, 429), answer.content


@SLOWLY
@given(change=st.dictionaries(st.sampled_from(sorted(firing())), JSONS, max_size=3), more=JSONS)
def test_no_group_of_alertmanagers_is_a_fault(hook: Hook, change: dict[str, Any], more: Any) -> None:
    answer = hook.group(firing() | change, firing("more", summary=str(more)[:50]), groupLabels=more)
    assert answer.status in (200, 202, 400), answer.content
