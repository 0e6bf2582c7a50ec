"""Supply and response from a spend history: daily totals per platform, no impression, no bid.

Contract: docs/design.md#data-contract.

What identifies supply is how the cost of an impression, and the click rate, move when spend moves from one cycle to
the next. With W impressions for a spend of S out of N requests, w = W / N the share won and A(w) the mean of the cost
curve up to w, the forward model of `crossmix.market.price` says

    ln (S / W)      = m + ln A(w) + price drift                       A(w) = Phi(Phi^-1(w) - sigma) / w
    ln (clicks / W) = c + ln (1 - e^(-kappa w)) / (kappa w) + response drift

Both drifts are AR(1) plus noise of one cycle, integrated out by the Kalman filter (`crossmix.drift`). Parameters are
the mode of their posterior; errors come from its curvature (Laplace). The totals tell how steep these curves are and
little more: which part of it is sigma, which kappa, and which the share won, rests on priors around `config.market`.

Spend and price move together for two reasons, and only one is the curve: a budget may follow the market. The
likelihood is that of the impressions given the spend *and everything before it*, so a budget that follows the
performance of earlier cycles does no harm: the filter knows what the budget knew. That budgets do not follow the
same cycle's shocks is assumed.

Shapes: T cycles, C campaigns, P platforms, Q = 2 series (price, response).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from crossmix.config import Market
from crossmix.drift import Filtered, filtered, smoothed
from crossmix.market.fit.estimators import SATURATION_PRIOR_SD, log_rate
from crossmix.market.fit.supply import Supply

Array = npt.NDArray[np.float64]
Parameters = dict[str, Tensor]

# Prior deviations: log-odds of a platform's win rate; ln of a campaign's requests around its platform's; ln of the
# cost curve's slope; ln of a weekday's requests and click rate.
WIN_RATE_SD = 1.0
CAMPAIGN_SD = 0.4
SLOPE_SD = 0.3
WEEK_SD = 0.2
RESPONSE_WEEK_SD = 0.1
# Deviation of single prices over their mean: what leaves a cycle's mean price uncertain.
PRICE_CV = 0.4
# Where a cell wins nearly all its requests the likelihood bends sharply and its peak is narrower than it is: the
# standard error of ln requests is never below this.
LEAST_ERROR = 0.15
MOST_WON = 0.98
"""No cycle wins a larger share of its requests."""
BEND = 6.0
"""How sharply the share won bends where impressions come near the mean requests; below a half it hardly does."""
LONGEST = 400
"""Cycles fitted on, the last of the training period: older ones tell little of today's supply."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What the totals tell; each (C, P) unless said otherwise."""

    requests: Array
    """Requests of an average weekday."""
    requests_se: Array
    slope: Array
    """sigma of the cost curve."""
    slope_se: Array
    saturation: Array
    saturation_se: Array
    log_ctr_se: Array
    """Standard error of ln of a first impression's click probability, saturation's included."""
    week: Array
    """Requests by weekday over their mean, (C, P, 7)."""
    price_multiplier: Array
    """Smoothed price multiplier over its mean in the fitted cycles, (T, C, P); also for cycles not fitted on."""
    price_noise: Array
    """Variance of ln price within a cycle that is no drift, (T, C, P)."""


@dataclass(frozen=True, slots=True)
class _Series:
    observed_TQCP: Tensor
    """ln of price and of click rate; 0 where not seen."""
    noise_TQCP: Tensor
    """Sampling variance of them."""
    seen_TQCP: Tensor
    log_wins_TCP: Tensor
    base_CP: Tensor
    """ln of a cycle's mean impressions."""
    weekday_T: Tensor | None


def assumed_slope(settings: Market) -> float:
    """sigma of the cost curve under the configured price law and spread of bids.

    With ln price ~ N(mu, s^2) and noise tau on the log bid, requests are won in the order of price over noise; the
    price expected at a quantile of that ratio is lognormal again, with slope s^2 / sqrt(s^2 + tau^2).
    """
    s, tau = settings.lognormal_sigma, settings.assumed_bid_dispersion
    return s * s / math.hypot(s, tau)


