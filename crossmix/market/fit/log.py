"""The ingested log as arrays per cycle, campaign and platform: the market is fitted on it, the state replayed from it.

A log of impressions has one row each; a spend history one row per cycle, campaign and platform, whose numbers are sums.
`Log.per_cycle` and `Log.totals` are the same for both.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from crossmix.schema import Dataset, Meta

Array = npt.NDArray[np.float64]

COLUMNS = [
    "impression_id",
    "timestamp",
    "user_id",
    "campaign_id",
    "platform",
    "region",
    "bid_price",
    "price_paid",
    "clicked",
    "converted",
    "revenue",
    "conversion_timestamp",
    "cycle",
    "split",
    "holdout",
]


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
    """`COLUMNS`, plus `c` (campaign), `p` (platform), `arrival` (cycle in which a conversion became known), `shown`
    (impressions of the row: 1, or in a spend history their number; clicked, converted, revenue and price_paid are sums
    there too, and there is no user, bid or id)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.meta.cycles, len(self.meta.campaigns), len(self.meta.platforms)

    @property
    def train_cycles(self) -> int:
        """Cycles of the training period: they come first."""
        return self.meta.first_cycle["validation"]

    @property
    def plan_from_spend(self) -> bool:
        """The log came without a plan: it was taken from what was spent."""
        return self.meta.provenance.get("plans.planned_budget") == "approximated"

    def per_cycle(
        self, weight: npt.ArrayLike | None = None, *, by: str = "cycle", keep: npt.ArrayLike | None = None
    ) -> Array:
        """Sum of `weight` (`None`: impressions) over rows, (T, C, P); `keep`: a mask over rows."""
        frame = self.frame
        if weight is None and self.meta.aggregate:
            weight = frame["shown"]
        mask = np.ones(len(frame), bool) if keep is None else np.asarray(keep, bool)
        mask = mask & (frame[by].to_numpy() < self.meta.cycles)
        index = np.ravel_multi_index(
            (frame[by].to_numpy()[mask], frame["c"].to_numpy()[mask], frame["p"].to_numpy()[mask]), self.shape
        )
        amount = None if weight is None else np.asarray(weight, float)[mask]
        return np.bincount(index, amount, int(np.prod(self.shape))).reshape(self.shape).astype(float)

    def totals(self, keep: npt.ArrayLike | None = None) -> dict[str, Array]:
        """Impressions, clicks, conversions, revenue and spend by cycle of the impression, (T, C, P) each."""
        return {name: self.per_cycle(self.frame[column], keep=keep) for name, column in TOTALS.items()}

    def fitted_rows(self) -> npt.NDArray[np.bool_]:
        """Rows of the training period that are not held out."""
        return np.asarray((self.frame["split"].to_numpy() == "train") & ~self.frame["holdout"].to_numpy(bool))

    def fitted_cycles(self) -> npt.NDArray[np.bool_]:
        """Cycles that have a row to fit on, (T,)."""
        return np.isin(np.arange(self.meta.cycles), self.frame["cycle"].to_numpy()[self.fitted_rows()])

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
            per_cycle = self.per_cycle(self.frame["price_paid"])
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
        names = {column: quantity for column, quantity in TOTALS.items() if column != quantity}
        frame = dataset.frame("outcomes").rename(columns=names).assign(conversion_timestamp=pd.NaT)
    else:
        frame = dataset.frame("impressions", COLUMNS).assign(shown=1.0)
    frame["c"] = pd.Categorical(frame["campaign_id"], categories=meta.campaigns).codes.astype(np.int64)
    frame["p"] = pd.Categorical(frame["platform"], categories=meta.platforms).codes.astype(np.int64)
    width = pd.Timedelta(hours=meta.cycle_hours)
    start = pd.Timestamp(meta.start).tz_localize(None)
    known = pd.to_datetime(frame["conversion_timestamp"])
    if known.dt.tz is not None:
        known = known.dt.tz_localize(None)
    arrival = ((known - start) // width).fillna(-1).to_numpy(np.int64)
    # A log that does not say when a conversion came (-1): it is known in the impression's own cycle.
    frame["arrival"] = np.maximum(arrival, frame["cycle"].to_numpy(np.int64))
    return Log(meta, frame)
