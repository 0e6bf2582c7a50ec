"""The first and the last day of a history where they are no whole days: an export that began or ended within one."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

PART = 0.5
"""A day is a part of one where spend, impressions and clicks are less than this of the least of the days beside it."""
PLATFORM_PART = 1 / 3
"""The same of one platform, which may be paused."""
BESIDE, WEEKS = 14, 8
"""Rows in sequence that a day is compared with, and weeks whose same weekday counts too."""
LARGE = 0.1
"""Part of the money of a platform whose last day alone makes the day a part."""
BEHIND_MONEY = 0.02
"""Part of all money of a platform whose missing last days are told."""
AMOUNTS = ["spend", "impressions", "clicks"]


def whole(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The rows of whole days, and sentences about what is left out.

    A last day that repeats every figure of the day before is no day of its own either.

    Args:
        frame: platform, campaign_id, date, spend, impressions, clicks, conversions, revenue.
    """
    by_day = frame.groupby("date")[AMOUNTS].sum().sort_index()
    told: list[str] = []
    without: set[date] = set()
    if len(by_day) <= BESIDE + 2:
        return frame, told
    dates = list(by_day.index)
    for day, table, where in ((dates[-1], by_day, "last"), (dates[0], by_day.iloc[::-1], "first")):
        if (table.iloc[-1] > 0).all() and _part(table, PART):
            without.add(day)
            usual = float(table["spend"].iloc[-BESIDE - 1 : -1].median())
            told.append(
                f"The {where} day, {day}, is left out: it has {table['spend'].iloc[-1] / usual:.0%} of the usual "
                "spend and as little delivery, as when an export is made before a day is over."
            )
    # A day of corrections alone has no delivery.
    if dates[-1] not in without and (by_day.iloc[-1] > 0).all():
        told += _last_of_one(frame, dates, without)
    return (frame[~frame["date"].isin(without)] if without else frame), told


def _last_of_one(frame: pd.DataFrame, dates: list[date], without: set[date]) -> list[str]:
    """Of a last day that one platform has a part of, or that repeats the day before; adds it to `without`."""
    money = frame.groupby("platform", observed=True)["spend"].sum()
    for name in money.index[money > LARGE * money.sum()]:
        table = frame[frame["platform"] == name].groupby("date")[AMOUNTS].sum().reindex(dates, fill_value=0.0)
        if _part(table, PLATFORM_PART):
            without.add(dates[-1])
            return [
                f"The last day, {dates[-1]}, is left out: {name} has hardly any of its usual spend and delivery on it, "
                "as when an export is made before a day is over."
            ]
    before, last = (_figures(frame, day) for day in dates[-2:])
    if last.equals(before) and len(last) > 1 and not before.equals(_figures(frame, dates[-3])):
        without.add(dates[-1])
        return [f"The last day, {dates[-1]}, is left out: all of its figures are those of the day before."]
    return []


def behind(frame: pd.DataFrame) -> list[str]:
    """Sentences of platforms whose rows end some days before the others': paused, or of an older export.

    Args:
        frame: as `whole` leaves it; a row a day.
    """
    days = pd.to_datetime(frame["date"])
    money = frame.groupby("platform", observed=True)["spend"].sum()
    told = []
    for name in money.index[money > BEHIND_MONEY * money.sum()]:
        own = days[frame["platform"] == name].drop_duplicates().sort_values()
        last = own.iloc[-1]
        missing = (days.max() - last).days
        gaps = own[own > last - pd.Timedelta(days=2 * BESIDE)].diff().dt.days.dropna()
        if 1 < missing <= BESIDE and len(gaps) >= BESIDE / 2 and missing > gaps.max():
            told.append(
                f"{name} has no row after {last:%Y-%m-%d}, {missing} days before the history ends: it counts as "
                "paused since, in today's budget too. If its export is older than the others', export all again to the "
                "same day."
            )
    return told


def _figures(frame: pd.DataFrame, day: date) -> pd.DataFrame:
    rows = frame[frame["date"] == day].sort_values(["campaign_id", "platform"])
    return rows[["campaign_id", "platform", *AMOUNTS, "conversions", "revenue"]].reset_index(drop=True)


def _part(table: pd.DataFrame, part: float) -> bool:
    """Whether the last row is less than `part` of each of those before it, and of those on its weekday."""
    days = pd.to_datetime(pd.Series(list(table.index)))
    near = np.zeros(len(table), bool)
    near[-BESIDE - 1 : -1] = True
    since = (days - days.iloc[-1]).abs().dt.days
    near |= np.asarray((since > 0) & (since <= 7 * WEEKS) & (since % 7 == 0))
    return bool((table.iloc[-1] < part * table[near].min()).all())
