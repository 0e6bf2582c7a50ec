"""The ingested log as arrays per cycle, campaign and platform: the market is fitted on it, the state replayed from it.

A log of impressions has one row each; a spend history one row per cycle, campaign and platform, whose numbers are sums.
`Log.per_cycle` and `Log.totals` are the same for both.

Impressions are read a batch at a time into columns of small numbers, 47 bytes a row; no id stays. What is computed of
all rows is computed in blocks (`blocks.py`).

Shapes: T cycles, C campaigns, P platforms, n rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from crossmix.market.fit.blocks import Array, Of, add, blocks
from crossmix.row_groups import released
from crossmix.schema import SPLITS, Dataset, Meta

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS: dict[str, str] = {
    "c": "int32",
    "p": "int16",
    "cycle": "int32",
    "arrival": "int32",
    "user": "int32",
    "region": "int32",
    "split": "int8",
    "holdout": "bool",
    "clicked": "bool",
    "converted": "bool",
    "bid_price": "float64",
    "price_paid": "float64",
    "revenue": "float64",
}
"""What is kept of an impression, and as what; `region` and `split` are codes of categories."""
READ = ["impression_id", "campaign_id", "platform", "region", "split", "cycle", "conversion_timestamp"]
READ += ["bid_price", "price_paid", "revenue", "clicked", "converted", "holdout"]
"""Columns of the dataset that `COLUMNS` are made of, beside user_id."""
AT_ONCE = 16_384
"""Rows read at a time."""
MARK = 4_096
"""One impression id in so many is kept, to tell whether another table has the same rows."""

TOTALS: dict[str, str] = {
    "impressions": "shown",
    "clicks": "clicked",
    "conversions": "converted",
    "revenue": "revenue",
    "spend": "price_paid",
}
"""Quantity to the column of `Log.frame` that sums to it."""


@dataclass(frozen=True, slots=True)
class Log:
    """Impressions, or a spend history's totals, with indices, in order of time."""

    meta: Meta
    frame: pd.DataFrame
    """`COLUMNS`: `c` (campaign) and `p` (platform; -1: not among meta's), `cycle`, `arrival` (cycle in which a
    conversion became known), `user` (number of the user in the order of ids), region, split, holdout, clicked,
    converted, bid_price (NaN: none), price_paid, revenue. In a spend history clicked, converted, revenue and price_paid
    are sums, `shown` is the row's impressions, and there is no user, region or bid."""
    marks: Mapping[int, str] = field(default_factory=dict)
    """Row number to impression_id, of one row in `MARK` and the last."""

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.meta.cycles, len(self.meta.campaigns), len(self.meta.platforms)

    @property
    def train_cycles(self) -> int:
        """Cycles of the training period: they come first."""
        return self.meta.first_cycle["validation"]

    def whole(self) -> Log:
        """The same log with all of its cycles in the training period, none held out."""
        meta = replace(self.meta, first_cycle=dict.fromkeys(self.meta.first_cycle, self.meta.cycles) | {"train": 0})
        split = pd.Categorical(["train"] * len(self.frame), categories=list(SPLITS))
        return Log(meta, self.frame.assign(split=split, holdout=False), self.marks)

    @property
    def plan_from_spend(self) -> bool:
        """The log came without a plan: it was taken from what was spent."""
        return self.meta.provenance.get("plans.planned_budget") == "approximated"

    def per_cycle(
        self, weight: npt.ArrayLike | Of | None = None, *, by: str = "cycle", keep: npt.ArrayLike | None = None
    ) -> Array:
        """Sum of `weight` over rows, (T, C, P).

        Args:
            weight: of every row, or a function of rows; `None`: the row's impressions.
            by: the column that tells the cycle; what lies after the log is left out.
            keep: a mask over rows.
        """
        weight = self.amount("impressions") if weight is None else weight
        of = weight if callable(weight) or weight is None else np.asarray(weight).__getitem__
        kept = None if keep is None else np.asarray(keep, bool)
        cycle, c, p = (self.column(name) for name in (by, "c", "p"))
        total = np.zeros(int(np.prod(self.shape)))
        for rows in blocks(len(cycle)):
            mask = cycle[rows] < self.meta.cycles
            if kept is not None:
                mask &= kept[rows]
            index = np.ravel_multi_index((cycle[rows][mask], c[rows][mask], p[rows][mask]), self.shape)
            add(total, index, None if of is None else of(rows)[mask])
        return total.reshape(self.shape)

    def column(self, name: str) -> npt.NDArray[Any]:
        """A column of `frame`, (n,); splits and regions as codes."""
        values = self.frame[name]
        return np.asarray(values.cat.codes if isinstance(values.dtype, pd.CategoricalDtype) else values)

    def amount(self, quantity: str) -> npt.NDArray[Any] | None:
        """What every row adds to one of `TOTALS`, (n,); `None`: one."""
        return None if quantity == "impressions" and not self.meta.aggregate else self.column(TOTALS[quantity])

    def totals(self, keep: npt.ArrayLike | None = None) -> dict[str, Array]:
        """Impressions, clicks, conversions, revenue and spend by cycle of the impression, (T, C, P) each."""
        return {name: self.per_cycle(self.amount(name), keep=keep) for name in TOTALS}

    def within(self, *splits: str) -> npt.NDArray[np.bool_]:
        """Rows of these splits, (n,)."""
        found = np.zeros(len(self.frame), bool)
        for name in splits:
            found |= np.asarray(self.frame["split"] == name, bool)
        return found

    def fitted_rows(self) -> npt.NDArray[np.bool_]:
        """Rows of the training period that are not held out."""
        return np.asarray(self.within("train") & ~self.column("holdout").astype(bool))

    def fitted_cycles(self) -> npt.NDArray[np.bool_]:
        """Cycles that have a row to fit on, (T,)."""
        fitted, cycle = self.fitted_rows(), self.column("cycle")
        seen = np.zeros(self.meta.cycles, bool)
        for rows in blocks(len(cycle)):
            seen[cycle[rows][fitted[rows]]] = True
        return seen

    def weekdays(self) -> npt.NDArray[np.int64]:
        """Weekday of every cycle's start, Monday 0, (T,)."""
        start = pd.Timestamp(self.meta.start).tz_localize(None)
        starts = start + pd.to_timedelta(np.arange(self.shape[0]) * self.meta.cycle_hours, unit="h")
        return np.asarray(starts.weekday, dtype=np.int64)

    def planned(self, dataset: Dataset) -> tuple[Array, Array, Array]:
        """Planned budget per cycle (T, C, P), and min and max share (C, P; NaN where the plan names none).

        Where the log came without a plan, a cycle's plan is what it spent.
        """
        plans = dataset.frame("plans")
        times, campaigns, platforms = self.shape
        start = pd.Timestamp(self.meta.start).tz_localize(None)
        day = (pd.to_datetime(plans["date"]) - start.normalize()).dt.days.to_numpy()
        c = pd.Categorical(plans["campaign_id"], categories=self.meta.campaigns).codes
        p = pd.Categorical(plans["platform"], categories=self.meta.platforms).codes
        days = -(-times * self.meta.cycle_hours // 24) + 2
        keep = (c >= 0) & (p >= 0) & (day >= 0) & (day < days)
        daily = np.zeros((days, campaigns, platforms))
        np.add.at(daily, (day[keep], c[keep], p[keep]), plans["planned_budget"].to_numpy(float)[keep])
        hours = (start - start.normalize()) / pd.Timedelta(hours=1) + np.arange(times) * self.meta.cycle_hours
        first_day = (hours // 24).astype(int)
        if self.meta.cycle_hours % 24:
            per_cycle = daily[first_day] * self.meta.cycle_hours / 24
        else:
            span = self.meta.cycle_hours // 24
            per_cycle = np.stack([daily[day : day + span].sum(0) for day in first_day])
        if self.plan_from_spend:
            per_cycle = self.per_cycle(self.amount("spend"))
        low, high = np.full((campaigns, platforms), np.nan), np.full((campaigns, platforms), np.nan)
        # The latest date's limits stand.
        order = np.argsort(day[keep], kind="stable")
        low[c[keep][order], p[keep][order]] = plans["min"].to_numpy(float)[keep][order]
        high[c[keep][order], p[keep][order]] = plans["max"].to_numpy(float)[keep][order]
        return per_cycle, low, high


def read(dataset: Dataset) -> Log:
    """Load the impressions, or the totals, of a dataset."""
    meta = dataset.meta
    if meta.aggregate:
        return _totals(dataset, meta)
    rows = dataset.count("impressions")
    # First, while nothing else is there: the users' names are all in memory once.
    user = numbered(dataset, "user_id", rows)
    columns = {name: user if name == "user" else np.empty(rows, kind) for name, kind in COLUMNS.items()}
    regions: dict[str, int] = {}
    marks: dict[int, str] = {}
    start = 0
    for batch in dataset.batches("impressions", READ, AT_ONCE):
        part = slice(start, start + batch.num_rows)
        for name, values in _coded(batch, meta, regions).items():
            columns[name][part] = values
        for row in range(-start % MARK, batch.num_rows, MARK):
            marks[start + row] = batch["impression_id"][row].as_py()
        start += batch.num_rows
        if start == rows and rows:
            marks[rows - 1] = batch["impression_id"][batch.num_rows - 1].as_py()
    released()
    named = {"region": list(regions), "split": list(SPLITS)}
    codes = {name: pd.Categorical.from_codes(columns[name], names) for name, names in named.items()}
    return Log(meta, pd.DataFrame({**columns, **codes}, copy=False), marks)


def _totals(dataset: Dataset, meta: Meta) -> Log:
    """A spend history: few rows, kept as they are."""
    names = {column: quantity for column, quantity in TOTALS.items() if column != quantity}
    frame = dataset.frame("outcomes").rename(columns=names)
    frame["c"] = pd.Categorical(frame["campaign_id"], categories=meta.campaigns).codes.astype(np.int64)
    frame["p"] = pd.Categorical(frame["platform"], categories=meta.platforms).codes.astype(np.int64)
    return Log(meta, frame.assign(arrival=frame["cycle"]))


def _coded(batch: pa.RecordBatch, meta: Meta, regions: dict[str, int]) -> dict[str, npt.NDArray[Any]]:
    """`COLUMNS` of a batch, but for the user; regions seen first are numbered on in `regions`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def position(name: str, names: tuple[str, ...]) -> npt.NDArray[np.int32]:
        found = pc.index_in(batch[name].cast(pa.string()), value_set=pa.array(names, pa.string()))
        return np.asarray(found.fill_null(-1), np.int32)

    def plain(name: str, kind: str) -> npt.NDArray[Any]:
        return np.asarray(batch[name].to_numpy(zero_copy_only=False), kind)

    for name in batch["region"].unique().drop_null().to_pylist():
        regions.setdefault(name, len(regions))
    cycle = plain("cycle", "int64")
    known = batch["conversion_timestamp"].cast(pa.timestamp("us"), safe=False)
    since = (np.asarray(known.cast(pa.int64()).fill_null(0)) - _microseconds(meta)) // (
        meta.cycle_hours * 3_600_000_000
    )
    # A log that does not say when a conversion came (-1): it is known in the impression's own cycle.
    arrival = np.where(np.asarray(known.is_valid()), since, -1)
    return {
        "c": position("campaign_id", meta.campaigns),
        "p": position("platform", meta.platforms),
        "cycle": cycle,
        "arrival": np.maximum(arrival, cycle),
        "region": position("region", tuple(regions)),
        "split": position("split", SPLITS),
        **{name: plain(name, "bool") for name in ("holdout", "clicked", "converted")},
        **{name: plain(name, "float64") for name in ("bid_price", "price_paid", "revenue")},
    }


def _microseconds(meta: Meta) -> int:
    """The log's start since 1970, without its zone."""
    return int((pd.Timestamp(meta.start).tz_localize(None) - pd.Timestamp(0)) // pd.Timedelta(microseconds=1))


def numbered(dataset: Dataset, column: str, rows: int) -> npt.NDArray[np.int32]:
    """Of every impression the place of its id among the column's sorted distinct ids, (n,)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known, fresh = pa.array([], pa.string()), []
    for batch in dataset.batches("impressions", [column], AT_ONCE):
        fresh.append(batch[column].unique().cast(pa.string()))
        # As many again as are known: so often that no more than twice as many are kept.
        if sum(map(len, fresh)) > max(len(known), AT_ONCE):
            known, fresh = pa.chunked_array([known, *fresh]).unique(), []
    known = pa.chunked_array([known, *fresh]).unique()
    del fresh
    known = known.take(pc.sort_indices(known))
    number, start = np.empty(rows, np.int32), 0
    # A look-up table of all ids is made for each batch.
    for batch in dataset.batches("impressions", [column], max(AT_ONCE, len(known))):
        found = pc.index_in(batch[column].cast(pa.string()), value_set=known)
        number[start : start + batch.num_rows] = np.asarray(found)
        start += batch.num_rows
    del known, batch, found
    released()
    return number


__all__ = ["AT_ONCE", "COLUMNS", "MARK", "TOTALS", "Array", "Log", "numbered", "read"]
