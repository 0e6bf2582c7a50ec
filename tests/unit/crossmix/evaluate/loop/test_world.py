"""Arms of one market: paired, thinned by chance, and every conversion told once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from crossmix.config import load
from crossmix.evaluate.loop.reports import Reporter
from crossmix.evaluate.loop.world import ArmWorld, worlds
from tests.support.markets import make_market, of_totals

MARKET = make_market(seed=2)
CONFIG = load("laptop")
PARTS = {"policy": 0.7, "control": 0.3}


def made(**changes):
    given = {"campaigns": 2, "cycles": 12, "mechanism": "counts", "seed": 5, "weekday": 2}
    return worlds(MARKET, CONFIG, tuple(PARTS), **(given | changes))


def test_arms_see_the_same_market_whatever_they_are_told() -> None:
    arms = made()
    skewed = torch.zeros(2, 10)
    skewed[:, 0] = 1.0
    for _ in range(5):
        policy, control = (arms[arm].conditions for arm in PARTS)
        for name in ("requests", "ctr", "cvr", "price_multiplier"):
            assert torch.equal(getattr(policy, name), getattr(control, name)), name
        arms["policy"].day(skewed, 0.7 * MARKET.budget, 0.7)
        arms["control"].day(arms["control"].static_BP, 0.3 * MARKET.budget, 0.3)


def test_a_part_of_the_users_is_a_part_of_the_requests() -> None:
    arm = made()["policy"]
    everybody = arm.conditions.requests.clone()
    day = arm.day(arm.static_BP, 0.7 * MARKET.budget, 0.7)
    assert (day.outcome.requests <= everybody).all()
    deviation = (everybody * 0.7 * 0.3).sqrt()
    assert ((day.outcome.requests - 0.7 * everybody).abs() < 5 * deviation).all()
    assert torch.equal(arm.day(arm.static_BP, torch.zeros(2), 0.0).outcome.spend, torch.zeros(2, 10))


def test_each_arm_has_its_own_luck_and_a_seed_gives_it_again() -> None:
    def requests(arm: str) -> torch.Tensor:
        world = made()[arm]
        return world.day(world.static_BP, 0.5 * MARKET.budget, 0.5).outcome.requests

    assert torch.equal(requests("policy"), requests("policy"))
    assert (requests("policy") != requests("control")).float().mean() > 0.5


def test_flights_begin_on_the_weekday_that_they_are_given() -> None:
    arm = made()["policy"]
    assert arm.weekday_B.tolist() == [2, 2]


def test_what_is_told_is_what_was_delivered_and_conversions_on_the_day_on_which_they_arrive() -> None:
    arm = made()["policy"]
    reporter = Reporter("policy", MARKET.campaigns, MARKET.platforms)
    delivered, told, late = torch.zeros(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64), 0.0
    names = ("impressions", "spend", "conversions", "revenue")
    ids = set()
    for day in range(15):
        played = arm.day(arm.static_BP, 0.7 * MARKET.budget, 0.7) if day < 12 else None
        if played is not None:
            delivered += torch.stack([getattr(played.outcome, name).double().sum() for name in names])
        for event in reporter.events(day, played):
            assert event["event_id"] not in ids
            ids.add(event["event_id"])
            assert event["cycle"] <= day
            assert float(event["conversions"]).is_integer()
            told += torch.tensor([event.get(name, 0.0) for name in names], dtype=torch.float64)
            late += event["conversions"] * (event["cycle"] < day)
    assert not reporter.waiting
    assert told[:3].tolist() == delivered[:3].tolist()
    torch.testing.assert_close(told[3], delivered[3], rtol=1e-5, atol=0)
    # The law says 0.4 of them come a day or two after.
    assert abs(late / float(delivered[2]) - 0.4) < 0.05


def test_an_account_that_ran_before_is_told_what_was_due_in_its_arms_parts() -> None:
    market = replace(of_totals(MARKET), delay=torch.full((2, 10, 20), 0.05))
    for part in PARTS.values():
        given = {"campaign_B": torch.arange(2), "cycles": 12, "mechanism": "counts", "seed": 5, "weekday": 2}
        world = ArmWorld(market, CONFIG, 0, **given)
        due = world.pending_DBP.clone()
        day = world.day(world.static_BP, torch.zeros(2), part)
        assert bool((day.arrives_2DBP[0] % 1 == 0).all())
        assert bool((day.arrives_2DBP[1] > 0).eq(day.arrives_2DBP[0] > 0).all())
        told_2, due_2 = (table.sum((1, 2, 3)) for table in (day.arrives_2DBP, due))
        assert (told_2 / due_2).tolist() == pytest.approx([part, part], abs=0.1)
        assert float(world.day(world.static_BP, torch.zeros(2), part).arrives_2DBP.sum()) == 0.0


def test_a_platform_that_delivers_nothing_says_so_or_is_silent() -> None:
    for silent in (False, True):
        arm = made()["policy"]
        reporter = Reporter("policy", MARKET.campaigns, MARKET.platforms, silent=silent)
        share = torch.zeros(2, 10)
        share[:, 1:] = 1 / 9
        events = reporter.events(0, arm.day(share, 0.7 * MARKET.budget, 0.7))
        cells = {event["platform"]: event for event in events if event["campaign_id"] == "c0"}
        assert ("p0" in cells) is not silent
        assert "complete" not in cells["p1"]
        if not silent:
            assert (cells["p0"]["complete"], cells["p0"]["spend"], cells["p0"]["conversions"]) == (True, 0.0, 0.0)
