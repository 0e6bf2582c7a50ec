"""Feedback into the feature store: the statistics that `History` gives on the same outcomes, as they became known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from crossmix.history import History, Outcome
from crossmix.ledger import pushes, tables
from crossmix.ledger.feedback import Increment
from crossmix.state import ALLOCATION
from feature_repo import features
from serving.feedback.cells import Flight, cells
from serving.feedback.statistics import row_of
from tests.support.pushing import DAY, DECAY, PLATFORMS, SHARE, WEIGHT, WINDOW, World
from tests.support.serving_live import START, event


def deliveries(cycles: int, seed: int = 5) -> list[dict[str, Any]]:
    """Every platform's cycle in two events that tell requests, conversions with them."""
    random = np.random.default_rng(seed)
    made = []
    for cycle in range(cycles):
        for platform in PLATFORMS:
            for part in range(2):
                impressions = int(random.integers(50, 100))
                told = {"impressions": impressions, "requests": impressions + int(random.integers(50)), "cycle": cycle}
                told |= {"clicks": int(random.integers(20)), "conversions": int(random.integers(3))}
                told |= {"revenue": float(random.random() * 50), "spend": float(random.random() * 30)}
                name = f"{platform}-{cycle}-{part}"
                made.append(event(name, campaign_id="c0", platform=platform, **told))
    return made


def served(world: World, cycle: int, share: dict[str, float], budget: float, at: float, arm: str = "policy") -> None:
    with world.store.write() as connection:
        row = {"allocation_id": f"{arm}{cycle}{at}", "at": START + at * DAY, "campaign_id": "c0", "arm": arm}
        row |= {"cycle": cycle, "bundle": "b", "budget": budget, "share": share}
        connection.execute(tables.served.insert(), row)


def direct(
    world: World, events: list[dict[str, Any]], cycles: int, splits: dict[int, Any], known: dict[str, int]
) -> Any:
    """The statistics after so many cycles, by `History` from the plain list of events, each known in a cycle."""
    log = world.row("log")[:120].reshape(10, 12)
    history = History(
        window=WINDOW,
        decay=DECAY,
        horizon=10,
        cycle_budget_B=torch.tensor([WEIGHT * 1_000]),
        minimum_BP=torch.tensor([[0, 0.05, *[0] * 8]]),
        maximum_BP=torch.tensor([[0.6, *[1] * 9]]),
        share_BP=torch.tensor([list(SHARE.values())]),
    )
    log_supply = torch.tensor(log[:, ALLOCATION.platform("log_supply")])[None]
    for cycle in range(cycles):

        def total(name: str, own: bool) -> torch.Tensor:
            cells = dict.fromkeys(PLATFORMS, 0.0)
            for one in events:
                counted = one["cycle"] == cycle if own else known[one["event_id"]] == cycle  # noqa: B023
                if counted and known[one["event_id"]] < cycles:
                    cells[one["platform"]] += one.get(name, 0)
            return torch.tensor([list(cells.values())], dtype=torch.float32)

        share, budget = splits.get(cycle, (SHARE, WEIGHT * 1_000))
        share_BP = torch.tensor([[share.get(name, 0.0) for name in PLATFORMS]])
        arrived = total("conversions", False), total("revenue", False)
        delivered = {name: total(name, True) for name in ("requests", "impressions", "clicks", "spend")}
        outcome = Outcome(**delivered, conversions=arrived[0], revenue=arrived[1], planned=share_BP * budget)
        history.update(outcome, *arrived, log_supply.exp() * WEIGHT * 1_000, share_BP)
    end = START + cycles * DAY
    platform, campaign = history.statistics(torch.tensor([float(end.weekday())]))
    return ALLOCATION.encode_statistics(platform, campaign)[0].numpy()


