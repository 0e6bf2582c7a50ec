"""What each region of a log delivered in each period: the evidence behind regional strata (`strata.py`).

Shapes: T cycles, K periods, R regions, C campaigns, P platforms, n impressions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crossmix.config import Config
from crossmix.market.fit.blocks import Of, Rows, add, blocks, summed
from crossmix.market.fit.estimators import stack
from crossmix.market.fit.log import Array, Log
from crossmix.market.fit.strata import Cubes
from crossmix.market.fit.supply import LEAST_WIN_RATE, Supply, estimate

UNKNOWN = "unknown"
"""Ingest writes it where a row has no region: such rows tell about periods, not about regions."""


def by_region(
    config: Config,
    log: Log,
    supplies: list[list[Supply]],
    period_T: npt.NDArray[np.int64],
    exposed: Of,
    keep: npt.NDArray[np.bool_],
) -> tuple[tuple[str, ...], Cubes | None]:
    """Regions that the log names, most impressions first, and their cubes (K, R, C, P); nothing if it names no two.

    Args:
        supplies: of every campaign and platform: their multipliers are taken out of the prices first.
        period_T: period of every training cycle.
        exposed: of impressions: what saturation leaves of their click probability.
        keep: impressions that may be fitted on, (n,); all in training cycles.
    """
    names, number = _named(log, keep)
    if len(names) < 2:
        return (), None
    kept = _Kept.of(log, keep, number, stack(supplies, "price_multiplier"), period_T)
    shape = (int(period_T.max()) + 1, len(names), *log.shape[1:])

    def total(of: Of) -> Array:
        table = np.zeros(int(np.prod(shape)))
        for part in kept.parts():
            rows = kept.rows[part]
            index = np.ravel_multi_index((kept.period(rows), kept.region(rows), kept.c[rows], kept.p[rows]), shape)
            add(table, index, of(rows))
        return table.reshape(shape)

    requests, variance, multiplier, error = (np.zeros(shape) for _ in range(4))
    groups = shape[0] * shape[1]
    for campaign in range(shape[2]):
        for platform in range(shape[3]):
            rows = kept.rows[(kept.c[kept.rows] == campaign) & (kept.p[kept.rows] == platform)]
            group = kept.period(rows) * shape[1] + kept.region(rows)
            bid = kept.over(log.column("bid_price"), rows)
            cap = bid if len(rows) and np.isfinite(bid).all() else None
            own = estimate(
                kept.over(log.column("price_paid"), rows),
                cap,
                group,
                np.ones(len(rows), bool),
                groups,
                fit_cycles=groups,
                quantiles=config.market.quantiles,
                assumed_win_rate=config.market.assumed_win_rate,
                assumed_dispersion=config.market.assumed_bid_dispersion,
            )
            for cube, table in (
                (requests, own.requests),
                (variance, _requests_variance(own, cap, group)),
                (multiplier, own.price_multiplier),
                (error, own.price_multiplier_error),
            ):
                cube[:, :, campaign, platform] = table.reshape(shape[:2])
    size_R = requests.sum((0, 2, 3)) / max(float(requests.sum()), 1e-9)
    return names, Cubes(
        clicks=total(of_column(log, "clicked")),
        exposed=total(exposed),
        conversions=total(of_column(log, "converted")),
        revenue=total(of_column(log, "revenue")),
        requests=requests,
        requests_variance=variance,
        usual=requests.sum(1, keepdims=True) * size_R[:, None, None],
        price_multiplier=multiplier,
        price_multiplier_error=error,
        design=_design(log, kept, exposed),
    )


def _named(log: Log, keep: npt.NDArray[np.bool_]) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Regions of the kept rows, most impressions first, and by the log's code the number of each; -1: not one."""
    categories = [str(name) for name in log.frame["region"].cat.categories]
    code = log.column("region")
    count, first = np.zeros(len(categories)), np.full(len(categories), len(code))
    for rows in blocks(len(code)):
        known = keep[rows] & (code[rows] >= 0)
        codes, places = np.unique(code[rows][known], return_index=True)
        add(count, code[rows][known], None)
        first[codes] = np.minimum(first[codes], rows.start + np.flatnonzero(known)[places])
    # Of two with as many, the one that came first.
    order = [r for r in np.lexsort((first, -count)) if count[r] and categories[r] != UNKNOWN]
    number = np.full(len(categories) + 1, -1)
    number[order] = np.arange(len(order))
    return tuple(categories[r] for r in order), number


