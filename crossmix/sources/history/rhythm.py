"""The rhythm of a history's rows: days, weeks and months that do not go together, weekdays that never have a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from crossmix.sources.history.columns import NUMBERS
from crossmix.sources.history.dates import of_iso

Codes = npt.NDArray[np.int64]
FAR_DAYS, FEW_ROWS, FEW, FEW_DAYS = 180, 3, 0.01, 3
"""Days without any row, beyond which so many rows, or this part of all, on so many days, are of a mistyped date."""
DAY, WEEK, MONTH = 1, 7, 30
PERIOD = {WEEK: "week", MONTH: "month"}
LEAST_GAPS = 4
"""So many gaps tell a rhythm."""
REGULAR = 0.9
"""Share of the gaps that are of one kind."""
WEEKS, DAYS = 4, 10
"""So many weeks in sequence, beside so many days, that are rows of one campaign."""
LIKE_WEEKS = (3.5, 14.0)
"""A week's row spends so many times as much as a day's."""
EDGES = (5, 6, 0)
"""Weekdays on which weeks begin or end, if not on that of the history's first day: what has its row on another, as a
newsletter that goes out on Tuesdays, spends on that day."""
MATTERS = 0.02
"""Part of all money that a doubt must be about."""
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def gap(columns: Mapping[str, Sequence[str]]) -> str | None:
    """A few rows that lie `FAR_DAYS` or more before, or after, all others: a year or a month that was mistyped.

    Args:
        columns: a history's, with plain numbers and dates.
    """
    count = Counter(columns["date"])
    known = sorted((day, count[text]) for text in count if (day := of_iso(text)) is not None)
    if len(known) < 2:
        return None
    gaps = [(later[0] - earlier[0]).days for earlier, later in pairwise(known)]
    at = max(range(len(gaps)), key=gaps.__getitem__)
    sides = (known[: at + 1], known[at + 1 :])
    few, rest = sorted(sides, key=lambda side: sum(rows for _, rows in side))
    number, others = (sum(rows for _, rows in side) for side in (few, rest))
    if gaps[at] < FAR_DAYS or number > max(FEW_ROWS, FEW * others) or len(few) > FEW_DAYS or len(rest) <= len(few):
        return None
    first = next(row for row, text in enumerate(columns["date"]) if text == few[0][0].isoformat())
    return (
        f"date: {number:,} row(s) of {', '.join(day.isoformat() for day, _ in few)} ({columns['platform'][first]}: "
        f"spend {columns['spend'][first]}) lie {gaps[at]:,} days {'after' if few is sides[1] else 'before'} all others "
        f"({rest[0][0]} to {rest[-1][0]}); correct the dates, or leave the rows out"
    )


def periods(frame: pd.DataFrame) -> str | None:
    """Some platforms, campaigns or times by day and others by week or month."""
    edges = {*EDGES, frame["day"].min().weekday()}
    steps = _steps(frame["platform"], frame["day"], edges)
    delivered = frame[frame["impressions"] > 0].groupby("platform", observed=True).size()
    # A monthly bill of what tells no delivery is held at its plan, whenever it is paid.
    longer = {name: step for name, step in steps.items() if step == WEEK or (step == MONTH and name in delivered.index)}
    daily = sorted(name for name, step in steps.items() if step == DAY)
    if longer and daily:
        period = PERIOD[min(longer.values())]
        names = sorted(name for name, step in longer.items() if PERIOD[step] == period)
        return _mixed(", ".join(names), ", ".join(daily), period)
    if "campaign" in frame and daily:
        whole = frame["spend"].sum()
        for platform, own in frame[frame["platform"].isin(daily)].groupby("platform", observed=True):
            rows = own["campaign"].value_counts()
            found = _steps(own["campaign"], own["day"], edges)
            found = {name: step for name, step in found.items() if rows[name] > LEAST_GAPS + 2}
            weekly = sorted(name for name, step in found.items() if step == WEEK)
            others = sorted(name for name, step in found.items() if step == DAY)
            if weekly and others and own.loc[own["campaign"].isin(weekly), "spend"].sum() > MATTERS * whole:
                return _mixed(f"{platform} / {', '.join(weekly[:8])}", f"{platform} / {', '.join(others[:8])}", "week")
    return _changed(frame)


def _mixed(longer: str, daily: str, period: str) -> str:
    other = " (or add the daily ones up to weeks)" if period == PERIOD[WEEK] else ""
    return (
        f"date: {longer} has a row a {period} and {daily} a row a day; a day's row and a {period}'s cannot be "
        f"compared: export all of them by day{other}"
    )


def _steps(names: pd.Series, day: pd.Series, edges: Collection[int]) -> dict[str, int]:
    """Of each name the days from row to row: DAY, WEEK (or some), MONTH; 0: something else, or too few to tell.

    Args:
        names: of each row.
        edges: weekdays on which a week's row may be.
    """
    code, known = pd.factorize(names, sort=True)
    own, gap = _gaps(code, day)

    def count(of: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        return np.bincount(own[of], minlength=len(known))

    whole = np.bincount(own, minlength=len(known))
    step = np.where(count(gap == DAY) > whole // 2, DAY, 0)  # their median
    step[count((gap >= 28) & (gap <= 31)) > REGULAR * whole] = MONTH
    weekday = np.bincount(code * 7 + day.dt.weekday.to_numpy(), minlength=7 * len(known)).reshape(-1, 7).argmax(axis=1)
    weekly = count(gap % WEEK == 0) > REGULAR * whole
    step[weekly] = np.where(np.isin(weekday[weekly], list(edges)), WEEK, 0)
    step[whole < LEAST_GAPS] = 0
    return dict(zip(map(str, known), step.tolist(), strict=True))


def _gaps(code: Codes, day: pd.Series) -> tuple[Codes, Codes]:
    """Days from each day to the next of every series: the series, and how many."""
    at = day.to_numpy("datetime64[D]").astype(int)
    span = int(np.ptp(at)) + 1
    there = np.unique(code * span + at - int(at.min()))
    own, gap = there[1:] // span, np.diff(there)
    same = own == there[:-1] // span
    return own[same], gap[same]


def _alternates(frame: pd.DataFrame, keys: list[str]) -> bool:
    """Whether some series has gaps of days and of weeks, so many as change a rhythm."""
    code = frame.groupby(keys, observed=True).ngroup().to_numpy()
    own, gap = _gaps(code, frame["day"])
    weeks, days = (np.bincount(own[gap == size], minlength=len(code)) for size in (WEEK, DAY))
    return bool(((weeks >= WEEKS) & (days >= DAYS)).any())


def _changed(frame: pd.DataFrame) -> str | None:
    """A platform's or campaign's rows that are days for a time and weeks for another."""
    keys = [name for name in ("platform", "campaign") if name in frame]
    if not _alternates(frame, keys):
        return None
    sums = frame.groupby([*keys, "day"], sort=True, observed=True)["spend"].sum().reset_index()
    days, spends = sums["day"].to_numpy("datetime64[D]"), sums["spend"].to_numpy()
    code = sums.groupby(keys, observed=True).ngroup().to_numpy()
    own, steps = code[1:], np.diff(days).astype(int)
    of_weeks, of_days = (
        np.bincount(own[(own == code[:-1]) & (steps == size)], minlength=len(sums)) for size in (WEEK, DAY)
    )
    both = np.isin(code, np.flatnonzero((of_weeks >= WEEKS) & (of_days >= DAYS)))
    groups = {key: rows.index for key, rows in sums[both].groupby(keys if len(keys) > 1 else keys[0], observed=True)}
    for key, at in sorted(groups.items(), key=lambda group: str(group[0])):
        day, spend = days[at], spends[at]
        gaps = np.diff(day).astype(int)
        edges = np.flatnonzero(np.diff(gaps)) + 1
        runs = [run for run in np.split(np.arange(len(gaps)), edges) if gaps[run[0]] == WEEK]
        weeks = np.concatenate([run for run in runs if len(run) >= WEEKS] or [np.array([], int)])
        usual = np.median(spend[:-1][gaps == DAY])
        if len(weeks) and usual > 0 and LIKE_WEEKS[0] <= np.median(spend[weeks]) / usual <= LIKE_WEEKS[1]:
            name = " / ".join(map(str, key)) if isinstance(key, tuple) else str(key)
            first, last = (day[place].item() for place in (weeks[0], weeks[-1]))
            return (
                f"date: {name} has a row a week from {first} to {last}, which spends "
                f"{np.median(spend[weeks]) / usual:.1f} times as much as a row does on its other days; a day's row and "
                "a week's cannot be compared: export all of it by day"
            )
    return None


def weekdays(frame: pd.DataFrame) -> str | None:
    """Weeks of platforms or campaigns that begin on different weekdays."""
    keys = [name for name in ("platform", "campaign") if name in frame]
    starts: dict[int, str] = {}
    for key, days in frame.groupby(keys, observed=True)["day"]:
        known = sorted(set(days.dt.date))
        gaps = [(later - earlier).days for earlier, later in pairwise(known)]
        if len(gaps) < 4 or sum(gap % 7 == 0 for gap in gaps) / len(gaps) <= 0.9:
            return None
        usual = Counter(day.weekday() for day in known).most_common(1)[0][0]
        starts.setdefault(usual, " ".join(key) if isinstance(key, tuple) else str(key))
    if len(starts) < 2:
        return None
    (one, first), (two, second) = list(starts.items())[:2]
    return (
        f"date: the weeks of {first!r} begin on {WEEKDAYS[one]} and those of {second!r} on {WEEKDAYS[two]}; export "
        "all by day, or by weeks that begin on the same day"
    )


def weekends(frame: pd.DataFrame) -> str | None:
    """A daily history in which a weekday never has a row, as Saturday and Sunday."""
    known = days_of(frame.loc[frame[[name for name in NUMBERS if name in frame]].notna().any(axis=1), "day"])
    gaps = sorted((later - earlier).days for earlier, later in pairwise(known))
    if gaps and gaps[len(gaps) // 2] > 4:
        return None  # weeks or months
    missed = Counter(day.weekday() for day in missing_days(known))
    present = Counter(day.weekday() for day in known)
    never = [day for day in range(7) if not present[day] and missed[day] >= 2]
    count = sum(missed[day] for day in never)
    if not never or count < 4 or len(present) < 4:
        return None
    return (
        f"date: {' and '.join(f'no {WEEKDAYS[day]}' for day in never)} has a row ({count} of them from {known[0]} to "
        f"{known[-1]}); if nothing was spent on them, say --idle-days (data.idle_days=true) or add rows of 0; else "
        "export all days"
    )


def days_of(day: pd.Series) -> list[date]:
    """The days of some rows, each once, in order."""
    found: list[date] = np.sort(day.unique()).astype("datetime64[D]").tolist()
    return found


def missing_days(known: Sequence[date]) -> list[date]:
    """Days between the first and the last that are not there."""
    if not known:
        return []
    have = set(known)
    span = (known[-1] - known[0]).days
    return [day for at in range(span) if (day := known[0] + timedelta(days=at)) not in have]
