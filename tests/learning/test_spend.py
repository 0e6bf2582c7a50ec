"""A market that was only ever seen through daily totals: what the fit recovers, and what a split is worth in truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from crossmix.config import Market as Settings
from crossmix.config import load
from crossmix.evaluate.fidelity import spend_history as daily
from crossmix.market.conditions import nominal
from crossmix.market.fit import spend_history as aggregate
from crossmix.market.fit.fit import estimate
from crossmix.market.fit.log import Log, read
from crossmix.market.mechanism import expected
from crossmix.market.model import Market
from crossmix.market.oracle import solve
from crossmix.market.replay_splits import retrace
from crossmix.whatif import make_scene
from crossmix.whatif.curves import respond
from tests.support.histories import cubes, history_of, ingested
from tests.support.markets import make_market

DAYS = 90
SETTINGS = ["data.source=spend", "data.path=history.csv"]


@cache
def truth(seed: int) -> Market:
    """A known market; uniform split as the plan.

    As the fit assumes, campaigns share the shape of a platform's prices, and its saturation. That shape (0.35 to 0.65
    in ln, no noise in bids) is far from what the default priors say (0.35).
    """
    market = make_market(seed, platforms=6, campaigns=3, drift=0.2)
    uniform = torch.full_like(market.static, 1 / 6)
    mean = market.price.mean(2, keepdim=True)
    price = market.price[:1] / mean[:1] * mean
    saturation = market.value["saturation"][:1].expand(3, -1).clone()
    return replace(
        market,
        static=uniform,
        control=uniform,
        price=price,
        price_law=price,
        value=market.value | {"saturation": saturation},
    )


@dataclass(frozen=True)
class Fitted:
    market: Market
    log: Log
    planned: np.ndarray


def fitted(folder: Path, true: Market, seed: int, *settings: str, planned: bool = True) -> Fitted:
    """The market fitted on a history played in `true`."""
    history = history_of(true, DAYS, seed)
    dataset = ingested(folder, history if planned else history.drop(columns="planned"))
    log = read(dataset)
    return Fitted(estimate(load("laptop", [*SETTINGS, *settings]), dataset, log, None), log, log.planned(dataset)[0])


def closed(true: Market, found: Market) -> float:
    """Share of the gap from uniform to the best split that the best split for `found` closes in `true`, no drift."""
    campaigns = torch.arange(len(true.campaigns))
    order = [found.platforms.index(name) for name in true.platforms]
    total = {"best": 0.0, "ours": 0.0, "uniform": 0.0}
    for day in (2, 6):
        days = torch.full_like(campaigns, day)
        there, here = nominal(true, campaigns, days), nominal(found, campaigns, days)
        shares = {
            "best": solve(there, true.budget, true.minimum, true.maximum).share_BP,
            "ours": solve(here, true.budget, found.minimum, found.maximum).share_BP[:, order],
            "uniform": true.static,
        }
        for name, share in shares.items():
            total[name] += float(expected(there, true.budget[:, None] * share).revenue.sum())
    return (total["ours"] - total["uniform"]) / (total["best"] - total["uniform"])


def test_best_split_of_the_fitted_market_is_good_in_the_true_one(tmp_path: Path) -> None:
    assert closed(truth(1), fitted(tmp_path, truth(1), 1).market) >= 0.6


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    # The truth has no noise in bids; here the fit is told so, and its errors must then be right.
    return fitted(tmp_path_factory.mktemp("one"), truth(3), 3, "market.assumed_bid_dispersion=0")


def revenue(market: Market, budget_CP: torch.Tensor) -> torch.Tensor:
    """Expected revenue of an average weekday, (C, P)."""
    return expected(nominal(market, torch.arange(len(market.campaigns))), budget_CP).revenue


def test_truth_lies_within_the_intervals(one: Fitted) -> None:
    true, market = truth(3), one.market
    order = [market.platforms.index(name) for name in true.platforms]
    held = []
    for c, campaign in enumerate(market.campaigns):
        scene = make_scene(market, campaign, draws=200)
        for factor in (0.5, 1.0, 2.0):
            budget_CP = factor * true.budget[:, None] * true.static
            real = float(revenue(true, budget_CP)[c].sum())
            amount_P = torch.zeros(len(order), dtype=torch.float64)
            amount_P[order] = budget_CP[c].double()
            drawn = respond(scene.fitted, amount_P.expand(200, -1)).revenue.sum(1).numpy()
            # Rates drift by 20 % and remember two weeks: their mean over these days is not their mean for ever.
            wide = 1 + 1.96 * 0.2 * (2 / (0.7 * DAYS * 0.07)) ** 0.5 / 6**0.5
            low, high = np.quantile(drawn, [0.025, 0.975])
            held.append(low / wide < real < high * wide)
    assert sum(held) >= len(held) - 1, held
    for name in ("requests", "ctr", "cvr", "value", "saturation"):
        guessed = name in ("requests", "ctr", "saturation")
        assert market.provenance[name] == ("approximated" if guessed else "real")


def test_the_market_retraces_the_history(one: Fitted) -> None:
    true_TCP = one.log.totals()
    fit = one.log.fitted_cycles()[: one.log.train_cycles]
    spend = true_TCP["spend"]
    outcome = retrace(one.market, spend, plan_is_spend=True)
    shape = one.market.path["requests"].shape
    for name, bound in (("spend", 0.002), ("impressions", 0.01)):
        ours = getattr(outcome, name).reshape(shape).numpy()[fit]
        ratio = ours / true_TCP[name][: len(fit)][fit]
        assert np.abs(ratio.mean() - 1) < bound, name
        assert np.quantile(np.abs(ratio - 1), 0.95) < 3 * bound, name
    clicks = outcome.clicks.reshape(shape).numpy()[fit].sum((0, 1))
    np.testing.assert_allclose(clicks, true_TCP["clicks"][: len(fit)][fit].sum((0, 1)), rtol=0.02)


def test_fidelity_passes_the_market_and_fails_a_wrong_one(one: Fitted) -> None:
    market, log, planned = one.market, one.log, one.planned
    right = daily.deviations(market, log, planned)["total"]
    for metric, item in right.items():
        # An unbiased deviation's interval misses zero by so much hardly ever: its half-width is 3 to 5 %.
        assert item.low < 0.02, (metric, item)
        assert item.high > -0.02, (metric, item)
    wrong = replace(market, value=market.value | {"ctr": 1.2 * market.value["ctr"], "cvr": 0.8 * market.value["cvr"]})
    bad = daily.deviations(wrong, log, planned)["total"]
    assert bad["ctr"].low > 0.05
    assert bad["cvr"].high < -0.05
    dear = daily.deviations(replace(market, value=market.value | {"value": 1.2 * market.value["value"]}), log, planned)
    assert dear["total"]["roi"].low > 0.05
    figures = daily.divergences(market, log, planned)["total"]
    assert all(found.value < 0.1 for found in figures.values()), figures
    restless = market.path | {"ctr": market.path["ctr"] * torch.exp(torch.randn(market.path["ctr"].shape))}
    assert daily.divergences(replace(market, path=restless), log, planned)["total"]["change.ctr"].value > 0.1
    # A classifier cannot tell held-out days from draws of the market.
    apart = daily.told_apart(market, log, planned)["total"]
    assert np.isnan(apart.auc) or apart.low < 0.55


def test_without_a_plan_the_spend_is_the_plan(tmp_path: Path) -> None:
    found = fitted(tmp_path, truth(3), 3, planned=False)
    assert found.log.plan_from_spend
    deviation = daily.deviations(found.market, found.log, found.planned)["total"]
    assert abs(deviation["spend"].value) < 0.001
    assert closed(truth(3), found.market) >= 0.6


def test_budgets_that_follow_yesterdays_clicks_do_no_harm() -> None:

    def follow(rate: np.ndarray) -> np.ndarray:
        return np.clip(rate, 0.2, 5.0)

    errors, naive = [], []
    for seed in (1, 3):
        true = truth(seed)
        played = cubes(history_of(true, 60, seed, follow, wandering=0.1), true)
        found = aggregate.fit(Settings(), played, np.ones(60, bool), np.arange(60) % 7)
        usual = torch.tensor(found.price * found.requests * found.usual_share, dtype=torch.float32)
        step = 0.02
        more, less = (revenue(true, usual * (1 + move)).log() for move in (step, -step))
        real = ((more - less) / (np.log(1 + step) - np.log(1 - step))).numpy()
        errors.append((found.elasticity[0] - real / found.gain) / found.elasticity[1])
        seen = played["clicks"] > 0
        x = np.where(seen, np.log(np.maximum(played["impressions"], 1)), np.nan)
        y = np.where(seen, np.log(np.maximum(played["clicks"], 1)) - x, np.nan)
        x, y = x - np.nanmean(x, 0), y - np.nanmean(y, 0)
        naive.append(float(np.nansum(x * y) / np.nansum(x * x)))
    # A regression of the click rate on impressions finds that more impressions respond *better*: budgets followed it.
    assert min(naive) > 0
    z = np.concatenate([error.ravel() for error in errors])
    assert np.sqrt((z**2).mean()) < 1.5, errors


def test_a_platform_without_delivery_has_defined_parameters() -> None:
    true = truth(1)
    played = cubes(history_of(true, 40, 1), true)
    for table in played.values():
        table[:, 1, 2] = 0  # one campaign never ran there
        table[:, :, 4] = 0  # nobody did
    found = aggregate.fit(Settings(), played, np.ones(40, bool), None)
    for name in ("requests", "usual_share", "price", "gain", "log_price_se", "price_multiplier"):
        assert np.isfinite(getattr(found, name)).all(), name
    for name in ("saturation", "elasticity", "bend", "ctr", "cvr", "value"):
        assert all(np.isfinite(table).all() for table in getattr(found, name)), name
    assert found.untried.sum() == 4
    assert found.untried[:, 4].all()
    # It is taken to find what the others find there, and the error says how little is known.
    assert 0.3 < found.price[1, 2] / found.price[[0, 2], 2].mean() < 3
    ctr, error = found.ctr
    assert error[1, 2] / ctr[1, 2] > 2 * (error / ctr)[[0, 2], 2].max()
    assert error[1, 4] / ctr[1, 4] > error[1, 2] / ctr[1, 2]
    assert (found.week == 1).all()
