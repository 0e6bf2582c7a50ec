"""What was delivered beside what was planned and told: states of cycles, money left, the unknown, the file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from crossmix.ledger import delivery as readers
from crossmix.ledger import feedback, served
from crossmix.ledger.campaigns import Campaign, changing
from crossmix.ledger.feedback import Event, increments_of, known_cells_of
from crossmix.ledger.served import last_splits_of
from crossmix.ledger.store import Store
from serving.feedback.cells import SPEND, Flight, cells
from serving.page import delivery, export, figures
from serving.page.dates import Range, RangeError, span

START = datetime(2026, 1, 5, tzinfo=UTC)
PLATFORMS = ("search", "social")
SHARE = {"search": 0.6, "social": 0.4}
WEIGHTS = {"policy": 0.7, "control": 0.3}
SILENT = 3


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'serving.db'}", clock=lambda: START)
    yield opened
    opened.close()


def campaign(**changes: Any) -> Campaign:
    planned = Campaign("spring", "EUR", 1_000.0, SHARE, {}, START, 14, 24.0, timezone="UTC")
    return replace(planned, **changes)


def event(cycle: int, platform: str, arm: str, spend: float, **changes: Any) -> Event:
    name = f"{cycle}.{platform}.{arm}.{changes.get('known', cycle)}"
    values = {"impressions": 100.0, "clicks": 10.0, "conversions": spend / 10, "revenue": 2 * spend} | changes
    known = int(values.pop("known", cycle))
    return Event(
        name, values.pop("campaign_id", "spring"), arm, platform, cycle, known, None, None, spend=spend, **values
    )


def full(cycle: int, part: float = 1.0, **changes: Any) -> list[Event]:
    """Reports of every arm and platform: `part` of what was told."""
    return [
        event(cycle, platform, arm, part * 1_000 * weight * SHARE[platform], **changes)
        for arm, weight in WEIGHTS.items()
        for platform in PLATFORMS
    ]


def told(cycle: int, budget: float = 1_000.0) -> list[dict[str, Any]]:
    """What the answers of a cycle said."""
    nothing = dict.fromkeys(("state", "logits", "log_density", "override"))
    return [
        {
            "allocation_id": f"{cycle}.{arm}.{budget}",
            "at": START + timedelta(days=cycle, minutes=budget / 1_000),
            "campaign_id": "spring",
            "arm": arm,
            "cycle": cycle,
            "bundle": "b",
            "budget": budget * weight,
            "share": SHARE,
            **nothing,
        }
        for arm, weight in WEIGHTS.items()
    ]


def kept(store: Store, events: list[Event], cycles: int) -> None:
    feedback.insert(store, events, START + timedelta(days=cycles))
    served.record(store, [], [row for cycle in range(cycles) for row in told(cycle)])


def shown(store: Store, one: Campaign, day: float, asked: Range | None = None) -> dict[str, Any]:
    now = START + timedelta(days=day)
    return delivery.of(one, PLATFORMS, delivery.read(store, [one], asked or Range(), now, silent=SILENT), now, SILENT)


def test_amounts_and_ratios_of_a_day_and_of_the_range(store: Store) -> None:
    kept(store, [one for cycle in range(3) for one in full(cycle, 0.9)], 4)
    figures = shown(store, campaign(), 3.5)
    day = figures["days"][1]
    assert (day["date"], day["state"], day["planned"], day["told"]) == ("2026-01-06", "settled", 1_000, 1_000)
    assert day["spend"] == pytest.approx(900)
    assert day["revenue"] == pytest.approx(1_800)
    assert (day["roas"], day["cpa"], day["pace"]) == (pytest.approx(2), pytest.approx(10), pytest.approx(0.9))
    assert day["left"] == pytest.approx(100)
    assert day["platforms"]["search"]["spend"] == pytest.approx(540)
    assert day["platforms"]["search"]["told"] == pytest.approx(600)
    assert day["arms"]["control"]["spend"] == pytest.approx(270)
    # The day that runs has no report yet: unknown, not 0, and no part of what is judged.
    running = figures["days"][3]
    assert (running["state"], running["spend"], running["roas"]) == ("running", None, None)
    total = figures["total"]
    assert (total["pace"], total["roas"], total["finished"]) == (pytest.approx(0.9), pytest.approx(2), 3)
    assert total["final"]
    assert figures["left"]["left"] == pytest.approx(14_000 - 2_700)
    assert figures["left"]["assumed"] == 0


def test_a_platforms_day_has_its_own_figures(store: Store) -> None:
    """Of one day `social` reports nothing, and of the day that runs nobody has yet."""
    days = [*full(0, 0.9), *(one for one in full(1, 0.5) if one.platform == "search")]
    kept(store, days, 3)
    found = shown(store, campaign(), 2.5)
    one = {"currency": "EUR", "cycle_hours": 24.0, "delivery": found}
    table = figures.grid(one)
    assert table.head == ("Day", *PLATFORMS)
    assert [[(cell.text, cell.small.replace("\u00a0", " ")) for cell in row[1:]] for row in table.rows] == [
        [("not yet", "told 600"), ("not yet", "told 400")],
        [
            ("300", "told 600 \u00b7 revenue 600 \u00b7 ROAS 2.00 \u00b7 CPA 10.00"),
            ("not reported", "told 400"),
        ],
        [
            ("540", "told 600 \u00b7 revenue 1\u202f080 \u00b7 ROAS 2.00 \u00b7 CPA 10.00"),
            ("360", "told 400 \u00b7 revenue 720 \u00b7 ROAS 2.00 \u00b7 CPA 10.00"),
        ],
    ]


def test_what_is_not_reported_is_unknown_and_counts_as_spent(store: Store) -> None:
    kept(store, [*full(0), *full(2)], 4)
    figures = shown(store, campaign(), 3.5)
    assert [day["state"] for day in figures["days"]] == ["settled", "not reported", "settled", "running"]
    silent = figures["days"][1]
    assert [silent[key] for key in ("spend", "revenue", "roas", "pace", "left")] == [None] * 5
    assert figures["total"]["unreported"] == 1
    assert figures["total"]["pace"] == pytest.approx(1)
    assert figures["left"] == {
        "flight": 14_000,
        "spent": pytest.approx(2_000),
        "assumed": pytest.approx(1_000),
        "left": pytest.approx(11_000),
        "running": None,
    }


def test_a_campaign_without_any_report_has_spent_nothing_that_is_known(store: Store) -> None:
    kept(store, [], 3)
    left = shown(store, campaign(), 3.5)["left"]
    assert left["spent"] is None
    assert (left["assumed"], left["left"]) == (pytest.approx(3_000), pytest.approx(11_000))


def test_a_silent_platform_is_named_and_its_money_comes_back_after_a_while(store: Store) -> None:
    events = [one for cycle in range(8) for one in full(cycle) if one.platform == "search" or cycle < 2]
    kept(store, events, 9)
    figures = shown(store, campaign(), 8.5)
    assert [day["state"] for day in figures["days"][:4]] == ["settled", "settled", "partly reported", "partly reported"]
    assert figures["days"][5]["missing"] == ["social"]
    assert figures["days"][5]["platforms"]["social"]["spend"] is None
    assert figures["platforms"]["social"]["silent_since"] == "2026-01-07"
    assert figures["platforms"]["search"]["silent_since"] is None
    # Until its third cycle of silence its money counts as spent, and from then on as unspent, that of all of them.
    assert figures["left"]["assumed"] == 0
    assert figures["left"]["left"] == pytest.approx(14_000 - 8 * 600 - 2 * 400)
    assert [shown(store, campaign(), day)["left"]["assumed"] for day in (2.5, 3.5, 4.5, 5.5)] == pytest.approx(
        [0, 400, 800, 0]
    )


def test_what_is_taken_as_spent_is_what_the_pace_takes_as_spent(store: Store) -> None:
    """Short and long silences, of one arm, of a whole arm, conversions without spend, a complete zero."""
    gone = {(arm, cycle, "social") for arm in WEIGHTS for cycle in (1, 2, 4, 5, 6)}
    gone |= {("control", 8, "search"), ("control", 8, "social"), ("policy", 10, "social"), ("control", 11, "social")}
    events = [one for cycle in range(12) for one in full(cycle) if (one.arm, cycle, one.platform) not in gone]
    events.append(event(10, "social", "policy", 0.0, conversions=2.0, impressions=0.0, clicks=0.0))
    events.append(event(11, "social", "control", 0.0, complete=True))
    kept(store, events, 13)
    left = shown(store, campaign(), 12.5)["left"]
    expected = 0.0
    for arm, weight in WEIGHTS.items():
        known = Flight(
            increments_of(store, ["spring"], PLATFORMS).get(("spring", arm), ()),
            known_cells_of(store, ["spring"], PLATFORMS).get(("spring", arm), ()),
            last_splits_of(store, ["spring"], PLATFORMS).get(("spring", arm), {}),
            np.array([SHARE[name] for name in PLATFORMS]),
            lambda _, weight=weight: 1_000 * weight,  # type: ignore[misc]
            14,
            lambda _: False,
        )
        paced = cells(known, 11, SILENT)
        expected += float((paced.spent_CP - paced.delivered_CPQ[:, :, SPEND]).sum())
    assert expected == pytest.approx(2 * 400 + 300 + 280)
    assert left["assumed"] == pytest.approx(expected)


def test_a_spend_that_is_corrected_or_refunded_to_nothing_is_a_report_of_nothing(store: Store) -> None:
    """Its money is unspent at once: 700 of the policy's 700 of day 1, by a correction, and the control's by refunds."""
    wrong = [replace(one, event_id=f"wrong {one.event_id}") for one in full(1)]
    mended = [
        replace(one, event_id=f"mended {one.event_id}", replaces=f"wrong {one.event_id}", spend=0.0, reason="no money")
        if one.arm == "policy"
        else replace(
            one, event_id=f"mended {one.event_id}", spend=-one.spend, impressions=0.0, clicks=0.0, reason="back"
        )
        for one in full(1)
    ]
    kept(store, [*full(0), *wrong, *mended], 3)
    left = shown(store, campaign(), 2.5)["left"]
    assert (left["spent"], left["assumed"], left["left"]) == (pytest.approx(1_000), 0, pytest.approx(13_000))
    for arm in WEIGHTS:
        known = known_cells_of(store, ["spring"], PLATFORMS)["spring", arm]
        assert known == {(1, slot) for slot, name in enumerate(PLATFORMS) if SHARE[name] > 0}


def test_money_left_is_the_same_whatever_days_are_shown(store: Store) -> None:
    kept(store, [one for cycle in range(8) for one in full(cycle) if one.platform == "search" or cycle < 6], 9)
    everything = shown(store, campaign(), 8.5)["left"]
    for asked in (Range(date(2026, 1, 5), date(2026, 1, 6)), Range(date(2025, 1, 5), date(2025, 1, 6))):
        assert shown(store, campaign(), 8.5, asked)["left"] == everything
    assert everything["assumed"] == pytest.approx(2 * 400)


def test_a_complete_zero_is_a_report_of_nothing_spent(store: Store) -> None:
    zero = full(1, 0.0, complete=True, impressions=0.0, clicks=0.0)
    kept(store, [*full(0), *zero], 3)
    day = shown(store, campaign(), 2.5)["days"][1]
    assert (day["state"], day["spend"], day["roas"], day["pace"]) == ("settled", 0, None, 0)


def test_conversions_that_are_due_keep_a_day_open_as_long_as_they_took_before(store: Store) -> None:
    events = []
    for cycle in range(6):
        events += full(cycle, 1.0, conversions=7.0, revenue=200.0)
        if cycle < 4:
            events += full(cycle, 0.0, known=cycle + 2, conversions=3.0, revenue=100.0, impressions=0.0, clicks=0.0)
    kept(store, events, 6)
    figures = shown(store, campaign(), 6.2)
    assert figures["due_after"] == 2
    assert [day["state"] for day in figures["days"]][3:6] == ["settled", "conversions due", "conversions due"]
    assert figures["total"]["judged"] == 4
    # What is final is judged, so that two open days are no collapse.
    assert figures["total"]["roas"] == pytest.approx(300 * 4 / 1_000)
    marked = [one for platform in PLATFORMS for arm in WEIGHTS for one in (event(4, platform, arm, 0.0, known=5),)]
    feedback.insert(store, [replace(one, event_id=f"{one.event_id}c", complete=True) for one in marked], START)
    assert shown(store, campaign(), 6.2)["days"][4]["state"] == "settled"


def test_a_pause_costs_nothing(store: Store) -> None:
    feedback.insert(store, full(0), START)
    one = campaign()
    with changing(store, "anna", "") as table:
        table.add(one)
    for at, paused in ((1.5, True), (5.5, False)):
        store.clock = lambda at=at: START + timedelta(days=at)  # type: ignore[misc]
        with changing(store, "anna", "") as table:
            table.set_paused(replace(one, paused=not paused), paused)
    # Of cycles 1 to 7 those of 2, 3 and 4 stood still; 1 and 5 were shared.
    assert shown(store, one, 8.0)["left"]["assumed"] == pytest.approx(4_000)


def test_a_day_on_which_nothing_was_to_be_spent_stood_still(store: Store) -> None:
    feedback.insert(store, full(0), START)
    served.record(store, [], [*told(0), *told(1, 0.0)])
    day = shown(store, campaign(), 2.1)["days"][1]
    assert (day["state"], day["told"], day["spend"]) == ("stood still", 0, None)


def test_the_past_keeps_its_price(store: Store) -> None:
    kept(store, [one for cycle in range(4) for one in full(cycle)], 4)
    with changing(store, "anna", "") as table:
        table.add(campaign())
    store.clock = lambda: START + timedelta(days=2.5)
    with changing(store, "anna", "") as table:
        table.edit(campaign(), campaign(cycle_budget=2_000.0))
    figures = shown(store, campaign(cycle_budget=2_000.0), 4.1)
    assert [day["planned"] for day in figures["days"]] == [1_000, 1_000, 2_000, 2_000, 2_000]
    assert figures["left"]["flight"] == 2 * 1_000 + 12 * 2_000


def test_days_are_those_of_the_campaigns_zone() -> None:
    one = campaign(starts=datetime(2026, 1, 5, 22, 33, tzinfo=UTC), timezone="Europe/Berlin")
    now = START + timedelta(days=6)
    # Cycle 0 is what was left of the 5th in Berlin, from 23:33 on.
    assert span(one, Range(date(2026, 1, 5), date(2026, 1, 5)), now, 92) == (0, 0)
    assert span(one, Range(date(2026, 1, 6), date(2026, 1, 8)), now, 92) == (1, 3)
    assert span(one, Range(date(2025, 1, 6), date(2025, 1, 8)), now, 92) is None
    assert span(one, Range(), START - timedelta(days=9), 92) is None
    # Once it is over the last days are its own.
    assert span(one, Range(), START + timedelta(days=400), 92) == (0, 13)
    hourly = campaign(cycle_hours=1.0, cycles=10_000)
    assert span(hourly, Range(), START + timedelta(days=30), 92) == (720 - 91, 720)


def test_days_that_are_none_are_refused_in_a_sentence() -> None:
    for first, last, sentence in (
        ("yesterday", None, "from: 'yesterday'; give a day, as 2026-01-31, of the years 2000 to 2199"),
        (None, "0001-01-01", "to: '0001-01-01'; give a day, as 2026-01-31, of the years 2000 to 2199"),
        ("2026-02-01", "2026-01-01", "from: 2026-02-01 is after to, 2026-01-01; give the earlier day first"),
    ):
        with pytest.raises(RangeError) as refusal:
            Range.read(first, last)
        assert str(refusal.value) == sentence
    assert Range.read("", "") == Range()


def test_a_file_has_a_row_per_platform_and_arm_and_no_formula(store: Store) -> None:
    kept(store, [one for one in full(0) if one.platform == "search"], 2)
    one = campaign(currency="=cmd")
    text = "".join(export.lines(store, [one], PLATFORMS, Range(), START + timedelta(days=1.5)))
    assert text.endswith("\r\n")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["cycle"], row["platform"], row["arm"]) for row in rows[:4]] == [
        ("0", "search", "policy"),
        ("0", "search", "control"),
        ("0", "social", "policy"),
        ("0", "social", "control"),
    ]
    first, silent = rows[0], rows[2]
    assert (first["told"], first["spend"], first["revenue"], first["roas"]) == ("420", "420", "840", "2")
    assert (silent["told"], silent["spend"], silent["revenue"], silent["reported"]) == ("280", "", "", "no")
    assert {row["cycle_state"] for row in rows} == {"partly reported", "running"}
    assert first["currency"] == "'=cmd"
    assert first["begins"] == "2026-01-05T00:00:00+00:00"
    for name in ("+1", "-1", "@sum", "\tx", "=1"):
        row = next(csv.reader(io.StringIO(export._written([(name, -5.0)]))))
        assert row == ["'" + name, "-5"]


def test_a_file_leaves_out_what_was_told_nothing_and_did_not_report(store: Store) -> None:
    feedback.insert(store, [event(0, "search", "policy", 10.0), event(1, "social", "policy", 5.0)], START)
    served.record(store, [], [{**row, "share": {"search": 1.0, "social": 0.0}} for row in (*told(0), *told(1))])
    text = "".join(export.lines(store, [campaign()], PLATFORMS, Range(), START + timedelta(days=2.5)))
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["cycle"] in ("0", "1")]
    assert [(row["cycle"], row["platform"], row["arm"], row["told"], row["spend"]) for row in rows] == [
        ("0", "search", "policy", "700", "10"),
        ("0", "search", "control", "300", ""),
        ("1", "search", "policy", "700", ""),
        ("1", "search", "control", "300", ""),
        ("1", "social", "policy", "0", "5"),
    ]


def test_the_list_says_where_ratios_are_not_final(store: Store) -> None:
    kept(store, [*full(0), *full(1, known=5), *full(2)], 4)
    for day, basis in ((3.5, "not final"), (13.5, "")):
        one = {
            "campaign_id": "spring",
            "delivery": shown(store, campaign(), day, Range(date(2026, 1, 5), date(2026, 1, 7))),
        }
        cells = figures.overview(one)["cells"]
        assert [cell.small for cell in cells[2:4]] == [basis] * 2, day


def test_the_number_of_queries_does_not_grow_with_that_of_campaigns(store: Store) -> None:
    many = [campaign(campaign_id=f"c{number}") for number in range(50)]
    feedback.insert(
        store,
        [
            replace(one, campaign_id=each.campaign_id, event_id=one.event_id + each.campaign_id)
            for each in many
            for one in full(0)
        ],
        START,
    )
    asked: list[str] = []
    sa.event.listen(store.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    counts = []
    for some in (many[:1], many):
        asked.clear()
        known = delivery.read(store, some, Range(), START + timedelta(days=3), silent=SILENT)
        counts.append(len(asked))
        assert len(known.cells) == len(some)
        assert sum(len(one) for one in known.cells.values()) == 4 * len(some)
    assert counts[0] == counts[1] <= 7


def test_a_read_names_campaigns_in_parts_that_a_query_can_hold(store: Store) -> None:
    names = [f"c{number}" for number in range(readers.TOGETHER + 1)]
    feedback.insert(store, [replace(full(0)[0], campaign_id=names[-1])], START)
    assert set(readers.flights(store, names)) == {names[-1]}
    assert sum(map(len, readers.cells(store, dict.fromkeys(names, (0, 1))).values())) == 1
