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

import numpy as np
import pandas as pd

from crossmix.config import Data
from crossmix.ingest import bookings
from crossmix.ingest.bookings import Apart, Corrections
from crossmix.ingest.clean import OTHER
from crossmix.ingest.report import rates
from crossmix.schema import SPLITS, DataError, Ended, Grouped, Held, Meta, Stopped
from crossmix.sources.tables import rounded

LEAST_CYCLES, LEAST_WEEKS = 28, 14
"""Days: four of each weekday; weeks (and longer cycles), which have none. Less shows no response to spend. Of fewer
than 28 cycles of any length nothing is proved (`crossmix.artifacts.decided.too_short`)."""
WEEK = 7
MOST_GAPS = 0.25
MOST_OTHER = 0.1
"""Part of today's money that may be on platforms that are split as one because there is no room for each."""
TOTALS = bookings.AMOUNTS


def days_per_row(dates: Sequence[date]) -> int:
    """1 for a daily history, 7 for a weekly one, from the spacing of its dates.

    Raises:
        DataError: neither, or too short.
    """
    known = sorted(pd.unique(np.asarray(dates, dtype=object)))
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
    least = LEAST_CYCLES if days < WEEK else LEAST_WEEKS
    if cycles < least:
        more = least - cycles
        by_day = "" if days == 1 else "; or export by day, of which 28 days are enough"
        raise DataError(
            f"date: the history has {cycles} cycle(s) of {unit}, from {known[0]} to {known[-1]}; at least {least} are "
            f"needed to see how a platform answers to spend, {more} more than these: pass a longer one{by_day}"
        )
    gaps = cycles - len({(day - known[0]).days // days for day in known})
    if gaps > MOST_GAPS * cycles:
        raise DataError(
            f"date: {gaps} of {cycles} cycles from {known[0]} to {known[-1]} have no row; pass the whole history, or "
            "correct the dates"
        )


def check_market(table: pd.DataFrame, platforms: Sequence[str], held: Sequence[Apart] = ()) -> None:
    """Raise `DataError` where there is nothing to split, or nothing to learn it from."""
    if len(platforms) < 2:
        silent = bookings.names(held)
        beside = f" beside {', '.join(map(repr, silent))}, whose delivery or results are not told" if silent else ""
        raise DataError(
            f"platform: the history has one platform ({platforms[0]!r}){beside}; a split needs two: pass the others' "
            "rows too"
        )
    training = table[table["split"] == "train"]
    for name in ("spend", "impressions", "clicks", "conversions", "revenue"):
        if not training[name].sum() > 0:
            raise DataError(f"{name}: 0 in all of the training period; pass a history that has some")


def daily_plans(amounts: pd.DataFrame, days: int) -> pd.DataFrame:
    """Planned budgets as `schema.PLANS` wants them, per day: a week's is spread evenly over its days."""
    parts = []
    for offset in range(days):
        shifted = [day + timedelta(days=offset) for day in amounts["date"]] if offset else amounts["date"]
        parts.append(amounts.assign(date=shifted, planned_budget=amounts["planned_budget"] / days))
    both = pd.concat(parts, ignore_index=True)
    for name in ("min", "max"):
        if name not in both:
            both[name] = pd.Series(None, index=both.index, dtype=float)
    return both


def notes(cycles: int, hours: int, share: float, table: pd.DataFrame) -> list[str]:
    """What the report tells about every history."""
    sentences = [
        "Supply (requests, win rate, cost curve) and saturation are inferred from how the cost of impressions and the "
        "click rate answer to spend from day to day, with priors (config market.assumed_*, .saturation); standard "
        "errors say how well. That budgets did not react to the same day's market is assumed.",
        "Conversions and revenue count on the day they are booked; how late they come is inferred from totals.",
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
    return sentences


def told(found: Corrections, raw: pd.DataFrame, blank: dict[str, int]) -> list[str]:
    """Sentences about what was filled in and corrected.

    Args:
        raw: the rows that tell a delivery, before corrections.
        blank: `rows` without any number, `results` blank beside a delivery, `plans` blank.
    """
    sentences = []
    if blank.get("rows"):
        sentences.append(f"{blank['rows']:,} rows have no number at all: they count as absent.")
    if blank.get("results"):
        sentences.append(f"{blank['results']:,} rows have blank conversions or revenue beside a delivery: taken as 0.")
    if blank.get("plans"):
        sentences.append(
            f"{blank['plans']:,} rows have no plan: it is unknown, and taken as their spend times what a plan of that "
            "platform usually is of its spend."
        )
    for name, (count, amount) in found.below.items():
        whole = raw.loc[raw[name] > 0, name].sum()
        part = f", {-amount / whole:.1%} of the {name}" if whole > 0 else ""
        sentences.append(
            f"{count:,} rows have {name} below 0 ({amount:,.6g}{part}): corrections, taken off their day, and what "
            "exceeds it off the days before."
        )
    if found.unearned[0]:
        count, amount = found.unearned
        part = amount / max(raw.loc[raw["revenue"] > 0, "revenue"].sum(), 1e-300)
        sentences.append(
            f"{count:,} rows have revenue without a conversion ({amount:,.6g}, {part:.1%} of the revenue): it is kept."
        )
    if found.beyond:
        sentences.append(
            f"{found.beyond:,} of {len(raw):,} rows have more conversions than clicks; those beyond count on the "
            "nearest cycle that has clicks to spare, as the market converts clicks."
        )
    for name, amount in found.left.items():
        what = (
            f"{amount:,.6g} {name} beyond all clicks are not counted, their revenue is"
            if amount > 0
            else (f"corrections of {-amount:,.6g} of {name} exceed all that there is to correct, and are left out")
        )
        sentences.append(f"{what}.")
    return sentences


def held(parts: Sequence[Apart], money: float, since: date, cycles: int) -> tuple[Held, ...]:
    """What is held, with what it spends today.

    Args:
        money: all of the history's spend, currency.
        since: the first day of the last window.
        cycles: of the last window.
    """
    return tuple(
        Held(
            platform=one.platform,
            missing=one.missing,  # type: ignore[arg-type]
            spend=rounded(one.rows["spend"].sum()),
            share=rounded(one.rows["spend"].sum() / max(money, 1e-300)),
            today=rounded(one.rows.loc[one.rows["date"] >= since, "spend"].sum() / max(cycles, 1)),
            conversions=rounded(one.rows["conversions"].sum()),
            revenue=rounded(one.rows["revenue"].sum()),
        )
        for one in parts
    )


def together(frame: pd.DataFrame, group: dict[str, str], since: date) -> tuple[Grouped, ...]:
    """Groups of two platforms or more, and what is spent on them.

    Args:
        group: raw platform to its group.
        since: the first day of the last window.
    """
    whole = frame.groupby("platform", observed=True)["spend"].sum()
    recent = (
        frame[frame["date"] >= since]
        .groupby("platform", observed=True)["spend"]
        .sum()
        .reindex(whole.index, fill_value=0.0)
    )
    names = [name for name in dict.fromkeys(group.values()) if list(group.values()).count(name) > 1]
    found = []
    for name in names:
        members = sorted((raw for raw, to in group.items() if to == name), key=lambda raw: (-recent[raw], -whole[raw]))
        shares = (float(sums[members].sum() / max(sums.sum(), 1e-300)) for sums in (recent, whole))
        today, share = map(rounded, shares)
        found.append(Grouped(group=name, platforms=tuple(members), today=today, share=share))
    return tuple(found)


def check_other(groups: Sequence[Grouped], platforms: int, data: Data) -> None:
    """Raise `DataError` where platforms that nobody grouped hold too much of today's money to be split as one.

    Args:
        platforms: of the history.
    """
    for one in groups:
        if one.group == OTHER and one.today > MOST_OTHER and OTHER not in data.accept:
            raise DataError(
                f"data.keep_platforms: the history has {platforms} platforms and a split has room for "
                f"{data.keep_platforms}; {', '.join(one.platforms)} would be split as one, {OTHER!r}, with "
                f"{one.today:.0%} of today's money: name platforms that are to be split as one (--set "
                f'\'data.platform_groups={{"{one.platforms[-1]}": "display", ...}}\'), or take them as they are: '
                f"--accept {OTHER} (data.accept)"
            )


def stopped(table: pd.DataFrame, platforms: Sequence[str], cycles: int, window: int) -> tuple[Stopped, ...]:
    """Platforms without spend in the last `window` cycles, but with some before."""
    spent = table[table["spend"] > 0]
    last = spent.groupby("platform", observed=True)["cycle"].max()
    dates = spent.groupby("cycle")["date"].first()
    return tuple(
        Stopped(platform=name, last=dates[last[name]].isoformat(), cycles=cycles - 1 - int(last[name]))
        for name in platforms
        if name in last.index and last[name] < cycles - window
    )


def ended(table: pd.DataFrame, cycles: int, window: int) -> tuple[Ended, ...]:
    """Campaigns without spend in the last `window` cycles, but with some before; none where that is all of them."""
    spent = table[table["spend"] > 0]
    last = spent.groupby("campaign_id", observed=True)["cycle"].max()
    dates = spent.groupby("cycle")["date"].first()
    over = last[last < cycles - window]
    if len(over) == len(last):
        return ()
    return tuple(
        Ended(campaign=str(name), last=dates[cycle].isoformat(), cycles=cycles - 1 - int(cycle))
        for name, cycle in over.items()
    )


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
    holdout_days: float,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """One row per campaign, grouped platform and cycle, with the columns of `schema.OUTCOMES` and `DERIVED`.

    Corrections are settled (`bookings.settled`). Returns the table and what found no place in it.
    """
    cycle = frame["date"].map({day: (day - start).days // days for day in frame["date"].unique()})
    frame = frame.assign(platform=pd.Categorical(frame["platform"].astype(object).map(group)), cycle=cycle)
    table = (
        frame.groupby(["campaign_id", "platform", "cycle"], sort=True, observed=True)[list(TOTALS)].sum().reset_index()
    )
    table, left = bookings.settled(table)
    splits = sorted(first_cycle, key=first_cycle.__getitem__)
    known = table["cycle"].unique().tolist()
    dates = {number: start + timedelta(days=days * number) for number in known}
    split = {number: next(s for s in reversed(splits) if number >= first_cycle[s]) for number in known}
    table["date"] = [dates[number] for number in table["cycle"].tolist()]
    table["split"] = [split[number] for number in table["cycle"].tolist()]
    table["holdout"] = table["cycle"].isin(held_out(first_cycle["validation"], holdout_days))
    return table.sort_values(["cycle", "campaign_id", "platform"], ignore_index=True), left


def report(table: pd.DataFrame, meta: Meta) -> dict[str, Any]:
    """The data report of `crossmix.ingest.report` for totals; nobody's users are known."""
    platforms = table.groupby("platform", observed=True)[list(TOTALS)].sum()
    spent = table.groupby(["cycle", "platform"], observed=True)["spend"].sum().unstack(fill_value=0.0)
    spent = spent.reindex(columns=list(meta.platforms), fill_value=0.0)
    by_day = []
    for cycle, row in zip(spent.index, spent.to_numpy().tolist(), strict=True):
        moment = datetime.fromisoformat(meta.start) + timedelta(hours=meta.cycle_hours * int(cycle))
        spend = dict(zip(meta.platforms, map(rounded, row), strict=True))
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
