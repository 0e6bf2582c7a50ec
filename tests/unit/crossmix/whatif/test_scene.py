"""The scene: an average day, intervals of the fitted parameters, and the laws of single cycles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from crossmix import whatif
from crossmix.config import ConfigError, laptop
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import Market
from crossmix.whatif.curves import respond
from tests.support.markets import of_totals
from tests.support.scenes import P, exact_market, revenue


def test_an_average_weekday_lies_between_the_weekdays(market: Market) -> None:
    average = whatif.make_scene(market, "c0").conditions.requests
    days = torch.cat([whatif.make_scene(market, "c0", weekday=day).conditions.requests for day in range(7)])
    torch.testing.assert_close(days.mean(0, keepdim=True), average, rtol=1e-5, atol=0)
    assert float((days.max(0).values / days.min(0).values).min()) > 1.2  # the market has a weekly pattern of +-20 %


def test_intervals_follow_the_laws_of_the_parameters(market: Market) -> None:
    """Revenue is linear in value and in the conversion rate: their quantiles are its quantiles."""
    part, draws = 0.2, 20_000
    # A 2.5 % quantile of n draws errs by sqrt(.025 x .975 / n) / phi(1.96) = 0.019 deviations; five of those.
    slack = 5 * 0.019 * part
    worth = whatif.make_scene(exact_market(market, value=part), "c0", draws=draws)
    plan = whatif.split_plan(worth, worth.today_P.tolist(), worth.budget)
    sigma = np.sqrt(np.log1p(part**2))
    for line in plan.platforms:
        assert line.revenue.low / line.revenue.value == pytest.approx(np.exp(-1.96 * sigma - sigma**2 / 2), abs=slack)
        assert line.revenue.high / line.revenue.value == pytest.approx(np.exp(1.96 * sigma - sigma**2 / 2), abs=slack)
        assert line.marginal_roi.high / line.marginal_roi.value == pytest.approx(
            line.revenue.high / line.revenue.value, rel=1e-9
        )
        assert line.conversions.high == pytest.approx(line.conversions.value, rel=1e-12)

    rate = whatif.make_scene(exact_market(market, cvr=part), "c0", draws=draws)
    plan = whatif.split_plan(rate, rate.today_P.tolist(), rate.budget)
    for cvr, line in zip(market.value["cvr"][0].double().tolist(), plan.platforms, strict=True):
        logit = np.log(cvr / (1 - cvr)) + 1.96 * part * cvr / (cvr * (1 - cvr))
        assert line.revenue.high / line.revenue.value == pytest.approx(1 / (1 + np.exp(-logit)) / cvr, abs=slack)
        # More conversions for the same money: CPA moves the other way.
        assert line.cpa.low / line.cpa.value == pytest.approx(line.revenue.value / line.revenue.high, rel=1e-3)


def test_without_errors_there_is_no_interval_and_an_unknown_error_counts_as_none(market: Market) -> None:
    unknown = replace(market, error={name: torch.full_like(x, torch.nan) for name, x in market.value.items()})
    for one in (exact_market(market), unknown):
        answer = whatif.best_split(whatif.make_scene(one, "c0", draws=50), 500.0, share_draws=10)
        assert answer.best.revenue.low == answer.best.revenue.high == pytest.approx(answer.best.revenue.value)
        for line in answer.best.platforms:
            assert line.share.high - line.share.low < 1e-5
        # Cycles vary all the same.
        assert answer.best.cycle_revenue[1] > 1.2 * answer.best.cycle_revenue[0]


def test_single_cycles_follow_the_environments_law(market: Market) -> None:
    """The same conditions as `MarketEnvironment` draws, and 95 % of its cycles within the cycle interval."""
    flat = replace(market, volume_week=torch.ones_like(market.volume_week))
    draws = 4_000
    scene = whatif.make_scene(flat, "c0", draws=draws)
    environment = MarketEnvironment(
        flat, laptop(), campaign_B=torch.zeros(draws, dtype=torch.long), cycles=10, mechanism="counts", seed=3
    )
    for name in ("requests", "price_multiplier", "ctr", "cvr"):
        ours, theirs = (getattr(one, name).double().log() for one in (scene.cycles, environment.conditions))
        deviation = theirs.std(0)
        assert ((ours.mean(0) - theirs.mean(0)).abs() < 5 * deviation * (2 / draws) ** 0.5).all(), name
        assert ((ours.std(0) / deviation - 1).abs() < 5 / draws**0.5).all(), name
    low, high = whatif.split_plan(scene, scene.today_P.tolist(), scene.budget).cycle_revenue
    lived = environment.step(flat.static[:1].expand(draws, -1)).outcome.revenue.sum(1)
    inside = float(((lived > low) & (lived < high)).double().mean())
    # Two samples of 4,000, each with deviation 0.0034.
    assert inside == pytest.approx(0.95, abs=5 * 0.0034 * 2**0.5)


def test_cycles_of_a_history_earn_on_average_what_is_expected_of_a_cycle(market: Market) -> None:
    """Prices that wander by 40 %: the level of a history is the mean of what wanders, a log's is that without it."""
    cells = torch.ones_like(market.value["ctr"])
    value = market.value | {"price_drift": 0.4 * cells, "ctr_drift": 0 * cells, "requests_sd": 0 * cells}
    one = replace(market, value=value, context_rate=torch.ones_like(market.context_rate))
    draws = 20_000
    rise = []
    for fitted in (of_totals(one), one):
        scene = whatif.make_scene(fitted, "c0", draws=draws)
        money = scene.budget * scene.today_P
        usual, lived = (
            respond(each, money.expand(len(each.requests), -1)) for each in (scene.conditions, scene.cycles)
        )
        assert float((usual.slope * money / usual.revenue).min()) > 0.15
        rise.append(lived.revenue.mean(0) / usual.revenue[0] - 1)
    # Revenue goes with price^-E: of 20,000 cycles its mean is known to 0.4 %, and E moves a little with the price.
    torch.testing.assert_close(rise[0], torch.zeros_like(rise[0]), atol=0.012, rtol=0)
    # 0.3 (1 + 0.3) 0.4^2 / 2 = 0.031 and more.
    assert float(rise[1].min()) > 0.025


