"""States are of the serving bundle's layout: others are refused, kept ones are not taken, a cold start follows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from crossmix.ledger.campaigns import Campaign
from crossmix.state import ALLOCATION, Layout
from feature_repo import features
from serving.live import states as kept_states
from serving.live.states import States, cold
from tests.support.serving_live import START, raw

SMALL = replace(
    ALLOCATION,
    slots=3,
    platform_fields=tuple(field for field in ALLOCATION.platform_fields if field.name in ("previous_share", "max")),
    campaign_fields=tuple(field for field in ALLOCATION.campaign_fields if field.name in ("pace", "weekday_cos")),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A feature folder of the budget split that knows campaign spring, of the log."""
    row = {"platforms": ["a"], "campaigns": ["spring"], "encoders": {}, "layout": ALLOCATION.digest, "rows": {}}
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "features.json").write_text(json.dumps(row))

    def known(path: Path, campaigns: list[str], arm: str) -> tuple[np.ndarray, list[float]]:
        values = np.full((len(campaigns), ALLOCATION.statistics_size), 0.25, np.float32)
        return values, [1_000.0 if arm == features.LOG_ARM else 0.0] * len(campaigns)

    monkeypatch.setattr(features, "online_known", known)
    return tmp_path


SPRING = Campaign.from_dict({**raw(), "timezone": "UTC"})
NOW = START + timedelta(days=3.5)
KEY = ("spring", "policy")


def _states(folder: Path, layout: Layout) -> States:
    return States(folder / "features", folder / "states.npz", layout)


def test_statistics_of_another_layout_are_refused(folder: Path) -> None:
    states = _states(folder, SMALL)
    states.refresh({"spring": SPRING}, ["policy"], NOW)
    assert states.trouble == (
        f"feature store: features: {folder / 'features'} holds statistics of another layout than the bundle's "
        "allocation version 1; serve with the features of the run that trained it"
    )
    assert states.get("spring", "policy") is None


def test_kept_states_are_taken_by_a_server_of_their_layout_alone(folder: Path) -> None:
    states = _states(folder, ALLOCATION)
    states.refresh({"spring": SPRING}, ["policy"], NOW)
    assert states.trouble is None
    again = _states(folder, ALLOCATION).get("spring", "policy")
    assert again is not None
    assert (again.source, again.seconds, again.statistics_S.tolist()) == ("log", 1_000.0, [0.25] * 128)
    assert _states(folder, SMALL).get("spring", "policy") is None


def test_a_cold_start_follows_the_layout() -> None:
    state = cold(SMALL, np.array([0.4, 0.6]), np.array([0.1, 0.0]), np.array([0.9, 0.8]), 0)
    assert state.statistics_S == pytest.approx([0.4, 0.9, 0.6, 0.8, 0, 0, 1, 1])
    assert (state.source, state.seconds) == ("cold", 0.0)


Row = Callable[[float | None, float], None]


