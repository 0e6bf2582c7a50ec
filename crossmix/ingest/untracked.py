"""Days on which money flowed and its results were not measured: a tag that broke, an upload that did not come.

Clicks beside impressions, conversions beside clicks and revenue beside conversions that are 0 in every row of a run are
no zeros where such a run is all but impossible given how often they come on other days. The days are then unknown to
the fit, as those without a row are.

The probability is of counts whose mean varies from day to day: negative binomial, with the deviation that the other
days have, ln P = - sum_t ln(1 + k m_t) / k (k = 0: Poisson, - sum_t m_t). The mean m_t is the day's exposure times the
rate of the `NEAR` rows on either side of the run, less on weekdays that have less: shops closed on Sundays have no
broken tag each Sunday.

Shapes: T rows of a series in order of time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from crossmix.config import Data
from crossmix.schema import DataError

KIND = "tracking"
"""As `data.accept` names it: the zeros are what happened."""
IMPOSSIBLE = math.log(1e-6)
NEAR = 28
LEAST = 7
"""Days with any that tell what is usual."""
LAYERS = (("clicks", "impressions"), ("conversions", "clicks"), ("revenue", "conversions"))
"""What may not be measured, beside what."""
LATE = 3
"""Last days that may not have come in yet: left out for all platforms, as today would be without them."""
MOST = 0.25
"""Part of a platform's money that may be unknown; with more, nothing is left to compare."""
SHOWN = 5
SPARSE = 8
"""So many times more days of series than rows are not laid out one by one."""
Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Run:
    """Rows of one platform, of one campaign on it or of all, without what their delivery must have brought."""

    where: str
    missing: str
    beside: str
    expected: float
    first: date
    last: date
    days: int
    rows: npt.NDArray[np.int64]
    """Positions in the frame."""

    def sentence(self, share: float) -> str:
        span = f"on {self.first}" if self.first == self.last else f"from {self.first} to {self.last}"
        return (
            f"{self.where}: no {self.missing} {span} beside {self.beside} ({self.days:,} dates, {share:.1%} of the "
            f"money), where about {self.expected:,.0f} {'of them' if self.missing != 'revenue' else 'conversions'} "
            f"{'were' if self.missing != 'revenue' else 'with revenue were'} to be expected"
        )


def known(frame: pd.DataFrame, data: Data, blanks: pd.Index | None = None) -> tuple[pd.DataFrame, list[str]]:
    """The rows whose results were measured, and sentences about those that are left out.

    Args:
        frame: campaign_id, platform, date and `bookings.AMOUNTS`; no blanks.
        blanks: index of rows whose results were blank and are read as 0: a weekday that has no others tells of no rest.

    Raises:
        DataError: too much of today's money, or of a platform's, is in such rows, and `data.accept` does not name them.
    """
    blanks = pd.Index([]) if blanks is None else blanks
    runs = list(_found(frame, blanks))
    if not runs:
        return frame, []
    if KIND in data.accept:
        return frame, [f"Accepted ({KIND}): {one.sentence(_share(frame, one))}." for one in runs[:SHOWN]]
    told: list[str] = []
    late = _late(frame, runs, data)
    if late is not None:
        since = min(late.first, *(one.first for one in runs if _at_end(frame, one)))
        told.append(
            f"The last days from {since} on are left out: {late.sentence(_share(frame, late))}; they may not have "
            "come in yet."
        )
        frame = frame[frame["date"] < since]
        runs = list(_found(frame, blanks))
    for one in runs:
        _check(frame, one, runs, data)
    for one in runs[:SHOWN]:
        told.append(f"{one.sentence(_share(frame, one))}: not measured, so those days are unknown to the fit.")
    if len(runs) > SHOWN:
        rest = sum(_share(frame, one) for one in runs[SHOWN:])
        told.append(f"{len(runs) - SHOWN:,} more such runs of days, {rest:.1%} of the money, are unknown to the fit.")
    gone = np.zeros(len(frame), bool)
    for one in runs:
        gone[one.rows] = True
    return frame[~gone], told


def _late(frame: pd.DataFrame, runs: Iterable[Run], data: Data) -> Run | None:
    """The largest run of the last `LATE` rows of dates or fewer, where it holds more than is left out unasked."""
    ends = [one for one in runs if _at_end(frame, one)]
    if not ends or _today(frame, ends, data) <= data.quarantine_spend:
        return None
    return max(ends, key=lambda one: _share(frame, one))