def fit(
    settings: Market,
    impressions_TCP: Array,
    clicks_TCP: Array,
    spend_TCP: Array,
    keep_T: npt.NDArray[np.bool_],
    weekday_T: npt.NDArray[np.int64] | None,
) -> Aggregate:
    """Fit all platforms at once; what they share is the drifts' deviation and persistence.

    Args:
        keep_T: cycles to fit on.
        weekday_T: Monday 0; `None`: every day is alike.
    """
    first = max(int(keep_T.nonzero()[0].max(initial=0)) + 1 - LONGEST, 0)
    series = _series(impressions_TCP, clicks_TCP, spend_TCP, keep_T & (np.arange(len(keep_T)) >= first), weekday_T)
    used = slice(first, int(keep_T.nonzero()[0].max(initial=0)) + 1)
    window = _cut(series, used)
    parameters = _start(settings, window)
    optimiser = torch.optim.LBFGS(
        list(parameters.values()),
        max_iter=200,
        max_eval=250,
        tolerance_grad=1e-4,
        tolerance_change=1e-4,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        optimiser.zero_grad()
        loss = -_log_posterior(settings, parameters, window)
        torch.autograd.backward(loss)
        return float(loss.detach())

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    covariance = _covariance(settings, parameters, window)
    with torch.no_grad():
        described = _describe(parameters, series, covariance)
        multiplier = _smooth_price_multiplier(parameters, series)
    kept = np.isfinite(multiplier) & keep_T[:, None, None]
    mean = np.where(kept, multiplier, 0).sum(0) / np.maximum(kept.sum(0), 1)
    noise = series.noise_TQCP[:, 0] + torch.exp(parameters["noise"][0]).detach()
    multiplier = multiplier / np.where(mean > 0, mean, 1.0)
    return Aggregate(**described, price_multiplier=multiplier, price_noise=noise.numpy())


def supply(
    aggregate: Aggregate,
    cell: tuple[int, int],
    impressions_T: Array,
    spend_T: Array,
    *,
    fitted: npt.NDArray[np.bool_],
    smoothed: npt.NDArray[np.bool_],
    weekday: npt.NDArray[np.int64],
    settings: Market,
) -> Supply:
    """Supply of one campaign and platform, as `crossmix.market.fit.supply` finds it from impressions.

    Args:
        fitted: cycles fitted on, (T,).
        smoothed: cycles whose price multiplier is the smoothed one, (T,); elsewhere it is what the observed spend
            implies.
    """
    c, p = cell
    curve = cost_curve(float(aggregate.slope[c, p]), settings.quantiles)
    # A cycle that won more than the mean volume had more.
    requests = np.maximum(aggregate.requests[c, p] * aggregate.week[c, p][weekday], impressions_T / MOST_WON)
    requests = np.maximum(requests, 1.0)
    delivered = (impressions_T > 0) & (spend_T > 0)
    won = np.where(delivered, impressions_T, 0.5 * requests) / requests
    implied = np.where(delivered, spend_T / np.maximum(impressions_T, 1e-12), np.nan) / _mean_cost(curve, won)
    anchor = delivered & fitted if (delivered & fitted).any() else delivered
    mean = float(implied[anchor].mean()) if anchor.any() else 1e-6
    return Supply(
        knots=mean * cost_curve(settings.lognormal_sigma, settings.quantiles),
        curve=mean * curve,
        dispersion=settings.assumed_bid_dispersion,
        price_multiplier=np.where(delivered & ~smoothed, implied / mean, aggregate.price_multiplier[:, c, p]),
        price_multiplier_error=np.sqrt(aggregate.price_noise[:, c, p]),
        requests=requests,
        requests_error=requests * float(aggregate.requests_se[c, p] / aggregate.requests[c, p]),
        mean_price=mean,
        approximated=True,
    )


def _mean_cost(curve: Array, won: Array) -> Array:
    """(1 / w) int_0^w of the piecewise-linear cost curve."""
    pieces = len(curve) - 1
    area = np.concatenate([[0.0], np.cumsum(0.5 * (curve[1:] + curve[:-1]))]) / pieces
    index = np.minimum((won * pieces).astype(int), pieces - 1)
    part = won * pieces - index
    rise = curve[index + 1] - curve[index]
    return np.asarray((area[index] + part * (curve[index] + 0.5 * part * rise) / pieces) / won)


def cost_curve(slope: float, quantiles: int) -> Array:
    """Price in the order in which requests are won, (K + 1,): a lognormal of this slope, mean 1."""
    from scipy.special import ndtri

    edge = 0.25 / quantiles
    curve = np.exp(slope * ndtri(np.linspace(0, 1, quantiles + 1).clip(edge, 1 - edge)))
    return np.asarray(curve / (0.5 * (curve[1:] + curve[:-1])).mean())


def _series(
    impressions: Array,
    clicks: Array,
    spend: Array,
    keep_T: npt.NDArray[np.bool_],
    weekday_T: npt.NDArray[np.int64] | None,
) -> _Series:
    fitted = keep_T[:, None, None]
    won = (impressions > 0) & (spend > 0) & fitted
    with np.errstate(divide="ignore", invalid="ignore"):
        price = np.log(spend / impressions)
    rate = log_rate(np.where(fitted, clicks, 0.0), np.where(fitted, impressions, 0.0))
    observed = np.stack([np.where(won, price, np.nan), np.where(won, rate, np.nan)], 1)
    noise = np.stack([PRICE_CV**2 / np.maximum(impressions, 1), 1 / np.maximum(clicks, 0.5)], 1)
    is_observed = np.isfinite(observed)
    days = won.sum(0)
    mean = np.where(won, impressions, 0.0).sum(0) / np.maximum(days, 1)
    # A campaign that never ran on a platform is taken to find there what the others find.
    others = (mean * (days > 0)).sum(0) / np.maximum((days > 0).sum(0), 1)
    base = np.log(np.maximum(np.where(days > 0, mean, others), 1.0))

    def tensor(array: npt.ArrayLike) -> Tensor:
        return torch.tensor(np.asarray(array), dtype=torch.float64)

    return _Series(
        observed_TQCP=tensor(np.nan_to_num(observed)),
        noise_TQCP=tensor(noise),
        seen_TQCP=torch.tensor(is_observed),
        log_wins_TCP=tensor(np.log(np.maximum(impressions, 1e-3))),
        base_CP=tensor(base),
        weekday_T=None if weekday_T is None else torch.tensor(weekday_T),
    )


def _cut(series: _Series, used: slice) -> _Series:
    return _Series(
        series.observed_TQCP[used],
        series.noise_TQCP[used],
        series.seen_TQCP[used],
        series.log_wins_TCP[used],
        series.base_CP,
        None if series.weekday_T is None else series.weekday_T[used],
    )


def _start(settings: Market, series: _Series) -> Parameters:
    """The prior's middle; locations at the observed means. All have gradients."""
    campaigns, platforms = series.base_CP.shape
    count = series.seen_TQCP.sum(0)
    total = series.observed_TQCP.sum(0)
    # A cell that was never seen starts, and without data stays, at the mean of its platform, or of all.
    overall = total.sum((1, 2)) / count.sum((1, 2)).clamp(min=1)
    own_platform = total.sum(1) / count.sum(1).clamp(min=1)
    own_platform = torch.where(count.sum(1) > 0, own_platform, overall[:, None])
    location = torch.where(count > 0, total / count.clamp(min=1), own_platform[:, None])
    odds = math.log(settings.assumed_win_rate / max(1 - settings.assumed_win_rate, 1e-3))

    def full(value: float, *shape: int) -> Tensor:
        return torch.full(shape, value, dtype=torch.float64)

    start = {
        "odds": full(odds, platforms),
        "campaign": full(0.0, campaigns, platforms),
        "slope": full(math.log(assumed_slope(settings)), platforms),
        "kappa": full(settings.saturation, platforms),
        "week": full(0.0, 7, platforms),
        "response_week": full(0.0, 7, platforms),
        "price": location[0].clone(),
        "rate": location[1].clone(),
        "deviation": full(math.log(0.2), 2),
        "persistence": full(2.0, 2),
        "noise": full(-6.0, 2),
    }
    return {name: value.requires_grad_(True) for name, value in start.items()}


SHARED = ("deviation", "persistence", "noise")
"""Parameters of the drifts, which all platforms share; the others belong to one platform (their last axis)."""


def _log_requests(parameters: Parameters, series: _Series) -> Tensor:
    """ln of requests of every cycle, (T, C, P)."""
    mean = series.base_CP - torch.nn.functional.logsigmoid(parameters["odds"]) + parameters["campaign"]
    if series.weekday_T is None:
        return mean.expand_as(series.log_wins_TCP)
    return mean + _factors(parameters["week"])[series.weekday_T][:, None]


def _factors(log_factor_7P: Tensor) -> Tensor:
    """ln of weekday factors whose mean is 1, (7, P)."""
    return log_factor_7P - torch.logsumexp(log_factor_7P, 0) + math.log(7)


def _curves(parameters: Parameters, series: _Series) -> tuple[Tensor, Tensor]:
    """Drift and noise of every cycle, (T, Q, C, P), and ln |d drift / d ln W| at a fixed spend, (T, C, P)."""
    ratio = (series.log_wins_TCP - _log_requests(parameters, series)).exp()
    # Volume has noise of its own, so a cycle may win more than the mean requests: the share won bends towards 1.
    bend = 1 / (1 + ratio**BEND)
    won = (ratio * bend ** (1 / BEND)).clamp(max=MOST_WON)
    sigma = parameters["slope"].exp()
    x = torch.special.ndtri(won)
    average = torch.special.log_ndtr(x - sigma) - won.log()
    marginal = sigma * x - 0.5 * sigma**2
    fade = parameters["kappa"] * won
    fade = torch.where(fade.abs() < 1e-6, torch.full_like(fade, 1e-6), fade)
    faded = torch.log(-torch.expm1(-fade) / fade)
    response = parameters["rate"] + faded
    if series.weekday_T is not None:
        response = response + _factors(parameters["response_week"])[series.weekday_T][:, None]
    expected = torch.stack([parameters["price"] + average, response], 1)
    # At a fixed spend ln price falls by d ln W, and the curve's mean rises by (marginal / mean - 1) d ln w.
    steepness = torch.log1p(torch.expm1(marginal - average) * bend)
    return torch.where(series.seen_TQCP, series.observed_TQCP - expected, 0.0), steepness


def _log_posterior(settings: Market, parameters: Parameters, series: _Series) -> Tensor:
    drift, steepness = _curves(parameters, series)
    likelihood = _filter(parameters, series, drift).log_likelihood
    # The impressions are what is random, given the spend: the density of the drift becomes theirs.
    likelihood = likelihood + torch.where(series.seen_TQCP[:, 0], steepness, 0.0).sum()

    def normal(name: str, mean: float, deviation: float) -> Tensor:
        return -0.5 * (((parameters[name] - mean) / deviation) ** 2).sum()

    odds = math.log(settings.assumed_win_rate / max(1 - settings.assumed_win_rate, 1e-3))
    prior = (
        normal("odds", odds, WIN_RATE_SD)
        + normal("campaign", 0.0, CAMPAIGN_SD)
        + normal("slope", math.log(assumed_slope(settings)), SLOPE_SD)
        + normal("kappa", settings.saturation, SATURATION_PRIOR_SD)
        + normal("week", 0.0, WEEK_SD)
        + normal("response_week", 0.0, RESPONSE_WEEK_SD)
        # Weak: drifts of 7 to 60 %, persistence of half a week to months.
        + normal("deviation", math.log(0.2), 1.0)
        + normal("persistence", 2.0, 1.0)
        + normal("noise", -6.0, 2.0)
    )
    return likelihood + prior


def _persistence(parameters: Parameters) -> Tensor:
    """rho of both drifts, (Q, 1, 1)."""
    return torch.sigmoid(parameters["persistence"])[:, None, None]


def _filter(parameters: Parameters, series: _Series, drift_TQCP: Tensor) -> Filtered:
    """Both series as AR(1) drift plus noise."""
    variance = torch.exp(2 * parameters["deviation"])[:, None, None]
    noise = series.noise_TQCP + torch.exp(parameters["noise"])[:, None, None]
    return filtered(drift_TQCP, noise, series.seen_TQCP, _persistence(parameters), variance)


def _smooth_price_multiplier(parameters: Parameters, series: _Series) -> Array:
    """exp of the price's drift given all fitted cycles, (T, C, P)."""
    drift, _ = _curves(parameters, series)
    smooth = smoothed(_filter(parameters, series, drift), _persistence(parameters))
    return np.asarray(smooth[:, 0].exp().numpy())


def _covariance(settings: Market, parameters: Parameters, series: _Series) -> tuple[dict[str, slice], Array]:
    """Posterior covariance of each platform's own parameters, (P, n, n), and where in n each lies.

    Given the drifts' shared parameters, platforms are independent: one product with the Hessian yields a row of every
    platform's block.
    """
    own = {name: value for name, value in parameters.items() if name not in SHARED}
    platforms = series.base_CP.shape[1]
    rows = {name: value.numel() // platforms for name, value in own.items()}
    ends = np.cumsum(list(rows.values()))
    where = {name: slice(int(end) - n, int(end)) for (name, n), end in zip(rows.items(), ends, strict=True)}
    loss = -_log_posterior(settings, parameters, series)
    gradient = torch.autograd.grad(loss, list(own.values()), create_graph=True)
    flat = torch.cat([part.reshape(-1, platforms) for part in gradient])
    hessian = torch.stack(
        [
            torch.cat(
                [
                    part.reshape(-1, platforms)
                    for part in torch.autograd.grad(flat[j].sum(), list(own.values()), retain_graph=True)
                ]
            )
            for j in range(len(flat))
        ]
    )
    block = 0.5 * (hessian + hessian.transpose(0, 1)).permute(2, 0, 1).detach().numpy()
    values, vectors = np.linalg.eigh(block)
    # Curvature that rounding or a bound made negative tells nothing: the prior's scale stands.
    values = np.where(values > 1e-3, values, 1.0)
    return where, np.asarray((vectors / values[:, None]) @ vectors.transpose(0, 2, 1))


def _describe(parameters: Parameters, series: _Series, covariance: tuple[dict[str, slice], Array]) -> dict[str, Array]:
    where, spread = covariance
    campaigns, platforms = series.base_CP.shape
    requests = (series.base_CP - torch.nn.functional.logsigmoid(parameters["odds"]) + parameters["campaign"]).exp()
    variance = np.diagonal(spread, axis1=1, axis2=2).T
    odds, campaign = where["odds"].start, np.arange(campaigns) + where["campaign"].start
    # ln requests = ... - ln sigmoid(odds) + campaign.
    lean = -(1 - torch.sigmoid(parameters["odds"]).numpy())
    log_variance = (
        lean**2 * variance[odds]
        + variance[where["campaign"]]
        + 2 * lean * spread[:, odds, campaign].T.reshape(-1, platforms)
    )
    slope, kappa = parameters["slope"].exp().numpy(), parameters["kappa"].clamp(min=0).numpy()

    def cells(row: Array) -> Array:
        return np.broadcast_to(row, (campaigns, platforms)).copy()

    week = np.ones((7, platforms)) if series.weekday_T is None else _factors(parameters["week"]).exp().numpy()
    return {
        "requests": requests.numpy(),
        "requests_se": requests.numpy() * np.sqrt(np.maximum(log_variance, LEAST_ERROR**2)),
        "slope": cells(slope),
        "slope_se": cells(slope * np.sqrt(variance[where["slope"].start])),
        "saturation": cells(kappa),
        "saturation_se": cells(np.sqrt(variance[where["kappa"].start])),
        "log_ctr_se": np.sqrt(variance[where["rate"]]),
        "week": np.broadcast_to(week.T, (campaigns, platforms, 7)).copy(),
    }
