"""The world behind the generated log: everything it plants, so that a fit can be compared with the truth.

Shapes: D days, C campaigns, P platforms, U users, K creatives.

The mechanism is the market's: on each campaign x platform x day, N ~ Poisson requests meet a highest
competing price LN(mu, sigma) times an AR(1) price drift; a uniform bid, paced to the day's planned budget, with noise
per request, wins where it is above the price and pays that price; the k-th win of N requests responds at
exp(-kappa k/N), times an AR(1) response drift, times a lift of its user and creative whose mean is 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from crossmix.config import Demo
from crossmix.schema import DataError
from crossmix.sources import demo_creatives

START = date(2025, 1, 6)
"""First day of the log: a Monday."""
CURRENCY = "demo credits (generated)"
REGIONS: tuple[tuple[str, float], ...] = (("north", 0.34), ("south", 0.28), ("east", 0.22), ("west", 0.16))
"""Regions and their share of users."""
BUDGET_OF_SUPPLY = 0.20
"""A campaign's daily budget over the mean cost of all its requests."""
EXPLORATION = 0.40
"""Standard deviation of the log bid around the paced bid, per request."""
PACING_ERROR = 0.05
"""Standard deviation of the log error of a day's paced bid."""
CEILING = 0.90
"""Largest probability of a click or of a conversion."""
LATE = 0.02
"""Share of conversions delayed by 31 to 45 days: beyond the default attribution window."""
TASTE, LIKING = 0.85, 0.40
"""Standard deviations of a user's addition to the log of click probability, and of that particular to a platform."""
VALUE_SIGMA = 0.40
"""Standard deviation of the log value of one conversion."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What a platform is like, before each campaign's own deviation from it."""

    name: str
    mu: float
    """Location of the log price."""
    sigma: float
    """Scale of the log price."""
    ctr: float
    """Click probability of the day's first win, at mean lift and no drift (§3: 0.06-0.18 as observed)."""
    cvr: float
    """Conversion probability given a click, at mean lift (§3: 0.12-0.38)."""
    kappa: float
    """Saturation."""
    efficiency: float
    """ctr x cvr x value / mean price: revenue over cost of an unsaturated impression at the mean price."""
    volume: float
    """Requests over `Demo.requests_per_day`."""
    weekend: float
    """Requests on Saturday and Sunday over those of a weekday."""
    weekend_response: float
    """Click probability on Saturday and Sunday over that of a weekday."""
    delay_days: float
    """Mean delay of a conversion, days (exponential)."""
    history: float
    """Weight in the historical split, before normalisation: heavy where it pays little (§3.1, the control group)."""
    maximum: float | None
    """Contractual cap on the share, or none."""


PLATFORMS: tuple[Platform, ...] = (
    Platform("social", 1.25, 0.50, 0.185, 0.27, 1.10, 1.45, 1.45, 1.20, 1.10, 1.0, 0.12, 0.35),
    Platform("video", 1.45, 0.45, 0.152, 0.24, 0.80, 0.82, 1.25, 1.30, 1.08, 1.5, 0.14, 0.35),
    Platform("search", 1.50, 0.55, 0.132, 0.33, 0.90, 1.90, 0.85, 0.80, 0.95, 0.7, 0.08, 0.35),
    Platform("news", 1.05, 0.45, 0.120, 0.22, 1.20, 0.48, 1.15, 0.85, 0.95, 1.2, 0.16, None),
    Platform("ecommerce", 1.55, 0.50, 0.195, 0.31, 1.00, 2.05, 0.80, 1.25, 1.12, 0.5, 0.07, 0.35),
    Platform("forum", 0.95, 0.55, 0.115, 0.19, 0.70, 0.66, 0.80, 1.10, 1.00, 2.0, 0.08, None),
    Platform("blog", 0.90, 0.40, 0.104, 0.17, 0.60, 0.40, 0.90, 1.05, 1.02, 2.5, 0.11, None),
    Platform("messaging", 1.15, 0.60, 0.172, 0.25, 1.40, 1.20, 0.95, 1.15, 1.05, 0.8, 0.06, 0.35),
    Platform("audio", 1.10, 0.40, 0.102, 0.20, 0.50, 1.00, 0.75, 0.90, 0.98, 3.0, 0.07, None),
    Platform("display", 1.00, 0.50, 0.110, 0.17, 1.30, 0.32, 1.10, 0.95, 1.00, 1.8, 0.11, 0.35),
)
MINIMUM = 0.02
"""Floor of every platform's share."""


