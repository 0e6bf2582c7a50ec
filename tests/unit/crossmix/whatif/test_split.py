"""Best splits and what limits cost, against a general solver and against loosening them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from crossmix import whatif
from crossmix.allocate import LimitChange
from crossmix.constraints import TOLERANCE
from crossmix.market.model import Market
from crossmix.whatif import split
from crossmix.whatif.scene import Scene
from tests.support.markets import make_market
from tests.support.scenes import LIMITED, P, best_revenue, exact_market, revenue


@pytest.mark.parametrize("part", [0.5, 1.0, 2.5])
def test_the_best_split_is_what_a_general_solver_finds(scene: Scene, part: float) -> None:
    budget = part * scene.budget
    answer = whatif.best_split(scene, budget, share_draws=0)
    share = np.array([line.share.value for line in answer.best.platforms])
    assert share.sum() == pytest.approx(1)
    assert answer.best.revenue.value == pytest.approx(revenue(scene, share, budget), rel=1e-9)
    theirs = max(
        -minimize(
            lambda a: -revenue(scene, a, budget) / budget,
            start,
            method="SLSQP",
            bounds=[(0, 1)] * P,
            constraints={"type": "eq", "fun": lambda a: a.sum() - 1},
            options={"ftol": 1e-12, "maxiter": 200},
        ).fun
        * budget
        for start in (np.full(P, 1 / P), scene.today_P.numpy())
    )
    assert answer.best.revenue.value >= theirs * (1 - 1e-5)


def test_sums_and_ratios_of_a_plan(scene: Scene) -> None:
    answer = whatif.best_split(scene, 1.3 * scene.budget, share_draws=40)
    plan, lines = answer.best, answer.best.platforms
    for name in ("revenue", "conversions", "spend"):
        assert getattr(plan, name).value == pytest.approx(sum(getattr(line, name).value for line in lines))
    assert plan.cpa.value == pytest.approx(plan.spend.value / plan.conversions.value)
    assert plan.roas.value == pytest.approx(plan.revenue.value / plan.spend.value)
    assert plan.roi.value == pytest.approx(plan.revenue.value / plan.budget)
    assert plan.utilisation.value == pytest.approx(plan.spend.value / plan.budget)
    assert sum(line.amount.value for line in lines) == pytest.approx(plan.budget)
    assert any(line.share.high - line.share.low > 0.005 for line in lines)
    assert all(line.share.low <= line.share.value <= line.share.high for line in lines)
    assert answer.today.revenue.value == pytest.approx(revenue(scene, scene.today_P, 1.3 * scene.budget))
    assert answer.gain.value == pytest.approx(plan.revenue.value - answer.today.revenue.value)
    # Paired: the difference is surer than either.
    assert answer.gain.high - answer.gain.low < plan.revenue.high - plan.revenue.low
    now = best_revenue(scene, scene.budget)
    assert answer.against_best_now.value == pytest.approx(plan.revenue.value - now)
    assert answer.kkt < 1e-4


def test_best_shares_lie_where_other_parameters_put_them(market: Market) -> None:
    """Half of the platforms' value unsure: their best shares' intervals are wide, the others' follow."""
    doubt = exact_market(market)
    doubt.error["value"][:, 0] = 0.3 * market.value["value"][:, 0]
    scene = whatif.make_scene(doubt, "c0")
    lines = whatif.best_split(scene, scene.budget).best.platforms
    width = [line.share.high - line.share.low for line in lines]
    assert width[0] == max(width)
    assert 0.5 < sum(width[1:]) / width[0] < 1.5  # what one gains the others lose


@pytest.mark.parametrize("kind", LIMITED)
def test_a_limits_price_is_what_loosening_it_earns(market: Market, kind: str) -> None:
    scene = whatif.make_scene(market, "c0", change=LIMITED[kind], draws=50)
    answer = whatif.best_split(scene, scene.budget, share_draws=0)
    assert answer.limits
    assert {price.kind for price in answer.limits} == {kind}
    before = best_revenue(scene, scene.budget)
    for price in answer.limits:
        slot, small = scene.platforms.index(price.platform), 1e-4
        low, high = scene.low_P.clone(), scene.high_P.clone()
        if price.loosen == "raise":
            high[slot] += small
        else:
            low[slot] -= small
        after = best_revenue(replace(scene, low_P=low, high_P=high), scene.budget)
        assert price.per_point.value > 0
        assert price.per_point.value == pytest.approx((after - before) / small / 100, rel=0.03)


def test_prices_where_no_platform_is_free() -> None:
    """Two at their caps, one at its floor: a raised cap takes from the other one at its cap, or from nobody."""
    market = make_market(platforms=3)
    free = whatif.make_scene(market, "c0", draws=20)
    slope = [line.marginal_roi.value for line in whatif.split_plan(free, [0.2, 0.5, 0.3], free.budget).platforms]
    best, worst = int(np.argmax(slope)), int(np.argmin(slope))
    middle = 3 - best - worst
    share = {best: 0.3, middle: 0.3, worst: 0.4}
    change = LimitChange(
        maximum={f"p{best}": share[best], f"p{middle}": share[middle]}, minimum={f"p{worst}": share[worst]}
    )
    scene = whatif.make_scene(market, "c0", change=change, draws=20)
    answer = whatif.best_split(scene, scene.budget, share_draws=0)
    assert np.isnan(answer.free_unit)
    plan = {line.platform: line.marginal_roi.value for line in answer.best.platforms}
    prices = {price.platform: price for price in answer.limits}
    gain = plan[f"p{best}"] - plan[f"p{middle}"]
    assert prices[f"p{best}"].per_point.value == pytest.approx(gain * scene.budget / 100)
    # The floor cannot be lowered to any use: nobody may take what it frees.
    assert f"p{worst}" not in prices


def test_bounds_that_nobody_could_loosen_have_no_price(market: Market) -> None:
    """A share of 0 without a floor is no limit, and all on one platform is none either."""
    poor = replace(market, value=market.value | {"value": market.value["value"].clone()})
    poor.value["value"][:, 2] = 1e-3
    scene = whatif.make_scene(poor, "c0", draws=20)
    answer = whatif.best_split(scene, scene.budget, share_draws=0)
    assert answer.best.platforms[2].share.value < 1e-3
    assert answer.limits == ()
    crumbs = split._best_elsewhere(scene, scene.budget, 20)
    assert not ((crumbs > 0) & (crumbs < TOLERANCE)).any()


def test_the_budgets_price_is_the_slope_of_the_best_revenue(market: Market) -> None:
    scene = whatif.make_scene(market, "c0", change=LIMITED["min"], draws=50)
    answer, small = whatif.best_split(scene, scene.budget, share_draws=0), 1e-3 * scene.budget
    slope = (best_revenue(scene, scene.budget + small) - best_revenue(scene, scene.budget - small)) / (2 * small)
    assert answer.next_unit.value == pytest.approx(slope, rel=1e-3)
    # Floors are shares: part of the next unit goes where it earns less than on free platforms.
    assert answer.free_unit > 1.02 * answer.next_unit.value


def test_a_frozen_share_stays_as_it_is_today(market: Market) -> None:
    scene = whatif.make_scene(market, "c0", change=LIMITED["frozen"], draws=20)
    for budget in (0.5 * scene.budget, 2 * scene.budget):
        lines = whatif.best_split(scene, budget, share_draws=5).best.platforms
        for slot in (0, 1):
            assert lines[slot].share.value == pytest.approx(float(scene.today_P[slot]), abs=1e-6)