@pytest.mark.slow
def test_rows_are_what_history_gives(world: World) -> None:
    events = deliveries(5)
    other = dict(zip(PLATFORMS, reversed(SHARE.values()), strict=True))
    served(world, 1, SHARE, 500.0, 1.1)
    served(world, 1, other, 650.0, 1.2)
    served(world, 3, other, 700.0, 3.5)
    splits = {1: (other, 650.0), 3: (other, 700.0)}
    known = {one["event_id"]: one["cycle"] for one in events}
    for cycle in range(5):
        world.take(cycle + 0.5, *(one for one in events if one["cycle"] == cycle))
    assert world.advance(4.999) == 4
    np.testing.assert_allclose(world.row(), direct(world, events, 4, splits, known), rtol=2e-6, atol=2e-6)
    assert world.advance(4.999) == 0
    assert world.advance(5) == 1
    want = direct(world, events, 5, splits, known)
    np.testing.assert_allclose(world.row(), want, rtol=2e-6, atol=2e-6)
    _, seconds = features.online_known(world.folder, ["c0"], "policy")
    assert seconds == [(START + 5 * DAY).timestamp()]
    assert np.ptp(want) > 1
    moments = pd.DataFrame({"campaign_id": "c0", "arm": "policy", "event_timestamp": [START + 3.5 * DAY]})
    past = features.offline_states(world.folder, moments)[list(ALLOCATION.names)].to_numpy()[0]
    np.testing.assert_allclose(past, direct(world, events, 3, splits, known), rtol=2e-6, atol=2e-6)


def test_late_conversions_enter_where_they_became_known(world: World) -> None:
    events = deliveries(4)
    late = event("late", campaign_id="c0", platform="platform2", cycle=0, impressions=0, spend=0)
    late |= {"conversions": 5, "revenue": 900.0}
    known = {one["event_id"]: one["cycle"] for one in events} | {"late": 2}
    for cycle in range(4):
        world.take(cycle + 0.5, *(one for one in events if one["cycle"] == cycle), *([late] if cycle == 2 else []))
    world.advance(2)
    before = world.row()
    np.testing.assert_allclose(before, direct(world, [*events, late], 2, {}, known), rtol=2e-6, atol=2e-6)
    world.advance(3)
    np.testing.assert_allclose(world.row(), direct(world, [*events, late], 3, {}, known), rtol=2e-6, atol=2e-6)
    planned = WEIGHT * 1_000 * SHARE["platform2"]
    plain = sum(one["revenue"] for one in events if one["cycle"] == 2 and one["platform"] == "platform2")
    assert world.field("last_roi")[2] == pytest.approx((plain + 900) / planned, rel=1e-5)


def test_late_deliveries_count_in_their_cycle_from_when_they_are_known(world: World) -> None:
    events = deliveries(5)
    late = [one for one in events if one["event_id"].endswith("-1") and one["cycle"] == 1]
    known = {one["event_id"]: 3 if one in late else one["cycle"] for one in events}
    for cycle in range(5):
        world.take(cycle + 0.5, *(one for one in events if known[one["event_id"]] == cycle))
    assert world.advance(5) == 5
    found = pd.read_parquet(world.folder / "sources" / "platform_statistics.parquet")
    found = found[found["arm"] == "policy"].sort_values("event_timestamp")
    names = [name for name in found.columns if name in ALLOCATION.names]
    for cycle in range(5):
        want = dict(zip(ALLOCATION.names, direct(world, events, cycle + 1, {}, known), strict=True))
        got = found.iloc[cycle][names].to_numpy(dtype=float)
        np.testing.assert_allclose(got, [want[name] for name in names], rtol=2e-6, atol=2e-6)


def test_what_is_not_told_is_not_invented(world: World) -> None:
    log = world.row("log")[:120].reshape(10, 12)
    fields = {name: log[:, ALLOCATION.platform(name)] for name in ("log_price", "log_supply")}
    first, second = PLATFORMS[:2]
    told = [
        event("1", campaign_id="c0", platform=first, impressions=30, requests=40, spend=3),
        event("2", campaign_id="c0", platform=first, impressions=70, spend=7),
        event("3", campaign_id="c0", platform=second, impressions=50, spend=5),
    ]
    world.take(0.5, *told)
    world.advance(1)
    assert world.field("win_rate").tolist() == pytest.approx([30 / 40, *[0] * 9])
    assert world.field("log_supply").tolist() == fields["log_supply"].tolist()
    price = np.where(np.arange(10) < 2, np.log(0.1), fields["log_price"])
    assert world.field("log_price").tolist() == pytest.approx(price.tolist(), rel=1e-6)


def test_a_campaign_that_the_log_does_not_know_starts_cold(world: World) -> None:
    world.take(0.5, event("1", campaign_id="new", platform="platform3", impressions=50, spend=5))
    assert world.advance(1) == 1
    row = world.row(campaign="new")[:120].reshape(10, 12)
    assert row[:, ALLOCATION.platform("win_rate")].tolist() == [0] * 10
    assert row[3, ALLOCATION.platform("log_price")] == pytest.approx(np.log(0.1))


