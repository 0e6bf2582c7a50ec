"""Spend histories with a planted response: what the fit finds, borrows and leaves open, and what its split is worth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from crossmix.config import Market as Settings
from crossmix.config import load
from crossmix.market.conditions import nominal
from crossmix.market.fit import estimators, history_supply, spend_history
from crossmix.market.fit.fit import estimate
from crossmix.market.fit.history_parameters import STEEPEST
from crossmix.market.fit.log import read
from crossmix.market.model import DOMAIN, Market
from crossmix.market.oracle import solve
from crossmix.whatif import make_scene
from crossmix.whatif.curves import respond
from tests.support.histories import ingested
from tests.support.planted import Planted, fading, history, planted

SETTINGS = ["data.source=spend", "data.path=history.csv"]
QUANTITIES = ("spend", "impressions", "clicks", "conversions", "revenue")


def fitted(folder: Path, table: pd.DataFrame, periods: str = "all") -> Market:
    dataset = ingested(folder, table)
    return estimate(load("laptop", SETTINGS), dataset, read(dataset), None, periods)  # type: ignore[arg-type]


def totals(table: pd.DataFrame, platforms: int = 4) -> dict[str, np.ndarray]:
    return {name: table[name].to_numpy(float).reshape(-1, 1, platforms) for name in QUANTITIES}


def regret(market: Market, world: Planted) -> float:
    """Part of the best revenue of today's budget that the market's best split of it loses in the planted world."""
    budget = float(world.reference.sum())
    conditions = nominal(market, torch.tensor([0]))
    found = solve(conditions, torch.tensor([budget]), market.minimum, market.maximum).share_BP[0].numpy()
    share = found[[market.platforms.index(name) for name in world.platforms]]
    return float(1 - world.revenue(budget * share).sum() / world.revenue(budget * world.best(budget)).sum())


def earned(market: Market, campaign: str, platform: str, amount: float) -> tuple[float, float, float]:
    """Revenue of money on one platform, and its 95 % interval."""
    scene, slot = make_scene(market, campaign), market.platforms.index(platform)
    budget = torch.zeros(1, len(market.platforms), dtype=torch.float64)
    budget[0, slot] = amount
    drawn = respond(scene.fitted, budget.expand(len(scene.fitted.requests), -1)).revenue[:, slot].numpy()
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(respond(scene.conditions, budget).revenue[0, slot]), float(low), float(high)


def test_a_cell_that_never_ran_borrows_from_its_platform_and_its_campaign(tmp_path: Path) -> None:
    world = planted()
    both = np.ones((120, 4), bool) & np.array([False, True, True, False])
    hole = both & np.array([True, False, True, True])
    parts = [
        history(world, 120, 5101, campaign="brand", spent=both),
        history(world, 120, 5102, campaign="prospecting", spent=hole),
    ]
    market = fitted(tmp_path, pd.concat(parts))
    assert market.platforms == ("meta", "google_search")
    assert market.untried.tolist() == [[False, False], [False, True]]
    assert bool((market.maximum == 1).all())
    for amount, factor in ((7.62, 3), (100.0, 2)):  # the first is a fortieth of its usual spend
        truth = float(world.revenue(np.full(4, amount))[1])
        value, low, high = earned(market, "prospecting", "google_search", amount)
        assert low < truth < high
        assert 1 / factor < value / truth < factor
        # Both campaigns convert alike: it is what the other's cell earns, where that is known far better.
        known, known_low, known_high = earned(market, "brand", "google_search", amount)
        assert 2 / 3 < value / known < 3 / 2
        assert high / low > 1.5 * known_high / known_low


def test_campaigns_that_share_no_platform_are_only_probed_elsewhere(tmp_path: Path) -> None:
    world = planted()
    parts = [
        history(world, 90, 5110 + p, campaign=f"only {name}", spent=np.ones((90, 4), bool) & (np.arange(4) == p))
        for p, name in enumerate(world.platforms)
        if p in (1, 2)
    ]
    market = fitted(tmp_path, pd.concat(parts))
    assert market.untried.sum() == 2
    probe = load("laptop", SETTINGS).limits.probe
    torch.testing.assert_close(market.maximum, torch.where(market.untried, probe, 1.0))
    for c, campaign in enumerate(market.campaigns):
        platform = market.platforms[int(market.untried[c].nonzero())]
        truth = float(world.revenue(np.full(4, 50.0))[world.platforms.index(platform)])
        _, low, high = earned(market, campaign, platform, 50.0)
        assert low < truth < high


def test_a_platform_that_began_late_is_learned_from_what_there_is(tmp_path: Path) -> None:
    world = planted()
    spent = np.ones((120, 4), bool)
    spent[:85, 3] = False
    table = history(world, 120, 5103, spent=spent)
    judged = fitted(tmp_path / "judged", table, "train")
    assert judged.untried[0, judged.platforms.index("tiktok")]
    served = fitted(tmp_path / "served", table)
    assert not served.untried.any()
    assert served.horizon == judged.horizon
    assert len(served.path["requests"]) == 120
    budget = float(world.reference.sum())
    late = served.platforms.index("tiktok")
    share = solve(nominal(served, torch.tensor([0])), torch.tensor([budget]), served.minimum, served.maximum).share_BP[
        0, late
    ]
    assert 0.5 < float(share) / world.best(budget)[3] < 2
    assert regret(served, world) < 0.02
    # It says how little there is: its conversion rate is known half as well as it would be.
    relative = served.error["cvr"] / served.value["cvr"]
    assert float(relative[0, late]) > 1.3 * float(relative[0, served.platforms.index("meta")])


def test_buyers_that_fade_with_money_are_seen_where_price_and_clicks_say_nothing(tmp_path: Path) -> None:
    world = fading()
    market = fitted(tmp_path, history(world, 182, 5104))
    assert regret(market, world) < 0.015
    order = [market.platforms.index(name) for name in world.platforms]
    scene = make_scene(market, None)
    for factor in (0.5, 1.0, 2.0):
        amount = torch.zeros(1, 4, dtype=torch.float64)
        amount[0, order] = torch.from_numpy(factor * world.reference)
        drawn = respond(scene.fitted, amount.expand(len(scene.fitted.requests), -1)).revenue.sum(1).numpy()
        low, high = np.quantile(drawn, [0.0025, 0.9975])  # three standard errors, not to miss one time in twenty
        assert low < world.revenue(factor * world.reference).sum() < high


def test_elasticities_of_each_step_are_found_within_their_errors() -> None:
    world = planted(gamma=np.array([0.6, 0.95, 0.75, 0.85]), delta=np.array([0.95, 0.7, 0.85, 0.6]))
    table = history(world, 240, 5105)
    found = spend_history.fit(Settings(), totals(table), np.ones(240, bool), np.arange(240) % 7)
    # Drifts of 10 % over 240 days of spend that wanders by 30 %: known to about 0.03.
    np.testing.assert_allclose(found.gain[0], world.gamma, atol=0.1)
    money = found.elasticity[0] * found.gain
    error = found.elasticity[1] * found.gain
    assert (np.abs(money - world.elasticity) < 3 * error).all()
    assert (error < 0.12).all()
    _, clicks, conversions = world.outcome(world.reference)
    np.testing.assert_allclose(found.cvr[0][0], conversions / clicks, rtol=0.15)


def test_twice_the_money_never_earns_more_than_twice_whatever_a_spend_that_hardly_moved_says() -> None:
    """Conversions that rise with the square of a spend that moves by 3 % a day: an elasticity is cut, not clipped."""
    world = planted()
    table = history(world, 100, 5107, wandering=0.03)
    steep = totals(table)
    steep["conversions"] = np.round(steep["conversions"] * (steep["spend"] / steep["spend"].mean(0)) ** 2)
    found = spend_history.fit(Settings(), steep, np.ones(100, bool), np.arange(100) % 7)
    money, error = ((one * found.gain)[0] for one in found.elasticity)
    assert (money < 1 - 0.2 * error).all()
    assert ((found.shared["elasticity"] > 0.1) & (found.shared["elasticity"] < 1)).all()
    # The steeper ones are still the steeper ones.
    usual = spend_history.fit(Settings(), totals(table), np.ones(100, bool), np.arange(100) % 7)
    assert (money > (usual.elasticity[0] * usual.gain)[0]).all()


def of_hill(seed: int, exponent: float, half: float, days: int = 300) -> dict[str, np.ndarray]:
    """Totals of three platforms: conversions ~ x^exponent / (x^exponent + half^exponent), x spend over 500."""
    rng = np.random.default_rng(seed)
    u = np.empty((days, 3))
    u[0] = 0.5 * rng.standard_normal(3)
    for t in range(1, days):
        u[t] = 0.8 * u[t - 1] + 0.3 * rng.standard_normal(3)
    x = np.exp(u)
    part = (1 + half**exponent) * x**exponent / (x**exponent + half**exponent)
    shown = rng.poisson(60_000 * x * np.exp(0.05 * rng.standard_normal(x.shape)))
    clicks = rng.poisson(0.02 * shown)
    bought = rng.poisson(0.05 * clicks / x * part)
    counted = {
        "spend": 500 * x,
        "impressions": shown,
        "clicks": clicks,
        "conversions": bought,
        "revenue": 60.0 * bought,
    }
    return {name: np.asarray(table, float)[:, None] for name, table in counted.items()}


@pytest.mark.parametrize(
    ("exponent", "half", "bounded"),
    [(1.25, 0.7, False), (1.5, 1.0, True), (0.8, 0.7, False)],
)
def test_a_response_with_a_threshold_bends_more_than_any_concave_one(
    exponent: float, half: float, bounded: bool
) -> None:
    found = spend_history.fit(Settings(), of_hill(0, exponent, half), np.ones(300, bool), None)
    whole, bent = found.elasticity[0] * found.gain, found.bend[0] * found.gain**2
    error = found.bend[1] * found.gain**2
    height = half**exponent / (1 + half**exponent)
    true = exponent * height, exponent**2 * height * (1 - height)
    reached = whole + bent / whole
    assert np.abs(whole - true[0]).max() < 0.15
    if bounded:
        # As far as the bound: the truth is steeper than any response is taken to be.
        assert reached.max() == pytest.approx(STEEPEST)
        assert true[1] > bent.max()
    else:
        assert (np.abs(bent - true[1]) < 3 * error).all()
    assert (bent > whole * (1 - whole)).all() == (exponent > 1)
    # Revenue at half and twice the usual spend, by the curve that a market of these parameters has.
    factor = np.array([0.5, 2.0])[:, None, None]
    power, weight = whole + bent / whole, bent / whole**2
    told = (1 + weight) * factor**power / (1 + weight * factor**power)
    earned = (1 + half**exponent) * factor**exponent / (factor**exponent + half**exponent)
    assert np.abs((told / earned - 1).mean(2)).max() < 0.06


def test_the_level_is_the_mean_of_what_wanders_not_its_median() -> None:
    """Noise of mean 1 and deviation 0.4 on impressions and clicks together: their medians are 7.7 % below the mean."""
    rng = np.random.default_rng(5111)
    spend = 300 * np.exp(0.3 * rng.standard_normal((365, 1, 6)))
    shown = 100 * spend * np.exp(0.4 * rng.standard_normal(spend.shape) - 0.5 * 0.4**2)
    clicks = rng.poisson(0.02 * shown)
    table = {"spend": spend, "impressions": shown, "clicks": clicks, "conversions": rng.binomial(clicks, 0.05)}
    table["revenue"] = 50.0 * table["conversions"]
    found = spend_history.fit(Settings(), table, np.ones(365, bool), None)
    usual = np.exp(np.log(spend).mean(0))
    mean = found.requests * found.usual_share / (100 * usual)
    # 2,190 cells of deviation 0.4: known to 1 %, and what their variance is to 0.3 % more.
    assert float(mean.mean()) == pytest.approx(1, abs=0.03)
    assert found.price == pytest.approx(usual / (100 * usual), rel=0.1)


def followed(rng: np.random.Generator, demand_T: np.ndarray, own: float) -> dict[str, np.ndarray]:
    """Half a year of budgets that rise in proportion to demand, and by `own` in ln of their own on each of four
    platforms: impressions ~ demand (spend / demand)^0.7, clicks and conversions in proportion to them."""
    demand = demand_T[:, None, None]
    spend = 300 * np.exp(own * rng.standard_normal((len(demand_T), 1, 4))) * demand
    shown = 30_000 * demand * (spend / demand / 300) ** 0.7 * np.exp(0.02 * rng.standard_normal(spend.shape))
    clicks = rng.poisson(0.02 * shown)
    table = {"spend": spend, "impressions": shown, "clicks": clicks, "conversions": rng.binomial(clicks, 0.2)}
    return table | {"revenue": 50.0 * table["conversions"]}


def test_demand_that_all_budgets_follow_is_not_taken_for_what_money_does() -> None:
    rng = np.random.default_rng(5113)
    demand_T = np.exp(0.3 * rng.standard_normal(182))
    table = followed(rng, demand_T, 0.3)
    found = spend_history.fit(Settings(), table, np.ones(182, bool), None)
    money, error = ((one * found.gain)[0] for one in found.elasticity)
    # Half of what moves spend is demand, with which everything grows in proportion: spend alone would say 0.85.
    assert (np.abs(money - 0.7) < 3 * error).all()
    assert float(money.mean()) == pytest.approx(0.7, abs=0.04)
    # What rises with all budgets is the cycle's, not the price's answer to money.
    rise = np.polyfit(np.log(demand_T), np.log(found.price_multiplier[:, 0]), 1)[0]
    assert rise == pytest.approx(-0.3 * 0.8 / 0.7, abs=0.08)


def test_a_day_that_was_not_fitted_on_has_the_demand_that_its_budgets_follow() -> None:
    rng = np.random.default_rng(5115)
    demand_T = np.exp(0.3 * rng.standard_normal(182))
    table, keep = followed(rng, demand_T, 0.3), np.arange(182) % 5 != 4
    found = spend_history.fit(Settings(), table, keep, None)
    usual = found.requests * found.usual_share
    bought = usual * (table["spend"] / (usual * found.price * found.price_multiplier)) ** found.gain
    off_T = np.log(table["impressions"] / bought)[~keep, 0].mean(1)
    rise = np.polyfit(np.log(demand_T[~keep]), off_T, 1)[0]
    # Of what demand adds at the same spend, 0.3 of it in ln, four budgets that also move apart show 0.8.
    assert rise == pytest.approx(0.3 * (1 - 0.8), abs=0.06)


def test_where_budgets_only_move_together_their_common_error_says_so() -> None:
    """Demand or money: nothing in such a history can tell, so that all platforms' elasticities share that error."""
    rng = np.random.default_rng(5114)
    demand_T = np.exp(0.3 * rng.standard_normal(182))
    apart, together = (followed(rng, demand_T, own) for own in (0.3, 0.0))
    known, open_one = (spend_history.fit(Settings(), table, np.ones(182, bool), None) for table in (apart, together))
    error, open_error = ((one.elasticity[1] * one.gain)[0] for one in (known, open_one))
    assert (open_error > 0.2).all()
    assert (open_error > 3 * error).all()
    assert (open_one.shared["elasticity"][0] > 0.5).all()


