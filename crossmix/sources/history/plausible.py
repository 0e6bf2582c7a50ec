"""What cannot be meant: each a refusal with its remedy, which `data.accept` lifts by its kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import pandas as pd

from crossmix.schema import DataError
from crossmix.sources.history import units
from crossmix.sources.history.columns import NUMBERS, PLANNED
from crossmix.sources.history.numbers import values
from crossmix.sources.history.sheet import is_total

SUM_TOLERANCE = 0.005
"""A platform that is the sum of the others to so much, on nearly every day, is their total."""
NEARLY_ALL = 0.95
FAR = units.FAR
"""Prices of a thousand impressions that differ by more from the other platforms' are of another unit."""
FRACTIONS = 0.5
RUNNING, RISING = 20, 0.8
"""So many steps without a fall, and this share of them a rise, are no days of their own."""


def check(
    columns: Mapping[str, Sequence[str]], accept: Sequence[str]
) -> tuple[dict[str, list[str]], pd.DataFrame, list[str]]:
    """Raise `DataError` for the first thing that cannot be meant and is not accepted.

    Args:
        columns: text, with plain numbers and dates.
        accept: `data.accept`, kinds of `KINDS`.

    Returns:
        The columns without rows of a total; those of its rows that have a day and a platform as values (`day` beside
        the columns, numbers or NaN), and sentences for the user.
    """
    for kind in accept:
        if kind not in {*KINDS, *OF_INGEST}:
            known = ", ".join([*KINDS, *OF_INGEST])
            raise DataError(f"data.accept: {kind!r} is no kind of doubt; use one of {known}")
    texts = [name for name in columns if name not in (*NUMBERS, PLANNED)]
    frame = pd.DataFrame({name: columns[name] for name in texts}, dtype=object)
    for name in NUMBERS:
        frame[name] = values(columns[name])
    frame["day"] = pd.to_datetime(frame["date"], format="%Y-%m-%d", errors="coerce")
    frame = frame[frame["day"].notna() & frame["platform"].map(str.strip).ne("").astype(bool)]
    notes: list[str] = []
    total = _total(frame) if len(frame) else None
    if total is not None and is_total(total) and "total" not in accept:
        notes.append(f"The platform {total!r} is the sum of the others, day by day; its rows are left out.")
        kept = [name != total for name in columns["platform"]]
        columns = {name: [v for v, keep in zip(values, kept, strict=True) if keep] for name, values in columns.items()}
        frame = frame[frame["platform"] != total]
    unpaid = _unpaid(frame, columns)
    if unpaid:
        sums = frame[frame["platform"].isin(unpaid)][["conversions", "revenue"]].sum()
        notes.append(
            f"Nothing was ever spent on {', '.join(map(repr, unpaid))}; a split is of money, and the rows are left out "
            f"(conversions {sums['conversions']:,.0f}, revenue {sums['revenue']:,.2f})."
        )
        kept = [name not in unpaid for name in columns["platform"]]
        columns = {name: [v for v, keep in zip(values, kept, strict=True) if keep] for name, values in columns.items()}
        frame = frame[~frame["platform"].isin(unpaid)]
    if len(frame):
        for kind, find in KINDS.items():
            problem = find(frame)
            if problem is not None and kind in accept:
                notes.append(f"Accepted ({kind}): {problem.split(';')[0]}.")
            elif problem is not None:
                raise DataError(f"{problem}; if it is right as it is, say --accept {kind} (data.accept)")
    return {name: list(values) for name, values in columns.items()}, frame, notes