def test_arms_are_apart_and_what_was_last_seen_stands(world: World) -> None:
    world.take(0.5, event("p", campaign_id="c0", platform="platform0", revenue=280.0))
    world.take(3.5, event("c", campaign_id="c0", platform="platform0", cycle=3, arm="control", revenue=60.0))
    assert world.advance(1) == 1
    assert world.field("last_roi")[0] == pytest.approx(1.0)
    assert world.advance(3) == 2
    assert world.field("last_roi")[0] == pytest.approx(1.0)
    assert world.field("windowed_roi")[0] == pytest.approx(1.0)
    assert ALLOCATION.of_campaign(world.row(), "elapsed") == pytest.approx(0.3)
    assert world.advance(3.9, "control") == 0
    assert world.advance(4, "control") == 1
    assert world.field("last_roi", "control")[0] == pytest.approx(0.5)
    assert ALLOCATION.of_campaign(world.row("control"), "elapsed") == pytest.approx(0.4)


def test_pushing_ends_with_the_campaign_and_its_last_row_follows_what_comes_late(world: World) -> None:
    assert world.advance(5) == 0
    world.take(0.5, event("1", campaign_id="c0", platform="platform0"))
    assert world.advance(30) == 10
    assert world.advance(40) == 0
    before = world.field("last_roi")[0]
    world.take(40.5, event("2", campaign_id="c0", platform="platform0", cycle=9, impressions=5, spend=7.0, revenue=5.0))
    assert world.advance(41) == 1
    assert (before, world.field("last_roi")[0]) == (0.0, pytest.approx(5 / (WEIGHT * 1_000 * SHARE["platform0"])))
    assert world.advance(50) == 0


def test_a_push_cut_off_before_its_note_is_done_again_to_the_same_effect(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = deliveries(3)
    for cycle in range(3):
        world.take(cycle + 0.5, *(one for one in events if one["cycle"] == cycle))
    with monkeypatch.context() as patched:
        patched.setattr(pushes, "note", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            world.advance(3)
    cut, rows = world.row(), world.rows()
    assert rows == 3
    world.take(
        3.2, event("later", campaign_id="c0", platform="platform1", cycle=0, impressions=0, spend=0, revenue=70.0)
    )
    assert world.advance(3) == 3
    assert world.rows() == rows
    assert np.array_equal(world.row(), cut)
    assert world.advance(3) == 0


def test_a_plan_that_changed_on_the_way_does_not_reprice_the_past(world: World) -> None:
    """Three cycles of 700 planned and spent, then 350 a cycle: the pace stays 1, whatever the coming plan is."""

    def plan(cycle: int) -> float:
        return 700.0 if cycle < 3 else 350.0

    spent = [Increment(cycle, cycle, 0, (0.0, 0.0, 10.0, 1.0, 700.0), (0.0, 0.0)) for cycle in range(3)]
    complete = {(cycle, slot) for cycle in range(3) for slot in range(10)}
    flight = Flight(spent, complete, {}, np.array(list(SHARE.values())), plan, world.campaign.cycles)
    for newest in range(3):
        row = row_of(world.campaign, PLATFORMS, cells(flight, newest, 3), {}, WINDOW, DECAY)
        assert ALLOCATION.of_campaign(row.values_X, "pace") == pytest.approx(1.0)
    whole = 3 * 700 + (world.campaign.cycles - 3) * 350
    assert ALLOCATION.of_campaign(row.values_X, "consumed") == pytest.approx(2_100 / whole)


def test_statistics_follow_corrections_and_stay_numbers_under_a_refund_larger_than_the_cell(world: World) -> None:
    world.take(0.5, *deliveries(1))
    world.advance(1.1)
    plain = world.row().copy()
    name = f"{PLATFORMS[0]}-0-0"
    one = next(made for made in deliveries(1) if made["event_id"] == name)
    world.take(1.2, {**one, "event_id": "mended", "revenue": one["revenue"] + 500.0, "replaces": name})
    quiet = {"campaign_id": "c0", "cycle": 1, "impressions": 0, "spend": 0, "reason": "returned goods"}
    world.take(1.3, event("refund", platform=PLATFORMS[1], revenue=-1e6, conversions=-50, **quiet))
    world.advance(2.1)
    after = world.row()
    assert np.isfinite(after).all()
    assert not np.array_equal(after, plain)
