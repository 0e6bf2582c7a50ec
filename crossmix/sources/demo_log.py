"""Play the generated world day by day and log what an advertiser sees: the won impressions only.

Shapes: G = campaigns x platforms groups of one day, R requests of it, W wins of it; C, P, U as in `demo_world`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
from scipy.special import ndtri

from crossmix.sources.demo_world import (
    CEILING,
    EXPLORATION,
    LATE,
    PACING_ERROR,
    REGIONS,
    START,
    VALUE_SIGMA,
    World,
)

DAY_US = 86_400_000_000
HOURS = np.array([1, 1, 1, 1, 1, 2, 3, 5, 6, 6, 6, 6, 7, 6, 6, 6, 6, 7, 8, 9, 9, 8, 5, 3], dtype=np.float64)
"""Requests by hour of the day, before normalisation."""

DUPLICATES = 1 / 1000
"""Planted dirt: share of rows logged twice."""
MISSING_REGION = 1 / 500
"""Planted dirt: share of rows without a region."""
CONFLICTS, NEGATIVE_PRICES, EARLY_CONVERSIONS, UNKNOWN_CREATIVES, UNKNOWN_PLATFORMS = 5, 20, 20, 10, 3
"""Planted dirt: ids logged twice with different prices, prices below 0, conversions before their impression, references
to creatives that do not exist, plan rows of a platform that does not exist."""


@dataclass(frozen=True, slots=True)
class Log:
    """The generated tables under the column names of `crossmix.schema`, dirt included."""

    impressions: pd.DataFrame
    creatives: pd.DataFrame
    plans: pd.DataFrame
    dirt: dict[str, int]
    """Planted defects by kind, for tests."""


def play(world: World) -> Log:
    """The whole log; the same for the same world."""
    first = int(np.datetime64(START, "us").astype(np.int64))
    cumulative_U = np.cumsum(world.activity_U)
    days = [_day(world, day, first, cumulative_U) for day in range(world.demo.days)]
    columns = {name: np.concatenate([day[name] for day in days]) for name in days[0]}
    impressions = _frame(world, columns)
    plans = _plans(world)
    rng = np.random.default_rng([world.demo.seed, 3])
    impressions, dirt = _soil(impressions, rng)
    unknown = plans.iloc[: min(UNKNOWN_PLATFORMS, len(plans))].assign(platform="fax")
    creatives = pd.DataFrame(
        {
            "creative_id": world.creatives.ids,
            "image": world.creatives.image,
            "copy": world.creatives.text,
            "category": world.creatives.category,
        }
    )
    return Log(
        impressions=impressions,
        creatives=creatives,
        plans=pd.concat([plans, unknown], ignore_index=True),
        dirt=dirt | {"unknown_platform": len(unknown)},
    )


def _day(world: World, day: int, first: int, cumulative_U: np.ndarray) -> dict[str, np.ndarray]:
    """The won impressions of one day, in time order: codes and numbers, no strings yet."""
    rng = np.random.default_rng([world.demo.seed, 2, day])
    C, P = world.requests_CP.shape
    weekday = day % 7
    mean_G = (world.requests_CP * world.volume_PW[:, weekday]).ravel()
    requests_G = rng.poisson(mean_G)
    mu_G = (world.mu_CP + world.price_drift_DCP[day]).ravel()
    sigma_G = world.sigma_CP.ravel()
    budget_G = (world.budget_C[:, None] * world.share_DCP[day]).ravel()

    # The paced bid: with bid noise tau and price LN(mu, sigma), the share of the supply cost won is
    # Phi((ln b - mu - sigma^2) / sqrt(sigma^2 + tau^2)); solve it for the share that the budget pays for.
    supply_G = mean_G * np.exp(mu_G + sigma_G**2 / 2)
    spendable_G = np.clip(budget_G / supply_G, 1e-4, 0.97)
    log_bid_G = mu_G + sigma_G**2 + np.hypot(sigma_G, EXPLORATION) * ndtri(spendable_G)
    log_bid_G = log_bid_G + PACING_ERROR * rng.standard_normal(C * P)

    group_R = np.repeat(np.arange(C * P), requests_G)
    hour_R = rng.choice(24, len(group_R), p=HOURS / HOURS.sum())
    time_R = ((hour_R + rng.random(len(group_R))) * (DAY_US / 24)).astype(np.int64)
    order = np.lexsort((time_R, group_R))
    time_R = time_R[order]
    price_R = np.exp(mu_G[group_R] + sigma_G[group_R] * rng.standard_normal(len(group_R)))
    bid_R = np.exp(log_bid_G[group_R] + EXPLORATION * rng.standard_normal(len(group_R)))
    won_R = bid_R > price_R
    won_R &= _running(np.where(won_R, price_R, 0.0), group_R, requests_G) <= budget_G[group_R]
    nth_R = _running(won_R.astype(np.float64), group_R, requests_G)

    group_W, time_W = group_R[won_R], time_R[won_R]
    campaign_W, platform_W = np.divmod(group_W, P)
    fatigue_W = np.exp(-world.kappa_CP.ravel()[group_W] * nth_R[won_R] / requests_G[group_W])
    user_W = np.searchsorted(cumulative_U, rng.random(len(group_W)) * cumulative_U[-1], side="right")
    creative_W = _serve(world, campaign_W, rng)
    lift_W = (
        np.exp(world.click_U[user_W] + world.click_UP[user_W, platform_W] + world.creatives.appeal_K[creative_W])
        / world.click_mean_C[campaign_W]
    )
    drift_G = np.exp(world.response_drift_DCP[day]).ravel()
    base_G = (world.ctr_CP * world.response_PW[:, weekday]).ravel()
    click_W = rng.random(len(group_W)) < np.minimum(base_G[group_W] * drift_G[group_W] * lift_W * fatigue_W, CEILING)
    conversion_lift_W = (
        np.exp(world.conversion_U[user_W] + world.creatives.conversion_K[creative_W])
        / world.conversion_mean_C[campaign_W]
    )
    p_conversion_W = np.minimum(world.cvr_CP.ravel()[group_W] * conversion_lift_W, CEILING)
    converted_W = click_W & (rng.random(len(group_W)) < p_conversion_W)
    value_W = world.value_CP.ravel()[group_W] * np.exp(
        VALUE_SIGMA * rng.standard_normal(len(group_W)) - VALUE_SIGMA**2 / 2
    )
    delay_W = rng.exponential(world.delay_P[platform_W])
    late_W = rng.random(len(group_W)) < LATE
    delay_W = np.where(late_W, rng.uniform(31, 45, len(group_W)), delay_W)
    stamp_W = first + day * DAY_US + time_W
    columns = {
        "timestamp": stamp_W,
        "user": user_W,
        "campaign": campaign_W,
        "creative": creative_W,
        "platform": platform_W,
        "bid_price": bid_R[won_R],
        "price_paid": price_R[won_R],
        "clicked": click_W,
        "converted": converted_W,
        "revenue": np.where(converted_W, value_W, 0.0),
        "conversion_timestamp": np.where(converted_W, stamp_W + (delay_W * DAY_US).astype(np.int64) + 1, -1),
    }
    ordered = np.argsort(stamp_W, kind="stable")
    return {name: column[ordered] for name, column in columns.items()}


def _running(value_R: np.ndarray, group_R: np.ndarray, size_G: np.ndarray) -> np.ndarray:
    """Cumulative sum within each group; rows lie group after group."""
    total_R = np.cumsum(value_R)
    before_G = np.concatenate([[0.0], total_R])[np.cumsum(size_G) - size_G]
    return np.asarray(total_R - before_G[group_R])


def _serve(world: World, campaign_W: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A creative of the win's campaign, each as often."""
    draw_W = rng.random(len(campaign_W))
    creative_W = np.empty(len(campaign_W), dtype=np.int64)
    for c in range(len(world.campaigns)):
        mine = np.flatnonzero(world.creatives.campaign_K == c)
        rows = campaign_W == c
        creative_W[rows] = mine[(draw_W[rows] * len(mine)).astype(np.int64)]
    return creative_W


