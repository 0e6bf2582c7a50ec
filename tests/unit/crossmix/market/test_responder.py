"""The responder of `crossmix allocate`: the market's closed form, with an interval from its standard errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from crossmix.market.curves import marginal
from crossmix.market.model import Market
from crossmix.market.responder import DRAWS, MarketResponder
from crossmix.reasons import interval_of
from crossmix.response import LEAST, MOST, ResponseTable
from crossmix.whatif import make_scene, split_plan
from tests.support.markets import make_market, of_totals

SHARE = np.array([0.4, 0.3, 0.2, 0.1])


@pytest.fixture
def market() -> Market:
    return make_market(platforms=4)


def test_marginal_is_the_slope_of_revenue(market: Market) -> None:
    ask, budget, unit = MarketResponder(market, "c1"), 800.0, 2.0
    here = ask(SHARE, budget)
    for slot in range(4):
        more, less = (ask(SHARE + sign * np.eye(4)[slot] * unit / budget, budget) for sign in (1, -1))
        slope = (more.revenue_P[slot] - less.revenue_P[slot]) / (2 * unit)
        assert here.marginal_P[slot] == pytest.approx(slope, rel=0.02)


def test_campaigns_answer_apart(market: Market) -> None:
    first, second = (MarketResponder(market, name)(SHARE, 800.0) for name in ("c0", "c1"))
    assert np.abs(first.revenue_P - second.revenue_P).max() > 1


def test_interval_follows_the_standard_errors(market: Market) -> None:
    # Value moves revenue in proportion: a relative error of 10 % in it alone is one of 10 % in revenue.
    error = {name: 0.1 * table if name == "value" else 0 * table for name, table in market.value.items()}
    market = replace(market, error=error)
    answer = MarketResponder(market, "c0")(SHARE, 800.0)
    assert answer.revenue_se_P / answer.revenue_P == pytest.approx(0.1, rel=0.15)
    assert answer.marginal_se_P / answer.marginal_P == pytest.approx(0.1, rel=0.15)


def test_an_unknown_error_counts_as_none(market: Market) -> None:
    market = replace(market, error={name: torch.full_like(table, torch.nan) for name, table in market.value.items()})
    answer = MarketResponder(market, "c0")(SHARE, 800.0)
    assert torch.tensor(answer.revenue_se_P).abs().max() < 1e-3


def of_history(shared: float) -> Market:
    """A market whose elasticities alone have an error, of which platforms have that part in common."""
    market = of_totals(make_market(platforms=4))
    error = {name: 0 * table for name, table in market.value.items()}
    error["elasticity"] = torch.full_like(market.value["elasticity"], 0.1)
    return replace(market, error=error, shared={"elasticity": torch.full((2,), shared)})


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_the_sums_error_is_that_of_joint_draws(shared: float) -> None:
    """Where spend is above the usual, an elasticity's error in common moves all platforms the same way."""
    ask, share = MarketResponder(of_history(shared), "c0"), np.full(4, 0.25)
    budget = 4 * float(make_market(platforms=4).budget[0])
    answer = ask(share, budget)
    revenue, _ = marginal(ask.drawn, torch.as_tensor(share * budget).expand(DRAWS, -1))
    # What loadings leave out are the products of two errors; of 512 draws a deviation is known to 3 %.
    assert answer.total_se == pytest.approx(float(revenue.sum(1).std()), rel=0.08)
    alone = answer.revenue_se_P
    apart, together = float(np.sqrt((alone**2).sum())), float(alone.sum())
    assert together > 1.3 * apart
    wanted = np.sqrt((1 - shared) * apart**2 + shared * together**2)
    assert answer.total_se == pytest.approx(wanted, rel=0.08)
    table = ResponseTable.of(ask, 4, budget)
    assert table(share, budget).total_se == pytest.approx(answer.total_se, rel=0.01)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_allocate_and_whatif_tell_the_same_interval_of_the_same_split(factor: float) -> None:
    """One from standard errors, the other from quantiles of draws; both are lognormal in value and power of money."""
    market = of_history(0.5)
    market = replace(market, error=market.error | {"value": 0.25 * market.value["value"]})
    budget = factor * float(market.budget[0])
    response = MarketResponder(market, "c0")(SHARE, budget)
    value = float(response.revenue_P.sum())
    plan = split_plan(make_scene(market, "c0", draws=4_000), SHARE.tolist(), budget)
    low, high = interval_of(value, response.total_se)
    half = 0.5 * (plan.revenue.high - plan.revenue.low)
    # Of 512 draws a deviation is known to 3 %, of 4,000 an end to 2 % of the half width; the draws' own mean to 5 %.
    assert low == pytest.approx(plan.revenue.low, abs=0.15 * half)
    assert high == pytest.approx(plan.revenue.high, abs=0.15 * half)
    # Neither is symmetric: a revenue of nothing is further away than one of twice as much.
    for ends in ((low, high), (plan.revenue.low, plan.revenue.high)):
        assert ends[1] - value > 1.1 * (value - ends[0])
    for slot, one in enumerate(plan.platforms):
        ends = interval_of(float(response.revenue_P[slot]), float(response.revenue_se_P[slot]))
        half = 0.5 * (one.revenue.high - one.revenue.low)
        assert ends == pytest.approx((one.revenue.low, one.revenue.high), abs=0.2 * half)


def test_platforms_of_a_log_of_impressions_share_no_error(market: Market) -> None:
    answer = MarketResponder(market, "c0")(SHARE, 800.0)
    assert answer.total_se == pytest.approx(np.sqrt((answer.revenue_se_P**2).sum()), rel=1e-12)


def test_the_table_of_a_bundle_answers_as_the_closed_form(market: Market) -> None:
    """Between knots too: shares and budgets that no knot was placed at."""
    ask, budget = MarketResponder(market, "c0"), 1_000.0
    table = ResponseTable.of(ask, 4, budget)
    rng = np.random.default_rng(0)
    for money in (50.0, 731.0, 2_900.0):
        share = rng.dirichlet(np.ones(4))
        want, got = ask(share, money), table(share, money)
        for name in ("revenue_P", "revenue_se_P", "marginal_P", "marginal_se_P"):
            scale = np.abs(getattr(want, name)).max()
            assert np.abs(getattr(got, name) - getattr(want, name)).max() <= 0.01 * scale, (money, name)


def test_the_table_ends_at_nothing_and_at_its_last_knot(market: Market) -> None:
    table = ResponseTable.of(MarketResponder(market, "c0"), 4, 1_000.0)
    nothing = table(np.zeros(4), 1_000.0)
    assert (nothing.revenue_P == 0).all()
    assert (nothing.marginal_P == table.value_QPK[2, :, 0]).all()
    half = table(np.full(4, 0.5), 1_000.0 * LEAST)
    assert half.revenue_P == pytest.approx(0.5 * table.value_QPK[0, :, 0])
    beyond = table(np.ones(4), 10 * MOST * 1_000.0)
    assert beyond.revenue_P == pytest.approx(table.value_QPK[0, :, -1])
