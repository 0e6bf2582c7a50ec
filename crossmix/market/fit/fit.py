"""Fit the market from an ingested log (§2.2; docs/design.md#market).

Fitted on the training period and on users who are not held out, so that the held-out users of the same period can
judge it. Every parameter comes with a standard error.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from crossmix.artifacts import MarketReport
from crossmix.config import Config, ConfigError
from crossmix.constraints import Limits, check, project
from crossmix.market.fit import contexts as resampled
from crossmix.market.fit import estimators, strata
from crossmix.market.fit.log import Array, Log, read
from crossmix.market.fit.regions import by_region
from crossmix.market.fit.supply import Supply
from crossmix.market.model import PARAMETERS, Market, save
from crossmix.market.replay_splits import retrace
from crossmix.schema import Dataset


def fit(config: Config, dataset: Path, fusion: Path, out: Path) -> dict[str, Any]:
    """Fit, save market.json and bank.npz, and write report.json; returns the report."""
    data = Dataset(dataset)
    log = read(data)
    market = estimate(config, data, log, fusion)
    save(market, out)
    report = {
        "price_kind": market.price_kind,
        "cycle_hours": market.cycle_hours,
        "generated": market.generated,
        "notes": _notes(market, log),
        "platforms": [
            {
                "campaign": campaign,
                "platform": platform,
                "mean_price": {
                    "value": float(market.prices(torch.tensor([c])).mean()[0, p]),
                    "se": None,
                    "provenance": log.meta.provenance.get("price_paid", "real"),
                },
                **{
                    name: {
                        "value": float(market.value[name][c, p]),
                        "se": float(market.error[name][c, p]),
                        "provenance": market.provenance[name],
                    }
                    for name in PARAMETERS
                },
            }
            for c, campaign in enumerate(market.campaigns)
            for p, platform in enumerate(market.platforms)
        ],
    }
    MarketReport.of(report).save(out)
    return report


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
    log_ctr_se: Array
    """Standard error of ln of the click rate that comes from not knowing saturation and volume."""
    requests_se: Array
    delay: Array
    """(C, P, D + 1)."""
    seen_T: npt.NDArray[np.bool_]
    """Training cycles whose price level was fitted."""
    guessed: tuple[str, ...]
    """Parameters that rest on assumptions."""
    exposure: Array | None = None
    """Of every impression, (n,): what saturation leaves of its click probability."""


def of_impressions(config: Config, log: Log) -> Evidence:
    """Evidence of single impressions: their prices, bids, and rank within their cycle."""
    train, fit_users = log.train_cycles, log.fitted_rows()
    supplies = log.supplies(config)
    saturation = estimators.saturation(log, supplies, fit_users, config.market.saturation)
    exposure = estimators.exposure(log, supplies, saturation[0])
    converted = log.frame["converted"].to_numpy(bool)
    _, _, requests_sd = _volume(log, supplies)
    requests = estimators.stack(supplies, "requests")[:train].mean(0)
    sampling = np.sqrt((estimators.stack(supplies, "requests_error")[:train] ** 2).sum(0)) / train
    return Evidence(
        supplies=supplies,
        saturation=saturation,
        value=estimators.value(log, fit_users & converted),
        fade_TCP=log.per_cycle(exposure, keep=fit_users)[:train],
        log_ctr_se=np.zeros(log.shape[1:]),
        requests_se=np.hypot(sampling, requests * requests_sd / np.sqrt(train)),
        delay=_delays(log, fit_users & converted, config.market.max_delay_cycles),
        seen_T=np.ones(train, bool),
        guessed=("requests", "requests_sd", "saturation", "bid_dispersion") if supplies[0][0].approximated else (),
        exposure=exposure,
    )


def of_totals(config: Config, log: Log) -> Evidence:
    """Evidence of a spend history (`crossmix.market.fit.spend_history`)."""
    train = log.train_cycles
    found = log.inferred(config)
    supplies = log.history_supplies(config, found)
    totals = {name: table[:train] for name, table in log.totals(log.fitted_rows()).items()}
    fading = found.saturation * totals["impressions"] / estimators.stack(supplies, "requests")[:train]
    mean_fade = np.where(fading > 1e-6, -np.expm1(-fading) / np.maximum(fading, 1e-6), 1.0)
    delay = np.zeros((*log.shape[1:], config.market.max_delay_cycles + 1))
    delay[..., 0] = 1.0
    return Evidence(
        supplies=supplies,
        saturation=(found.saturation, found.saturation_se),
        value=estimators.value_of_totals(totals["conversions"], totals["revenue"]),
        fade_TCP=totals["impressions"] * mean_fade,
        log_ctr_se=found.log_ctr_se,
        requests_se=found.requests_se,
        delay=delay,
        seen_T=log.fitted_cycles()[:train],
        guessed=("requests", "requests_sd", "saturation", "bid_dispersion", "value_cv", "pacing", "ctr"),
    )


def estimate(config: Config, dataset: Dataset, log: Log, fusion: Path | None) -> Market:
    """The market of a log; without `fusion` (no contexts), contexts are zero and do not move rates."""
    times, campaigns, platforms = log.shape
    train = log.train_cycles
    evidence = of_totals(config, log) if log.meta.aggregate else of_impressions(config, log)
    fusion = None if log.meta.aggregate else fusion
    supplies, fade_TCP = evidence.supplies, evidence.fade_TCP
    saturation, saturation_se = evidence.saturation
    value, value_se, value_cv = evidence.value
    fitted = {name: table[:train] for name, table in log.totals(log.fitted_rows()).items()}
    clicks_TCP, conversions_TCP = fitted["clicks"], fitted["conversions"]
    ctr, ctr_se = estimators.rate(clicks_TCP.sum(0), fade_TCP.sum(0))
    ctr_se = np.hypot(ctr_se, ctr * evidence.log_ctr_se)
    cvr, cvr_se = estimators.rate(conversions_TCP.sum(0), clicks_TCP.sum(0))

    contexts = resampled.contexts(config, log, fusion)
    response, response_mean = resampled.responses(log, fusion, contexts.cycle_group_CT)
    mix_variance = np.log(np.maximum(contexts.rate_CNP, 1e-3)).var(1)
    response_week = _response_week(log, clicks_TCP, fade_TCP * ctr)
    fade_TCP = fade_TCP * response_week[..., log.weekdays()[:train]].transpose(2, 0, 1)
    ctr_drift, ctr_rho = estimators.drift(
        estimators.log_rate(clicks_TCP, fade_TCP), 1 / np.maximum(clicks_TCP, 0.5), mix_variance
    )
    cvr_drift, cvr_rho = estimators.drift(
        estimators.log_rate(conversions_TCP, clicks_TCP), 1 / np.maximum(conversions_TCP, 0.5), 0.0
    )
    level = np.log(estimators.stack(supplies, "level")[:train])
    price_drift, price_rho = estimators.drift(
        np.where(evidence.seen_T[:, None, None], level, np.nan),
        estimators.stack(supplies, "level_error")[:train] ** 2,
        0.0,
    )

    requests_TCP, week, requests_sd = _volume(log, supplies)
    requests = requests_TCP[:train].mean(0)

    differences = _strata(config, log, evidence, requests_TCP, requests_sd, week, fade_TCP, np.exp(level))
    planned, low, high = log.planned(dataset)
    budget = planned[:train].sum(2).mean(0)
    spend = log.totals()["spend"][:train].sum(0)
    budget = np.where(budget > 0, budget, spend.sum(1) / train)
    static = planned[:train].sum(0)
    static = np.where(static.sum(1, keepdims=True) > 0, static, spend)
    minimum, maximum, step, freeze = _limits(config, log, low, high)
    boxed = [_tensor(x) for x in (minimum, maximum)]
    limits = Limits(boxed[0], boxed[1], torch.tensor(freeze), _tensor(step))
    check(limits.minimum_P, limits.maximum_P, log.meta.platforms)
    zeros = np.zeros((campaigns, platforms))
    values = {
        "requests": (requests, evidence.requests_se),
        "requests_sd": (requests_sd, requests_sd / np.sqrt(2 * max(train - 1, 1))),
        "ctr": (ctr, ctr_se),
        "cvr": (cvr, cvr_se),
        "value": (value, value_se),
        "value_cv": (value_cv, zeros),
        "saturation": (saturation, saturation_se),
        "ctr_drift": (ctr_drift, ctr_drift / np.sqrt(2 * max(train / 10, 1))),
        "cvr_drift": (cvr_drift, cvr_drift / np.sqrt(2 * max(train / 10, 1))),
        "price_drift": (price_drift, price_drift / np.sqrt(2 * max(train / 10, 1))),
        "ctr_persistence": (ctr_rho, estimators.persistence_se(ctr_rho, train)),
        "cvr_persistence": (cvr_rho, estimators.persistence_se(cvr_rho, train)),
        "price_persistence": (price_rho, estimators.persistence_se(price_rho, train)),
    }
    tag = "generated" if log.meta.generated else "real"
    provenance = dict.fromkeys(PARAMETERS, tag) | dict.fromkeys(evidence.guessed, "approximated")
    knots = np.stack([[cell.knots for cell in row] for row in supplies])
    dispersion = np.array([[cell.dispersion for cell in row] for row in supplies])
    values |= {"pacing": (zeros, zeros), "bid_dispersion": (dispersion, zeros)}
    curves = np.stack([[cell.curve for cell in row] for row in supplies])
    market = Market(
        campaigns=log.meta.campaigns,
        platforms=log.meta.platforms,
        currency=log.meta.currency,
        generated=log.meta.generated,
        cycle_hours=log.meta.cycle_hours,
        digest=log.meta.digest,
        value={name: _tensor(pair[0]) for name, pair in values.items()},
        error={name: _tensor(pair[1]) for name, pair in values.items()},
        provenance=provenance,
        price_kind=config.market.price,
        price=_tensor(_lognormal(config, curves) if config.market.price == "lognormal" else curves),
        price_law=_tensor(knots),
        volume_week=_tensor(week),
        response_week=_tensor(response_week),
        delay=_tensor(evidence.delay),
        minimum=boxed[0],
        maximum=boxed[1],
        step=limits.step_P,
        freeze=limits.freeze_P,
        budget=_tensor(budget),
        static=project(_tensor(static / static.sum(1, keepdims=True)), *boxed),
        control=project(_tensor(_shares(spend)), *boxed),
        horizon=times - train,
        context=_tensor(contexts.bank_CND),
        context_rate=_tensor(contexts.rate_CNP),
        context_group=torch.tensor(contexts.group_CN),
        cycle_group=torch.tensor(contexts.cycle_group_CT),
        cold_context=_tensor(contexts.cold_CD),
        present_context=_tensor(contexts.present_CD),
        response=_tensor(response),
        response_mean=_tensor(response_mean),
        strata=differences.plain(),
        path={
            "requests": _tensor(requests_TCP[:train]),
            "level": _tensor(np.exp(level)),
            "ctr": _tensor(
                estimators.path(clicks_TCP, fade_TCP, ctr, ctr_drift, ctr_rho)
                * response_week[..., log.weekdays()[:train]].transpose(2, 0, 1)
            ),
            "cvr": _tensor(estimators.path(conversions_TCP, clicks_TCP, cvr, cvr_drift, cvr_rho)),
        },
    )
    if planned[:train].sum() > 0 and not log.plan_from_spend:
        # Spend of the users fitted on, scaled by their share of the impressions.
        impressions = log.per_cycle()[:train].sum((0, 1))
        seen = fitted["impressions"].sum((0, 1))
        paid = fitted["spend"].sum((0, 1))
        market.value["pacing"][:] = _tensor(_pacing(market, planned, paid * impressions / np.maximum(seen, 1)))
    return market


def _strata(
    config: Config,
    log: Log,
    evidence: Evidence,
    requests_TCP: Array,
    requests_sd_CP: Array,
    week_CP7: Array,
    exposed_TCP: Array,
    level_TCP: Array,
) -> strata.Strata:
    """How the log's periods differ from the market, and its regions where impressions name them."""
    train, fit_rows = log.train_cycles, log.fitted_rows()
    totals = {name: table[:train] for name, table in log.totals(fit_rows).items()}
    names, period_T = strata.periods(log.meta, train)
    delivered = strata.Cubes(
        clicks=totals["clicks"],
        exposed=exposed_TCP,
        conversions=totals["conversions"],
        revenue=totals["revenue"],
        requests=requests_TCP[:train],
        requests_variance=estimators.stack(evidence.supplies, "requests_error")[:train] ** 2,
        usual=week_CP7[..., log.weekdays()[:train]].transpose(2, 0, 1),
        level=level_TCP,
        level_error=estimators.stack(evidence.supplies, "level_error")[:train],
    )
    regional: tuple[tuple[str, ...], strata.Cubes | None] = ((), None)
    if evidence.exposure is not None:
        regional = by_region(config, log, evidence.supplies, period_T, evidence.exposure, fit_rows)
    noise = requests_sd_CP**2 / np.bincount(period_T)[:, None, None]
    return strata.estimate(names, strata.by_period(delivered, period_T), evidence.value[2], noise, *regional)


