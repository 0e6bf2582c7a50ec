"""Plans after cleaning: derived from actual spend where a log has none, grouped as the platforms are, and feasible."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pandas as pd

from crossmix.schema import PLANS, DataError
from crossmix.sources import Table
from crossmix.sources.late import ibis
from crossmix.sources.rules import PROBLEM

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
        spend.groupby(["campaign_id", "platform", "date"], observed=True)["spend"]
        .sum()
        .reindex(grid, fill_value=0.0)
        .reset_index()
    )
    total["planned_budget"] = total["spend"] / total["date"].map(covered)
    return total.assign(min=None, max=None)[COLUMNS]


def entered(table: Table | None, without: Sequence[str] = ()) -> Table | None:
    """The rows in which a plan is entered: a blank one is unknown, not 0; `None` where none is.

    Args:
        without: platforms whose plans are of no use.
    """
    if table is None:
        return None
    nothing = ibis.and_(*[table[name].isnull() for name in ("planned_budget", "min", "max") if name in table.columns])
    if PROBLEM in table.columns:
        nothing &= table[PROBLEM].isnull()
    known = table.filter(~nothing)
    if without:
        known = known.filter(known["platform"].notin(list(without)).fill_null(True))
    return known if int(known.count().execute()) else None


def completed(plans: pd.DataFrame, spend: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Plans with one for every row of spend: an unknown one is its spend times what plans usually are of spend.

    Usual: the campaign's on the platform, else the platform's, else of all. Without it an unknown plan would count as
    none, and half of a budget would look like the whole.

    Args:
        plans: with `COLUMNS`.
        spend: campaign_id, platform, date, spend; one row for each.

    Returns:
        The plans, and how many of them were unknown.
    """
    key = ["campaign_id", "platform", "date"]
    both = spend[[*key, "spend"]].merge(plans[[*key, "planned_budget"]], on=key, how="left")
    known = both[both["planned_budget"].notna() & (both["spend"] > 0)]
    missing = both[both["planned_budget"].isna()]

    def ratio(by: list[str]) -> pd.Series:
        sums = known.groupby(by)[["planned_budget", "spend"]].sum()
        return sums["planned_budget"] / sums["spend"]

    whole = float(known["planned_budget"].sum() / known["spend"].sum()) if len(known) else 1.0
    usual = pd.Series(whole, index=missing.index)
    for by in (["platform"], ["campaign_id", "platform"]):
        own = missing[by].merge(ratio(by).rename("usual").reset_index(), on=by, how="left")["usual"]
        usual = pd.Series(own.to_numpy(), index=missing.index).fillna(usual)
    taken = missing[key].assign(planned_budget=missing["spend"].clip(lower=0) * usual)
    return pd.concat([plans, taken], ignore_index=True), len(missing)


def grouped(plans: pd.DataFrame, group: dict[str, str]) -> pd.DataFrame:
    """Rows of platforms that form one group become one: budgets and limits add up, a cap at most to 1.

    A missing min counts as 0; where one of the group has no max, the group has none.
    """
    renamed = plans.assign(platform=plans["platform"].map(group))
    by = renamed.groupby(["campaign_id", "platform", "date"], sort=True, observed=True)
    result = by["planned_budget"].sum().to_frame()
    result["min"] = by["min"].sum(min_count=1)
    result["max"] = by["max"].sum(min_count=1).where(by["max"].count() == by.size()).clip(upper=1.0)
    return result.reset_index()[COLUMNS]


def check_feasible(plans: pd.DataFrame, platforms: Sequence[str]) -> None:
    """Raise `DataError` where the mins of a campaign's day sum above 1, or the maxes of all platforms below 1."""
    for (campaign, date), day in plans.groupby(["campaign_id", "date"], sort=True, observed=True):
        floors, caps = float(day["min"].fillna(0).sum()), float(day["max"].fillna(1).sum())
        if floors > 1 + TOLERANCE:
            raise DataError(
                f"plans.min: the mins of {campaign} on {date:%Y-%m-%d} sum to {floors:.4g}, above 1; lower one of them"
            )
        if caps < 1 - TOLERANCE and len(day) == len(platforms):
            raise DataError(
                f"plans.max: the maxes of {campaign} on {date:%Y-%m-%d} sum to {caps:.4g}, below 1; raise one of them"
            )
