"""Fit the market from an ingested log (§2.2; docs/design.md#market).

Fitted on the training period and on users who are not held out, so that the held-out users of the same period can
judge it. Every parameter comes with a standard error.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from crossmix.artifacts import MarketReport
from crossmix.config import Config
from crossmix.market.fit import contexts as resampled
from crossmix.market.fit import delays, estimators, rate_of_due, strata
from crossmix.market.fit.evidence import Evidence, gathered, volume
from crossmix.market.fit.log import Array, Log, read
from crossmix.market.fit.notes import notes
from crossmix.market.fit.plan import plan_of, tensor
from crossmix.market.fit.regions import by_region
from crossmix.market.fit.today import largest
from crossmix.market.model import DUE, NEUTRAL, PARAMETERS, SERVED, Market, save
from crossmix.market.replay_splits import retrace
from crossmix.schema import Dataset


def fit(config: Config, dataset: Path, fusion: Path, out: Path) -> dict[str, Any]:
    """Fit, save market.json and bank.npz, and write report.json; returns the report.

    A spend history is fitted twice: on the training period, for the gates to judge, and on all periods, for the answers
    (`SERVED`): a platform that began late, or a response that the last months show best, is not left out.
    """
    data = Dataset(dataset)
    log = read(data)
    market = estimate(config, data, log, fusion)
    save(market, out)
    late, served = None, market
    if log.meta.aggregate:
        (out / SERVED).mkdir()
        served = estimate(config, data, log, fusion, periods="all")
        save(served, out / SERVED)
        late = delays.told(served.platforms, served.delay[0].double().numpy(), served.cycle_hours / 24)
    report = {
        "price_kind": market.price_kind,
        "cycle_hours": market.cycle_hours,
        "generated": market.generated,
        "notes": notes(market, served, log),
        "late": late,
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


def estimate(
    config: Config, dataset: Dataset, log: Log, fusion: Path | None, periods: Literal["train", "all"] = "train"
) -> Market:
    """The market of a log; without `fusion` contexts only tell campaigns apart, and move no rates.

    Args:
        periods: fitted on; all of them, held-out cycles too, is for what is served once the gates have judged.
    """
    horizon = log.shape[0] - log.train_cycles
    log = log.whole() if periods == "all" else log
    train = log.train_cycles
    evidence = gathered(config, log)
    fusion = None if log.meta.aggregate else fusion
    contexts = resampled.contexts(config, log, fusion)
    response, response_mean = resampled.responses(log, fusion, contexts.cycle_group_CT)
    offer, rates = _offer(log, evidence), _rates(config, log, evidence, contexts.rate_CNP)
    planned, low, high = log.planned(dataset)
    values = offer.values | rates.values | _given(evidence)
    untried = np.zeros(log.shape[1:], bool) if evidence.whole is None else evidence.whole.untried
    plan = plan_of(config, log, planned, low, high, untried)
    dates = {one.campaign: one.last for one in log.meta.ended}
    differences = _strata(config, log, evidence, offer, rates.exposed_TCP)
    market = Market(
        campaigns=log.meta.campaigns,
        platforms=log.meta.platforms,
        currency=log.meta.currency,
        generated=log.meta.generated,
        cycle_hours=log.meta.cycle_hours,
        digest=log.meta.digest,
        value={name: tensor(values[name][0]) for name in PARAMETERS},
        error={name: tensor(values[name][1]) for name in PARAMETERS},
        provenance=dict.fromkeys(PARAMETERS, "generated" if log.meta.generated else "real")
        | dict.fromkeys(evidence.guessed, "approximated"),
        price_kind=config.market.price,
        price=tensor(_lognormal(config, offer.curves) if config.market.price == "lognormal" else offer.curves),
        price_law=tensor(np.stack([[cell.knots for cell in row] for row in evidence.supplies])),
        volume_week=tensor(offer.week),
        response_week=tensor(rates.week),
        delay=tensor(evidence.delay),
        minimum=plan.limits.minimum_P,
        maximum=plan.limits.maximum_P,
        step=plan.limits.step_P,
        freeze=plan.limits.freeze_P,
        budget=tensor(plan.budget),
        static=plan.static,
        control=plan.control,
        horizon=horizon,
        context=tensor(contexts.bank_CND),
        context_rate=tensor(contexts.rate_CNP),
        context_group=torch.tensor(contexts.group_CN),
        cycle_group=torch.tensor(contexts.cycle_group_CT),
        cold_context=tensor(contexts.cold_CD),
        present_context=tensor(contexts.present_CD),
        response=tensor(response),
        response_mean=tensor(response_mean),
        strata=differences.plain(),
        untried=torch.tensor(untried),
        most=tensor(largest(log)),
        ended=tuple(dates.get(campaign) for campaign in log.meta.campaigns) if dates else (),
        shared={} if evidence.whole is None else {name: tensor(one) for name, one in evidence.whole.shared.items()},
        path={
            "requests": tensor(offer.requests_TCP[:train]),
            "level": tensor(offer.price_multiplier_TCP),
            "ctr": tensor(rates.ctr_path_TCP),
            "cvr": tensor(rates.cvr_path_TCP),
        }
        | ({} if evidence.whole is None else {"value": tensor(evidence.slow("value"))})
        | ({} if rates.cvr_due_TCP is None else {DUE: tensor(rates.cvr_due_TCP)}),
    )
    if planned[:train].sum() > 0 and not log.plan_from_spend:
        market.value["pacing"][:] = tensor(_pacing(market, planned, _spent(log)))
    return market


Pair = tuple[Array, Array]
"""A parameter and its standard error, (C, P) each."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """What the platforms offer: requests and their price."""

    values: dict[str, Pair]
    requests_TCP: Array
    """Of all cycles."""
    week: Array
    """Requests by weekday over their mean, (C, P, 7)."""
    requests_sd: Array
    price_multiplier_TCP: Array
    """Of the training cycles, as the next ones."""
    price_error_TCP: Array
    curves: Array
    """(C, P, K + 1)."""


def _offer(log: Log, evidence: Evidence) -> _Offer:
    train, supplies = log.train_cycles, evidence.supplies
    log_multiplier = np.log(estimators.stack(supplies, "price_multiplier")[:train])
    error = estimators.stack(supplies, "price_multiplier_error")[:train]
    requests_TCP, week, requests_sd = volume(log, supplies)
    fitted = np.where(evidence.seen_T[:, None, None], log_multiplier - np.log(evidence.slow("price")), np.nan)
    dispersion = np.array([[cell.dispersion for cell in row] for row in supplies])
    # A history's are those of the end; cycles that once won more than all of them are no part of that.
    requests = requests_TCP[:train].mean(0) if evidence.whole is None else evidence.whole.requests
    return _Offer(
        values={
            "requests": (requests, evidence.requests_se),
            "requests_sd": (requests_sd, requests_sd / np.sqrt(2 * max(train - 1, 1))),
            "bid_dispersion": (dispersion, np.zeros_like(dispersion)),
            **_drift("price", estimators.drift(fitted, error**2, 0.0), train),
        },
        requests_TCP=requests_TCP,
        week=week,
        requests_sd=requests_sd,
        price_multiplier_TCP=np.exp(log_multiplier),
        price_error_TCP=error,
        curves=np.stack([[cell.curve for cell in row] for row in supplies]),
    )


@dataclass(frozen=True, slots=True)
class _Rates:
    """How users react: click and conversion rates."""

    values: dict[str, Pair]
    exposed_TCP: Array
    """Impressions, each weighing what saturation and weekday leave of the click rate."""
    week: Array
    """Click probability by weekday over its mean, (C, P, 7)."""
    ctr_path_TCP: Array
    """Multiplier of the rate in every training cycle, as the next one."""
    cvr_path_TCP: Array
    cvr_due_TCP: Array | None
    """The same over the clicks that they are due of; `None`: they come at once."""


def _rates(config: Config, log: Log, evidence: Evidence, context_rate_CNP: Array) -> _Rates:
    train = log.train_cycles
    totals = {name: table[:train] for name, table in log.totals(log.fitted_rows()).items()}
    clicks, conversions = totals["clicks"], totals["conversions"]
    at_once = clicks if evidence.at_once_TCP is None else evidence.at_once_TCP
    due = clicks if evidence.due_TCP is None else evidence.due_TCP
    slow_ctr, slow_cvr = evidence.slow("clicks"), evidence.slow("conversions")
    if evidence.whole is None:
        ctr, ctr_se = estimators.rate(clicks.sum(0), evidence.fade_TCP.sum(0))
        cvr, cvr_se = estimators.rate(conversions.sum(0), clicks.sum(0))
    else:
        (ctr, ctr_se), (cvr, cvr_se) = evidence.whole.ctr, evidence.whole.cvr
    week = _response_week(log, clicks, evidence.fade_TCP * slow_ctr * ctr)
    week_TCP = week[..., log.weekdays()[:train]].transpose(2, 0, 1)
    exposed = evidence.fade_TCP * week_TCP
    mixed = np.log(np.maximum(context_rate_CNP, 1e-3)).var(1)
    # Drifts wander around the level; what the level did slowly is on the path.
    followed, owed = exposed * slow_ctr, due * slow_cvr
    # The path tells what a cycle's conversions were over its own clicks, wherever they came from.
    on_path = at_once * slow_cvr
    path_drift = estimators.drift(estimators.log_rate(conversions, on_path), 1 / np.maximum(conversions, 0.5), 0.0)
    ctr_drift = estimators.drift(estimators.log_rate(clicks, followed), 1 / np.maximum(clicks, 0.5), mixed)
    cvr_drift = estimators.drift(estimators.log_rate(conversions, owed), 1 / np.maximum(conversions, 0.5), 0.0)
    return _Rates(
        values={
            "ctr": (ctr, ctr_se),
            "cvr": (cvr, cvr_se),
            **_drift("ctr", ctr_drift, train),
            **_drift("cvr", cvr_drift, train),
        },
        exposed_TCP=exposed,
        week=week,
        ctr_path_TCP=estimators.path(clicks, followed, ctr, *ctr_drift) * slow_ctr * week_TCP,
        cvr_path_TCP=estimators.path(conversions, on_path, cvr, *path_drift) * slow_cvr,
        cvr_due_TCP=rate_of_due.path(conversions, owed, evidence, cvr_drift, log.meta.cycle_hours, config.levels),
    )


def _drift(name: str, law: Pair, train: int) -> dict[str, Pair]:
    """Deviation and persistence with their errors: a drift forgets in about ten cycles, so that ten tell as one."""
    deviation, rho = law
    return {
        f"{name}_drift": (deviation, deviation / np.sqrt(2 * max(train / 10, 1))),
        f"{name}_persistence": (rho, estimators.persistence_se(rho, train)),
    }


def _given(evidence: Evidence) -> dict[str, Pair]:
    """What the evidence holds already; pacing comes last, from the market that all else makes."""
    value, value_se, value_cv = evidence.value
    zeros, whole = np.zeros_like(value), evidence.whole
    given = {name: (np.full_like(value, level), zeros) for name, level in NEUTRAL.items()}
    if whole is not None:
        given |= {
            "price_level": (np.ones_like(value), whole.log_price_se),
            "usual_share": (whole.usual_share, zeros),
            "elasticity": whole.elasticity,
            "bend": whole.bend,
        }
    return given | {
        "value": (value, value_se),
        "value_cv": (value_cv, zeros),
        "saturation": evidence.saturation,
        "pacing": (zeros, zeros),
    }


def _spent(log: Log) -> Array:
    """Spend of the users fitted on, scaled by their share of the impressions, (P,), currency."""
    train = log.train_cycles
    fitted = {name: table[:train].sum((0, 1)) for name, table in log.totals(log.fitted_rows()).items()}
    impressions = log.per_cycle()[:train].sum((0, 1))
    return np.asarray(fitted["spend"] * impressions / np.maximum(fitted["impressions"], 1))


def _strata(config: Config, log: Log, evidence: Evidence, offer: _Offer, exposed_TCP: Array) -> strata.Strata:
    """How the log's periods differ from the market, and its regions where impressions name them."""
    train, fit_rows = log.train_cycles, log.fitted_rows()
    totals = {name: table[:train] for name, table in log.totals(fit_rows).items()}
    names, period_T = strata.periods(log.meta, train)
    delivered = strata.Cubes(
        clicks=totals["clicks"],
        exposed=exposed_TCP,
        conversions=totals["conversions"],
        revenue=totals["revenue"],
        requests=offer.requests_TCP[:train],
        requests_variance=estimators.stack(evidence.supplies, "requests_error")[:train] ** 2,
        usual=offer.week[..., log.weekdays()[:train]].transpose(2, 0, 1),
        price_multiplier=offer.price_multiplier_TCP,
        price_multiplier_error=offer.price_error_TCP,
    )
    regional: tuple[tuple[str, ...], strata.Cubes | None] = ((), None)
    if evidence.exposure is not None:
        regional = by_region(config, log, evidence.supplies, period_T, evidence.exposure, fit_rows)
    noise = offer.requests_sd**2 / np.bincount(period_T)[:, None, None]
    return strata.estimate(names, strata.by_period(delivered, period_T), evidence.value[2], noise, *regional)


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


def _pacing(market: Market, planned_TCP: Array, spend_P: Array) -> Array:
    """Pacing error per platform that makes the market spend what the log spent, by bisection; 0 if it spent more."""
    shape = market.path["requests"].shape
    low, high = np.zeros(shape[2]), np.full(shape[2], 0.5)
    for _ in range(20):
        middle = 0.5 * (low + high)
        market.value["pacing"][:] = tensor(middle)
        spent = retrace(market, planned_TCP).spend.double().reshape(shape).sum((0, 1)).numpy()
        low, high = np.where(spent > spend_P, middle, low), np.where(spent > spend_P, high, middle)
    return low


def _lognormal(config: Config, curve: Array) -> Array:
    """mu and sigma by moments of the log cost curve; the paper's LN(1.2, 0.5) where there is no price."""
    inner = np.log(np.maximum(curve[..., 1:-1], 1e-12))
    empty = curve.max(-1) <= 1e-6
    mu = np.where(empty, config.market.lognormal_mu, inner.mean(-1))
    sigma = np.where(empty | (inner.std(-1) < 1e-3), config.market.lognormal_sigma, inner.std(-1))
    return np.stack([mu, sigma], -1)