@dataclass(frozen=True, slots=True)
class World:
    """The planted truth. Prices and values in `CURRENCY` per impression and per conversion."""

    demo: Demo
    platforms: tuple[str, ...]
    campaigns: tuple[str, ...]
    requests_CP: np.ndarray
    """Mean requests on a Monday."""
    volume_PW: np.ndarray
    """Weekday factor of requests, Monday first, (P, 7)."""
    response_PW: np.ndarray
    """Weekday factor of click probability, (P, 7)."""
    mu_CP: np.ndarray
    sigma_CP: np.ndarray
    ctr_CP: np.ndarray
    """Click probability of the day's first win at mean lift, without drift, on a Monday."""
    cvr_CP: np.ndarray
    """Conversion probability given a click at mean lift. (Clickers' lift is higher: so are observed rates.)"""
    value_CP: np.ndarray
    """Mean revenue per conversion."""
    kappa_CP: np.ndarray
    delay_P: np.ndarray
    """Mean delay of a conversion, days."""
    price_drift_DCP: np.ndarray
    """Log drift of price: AR(1), stationary, mean 0."""
    response_drift_DCP: np.ndarray
    """Log drift of click probability: AR(1), stationary, mean 0."""
    budget_C: np.ndarray
    """Planned budget per day."""
    share_DCP: np.ndarray
    """Historical split of it, rows sum to 1."""
    minimum_P: np.ndarray
    maximum_P: np.ndarray
    """NaN: no cap in the plan."""
    creatives: demo_creatives.Creatives
    activity_U: np.ndarray
    """Chance of a request to be this user's; sums to 1."""
    region_U: np.ndarray
    """Index into `REGIONS`."""
    click_U: np.ndarray
    """User's addition to the log of click probability."""
    click_UP: np.ndarray
    """The same, particular to a platform."""
    conversion_U: np.ndarray
    """User's addition to the log of conversion probability."""
    click_mean_C: np.ndarray
    """Mean of exp(all additions to click) over the campaign's requests: what makes the lift's mean 1."""
    conversion_mean_C: np.ndarray

    def supply_cost_CP(self) -> np.ndarray:
        """Mean cost of all requests of a day, without drift, averaged over the week."""
        mean_price = np.exp(self.mu_CP + self.sigma_CP**2 / 2)
        return np.asarray(self.requests_CP * self.volume_PW.mean(1) * mean_price)