def _tensor(array: npt.ArrayLike) -> torch.Tensor:
    return torch.tensor(np.asarray(array), dtype=torch.float32)


def _shares(spend_CP: Array) -> Array:
    total = spend_CP.sum(1, keepdims=True)
    return np.asarray(np.where(total > 0, spend_CP / np.maximum(total, 1e-12), 1 / spend_CP.shape[1]))


def _response_week(log: Log, clicks_TCP: Array, expected_TCP: Array) -> Array:
    """Click probability by weekday over its mean, pooled over campaigns, (C, P, 7).

    Each factor is shrunk towards 1 as if by 200 more clicks at the mean rate: drift moves whole weeks too.
    """
    factors = np.ones((log.shape[2], 7))
    if log.meta.weekday_pattern:
        weekday = log.weekdays()[: len(clicks_TCP)]
        for day in range(7):
            clicks = clicks_TCP[weekday == day].sum((0, 1))
            expected = expected_TCP[weekday == day].sum((0, 1))
            factors[:, day] = (clicks + 200) / (expected + 200)
        factors /= factors.mean(1, keepdims=True)
    return np.broadcast_to(factors, (log.shape[1], *factors.shape)).copy()


def _volume(log: Log, supplies: list[list[Supply]]) -> tuple[Array, Array, Array]:
    """Requests (T, C, P), weekday factors (C, P, 7), and the deviation of what is left (C, P)."""
    requests = estimators.stack(supplies, "requests")
    train = log.train_cycles
    error = estimators.stack(supplies, "requests_error")
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


