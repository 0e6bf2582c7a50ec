"""The experiment's cycles: fixed as it begins, campaigns of any cycle within them, calendars, budgets as they were."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crossmix.ledger.experiments import get
from crossmix.ledger.outcomes import Outcomes
from crossmix.ledger.outcomes_read import read
from crossmix.ledger.store import Store
from serving.experiment.verdict import status
from tests.support.experiments import DAY, START, deliver, event, hour_after, make_store, note, paired_days

WEEKLY = {"cycle_hours": 168.0, "starts": START, "cycles": 8, "cycle_budget": 7_000.0}


def _read(store: Store, days: float) -> Outcomes:
    return read(store, get(store, "first"), hour_after(days))


def _week(number: int, day: float, **given: Any) -> list[dict[str, Any]]:
    row = {"campaign_id": "weekly", "cycle": number, "known": number, "received": START + day * DAY}
    return [event(arm, 0, **row | {"revenue": 7 * 700.0} | given) for arm in ("policy", "control")]


def test_one_weekly_campaign_among_daily_ones_neither_resets_nor_blinds(tmp_path: Path) -> None:
    """Its week counts where it ends; before and after, the days are the days."""
    store = make_store(tmp_path, campaigns={"brand": {}, "weekly": WEEKLY}, cycle_hours=24.0, days=28)
    deliver(store, paired_days([1.0] * 12, [1.0] * 12))
    # The week's first report comes early in it: no day waits for the rest.
    deliver(store, _week(0, 2.0))
    for days in (3, 5):
        found = _read(store, days)
        assert (found.finished, found.length) == (days, DAY)
        assert found.of("revenue")[0].tolist() == [700.0] * days
    found = _read(store, 9)
    assert found.finished == 9
    assert found.of("revenue")[0].tolist() == [700.0] * 6 + [700.0 + 4_900.0] + [700.0] * 2
    assert found.of("planned")[0].tolist() == pytest.approx([700.0] * 6 + [700.0 + 4_900.0] + [700.0] * 2)
    assert status(store, "first", hour_after(9))["experiment"]["cycle_hours"] == 24.0
    row = next(
        row for row in status(store, "first", hour_after(9))["by_campaign"]["rows"] if row["campaign_id"] == "weekly"
    )
    assert (row["cycles"], row["cycle_hours"], row["arms"]["policy"]["roi"]) == (1, 168.0, pytest.approx(1.0))


def test_a_week_that_is_reported_late_holds_no_day_back_and_enters_when_both_arms_have(tmp_path: Path) -> None:
    store = make_store(tmp_path, campaigns={"brand": {}, "weekly": WEEKLY}, cycle_hours=24.0, days=28)
    deliver(store, paired_days([1.0] * 12, [1.0] * 12))
    deliver(store, _week(0, 6.0)[:1])
    found = _read(store, 10)
    assert found.finished == 10
    assert found.of("revenue")[0].tolist() == [700.0] * 10, "the control arm's week is missing"
    deliver(store, _week(0, 10.5, known=1)[1:])
    assert _read(store, 11).of("revenue")[0].tolist()[6] == 700.0 + 4_900.0


def test_without_a_length_of_its_own_the_longest_campaign_sets_it(tmp_path: Path) -> None:
    """As experiments of before have it."""
    store = make_store(tmp_path, campaigns={"brand": {}, "weekly": WEEKLY})
    deliver(store, paired_days([1.0] * 14, [1.0] * 14))
    deliver(store, [*_week(0, 6.0), *_week(1, 13.0)])
    found = _read(store, 14)
    assert (found.length, found.finished) == (7 * DAY, 2)
    assert found.of("revenue")[0].tolist() == [7 * 700.0 + 4_900.0] * 2


def test_a_weekly_experiment_is_not_over_before_its_weeks_are(tmp_path: Path) -> None:
    store = make_store(tmp_path, campaigns={"weekly": WEEKLY}, cycle_hours=24.0, days=21)
    deliver(store, _week(0, 1.0))
    assert [_read(store, days).finished for days in (3, 8, 10)] == [0, 8, 10]


def test_days_of_a_time_zone_keep_their_cycle_when_clocks_change(tmp_path: Path) -> None:
    """Berlin, the night to 27 October 2024: a day of 25 hours, and the days after it end an hour later."""
    begins = datetime.fromisoformat("2024-10-23T22:00:00+00:00")
    berlin = {"starts": begins, "timezone": "Europe/Berlin"}
    store = make_store(tmp_path, campaigns={"brand": berlin}, started=begins, cycle_hours=24.0)
    moments = [datetime.fromisoformat(f"2024-10-{day}T12:00:00+00:00") for day in (24, 25, 26, 27, 28, 29)]
    rows = [
        event(arm, 0, cycle=cycle, known=cycle, received=moment, revenue=100.0 * (cycle + 1))
        for cycle, moment in enumerate(moments)
        for arm in ("policy", "control")
    ]
    deliver(store, rows)
    now = datetime.fromisoformat("2024-10-29T23:30:00+00:00")
    found = read(store, get(store, "first"), now)
    assert found.slot_T == (0, 1, 2, 3, 4, 5)
    assert found.of("revenue")[0].tolist() == [100.0, 200.0, 300.0, 400.0, 500.0, 600.0]


def test_the_first_part_of_a_day_has_its_part_of_the_budget(tmp_path: Path) -> None:
    begins = START + timedelta(hours=18)
    store = make_store(tmp_path, campaigns={"brand": {"starts": begins, "timezone": "UTC"}}, cycle_hours=24.0)
    deliver(store, [event(arm, 0, cycle=cycle, known=cycle) for arm in ("policy", "control") for cycle in (0, 1)])
    found = _read(store, 2)
    assert found.of("planned")[0].tolist() == pytest.approx([0.25 * 700.0, 700.0])


def test_a_budget_that_is_edited_leaves_the_past_its_price(tmp_path: Path) -> None:
    """150,000 -> 300,000 halved the ROI of finished cycles."""
    store = make_store(tmp_path, campaigns={"brand": {"cycle_budget": 2_000.0}})
    deliver(store, paired_days([1.0] * 4, [1.0] * 4))
    note(store, 2.5, "campaign.edit", "brand", {"cycle_budget": 1_000.0}, {"cycle_budget": 2_000.0})
    found = _read(store, 4)
    assert found.of("planned")[0].tolist() == [700.0, 700.0, 1_400.0, 1_400.0]
    assert (found.of("revenue")[0] / found.of("planned")[0]).tolist() == pytest.approx([1.0, 1.0, 0.5, 0.5])


def test_campaigns_are_in_or_out(tmp_path: Path) -> None:
    names: dict[str, dict[str, Any]] = {"brand": {}, "other": {}, "third": {}}
    chosen = {None: ["brand", "other", "third"], ("brand", "other"): ["brand", "other"]}
    for number, (included, mine) in enumerate(chosen.items()):
        (tmp_path / str(number)).mkdir()
        store = make_store(
            tmp_path / str(number),
            campaigns=names,
            included=None if included is None else list(included),
            excluded=["other"] if included else None,
        )
        for name in names:
            deliver(store, paired_days([1.0] * 4, [1.0] * 4, campaign_id=name))
        found = status(store, "first", hour_after(4))
        kept = [name for name in mine if included is None or name != "other"]
        assert found["campaigns"] == kept
        assert found["arms"]["policy"]["revenue"] == pytest.approx(len(kept) * 4 * 700.0)
        assert found["experiment"]["excluded"] == (["other"] if included else None)


def test_corrected_events_count_no_more(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    rows = [row | {"user": f"u{number}"} for number, row in enumerate(paired_days([1.0] * 3, [1.0] * 3))]
    deliver(store, rows)
    wrong = rows[0]["event_id"]
    fixed = rows[0] | {"event_id": "again", "replaces": wrong, "revenue": 70.0, "reason": "counted twice"}
    deliver(store, [fixed | {"received": START + 2 * DAY}])
    found = status(store, "first", hour_after(3))
    assert found["arms"]["policy"]["revenue"] == pytest.approx(2 * 700.0 + 70.0)
    assert found["users"]["roas"]["policy"] == pytest.approx((2 * 700.0 + 70.0) / (3 * 630.0))


def test_three_hundred_campaigns_are_read_in_as_many_statements_as_one(tmp_path: Path) -> None:
    counts: list[int] = []
    for number, campaigns in enumerate((1, 300)):
        (tmp_path / str(number)).mkdir()
        store = make_store(tmp_path / str(number), campaigns={f"c{n}": {} for n in range(campaigns)})
        for n in range(campaigns):
            deliver(store, paired_days([1.0], [1.0], campaign_id=f"c{n}"))
        asked = _statements(store)
        assert len(_read(store, 1).members) == campaigns
        counts.append(len([one for one, _ in asked if one.lstrip().upper().startswith("SELECT")]))
    assert counts[0] == counts[1]


def test_only_what_has_changed_is_read_again(tmp_path: Path) -> None:
    """Campaigns without news cost the numbers of their arms, users of unchanged feedback nothing."""
    store = make_store(tmp_path, campaigns={f"c{n}": {} for n in range(20)})
    for n in range(20):
        deliver(store, paired_days([1.0] * 3, [1.0] * 3, campaign_id=f"c{n}", user=f"u{n}"))
    first = status(store, "first", hour_after(3))
    asked = _statements(store)
    assert status(store, "first", hour_after(3)) == first
    assert not [one for one, _ in asked if "FROM totals" in one or "FROM events" in one]
    deliver(store, [event("policy", 2, campaign_id="c7", revenue=50.0)])
    asked.clear()
    found = status(store, "first", hour_after(3))
    assert found["arms"]["policy"]["revenue"] == pytest.approx(first["arms"]["policy"]["revenue"] + 50.0)
    again = [parameters for one, parameters in asked if "FROM totals" in one]
    assert len(again) == 1
    assert "c7" in again[0]
    assert not {f"c{n}" for n in range(20) if n != 7} & set(again[0])
    # What a fresh process reads is the same.
    assert status(Store(store.url), "first", hour_after(3)) == found


def _statements(store: Store) -> list[tuple[str, Any]]:
    """Statements from now on, with their parameters."""
    asked: list[tuple[str, Any]] = []
    with store.read() as connection:
        engine = connection.engine

    def heard(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", heard)
    return asked
