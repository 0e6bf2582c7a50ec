"""Fit the market from an ingested log (§2.2; DESIGN 4).

Fitted on the training period and on users who are not held out, so that the held-out users of the same period can
judge it. Every parameter comes with a standard error.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from crossmix.config import Config, ConfigError
from crossmix.constraints import Limits, check, project
from crossmix.market.log import Array, Log, read
from crossmix.market.model import PARAMETERS, Market, save
from crossmix.market.retrace import retrace
from crossmix.market.supply import Supply
from crossmix.schema import Dataset
from crossmix.state import CONTEXT

# Prior on kappa where the log says little about it.
SATURATION_PRIOR_SD = 0.5


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
    (out / "report.json").write_text(json.dumps(report, indent=1))
    return report


def estimate(config: Config, dataset: Dataset, log: Log, fusion: Path | None) -> Market:
    """The market of a log; without `fusion` (no contexts), contexts are zero and do not move rates."""
    frame, (times, campaigns, platforms) = log.frame, log.shape
    train = log.train_cycles
    supplies = log.supplies(config)
    approximated = supplies[0][0].approximated
    fit_users = (frame["split"] == "train").to_numpy() & ~frame["holdout"].to_numpy(bool)

    saturation, saturation_se = _saturation(log, supplies, fit_users, config.market.saturation)
    exposure = _exposure(log, supplies, saturation)
    clicked, converted = frame["clicked"].to_numpy(bool), frame["converted"].to_numpy(bool)
    fade_TCP = log.per_cycle(exposure, keep=fit_users)[:train]
    clicks_TCP = log.per_cycle(clicked, keep=fit_users)[:train]
    conversions_TCP = log.per_cycle(converted, keep=fit_users)[:train]
    ctr, ctr_se = _rate(clicks_TCP.sum(0), fade_TCP.sum(0))
    cvr, cvr_se = _rate(conversions_TCP.sum(0), clicks_TCP.sum(0))
    value, value_se, value_cv = _value(log, fit_users & converted)

    contexts, context_rate, cold = _contexts(config, log, fusion)
    mix_variance = np.log(np.maximum(context_rate, 1e-3)).var(1)
    response_week = _response_week(log, clicks_TCP, fade_TCP * ctr)
    fade_TCP = fade_TCP * response_week[..., _weekdays(log)[:train]].transpose(2, 0, 1)
    ctr_drift, ctr_rho = _drift(_log_rate(clicks_TCP, fade_TCP), 1 / np.maximum(clicks_TCP, 0.5), mix_variance)
    cvr_drift, cvr_rho = _drift(_log_rate(conversions_TCP, clicks_TCP), 1 / np.maximum(conversions_TCP, 0.5), 0.0)
    level = np.log(_stack(supplies, "level")[:train])
    price_drift, price_rho = _drift(level, _stack(supplies, "level_error")[:train] ** 2, 0.0)

    requests_TCP, week, requests_sd = _volume(log, supplies)
    requests = requests_TCP[:train].mean(0)
    requests_se = np.sqrt((_stack(supplies, "requests_error")[:train] ** 2).sum(0)) / train
    requests_se = np.hypot(requests_se, requests * requests_sd / np.sqrt(train))

    planned, low, high = log.planned(dataset)
    budget = planned[:train].sum(2).mean(0)
    spend = log.per_cycle(frame["price_paid"])[:train].sum(0)
    budget = np.where(budget > 0, budget, spend.sum(1) / train)
    static = planned[:train].sum(0)
    static = np.where(static.sum(1, keepdims=True) > 0, static, spend)
    minimum, maximum, step, freeze = _limits(config, log, low, high)
    boxed = [_tensor(x) for x in (minimum, maximum)]
    limits = Limits(boxed[0], boxed[1], torch.tensor(freeze), _tensor(step))
    check(limits.minimum_P, limits.maximum_P, log.meta.platforms)
    zeros = np.zeros((campaigns, platforms))
    values = {
        "requests": (requests, requests_se),
        "requests_sd": (requests_sd, requests_sd / np.sqrt(2 * max(train - 1, 1))),
        "ctr": (ctr, ctr_se),
        "cvr": (cvr, cvr_se),
        "value": (value, value_se),
        "value_cv": (value_cv, zeros),
        "saturation": (saturation, saturation_se),
        "ctr_drift": (ctr_drift, ctr_drift / np.sqrt(2 * max(train / 10, 1))),
        "cvr_drift": (cvr_drift, cvr_drift / np.sqrt(2 * max(train / 10, 1))),
        "price_drift": (price_drift, price_drift / np.sqrt(2 * max(train / 10, 1))),
        "ctr_persistence": (ctr_rho, _persistence_se(ctr_rho, train)),
        "cvr_persistence": (cvr_rho, _persistence_se(cvr_rho, train)),
        "price_persistence": (price_rho, _persistence_se(price_rho, train)),
    }
    tag = "generated" if log.meta.generated else "real"
    provenance = dict.fromkeys(PARAMETERS, tag)
    if approximated:
        guessed = ("requests", "requests_sd", "saturation", "bid_dispersion")
        provenance |= dict.fromkeys(guessed, "approximated")
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
        delay=_tensor(_delays(log, fit_users & converted, config.market.max_delay_cycles)),
        minimum=boxed[0],
        maximum=boxed[1],
        step=limits.step_P,
        freeze=limits.freeze_P,
        budget=_tensor(budget),
        static=project(_tensor(static / static.sum(1, keepdims=True)), *boxed),
        control=project(_tensor(_shares(spend)), *boxed),
        horizon=times - train,
        context=_tensor(contexts),
        context_rate=_tensor(context_rate),
        cold_context=_tensor(cold),
        response=_tensor(_responses(log, fusion)),
        path={
            "requests": _tensor(requests_TCP[:train]),
            "level": _tensor(np.exp(level)),
            "ctr": _tensor(
                _path(clicks_TCP, fade_TCP, ctr, ctr_drift, ctr_rho)
                * response_week[..., _weekdays(log)[:train]].transpose(2, 0, 1)
            ),
            "cvr": _tensor(_path(conversions_TCP, clicks_TCP, cvr, cvr_drift, cvr_rho)),
        },
    )
    if planned[:train].sum() > 0 and not log.plan_from_spend:
        # Spend of the users fitted on, scaled by their share of the impressions.
        impressions = log.per_cycle()[:train].sum((0, 1))
        seen = log.per_cycle(keep=fit_users)[:train].sum((0, 1))
        paid = log.per_cycle(frame["price_paid"], keep=fit_users)[:train].sum((0, 1))
        market.value["pacing"][:] = _tensor(_pacing(market, planned, paid * impressions / np.maximum(seen, 1)))
    return market


def _tensor(array: npt.ArrayLike) -> torch.Tensor:
    return torch.tensor(np.asarray(array), dtype=torch.float32)


def _stack(supplies: list[list[Supply]], name: str) -> Array:
    """An attribute of every cell over time, (T, C, P)."""
    return np.stack([[getattr(cell, name) for cell in row] for row in supplies]).transpose(2, 0, 1)


def _shares(spend_CP: Array) -> Array:
    total = spend_CP.sum(1, keepdims=True)
    return np.where(total > 0, spend_CP / np.maximum(total, 1e-12), 1 / spend_CP.shape[1])


def _rank_fraction(log: Log, supplies: list[list[Supply]]) -> Array:
    """k / N of every impression: its place among the wins of its cycle, over the cycle's requests."""
    frame = log.frame
    rank = frame.groupby(["c", "p", "cycle"], sort=False).cumcount().to_numpy(float)
    requests = _stack(supplies, "requests")
    total = requests[frame["cycle"].to_numpy(), frame["c"].to_numpy(), frame["p"].to_numpy()]
    return rank / np.maximum(total, 1)