def _at_end(frame: pd.DataFrame, one: Run) -> bool:
    return bool(one.last == frame["date"].max()) and one.days <= LATE


def _check(frame: pd.DataFrame, one: Run, runs: list[Run], data: Data) -> None:
    remedy = (
        f"{one.sentence(_share(frame, one))}; restore what was not measured, or end the history before {one.first}; "
        f"if there truly was none, say --accept {KIND} (data.accept)"
    )
    if one.last >= _since(frame, data) and (part := _today(frame, runs, data)) > data.quarantine_spend:
        raise DataError(f"{one.missing}: {part:.1%} of today's money has results that were not measured: {remedy}")
    spent = frame.groupby("platform", observed=True)["spend"].sum()
    lost = sum(frame["spend"].to_numpy()[run.rows].sum() for run in runs if run.where == one.where)
    platform = one.where.split(" / ")[0]
    if lost > MOST * float(spent.get(platform, spent.sum())):
        raise DataError(f"{one.missing}: {remedy}")


def _since(frame: pd.DataFrame, data: Data) -> date:
    last: date = frame["date"].max()
    return last - timedelta(days=math.ceil(data.today_days) - 1)


def _today(frame: pd.DataFrame, runs: Iterable[Run], data: Data) -> float:
    """Part of the last window's money that is in these runs."""
    recent = np.asarray(frame["date"] >= _since(frame, data))
    gone = np.zeros(len(frame), bool)
    for one in runs:
        gone[one.rows] = True
    spend = frame["spend"].to_numpy()
    return float(spend[recent & gone].sum() / max(spend[recent].sum(), 1e-300))


def _share(frame: pd.DataFrame, one: Run) -> float:
    spend = frame["spend"].to_numpy()
    return float(spend[one.rows].sum() / max(spend.sum(), 1e-300))


def _found(frame: pd.DataFrame, blanks: pd.Index) -> Iterator[Run]:
    """Runs of all platforms, then of each, then of each campaign on it, none within another."""
    gone = np.zeros(len(frame), bool)
    entered = ~np.asarray(frame.index.isin(blanks))
    series = [(np.zeros(len(frame), np.intp), ["all platforms"])]
    series += [
        _coded(frame, keys) for keys in (["platform"], ["platform", "campaign_id"])[: frame["campaign_id"].nunique()]
    ]
    days = pd.to_datetime(frame["date"]).to_numpy()
    order = np.argsort(days, kind="stable")
    amounts = {name: np.clip(frame[name].to_numpy(float), 0.0, None) for name in ("impressions", "clicks")}
    amounts |= {name: frame[name].to_numpy(float) for name in ("conversions", "revenue")}
    for codes, which in series:
        left = order[~gone[order]]
        for code in _suspects(amounts, left, days, codes):
            at = left[codes[left] == code]
            for missing, beside in LAYERS:
                at = at[~gone[at]]
                for run, expected in _zeros(amounts, at, days, missing, beside, entered):
                    gone[run] = True
                    dates = frame["date"].to_numpy()[run]
                    yield Run(which[code], missing, beside, expected, min(dates), max(dates), len(set(dates)), run)


def _coded(frame: pd.DataFrame, keys: list[str]) -> tuple[npt.NDArray[np.intp], list[str]]:
    """The series that each row is of, numbered as they appear, and their names."""
    codes = pd.factorize(frame.groupby(keys, sort=False, observed=True).ngroup())[0]
    first = np.unique(codes, return_index=True)[1]
    names = zip(*(frame[key].iloc[first].astype(str) for key in keys), strict=True)
    return codes, [" / ".join(name) for name in names]


