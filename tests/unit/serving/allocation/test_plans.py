"""Whose plan's budget a campaign's is told over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from crossmix.ledger.campaigns import Campaign
from serving.allocation.plans import Plans
from tests.support.bundles import CAMPAIGNS, make
from tests.support.markets import make_market
from tests.support.planned_bundles import publish

MARKET = make_market(seed=3, campaigns=2, platforms=6)


def campaign(name: str, budget: float, currency: str = "USD") -> Campaign:
    return Campaign(name, currency, budget, {"p0": 1.0}, {}, datetime(2026, 3, 2, tzinfo=UTC), 14, 24.0)


def test_a_campaigns_budget_is_over_that_of_the_plan_which_the_policy_takes_it_for(tmp_path: Path) -> None:
    saved, plans = publish(tmp_path / "bundle", market=MARKET), Plans()
    budgets = {name: plan.cycle_budget for name, plan in saved.plans.items()}
    assert budgets["c0"] != pytest.approx(budgets["c1"])
    for name, context_D in saved.contexts.items():
        assert plans.times(saved, campaign(name, 300.0), context_D) == pytest.approx(300 / budgets[name])
        assert plans.times(saved, campaign(name, budgets[name]), context_D) == 1.0
    # One that it does not know is taken for the nearest.
    near = saved.contexts["c1"] + 0.01
    assert plans.times(saved, campaign("new", 300.0), near) == pytest.approx(300 / budgets["c1"])
    assert plans.whose(saved, campaign("new", 300.0), near) == "c1"
    assert plans.times(saved, campaign("c0", 300.0, "EUR"), saved.contexts["c0"]) == 1.0
    doubled = publish(tmp_path / "doubled", market=replace(MARKET, budget=2 * MARKET.budget))
    again = plans.times(doubled, campaign("c0", 300.0), doubled.contexts["c0"])
    assert again == pytest.approx(150 / budgets["c0"])


def test_a_policy_of_one_campaign_answers_for_any_other_in_units_of_its_plan(tmp_path: Path) -> None:
    """All campaigns were read as one, and a server is asked about one of them, or about all under another name."""
    saved, plans = publish(tmp_path / "bundle", market=make_market(seed=4, campaigns=1, platforms=4)), Plans()
    ((name, plan),) = saved.plans.items()
    mean_D = np.mean(list(saved.contexts.values()), 0)
    for asked in (name, "GOOG - Brand"):
        assert plans.whose(saved, campaign(asked, 1.0), mean_D) == name
        assert plans.times(saved, campaign(asked, plan.cycle_budget / 4, plan.currency), mean_D) == pytest.approx(0.25)


def test_a_bundle_that_tells_no_belief_has_the_plans_of_those_that_it_knows(tmp_path: Path) -> None:
    saved, plans = make(tmp_path / "bundle"), Plans()
    plan, context_D = saved.plans[CAMPAIGNS[0]], np.zeros(512)
    known = campaign(CAMPAIGNS[0], 3 * plan.cycle_budget, plan.currency)
    assert plans.times(saved, known, context_D) == pytest.approx(3.0)
    assert plans.times(saved, campaign("new", 5.0, plan.currency), context_D) == 1.0
    assert plans.whose(saved, known, context_D) == CAMPAIGNS[0]
    assert plans.whose(saved, campaign("new", 5.0, plan.currency), context_D) is None