def test_the_present_drift_is_that_of_the_last_week(market: Market) -> None:
    path = {
        "requests": torch.ones(20, 2, P),
        "level": torch.linspace(1, 3, 20)[:, None, None].expand(20, 2, P),
        "ctr": torch.full((20, 2, P), 0.5),
        "cvr": torch.full((20, 2, P), 1.25),
    }
    still, now = (whatif.make_scene(replace(market, path=path), "c1", present=flag) for flag in (False, True))
    recent = path["level"][-7:, 0, 0].mean().double()
    torch.testing.assert_close(now.conditions.price_multiplier, still.conditions.price_multiplier * recent)
    torch.testing.assert_close(now.conditions.ctr, still.conditions.ctr * 0.5)
    torch.testing.assert_close(now.conditions.cvr, still.conditions.cvr * 1.25)
    # One cycle moves the drift by its innovation alone: deviation x sqrt(1 - persistence^2).
    moved, stationary = (one.cycles.price_multiplier.log().std(0).mean() for one in (now, still))
    assert float(moved / stationary) == pytest.approx((1 - 0.93**2) ** 0.5, rel=0.05)
    assert "last fitted week" in now.moment
    with pytest.raises(ConfigError, match="carries no record of its cycles"):
        whatif.make_scene(market, "c0", present=True)


def test_today_is_what_the_caller_says(market: Market) -> None:
    even = {f"p{slot}": 1 / P for slot in range(P)}
    scene = whatif.make_scene(market, "c0", today=even)
    answer = whatif.best_split(scene, scene.budget, share_draws=0)
    assert answer.today.revenue.value == pytest.approx(revenue(scene, np.full(P, 1 / P), scene.budget))


def test_only_campaigns_that_run_are_to_be_named(market: Market) -> None:
    """The market knows two; where one is over, a question without a name is of the other."""
    over = replace(market, ended=("2025-03-06", None))
    assert whatif.make_scene(over, None).campaign == market.campaigns[1]
    assert whatif.make_scene(over, market.campaigns[0]).campaign == market.campaigns[0]
    with pytest.raises(ConfigError, match="the market knows 2: c0, c1; name one, as --campaign c0"):
        whatif.make_scene(market, None)
