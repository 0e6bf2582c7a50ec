"""What a log tells of supply and response: impressions one by one, totals through the same forward model.

Shapes: T cycles, C campaigns, P platforms, D + 1 delays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from crossmix.config import Config
from crossmix.fading import Fading, per_click
from crossmix.market.fit import estimators
from crossmix.market.fit.blocks import Of
from crossmix.market.fit.delays import due
from crossmix.market.fit.history_supply import supply as supply_of_totals
from crossmix.market.fit.log import Array, Log
from crossmix.market.fit.spend_history import Aggregate
from crossmix.market.fit.spend_history import fit as fit_totals
from crossmix.market.fit.supply import Supply, estimate


def supplies(config: Config, log: Log) -> list[list[Supply]]:
    """Supply of every campaign and platform; the price law is fitted on training cycles and users not held out."""
    if log.meta.aggregate:
        return history_supplies(config, log, inferred(config, log))
    fit = log.fitted_rows()
    rows: list[list[Supply]] = []
    for c in range(log.shape[1]):
        rows.append([])
        for p in range(log.shape[2]):
            cell = (log.column("c") == c) & (log.column("p") == p)
            bid = log.column("bid_price")[cell].astype(float, copy=False)
            rows[-1].append(
                estimate(
                    log.column("price_paid")[cell].astype(float, copy=False),
                    bid if len(bid) and np.isfinite(bid).all() else None,
                    log.column("cycle")[cell],
                    fit[cell],
                    log.shape[0],
                    fit_cycles=log.train_cycles,
                    quantiles=config.market.quantiles,
                    assumed_win_rate=config.market.assumed_win_rate,
                    assumed_dispersion=config.market.assumed_bid_dispersion,
                )
            )
    return rows


def inferred(config: Config, log: Log) -> Aggregate:
    """Supply and response of a spend history."""
    weekday_T = log.weekdays() if log.meta.weekday_pattern else None
    return fit_totals(config.market, log.totals(), log.fitted_cycles(), weekday_T, log.meta.today_cycles)


def history_supplies(config: Config, log: Log, aggregate: Aggregate) -> list[list[Supply]]:
    """`supplies` of a spend history.

    In every cycle that was seen the price multiplier is the one at which the observed spend buys the observed
    impressions; in the training cycles held out it is the smoothed one, so that they can judge.
    """
    totals, fitted, weekday = log.totals(), log.fitted_cycles(), log.weekdays()
    held = ~fitted & (np.arange(log.shape[0]) < log.train_cycles)
    return [
        [
            supply_of_totals(
                aggregate,
                (c, p),
                totals["impressions"][:, c, p],
                totals["spend"][:, c, p],
                smoothed=held,
                weekday=weekday,
                settings=config.market,
            )
            for p in range(log.shape[2])
        ]
        for c in range(log.shape[1])
    ]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What impressions and totals tell in different ways; each (C, P) unless said otherwise."""

    supplies: list[list[Supply]]
    saturation: tuple[Array, Array]
    """With its standard error, as the next two."""
    value: tuple[Array, Array, Array]
    """Mean, standard error, coefficient of variation."""
    fade_TCP: Array
    """Impressions fitted on, each weighted by what saturation leaves of its click probability."""
    requests_se: Array
    delay: Array
    """(C, P, D + 1)."""
    seen_T: npt.NDArray[np.bool_]
    """Training cycles whose price multiplier was fitted."""
    guessed: tuple[str, ...]
    """Parameters that rest on assumptions."""
    exposure: Of | None = None
    """Of impressions: what saturation leaves of their click probability."""
    whole: Aggregate | None = None
    """Of a spend history: rates and response as they were fitted as a whole."""
    at_once_TCP: Array | None = None
    """Of a spend history, with the next: clicks of the cycle, each weighing what one converts over one of a usual cycle
    (`crossmix.fading`)."""
    due_TCP: Array | None = None
    """The same of the clicks that the cycle's conversions come from, by the delay's law."""

    def slow(self, name: str) -> Array | float:
        """What price, clicks or conversions were by the slow moves of their level (`Aggregate.slow`), in the training
        cycles, (T, C, P): it is no drift around the level."""
        return 1.0 if self.whole is None else self.whole.slow[name][: len(self.seen_T)]


def gathered(config: Config, log: Log) -> Evidence:
    """All that the market is fitted from."""
    return _of_totals(config, log) if log.meta.aggregate else _of_impressions(config, log)


