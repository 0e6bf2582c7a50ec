"""Spend histories of a planted world, then bent as people's own are: missing delivery, blanks, refunds, growth, ends.

Per platform: impressions ~ spend^gamma, clicks ~ impressions^delta, conversions ~ clicks; spend wanders around `ref`,
each with noise that persists. The shares and rates below are the world's truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tests.support.histories import START


@dataclass(frozen=True)
class Platform:
    """What is planted; `ref`: spend a day."""

    ref: float
    cpm: float
    gamma: float
    ctr: float
    delta: float
    cvr: float
    order: float


WORLD = {
    "search": Platform(400, 12.0, 0.80, 0.040, 0.85, 0.020, 55),
    "social": Platform(350, 9.0, 0.75, 0.015, 0.85, 0.022, 70),
    "video": Platform(150, 5.0, 0.85, 0.010, 0.80, 0.020, 75),
    "display": Platform(100, 2.5, 0.85, 0.004, 0.85, 0.015, 60),
}


def planted(
    days: int = 120, seed: int = 1, scale: float = 1.0, growth: float = 1.0, season: tuple[int, float] = (0, 1.0)
) -> pd.DataFrame:
    """A row per day and platform.

    Args:
        scale: of all budgets.
        growth: last day's budget over the first's.
        season: so many last days spend so many times as much.
    """
    rng = np.random.default_rng(seed)
    last, times = season
    raised = np.where(np.arange(days) >= days - last, times, 1.0)
    parts = []
    for name, one in WORLD.items():
        wander, shock = np.zeros(days), rng.standard_normal((2, days))
        noise = np.zeros((2, days))
        for day in range(1, days):
            wander[day] = 0.8 * wander[day - 1] + 0.3 * 0.6 * rng.standard_normal()
            noise[:, day] = 0.8 * noise[:, day - 1] + 0.1 * 0.6 * shock[:, day]
        spend = np.round(scale * one.ref * growth ** (np.arange(days) / (days - 1)) * np.exp(wander) * raised, 2)
        usual = one.ref / one.cpm * 1_000
        impressions = np.round(usual * (spend / one.ref) ** one.gamma * np.exp(noise[0]))
        clicks = rng.poisson(usual * one.ctr * (impressions / usual) ** one.delta * np.exp(noise[1]))
        conversions = rng.binomial(clicks, one.cvr)
        parts.append(
            pd.DataFrame(
                {
                    "date": [f"{START + pd.Timedelta(days=day):%Y-%m-%d}" for day in range(days)],
                    "platform": name,
                    "spend": spend,
                    "impressions": impressions,
                    "clicks": clicks,
                    "conversions": conversions,
                    "revenue": np.round(conversions * one.order, 2),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def earned(platform: str, spend: float) -> tuple[float, float]:
    """Expected revenue of a day at so much spend, and of the next unit of money: the planted truth."""
    one = WORLD[platform]
    # ln impressions and ln clicks wander by 0.1 around their law: the mean is as much higher as a lognormal's.
    wander = np.exp(0.5 * 0.1**2 * (one.delta**2 + 1))
    usual = one.ref / one.cpm * 1_000 * one.ctr * one.cvr * one.order * wander
    power = one.gamma * one.delta
    revenue = usual * (spend / one.ref) ** power
    return revenue, power * revenue / spend


def with_channel(history: pd.DataFrame, share: float = 0.39, **columns: object) -> pd.DataFrame:
    """A further platform `tv` that has this share of all money; `columns`: what it tells beside (blank if absent)."""
    days = history["date"].unique()
    money = share / (1 - share) * history["spend"].sum() / len(days)
    wave = 1 + 0.3 * np.sin(np.arange(len(days)))
    spend = np.round(money * wave / wave.mean(), 2)
    return pd.concat([history, pd.DataFrame({"date": days, "platform": "tv", "spend": spend} | columns)])


def ended(history: pd.DataFrame, platform: str, days_ago: int) -> pd.DataFrame:
    """No row of the platform in the last `days_ago` days."""
    days = sorted(history["date"].unique())
    return history[(history["platform"] != platform) | (history["date"] < days[-days_ago])]


def blank_results(history: pd.DataFrame) -> pd.DataFrame:
    """Conversions and revenue blank where there were none."""
    none = history["conversions"] == 0
    columns = {name: history[name].astype(float).mask(none) for name in ("conversions", "revenue")}
    return history.assign(**columns)


def planned(history: pd.DataFrame, over: float = 1.1, known_days: int | None = None) -> pd.DataFrame:
    """A plan `over` times the spend; blank after the first `known_days`."""
    plan = (over * history["spend"]).round(2)
    days = sorted(history["date"].unique())[:known_days]
    return history.assign(planned=plan.where(history["date"].isin(days)))


def booked_late(history: pd.DataFrame, share: float = 0.5) -> pd.DataFrame:
    """A share of every day's revenue is booked on the platform's next day, with or without a conversion there."""
    ordered = history.sort_values(["platform", "date"])
    late = (share * ordered["revenue"]).round(2)
    moved = late.groupby(ordered["platform"]).shift(1).fillna(0)
    last = ordered.groupby("platform")["date"].transform("max") == ordered["date"]
    stay = late.where(last, 0.0)
    return ordered.assign(revenue=ordered["revenue"] - late + moved + stay).sort_index()