def _frame(world: World, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    """Codes to names. Strings are shared objects, so the frame stays small."""
    rows = len(columns["timestamp"])
    users = np.array([f"u{u:06d}" for u in range(world.demo.users)], dtype=object)
    regions = np.array([name for name, _ in REGIONS], dtype=object)
    seconds = pd.Series(columns["conversion_timestamp"].astype("datetime64[us]"))
    return pd.DataFrame(
        {
            "impression_id": [f"i{number:08d}" for number in range(rows)],
            "timestamp": columns["timestamp"].astype("datetime64[us]"),
            "user_id": users[columns["user"]],
            "campaign_id": np.array(world.campaigns, dtype=object)[columns["campaign"]],
            "creative_id": np.array(world.creatives.ids, dtype=object)[columns["creative"]],
            "platform": np.array(world.platforms, dtype=object)[columns["platform"]],
            "region": regions[world.region_U[columns["user"]]],
            "bid_price": columns["bid_price"],
            "price_paid": columns["price_paid"],
            "clicked": columns["clicked"],
            "converted": columns["converted"],
            "revenue": columns["revenue"],
            "conversion_timestamp": seconds.where(columns["conversion_timestamp"] >= 0),
        }
    )


def _plans(world: World) -> pd.DataFrame:
    D, C, P = world.share_DCP.shape
    day, campaign, platform = (index.ravel() for index in np.indices((D, C, P)))
    dates = np.array([START + timedelta(days=number) for number in range(D)], dtype=object)
    return pd.DataFrame(
        {
            "campaign_id": np.array(world.campaigns, dtype=object)[campaign],
            "platform": np.array(world.platforms, dtype=object)[platform],
            "date": dates[day],
            "planned_budget": (world.budget_C[:, None] * world.share_DCP).ravel(),
            "min": world.minimum_P[platform],
            "max": world.maximum_P[platform],
        }
    )


def _soil(frame: pd.DataFrame, rng: np.random.Generator) -> tuple[pd.DataFrame, dict[str, int]]:
    """Plant the defects named above, so that cleaning has something to show; and say how many of each.

    The defective rows are extra copies of sound ones (or lack a region), so that no sound impression is lost to them.
    """
    rows = len(frame)

    def extra(count: int, prefix: str) -> pd.DataFrame:
        picked = frame.iloc[np.sort(rng.choice(rows, min(count, rows), replace=False))].copy()
        picked["impression_id"] = prefix + picked["impression_id"]
        return picked

    twice = extra(round(rows * DUPLICATES), "")
    negative = extra(NEGATIVE_PRICES, "n")
    negative["price_paid"] = -negative["price_paid"]
    converted = frame[frame["converted"]]
    early = converted.iloc[: min(EARLY_CONVERSIONS, len(converted))].copy()
    early["impression_id"] = "e" + early["impression_id"]
    early["conversion_timestamp"] = early["timestamp"] - pd.Timedelta(hours=1)
    conflict = extra(CONFLICTS, "c")
    rival = conflict.assign(price_paid=conflict["price_paid"] / 2)
    stray = extra(UNKNOWN_CREATIVES, "s")
    stray["creative_id"] = "cr9999"
    without = rng.choice(rows, round(rows * MISSING_REGION), replace=False)
    frame.loc[without, "region"] = None
    twice = frame.loc[twice.index]
    frame = pd.concat([frame, twice, negative, early, conflict, rival, stray], ignore_index=True)
    frame = frame.sort_values("timestamp", kind="stable", ignore_index=True)
    return frame, {
        "duplicate": len(twice),
        "missing_region": int(frame["region"].isna().sum()) - int(twice["region"].isna().sum()),
        "negative_price": len(negative),
        "early_conversion": len(early),
        "conflict": len(conflict) + len(rival),
        "unknown_creative": len(stray),
    }
