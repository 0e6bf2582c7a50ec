"""Who chooses on a log with propensities: the served response model, the simplest that ranks users, and eq. 17.

Shapes: S judged steps, C channels.
"""

from __future__ import annotations

import numpy as np

from crossmix.config.journeys import Allocation
from crossmix.journeys import allocate
from crossmix.journeys.bundled import JourneyBundle
from crossmix.journeys.gates.played import EQ17, OWN_CLICKS, RESPONSE
from crossmix.journeys.log import Floats, Ints
from crossmix.journeys.logged import Logged, Places, judged
from crossmix.journeys.measured import served_at
from crossmix.journeys.players import best_channel
from crossmix.journeys.prepared import Log
from crossmix.journeys.references import own_clicks
from crossmix.journeys.windows import TRAIN

LEAST_USERS = 2


def of_log(log: Log, bundle: JourneyBundle, initial_C: Floats, settings: Allocation, seed: int = 0) -> Logged | None:
    """What test users' exposures say of everybody; `None` where the log has no propensities of them.

    Args:
        initial_C: eq. 17's policy.
    """
    events, every_S = log.ready.events, log.ready.test.row_S
    priced_S = np.isin(log.campaign_R[every_S + 1].astype(str), list(bundle.prices))
    known_S = np.isfinite(log.propensity_R[every_S + 1]) & priced_S
    if len(np.unique(events.user_R[every_S[known_S]])) < LEAST_USERS:
        return None
    places = places_of(log, bundle, every_S[known_S], settings)
    own_S = own_clicks.fit(log.ready.table, log.ready.learn, log.ready.validate, seed)(log.ready.test).click_S
    assert own_S is not None
    C = len(events.channels)
    training = events.of_users(log.ready.is_of(TRAIN))
    best = np.full(len(places), best_channel(training, settings.worth_click))
    at = np.arange(len(places)), best
    return judged(
        places,
        {
            RESPONSE: by_margin(places),
            OWN_CLICKS: taken(best, allocate.top(own_S[known_S], places.expected_SC[at], places.budget), C),
            EQ17: np.broadcast_to(settings.picked * initial_C, (len(places), C)),
        },
    )


def places_of(log: Log, bundle: JourneyBundle, row_S: Ints, settings: Allocation) -> Places:
    """The exposures after these steps, as the bundle and its campaigns' prices see them."""
    events, after_S = log.ready.events, row_S + 1
    said, campaign_S = served_at(bundle, events, row_S), log.campaign_R[after_S].astype(str)
    value_SC, expected_SC = np.zeros((2, len(row_S), len(events.channels)))
    for name, prices in bundle.prices.items():
        here_S = campaign_S == name
        value_SC[here_S], expected_SC[here_S] = prices.value(said)[here_S], prices.cost_C
    return Places(
        user_S=events.user_R[row_S],
        channel_S=events.channel_R[after_S],
        propensity_S=log.propensity_R[after_S],
        revenue_S=settings.worth_click * events.clicked_R[after_S] + events.revenue_R[after_S],
        cost_S=events.cost_R[after_S],
        value_SC=value_SC,
        expected_SC=expected_SC,
        picked=settings.picked,
    )


def by_margin(places: Places) -> Floats:
    """The response model: value less lambda x cost, lambda such that the budget is spent at expected costs."""
    pace = allocate.begin(places.value_SC, places.expected_SC, places.budget, 1)
    chosen = allocate.choose(places.value_SC, places.expected_SC, pace.shadow, budget=places.budget)
    return taken(chosen.channel_B, chosen.allocated_B, places.value_SC.shape[1])


def taken(channel_S: Ints, allocated_S: np.ndarray, channels: int) -> Floats:
    """A choice as chances, (S, C)."""
    return np.asarray(np.eye(channels)[channel_S] * allocated_S[:, None])
