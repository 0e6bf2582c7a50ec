"""Plans after cleaning: derived from actual spend where a log has none, grouped as the platforms are, and feasible."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pandas as pd

from crossmix.schema import PLANS, DataError

TOLERANCE = 1e-6
COLUMNS = [column.name for column in PLANS]


def derived(spend: pd.DataFrame, platforms: Sequence[str], start: datetime, hours: int) -> pd.DataFrame:
    """Actual spend as the plan, for every campaign, platform and day; no limits.

    A day that the log covers in part is scaled up to a whole day, so that a cycle's share of the day's budget is what
    was spent in it.

    Args:
        spend: campaign_id, platform, date, spend.
        start: start of cycle 0.
        hours: length of the log, whole cycles.
    """
    end = start + timedelta(hours=hours)
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    covered = {}
    while midnight < end:
        following = midnight + timedelta(days=1)
        covered[midnight.date()] = (min(end, following) - max(start, midnight)) / timedelta(days=1)
        midnight = following
    grid = pd.MultiIndex.from_product(
        [sorted(spend["campaign_id"].unique()), platforms, covered], names=["campaign_id", "platform", "date"]
    )
    total = (
        spend.groupby(["campaign_id", "platform", "date"])["spend"].sum().reindex(grid, fill_value=0.0).reset_index()
    )
    total["planned_budget"] = total["spend"] / total["date"].map(covered)
    return total.assign(min=None, max=None)[COLUMNS]


def grouped(plans: pd.DataFrame, group: dict[str, str]) -> pd.DataFrame:
    """Rows of platforms that form one group become one: budgets and limits add up, a cap at most to 1.

    A missing min counts as 0; where one of the group has no max, the group has none.
    """
    renamed = plans.assign(platform=plans["platform"].map(group))
    by = renamed.groupby(["campaign_id", "platform", "date"], sort=True)
    result = by["planned_budget"].sum().to_frame()
    result["min"] = by["min"].sum(min_count=1)
    result["max"] = by["max"].agg(lambda caps: caps.sum(skipna=False)).clip(upper=1.0)
    return result.reset_index()[COLUMNS]


def check_feasible(plans: pd.DataFrame, platforms: Sequence[str]) -> None:
    """Raise `DataError` where the mins of a campaign's day sum above 1, or the maxes of all platforms below 1."""
    for (campaign, date), day in plans.groupby(["campaign_id", "date"], sort=True):
        floors, caps = float(day["min"].fillna(0).sum()), float(day["max"].fillna(1).sum())
        if floors > 1 + TOLERANCE:
            raise DataError(
                f"plans.min: the mins of {campaign} on {date:%Y-%m-%d} sum to {floors:.4g}, above 1; lower one of them"
            )
        if caps < 1 - TOLERANCE and len(day) == len(platforms):
            raise DataError(
                f"plans.max: the maxes of {campaign} on {date:%Y-%m-%d} sum to {caps:.4g}, below 1; raise one of them"
            )
