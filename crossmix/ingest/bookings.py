"""A spend history as it is booked, and as it is delivered: blanks, money without delivery, corrections.

| a row or cell | what becomes of it |
|---|---|
| all five numbers blank | no row: as a day without one |
| conversions or revenue blank | 0 where the platform tells them on other rows, else not told (below) |
| impressions or clicks blank | 0 where the platform tells them on its other rows, else not told (below) |
| no impressions, on most of a platform's money, or no click at all | held: nothing is fitted on it |
| conversions or revenue blank in all of a platform's rows, while others tell them | held: unknown is not 0 |
| spend without impressions on a platform that delivers | held as fees |
| refund, credit, retracted conversion (below 0) | summed into its cell; what exceeds that, into the nearest before |
| conversions beyond the clicks of their cell | on the nearest cell, earlier first, that has clicks to spare |
| revenue without a conversion | kept |

A cell is a campaign, platform and cycle. Small tables, so pandas serves.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from crossmix.schema import DataError
from crossmix.sources import Table
from crossmix.sources.late import ibis
from crossmix.sources.rules import PROBLEM, Rule

AMOUNTS = ("spend", "impressions", "clicks", "conversions", "revenue")
DELIVERED = 0.5
"""A platform tells its delivery where at least this share of its spend has impressions."""
Array = npt.NDArray[np.float64]


def entries(table: Table) -> tuple[Table, int]:
    """The rows in which anything is entered, and how many have nothing: days prepared for, or padding."""
    names = [name for name in AMOUNTS if name in table.columns]
    blank = ibis.and_(*[table[name].isnull() for name in names])
    if PROBLEM in table.columns:
        blank &= table[PROBLEM].isnull()
    return table.filter(~blank), int(table.filter(blank).count().execute())


def rules(t: Table) -> list[Rule]:
    """Rules between the columns of a history's row."""
    delivers = _delivers(t)
    no_impressions = t["impressions"].isnull() & (t["clicks"] > 0) & delivers
    return [
        Rule(no_impressions, "impressions_missing", ("impressions", "clicks"), "a click needs an impression; give how "
             "many there were"),
        Rule((t["clicks"] > t["impressions"].fill_null(0)) & delivers, "clicks_above_impressions",
             ("impressions", "clicks"), "a click needs an impression; correct one of them"),
    ]  # fmt: skip


def _delivers(t: Table) -> Table:
    """Whether the row's platform tells its delivery, as `DELIVERED` says."""
    money = t["spend"].abs().fill_null(0.0)
    shown = ibis.ifelse(t["impressions"].fill_null(0) > 0, money, 0.0)
    by = ibis.window(group_by="platform")
    return shown.sum().over(by) >= DELIVERED * money.sum().over(by)


@dataclass(frozen=True, slots=True)
class Apart:
    """Money of one platform that bought no delivery, or no results, that are told."""

    platform: str
    missing: str
    """As `schema.Held.missing`."""
    rows: pd.DataFrame


def untold(frame: pd.DataFrame) -> dict[str, str]:
    """Platforms whose results are blank in every row while others tell them, and which: as `schema.Held.missing`."""
    told = frame[["conversions", "revenue"]].notna().groupby(frame["platform"], observed=True).any()
    spent = frame["spend"].abs().groupby(frame["platform"], observed=True).sum() > 0
    missing = {}
    for name in told.index[spent]:
        lacks = [column for column in told.columns if told[column].any() and not told.loc[name, column]]
        if lacks:
            missing[str(name)] = lacks[0] if len(lacks) == 1 else "results"
    return missing


def filled(frame: pd.DataFrame, unknown: Collection[str] = ()) -> tuple[pd.DataFrame, pd.Index]:
    """Blanks as 0, and which rows with a delivery had blank results.

    Args:
        unknown: platforms whose results are not told: theirs are not counted.
    """
    blank = frame[["conversions", "revenue"]].isna().any(axis=1) & (frame["impressions"].fillna(0) > 0)
    blank &= ~frame["platform"].isin(list(unknown))
    return frame.fillna(dict.fromkeys(AMOUNTS, 0.0)), frame.index[blank]