def _suspects(
    amounts: dict[str, Array],
    left: npt.NDArray[np.int64],
    days: npt.NDArray[np.datetime64],
    codes: npt.NDArray[np.intp],
) -> list[int]:
    """Series with a run of zeros that may be impossible (`_zeros`), of any layer: hardly one of hundreds.

    Args:
        left: positions of the rows, in order of time.
        codes: the series of each row of the frame.
    """
    if not len(left):
        return []
    at = days[left].astype("datetime64[D]").astype(int)
    span = np.ptp(at) + 1
    cell = codes[left] * span + at - at.min()
    cells = np.arange(cell.max() + 1)
    if len(cells) > SPARSE * len(left):
        cells, cell = np.unique(cell, return_inverse=True)
    found = np.zeros(int(codes.max(initial=0)) + 1, bool)
    for missing, beside in LAYERS:
        exposure, count = amounts[beside][left], _counted(amounts, missing, beside)[left]
        exposed, counted = (np.bincount(cell, weights) for weights in (exposure, count))
        seen = exposed > 0
        of, exposed, counted = cells[seen] // span, exposed[seen], counted[seen]
        if not len(of):
            continue
        zero = counted <= 0
        starts = np.r_[0, np.flatnonzero((np.diff(zero) != 0) | (np.diff(of) != 0)) + 1]
        busy = np.bincount(of[~zero], minlength=len(found))
        usual = np.bincount(of[~zero], exposed[~zero], len(found))
        highest = 2 * np.bincount(of, counted, len(found)) / np.maximum(usual, 1e-300)
        lost = np.add.reduceat(exposed, starts) * highest[of[starts]]
        # A little wider than what is asked of each: sums in another order differ in their last bits.
        found[of[starts][zero[starts] & (busy[of[starts]] >= LEAST) & (lost >= -0.999 * IMPOSSIBLE)]] = True
    return [int(code) for code in np.flatnonzero(found)]


def _counted(amounts: dict[str, Array], missing: str, beside: str) -> Array:
    """What is counted; of revenue the conversions that have some: amounts vary, whether there is one does not."""
    return np.where(amounts[missing] > 0, amounts[beside], 0.0) if missing == "revenue" else amounts[missing]


def _zeros(
    amounts: dict[str, Array],
    at: npt.NDArray[np.int64],
    days: npt.NDArray[np.datetime64],
    missing: str,
    beside: str,
    entered: Mask,
) -> Iterator[tuple[npt.NDArray[np.int64], float]]:
    """Impossible runs of one series, as positions in the frame, and what was to be expected in each.

    Args:
        at: positions of the series' rows, in order of time.
        entered: rows of the frame whose results were no blanks.
    """
    exposure, count = amounts[beside][at], _counted(amounts, missing, beside)[at]
    there, day_T = np.unique(days[at], return_inverse=True)
    exposed_T, counted_T = (np.bincount(day_T, weights).astype(float) for weights in (exposure, count))
    seen = exposed_T > 0
    used, exposed_T, counted_T = there[seen], exposed_T[seen], counted_T[seen]
    entered_T = np.bincount(day_T, entered[at])[seen] > 0
    zero = counted_T <= 0
    if (~zero).sum() < LEAST or not zero.any():
        return
    edges = np.flatnonzero(np.diff(zero)) + 1
    starts, ends = np.r_[0, edges], np.r_[edges, len(zero)]
    # More than the rate of days that have any, twice, is not to be expected near a run.
    highest = 2 * counted_T.sum() / exposed_T[~zero].sum()
    possible = zero[starts] & (np.add.reduceat(exposed_T, starts) * highest >= -IMPOSSIBLE)
    weekday = (used.astype("datetime64[D]").astype(int) + 3) % 7
    weekday = np.where(np.isin(weekday, weekday[entered_T]), weekday, -1)  # blanks alone tell of no rest
    for start, end in zip(starts[possible], ends[possible], strict=True):
        mean_T, spread = _expected(exposed_T, counted_T, weekday, slice(start, end))
        mean = mean_T[start:end]
        log = -float((np.log1p(spread * mean) / spread).sum() if spread > 1e-6 else mean.sum())
        if log < IMPOSSIBLE:
            first, last = used[start], used[end - 1]
            own = days[at]
            yield at[(own >= first) & (own <= last)], float(mean.sum())


def _expected(exposed_T: Array, counted_T: Array, weekday_T: npt.NDArray[np.int64], run: slice) -> tuple[Array, float]:
    """Mean of every row by what is near the run, and how much days vary beyond chance (k)."""
    out = np.ones(len(exposed_T), bool)
    out[run] = False
    near = out.copy()
    near[: max(run.start - NEAR, 0)] = False
    near[run.stop + NEAR :] = False
    rate = counted_T[near].sum() / exposed_T[near].sum()
    overall = counted_T[out].sum() / exposed_T[out].sum()
    share_T = np.ones(len(exposed_T))
    for number in np.unique(weekday_T[weekday_T >= 0]):
        own = out & (weekday_T == number)
        if own.sum() >= 2 and overall > 0:
            share_T[weekday_T == number] = min(counted_T[own].sum() / exposed_T[own].sum() / overall, 1.0)
    usual = overall * share_T * exposed_T
    beyond = ((counted_T - usual) ** 2 - usual)[out].sum() / max((usual**2)[out].sum(), 1e-300)
    return rate * share_T * exposed_T, max(float(beyond), 0.0)