def _of_impressions(config: Config, log: Log) -> Evidence:
    """Evidence of single impressions: their prices, bids, and rank within their cycle."""
    train, fit_users = log.train_cycles, log.fitted_rows()
    cells = supplies(config, log)
    used = estimators.rank_fraction(log, cells)
    saturation = estimators.saturation(log, used, fit_users, config.market.saturation)
    exposure = estimators.exposure(log, used, saturation[0])
    converted = log.column("converted").astype(bool, copy=False)
    _, _, requests_sd = volume(log, cells)
    requests = estimators.stack(cells, "requests")[:train].mean(0)
    sampling = np.sqrt((estimators.stack(cells, "requests_error")[:train] ** 2).sum(0)) / train
    return Evidence(
        supplies=cells,
        saturation=saturation,
        value=estimators.value(log, fit_users & converted),
        fade_TCP=log.per_cycle(exposure, keep=fit_users)[:train],
        requests_se=np.hypot(sampling, requests * requests_sd / np.sqrt(train)),
        delay=_delays(log, fit_users & converted, config.market.max_delay_cycles),
        seen_T=np.ones(train, bool),
        guessed=("requests", "requests_sd", "saturation", "bid_dispersion") if cells[0][0].approximated else (),
        exposure=exposure,
    )


def _of_totals(config: Config, log: Log) -> Evidence:
    """Evidence of a spend history (`crossmix.market.fit.spend_history`)."""
    train = log.train_cycles
    aggregate = inferred(config, log)
    cells = history_supplies(config, log, aggregate)
    totals = {name: table[:train] for name, table in log.totals(log.fitted_rows()).items()}
    requests_TCP = estimators.stack(cells, "requests")[:train]
    fading = aggregate.saturation[0] * totals["impressions"] / requests_TCP
    mean_fade = np.where(fading > 1e-6, -np.expm1(-fading) / np.maximum(fading, 1e-6), 1.0)
    # Clicks of cycles held out are known, and bring what is due in others.
    whole = {name: table[:train] for name, table in log.totals().items()}
    won = torch.from_numpy(whole["impressions"] / requests_TCP)
    converting = whole["clicks"] * per_click(fading_of(aggregate), won).numpy()
    known = log.fitted_cycles()[:train, None, None] & (totals["impressions"] > 0)
    late = aggregate.delay.shape[1]
    delay = np.zeros((*log.shape[1:], max(config.market.max_delay_cycles + 1, late)))
    delay[..., :late] = aggregate.delay
    return Evidence(
        supplies=cells,
        saturation=aggregate.saturation,
        value=(
            *aggregate.value,
            estimators.value_of_totals(totals["conversions"], totals["revenue"] / aggregate.slow["value"][:train])[2],
        ),
        fade_TCP=totals["impressions"] * mean_fade,
        requests_se=aggregate.requests_se,
        delay=delay,
        seen_T=log.fitted_cycles()[:train],
        at_once_TCP=np.where(known, converting, 0.0),
        due_TCP=np.where(known, due(converting, aggregate.delay), 0.0),
        guessed=("requests", "requests_sd", "saturation", "bid_dispersion", "value_cv", "pacing", "ctr", "usual_share"),
        whole=aggregate,
    )


def fading_of(aggregate: Aggregate) -> Fading:
    """The response of conversions to wins, (C, P)."""
    tables = (aggregate.saturation[0], aggregate.usual_share, aggregate.elasticity[0], aggregate.bend[0])
    return Fading(*(torch.from_numpy(table) for table in tables))


def volume(log: Log, cells: list[list[Supply]]) -> tuple[Array, Array, Array]:
    """Requests (T, C, P), weekday factors (C, P, 7), and the deviation of what is left (C, P)."""
    requests = estimators.stack(cells, "requests")
    train = log.train_cycles
    error = estimators.stack(cells, "requests_error")
    weekday = log.weekdays()
    mean = np.maximum(requests[:train].mean(0), 1e-9)
    week = np.ones((*mean.shape, 7))
    if log.meta.weekday_pattern:
        # Pooled over campaigns: a platform's users do not know whose campaign it is.
        relative = (requests[:train] / mean).mean(1)
        for day in range(7):
            rows = relative[weekday[:train] == day]
            if len(rows):
                week[..., day] = rows.mean(0)
        week /= week.mean(-1, keepdims=True)
    residual = np.log(np.maximum(requests[:train], 0.5) / (mean * week[..., weekday[:train]].transpose(2, 0, 1)))
    sampling = (error[:train] ** 2 / np.maximum(requests[:train], 1) ** 2 + 1 / np.maximum(requests[:train], 1)).mean(0)
    return requests, week, np.sqrt(np.maximum(residual.var(0) - sampling, 0.0))


def _delays(log: Log, keep: npt.NDArray[np.bool_], longest: int) -> Array:
    """Distribution of cycles between impression and conversion, (C, P, D + 1); pooled over campaigns."""
    arrival, cycle, p = (log.column(name)[keep].astype(np.int64) for name in ("arrival", "cycle", "p"))
    lag = np.clip(arrival - cycle, 0, longest)
    table = np.zeros((log.shape[2], longest + 1))
    np.add.at(table, (p, lag), 1.0)
    prior = table.sum(0) / max(table.sum(), 1)
    prior = prior if prior.sum() > 0 else np.eye(longest + 1)[0]
    table = table + 5 * prior
    table /= table.sum(1, keepdims=True)
    return np.broadcast_to(table, (log.shape[1], *table.shape)).copy()