def of_small_campaigns(seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Twelve small campaigns that convert alike everywhere, whose rates drift by 15 %; and those rates."""
    rng = np.random.default_rng([5112, seed])
    spend = 50 * np.exp(0.3 * rng.standard_normal((90, 12, 4)))
    converts = 0.04 * np.exp(0.4 * rng.standard_normal((12, 1)))
    clicks = rng.poisson(0.5 * spend)
    drift = 0.15 * rng.standard_normal(spend.shape)
    for day in range(1, len(drift)):
        drift[day] = 0.8 * drift[day - 1] + 0.6 * drift[day]
    table = {"spend": spend, "impressions": 100.0 * spend, "clicks": clicks}
    table["conversions"] = rng.binomial(clicks, converts * np.exp(drift - 0.5 * 0.15**2))
    return table | {"revenue": 50.0 * table["conversions"]}, converts


@pytest.mark.slow
def test_platforms_share_the_error_of_what_their_campaign_converts() -> None:
    """An error of a small campaign's rate is one of all its platforms: their mean is off by no less than that."""
    together, apart = [], []
    for seed in range(10):
        table, converts = of_small_campaigns(seed)
        found = spend_history.fit(Settings(), table, np.ones(90, bool), None)
        part, told = found.shared["cvr"], found.cvr[1] / found.cvr[0]
        square = np.log(found.cvr[0] / converts).mean(1) ** 2
        common, own = (np.sqrt(part) * told).sum(1) ** 2, ((1 - part) * told**2).sum(1)
        together.append((16 * square / (common + own)).mean())
        apart.append((16 * square / (told**2).sum(1)).mean())
    # 120 squares of standard normal numbers over 120, whose mean has a deviation of 0.13: 95 % lie between these.
    assert 0.75 < np.mean(together) < 1.27
    assert np.mean(apart) > 1.5, "errors apart would tell of half the variance"


def test_a_small_campaign_shares_its_level_with_others_and_one_alone_tells_its_own() -> None:
    table, _ = of_small_campaigns(0)
    found = spend_history.fit(Settings(), table, np.ones(90, bool), None)
    assert found.shared["cvr"].shape == (12, 4)
    assert (found.shared["cvr"] > 0.05).all()
    assert float(found.shared["cvr"].mean()) > 0.15
    one = spend_history.fit(Settings(), {k: v[:, :1] for k, v in table.items()}, np.ones(90, bool), None)
    # Of one campaign alone each platform tells its own level: shared is the doubt about what all levels did slowly.
    assert float(one.shared["cvr"].max()) < 0.35


def test_conversions_that_come_later_do_not_look_like_fading() -> None:
    world = planted()
    table = history(world, 182, 5106, wandering=0.5)
    late = totals(table)
    # Half of what is still to come comes with each further day.
    for name in ("conversions", "revenue"):
        total = late[name]
        for day in range(1, len(total)):
            total[day] = 0.5 * total[day - 1] + 0.5 * total[day]
        late[name] = np.round(total)
    found = spend_history.fit(Settings(), late, np.ones(182, bool), np.arange(182) % 7)
    money = (found.elasticity[0] * found.gain)[0]
    assert (np.abs(money - world.elasticity) < 3 * (found.elasticity[1] * found.gain)[0]).all()
    assert np.abs(money - world.elasticity).mean() < 0.08


def test_the_price_curve_is_the_power_that_was_fitted() -> None:
    for gain in (0.6, 0.8, 0.98):
        curve = history_supply.cost_curve(gain, 128)
        won = np.array([1 / 128, 0.1, 0.3, 0.9])
        cost = history_supply._mean_cost(curve, won) * won
        np.testing.assert_allclose(np.diff(np.log(cost)) / np.diff(np.log(won)), 1 / gain, rtol=2e-3)
        assert (np.diff(curve) >= 0).all()
        assert curve[0] > 0


def test_spread_of_single_values_shows_in_daily_revenue() -> None:
    rng = np.random.default_rng(3)
    conversions = rng.poisson(40, (200, 2, 3)).astype(float)
    mean = np.array([[10.0, 30.0, 90.0], [12.0, 33.0, 70.0]])
    cv = 0.6
    revenue = rng.gamma(np.maximum(conversions, 1e-9) / cv**2) * mean * cv**2
    value, error, spread = estimators.value_of_totals(conversions, revenue)
    assert (np.abs(value - mean) < 4 * error).all()
    np.testing.assert_allclose(spread, cv, rtol=0.1)  # 1,200 squares: their mean is known to 4 %
    np.testing.assert_allclose(error, cv * mean / np.sqrt(conversions.sum(0)), rtol=0.15)


def moving(seed: int, *, what: str, level_TP: np.ndarray) -> tuple[Planted, pd.DataFrame]:
    """A history in which one figure, of all platforms or of some, is the planted one times `level_TP`."""
    world, days = planted(), len(level_TP)
    table = history(world, days, seed)
    factor = level_TP[:, np.argsort(np.argsort(world.platforms))].ravel()
    rng = np.random.default_rng(seed)
    names = {
        "conversions": ["conversions", "revenue"],
        "price": ["impressions", "clicks", "conversions", "revenue"],
        "value": ["revenue"],
    }[what]
    for name in names:
        moved = table[name].to_numpy(float) * factor
        table[name] = moved if name == "revenue" else np.floor(moved + rng.random(len(table)))
    return world, table


@pytest.mark.parametrize("what", ["conversions", "price", "value"])
@pytest.mark.parametrize("times", [2.5, 0.4])
def test_an_account_that_grew_or_shrank_is_told_as_it_is_at_its_end(tmp_path: Path, what: str, times: float) -> None:
    trend = np.linspace(-0.5, 0.5, 182)[:, None] * np.log(times) + np.zeros(4)
    world, table = moving(5130, what=what, level_TP=np.exp(trend))
    market = fitted(tmp_path, table)
    scene = make_scene(market, None)
    order = [market.platforms.index(name) for name in world.platforms]
    amount = torch.zeros(1, 4, dtype=torch.float64)
    amount[0, order] = torch.from_numpy(world.reference)
    told = respond(scene.fitted, amount.expand(len(scene.fitted.requests), -1)).revenue.sum(1).numpy()
    truth = float(world.revenue(world.reference).sum()) * times**0.5
    low, high = np.quantile(told, [0.0025, 0.9975])  # three standard errors
    assert low < truth < high
    # The mean of the history, as it was told before, is 1.6 times as much or as little.
    assert float(respond(scene.conditions, amount).revenue.sum()) == pytest.approx(truth, rel=0.15)
    # What the last week was like is near what is expected of the next, and the first was as it was.
    present = make_scene(market, None, present=True)
    assert float(respond(present.conditions, amount).revenue.sum()) == pytest.approx(truth, rel=0.25)
    name, away = {"conversions": ("cvr", 1), "price": ("level", None), "value": ("value", 1)}[what]
    if away is not None:
        assert float(market.path[name][:14].mean()) == pytest.approx(1 / times, rel=0.2)


def test_a_platform_that_stepped_moves_alone(tmp_path: Path) -> None:
    level = np.ones((182, 4))
    level[-60:, 2] = 0.55
    world, table = moving(5131, what="conversions", level_TP=level)
    market = fitted(tmp_path, table)
    order = [market.platforms.index(name) for name in world.platforms]
    still = fitted(tmp_path / "still", history(world, 182, 5131))
    ratio = (market.value["cvr"] / still.value["cvr"])[0].numpy()[order]
    error = (market.error["cvr"] / market.value["cvr"])[0].numpy()[order]
    np.testing.assert_allclose(ratio[[0, 1, 3]], 1, atol=0.05)
    # The mean of the history, which it was told as before, is 0.85.
    assert ratio[2] < 0.75
    assert abs(np.log(ratio[2] / 0.55)) < 2.5 * error[2]
    assert error[2] < 0.25
    assert float(market.value["cvr_drift"].max()) < 0.2


def test_a_market_holds_impressions_that_hardly_answer_to_money() -> None:
    """Ten times the money buys a quarter more impressions, and sells twice as much: by what follows, not by volume."""
    rng, shape = np.random.default_rng(0), (150, 1, 2)
    spend = 100 * np.exp(0.5 * rng.standard_normal(shape))
    impressions = np.round(20_000 * (spend / 100) ** 0.1)
    clicks = rng.poisson(impressions * 0.05 * (spend / 100) ** 0.4)
    conversions = rng.poisson(clicks * 0.1)
    table = {"spend": spend, "impressions": impressions, "clicks": clicks, "conversions": conversions}
    table = {name: np.asarray(one, float) for name, one in table.items()} | {"revenue": 30.0 * conversions}
    found = spend_history.fit(Settings(), table, np.ones(150, bool), None)
    assert found.elasticity[0] * found.gain == pytest.approx(np.full((1, 2), 0.5), abs=0.15)
    for name, (value, _) in (("elasticity", found.elasticity), ("bend", found.bend)):
        low, high = DOMAIN[name]
        assert ((low <= value) & (value <= high)).all(), name