def _exposure(log: Log, supplies: list[list[Supply]], saturation_CP: Array) -> Array:
    """exp(-kappa k / N) of every impression: what saturation leaves of its click probability."""
    kappa = saturation_CP[log.frame["c"].to_numpy(), log.frame["p"].to_numpy()]
    return np.asarray(np.exp(-kappa * _rank_fraction(log, supplies)))


def _saturation(log: Log, supplies: list[list[Supply]], keep: npt.NDArray[np.bool_], prior: float) -> tuple[Array, Array]:
    """kappa per platform, pooled over campaigns: the conditional likelihood of which of a cycle's impressions were clicked.

    With g a campaign x cycle, clicks at ranks x_i, the profile log-likelihood is
    -kappa sum_clicks x - sum_g C_g ln sum_{i in g} exp(-kappa x_i): free of the cycle's click rate. A normal prior
    around `prior` speaks where the log does not.
    """
    frame = log.frame
    x_all = _rank_fraction(log, supplies)
    clicked_all = frame["clicked"].to_numpy(float)
    group_all = (frame["c"].to_numpy() * log.shape[0] + frame["cycle"].to_numpy()).astype(np.int64)
    kappa, error = np.zeros(log.shape[2]), np.zeros(log.shape[2])
    for p in range(log.shape[2]):
        cell = keep & (frame["p"] == p).to_numpy()
        x, clicked, group = x_all[cell], clicked_all[cell], group_all[cell]
        clicks_g = np.bincount(group, clicked, minlength=1)
        estimate, information = prior, 0.0
        for _ in range(20):
            weight = np.exp(-estimate * x)
            s0 = np.maximum(np.bincount(group, weight), 1e-12)
            s1 = np.bincount(group, weight * x) / s0
            s2 = np.bincount(group, weight * x * x) / s0
            score = -(clicked * x).sum() + (clicks_g * s1).sum() - (estimate - prior) / SATURATION_PRIOR_SD**2
            information = (clicks_g * (s2 - s1**2)).sum() + 1 / SATURATION_PRIOR_SD**2
            move = float(np.clip(score / information, -1, 1))
            estimate = max(estimate + move, 0.0)
            if abs(move) < 1e-6:
                break
        kappa[p], error[p] = estimate, information**-0.5
    shape = log.shape[1:]
    return np.broadcast_to(kappa, shape).copy(), np.broadcast_to(error, shape).copy()