def _pacing(market: Market, planned_TCP: Array, spend_P: Array) -> Array:
    """Pacing error per platform that makes the market spend what the log spent, by bisection; 0 if it spent more."""
    shape = market.path["requests"].shape
    low, high = np.zeros(shape[2]), np.full(shape[2], 0.5)
    for _ in range(20):
        middle = 0.5 * (low + high)
        market.value["pacing"][:] = _tensor(middle)
        spent = retrace(market, planned_TCP).spend.double().reshape(shape).sum((0, 1)).numpy()
        low, high = np.where(spent > spend_P, middle, low), np.where(spent > spend_P, high, middle)
    return low


def _limits(
    config: Config, log: Log, low_CP: Array, high_CP: Array
) -> tuple[Array, Array, Array, npt.NDArray[np.bool_]]:
    defaults = config.limits
    unknown = [name for name in defaults.freeze if name not in log.meta.platforms]
    if unknown:
        raise ConfigError(
            f"limits.freeze: {unknown[0]!r} is not a platform of this log; use one of {', '.join(log.meta.platforms)}"
        )
    minimum = np.where(np.isfinite(low_CP), low_CP, defaults.minimum)
    maximum = np.where(np.isfinite(high_CP), high_CP, defaults.maximum)
    freeze = np.array([name in defaults.freeze for name in log.meta.platforms])
    return minimum, maximum, np.full_like(minimum, defaults.step), np.broadcast_to(freeze, minimum.shape).copy()


