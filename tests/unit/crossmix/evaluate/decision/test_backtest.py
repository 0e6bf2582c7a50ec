"""Held-out weeks predicted from the ones before."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from crossmix.evaluate.decision.backtest import at_spend, backtest
from crossmix.market.conditions import nominal
from crossmix.market.fit.delays import due
from crossmix.market.model import Market
from crossmix.market.oracle import solve
from tests.support.decisions import wandering
from tests.support.markets import make_market, of_totals


def history(market: Market, days: int, train: int, level: float, seed: int = 0) -> SimpleNamespace:
    """Totals of an expected market, whose revenue is `level` times as much after `train` days."""
    rng = np.random.default_rng(seed)
    shape = (days, len(market.campaigns), len(market.platforms))
    spend = np.stack([[np.exp(wandering(rng, days, 0.3)) for _ in range(shape[2])] for _ in range(shape[1])])
    spend = spend.transpose(2, 0, 1) * market.budget.numpy()[:, None] / shape[2]
    weekday = np.arange(days) % 7
    revenue = at_spend(market, weekday, spend)
    revenue[train:] *= level
    totals = {"spend": spend, "revenue": revenue, "conversions": revenue / 20}
    meta = SimpleNamespace(weekday_pattern=True, today_cycles=14, start="2025-01-06T00:00:00+00:00", cycle_hours=24)
    return SimpleNamespace(totals=lambda: totals, weekdays=lambda: weekday, train_cycles=train, meta=meta)


def test_a_level_that_came_is_told_and_the_blocks_before_correct_it() -> None:
    market = make_market(platforms=3, campaigns=1)
    found = backtest(market, history(market, 112, 70, level=1.2))  # type: ignore[arg-type]
    assert found.span == ("2025-03-17", "2025-04-27")
    assert (found.block, found.cycles, found.held_out, len(found.level_WCP)) == (7, 112, 42, 6)
    # Ten conversions' worth of steadying pulls a block's ratio a little to 1.
    assert found.level_WCP.mean() == pytest.approx(np.log(1.2), rel=0.1)
    # From the third block on the two blocks before hold the new level: nothing is missed.
    assert found.booked_W[2:] == pytest.approx(found.predicted_W[2:], rel=0.01)
    assert found.booked_W[0] > 1.1 * found.predicted_W[0]
    assert found.miss < found.miss_as_before


def test_revenue_that_comes_late_is_held_against_the_money_that_brought_it() -> None:
    law = 0.875 ** np.arange(60)
    delay = torch.tensor(law / law.sum(), dtype=torch.float32).expand(1, 3, 60).clone()
    market = replace(of_totals(make_market(platforms=3, campaigns=1)), delay=delay)
    log = history(market, 182, 127, level=1.0)
    totals = log.totals()
    at_once = np.diff(np.log(totals["revenue"]), axis=0)
    spent = np.diff(np.log(totals["spend"]), axis=0)
    elasticity_P = (at_once * spent).sum((0, 1)) / (spent**2).sum((0, 1))
    totals["revenue"][:] = due(totals["revenue"], delay[0].double().numpy())
    totals["conversions"][:] = totals["revenue"] / 20
    found = backtest(market, log)  # type: ignore[arg-type]
    assert found.booked_W == pytest.approx(found.predicted_W, rel=0.01)
    np.testing.assert_allclose(found.known_CP[0], elasticity_P, atol=0.08)
    np.testing.assert_allclose(found.off_CP, 0, atol=0.02)
    # Held against the same day's money it seems to answer to next to none.
    blind = backtest(replace(market, delay=torch.eye(1, 60).expand(1, 3, 60).clone()), log)  # type: ignore[arg-type]
    assert (blind.known_CP < 0.4 * found.known_CP).all()


def test_a_sale_week_says_nothing_of_money_nor_of_a_usual_week() -> None:
    at_once = torch.eye(1, 60).expand(1, 3, 60).clone()
    market = replace(of_totals(make_market(platforms=3, campaigns=1)), delay=at_once)
    plain = history(market, 182, 127, level=1.0)
    usual = backtest(market, plain)  # type: ignore[arg-type]
    totals = plain.totals()
    for first in (30, 80, 134):
        week = slice(first, first + 7)
        totals["spend"][week] *= 3
        totals["revenue"][week] = 3 * at_spend(market, plain.weekdays()[week], totals["spend"][week])
    totals["conversions"][:] = totals["revenue"] / 20
    found = backtest(market, plain)  # type: ignore[arg-type]
    # The sale week of the held-out time is a block of its own, and none is left of it.
    assert (len(usual.level_WCP), len(found.level_WCP)) == (7, 6)
    np.testing.assert_allclose(found.level_WCP, 0, atol=0.01)
    np.testing.assert_allclose(found.known_CP, usual.known_CP, atol=0.05)
    np.testing.assert_allclose(found.off_CP, 0, atol=0.02)


def test_a_weekday_that_sells_more_is_not_what_its_budget_does() -> None:
    market = make_market(platforms=3, campaigns=1)
    plain = history(market, 182, 127, level=1.0)
    usual = backtest(market, plain)  # type: ignore[arg-type]
    totals, late = plain.totals(), plain.weekdays() >= 5
    totals["spend"][late, :, 0] *= 1.4
    totals["revenue"][:] = at_spend(market, plain.weekdays(), totals["spend"]) * np.where(late, 1.5, 1.0)[:, None, None]
    totals["conversions"][:] = totals["revenue"] / 20
    found = backtest(market, plain)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.known_CP, usual.known_CP, atol=0.08)
    np.testing.assert_allclose(found.off_CP, usual.off_CP, atol=0.08)


def test_a_short_held_out_time_is_cut_into_four() -> None:
    market = make_market(platforms=2, campaigns=1)
    found = backtest(market, history(market, 56, 39, level=1.0))  # type: ignore[arg-type]
    assert (found.block, len(found.booked_W)) == (4, 4)


def test_revenue_at_the_spend_that_happened_is_the_markets() -> None:
    market = make_market(platforms=3, campaigns=1)
    amount = 0.2 * float(market.budget[0])
    revenue = at_spend(market, np.array([2]), np.full((1, 1, 3), amount))
    conditions = nominal(market, torch.tensor([0]), torch.tensor([2]))
    low, high = torch.full((1, 3), 1 / 3), torch.full((1, 3), 1 / 3)
    fixed = solve(conditions, torch.tensor([3 * amount]), low, high)
    # Budgets are raised a little until the expected spend is the one that happened.
    assert revenue.sum() == pytest.approx(float(fixed.revenue_B[0]), rel=0.05)
    assert revenue.sum() >= float(fixed.revenue_B[0])
    assert not at_spend(market, np.array([2]), np.zeros((1, 1, 3))).any()
    assert pd.notna(revenue).all()
