"""Delivery until it is acknowledged, with pauses; what will never work is parked and told; all arrive once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crossmix.clock import MemoryClock
from crossmix.config import Alerts, Target, Webhook, load
from crossmix.ledger import outbox as ledger
from crossmix.ledger.store import Store, StoreAwayError
from crossmix.ledger.tables import outbox
from monitoring.monitors import look
from monitoring.outbox import Answer, AwayError, Courier, loops, over_http, raise_alert
from monitoring.targets import Destination
from tests.support.webhooks import MARKET, SECRET, WALL, Hook, alert

SETTINGS = Alerts(targets={"ops": {}}, first_retry=2.0, longest_retry=60.0)


class Bench:
    """A courier whose target says what a test wants."""

    def __init__(self, url: str, folder: Path) -> None:
        (folder / "key").write_text(SECRET)
        (folder / "key").chmod(0o600)
        self.wall, self.store = MemoryClock(WALL), Store(url, MemoryClock(MARKET))
        self.destination = Destination("ops", Target(url="http://127.0.0.1:9/alerts", secret_file=str(folder / "key")))
        self.answers: list[Answer | Exception] = []
        self.sent: list[tuple[float, Mapping[str, str], bytes]] = []
        self.courier = self.another()

    def another(self) -> Courier:
        return Courier(
            lambda: self.store, self.destination, SETTINGS, post=self.post, now=self.wall, chance=lambda: 1.0
        )

    def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
        self.sent.append(((self.wall() - WALL).total_seconds(), headers, body))
        answer = self.answers.pop(0) if self.answers else Answer(202)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def raised(self, **more: Any) -> None:
        assert raise_alert(self.store, alert(**more), SETTINGS, self.wall)

    def pass_by(self, seconds: int) -> None:
        for _ in range(seconds):
            self.courier.round()
            self.wall.advance(timedelta(seconds=1))

    def times(self) -> list[float]:
        return [at for at, _, _ in self.sent]


@pytest.fixture
def bench(database: str, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(database, tmp_path)
    yield made
    made.store.close()


def test_an_alert_is_sent_once_and_raised_once(bench: Bench) -> None:
    bench.raised()
    assert not raise_alert(bench.store, alert(z=5.0), SETTINGS, bench.wall)
    bench.pass_by(5)
    assert bench.times() == [0.0]
    assert ledger.undelivered(bench.store) == []


def test_pauses_double_up_to_the_longest_and_the_same_is_signed_anew(bench: Bench) -> None:
    bench.raised()
    bench.answers = [AwayError("no answer (ConnectError)")] * 3 + [Answer(503)] * 4
    bench.pass_by(200)
    assert bench.times() == [0.0, 2.0, 6.0, 14.0, 30.0, 62.0, 122.0, 182.0]
    assert len({body for _, _, body in bench.sent}) == len({headers["webhook-id"] for _, headers, _ in bench.sent}) == 1
    stamps = [int(headers["webhook-timestamp"]) - WALL.timestamp() for _, headers, _ in bench.sent]
    assert stamps == bench.times()
    assert ledger.undelivered(bench.store) == []


def test_what_was_acknowledged_leaves_after_its_days_and_what_waits_never(on_either: str, tmp_path: Path) -> None:
    bench = Bench(on_either, tmp_path)
    bench.raised()
    bench.raised(cycle=8)
    bench.raised(cycle=9)
    bench.answers = [Answer(202), Answer(400), AwayError("no answer (ConnectError)")]
    bench.courier.round()
    kept = timedelta(days=SETTINGS.keep)
    bench.answers = [AwayError("no answer (ConnectError)")] * 4
    for later, rows in ((kept, 3), (timedelta(minutes=59), 3), (timedelta(minutes=1), 2), (kept, 2)):
        bench.wall.advance(later)
        bench.courier.round()
        with bench.store.read() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(outbox)).scalar() == rows
    assert [(one.parked is None, one.attempts) for one in ledger.undelivered(bench.store)] == [(False, 1), (True, 5)]
    assert not raise_alert(bench.store, alert(), SETTINGS, bench.wall), "it was told: no news, and not sent again"
    assert ledger.prune(bench.store, bench.wall()) == 0
    bench.store.close()


def test_a_restarted_courier_goes_on_with_the_letters_pauses(bench: Bench) -> None:
    bench.raised()
    bench.answers = [Answer(503)] * 4
    bench.pass_by(7)
    bench.courier = bench.another()
    bench.pass_by(30)
    assert bench.times() == [0.0, 2.0, 6.0, 14.0, 30.0]


def test_a_target_that_took_one_is_asked_soon_again(bench: Bench) -> None:
    bench.raised()
    bench.answers = [Answer(503), Answer(503), Answer(202), Answer(503)]
    bench.pass_by(7)
    bench.raised(cycle=8)
    bench.pass_by(10)
    assert bench.times() == [0.0, 2.0, 6.0, 7.0, 9.0]


@pytest.mark.parametrize("status", [408, 421, 423, 425, 500, 599])
def test_what_may_work_later_is_tried_again(bench: Bench, status: int) -> None:
    bench.raised()
    bench.answers = [Answer(status)]
    bench.pass_by(3)
    assert bench.times() == [0.0, 2.0]


def test_while_it_is_sent_it_is_nobody_elses(bench: Bench) -> None:
    due: list[datetime] = []

    def post(*_: Any) -> Answer:
        due.extend(letter.due for letter in ledger.undelivered(bench.store))
        return Answer(202)

    bench.raised()
    Courier(lambda: bench.store, bench.destination, SETTINGS, post=post, now=bench.wall).round()
    assert due == [WALL + timedelta(seconds=60 + 6 * bench.destination.target.timeout)]


def test_a_part_of_a_pause_is_by_chance(bench: Bench) -> None:
    bench.raised()
    bench.courier = Courier(
        lambda: bench.store, bench.destination, SETTINGS, post=bench.post, now=bench.wall, chance=lambda: 0.0
    )
    bench.answers = [Answer(500)] * 3
    bench.pass_by(20)
    assert bench.times() == [0.0, 1.0, 3.0, 7.0]


@pytest.mark.parametrize(
    ("header", "due"),
    [
        ("30", 30.0),
        ("1", 2.0),
        ("Tue, 01 Jun 2027 12:00:45 GMT", 45.0),
        ("Tue, 01 Jun 2027 11:00:00 GMT", 2.0),
        ("Tue, 01 Jun 2027 12:00:45 -0000", 45.0),
        ("soon", 2.0),
        ("-5", 2.0),
        ("9" * 40, 2.0),
    ],
)
def test_retry_after_is_honoured_as_seconds_or_a_date(bench: Bench, header: str, due: float) -> None:
    bench.raised()
    bench.answers = [Answer(429, header)]
    bench.pass_by(50)
    assert bench.times() == [0.0, due]


def test_retry_after_is_a_day_at_most(bench: Bench) -> None:
    bench.raised()
    bench.answers = [Answer(503, "999999999")]
    bench.courier.round()
    (letter,) = ledger.undelivered(bench.store)
    assert letter.due == WALL + timedelta(days=1)


@pytest.mark.parametrize("status", [301, 400, 404, 410, 413, 415, 422])
def test_what_will_never_work_is_parked_and_told(bench: Bench, status: int) -> None:
    bench.raised()
    bench.answers = [Answer(status)]
    bench.pass_by(100)
    assert bench.times() == [0.0]
    (letter,) = ledger.undelivered(bench.store)
    assert (letter.parked, letter.status, letter.attempts) == (WALL, status, 1)
    assert ledger.counts(bench.store) == {("ops", "parked"): 1}
    (finding,) = look(bench.store, MARKET, load("laptop", ['monitor.watch=["undelivered"]']))
    assert (finding.monitor, finding.campaign_id, finding.alarming) == ("undelivered", "spring", True)
    assert f"for ops: HTTP {status}: the same will be refused again; parked" in finding.detail
    assert ledger.release(bench.store, bench.wall(), "other") == 0
    assert ledger.release(bench.store, bench.wall(), "ops") == 1
    (letter,) = ledger.undelivered(bench.store)
    assert (letter.parked, letter.due, letter.attempts) == (None, bench.wall(), 0)
    bench.pass_by(1)
    assert ledger.undelivered(bench.store) == []
    assert list(look(bench.store, MARKET, load("laptop", ['monitor.watch=["undelivered"]']))) == []


def test_a_refused_signature_is_tried_for_a_day(bench: Bench) -> None:
    bench.raised()
    bench.answers = [Answer(401), Answer(401), Answer(401)]
    bench.pass_by(3)
    assert bench.times() == [0.0, 2.0]
    bench.wall.advance(timedelta(days=1))
    bench.courier.round()
    (letter,) = ledger.undelivered(bench.store)
    assert letter.parked is not None
    assert letter.attempts == 3


def test_an_alert_that_waits_for_long_is_told(bench: Bench) -> None:
    bench.raised()
    bench.answers = [AwayError("no answer (ConnectError)")] * 5
    bench.pass_by(20)
    assert list(look(bench.store, MARKET, load("laptop", ['monitor.watch=["undelivered"]']))) == []
    bench.pass_by(12)
    (finding,) = look(bench.store, MARKET, load("laptop", ['monitor.watch=["undelivered"]']))
    assert (finding.observed, finding.limit, finding.unit) == (5.0, 5.0, "tries")
    assert finding.detail.endswith("for ops: no answer (ConnectError); still tried")


def test_a_target_in_trouble_is_not_asked_for_each_alert(bench: Bench) -> None:
    for cycle in range(20):
        bench.raised(cycle=cycle)
    bench.answers = [AwayError("no answer (ConnectTimeout)")] * 3
    bench.pass_by(14)
    assert bench.times() == [0.0, 2.0, 6.0]
    bench.pass_by(1)
    assert len(bench.sent) == 23
    assert ledger.undelivered(bench.store) == []


def test_a_letter_in_another_process_hands_is_left_alone_and_taken_up_after_a_kill(bench: Bench) -> None:
    bench.raised()
    assert ledger.take(bench.store, "ops", bench.wall(), timedelta(seconds=120)) is not None  # and is killed
    bench.pass_by(119)
    assert bench.sent == []
    bench.pass_by(2)
    assert bench.times() == [120.0]


def test_two_processes_send_one_alert_once(bench: Bench) -> None:
    bench.raised()
    other = bench.another()
    post = bench.post

    def meanwhile(*arguments: Any) -> Answer:
        other.round()
        return post(*arguments)

    Courier(lambda: bench.store, bench.destination, SETTINGS, post=meanwhile, now=bench.wall).round()
    assert len(bench.sent) == 1


def test_a_database_that_is_away_ends_the_round(bench: Bench) -> None:
    def away() -> Store:
        raise StoreAwayError("database: away")

    with pytest.raises(StoreAwayError):
        Courier(away, bench.destination, SETTINGS, post=bench.post).round()


def test_webhook_and_launcher_away_alerts_wait_and_arrive_once(bench: Bench, tmp_path: Path) -> None:
    """From monitor to webhook, which have a database each: away, then its database, then its launcher."""
    (tmp_path / "other").mkdir()
    url = f"sqlite:///{tmp_path / 'other' / 'webhook.db'}"
    hook = Hook(tmp_path / "other", url, Webhook(every=1.0), wall=bench.wall)
    up = False

    def post(url: str, headers: Mapping[str, str], body: bytes, timeout: float) -> Answer:
        if not up:
            raise AwayError("no answer (ConnectError)")
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        answer = hook.ask("POST", "/alerts", pairs, body)
        return Answer(answer.status, answer.headers.get("retry-after"))

    hook.launcher.away, hook.away = True, StoreAwayError("database: away")
    bench.courier = Courier(
        lambda: bench.store, bench.destination, SETTINGS, post=post, now=bench.wall, chance=lambda: 0.5
    )
    bench.raised()
    bench.pass_by(10)
    up = True
    bench.pass_by(30)
    (letter,) = ledger.undelivered(bench.store)
    assert letter.status == 503
    hook.away = None
    bench.pass_by(120)
    assert ledger.undelivered(bench.store) == []
    assert hook.launcher.begun == 0
    hook.launcher.away = False
    bench.wall.advance(timedelta(seconds=60))
    hook.starter.round()
    assert hook.launcher.begun == 1


@contextmanager
def receiver(status: int, headers: Mapping[str, str]) -> Iterator[tuple[str, list[tuple[Any, bytes]]]]:
    got: list[tuple[Any, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.headers, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_over_http_the_bytes_arrive_and_no_redirect_is_followed() -> None:
    with receiver(302, {"location": "http://127.0.0.1:9/elsewhere", "retry-after": "7"}) as (url, got):
        answer = over_http(url, {"content-type": "application/json", "webhook-id": "m"}, b'{"a": 1}', 60.0)
    assert answer == Answer(302, "7")
    ((headers, body),) = got
    assert (headers["webhook-id"], json.loads(body)) == ("m", {"a": 1})
    with pytest.raises(AwayError, match=r"no answer \(ConnectError\)"):
        over_http(url, {}, b"", 60.0)


def test_a_loop_delivers_over_http_until_it_is_stopped(bench: Bench) -> None:
    with receiver(202, {}) as (url, got):
        destination = Destination("ops", Target(kind="json", url=url))
        (loop,) = loops(lambda: bench.store, [destination], SETTINGS)
        bench.wall.set(datetime(2000, 1, 1, tzinfo=UTC))  # due by the machine's own time, whatever that is
        bench.raised()
        loop.once()
        assert [json.loads(body)["campaign"] for _, body in got] == ["spring"]
        loop.once()
        assert len(got) == 1
    assert loop.trouble is None
