"""What a reader of a planted history makes of it who knows the law that its parameters were drawn by.

Nobody who lacks that knowledge can expect to do better, so that its regret is a bound for `benchmarks.field`. Readers
weigh a grid of parameters by their exact likelihood and split a budget by the mean of what it brings under all of them:
Bayes' rule. They know the reference spend and the noise's law too, which no history tells.

- `Families`: conversions per click, which in these worlds have no noise but their counts'. Impressions and clicks go in
  proportion to money; conversions follow Hill's curve, or a power of the clicks (`fading`), or one of the two.
- `elasticity`: clicks are a power of money of any exponent from `ELASTICITY`, conversions go in proportion to clicks.

Shapes: T days, P platforms, G points of a grid; one campaign. Money is currency per day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import logsumexp

from benchmarks._field_responses import NOISE, Array, best
from benchmarks._field_worlds import PERSISTENCE, World


@dataclass(frozen=True, slots=True)
class Laws:
    """Uniform, from and to: of Hill's half and exponent, and of the power by which conversions follow clicks."""

    half: tuple[float, float]
    exponent: tuple[float, float]
    faded: tuple[float, float]


PLANTED = Laws((0.4, 1.0), (1.1, 1.6), (0.64, 0.72))
"""Those of `_field_worlds`."""
WIDE = Laws((0.2, 3.0), (1.0, 2.0), (0.36, 1.0))
"""Of who must do for accounts of every kind: responses that hardly bend where they are seen, or long have, and powers
from those of `spread` to none."""
ELASTICITY = (0.36, 0.93)
"""Of money, from and to: those of the kind `spread`, and all that a reader knows who must do for every kind."""
POINTS = 41
"""Of a grid along each parameter."""

Curve = Callable[[Array], Array]
"""Spend of one platform, any shape, to expected revenue per day."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One platform's history, (T,) each."""

    spend: Array
    clicks: Array
    conversions: Array
    value: float
    """Mean revenue of a conversion, currency."""
    reference: float
    """Reference spend of the world's response, currency per day."""

    @property
    def rate(self) -> float:
        """Clicks of a unit of money."""
        return float(self.clicks.sum() / self.spend.sum())


@dataclass(frozen=True, slots=True)
class Read:
    """A platform read by one law."""

    evidence: float
    """ln of the mean likelihood over the grid, up to a number that all laws of conversions per click share."""
    revenue: Curve


def seen(made: World) -> list[Seen]:
    """Each platform of a world of one campaign and one row a day.

    Raises:
        ValueError: the world has more campaigns, or rows of a week.
    """
    if len(made.campaigns) != 1 or made.days_per_row != 1:
        raise ValueError(f"{made.kind}: a bound is worked out of one campaign's days alone")
    told = []
    for p, name in enumerate(made.platforms):
        rows = made.frame[made.frame["platform"] == name]
        spend, clicks, conversions = (rows[column].to_numpy(float) for column in ("spend", "clicks", "conversions"))
        value = float(rows["revenue"].sum() / conversions.sum())
        told.append(Seen(spend, clicks, conversions, value, float(made.response.spend[0, p])))
    return told


def hill(one: Seen, laws: Laws = PLANTED) -> Read:
    """Conversions per click of Hill's curve: x^(k-1) / (x^k + half^k) of x = spend over the reference."""
    half, k = (
        grid.ravel() for grid in np.meshgrid(np.linspace(*laws.half, POINTS), np.linspace(*laws.exponent, POINTS))
    )

    def per_click(spend: Array) -> Array:
        x = spend[..., None] / one.reference
        return np.asarray(x ** (k - 1) / (x**k + half**k))

    return _by_clicks(one, per_click(one.spend), lambda spend: one.rate * spend[..., None] * per_click(spend))


