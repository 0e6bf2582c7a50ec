"""The alert rules of docs/operations.md over what the server tells: each fires where it should, and only there."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from sqlalchemy import event

from crossmix.ledger.feedback import newest_received
from monitoring import metrics
from serving.app import Settings, application
from serving.feedback.gaps import Missing
from tests.support.page_server import FIRST, NAMES, opened, saved
from tests.support.promql import Scrape, evaluate

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
RULES = {
    rule["alert"]: rule["expr"]
    for rule in yaml.safe_load(TEXT.split("```yaml")[1].split("```")[0])["groups"][0]["rules"]
}
DAY = 86_400.0
_sent = itertools.count()
"""Events so far: each has an id of its own, whichever tests run."""


class Served:
    """A server and a Prometheus that scrapes it once an hour."""

    def __init__(self, live: Any) -> None:
        self.live = live
        self.client = TestClient(application(live, Settings()), base_url="http://127.0.0.1")
        self.scrapes: list[Scrape] = []

    def scraped(self, after: float = 3_600.0) -> None:
        """So many seconds after the last one."""
        at = self.scrapes[-1].seconds + after if self.scrapes else 0.0
        self.scrapes.append(Scrape(at, self.client.get("/metrics").text))

    def fires(self) -> set[str]:
        return {name for name, rule in RULES.items() if evaluate(rule, self.scrapes)}

    def reports(self, cycle: int, times: int = 1) -> None:
        """Both arms report so many times, and a round hears of it."""
        for _ in range(times):
            number = next(_sent)
            rows = [
                {"event_id": f"{number} {arm}", "campaign_id": FIRST, "arm": arm, "platform": NAMES[0]}
                | {"cycle": cycle, "impressions": 10, "spend": 2.5}
                for arm in ("policy", "control")
            ]
            answer = self.client.post("/feedback", json=rows)
            assert answer.status_code == 200, answer.text
        self.live.gaps.heard(newest_received(self.live.store))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("alerts")
    yield from opened(saved(folder / "bundle"), folder)


@pytest.fixture
def served(live: Any) -> Served:
    """Whose first campaign runs its fifth day, and reports day by day; healthy."""
    for gauge in (metrics.OPEN, metrics.LETTERS):  # of a webhook: in truth another process, in tests perhaps this one
        gauge.clear()
    made = Served(live)
    made.reports(4)
    made.scraped()
    made.reports(4, 3)
    made.scraped()
    assert made.fires() == set()
    return made


def test_every_rule_can_be_evaluated(served: Served) -> None:
    assert set(RULES) >= {"NoFeedback", "ReportsComeLate", "DatabaseRefusesWrites"}
    assert {name: evaluate(rule, served.scrapes) for name, rule in RULES.items()} == {name: {} for name in RULES}


def test_no_feedback(served: Served) -> None:
    """Nothing since 37 hours, of a campaign that goes on; one report later it is silent again."""
    before = served.live.clock()
    heard = newest_received(served.live.store)
    served.live.gaps.heard({key: moment - timedelta(hours=37) for key, moment in heard.items()})
    served.scraped()
    assert served.fires() == {"NoFeedback"}
    fired = evaluate(RULES["NoFeedback"], served.scrapes)
    assert {dict(labels)["arm"] for labels in fired} == {"policy", "control"}
    assert list(fired.values()) == [37 * 3_600.0] * 2
    served.reports(4)
    served.scraped()
    assert (served.fires(), served.live.clock()) == (set(), before)


def test_unreported_cycles(served: Served) -> None:
    """One is usual in the morning; of two, nobody has said what became of their money."""
    for cycles, fired in ((1, set()), (2, {"CyclesUnreported"}), (0, set())):
        served.live.gaps.note((FIRST, "policy"), Missing(("no feedback",) if cycles else (), (), cycles))
        served.scraped()
        assert served.fires() == fired, cycles


def test_late_reports(served: Served) -> None:
    """Of a day that is over: as many as came in time are enough, a few are not."""
    served.reports(3)
    served.scraped()
    assert served.fires() == set(), "2 of 8"
    served.reports(3, 5)
    served.scraped()
    assert served.fires() == {"ReportsComeLate"}, "12 of 18"
    risen = evaluate(RULES["ReportsComeLate"].split(">")[0], served.scrapes)
    assert list(risen.values()) == [12.0]


def test_a_locked_database(served: Served) -> None:
    """The lock of another process, found by the server's own probe; and its end."""
    engine = served.live.store.engine
    engine.dispose()

    def impatient(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA busy_timeout=50").close()

    event.listen(engine, "connect", impatient)
    lock = sqlite3.connect(str(engine.url.database), isolation_level=None)
    try:
        lock.execute("BEGIN IMMEDIATE")
        served.live.store.probe(-1.0)
        served.scraped()
        assert served.fires() == {"DatabaseRefusesWrites"}
        (labels,) = evaluate(RULES["DatabaseRefusesWrites"], served.scrapes)
        assert dict(labels) == {"what": "database"}
        answer = served.client.post("/serving/refresh")
        assert answer.status_code == 200
        row = {"event_id": "turned away", "campaign_id": FIRST, "arm": "policy", "platform": NAMES[0], "cycle": 4}
        for _ in range(2):
            assert served.client.post("/feedback", json=row).status_code == 503
            served.scraped(60.0)
        assert served.fires() == {"DatabaseRefusesWrites", "FeedbackTurnedAway"}
        lock.execute("ROLLBACK")
        served.live.store.probe(-1.0)
        served.scraped()
        assert served.fires() == set()
    finally:
        lock.close()
        event.remove(engine, "connect", impatient)
        engine.dispose()


def test_vectors_of_other_labels_are_not_compared() -> None:
    """Without `ignoring`, late and accepted events have different labels: such a rule never fires."""
    text = 'm{outcome="late"} %d\nm{outcome="accepted"} %d\n'
    scrapes = [Scrape(0, text % (0, 0)), Scrape(DAY, text % (9, 10))]
    rule = 'increase(m{outcome="late"}[1d]) > %s 0.5 * increase(m{outcome="accepted"}[1d])'
    assert evaluate(rule % "", scrapes) == {}
    assert evaluate(rule % "ignoring (outcome)", scrapes) == {frozenset({("outcome", "late")}): 9.0}
    assert evaluate('sum(rate(m{outcome=~"late|no"}[1d])) > 0', scrapes) == {frozenset(): 9 / DAY}
    assert evaluate('max by (outcome) (m{outcome!="late"}) == 2 * 5', scrapes) == {
        frozenset({("outcome", "accepted")}): 10.0
    }
    with pytest.raises(ValueError, match="not understood"):
        evaluate("m > 1 @ 2", scrapes)