def _rate(hits_CP: Array, trials_CP: Array) -> tuple[Array, Array]:
    """Rates shrunk towards the mean of all cells by a beta prior, whose strength the cells' spread sets (moments)."""
    raw = hits_CP / np.maximum(trials_CP, 1e-9)
    mean = hits_CP.sum() / max(trials_CP.sum(), 1e-9)
    noise = mean * (1 - mean) / np.maximum(trials_CP, 1)
    # Weighted by trials: a cell that was hardly tried tells little about how much cells differ.
    spread = max(float(np.average((raw - mean) ** 2 - noise, weights=np.maximum(trials_CP, 1e-9))), 1e-8)
    strength = float(np.clip(mean * (1 - mean) / spread - 1, 2, 1e4))
    rate = (hits_CP + strength * mean) / (trials_CP + strength)
    return rate, np.sqrt(rate * (1 - np.minimum(rate, 1)) / (trials_CP + strength))


def _value(log: Log, keep: npt.NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """Mean value of a conversion, its error and coefficient of variation; means shrunk by their precision."""
    frame = log.frame[keep]
    shape = log.shape[1:]
    index = np.ravel_multi_index((frame["c"].to_numpy(), frame["p"].to_numpy()), shape)
    size, revenue = int(np.prod(shape)), frame["revenue"].to_numpy(float)
    n = np.bincount(index, minlength=size).astype(float)
    total = np.bincount(index, revenue, size)
    square = np.bincount(index, revenue**2, size)
    overall = float(revenue.mean()) if len(revenue) else 0.0
    overall_cv = float(revenue.std() / overall) if overall > 0 else 0.0
    mean = np.where(n > 0, total / np.maximum(n, 1), overall)
    within = np.maximum(square / np.maximum(n, 1) - mean**2, 0)
    cv = np.where(n >= 10, np.sqrt(within) / np.maximum(mean, 1e-12), overall_cv)
    noise = (cv * mean) ** 2 / np.maximum(n, 1)
    between = max(float(np.average((mean - overall) ** 2 - noise, weights=np.maximum(n, 1e-9))), (0.05 * overall) ** 2)
    trust = np.where(n > 0, between / (between + noise), 0.0)
    value = trust * mean + (1 - trust) * overall
    error = np.sqrt(np.where(n > 0, between * noise / np.maximum(between + noise, 1e-12), between))
    return value.reshape(shape), error.reshape(shape), cv.reshape(shape)


def _log_rate(hits_TCP: Array, trials_TCP: Array) -> Array:
    """ln of a smoothed rate; NaN where a cycle says nothing."""
    base = hits_TCP.sum(0) / np.maximum(trials_TCP.sum(0), 1e-9)
    smooth = (hits_TCP + 0.5) / (trials_TCP + 0.5 / np.maximum(base, 1e-9))
    return np.where(trials_TCP * base >= 1, np.log(np.maximum(smooth, 1e-12)), np.nan)


def _drift(y_TCP: Array, noise_TCP: Array, known: float | Array) -> tuple[Array, Array]:
    """AR(1) deviation and persistence from cycle-to-cycle values with known sampling variance.

    From the variogram, which no unknown mean biases: E[(y_{t+k} - y_t)^2] / 2 = sigma^2 (1 - rho^k) + noise. The
    persistence is pooled over all cells; each cell's variance is shrunk halfway towards the pooled one, since a
    single short series tells little. `known`: variance that contexts explain already.
    """
    cells = y_TCP.shape[1:]
    lags = np.arange(1, len(y_TCP) // 2 + 1)
    if not len(lags):
        return np.zeros(cells), np.zeros(cells)
    rise, weight = [], []
    for lag in lags:
        step = y_TCP[lag:] - y_TCP[:-lag]
        usable = np.isfinite(step)
        count = usable.sum(0)
        noise = np.where(usable, 0.5 * (noise_TCP[lag:] + noise_TCP[:-lag]), 0.0).sum(0)
        total = 0.5 * np.where(usable, step**2, 0.0).sum(0) - noise
        rise.append(total / np.maximum(count, 1) - known)
        weight.append(count)
    rise_KCP, weight_KCP = np.stack(rise), np.stack(weight).astype(float)
    if weight_KCP.sum() == 0:
        return np.zeros(cells), np.zeros(cells)
    pooled_K = (rise_KCP * weight_KCP).sum((1, 2)) / np.maximum(weight_KCP.sum((1, 2)), 1)
    weight_K = weight_KCP.sum((1, 2))
    best = (np.inf, 0.0, 0.0)
    for rho in np.linspace(0, 0.98, 50):
        shape_K = 1 - rho**lags
        variance = max(float((weight_K * pooled_K * shape_K).sum() / (weight_K * shape_K**2).sum()), 0.0)
        misfit = float((weight_K * (pooled_K - variance * shape_K) ** 2).sum())
        best = min(best, (misfit, float(rho), variance))
    _, rho, pooled = best
    shape_K11 = (1 - rho**lags)[:, None, None]
    own = (weight_KCP * rise_KCP * shape_K11).sum(0) / np.maximum((weight_KCP * shape_K11**2).sum(0), 1e-12)
    own = np.where(weight_KCP.sum(0) > 0, np.maximum(own, 0.0), pooled)
    return np.sqrt(0.5 * own + 0.5 * pooled), np.full(cells, rho if pooled > 1e-6 else 0.0)


def _path(hits_TCP: Array, trials_TCP: Array, rate_CP: Array, deviation_CP: Array, rho_CP: Array) -> Array:
    """Multiplier of the rate in each cycle: Kalman-smoothed AR(1) log-drift, scaled so that all hits are explained."""
    y = _log_rate(hits_TCP, trials_TCP) - np.log(np.maximum(rate_CP, 1e-12))
    noise = 1 / np.maximum(hits_TCP, 0.5)
    variance = np.maximum(deviation_CP**2, 1e-10)
    shock = variance * (1 - rho_CP**2)
    filtered, spread, ahead_spread = np.zeros_like(y), np.zeros_like(y), np.zeros_like(y)
    mean, width = np.zeros_like(rate_CP), variance
    for t in range(len(y)):
        if t:
            mean, width = rho_CP * mean, rho_CP**2 * width + shock
        ahead_spread[t] = width
        gain = np.where(np.isfinite(y[t]), width / (width + noise[t]), 0.0)
        mean = mean + gain * np.where(np.isfinite(y[t]), y[t] - mean, 0.0)
        width = (1 - gain) * width
        filtered[t], spread[t] = mean, width
    smooth = filtered.copy()
    for t in range(len(y) - 2, -1, -1):
        pull = spread[t] * rho_CP / np.maximum(ahead_spread[t + 1], 1e-12)
        smooth[t] = filtered[t] + pull * (smooth[t + 1] - rho_CP * filtered[t])
    multiplier = np.exp(smooth)
    explained = (multiplier * trials_TCP * rate_CP).sum(0)
    return multiplier * np.where(explained > 0, hits_TCP.sum(0) / np.maximum(explained, 1e-9), 1.0)


def _persistence_se(rho: Array, times: int) -> Array:
    return np.asarray(np.sqrt(np.maximum(1 - rho**2, 0) / max(times, 1)))


def _weekdays(log: Log) -> npt.NDArray[np.int64]:
    """Weekday of every cycle's start, Monday 0, (T,)."""
    start = pd.Timestamp(log.meta.start).tz_localize(None)
    return (start + pd.to_timedelta(np.arange(log.shape[0]) * log.meta.cycle_hours, unit="h")).weekday.to_numpy()


def _response_week(log: Log, clicks_TCP: Array, expected_TCP: Array) -> Array:
    """Click probability by weekday over its mean, pooled over campaigns, (C, P, 7).

    Each factor is shrunk towards 1 as if by 200 more clicks at the mean rate: drift moves whole weeks too.
    """
    factors = np.ones((log.shape[2], 7))
    if log.meta.weekday_pattern:
        weekday = _weekdays(log)[: len(clicks_TCP)]
        for day in range(7):
            clicks = clicks_TCP[weekday == day].sum((0, 1))
            expected = expected_TCP[weekday == day].sum((0, 1))
            factors[:, day] = (clicks + 200) / (expected + 200)
        factors /= factors.mean(1, keepdims=True)
    return np.broadcast_to(factors, (log.shape[1], *factors.shape)).copy()


def _volume(log: Log, supplies: list[list[Supply]]) -> tuple[Array, Array, Array]:
    """Requests (T, C, P), weekday factors (C, P, 7), and the deviation of what is left (C, P)."""
    requests = _stack(supplies, "requests")
    train = log.train_cycles
    error = _stack(supplies, "requests_error")
    weekday = _weekdays(log)
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


def _limits(config: Config, log: Log, low_CP: Array, high_CP: Array) -> tuple[Array, Array, Array, npt.NDArray[np.bool_]]:
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


def _contexts(config: Config, log: Log, fusion: Path | None) -> tuple[Array, Array, Array]:
    """Contexts of training cycles (C, N, 512), their click-rate multipliers (C, N, P), and the cold context (C, 512)."""
    _, campaigns, platforms = log.shape
    if fusion is None:
        return np.zeros((campaigns, 1, CONTEXT)), np.ones((campaigns, 1, platforms)), np.zeros((campaigns, CONTEXT))
    table = pd.read_parquet(fusion / "contexts.parquet")
    predicted = _predictions(log, fusion)
    weight = log.per_cycle()
    mean_TCP = log.per_cycle(predicted["p_click"]) / np.maximum(weight, 1)
    overall = (mean_TCP * weight).sum(0) / np.maximum(weight.sum(0), 1)
    multiplier = np.where(weight > 0, mean_TCP / np.maximum(overall, 1e-9), 1.0)
    # A cycle with few impressions says little about its mix: shrink towards 1 as if by 50 average impressions.
    multiplier = (multiplier * weight + 50) / (weight + 50)
    most = min(config.market.context_bank, log.train_cycles)
    bank = np.zeros((campaigns, most, CONTEXT))
    rates = np.ones((campaigns, most, platforms))
    cold = np.zeros((campaigns, CONTEXT))
    for c, campaign in enumerate(log.meta.campaigns):
        rows = table[table["campaign_id"] == campaign].set_index("cycle")["context"]
        if -1 in rows.index:
            cold[c] = np.asarray(rows.loc[-1], float)
        cycles = [int(t) for t in rows.index if 0 <= t < log.train_cycles][-most:]
        if not cycles:
            bank[c] = cold[c]
            continue
        chosen = [cycles[i % len(cycles)] for i in range(most)]
        bank[c] = np.stack([np.asarray(rows.loc[t], float) for t in chosen])
        rates[c] = multiplier[chosen, c]
    return bank, rates / np.maximum(rates.mean(1, keepdims=True), 1e-9), cold


def _predictions(log: Log, fusion: Path) -> pd.DataFrame:
    table = pd.read_parquet(fusion / "predictions.parquet").set_index("impression_id")
    return table.reindex(log.frame["impression_id"].to_numpy())


def _responses(log: Log, fusion: Path | None, size: int = 512) -> Array:
    """Click and conversion multipliers of resampled impressions, (C, P, R, 2): E[g] = 1 and E[g h] = 1.

    From the training period and users who are not held out, but whom the heads were not trained on either where there
    are enough: predictions of trained rows are sharper than those of new impressions.
    """
    _, campaigns, platforms = log.shape
    table = np.ones((campaigns, platforms, size, 2))
    if fusion is None:
        return table
    predicted = _predictions(log, fusion)
    p_click, p_convert = predicted["p_click"].to_numpy(float), predicted["p_conversion"].to_numpy(float)
    rng = np.random.default_rng(0)
    fitted = (log.frame["split"] == "train").to_numpy() & ~log.frame["holdout"].to_numpy(bool)
    fresh = ~predicted["trained"].to_numpy(bool)
    for c in range(campaigns):
        for p in range(platforms):
            cell = fitted & (log.frame["c"] == c).to_numpy() & (log.frame["p"] == p).to_numpy()
            rows = np.flatnonzero(cell & fresh)
            if len(rows) < 50:
                rows = np.flatnonzero(cell)
            if not len(rows):
                continue
            pick = rng.choice(rows, size)
            g = p_click[pick] / max(p_click[pick].mean(), 1e-9)
            h = p_convert[pick] / max((g * p_convert[pick]).mean(), 1e-9)
            table[c, p, :, 0], table[c, p, :, 1] = g, h
    return table


def _lognormal(config: Config, curve: Array) -> Array:
    """mu and sigma by moments of the log cost curve; the paper's LN(1.2, 0.5) where there is no price."""
    inner = np.log(np.maximum(curve[..., 1:-1], 1e-12))
    empty = curve.max(-1) <= 1e-6
    mu = np.where(empty, config.market.lognormal_mu, inner.mean(-1))
    sigma = np.where(empty | (inner.std(-1) < 1e-3), config.market.lognormal_sigma, inner.std(-1))
    return np.stack([mu, sigma], -1)


def _notes(market: Market, log: Log) -> list[str]:
    notes = []
    if market.provenance["requests"] == "approximated":
        notes.append(
            "The log has no bids: request volume, win rate and saturation rest on an assumed win rate, and what more "
            "wins would cost on an assumed spread of bids (config market.assumed_win_rate, .assumed_bid_dispersion)."
        )
    if not log.meta.weekday_pattern:
        notes.append("The log is too short or its clock too coarse for a weekday pattern; every day is alike.")
    if float(market.value["ctr_drift"].max()) == 0:
        notes.append("Cycle-to-cycle variation of the click rate is within sampling noise: no drift is simulated.")
    return notes