def _unpaid(frame: pd.DataFrame, columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Platforms with results and neither money nor delivery nor a plan, as organic search in an export of GA4."""
    sums = frame.groupby("platform")[list(NUMBERS)].sum()
    planned = {
        name for name, plan in zip(columns["platform"], columns.get(PLANNED, ()), strict=False) if plan not in {"", "0"}
    }
    none = (sums["spend"] == 0) & (sums["impressions"] == 0) & ((sums["conversions"] > 0) | (sums["revenue"] > 0))
    return [] if none.all() else [str(name) for name in sums.index[none] if name not in planned]


def _by_day(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    return frame.pivot_table(index="day", columns="platform", values=name, aggfunc="sum", fill_value=0.0)


def _total(frame: pd.DataFrame) -> str | None:
    """A platform whose spend and impressions are the sum of the others' on nearly every day."""
    spend, shown = _by_day(frame, "spend"), _by_day(frame, "impressions")
    if len(spend.columns) < 3 and not any(is_total(str(name)) for name in spend.columns):
        return None
    equal: dict[str, float] = {}
    for name in spend.columns:
        same = np.ones(len(spend), bool)
        for table in (spend, shown):
            if name not in table or not table.to_numpy().any():
                continue
            rest = table.drop(columns=name).sum(axis=1)
            same &= np.isclose(table[name], rest, rtol=SUM_TOLERANCE, atol=0.011)
        busy = spend[name] > 0
        equal[name] = float(same[busy].mean()) if busy.sum() > len(spend) / 2 else 0.0
    best = max(equal, key=lambda name: (equal[name], is_total(name), spend[name].sum()))
    return str(best) if equal[best] >= NEARLY_ALL else None


def _is_total(frame: pd.DataFrame) -> str | None:
    name = _total(frame)
    if name is None:
        return None
    others = sorted(set(frame["platform"]) - {name})
    return (
        f"platform: {name!r} spends day by day what the others ({', '.join(others)}) spend together; its money would "
        "count twice: leave its rows out"
    )


def _periods(frame: pd.DataFrame) -> str | None:
    """Some platforms by day and others by week."""
    steps = {}
    for name, days in frame.groupby("platform")["day"]:
        known = sorted(set(days.dt.date))
        gaps = [(later - earlier).days for earlier, later in pairwise(known)]
        if len(gaps) >= 4:
            whole = sum(gap % 7 == 0 for gap in gaps) / len(gaps)
            steps[str(name)] = 7 if whole > 0.9 else 1 if sorted(gaps)[len(gaps) // 2] == 1 else 0
    weekly = sorted(name for name, step in steps.items() if step == 7)
    daily = sorted(name for name, step in steps.items() if step == 1)
    if not (weekly and daily):
        return None
    return (
        f"date: {', '.join(weekly)} has a row a week and {', '.join(daily)} a row a day; a day's row and a week's "
        "cannot be compared: export all of them by day (or add the daily ones up to weeks)"
    )


def _cumulative(frame: pd.DataFrame) -> str | None:
    """A platform whose money, impressions and clicks never fall and nearly always rise: totals up to each day."""
    tables = [_by_day(frame, name) for name in ("spend", "impressions", "clicks") if frame[name].notna().any()]
    for name in tables[0].columns:
        steps = [np.diff(table[name].to_numpy()) for table in tables if name in table]
        if (
            len(tables) == len(steps) == 3
            and len(steps[0]) >= RUNNING
            and all((step >= 0).all() and (step > 0).mean() >= RISING for step in steps)
        ):
            return (
                f"spend: {name!r} spends more, shows more and is clicked more from each of {len(steps[0]) + 1} days to "
                "the next; these may be totals up to each day: export what each day had by itself"
            )
    return None


def _weekdays(frame: pd.DataFrame) -> str | None:
    """Weeks of platforms or campaigns that begin on different weekdays."""
    keys = [name for name in ("platform", "campaign") if name in frame]
    starts: dict[int, str] = {}
    for key, days in frame.groupby(keys)["day"]:
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
        f"date: the weeks of {first!r} begin on {_WEEKDAYS[one]} and those of {second!r} on {_WEEKDAYS[two]}; export "
        "all by day, or by weeks that begin on the same day"
    )


_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _weekends(frame: pd.DataFrame) -> str | None:
    """A daily history in which no Saturday or Sunday has a row."""
    known = sorted(set(frame["day"].dt.date))
    absent = missing_days(known)
    present = Counter(day.weekday() for day in known)
    weekend = [day for day in absent if day.weekday() >= 5]
    if len(weekend) < 4 or present[5] + present[6] or len(present) < 4:
        return None
    return (
        f"date: no Saturday and no Sunday has a row ({len(weekend)} of them from {known[0]} to {known[-1]}); if "
        "nothing was spent on them, say --idle-days (data.idle_days=true) or add rows of 0; else export all days"
    )


def missing_days(known: Sequence[date]) -> list[date]:
    """Days between the first and the last that are not there."""
    if not known:
        return []
    have = set(known)
    span = (known[-1] - known[0]).days
    return [day for at in range(span) if (day := known[0] + timedelta(days=at)) not in have]


def _price(frame: pd.DataFrame) -> str | None:
    """A platform, or some of its rows, whose price of a thousand impressions is far from all others'."""
    sound = frame[(frame["spend"] > 0) & (frame["impressions"] > 0)]
    cpm = 1000 * sound["spend"] / sound["impressions"]
    usual = cpm.groupby(sound["platform"]).median()
    for name in usual.index:
        rest = usual.drop(name)
        if len(rest):
            factor = usual[name] / rest.median()
            if factor > FAR or factor < 1 / FAR:
                return _far(str(name), usual[name], f"the others pay {rest.median():,.2f}", factor)
    ratio = cpm / sound["platform"].map(usual)
    odd = ratio[(ratio > FAR) | (ratio < 1 / FAR)]
    if len(odd) >= max(3, 0.002 * len(sound)):
        row = sound.loc[odd.index[0]]
        where = f"{row['platform']} on {row['date']}"
        return _far(where, cpm[odd.index[0]], f"it usually pays {usual[row['platform']]:,.2f}", float(odd.iloc[0]))
    return None


def _far(where: str, cpm: float, beside: str, factor: float) -> str:
    size = factor if factor > 1 else 1 / factor
    unit = "micros (divide by 1,000,000)" if size > 2e4 else "another unit (cents, thousands, a misread separator)"
    low = factor < 1
    return (
        f"spend: {where} pays {cpm:,.4g} for a thousand impressions, and {beside}: a factor of {size:,.0f}; "
        f"{'impressions or the others spend' if low else 'it'} may be in {unit}: bring spend to one unit"
    )


def _revenue(frame: pd.DataFrame) -> str | None:
    """All revenue booked on one platform, though others spend and convert."""
    sums = frame.groupby("platform")[["spend", "conversions", "revenue"]].sum()
    whole = sums["revenue"].sum()
    earning = sums.index[sums["revenue"] > 0]
    if whole <= 0 or len(earning) != 1:
        return None
    rest = sums.drop(earning[0])
    if rest["spend"].sum() <= 0.05 * sums["spend"].sum() or not (rest["conversions"] > 0).any():
        return None
    return (
        f"revenue: all of it ({whole:,.0f}) is booked on {earning[0]!r}, and {', '.join(map(str, rest.index))} have "
        "conversions without any; book each platform's own revenue, or give a value per conversion for all "
        "(data.value_per_conversion, without the column of revenue)"
    )


def _conversions(frame: pd.DataFrame) -> str | None:
    """More conversions than clicks in most rows of a platform."""
    for name, rows in frame.groupby("platform"):
        busy = rows[(rows["clicks"] > 0) | (rows["conversions"] > 0)]
        more = busy["conversions"] > busy["clicks"]
        if len(busy) >= 10 and more.mean() > 0.5:
            row = busy[more].iloc[0]
            return (
                f"conversions: {name!r} has more conversions than clicks in {int(more.sum())} of {len(busy)} rows "
                f"({row['date']}: {row['conversions']:g} of {row['clicks']:g} clicks); the columns may be exchanged, "
                "or conversions counted that followed no click: name the right columns (--map), or count conversions "
                "after clicks"
            )
    return None


def _fractions(frame: pd.DataFrame) -> str | None:
    """Impressions or clicks with fractions and below 1,000: thousands points that a program took for decimals."""
    for name in ("impressions", "clicks"):
        values = frame[name][frame[name] > 0]
        broken = values[values % 1 != 0]
        thousandths = np.isclose(broken * 1000, (broken * 1000).round(), atol=1e-6)
        if len(values) >= 10 and len(broken) > FRACTIONS * len(values) and broken.max() < 1000 and thousandths.all():
            return (
                f"{name}: {broken.iloc[0]:g} is no whole number, nor are {len(broken)} of {len(values)}; a program "
                "may have read thousands separators as decimals: export again without thousands separators"
            )
    return None


KINDS: Mapping[str, Callable[[pd.DataFrame], str | None]] = MappingProxyType(
    {
        "total": _is_total,
        "periods": _periods,
        "weekdays": _weekdays,
        "cumulative": _cumulative,
        "weekends": _weekends,
        "fractions": _fractions,
        "price": _price,
        "revenue": _revenue,
        "conversions": _conversions,
        "unit": units.lasting,
        "one-row": units.few_rows,
        "value": units.set_values,
    }
)
"""Kinds of doubt, as `data.accept` names them."""
OF_INGEST = ("tracking", "other")
"""Kinds that are found when rows are cleaned (`ingest.untracked`, `ingest.clean.platform_groups`)."""