def world(demo: Demo) -> World:
    """The world of a `Demo` config; the same for the same config.

    Long because it is one sequence: every draw comes from one generator, and their order makes the world.

    Raises:
        DataError: fewer creatives than campaigns.
    """
    if demo.creatives < demo.campaigns:
        raise DataError(
            f"data.demo.creatives: {demo.creatives} is fewer than data.demo.campaigns = {demo.campaigns}; "
            "each campaign needs one"
        )
    rng = np.random.default_rng([demo.seed, 0])
    C, P, D, U = demo.campaigns, len(PLATFORMS), demo.days, demo.users

    def own(value: str, spread: float) -> np.ndarray:
        """Each campaign's deviation, lognormal, from the platform's value."""
        base_P = np.array([getattr(platform, value) for platform in PLATFORMS])
        return np.asarray(base_P * np.exp(spread * rng.standard_normal((C, P))))

    mu_CP = np.array([p.mu for p in PLATFORMS]) + 0.08 * rng.standard_normal((C, P))
    sigma_CP = own("sigma", 0.05)
    ctr_CP, cvr_CP, kappa_CP = own("ctr", 0.06), own("cvr", 0.06), own("kappa", 0.08)
    value_CP = own("efficiency", 0.15) * np.exp(mu_CP + sigma_CP**2 / 2) / (ctr_CP * cvr_CP)
    requests_CP = demo.requests_per_day * own("volume", 0.08)
    weekend_P2 = np.array([[p.weekend, p.weekend_response] for p in PLATFORMS])
    volume_PW, response_PW = np.ones((P, 7)), np.ones((P, 7))
    volume_PW[:, 5:] = weekend_P2[:, :1]
    response_PW[:, 5:] = weekend_P2[:, 1:]
    volume_PW[:, 4] = np.sqrt(weekend_P2[:, 0])

    creatives = demo_creatives.make(demo.seed, demo.creatives, C)
    rank_U = rng.permutation(U) + 1.0
    activity_U = (rank_U + 0.10 * U) ** -0.9
    activity_U /= activity_U.sum()
    taste_U = rng.standard_normal(U)
    click_U = TASTE * taste_U
    click_UP = LIKING * rng.standard_normal((U, P))
    conversion_U = 0.15 * taste_U + 0.30 * rng.standard_normal(U)
    click_mean_C, conversion_mean_C = np.zeros(C), np.zeros(C)
    for c in range(C):
        mine = creatives.campaign_K == c
        user = activity_U @ (np.exp(click_U) * np.exp(click_UP).mean(1))
        click_mean_C[c] = user * np.exp(creatives.appeal_K[mine]).mean()
        conversion_mean_C[c] = (activity_U @ np.exp(conversion_U)) * np.exp(creatives.conversion_K[mine]).mean()

    maximum_P = np.array([np.nan if p.maximum is None else p.maximum for p in PLATFORMS])
    weight_DCP = np.array([p.history for p in PLATFORMS]) * np.exp(
        0.20 * rng.standard_normal((1, C, P)) + _ar1(rng, 0.30, 0.7, (D, C, P))
    )
    share_DCP = _bounded(weight_DCP, MINIMUM, np.where(np.isnan(maximum_P), 1.0, maximum_P))
    supply_CP = requests_CP * volume_PW.mean(1) * np.exp(mu_CP + sigma_CP**2 / 2)
    return World(
        demo=demo,
        platforms=tuple(p.name for p in PLATFORMS),
        campaigns=tuple(f"campaign_{c + 1}" for c in range(C)),
        requests_CP=requests_CP,
        volume_PW=volume_PW,
        response_PW=response_PW,
        mu_CP=mu_CP,
        sigma_CP=sigma_CP,
        ctr_CP=ctr_CP,
        cvr_CP=cvr_CP,
        value_CP=value_CP,
        kappa_CP=kappa_CP,
        delay_P=np.array([p.delay_days for p in PLATFORMS]),
        price_drift_DCP=_ar1(rng, demo.price_drift, demo.drift_persistence, (D, C, P)),
        response_drift_DCP=_ar1(rng, demo.response_drift, demo.drift_persistence, (D, C, P)),
        budget_C=BUDGET_OF_SUPPLY * supply_CP.sum(1),
        share_DCP=share_DCP,
        minimum_P=np.full(P, MINIMUM),
        maximum_P=maximum_P,
        creatives=creatives,
        activity_U=activity_U,
        region_U=rng.choice(len(REGIONS), U, p=[share for _, share in REGIONS]),
        click_U=click_U,
        click_UP=click_UP,
        conversion_U=conversion_U,
        click_mean_C=click_mean_C,
        conversion_mean_C=conversion_mean_C,
    )


def _ar1(rng: np.random.Generator, sd: float, persistence: float, shape: tuple[int, int, int]) -> np.ndarray:
    """A stationary AR(1) path along the first axis, mean 0, standard deviation `sd`."""
    path = np.empty(shape)
    path[0] = sd * rng.standard_normal(shape[1:])
    innovation = sd * np.sqrt(1 - persistence**2)
    for day in range(1, shape[0]):
        path[day] = persistence * path[day - 1] + innovation * rng.standard_normal(shape[1:])
    return path


def _bounded(weight_DCP: np.ndarray, low: float, high_P: np.ndarray) -> np.ndarray:
    """Shares in proportion to the weights, kept within [low, high] by clipping and rescaling what is free."""
    share = weight_DCP / weight_DCP.sum(-1, keepdims=True)
    for _ in range(20):
        share = np.clip(share, low, high_P)
        free = (share > low) & (share < high_P)
        surplus = 1 - share.sum(-1, keepdims=True)
        total = np.where(free, share, 0).sum(-1, keepdims=True)
        share = np.where(free, share * (1 + surplus / total), share)
    return np.asarray(share)
