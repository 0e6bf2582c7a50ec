"""How clicks, conversions and revenue are told on test users: ranked, as surely as they come, and in the large.

In the large: what was predicted over what came, at the channel that the log took, summed over test users' exposures; 1
is right. It is what an intercept is judged by, which neither a slope nor a rank sees.

Shapes: S judged steps, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossmix.journeys.answer import Answer, Prices
from crossmix.journeys.head import platt
from crossmix.journeys.log import Floats, Ints
from crossmix.journeys.prepared import Prepared
from crossmix.journeys.references import own_clicks
from crossmix.journeys.score import Figure, auc, draws, figure, mean

EDGE = 1e-6
"""Of a probability whose log-odds are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is judged; intervals are 95 %, by bootstrap over users. `None`: nothing happened that could tell."""

    clicks: int
    conversions: int
    """Of test users, after another exposure."""
    auc: Figure | None
    """Of the click at the channel that the log took."""
    own_auc: Figure | None
    """Of own click share, which does not know that channel."""
    reference_auc: Figure | None
    """Of own click share with an intercept for that channel (`references.own_clicks.on_channel`)."""
    lead: Figure | None
    """AUC less the reference's, paired by user."""
    slope: float
    slope_error: float
    """Calibration slope of clicks, with its standard error."""
    conversion_slope: float
    conversion_slope_error: float
    """The same of conversions."""
    click_ratio: Figure | None
    conversion_ratio: Figure | None
    """Predicted over observed, in the large."""
    value_ratio: Figure | None
    """Predicted value over what clicks were worth and conversions brought."""


def told(
    ready: Prepared,
    answer: Answer,
    prices: Mapping[str, Prices],
    campaign_R: NDArray[np.str_],
    seed: int,
    resamples: int,
) -> Told:
    """Of the model as it is served.

    Args:
        answer: after each of the test users' judged steps, (S, C).
        prices: per campaign; exposures of others have no part in the value.
        campaign_R: of each exposure.
    """
    events, row_S = ready.events, ready.test.row_S
    next_S, user_S = row_S + 1, events.user_R[row_S]
    clicked_S, converted_S, channel_S = events.clicked_R[next_S], events.converted_R[next_S], events.channel_R[next_S]
    code_S, times_DU = draws(user_S, seed, resamples)
    click_S, conversion_S = (_at(one, channel_S) for one in (answer.click_UC, answer.conversion_UC))
    clicks, conversions = int(clicked_S.sum()), int(converted_S.sum())
    auc_D = own_D = reference_D = None
    if 0 < clicks < len(row_S):
        own_S, known_S = (
            fit(ready.table, ready.learn, ready.validate, seed)(ready.test).click_S
            for fit in (own_clicks.fit, own_clicks.on_channel)
        )
        assert own_S is not None
        assert known_S is not None
        auc_D, own_D, reference_D = (auc(one, clicked_S, code_S, times_DU) for one in (click_S, own_S, known_S))
    value_S, earned_S = _value(prices, campaign_R[next_S], channel_S, click_S, conversion_S, clicked_S)
    earned_S = earned_S + np.where(np.isin(campaign_R[next_S], list(prices)), events.revenue_R[next_S], 0.0)
    slope, conversion_slope = (_slope(*pair, user_S) for pair in ((click_S, clicked_S), (conversion_S, converted_S)))
    return Told(
        clicks=clicks,
        conversions=conversions,
        auc=None if auc_D is None else figure(auc_D),
        own_auc=None if own_D is None else figure(own_D),
        reference_auc=None if reference_D is None else figure(reference_D),
        lead=None if auc_D is None or reference_D is None else figure(auc_D - reference_D),
        slope=slope[0],
        slope_error=slope[1],
        conversion_slope=conversion_slope[0],
        conversion_slope_error=conversion_slope[1],
        click_ratio=ratio(click_S, clicked_S.astype(float), code_S, times_DU),
        conversion_ratio=ratio(conversion_S, converted_S.astype(float), code_S, times_DU),
        value_ratio=ratio(value_S, earned_S, code_S, times_DU),
    )


def ratio(predicted_S: Floats, observed_S: Floats, code_S: Ints, times_DU: Floats) -> Figure | None:
    """Sum of the first over that of the second, each step as often as its user; `None` where nothing was observed.

    A draw of users without anything observed tells no ratio, and is left out of the interval.
    """
    if not observed_S.sum() > 0:
        return None
    observed_D = mean(observed_S, code_S, times_DU)
    return figure(mean(predicted_S, code_S, times_DU) / np.where(observed_D > 0, observed_D, np.nan))


def _at(value_SC: Floats, channel_S: Ints) -> Floats:
    return np.clip(value_SC[np.arange(len(channel_S)), channel_S], EDGE, 1 - EDGE)


def _slope(chance_S: Floats, came_S: NDArray[np.bool_], user_S: Ints) -> tuple[float, float]:
    slope, _, error_22 = platt(np.log(chance_S / (1 - chance_S)), came_S.astype(float), user_S)
    return slope, float(np.sqrt(error_22[0, 0]))


def _value(
    prices: Mapping[str, Prices],
    campaign_S: NDArray[np.str_],
    channel_S: Ints,
    click_S: Floats,
    conversion_S: Floats,
    clicked_S: NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """Predicted value of each exposure by its campaign's prices, and what its click was worth, currency."""
    value_S, worth_S = np.zeros(len(channel_S)), np.zeros(len(channel_S))
    for name, one in prices.items():
        at = campaign_S == name
        value_S[at] = one.worth_click * click_S[at] + np.take(one.worth_conversion_C, channel_S[at]) * conversion_S[at]
        worth_S[at] = one.worth_click * clicked_S[at]
    return value_S, worth_S
