"""A whole experiment against the market as it is judged (`judge.mechanism_of`): both arms in the same market, each with
its part of users and budget.

Arms of a run see the same drift, volume and contexts (one market), their own users' auctions (luck of their own), and
spend their own part of the budget: arms that share a budget bias the comparison (arXiv 2402.07322).

Shapes: R runs, T days, C campaigns, B = R C rows, P platforms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from crossmix.config import Config
from crossmix.evaluate.judge import mechanism_of
from crossmix.evaluate.play import QUANTITIES as PLAYED
from crossmix.evaluate.play import Act, play
from crossmix.evaluate.stats.sequential import (
    AnalysisError,
    fewest_days,
    found_by_day,
    paired,
    sequential,
    summed,
)
from crossmix.evaluate.stats.significance import welch
from crossmix.market.conditions import scaled_market
from crossmix.market.environment import MarketEnvironment, Observation
from crossmix.market.model import Market
from crossmix.metrics import AMOUNTS

Array = NDArray[np.float64]
QUANTITIES = AMOUNTS
FIRST_SEED = 6_000_000


@dataclass(frozen=True, slots=True)
class Days:
    """What an arm delivered: `QUANTITIES` of every run and day, and `expected_revenue`, each (R, T)."""

    total: dict[str, Array]
    """`planned` is the arm's part of the plan, as in a served experiment's verdict: what a cycle leaves unspent and a
    later one may spend is planned once."""
    dynamic_reward_RT: Array
    """Eq. 10, mean over campaigns."""

    def roi(self, period: int = 1) -> Array:
        """Revenue / planned budget of every `period` days on end, (R, T // period)."""
        revenue, planned = (summed(self.total[name], period) for name in ("revenue", "planned"))
        return revenue / np.maximum(planned, 1e-12)


def static(world: MarketEnvironment, _: Observation) -> Tensor:
    """The control arm: the plan's own split."""
    return world.static_BP


def arm_world(
    config: Config, market: Market, weight: float, *, runs: int, days: int, seed: int, arm: int
) -> MarketEnvironment:
    """The markets in which one arm of `runs` experiments plays, a run's campaigns on end, without those that are over;
    arguments as `play_arm`'s."""
    world = MarketEnvironment(
        replace(scaled_market(market, requests=weight), budget=market.budget * weight),
        config,
        campaign_B=torch.tensor(market.running).repeat(runs),
        cycles=days,
        mechanism=mechanism_of(market),
        seed=seed,
    )
    world.luck.manual_seed(2 * seed + 1_000_003 * (arm + 1))
    return world


def play_arm(
    config: Config, market: Market, serve: Act, weight: float, *, runs: int, days: int, seed: int, arm: int
) -> Days:
    """One arm of `runs` experiments.

    Args:
        serve: what splits the budget; one that is `Learning` is told every cycle's outcome.
        weight: its part of users and budget, in (0, 1].
        seed: of the market, the same for all arms; `arm`: which one, for its own luck.
    """
    campaigns = len(market.running)
    world = arm_world(config, market, weight, runs=runs, days=days, seed=seed, arm=arm)
    played = play(world, serve, days, label=f"arm {arm + 1}", unit="day")
    amount_QRT = played.amount_TBPQ.sum(2).reshape(days, runs, campaigns, -1).sum(2).transpose(2, 1, 0)
    reward_RT = played.dynamic_reward(config.reward).reshape(days, runs, campaigns).mean(2).T
    plan_RT = np.full((runs, days), float(world.market.budget[market.running].double().sum()))
    return Days(dict(zip(PLAYED, amount_QRT, strict=True)) | {"planned": plan_RT}, reward_RT)


def deviation(
    config: Config, market: Market, weights: tuple[float, float], *, runs: int = 40, days: int = 14
) -> tuple[float, int]:
    """Deviation of the log-ratio of ROI between two arms that both run the static split (A/A).

    Returns:
        The deviation of a figure, and the days that a figure is made of: one, or the fewest without an arm that earned
        nothing.

    Raises:
        AnalysisError: an arm that earned nothing in a third of the days on end.
    """
    arms = [
        play_arm(config, market, static, weight, runs=runs, days=days, seed=FIRST_SEED - 1, arm=arm)
        for arm, weight in enumerate(weights)
    ]
    period = _period(*arms)
    one, other = (arm.roi(period) for arm in arms)
    return float(np.log(one / other).std(ddof=1)), period


def simulate(
    config: Config,
    market: Market,
    serve: Act,
    weights: tuple[float, float],
    *,
    runs: int,
    days: int,
    level: float,
    others: Mapping[str, Act] | None = None,
) -> dict[str, Any]:
    """Policy against the static split, and the static split against itself (A/A), `runs` times each.

    Args:
        others: by name, what else plays in the policy's place, in the same markets; reported under their names as the
            policy is, with their lead over it and over those named before (`lead`).

    Returns:
        For `experiment` and `a_a`: the lift of ROI with its 95 % range over runs; the part of runs that the
        always-valid test, looked at every day, finds by each day; and that the fixed-horizon and Welch's tests find at
        the end; and eq. 10 of both arms, a figure beside revenue. Of the first run its days and tests, as an analyst
        would see them.

    Raises:
        AnalysisError: fewer than three days, or an arm that earned nothing in a third of them on end.
    """
    if days < 3:
        raise AnalysisError(f"days: {days}; simulate three or more")
    control = play_arm(config, market, static, weights[1], runs=runs, days=days, seed=FIRST_SEED, arm=1)
    arms = {
        "experiment": play_arm(config, market, serve, weights[0], runs=runs, days=days, seed=FIRST_SEED, arm=0),
        "a_a": play_arm(config, market, static, weights[0], runs=runs, days=days, seed=FIRST_SEED, arm=0),
    }
    for name, other in (others or {}).items():
        arms[name] = play_arm(config, market, other, weights[0], runs=runs, days=days, seed=FIRST_SEED, arm=0)
    period = _period(control, *arms.values())
    base_RT = control.roi(period)
    arm_figures = {name: _figures(arm.roi(period), base_RT, level, days, period) for name, arm in arms.items()}
    for name, arm in arms.items():
        both = {"policy": arm, "control": control}
        arm_figures[name]["dynamic_reward"] = {who: float(one.dynamic_reward_RT.mean()) for who, one in both.items()}
    played = ["experiment"]
    for name in others or {}:
        arm_figures[name]["lead"] = {f"over_{before}": lead(arms[name], arms[before]) for before in played}
        played.append(name)
    first = {
        arm: {name: one.total[name][0].tolist() for name in QUANTITIES}
        for arm, one in (("policy", arms["experiment"]), ("control", control))
    }
    return {
        "generated": market.generated,
        "currency": market.currency,
        "weights": {"policy": weights[0], "control": weights[1]},
        "days": days,
        "days_per_figure": period,
        "runs": runs,
        "level": level,
        **arm_figures,
        "first_run": first,
    }


def lead(one: Days, other: Days) -> dict[str, Any]:
    """One arm's expected revenue over another's in the same markets, relative, with its 95 % interval over runs.

    That is the revenue that the impressions won are expected to bring: without the luck of single conversions, which
    would hide what a few updates do.
    """
    ratio_R = np.log(one.total["expected_revenue"].sum(1) / other.total["expected_revenue"].sum(1))
    reach = float(stats.t.ppf(0.975, len(ratio_R) - 1) * ratio_R.std(ddof=1) / np.sqrt(len(ratio_R)))
    mean = float(ratio_R.mean())
    return {"mean": float(np.expm1(mean)), "ci95": [float(np.expm1(mean - reach)), float(np.expm1(mean + reach))]}


def _figures(one_RT: Array, other_RT: Array, level: float, days: int, period: int) -> dict[str, Any]:
    lift_R = np.expm1(np.log(one_RT / other_RT).mean(1))
    # Once found, found.
    found_RT = found_by_day(one_RT, other_RT, level)
    by_figure = [0.0, *found_RT.mean(0).tolist()]
    fixed = [paired(one, other, level) for one, other in zip(one_RT, other_RT, strict=True)]
    naive = [welch(one, other).p <= level for one, other in zip(one_RT, other_RT, strict=True)]
    at_end = sequential(one_RT[0], other_RT[0], level)
    return {
        "lift": {"mean": float(lift_R.mean()), "range95": [float(x) for x in np.percentile(lift_R, [2.5, 97.5])]},
        "always_valid_found_by_day": [by_figure[day // period] for day in range(1, days + 1)],
        "paired_found_at_end": float(np.mean([each.p <= level for each in fixed])),
        "welch_found_at_end": float(np.mean(naive)),
        "first_run": {
            "always_valid": {"lift": at_end.lift, "ci95": [at_end.low, at_end.high], "p": at_end.p},
            "paired": {"lift": fixed[0].lift, "ci95": [fixed[0].low, fixed[0].high], "p": fixed[0].p},
        },
    }


def _period(*arms: Days) -> int:
    """Fewest days per figure in which every arm earned something, with three figures or more left."""
    period = fewest_days(*(arm.total["revenue"] for arm in arms))
    if period is None:
        days = arms[0].total["revenue"].shape[1]
        raise AnalysisError(
            f"roi: an arm earned nothing in {days // 3} of {days} days on end; too little is sold to compare the arms: "
            "give the smaller arm a larger weight, or both more days"
        )
    return period
