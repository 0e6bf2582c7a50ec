"""A spend history after cleaning: its cycles, its held-out days, its report. Small tables, so pandas serves.

A row that is missing on a date on which other platforms have rows is a platform without delivery that day. A date
without any row is a cycle without delivery in the totals, and no cycle that anything is fitted on; more than a quarter
of such dates is an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pandas as pd

from crossmix.ingest.report import rates
from crossmix.schema import SPLITS, DataError, Meta
from crossmix.sources import Table
from crossmix.sources.rules import Rule
from crossmix.sources.tables import rounded

LEAST_CYCLES = 28
"""Four of each weekday, or half a year of weeks: less shows no response to spend."""
MOST_GAPS = 0.25
TOTALS = ("spend", "impressions", "clicks", "conversions", "revenue")


def outcome_rules(t: Table) -> list[Rule]:
    """Rules between the columns of a history's row."""
    return [
        Rule(t["clicks"] > t["impressions"], "clicks_above_impressions", ("impressions", "clicks"), "a click needs an "
             "impression; correct one of them"),
        Rule((t["impressions"] <= 0) & (t["spend"] > 0), "spend_without_impressions", ("spend", "impressions"), "money "
             "that bought nothing (a fee?); book it where it was delivered, or leave it out"),
        Rule((t["conversions"] <= 0) & (t["revenue"] > 0), "revenue_without_conversion", ("conversions", "revenue"),
             "revenue needs a conversion"),
    ]  # fmt: skip