@pytest.fixture
def row(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Row:
    """Sets when the policy's own row ends, in days after the start, and its value; `None`: there is none."""
    own: dict[str, float] = {"seconds": 0.0, "value": 0.0}

    def known(path: Path, campaigns: list[str], arm: str) -> tuple[np.ndarray, list[float]]:
        log = arm == features.LOG_ARM
        value, second = (0.25, 1_000.0) if log else (own["value"], own["seconds"])
        return np.full((len(campaigns), ALLOCATION.statistics_size), value, np.float32), [second] * len(campaigns)

    def end(days: float | None, value: float) -> None:
        own["seconds"] = 0.0 if days is None else (START + timedelta(days=days)).timestamp()
        own["value"] = value

    monkeypatch.setattr(features, "online_known", known)
    return end


def _refreshed(states: States, pushed: int | None, days: float = 3.5, identity: str | None = "a") -> tuple[str, float]:
    noted = None if pushed is None else {KEY: pushed}
    states.refresh({"spring": SPRING}, ["policy"], START + timedelta(days=days), noted, identity)
    state = states.get(*KEY)
    assert state is not None
    return state.source, float(state.statistics_S[0])


def test_an_own_row_is_believed_as_far_as_the_database_has_pushed(folder: Path, row: Row) -> None:
    states = _states(folder, ALLOCATION)
    row(3, 0.5)
    assert _refreshed(states, 2) == ("own", 0.5)
    first = states.get(*KEY)
    assert _refreshed(states, 2) == ("own", 0.5)
    assert states.get(*KEY) is first
    # Pushed a moment ago and not noted yet: the row before it serves, and nobody is told.
    row(4, 0.75)
    assert _refreshed(states, 2, 4.0) == ("own", 0.5)
    assert states.trouble is None
    assert _refreshed(states, 3, 4.0) == ("own", 0.75)


def test_another_databases_row_of_the_flight_is_refused_and_told(folder: Path, row: Row) -> None:
    states = _states(folder, ALLOCATION)
    row(3, 0.5)
    assert _refreshed(states, -1) == ("log", 0.25)
    assert _refreshed(states, -1) == ("log", 0.25)
    assert states.trouble == (
        "feature store: statistics of spring, arm policy, are refused: they end 2026-01-08T00:00:00+00:00, and this "
        "database has pushed no cycle; they are another database's"
    )
    row(1, 0.5)
    assert _refreshed(states, 0) == ("own", 0.5)
    assert states.trouble is None


def test_statistics_of_before_the_flight_are_refused(folder: Path, row: Row) -> None:
    """A fresh server on the features of one that served until 12 days before: it starts from the log."""
    states = _states(folder, ALLOCATION)
    row(-12, 0.5)
    for _ in range(2):
        assert _refreshed(states, 5) == ("log", 0.25)
    assert states.trouble is not None
    assert (
        "they end 2025-12-24T00:00:00+00:00, before the flight that began 2026-01-05T00:00:00+00:00" in states.trouble
    )
    row(0, 0.5)
    assert _refreshed(states, 5) == ("log", 0.25)


def test_a_state_from_the_future_is_refused_told_and_heals(folder: Path, row: Row) -> None:
    states = _states(folder, ALLOCATION)
    row(3, 0.5)
    assert _refreshed(states, 2) == ("own", 0.5)
    row(368, 5.0)
    assert _refreshed(states, 367, 368.1) == ("own", 5.0)
    for _ in range(2):
        assert _refreshed(states, 367, 3.6) == ("log", 0.25)
    assert states.trouble is not None
    assert "they end 2027-01-08T00:00:00+00:00, which is to come; a clock ran ahead" in states.trouble
    # After a restart too, and with the database away.
    again = _states(folder, ALLOCATION)
    assert _refreshed(again, None, 3.6, None) == ("log", 0.25)
    row(3, 0.5)
    assert _refreshed(states, 2, 3.6) == ("own", 0.5)
    assert states.trouble is None


def test_kept_states_are_of_their_database(folder: Path, row: Row) -> None:
    row(3, 0.5)
    assert _refreshed(_states(folder, ALLOCATION), 2) == ("own", 0.5)
    row(None, 0.0)
    away = _states(folder, ALLOCATION)
    assert _refreshed(away, None, identity=None) == ("own", 0.5)
    same = _states(folder, ALLOCATION)
    assert _refreshed(same, 2) == ("own", 0.5)
    assert same.trouble == "feature store: it no longer knows spring, arm policy; push its statistics again"
    other = _states(folder, ALLOCATION)
    assert _refreshed(other, 2, identity="b") == ("log", 0.25)
    assert other.trouble == "states.npz is of another database: its statistics are ignored"
    assert _refreshed(other, 2, identity="b") == ("log", 0.25)
    assert other.trouble is None


def test_a_store_that_lost_an_arms_own_row_does_not_fall_back_on_the_log(folder: Path, row: Row) -> None:
    states = _states(folder, ALLOCATION)
    row(3, 0.5)
    assert _refreshed(states, 2) == ("own", 0.5)
    row(None, 0.0)
    assert _refreshed(states, 2) == ("own", 0.5)
    assert states.trouble == "feature store: it no longer knows spring, arm policy; push its statistics again"


def _two(states: States, names: list[str], days: float = 3.5) -> None:
    autumn = Campaign.from_dict({**raw("autumn"), "timezone": "UTC"})
    pushed = {KEY: 2, ("autumn", "policy"): 2}
    now = START + timedelta(days=days)
    assert states.refresh({"spring": SPRING, "autumn": autumn}, ["policy"], now, pushed, "a", names)


def test_a_round_reads_the_campaigns_that_are_named_and_leaves_the_others(folder: Path, row: Row) -> None:
    states = _states(folder, ALLOCATION)
    row(3, 0.5)
    _two(states, ["autumn", "spring"])
    row(3, 0.75)
    before = states.get(*KEY)
    _two(states, ["autumn"])
    assert states.get(*KEY) is before
    state = states.get("autumn", "policy")
    assert state is not None
    assert state.statistics_S[0] == 0.75
    # What is kept for a restart has both.
    again = _states(folder, ALLOCATION)
    assert [again.get(name, "policy") is not None for name in ("spring", "autumn")] == [True, True]


def test_what_was_refused_stays_told_until_it_is_read_again(folder: Path, row: Row) -> None:
    states = _states(folder, ALLOCATION)
    row(368, 5.0)
    for _ in range(2):
        _two(states, ["spring"])
    refused = states.trouble
    assert refused is not None
    assert "statistics of spring, arm policy, are refused" in refused
    row(3, 0.5)
    _two(states, ["autumn"])
    assert states.trouble == refused
    assert states.doubtful() == ["spring"]
    _two(states, states.doubtful())
    assert (states.trouble, states.doubtful()) == (None, [])


def test_what_the_store_forgot_stays_told_until_it_knows_it_again(folder: Path, row: Row) -> None:
    states = _states(folder, ALLOCATION)
    row(3, 0.5)
    _two(states, ["autumn", "spring"])
    row(None, 0.0)
    _two(states, ["spring"])
    row(3, 0.5)
    _two(states, ["autumn"])
    assert states.trouble == "feature store: it no longer knows spring, arm policy; push its statistics again"
    assert states.doubtful() == ["spring"]
    _two(states, ["spring"])
    assert (states.trouble, states.doubtful()) == (None, [])


def test_many_statistics_are_kept_a_part_of_the_time_and_at_the_end(
    folder: Path, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(kept_states, "FEW", 0)
    monkeypatch.setattr(kept_states.time, "monotonic", lambda: now[0])
    states = _states(folder, ALLOCATION)
    row(3, 0.5)
    states._saving = 1.0
    _two(states, ["spring"])
    assert states.keep.is_file()
    states._saving = 1.0
    row(3, 0.75)
    _two(states, ["spring"])
    assert _value(folder) == 0.5
    now[0] += kept_states.MOST_OFTEN
    _two(states, ["autumn"])
    assert _value(folder) == 0.75
    states._saving = 1.0
    row(3, 0.25)
    _two(states, ["spring"])
    states.flush()
    assert _value(folder) == 0.25


def _value(folder: Path) -> float:
    state = _states(folder, ALLOCATION).get(*KEY)
    assert state is not None
    return float(state.statistics_S[0])


def test_campaigns_that_wait_are_told_and_read_in_the_order_in_which_they_are_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_states, "TOGETHER", 2)
    names = [f"c{n}" for n in range(5)]
    campaigns = {name: Campaign.from_dict({**raw(name), "timezone": "UTC"}) for name in names}
    states = _states(folder, ALLOCATION)
    assert states.first(names) == ["c0", "c1"]
    states.refresh(campaigns, ["policy"], NOW, {}, "a", ["c0", "c1"])
    states.wait(names[2:], campaigns, ["policy"], NOW, {})
    assert states.waits == (
        "statistics of 3 campaigns have not been read since the start; until then what was kept serves, else what "
        "holds before a cycle"
    )
    assert (states.trouble, states.started is not None) == (None, True)
    assert [states.awaited(name) for name in ("c0", "c4", "nobody")] == [False, True, False]
    # Of those that wait c4 was asked for.
    assert states.first(names[2:]) == ["c2", "c4"]
    states.refresh(campaigns, ["policy"], NOW, {}, "a", ["c4"])
    assert [states.awaited(name) for name in ("c4", "c3")] == [False, True]
    assert states.first(["c2", "c3"]) == ["c2", "c3"]
    # A campaign that is gone is not waited for.
    del campaigns["c2"]
    states.refresh(campaigns, ["policy"], NOW, {}, "a", ["c0"])
    assert states.waits is not None
    assert states.waits.startswith("a campaign's statistics have not been read")
    states.refresh(campaigns, ["policy"], NOW, {}, "a", ["c3"])
    assert states.waits is None


def test_what_was_kept_of_a_campaign_that_waits_serves_as_far_as_the_database_has_pushed(
    folder: Path, row: Row
) -> None:
    row(3, 0.5)
    assert _refreshed(_states(folder, ALLOCATION), 2) == ("own", 0.5)
    campaigns = {"spring": SPRING}
    believed = _states(folder, ALLOCATION)
    believed.wait(["spring"], campaigns, ["policy"], NOW, {KEY: 2})
    kept = believed.get(*KEY)
    assert kept is not None
    assert (kept.source, believed.awaited("spring")) == ("own", True)
    doubted = _states(folder, ALLOCATION)
    doubted.wait(["spring"], campaigns, ["policy"], NOW, {KEY: 1})
    assert doubted.get(*KEY) is None


def test_a_store_that_is_away_leaves_those_waiting_that_wait(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = _states(folder, ALLOCATION)
    states.wait(["spring"], {"spring": SPRING}, ["policy"], NOW, {})

    def away(*_: object) -> None:
        raise OSError("connection refused")

    monkeypatch.setattr(features, "online_known", away)
    assert not states.refresh({"spring": SPRING}, ["policy"], NOW, {}, "a")
    assert states.trouble == "feature store: connection refused"
    assert states.waits is not None


def test_a_row_that_cannot_be_read_takes_nothing_from_the_others(
    folder: Path, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    states, known, damaged = _states(folder, ALLOCATION), features.online_known, ["policy"]
    row(3, 0.5)
    _two(states, ["autumn", "spring"])
    row(3, 0.75)

    def read(path: Path, campaigns: list[str], arm: str) -> tuple[np.ndarray, list[float]]:
        if arm in damaged and "spring" in campaigns:
            raise ValueError("spring is no message")
        return known(path, campaigns, arm)

    monkeypatch.setattr(features, "online_known", read)
    before = states.get(*KEY)
    _two(states, ["autumn", "spring"])
    other = states.get("autumn", "policy")
    assert other is not None
    assert other.statistics_S[0] == 0.75
    assert states.get(*KEY) is before, "the last good ones stay"
    assert states.trouble == (
        "feature store: statistics of spring, arm policy, cannot be read: spring is no message"
    )
    _two(states, ["autumn"])
    assert "spring" in str(states.trouble), "until it is read"
    assert states.doubtful() == ["spring"], "in the next round"
    # After a start nothing is known of it but what the log says.
    fresh = States(folder / "features", folder / "fresh.npz", ALLOCATION)
    _two(fresh, ["autumn", "spring"])
    state = fresh.get(*KEY)
    assert state is not None
    assert (state.source, "spring, arm policy, cannot be read" in str(fresh.trouble)) == ("log", True)
    damaged.append("log")
    _two(states, ["autumn", "spring"])
    assert str(states.trouble).endswith("; and of 1 more")
    damaged.clear()
    _two(states, ["autumn", "spring"])
    healed = states.get(*KEY)
    assert healed is not None
    assert (healed.statistics_S[0], states.trouble, states.doubtful()) == (0.75, None, [])