def of_column(log: Log, name: str) -> Of:
    """A column's values as numbers."""
    values = log.column(name)
    return lambda rows: values[rows].astype(np.float64)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The rows that tell of regions, and what is looked up for some of them at a time."""

    rows: npt.NDArray[np.int64] | npt.NDArray[np.int32]
    """Their numbers, ascending."""
    c: npt.NDArray[Any]
    """Of all rows of the log, as the next three."""
    p: npt.NDArray[Any]
    cycle: npt.NDArray[Any]
    code: npt.NDArray[Any]
    number: npt.NDArray[np.int64]
    """Region by code; the last is that of rows without one."""
    multiplier_TCP: Array
    period_T: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls,
        log: Log,
        keep: npt.NDArray[np.bool_],
        number: npt.NDArray[np.int64],
        multiplier_TCP: Array,
        period_T: npt.NDArray[np.int64],
    ) -> _Kept:
        c, p, cycle, code = (log.column(name) for name in ("c", "p", "cycle", "region"))
        kind = np.int32 if len(code) < 2**31 else np.int64
        told = ((part.start, keep[part] & (number[code[part]] >= 0)) for part in blocks(len(code)))
        rows = np.concatenate([(start + np.flatnonzero(here)).astype(kind) for start, here in told])
        return cls(rows, c, p, cycle, code, number, multiplier_TCP, period_T)

    def parts(self) -> Iterator[slice]:
        """Parts of `rows`."""
        return blocks(len(self.rows))

    def region(self, rows: Rows) -> npt.NDArray[np.int64]:
        return np.asarray(self.number[self.code[rows]])

    def period(self, rows: Rows) -> npt.NDArray[np.int64]:
        return np.asarray(self.period_T[self.cycle[rows]])

    def over(self, money: npt.NDArray[Any], rows: Rows) -> Array:
        """Prices or bids over the multiplier of their cycle, campaign and platform."""
        return np.asarray(money[rows] / self.multiplier_TCP[self.cycle[rows], self.c[rows], self.p[rows]])


def _requests_variance(supply: Supply, bid: Array | None, group: npt.NDArray[np.int64]) -> Array:
    """Sampling variance of the requests of each group, with what its price multiplier's error adds.

    A win counts 1 / F(bid / multiplier) requests: a multiplier that is off moves them all, by the slope found in a
    small step.
    """
    variance = supply.requests_error**2
    if bid is None:
        return np.asarray(variance)
    law, groups = np.linspace(0, 1, len(supply.knots)), len(supply.requests)

    def wins(factor: float) -> Array:
        won = np.interp(bid / (supply.price_multiplier[group] * factor), supply.knots, law)
        return np.asarray(np.bincount(group, 1 / np.maximum(won, LEAST_WIN_RATE), groups), float)

    step = 0.1
    known = np.isfinite(supply.price_multiplier_error) & (supply.requests > 0)
    slope = np.log(np.where(known, wins(np.exp(step)), 1) / np.where(known, wins(1.0), 1)) / step
    return np.asarray(variance + np.where(known, (slope * supply.price_multiplier_error * supply.requests) ** 2, 0.0))


def _design(log: Log, kept: _Kept, exposed: Of) -> dict[str, float]:
    """Sampling variance over that of independent impressions: a region's users come with all their impressions.

    Of rates and means: the squared sum of residuals over each user's impressions on a platform, over the sum of
    squares. Of requests: how much more users differ in which platforms they are met on than chance would make them.
    Residuals are taken within regions: a true difference between regions is no scatter of their users.
    """
    platforms = 1 + int(kept.p[kept.rows].max())
    regions = 1 + int(kept.number.max())
    cells = (1 + int(kept.c[kept.rows].max())) * platforms * regions
    user, users = _in_order(log.column("user"), kept)
    clicked, converted = of_column(log, "clicked"), of_column(log, "converted")
    price = log.column("price_paid")

    def one(rows: Rows) -> Array:
        return np.ones(len(kept.code[rows]))

    def cluster(rows: Rows) -> npt.NDArray[np.int64]:
        return np.asarray(user[log.column("user")[rows]].astype(np.int64) * platforms + kept.p[rows])

    def scatter(hits: Of, trials: Of) -> float:
        def cell(rows: Rows) -> npt.NDArray[np.int64]:
            at = kept.c[rows].astype(np.int64) * platforms + kept.p[rows]
            return np.asarray(at * regions + kept.region(rows))

        hit, tried = np.zeros(cells), np.zeros(cells)
        for part in kept.parts():
            rows = kept.rows[part]
            add(hit, cell(rows), hits(rows))
            add(tried, cell(rows), trials(rows))
        rate = hit / np.maximum(tried, 1e-12)

        def residual(part: slice) -> Array:
            rows = kept.rows[part]
            return np.asarray(hits(rows) - trials(rows) * rate[cell(rows)])

        together = np.zeros(clusters)
        for part in kept.parts():
            add(together, cluster(kept.rows[part]), residual(part))
        alone = summed(len(kept.rows), lambda part: residual(part) ** 2)
        return float(np.square(together, out=together).sum() / max(alone, 1e-12))

    clusters = 1 + max(int(cluster(kept.rows[part]).max()) for part in kept.parts())
    table = {
        "requests": _met(kept, cluster, users, platforms, regions),
        "level": scatter(lambda rows: np.asarray(np.log(np.maximum(kept.over(price, rows), 1e-12))), one),
        "ctr": scatter(clicked, exposed),
        "cvr": scatter(converted, clicked),
        "value": scatter(of_column(log, "revenue"), converted),
    }
    return {name: max(1.0, value) for name, value in table.items()}


def _met(
    kept: _Kept, cluster: Callable[[Rows], npt.NDArray[np.int64]], users: int, platforms: int, regions: int
) -> float:
    """How much users differ in which platforms they are met on, over what chance would make them."""
    met_UP, home_U = np.zeros((users, platforms), np.int32), np.zeros(users, np.int32)
    for part in kept.parts():
        rows = kept.rows[part]
        index, count = np.unique(cluster(rows), return_counts=True)
        met_UP.reshape(-1)[index] += count.astype(np.int32)
        home_U[cluster(rows) // platforms] = kept.region(rows)
    share_RP = np.zeros((regions, platforms))
    for part in blocks(users):
        np.add.at(share_RP, home_U[part], met_UP[part])
    share_RP /= np.maximum(share_RP.sum(1, keepdims=True), 1)

    def over_users(figure: Callable[[Array, Array, Array], Array]) -> float:
        """Sum over users and platforms of a figure of impressions, usual ones and shares, (X, P) each."""

        def part(flat: slice) -> Array:
            some = slice(flat.start // platforms, -(-flat.stop // platforms))
            met, share = met_UP[some].astype(float), share_RP[home_U[some]]
            values = figure(met, met.sum(1, keepdims=True) * share, share).ravel()
            return values[flat.start - some.start * platforms :][: flat.stop - flat.start]

        return summed(users * platforms, part)

    chance = over_users(lambda _, usual, share: usual * (1 - share))
    return over_users(lambda met, usual, _: (met - usual) ** 2) / max(chance, 1e-12)


def _in_order(user: npt.NDArray[Any], kept: _Kept) -> tuple[npt.NDArray[np.int32], int]:
    """By user the number in which it first comes among the kept rows, and how many do."""
    number, users = np.full(1 + int(user.max()), -1, np.int32), 0
    for part in kept.parts():
        own, first = np.unique(user[kept.rows[part]], return_index=True)
        own = own[np.argsort(first)]
        own = own[number[own] < 0]
        number[own] = np.arange(users, users + len(own))
        users += len(own)
    return number, users


__all__ = ["UNKNOWN", "by_region"]
