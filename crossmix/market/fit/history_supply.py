"""Supply of a spend history's cells: a price curve of the fitted elasticity, and what every cycle paid over it.

Shapes: T cycles, K + 1 price knots.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from crossmix.config import Market
from crossmix.market.fit.spend_history import Aggregate
from crossmix.market.fit.supply import Supply

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MOST_WON = 0.98
"""No cycle wins a larger share of its requests."""


def supply(
    aggregate: Aggregate,
    cell: tuple[int, int],
    impressions_T: Array,
    spend_T: Array,
    *,
    smoothed: Mask,
    weekday: npt.NDArray[np.int64],
    settings: Market,
) -> Supply:
    """Supply of one campaign and platform, as `crossmix.market.fit.supply` finds it from impressions.

    Args:
        smoothed: cycles whose price multiplier is the smoothed one, (T,); elsewhere it is what the observed spend
            implies.
    """
    c, p = cell
    usual = float(aggregate.usual_share[c, p])
    curve = cost_curve(float(aggregate.gain[c, p]), settings.quantiles)
    curve = curve * float(aggregate.price[c, p] / _mean_cost(curve, np.array([usual]))[0])
    # A cycle that won more than the mean volume had more.
    requests = np.maximum(aggregate.requests[c, p] * aggregate.week[c, p][weekday], impressions_T / MOST_WON)
    requests = np.maximum(requests, 1.0)
    delivered = (impressions_T > 0) & (spend_T > 0)
    won = np.where(delivered, impressions_T, usual * requests) / requests
    paid = np.where(delivered, spend_T / np.maximum(impressions_T, 1e-12), np.nan)
    mean = float(0.5 * (curve[1:] + curve[:-1]).mean())
    edge = 0.25 / settings.quantiles
    levels = np.linspace(0, 1, settings.quantiles + 1).clip(edge, 1 - edge)
    law = np.exp(settings.lognormal_sigma * ndtri(levels))
    return Supply(
        knots=mean * law / (0.5 * (law[1:] + law[:-1])).mean(),
        curve=curve,
        dispersion=settings.assumed_bid_dispersion,
        price_multiplier=np.where(
            delivered & ~smoothed, paid / _mean_cost(curve, won), aggregate.price_multiplier[:, c, p]
        ),
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


def cost_curve(gain: float, quantiles: int) -> Array:
    """Price in the order in which requests are won, (K + 1,), of impressions ~ spend^gain; 1 at the last.

    Its integral up to the first knot is exact, so that the first requests are not free.
    """
    rise = 1 / gain - 1
    curve = np.linspace(0, 1, quantiles + 1) ** rise
    curve[0] = curve[1] * max(1 - rise, 0.0) / (1 + rise)
    return np.asarray(curve)
