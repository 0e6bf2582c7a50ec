"""Many campaigns: a look, a change and a page ask as much of the database, and of Feast, as with few."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from benchmarks.scale import CYCLES, chunks, name_of
from crossmix.clock import MemoryClock
from crossmix.ledger import feedback, pushes
from feature_repo import features
from serving.app import Settings, application
from serving.campaigns import lane, service
from serving.experiment import standing
from serving.live import states as kept_states
from serving.live.champion import Champion
from serving.live.due import SLICE
from serving.live.live import Live
from serving.page import routes as page
from tests.support.asking import ask
from tests.support.counted import Counted, counted
from tests.support.serving_run import Run

FEW = 60
SIZES = [200, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(3_600)])]
EVENTS = 10
"""Of a campaign."""
HANGS = 600.0
"""Seconds after which a verdict under way will not end any more."""
NOON = datetime(2026, 1, 20, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> MemoryClock:
    """It stands still: no cycle ends, and no mark changes, between two counts."""
    return MemoryClock(NOON)


class Scaled:
    """A server in this process, with so many campaigns and their events; its loops stand still."""

    def __init__(self, live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(standing, "REFRESH_SECONDS", 3_600.0)
        # However slow the machine: what few campaigns wait for they wait for, and none is made beside.
        monkeypatch.setattr(standing, "SLOW_SECONDS", math.inf)
        monkeypatch.setattr(standing, "PAUSE", math.inf)
        # And the kill switch's writer is through once it is acknowledged: nothing of it falls into the next count.
        monkeypatch.setattr(lane, "ANSWER_SECONDS", HANGS)
        self.live, self.many, self.read = live, 0, 0
        self.client = TestClient(application(live, Settings(grpc_port=None)), "http://localhost")
        known = features.online_known

        def counting(path: Path, campaigns: Sequence[str], arm: str) -> Any:
            self.read += len(campaigns)
            return known(path, campaigns, arm)

        monkeypatch.setattr(features, "online_known", counting)

    def grow(self, many: int) -> None:
        """Campaigns that began days ago and run, their events, and everything read and looked at once."""
        live, names = self.live, self.live.platforms[:4]
        starts = live.clock().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=CYCLES)
        plan = {"currency": "EUR", "cycle_budget": 1_000, "share": dict.fromkeys(names, 1 / len(names))}
        plan |= {"starts": starts.isoformat(), "cycles": 28, "cycle_hours": 24}
        rows = [{"campaign_id": name_of(n), **plan} for n in range(self.many, many)]
        service.import_(live.store, rows, "test", live.platforms)
        for chunk in chunks(many, many * EVENTS, names, 0.5):
            new = [one for one in chunk if int(one.campaign_id.split()[1]) >= self.many]
            feedback.insert(live.store, new, live.clock())
        live.reload()
        live.refresh_states()
        self.many = many
        self.ask("/experiment.json")

    def ask(self, path: str, method: str = "GET", body: Any = None, status: int = 200) -> Any:
        """The answer's JSON, or its text."""
        answer = self.client.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.headers["content-type"].startswith("application/json") else answer.text

    def count(self, work: Callable[[], Any]) -> Counted:
        """What the work asks, and nothing that was under way before it."""
        for thread in threading.enumerate():
            if thread.name == "verdict":
                thread.join(HANGS)
                assert not thread.is_alive()
        with counted(self.live.store) as count:
            work()
        return count


@pytest.fixture
def scaled(live: Live, monkeypatch: pytest.MonkeyPatch) -> Scaled:
    made = Scaled(live, monkeypatch)
    made.grow(FEW)
    return made


def _works(scaled: Scaled, turn: int) -> dict[str, Callable[[], Any]]:
    """Questions and changes, each with how much it may not grow."""
    plan = scaled.live.campaigns[name_of(0)].planned() | {"campaign_id": f"new {turn}", "timezone": "UTC"}

    def create() -> None:
        scaled.ask("/campaigns", "POST", plan, 201)
        assert f"new {turn}" in scaled.live.campaigns

    def kill() -> None:
        body = {"kind": "static", "reason": "test"}
        scaled.ask(f"/campaigns/{name_of(turn)}/override", "PUT", body)
        scaled.live.reload()
        assert scaled.live.campaigns[name_of(turn)].override is not None

    def edit() -> None:
        scaled.ask(f"/campaigns/{name_of(turn)}", "PATCH", {"cycle_budget": 900.0 + turn})
        assert scaled.live.campaigns[name_of(turn)].cycle_budget == 900.0 + turn

    def listed() -> None:
        shown = scaled.ask("/page.json?q=campaign")
        assert (len(shown["campaigns"]), shown["listing"]["matching"]) == (page.LISTED, scaled.many)

    return {"create": create, "kill switch": kill, "edit": edit, "page": listed, "look": scaled.live._look}