def apart(frame: pd.DataFrame, unknown: Mapping[str, str]) -> tuple[pd.DataFrame, list[Apart]]:
    """The rows that tell a delivery and its results, and what is held: whole platforms, and single rows as fees.

    Args:
        frame: after `filled`.
        unknown: `untold` before it.

    Raises:
        DataError: no platform tells both.
    """
    found: list[Apart] = []
    money, shown = frame["spend"].abs(), frame["impressions"] > 0
    sums = pd.DataFrame({"money": money, "shown": money.where(shown, 0.0), "clicks": frame["clicks"]})
    sums = sums.groupby(frame["platform"], observed=True).sum()
    silent = sums.index[(sums["money"] > 0) & (sums["shown"] < DELIVERED * sums["money"])]
    unclicked = sums.index[(sums["money"] > 0) & (sums["clicks"] <= 0)].difference(silent)
    for missing, names in (("impressions", silent), ("clicks", unclicked)):
        found += [Apart(str(name), missing, frame[frame["platform"] == name]) for name in names]
    unknown = {name: missing for name, missing in unknown.items() if name not in {*silent, *unclicked}}
    found += [Apart(name, missing, frame[frame["platform"] == name]) for name, missing in sorted(unknown.items())]
    whole = frame["platform"].isin([*silent, *unclicked, *unknown])
    idle = (frame["impressions"] <= 0) & (frame["clicks"] <= 0)
    fee = ~whole & idle & (frame["spend"] > 0)
    for name, rows in frame[fee].groupby("platform", sort=True, observed=True):
        found.append(Apart(str(name), "fees", rows.assign(conversions=0.0, revenue=0.0)))
    # What is booked beside a fee is the platform's own.
    kept = frame.assign(spend=frame["spend"].where(~fee, 0.0))[~whole]
    if kept.empty:
        raise DataError(
            f"impressions: no platform tells its delivery ({', '.join(map(repr, sorted(sums.index)))}: spend without "
            "impressions or clicks, or without results); pass a history with impressions, clicks and results per "
            "platform"
        )
    return kept, found


def until(parts: Sequence[Apart], last: date) -> list[Apart]:
    """What is held, to the last day of what is not."""
    return [replace(one, rows=one.rows[one.rows["date"] <= last]) for one in parts]


@dataclass(frozen=True, slots=True)
class Corrections:
    """What was corrected, for the report."""

    below: dict[str, tuple[int, float]]
    """Rows below 0 and their sum, by column."""
    unearned: tuple[int, float]
    """Rows of revenue without a conversion, and their revenue."""
    beyond: int
    """Rows with more conversions than clicks."""
    left: dict[str, float]
    """What found no cell that could take it, by column: conversions beyond all clicks, refunds beyond all revenue."""


def corrections(frame: pd.DataFrame, left: dict[str, float]) -> Corrections:
    """What the rows of `frame` have to correct; `left`: from `settled`."""
    below = {}
    for name in ("spend", "conversions", "revenue"):
        rows = frame[name] < 0
        if rows.any():
            below[name] = (int(rows.sum()), float(frame.loc[rows, name].sum()))
    unearned = (frame["conversions"] <= 0) & (frame["revenue"] > 0)
    return Corrections(
        below=below,
        unearned=(int(unearned.sum()), float(frame.loc[unearned, "revenue"].sum())),
        beyond=int((frame["conversions"] > frame["clicks"]).sum()),
        left=left,
    )


def settled(cells: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, float]]:
    """No amount below 0 and no conversion beyond its cell's clicks, with the same sums; and what found no place.

    Args:
        cells: one row per campaign, platform and cycle, with `AMOUNTS`.
    """
    cells = cells.sort_values(["campaign_id", "platform", "cycle"], ignore_index=True)
    left: dict[str, float] = {}
    columns = {name: cells[name].to_numpy(float).copy() for name in AMOUNTS}
    broken = ~(
        (cells[["spend", "conversions", "revenue"]] >= 0).all(axis=1) & (cells["conversions"] <= cells["clicks"])
    )
    by = cells.groupby(["campaign_id", "platform"], sort=True, observed=True)
    some = cells[broken.groupby(by.ngroup()).transform("any")]
    for rows in some.groupby(["campaign_id", "platform"], sort=True, observed=True).groups.values():
        for name in ("spend", "conversions", "revenue"):
            most = columns["clicks"][rows] if name == "conversions" else np.full(len(rows), math.inf)
            columns[name][rows], rest = carried(columns[name][rows], most)
            if abs(rest) > 1e-9:
                left[name] = left.get(name, 0.0) + rest
    return cells.assign(**columns), left


def carried(amount_T: Array, most_T: Array) -> tuple[Array, float]:
    """Amounts within [0, most] with the same sum: what is beyond goes to the nearest cycle before, then after.

    Args:
        amount_T: in order of time.
        most_T: at least 0.

    Returns:
        The amounts, and what found no place (below 0: what could not be taken off).
    """
    if ((amount_T >= 0) & (amount_T <= most_T)).all():
        return amount_T, 0.0
    result, rest = amount_T.tolist(), 0.0
    for order in (range(len(result) - 1, -1, -1), range(len(result))):
        for t in order:
            wanted = result[t] + rest
            result[t] = min(max(wanted, 0.0), float(most_T[t]))
            rest = wanted - result[t]
    return np.array(result), rest


def names(held: Sequence[Apart]) -> list[str]:
    """Platforms that are held as a whole."""
    return sorted(one.platform for one in held if one.missing != "fees")
