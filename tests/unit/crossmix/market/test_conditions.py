"""From parameters to a cycle: what is scaled, in which order, and where a rate is cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from crossmix.baselines.mpc import Mpc
from crossmix.baselines.player import Task
from crossmix.config import load
from crossmix.market.conditions import (
    TABLES,
    Average,
    Conditions,
    assembled,
    nominal,
    probability,
    scaled,
    scaled_market,
)
from crossmix.market.environment import MarketEnvironment
from crossmix.market.mechanism import counts, exact, expected
from crossmix.market.model import Market, check
from crossmix.market.replay_splits import retrace
from crossmix.market.responder import MarketResponder
from crossmix.market.shift import Schedule, shift
from crossmix.whatif.scene import make_scene
from tests.support.markets import make_market


def _seasonal() -> Market:
    market = make_market(platforms=4)
    week = 1 + 0.1 * torch.sin(torch.arange(7.0))
    return replace(market, response_week=market.response_week * week)


def test_the_average_cycle_is_the_parameters_times_the_weekday() -> None:
    market = _seasonal()
    campaign_B, weekday_B = torch.tensor([0, 1, 1]), torch.tensor([0, 3, 6])
    found = nominal(market, campaign_B, weekday_B)
    for row, (c, day) in enumerate(zip(campaign_B.tolist(), weekday_B.tolist(), strict=True)):
        expected_requests = market.value["requests"][c] * market.volume_week[c, :, day]
        torch.testing.assert_close(found.requests[row], expected_requests)
        torch.testing.assert_close(found.ctr[row], market.value["ctr"][c] * market.response_week[c, :, day])
        for name in ("cvr", "value", "value_cv", "saturation", "pacing"):
            assert torch.equal(getattr(found, name)[row], market.value[name][c]), name
    assert bool((found.price_multiplier == 1).all())


def test_an_average_weekday_is_the_parameters_themselves() -> None:
    market = _seasonal()
    found = nominal(market, torch.tensor([1]))
    assert torch.equal(found.requests[0], market.value["requests"][1])
    assert torch.equal(found.ctr[0], market.value["ctr"][1])
    assert torch.equal(Average.of(market, torch.tensor([1])).requests()[0], market.value["requests"][1])


def test_a_supply_of_less_than_one_request_has_one() -> None:
    market = make_market(platforms=4)
    few = replace(market, value=market.value | {"requests": torch.full((2, 4), 0.2)})
    assert bool((nominal(few, torch.tensor([0])).requests == 1).all())


def test_factors_multiply_one_after_the_other_and_leave_the_rest() -> None:
    conditions = nominal(make_market(platforms=4), torch.tensor([0, 1]))
    one, other = torch.tensor([0.3, 1.7, 1.1, 0.9]), torch.rand(2, 4, generator=torch.Generator().manual_seed(0))
    found = scaled(conditions, ctr=(one, other), price_multiplier=other, requests=one > 1)
    assert torch.equal(found.ctr, conditions.ctr * one * other)
    assert torch.equal(found.price_multiplier, other)
    # An outage leaves nothing.
    assert torch.equal(found.requests, conditions.requests * torch.tensor([0.0, 1.0, 1.0, 0.0]))
    for name in set(TABLES) - {"ctr", "price_multiplier", "requests"}:
        assert torch.equal(getattr(found, name), getattr(conditions, name)), name


def test_scaled_rates_stay_probabilities_and_amounts_do_not() -> None:
    conditions = nominal(make_market(platforms=4), torch.tensor([0]))
    factor = torch.tensor(1e6)
    found = scaled(conditions, ctr=factor, cvr=factor, value=factor)
    assert bool((found.ctr == 1).all() & (found.cvr == 1).all())
    assert torch.equal(found.value, conditions.value * factor)


RATES = torch.tensor([0.94, 0.96, 0.999, 1.0])
"""Near the edge: 0.95 is no bound."""


def _edge(factor: float) -> Market:
    """Click and conversion rates that are `RATES` once they are multiplied by `factor`, without season or drift."""
    market = make_market(platforms=4, campaigns=1)
    still = {name: 0 * table for name, table in market.value.items() if name.endswith("_drift")}
    rates = (RATES / factor)[None]
    return replace(market, value=market.value | still | {"ctr": rates, "cvr": rates})


def _paths(market: Market, factor: float) -> Market:
    shape = (3, 1, 4)
    path = dict.fromkeys(("ctr", "cvr"), torch.full(shape, factor))
    return replace(market, path=path | {"requests": torch.full(shape, 500.0), "level": torch.ones(shape)})


def _environment() -> Conditions:
    campaign_B = torch.zeros(1, dtype=torch.long)
    world = MarketEnvironment(_edge(1.0), load("laptop"), campaign_B=campaign_B, cycles=2, mechanism="counts", seed=0)
    return world.conditions


def _mpc() -> Conditions:
    market, zero = _edge(1.0), torch.zeros(1, dtype=torch.long)
    low, high = torch.zeros(1, 4), torch.ones(1, 4)
    task = Task(market.budget, low, high, market.static, zero, market.context[:, 0], torch.zeros(1))
    return Mpc(market, zero).predicted(task)


def _holiday() -> Conditions:
    """Conversion rates times 1.3 on all platforms, click rates times 1.3 on one more."""
    market = shift(_edge(1.3), "holiday")
    conditions = Schedule(market).apply(nominal(market, torch.tensor([0])), 0)
    return scaled(conditions, ctr=torch.tensor(1.3))


PLACES: dict[str, Callable[[], Conditions]] = {
    "nominal": lambda: nominal(_edge(1.0), torch.tensor([0])),
    "scaled market": lambda: nominal(scaled_market(_edge(1.25), ctr=1.25, cvr=1.25), torch.tensor([0])),
    "environment": _environment,
    "a shift": _holiday,
    "the plug-in with filters": _mpc,
    "what-if, last week": lambda: make_scene(_paths(_edge(1.25), 1.25), draws=4, present=True).conditions,
    "what-if, a cycle": lambda: make_scene(_paths(_edge(1.25), 1.25), draws=4, present=True).cycles,
    "responder": lambda: MarketResponder(_edge(1.0), "c0").conditions,
}


@pytest.mark.parametrize("place", PLACES)
def test_rates_are_kept_up_to_one_everywhere(place: str) -> None:
    conditions = PLACES[place]()
    torch.testing.assert_close(conditions.ctr[0].float(), RATES)
    torch.testing.assert_close(conditions.cvr[0].float(), RATES)


def test_what_exceeds_one_is_cut_at_one_and_the_market_stays_sound() -> None:
    assert probability(torch.tensor([-0.1, 0.3, 1.2])).tolist() == pytest.approx([0.0, 0.3, 1.0])
    market = scaled_market(_edge(1.0), ctr=1.5, cvr=1.5)
    check(market)
    conditions = nominal(market, torch.tensor([0]))
    assert bool((conditions.ctr == 1).all() & (conditions.cvr == 1).all())
    budget = 0.2 * conditions.supply_cost()
    closed = expected(conditions, budget)
    assert bool((closed.conversions == closed.clicks).all())
    for play in (counts, exact):
        outcome = play(conditions, budget, torch.Generator().manual_seed(0))
        assert bool((outcome.clicks <= outcome.impressions).all())
        assert bool((outcome.conversions == outcome.clicks).all())
        torch.testing.assert_close(outcome.clicks, closed.clicks, rtol=0.15, atol=0)


def test_a_log_whose_rates_are_high_is_retraced_at_them() -> None:
    """0.96, which once was cut at 0.95 for clicks and kept for conversions."""
    market = _paths(_edge(1.0), 1.0)
    outcome = retrace(market, torch.full((3, 1, 4), 100.0).numpy())
    torch.testing.assert_close(outcome.conversions / outcome.clicks, RATES.expand(3, 4))


def test_a_scaled_market_moves_both_price_tables_and_nothing_else() -> None:
    market = make_market(platforms=4)
    factor = torch.tensor([0.5, 1.0, 2.0, 3.0])
    found = scaled_market(market, price_multiplier=factor, requests=factor, value=2.0)
    campaigns = torch.arange(2)
    torch.testing.assert_close(found.prices(campaigns).mean(), market.prices(campaigns).mean() * factor)
    torch.testing.assert_close(found.price_law, market.price_law * factor[:, None])
    torch.testing.assert_close(found.value["requests"], market.value["requests"] * factor)
    torch.testing.assert_close(found.value["value"], market.value["value"] * 2)
    assert torch.equal(found.value["ctr"], market.value["ctr"])
    table = torch.stack([torch.full((2, 4), 0.3), torch.full((2, 4), 0.5)], -1)
    lognormal = replace(market, price_kind="lognormal", price=table)
    moved = scaled_market(lognormal, price_multiplier=factor)
    torch.testing.assert_close(moved.prices(campaigns).mean(), lognormal.prices(campaigns).mean() * factor)
    assert torch.equal(moved.price[..., 1], table[..., 1])


def test_parameters_become_conditions_without_drift() -> None:
    market = make_market(platforms=4)
    parameter = {name: table[:1] for name, table in market.value.items()}
    found = assembled(
        parameter | {"requests": torch.zeros(1, 4), "ctr": torch.full((1, 4), 1.4)}, market.prices(torch.tensor([0]))
    )
    assert bool((found.requests == 1).all() & (found.ctr == 1).all() & (found.price_multiplier == 1).all())