@pytest.mark.slow
@pytest.mark.parametrize("many", SIZES)
def test_changes_and_pages_ask_as_much_as_with_few(scaled: Scaled, many: int) -> None:
    few = {name: scaled.count(work) for name, work in _works(scaled, 1).items()}
    scaled.grow(many)
    grown = {name: scaled.count(work) for name, work in _works(scaled, 2).items()}
    assert {name: one.campaigns for name, one in grown.items()} == {name: one.campaigns for name, one in few.items()}
    assert max(one.campaigns for one in grown.values()) <= 2
    for name in ("create", "edit", "look"):  # a verdict may be made beside them, when a tenth of the time is up
        assert grown[name].beside("verdict") == few[name].beside("verdict"), name
    # The kill switch's writer and a probe may come between; a page has the verdict's marks or not.
    for name in ("kill switch", "page"):
        assert len(grown[name].statements) <= len(few[name].statements) + 4, name


@pytest.mark.slow
@pytest.mark.parametrize("many", SIZES)
def test_nothing_new_is_one_statement_a_look_and_a_slice_of_feast(scaled: Scaled, many: int) -> None:
    scaled.grow(many)
    snapshot = scaled.live.snapshot
    look = scaled.count(scaled.live._look)
    assert [one.split(" \n")[0] for one in look.statements] == ["SELECT revision.number"]
    assert scaled.live.snapshot is snapshot
    for _ in range(3):
        scaled.read = 0
        round_ = scaled.count(scaled.live.refresh_states)
        assert len(round_.statements) == 2
        # The log and two arms.
        assert scaled.read <= 3 * SLICE


@pytest.mark.slow
def test_a_start_reads_so_many_campaigns_and_answers_for_the_others(
    scaled: Scaled, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = scaled.live
    monkeypatch.setattr(kept_states, "TOGETHER", SLICE)
    fresh = Live(live.config, tmp_path / "fresh", live.database, live.champion, live.states.features, live.clock)
    fresh.reload()
    scaled.read = 0
    fresh.refresh_states(SLICE)
    # The log and two arms of each.
    assert scaled.read == 3 * SLICE
    waiting = len(fresh.campaigns) - SLICE
    last = name_of(FEW - 1)
    answer = ask(fresh, campaign=last)
    assert answer["state_source"] == "cold"
    assert kept_states.UNREAD in answer["notes"]
    [told] = [one for one in answer["degraded"] if one["what"] == "feature store"]
    assert told["why"].startswith(f"statistics of {waiting:,} campaigns have not been read since the start")
    # The next reading is of those that were asked for, and all have been read after it.
    assert last in fresh.states.first(fresh.campaigns)
    scaled.read = 0
    fresh.refresh_states()
    assert scaled.read >= 3 * waiting
    assert fresh.states.waits is None
    again = ask(fresh, campaign=last)
    assert kept_states.UNREAD not in again["notes"]
    assert not [one for one in again["degraded"] if one["what"] == "feature store"]
    fresh.stop()


@pytest.mark.slow
def test_what_was_pushed_is_read_in_the_next_round(scaled: Scaled, monkeypatch: pytest.MonkeyPatch) -> None:
    scaled.grow(200)
    name, live = name_of(150), scaled.live
    end = live.campaigns[name].ends(3)
    known = features.online_known

    def pushed(path: Path, campaigns: Sequence[str], arm: str) -> Any:
        values, seconds = known(path, campaigns, arm)
        if arm == "policy" and name in campaigns:
            seconds = list(seconds)
            seconds[list(campaigns).index(name)] = end.timestamp()
        return np.array(values), seconds

    monkeypatch.setattr(features, "online_known", pushed)
    live.refresh_states()
    assert live.states.get(name, "policy") is None
    pushes.note(live.store, [pushes.Note(name, "policy", 3, 1)])
    live.refresh_states()
    state = live.states.get(name, "policy")
    assert state is not None
    assert (state.source, state.seconds) == ("own", end.timestamp())


@pytest.mark.slow
@pytest.mark.parametrize("many", SIZES)
def test_a_verdict_that_stands_is_two_statements(scaled: Scaled, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # As with ten thousand: answered with the one that stands.
    monkeypatch.setattr(standing, "FEW", 0)
    monkeypatch.setattr(standing, "PAUSE", 0)
    scaled.grow(many)
    answers: list[Any] = []
    count = scaled.count(lambda: answers.append(scaled.ask("/experiment.json")))
    assert len(count.statements) <= 2
    assert answers[0]["behind"] is False
    assert answers[0]["as_of"] == answers[0]["now"]


@pytest.mark.slow
def test_a_file_is_not_written_over_while_the_database_was_never_read(run: Run) -> None:
    own = run.out / "serving"
    own.mkdir()
    file = own / "campaigns.json"
    file.write_text("{")
    champion = Champion(own, lambda: run.registry, run.out / "bundle")
    made = Live(run.config, own, "postgresql+psycopg://nobody@127.0.0.1:1/none", champion, run.features)
    made.reload()
    made._look()
    made.stop()
    assert "database" in [one["what"] for one in made.troubles()]
    assert file.read_text() == "{"
