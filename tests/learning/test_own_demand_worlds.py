"""Accounts in which a platform follows its own demand: what they say of themselves is in their histories."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._own_demand_worlds import CAUSE, RULES, USUAL, own_demand
from benchmarks.own_demand import measure, table

SEEDS = range(40500, 40524)


def test_an_account_is_a_history_with_a_truth() -> None:
    made, how = own_demand(3)
    assert made.frame.equals(own_demand(3)[0].frame)
    assert not made.frame.equals(own_demand(4)[0].frame)
    assert (made.frame["conversions"] <= made.frame["clicks"]).all()
    assert (made.frame["clicks"] <= made.frame["impressions"]).all()
    assert how.platform < len(made.platforms)
    earned = made.revenue_CP(made.today_CP)[0, how.platform]
    more = made.revenue_CP(1.1 * made.today_CP)[0, how.platform]
    assert np.log(more / earned) / np.log(1.1) == pytest.approx(how.cause)


def test_every_rule_is_played() -> None:
    assert {own_demand(seed)[1].rule for seed in SEEDS} == set(RULES)


@pytest.mark.parametrize("chased", [False, True])
def test_what_is_earned_at_the_usual_spend_is_what_is_expected(chased: bool) -> None:
    """Of all platforms but the one that follows the mean over histories; that one's elasticity is as it is told."""
    earned = expected = 0.0
    for made, how in (own_demand(seed, chased=chased) for seed in SEEDS):
        spend_TP = made.frame.pivot_table(index="date", columns="platform", values="spend")[list(made.platforms)]
        revenue_TP = made.frame.pivot_table(index="date", columns="platform", values="revenue")[list(made.platforms)]
        others_P = np.arange(len(made.platforms)) != how.platform
        earned += float(revenue_TP.to_numpy()[:, others_P].sum())
        expected += float(made.revenue_CP(spend_TP.to_numpy()[:, None])[:, 0, others_P].sum())
        elasticity_P = made.response.gamma * made.response.delta  # type: ignore[attr-defined]
        low, high = USUAL if chased else CAUSE
        assert low <= elasticity_P[how.platform] <= high
    assert earned == pytest.approx(expected, rel=0.05)


def test_spend_and_sales_of_the_platform_that_follows_rise_together() -> None:
    """By more than money does: correlations of their logarithms, which for the same spend elsewhere is less."""
    slopes = []
    for made, how in (own_demand(seed) for seed in SEEDS):
        if how.rule == "same day":
            rows = made.frame[made.frame["platform"] == made.platforms[how.platform]]
            x, y = np.log(rows["spend"]), np.log(rows["conversions"] + 1)
            slopes.append(float(np.cov(x, y)[0, 1] / x.var()) - how.cause)
    assert np.mean(slopes) > 0.2
    assert min(slopes) > 0


@pytest.mark.slow
def test_the_benchmark_tells_decisions_by_rule() -> None:
    result = measure(range(40500, 40501))
    (one,) = result["histories"]
    assert one["follows"]["rule"] in RULES
    assert result["decisions"]["all"]["histories"] == 1
    assert result["decisions"][one["follows"]["rule"]]["histories"] == 1
    assert "GENERATED DATA" in table(result)