def power(one: Seen, laws: Laws = PLANTED) -> Read:
    """Conversions as a power of clicks."""
    eta = np.linspace(*laws.faded, POINTS)
    noise = (one.clicks / (one.rate * one.spend))[:, None] ** eta
    return _by_clicks(
        one,
        np.maximum(one.clicks, 1.0)[:, None] ** (eta - 1),
        lambda spend: (one.rate * spend[..., None]) ** eta * noise.mean(0),
    )


def _by_clicks(one: Seen, per_click_TG: Array, shape: Curve) -> Read:
    """Poisson counts at a level of unknown logarithm: the level is integrated out.

    Args:
        per_click_TG: conversions per click, up to the level.
        shape: spend to conversions, (..., G), up to the level.
    """
    expected_TG = one.clicks[:, None] * per_click_TG
    total = one.conversions.sum()
    at = one.conversions > 0
    likely_G = one.conversions[at] @ np.log(expected_TG[at]) - total * np.log(expected_TG.sum(0))
    weight_G = np.exp(likely_G - logsumexp(likely_G)) * total / expected_TG.sum(0)
    return Read(float(logsumexp(likely_G) - np.log(len(likely_G))), lambda spend: one.value * (shape(spend) @ weight_G))


def elasticity(one: Seen) -> Read:
    """Clicks as a power of money, normal in ln under noise that persists, beside the clicks' own counts."""
    exponent = np.linspace(*ELASTICITY, POINTS)
    days = np.arange(len(one.spend))
    # Noise of the impressions comes through the clicks' power of them, near 0.84.
    variance = NOISE**2 * (1 + 0.84**2)
    persists = variance * PERSISTENCE ** abs(days[:, None] - days)
    solved = cho_factor(persists + np.diag(1 / np.maximum(one.clicks, 1.0)))
    flat = np.ones(len(days))
    left_TG = np.log(np.maximum(one.clicks, 1.0))[:, None] - exponent * np.log(one.spend)[:, None]
    of_level = flat @ cho_solve(solved, flat)
    level_G = flat @ cho_solve(solved, left_TG) / of_level
    left_TG = left_TG - level_G
    likely_G = -0.5 * (left_TG * cho_solve(solved, left_TG)).sum(0)
    weight_G = np.exp(likely_G - logsumexp(likely_G))
    sold = one.value * float(one.conversions.sum() / one.clicks.sum())
    level_G = sold * np.exp(level_G + 0.5 * variance) * weight_G
    return Read(float(logsumexp(likely_G) - np.log(POINTS)), lambda spend: spend[..., None] ** exponent @ level_G)


def split(made: World, curves: list[Curve]) -> Array:
    """Today's budget split by what is expected of each platform, (1, P)."""

    def value(spend_GP: Array) -> Array:
        return np.stack([curve(spend_GP[:, p]) for p, curve in enumerate(curves)], 1)

    budget = float(made.today_CP.sum())
    return best(value, budget, np.full(len(curves), budget))[None]


@dataclass(frozen=True, slots=True)
class Families:
    """What one reads who knows which of two families the account may have, each as likely."""

    hill: list[Read]
    power: list[Read]

    @classmethod
    def of(cls, platforms: list[Seen], laws: Laws = PLANTED) -> Families:
        return cls([hill(one, laws) for one in platforms], [power(one, laws) for one in platforms])

    @property
    def probability(self) -> float:
        """Of Hill's curve, which all platforms of an account have or none."""
        odds = sum(one.evidence for one in self.hill) - sum(one.evidence for one in self.power)
        return float(1 / (1 + np.exp(-np.clip(odds, -700, 700))))

    def both(self) -> list[Curve]:
        """Expected revenue by both families, as likely as the history leaves them."""
        return [_mixed(self.probability, *pair) for pair in zip(self.hill, self.power, strict=True)]


def _mixed(part: float, one: Read, other: Read) -> Curve:
    def revenue(spend: Array) -> Array:
        return np.asarray(part * one.revenue(spend) + (1 - part) * other.revenue(spend))

    return revenue