def days_per_row(dates: Sequence[date]) -> int:
    """1 for a daily history, 7 for a weekly one, from the spacing of its dates.

    Raises:
        DataError: neither, or too short.
    """
    known = sorted(set(dates))
    steps = sorted((later - earlier).days for earlier, later in pairwise(known))
    usual = steps[len(steps) // 2] if steps else 1
    if usual not in (1, 7) or (usual == 7 and any(step % 7 for step in steps)):
        raise DataError(
            f"date: rows are {usual} days apart, from {known[0]} to {known[-1]}; pass a daily history, or a weekly one "
            "whose dates are whole weeks apart"
        )
    return usual


def check_length(cycles: int, days: int, dates: Sequence[date]) -> None:
    """Raise `DataError` for a history that is too short, or has too many dates without any row."""
    known = sorted(set(dates))
    unit = "day" if days == 1 else f"{days} days"
    if cycles < LEAST_CYCLES:
        raise DataError(
            f"date: the history has {cycles} cycle(s) of {unit}, from {known[0]} to {known[-1]}; at least "
            f"{LEAST_CYCLES} are needed to see how a platform answers to spend: pass a longer one"
        )
    gaps = cycles - len({(day - known[0]).days // days for day in known})
    if gaps > MOST_GAPS * cycles:
        raise DataError(
            f"date: {gaps} of {cycles} cycles from {known[0]} to {known[-1]} have no row; pass the whole history, or "
            "correct the dates"
        )


def check_market(table: pd.DataFrame, platforms: Sequence[str]) -> None:
    """Raise `DataError` where there is nothing to split, or nothing to learn it from."""
    if len(platforms) < 2:
        raise DataError(
            f"platform: the history has one platform ({platforms[0]!r}); a split needs two: pass the others' rows too"
        )
    training = table[table["split"] == "train"]
    for name in ("spend", "impressions", "clicks", "conversions", "revenue"):
        if not training[name].sum() > 0:
            raise DataError(f"{name}: 0 in all of the training period; pass a history that has some")


def daily_plans(amounts: pd.DataFrame, days: int) -> pd.DataFrame:
    """Planned budgets as `schema.PLANS` wants them, per day: a week's is spread evenly over its days."""
    parts = []
    for offset in range(days):
        shifted = [day + timedelta(days=offset) for day in amounts["date"]]
        parts.append(amounts.assign(date=shifted, planned_budget=amounts["planned_budget"] / days))
    both = pd.concat(parts, ignore_index=True)
    for name in ("min", "max"):
        if name not in both:
            both[name] = pd.Series(None, index=both.index, dtype=float)
    return both


def notes(cycles: int, hours: int, share: float, raw: pd.DataFrame, beyond: int, table: pd.DataFrame) -> list[str]:
    """What the report tells about this history."""
    sentences = [
        "Supply (requests, win rate, cost curve) and saturation are inferred from how the cost of impressions and the "
        "click rate answer to spend from day to day, with priors (config market.assumed_*, .saturation); standard "
        "errors say how well. That budgets did not react to the same day's market is assumed.",
        "Conversions and revenue count on the day they are booked; no delay is known.",
    ]
    if hours != 24:
        sentences.append(f"A cycle is {hours // 24} days, and no weekday pattern is fitted.")
    if share:
        sentences.append(
            f"{share:.0%} of the training period's cycles are held out of every fit: they judge the market."
        )
    empty = cycles - table["cycle"].nunique()
    if empty:
        sentences.append(
            f"{empty:,} of {cycles:,} cycles have no row at all: no delivery in the totals, and not fitted on."
        )
    if beyond:
        sentences.append(
            f"{beyond:,} of {len(raw):,} rows have more conversions than clicks; the conversions beyond the clicks are "
            "not counted, their revenue is."
        )
    return sentences


def held_out(training: int, share: float) -> set[int]:
    """Training cycles held out of every fit: the first in the order of a hash, the same for every run."""
    order = sorted(range(training), key=lambda cycle: hashlib.md5(f"holdout cycle {cycle}".encode()).hexdigest())
    return set(order[: round(share * training)])


def totals(
    frame: pd.DataFrame,
    group: dict[str, str],
    start: date,
    days: int,
    first_cycle: dict[str, int],
    cycles: int,
    holdout_days: float,
) -> tuple[pd.DataFrame, int]:
    """One row per campaign, grouped platform and cycle, with the columns of `schema.OUTCOMES` and `DERIVED`.

    Conversions beyond a row's clicks (seen but not clicked, or clicked on an earlier day) are not counted, as the
    market converts clicks; their revenue is. Returns the table and how many rows had some.
    """  # fmt: skip
    plain = pd.to_datetime(frame["date"])
    cycle = ((plain - pd.Timestamp(start)).dt.days // days).clip(upper=cycles - 1)
    beyond = frame["conversions"] > frame["clicks"]
    frame = frame.assign(
        platform=frame["platform"].map(group),
        cycle=cycle,
        conversions=frame["conversions"].where(~beyond, frame["clicks"]),
    )
    table = frame.groupby(["campaign_id", "platform", "cycle"], sort=True)[list(TOTALS)].sum().reset_index()
    table["date"] = [start + timedelta(days=days * int(number)) for number in table["cycle"]]
    splits = sorted(first_cycle, key=first_cycle.__getitem__)
    table["split"] = [next(s for s in reversed(splits) if number >= first_cycle[s]) for number in table["cycle"]]
    table["holdout"] = table["cycle"].isin(held_out(first_cycle["validation"], holdout_days))
    return table.sort_values(["cycle", "campaign_id", "platform"], ignore_index=True), int(beyond.sum())


def report(table: pd.DataFrame, meta: Meta) -> dict[str, Any]:
    """The data report of `crossmix.ingest.report` for totals; nobody's users are known."""
    platforms = table.groupby("platform")[list(TOTALS)].sum()
    by_day = []
    for cycle, rows in table.groupby("cycle", sort=True):
        spent = rows.groupby("platform")["spend"].sum()
        moment = datetime.fromisoformat(meta.start) + timedelta(hours=meta.cycle_hours * int(cycle))
        spend = {name: rounded(float(spent.get(name, 0.0))) for name in meta.platforms}
        by_day.append({"date": f"{moment:%Y-%m-%d}", "spend": spend})
    splits = {}
    for name in SPLITS:
        part = table[table["split"] == name]
        if len(part):
            splits[name] = {
                "impressions": _whole(part["impressions"].sum()),
                "conversions": _whole(part["conversions"].sum()),
                "holdout_impressions": _whole(part.loc[part["holdout"], "impressions"].sum()),
                "users": None,
                "from": part["date"].min().isoformat(),
                "to": part["date"].max().isoformat(),
            }
    return {
        "rows": meta.rows,
        "rates": rates(_row(table[list(TOTALS)].sum())),
        "by_platform": [{"platform": name} | rates(_row(platforms.loc[name])) for name in meta.platforms],
        "by_day": by_day,
        "splits": splits,
        "provenance": meta.provenance,
        "notes": list(meta.notes),
    }


def _row(sums: pd.Series) -> dict[str, Any]:
    return {name: _whole(sums[name]) for name in TOTALS}


def _whole(value: float) -> float | int:
    """A count without a fraction as an integer."""
    number = rounded(float(value))
    return int(number) if number.is_integer() else number
