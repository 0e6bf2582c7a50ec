"""Market fidelity: the fitted market against users it was not fitted on, over the same period (§2.2).

Contract: docs/design.md#gates.

The market retraces the training period cycle by cycle under the plan that was in force, with the conditions it was
fitted to. Its totals are compared here; its distributions in `divergence` and `two_sample`; one period of the log
with another in `shift`.

Shapes: T cycles, C campaigns, K cells (campaign x platform), P platforms, U users, R resamples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from crossmix.evaluate.fidelity.cycles import drawn, held_out, held_share, observed
from crossmix.evaluate.fidelity.divergence import Divergence, divergences
from crossmix.evaluate.fidelity.two_sample import TwoSample, paired
from crossmix.market.fit.blocks import Ints, Of, blocks
from crossmix.market.fit.log import Log
from crossmix.market.model import Market
from crossmix.market.replay_splits import retrace
from crossmix.metrics import METRIC, QUANTITIES

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = npt.NDArray[np.float64]
METRICS = ("ctr", "cvr", "roi", "spend")
SUMS = QUANTITIES
RESAMPLES = 400
# Draws of the market that a classifier compares with the log.
_DRAWS = 5
# Users resampled at a time, and users whose rows are added up at a time: memory stays small however many there are.
_BLOCK, _FEW = 16_384, 1_024
# Columns of their sums that are dense, and resamples whose draws are floats, at a time.
_WIDTH, _SHARE = 100, 80
# Fewer conversions than this say nothing about a platform.
LEAST_CONVERSIONS = 20


@dataclass(frozen=True, slots=True)
class Deviation:
    """Market over held-out log, less 1."""

    value: float
    low: float
    high: float
    conversions: int
    """Held-out conversions behind it."""

    @classmethod
    def of(cls, value: float, spread_R: Array, conversions: int) -> Deviation:
        """With the 95 % percentile interval of its resamples; infinite where most of them are undefined."""
        known = spread_R[np.isfinite(spread_R)]
        low, high = np.percentile(known, [2.5, 97.5]) if len(known) > RESAMPLES // 2 else (-np.inf, np.inf)
        return cls(value, float(low), float(high), conversions)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides of CTR, CVR, ROI, spend, price and click probability, everything by "total" or platform."""

    deviations: dict[str, dict[str, Deviation]]
    divergences: dict[str, dict[str, Divergence]]
    two_sample: dict[str, TwoSample]

    def plain(self) -> dict[str, Any]:
        """For JSON; what is undefined is null."""
        return {
            "deviations": {
                group: {name: _plain(asdict(item)) for name, item in row.items()}
                for group, row in self.deviations.items()
            },
            "divergences": {
                group: {name: _plain({**asdict(item), "noise": item.noise()}) for name, item in row.items()}
                for group, row in self.divergences.items()
            },
            "two_sample": {
                group: _plain({**asdict(test), "low": test.low, "high": test.high})
                for group, test in self.two_sample.items()
            },
        }


def fidelity(market: Market, log: Log, planned_TCP: Array, fusion: Path | None) -> Comparison:
    """The market against the held-out users of the period it was fitted on.

    Without `fusion` nobody predicts click probabilities, and their divergence is left out.
    """
    return Comparison(
        deviations(market, log, planned_TCP),
        divergences(market, log, planned_TCP, fusion),
        told_apart(market, log, planned_TCP),
    )


def told_apart(market: Market, log: Log, planned_TCP: Array) -> dict[str, TwoSample]:
    """The classifier test on the held-out users' cycles and draws of the market for as many users."""
    real = observed(log, held_out(log), planned_TCP, market.path["requests"].shape[0])
    draws = [
        drawn(market, planned_TCP, held_share(log), seed, plan_is_spend=log.plan_from_spend) for seed in range(_DRAWS)
    ]
    won = np.stack([real.impressions, *(draw.impressions for draw in draws)]).sum(0) > 0
    features = np.stack([draw.features() for draw in draws])
    return paired(real.features(), features, won | (real.planned > 0), market.platforms)


def deviations(market: Market, log: Log, planned_TCP: Array) -> dict[str, dict[str, Deviation]]:
    """Deviation of CTR, CVR, ROI and spend with 95 % intervals: {"total" or platform: {metric: Deviation}}.

    The held-out users' rates are post-stratified: in every campaign and platform they stand for all impressions there,
    so that who happens to be held out does not shift the mix. The interval resamples held-out users (their
    impressions are not independent). Where the log came without a plan, ROI is over spend.
    """
    times, campaigns, platforms = market.path["requests"].shape
    outcome = retrace(market, planned_TCP, plan_is_spend=log.plan_from_spend)
    model_KQ = np.stack([getattr(outcome, name).double().reshape(times, -1).sum(0).numpy() for name in SUMS], 1)
    sums_KQ, sums_RKQ = resampled(user_sums(log, held_out(log), _cell(log), campaigns * platforms))
    all_K = log.per_cycle(keep=log.within("train"))[:times].sum(0).ravel()
    held_KQ, held_RKQ = _stratify(sums_KQ, all_K), _stratify(sums_RKQ, all_K)
    planned_K = planned_TCP[:times].sum(0).ravel()
    platform_K = np.tile(np.arange(platforms), campaigns)
    result: dict[str, dict[str, Deviation]] = {}
    for p, group in enumerate(("total", *market.platforms), start=-1):
        members = (platform_K == p) if p >= 0 else np.ones(len(platform_K), bool)
        planned = None if log.plan_from_spend else float(planned_K[members].sum())
        ours = metrics(model_KQ[members].sum(0), planned)
        real = metrics(held_KQ[members].sum(0), planned)
        real_R = metrics(held_RKQ[:, members].sum(1).T, planned)
        events = int(sums_KQ[members, SUMS.index("conversions")].sum())
        result[group] = {}
        for metric in METRICS:
            with np.errstate(divide="ignore", invalid="ignore"):
                value, spread = ours[metric] / real[metric] - 1, ours[metric] / real_R[metric] - 1
            result[group][metric] = Deviation.of(float(value), np.asarray(spread), events)
    return result


