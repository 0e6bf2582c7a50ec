"""What-if: curves, splits, limit prices, targets and Fig. 4, each against an independent computation."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.signal import savgol_filter
from scipy.stats import norm

from crossmix import whatif
from crossmix.allocate import LimitChange
from crossmix.config import ConfigError, laptop
from crossmix.constraints import InfeasibleError
from crossmix.market.environment import MarketEnvironment
from crossmix.market.mechanism import expected
from crossmix.market.model import Market
from crossmix.whatif.page import render
from crossmix.whatif.perturbation import _smoother
from crossmix.whatif.scene import Scene
from crossmix.whatif.split import best_shares
from tests.support.markets import make_market

P = 5


@pytest.fixture(scope="module")
def market() -> Market:
    return make_market(platforms=P)


@pytest.fixture(scope="module")
def scene(market: Market) -> Scene:
    return whatif.make_scene(market, "c0")


def exact_market(market: Market, **errors: float) -> Market:
    """No parameter has an error but those named, relative ones."""
    none = {name: torch.zeros_like(table) for name, table in market.value.items()}
    return replace(market, error=none | {name: part * market.value[name] for name, part in errors.items()})


def revenue(scene: Scene, share_P: torch.Tensor | np.ndarray, budget: float) -> float:
    amount = budget * torch.as_tensor(share_P, dtype=torch.float64)[None]
    return float(expected(scene.conditions, amount).revenue.sum())


def best_revenue(scene: Scene, budget: float) -> float:
    return best_totals(scene, budget)[0]


def best_totals(scene: Scene, budget: float) -> tuple[float, float, float]:
    """Revenue, conversions and spend of the best split."""
    share_P = best_shares(scene, torch.tensor([budget]))[0][0]
    outcome = expected(scene.conditions, budget * share_P[None])
    return float(outcome.revenue.sum()), float(outcome.conversions.sum()), float(outcome.spend.sum())


# --- the scene and its intervals ---


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


# --- response curves ---


def test_curves_are_the_closed_form_and_its_slope(scene: Scene) -> None:
    curves = whatif.response_curves(scene, points=31)
    for slot, curve in enumerate(curves):
        assert curve.share_G == pytest.approx(curve.budget_G / scene.budget)
        assert curve.budget_G[0] == 0
        assert curve.budget_G[-1] == pytest.approx(1.1 * float(scene.conditions.supply_cost()[0, slot]))
        for at in (5, 14, 22):
            share = np.zeros(P)
            share[slot] = 1.0
            here, unit = float(curve.budget_G[at]), 1e-3
            assert curve.revenue.value[at] == pytest.approx(revenue(scene, share, here), rel=1e-9)
            slope = (revenue(scene, share, here + unit) - revenue(scene, share, here - unit)) / (2 * unit)
            assert curve.marginal_roi.value[at] == pytest.approx(slope, rel=1e-4)
        for band in (curve.revenue, curve.marginal_roi):
            assert (band.low[3:25] < band.value[3:25]).all()
            assert (band.value[3:25] < band.high[3:25]).all()
        # A single cycle strays further than the mean of many, and never earns less than nothing.
        assert (curve.cycle_revenue.high[5:] > curve.revenue.high[5:]).all()
        assert (curve.cycle_revenue.low[5:] < curve.revenue.low[5:]).all()
        assert (curve.cycle_revenue.low >= 0).all()


def test_curves_are_quick_enough_for_a_page_that_asks() -> None:
    scene = whatif.make_scene(make_market(platforms=10), "c0", draws=200)
    started = time.perf_counter()
    whatif.response_curves(scene, points=60)
    assert time.perf_counter() - started < 5  # about half a second on an idle core


# --- best splits ---


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


def test_today_is_what_the_caller_says(market: Market) -> None:
    even = {f"p{slot}": 1 / P for slot in range(P)}
    scene = whatif.make_scene(market, "c0", today=even)
    answer = whatif.best_split(scene, scene.budget, share_draws=0)
    assert answer.today.revenue.value == pytest.approx(revenue(scene, np.full(P, 1 / P), scene.budget))


# --- limits ---

LIMITED = {
    "max": LimitChange(maximum={"p0": 0.12, "p3": 0.1}),
    "min": LimitChange(minimum={"p1": 0.35, "p2": 0.3}),
    "frozen": LimitChange(freeze=frozenset({"p0", "p1"})),
    "step": LimitChange(step={f"p{slot}": 0.03 for slot in range(P)}),
}


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


# --- targets ---


@pytest.mark.parametrize("kind", ["cpa", "roas"])
def test_a_target_budget_meets_it_and_a_larger_one_does_not(scene: Scene, kind: str) -> None:
    now = whatif.best_split(scene, scene.budget, share_draws=0).best
    target = 0.8 * now.cpa.value if kind == "cpa" else 1.2 * now.roas.value
    found = whatif.budget_for(scene, kind, target)
    assert found.verdict == "met"
    assert found.attained == pytest.approx(target, rel=1e-3)
    assert found.answer.best.budget == found.budget

    def misses(budget: float) -> bool:
        earned, conversions, spend = best_totals(scene, budget)
        return spend / conversions > target if kind == "cpa" else earned / spend < target

    assert not misses(found.budget * (1 - 1e-9))
    assert all(misses(found.budget * more) for more in (1.002, 1.05, 1.5, 4.0))
    # The last unit of money: worse than the average, and the slope between two budgets beside it.
    less, more = (best_totals(scene, found.budget * part) for part in (0.995, 1.005))
    earned, conversions, spend = (high - low for low, high in zip(less, more, strict=True))
    assert found.marginal == pytest.approx(spend / conversions if kind == "cpa" else earned / spend, rel=0.02)
    assert found.marginal > 1.1 * target if kind == "cpa" else found.marginal < 0.9 * target


def test_a_target_out_of_reach_and_one_that_always_holds(scene: Scene) -> None:
    line = whatif.frontier(scene)
    assert line.budget_G[-1] == pytest.approx(scene.supply)
    assert (line.revenue.value >= line.today_revenue_G * (1 - 1e-6)).all()
    never = whatif.budget_for(scene, "cpa", 1e-3, line)
    assert never.verdict == "never"
    assert never.attained == pytest.approx(line.cpa_G.min(), rel=1e-6)
    always = whatif.budget_for(scene, "roas", 1e-3, line)
    assert (always.verdict, always.budget) == ("always", pytest.approx(scene.supply))
    for kind, target in (("cpa", 0.0), ("roas", -1.0), ("cpa", float("nan")), ("roas", float("inf"))):
        with pytest.raises(ConfigError, match=f"target-{kind}: .*; give a number above 0"):
            whatif.budget_for(scene, kind, target, line)
    with pytest.raises(ConfigError, match="target: 'roi' is unknown; use one of cpa, roas"):
        whatif.budget_for(scene, "roi", 1.0, line)


# --- Fig. 4 ---


def test_the_smoother_is_a_local_regression_and_a_savitzky_golay_filter() -> None:
    share = np.arange(0.01, 0.7, 0.02)
    design = (share[:, None] + np.array([-0.01, 0, 0.01])).reshape(-1)
    smoother = _smoother(share, design, 0.05)
    assert smoother @ (3 + 7 * design) == pytest.approx(np.full(len(share), 7.0))
    inner = slice(5, -5)  # where the window is symmetric, a parabola's slope is met exactly
    assert (smoother @ design**2)[inner] == pytest.approx(2 * share[inner])
    response = np.sqrt(design) + 0.02 * np.random.default_rng(0).standard_normal(len(design))
    slopes = []
    for at in share:
        weight = np.clip(1 - np.abs((design - at) / 0.05) ** 3, 0, None) ** 1.5  # polyfit squares its weights
        slopes.append(np.polyfit(design - at, response, 1, w=weight)[0])
    assert smoother @ response == pytest.approx(savgol_filter(slopes, 5, 2))


def test_measured_marginals_agree_with_the_closed_form() -> None:
    market = make_market(platforms=3)
    scene = whatif.make_scene(market, "c0", draws=10)
    found = whatif.perturbations(scene, spacing=0.03, cycles=300, top=0.8)
    assert [one.platform for one in found] == list(scene.platforms)
    points = len(found[0].share_G)
    limit = norm.isf(0.001 / (2 * 6 * points))  # Bonferroni over 3 platforms x 2 slopes x points
    for slot, one in enumerate(found):
        for slope in (one.own, one.net):
            error = (slope.measured.high - slope.measured.low) / (2 * 1.959964)
            z = (slope.measured.value - slope.smoothed) / error
            assert np.abs(z).max() < limit
            # Neighbours share simulated cycles: some 10 of the points are independent, so z^2 averages 1 +- 0.45.
            assert 0.2 < (z**2).mean() < 2.5
            # What the smoothing bends is small where the window is symmetric; power: the curve is many errors long.
            inner = slice(4, -4)
            assert np.abs(slope.smoothed - slope.closed)[inner].max() < 0.05 * np.abs(one.own.closed).max()
            assert np.ptp(slope.closed) > 5 * np.median(error)
        # Net: what the platform gains less what the others lose, by finite differences at a fixed total.
        others = scene.today_P.numpy().copy()
        others[slot] = 0
        others /= others.sum()

        def total(share: float, slot: int = slot, others: np.ndarray = others) -> float:
            split = (1 - share) * others
            split[slot] = share
            return revenue(scene, split, scene.budget)

        at = points // 2
        share = float(one.share_G[at])
        slope_here = (total(share + 1e-5) - total(share - 1e-5)) / (2e-5 * scene.budget)
        assert one.net.closed[at] == pytest.approx(slope_here, rel=1e-3, abs=1e-4)


# --- all together ---


def first_platform(market: Market) -> Market:
    one = {name: table[:, :1] for name, table in market.value.items()}
    cut = ("price", "price_law", "volume_week", "response_week", "minimum", "maximum", "step", "freeze")
    return replace(
        market,
        platforms=market.platforms[:1],
        value=one,
        error={name: 0.02 * table for name, table in one.items()},
        static=torch.ones_like(market.static[:, :1]),
        context_rate=market.context_rate[..., :1],
        **{name: getattr(market, name)[:, :1] for name in cut},
    )


def test_one_platform_alone_has_answers_too() -> None:
    market = first_platform(make_market(platforms=2, campaigns=1))
    answer = whatif.ask(whatif.make_scene(market, draws=30), targets=[("roas", 1.0)])
    assert answer.perturbations == ()
    assert all(one.best.platforms[0].share.value == pytest.approx(1) for one in answer.budgets)
    assert all(one.limits == () for one in answer.budgets)
    assert "<section" in render(answer)


@pytest.fixture(scope="module")
def answer(market: Market) -> whatif.WhatIf:
    scene = whatif.make_scene(market, "c0", change=LIMITED["max"], draws=40)
    return whatif.ask(
        scene,
        [("+30%", 1.3 * scene.budget), ("mine", 0.8 * scene.budget)],
        [("cpa", 1e-3), ("roas", 1e-3), ("roas", 2.0)],
        simulated_cycles=10,
    )


def test_todays_budget_and_a_fifth_less_and_more_are_always_answered(answer: whatif.WhatIf) -> None:
    assert [one.label for one in answer.budgets] == ["today", "-20%", "+20%", "+30%"]  # "mine" is the -20 %
    parts = [one.best.budget / answer.budget for one in answer.budgets]
    assert parts == pytest.approx([1, 0.8, 1.2, 1.3])
    assert [one.verdict for one in answer.targets][:2] == ["never", "always"]
    text = json.dumps(answer.as_dict(), allow_nan=False)
    assert json.loads(text)["budgets"][0]["best"]["platforms"][0]["platform"] == "p0"


def test_the_page_is_self_contained_and_names_what_it_shows(answer: whatif.WhatIf) -> None:
    page = render(answer)
    assert "GENERATED DATA" in page
    assert "per cycle of 24 hours" in page
    assert "USD" in page
    assert page.count("<svg") == 2 + 3 * P
    for outside in ("<script", "src=", "@import", "url(http", "<link"):
        assert outside not in page
    assert "is out of reach" in page
    assert "is met at any budget" in page
    assert "cap<small>raise it" in page
    real = render(replace(answer, generated=False))
    assert "GENERATED" not in real
    assert "<b>generated</b>" not in real


def test_questions_that_cannot_be_asked(market: Market, scene: Scene) -> None:
    for arguments, message in (
        ({"campaign": None}, "campaign: the market knows 2: c0, c1; name one"),
        ({"campaign": "c9"}, "campaign: 'c9' is unknown; use one of c0, c1"),
        ({"weekday": 7}, "weekday: 7; give a number from 0"),
        ({"weekday": -1}, "weekday: -1; give a number from 0"),
        ({"today": {"p9": 1.0}}, "share: platform 'p9' is unknown"),
        ({"today": {"p0": 1.5}}, "share: 1.5 for p0; give a share"),
        ({"today": {"p0": 0.5}}, "today's shares sum to 0.5"),
        ({"change": LimitChange(maximum={"tv": 0.5})}, "platform 'tv' is unknown"),
    ):
        with pytest.raises(ConfigError, match=message):
            whatif.make_scene(market, **({"campaign": "c0"} | arguments))
    with pytest.raises(InfeasibleError, match=r"the mins sum to 1\.2"):
        whatif.make_scene(market, "c0", change=LimitChange(minimum={"p0": 0.6, "p1": 0.6}))
    for amount, message in (
        (-5.0, "give an amount above 0"),
        (float("nan"), "give an amount above 0"),
        (1e-5, "less than a ten-thousandth of today's"),
        (1e9, "far above the .* that all requests of a cycle would cost"),
    ):
        with pytest.raises(ConfigError, match=message):
            whatif.ask(scene, [("mine", amount)])