def _delays(log: Log, keep: npt.NDArray[np.bool_], longest: int) -> Array:
    """Distribution of cycles between impression and conversion, (C, P, D + 1); pooled over campaigns."""
    frame = log.frame[keep]
    lag = np.clip(frame["arrival"].to_numpy() - frame["cycle"].to_numpy(), 0, longest).astype(np.int64)
    table = np.zeros((log.shape[2], longest + 1))
    np.add.at(table, (frame["p"].to_numpy(), lag), 1.0)
    prior = table.sum(0) / max(table.sum(), 1)
    prior = prior if prior.sum() > 0 else np.eye(longest + 1)[0]
    table = table + 5 * prior
    table /= table.sum(1, keepdims=True)
    return np.broadcast_to(table, (log.shape[1], *table.shape)).copy()


def _lognormal(config: Config, curve: Array) -> Array:
    """mu and sigma by moments of the log cost curve; the paper's LN(1.2, 0.5) where there is no price."""
    inner = np.log(np.maximum(curve[..., 1:-1], 1e-12))
    empty = curve.max(-1) <= 1e-6
    mu = np.where(empty, config.market.lognormal_mu, inner.mean(-1))
    sigma = np.where(empty | (inner.std(-1) < 1e-3), config.market.lognormal_sigma, inner.std(-1))
    return np.stack([mu, sigma], -1)


def _notes(market: Market, log: Log) -> list[str]:
    notes = []
    if log.meta.aggregate:
        notes.append(
            "The log is a spend history: supply, its price curve and saturation are inferred from how daily totals "
            "move together, with priors (config market.assumed_win_rate, .assumed_bid_dispersion, .saturation)."
        )
    elif market.provenance["requests"] == "approximated":
        notes.append(
            "The log has no bids: request volume, win rate and saturation rest on an assumed win rate, and what more "
            "wins would cost on an assumed spread of bids (config market.assumed_win_rate, .assumed_bid_dispersion)."
        )
    if not log.meta.weekday_pattern:
        notes.append("The log is too short or its clock too coarse for a weekday pattern; every day is alike.")
    if float(market.value["ctr_drift"].max()) == 0:
        notes.append("Cycle-to-cycle variation of the click rate is within sampling noise: no drift is simulated.")
    return notes