def user_sums(log: Log, keep: npt.NDArray[np.bool_], cell: Of, cells: int) -> Iterator[csr_array]:
    """Sums of the five `SUMS` per user and cell over the kept rows, `_FEW` users at a time, sparse (U, cells x 5).

    Args:
        cell: of rows of the log, 0 to `cells` less 1. A spend history names no users: its cycles stand for them.
    """
    from scipy.sparse import coo_array

    unit = log.column("cycle" if log.meta.aggregate else "user")
    rows, starts = _by_unit(unit, keep)
    amounts = [log.amount(quantity) for quantity in SUMS]
    for first in range(0, max(len(starts) - 1, 1), _FEW):
        own = starts[first : first + _FEW + 1]
        part = rows[own[0] : own[-1]]
        user = np.repeat(np.arange(len(own) - 1), np.diff(own))
        columns = [np.ones(len(part)) if of is None else of[part].astype(float) for of in amounts]
        at = [cell(part) * len(SUMS) + quantity for quantity in range(len(SUMS))]
        entries = (np.concatenate(columns), (np.tile(user, len(SUMS)), np.concatenate(at).astype(np.int64)))
        yield coo_array(entries, shape=(max(len(own) - 1, 1), cells * len(SUMS))).tocsr()


def _by_unit(unit: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> tuple[Ints, npt.NDArray[np.int64]]:
    """The kept rows by unit, each unit's in their order; and where each begins, with the end."""
    # Unit and row in one number, which sorts without a second array.
    rows = np.flatnonzero(keep)
    for part in blocks(len(rows)):
        rows[part] |= unit[rows[part]].astype(np.int64) << 32
    rows.sort()
    starts = [np.zeros(1, np.int64)]
    for part in blocks(len(rows) - 1):
        starts.append(part.start + 1 + np.flatnonzero((rows[1:][part] ^ rows[:-1][part]) >> 32))
    rows &= 0xFFFFFFFF
    return rows, np.concatenate([*starts, [len(rows)]]) if len(rows) else np.zeros(1, np.int64)


def resampled(sums: Iterator[csr_array]) -> tuple[Array, Array]:
    """The users' sums together, (K, 5), and over `RESAMPLES` resamples of the users (a Poisson bootstrap), (R, K, 5).

    Users are resampled, not impressions: those of one user are not independent.

    Args:
        sums: see `user_sums`; at least one.
    """
    rng = np.random.default_rng(0)
    block = list(islice(sums, _BLOCK // _FEW))
    together, total = np.zeros(block[0].shape[1]), np.zeros((RESAMPLES, block[0].shape[1]))
    while block:
        for part in block:
            np.add.at(together, part.indices, part.data)
        times = np.empty((RESAMPLES, sum(part.shape[0] for part in block)), np.uint8)
        for row in times:
            row[:] = rng.poisson(1.0, size=len(row))
        for some in blocks(len(together), _WIDTH):
            dense, user = np.empty((times.shape[1], some.stop - some.start), np.float32), 0
            for part in block:
                dense[user : user + part.shape[0]] = part[:, some].toarray()
                user += part.shape[0]
            for draws in blocks(RESAMPLES, _SHARE):
                total[draws, some] += times[draws].astype(np.float32) @ dense
        # Before the next ones are made.
        del part, block, times, dense
        block = list(islice(sums, _BLOCK // _FEW))
    return together.reshape(-1, len(SUMS)), total.reshape(RESAMPLES, -1, len(SUMS))


def _cell(log: Log) -> Of:
    c, p = log.column("c"), log.column("p")
    return lambda rows: c[rows].astype(np.int64) * log.shape[2] + p[rows]


def _stratify(sums: Array, all_K: Array) -> Array:
    """Scale every cell's sums (..., K, 5) to all impressions of the cell; a cell without held-out ones stays 0."""
    impressions = sums[..., [SUMS.index("impressions")]]
    return sums * np.divide(all_K[:, None], impressions, out=np.zeros_like(impressions), where=impressions > 0)


def metrics(q: Array, planned: float | Array | None) -> dict[str, Any]:
    """CTR, CVR, ROI (over spend where there is no plan) and spend of summed quantities, (5,) or (5, R)."""
    amounts = dict(zip(SUMS, q, strict=True))
    amounts["planned"] = amounts["spend"] if planned is None else planned
    with np.errstate(divide="ignore", invalid="ignore"):
        return {key: METRIC[key].divide(amounts) if key in METRIC else amounts[key] for key in METRICS}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: undefined is null."""
    return {key: None if isinstance(value, float) and not np.isfinite(value) else value for key, value in row.items()}
