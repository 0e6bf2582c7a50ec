"""What the gates judge, measured on test users: of the model as it is served.

Shapes: U users, R exposures, S judged steps, C channels, D features of a head.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from crossmix.config.journeys import Allocation, Journeys
from crossmix.journeys import allocate, batch
from crossmix.journeys.answer import Answer, Prices
from crossmix.journeys.bundled import JourneyBundle
from crossmix.journeys.learn import predict
from crossmix.journeys.log import Events, Floats, Ints
from crossmix.journeys.mtorl import Mtorl
from crossmix.journeys.prepared import Prepared
from crossmix.journeys.references import mixture
from crossmix.journeys.score import Figure, draws, figure, mean
from crossmix.journeys.windows import TEST

POOLED = 10.0
"""Conversions that what is known of all weighs in the worth of one, on a channel or of a campaign."""


def served_at(bundle: JourneyBundle, events: Events, row_S: Ints) -> Answer:
    """What the bundle says after each of these exposures, from the user's journey up to it; (S, C)."""
    padded_RF = np.concatenate([bundle.layout.features(events), np.zeros((1, bundle.layout.size), np.float32)])
    first_S, length = events.first_R[row_S], bundle.window
    begin_S = np.maximum(first_S, row_S - length + 1)
    parts = []
    for at in np.array_split(np.arange(len(row_S)), max(1, len(row_S) // 4_096)):
        place = begin_S[at, None] + np.arange(length)
        real = place <= row_S[at, None]
        parts.append(bundle.run(padded_RF[np.where(real, place, -1)], real.astype(np.float32)))
    return Answer(*(np.concatenate([getattr(one, name) for one in parts]) for name in Answer.__slots__))


def imitation(ready: Prepared, mtorl: Mtorl, seed: int, resamples: int) -> Figure:
    """MTORL's negative log-likelihood of the next channel less the cache mixture's, on test users."""
    log_SC, _ = predict(mtorl, ready.table, ready.test)
    row_S = ready.test.row_S
    channel_S = ready.table.next_channel(row_S)
    other_SC = mixture.fit(ready.table, ready.learn, ready.validate, seed)(ready.test).log_SC
    assert other_SC is not None
    at = np.arange(len(row_S)), channel_S
    return figure(mean(other_SC[at] - log_SC[at], *draws(ready.events.user_R[row_S], seed, resamples)))


def prices_of(
    events: Events, campaign_R: np.ndarray, bundle_answer: Answer, settings: Allocation, currency: str
) -> dict[str, Prices]:
    """Costs, worths and lambda of each campaign, from training users' exposures.

    Args:
        campaign_R: of each exposure.
        bundle_answer: what the model says of users as a round meets them: validation users after their last exposure.
    """
    C = len(events.channels)
    worth = worth_by_campaign(events, campaign_R)
    overall_C = _mean_by(events.channel_R, events.cost_R, C, float(events.cost_R.mean()) if len(events) else 0.0)
    prices = {}
    for name in np.unique(campaign_R.astype(str)):
        own = campaign_R.astype(str) == name
        cost_C = _mean_by(events.channel_R[own], events.cost_R[own], C, overall_C)
        priced = Prices(
            currency=currency,
            cost_C=tuple(cost_C.tolist()),
            worth_click=settings.worth_click,
            worth_conversion_C=tuple(worth[str(name)].tolist()),
            shadow=0.0,
        )
        value_UC, share_C = priced.value(bundle_answer), np.bincount(events.channel_R[own], minlength=C) / own.sum()
        pace = allocate.begin(
            value_UC, cost_C, budget_of(settings, len(value_UC), float(share_C @ cost_C)), settings.rounds
        )
        prices[str(name)] = replace(priced, shadow=pace.shadow)
    return prices


def budget_of(settings: Allocation, users: int, cost: float) -> float:
    """What all rounds together may spend, currency, at the log's mean cost of an exposure."""
    return settings.rounds * settings.picked * users * cost


def worth_of_conversions(events: Events) -> Floats:
    """Mean revenue of a conversion by channel, (C,); where a channel had none, that of all."""
    C, sold = len(events.channels), events.converted_R
    every = float(events.revenue_R[sold].mean()) if sold.any() else 0.0
    return _mean_by(events.channel_R[sold], events.revenue_R[sold], C, every)


def worth_by_campaign(events: Events, campaign_R: np.ndarray) -> dict[str, Floats]:
    """Revenue of a conversion by campaign and channel, (C,) each; who has few conversions leans on all.

        w = R / n;    w_c = (R_c + m w) / (n_c + m);    r_k = (R_k + m w) / (sum_c n_kc w_c + m w)
        worth_kc = (R_kc + m r_k w_c) / (n_kc + m)

    R is revenue, n conversions; of all, of channel c, of campaign k, of both. r_k is what a conversion of the campaign
    is worth over one of all on the same channels; m is `POOLED`. Without a conversion every worth is 0.

    Args:
        campaign_R: of each exposure.
    """
    C, sold = len(events.channels), events.converted_R
    campaigns, code_R = np.unique(campaign_R.astype(str), return_inverse=True)
    size = len(campaigns) * C
    at = (code_R * C + events.channel_R)[sold]
    count_KC = np.bincount(at, minlength=size).reshape(-1, C)
    revenue_KC = np.bincount(at, events.revenue_R[sold], size).reshape(-1, C)
    w = float(revenue_KC.sum() / max(count_KC.sum(), 1))
    w_C = (revenue_KC.sum(0) + POOLED * w) / (count_KC.sum(0) + POOLED)
    expected_K = count_KC @ w_C + POOLED * w
    r_K = (revenue_KC.sum(1) + POOLED * w) / np.where(expected_K > 0, expected_K, 1.0)
    worth_KC = (revenue_KC + POOLED * r_K[:, None] * w_C) / (count_KC + POOLED)
    return {str(name): worth_KC[k] for k, name in enumerate(campaigns)}


def _mean_by(group_N: Ints, value_N: Floats, groups: int, otherwise: float | Floats) -> Floats:
    count = np.bincount(group_N, minlength=groups)
    return np.where(count > 0, np.bincount(group_N, value_N, groups) / np.maximum(count, 1), otherwise)


def latency_ms(bundle: JourneyBundle, ready: Prepared, settings: Journeys, calls: int = 100) -> float:
    """99th percentile of one question in processor time, of the fastest of three rounds; whole milliseconds, up.

    A question is answered as served with `budget_left`, for which a price is searched: what takes longest.
    """
    events = ready.events.of_users(ready.is_of(TEST))
    asked = np.unique(events.user_R)[: settings.gates.questions]
    question = of_users(events, asked)
    prices = next(iter(bundle.prices.values()))
    cost_UC = np.tile(prices.cost_C, (len(asked), 1))
    left = settings.allocation.picked * len(asked) * float(np.mean(prices.cost_C))
    terms = batch.Asked(np.zeros(len(asked), np.int64), np.array([prices.shadow]), np.array([left]), np.array([np.inf]))
    rounds = []
    for _ in range(3):
        taken = []
        for _ in range(calls):
            started = time.thread_time()
            batch.settle(prices.value(bundle.answer(question)), cost_UC, terms)
            taken.append(time.thread_time() - started)
        rounds.append(float(np.percentile(taken, 99)) * 1e3)
    return float(np.ceil(min(rounds)))


def of_users(events: Events, user_K: Ints) -> Events:
    """Those users' exposures, users numbered anew in their order, which ascends."""
    code_U = np.full(len(events.users), -1)
    code_U[user_K] = np.arange(len(user_K))
    kept = events.rows(np.flatnonzero(code_U[events.user_R] >= 0))
    return replace(kept, users=tuple(events.users[user] for user in user_K), user_R=code_U[kept.user_R])


def last_answers(bundle: JourneyBundle, events: Events, of_U: np.ndarray) -> Answer:
    """What the bundle says of some users after their last exposure."""
    return bundle.answer(of_users(events, np.flatnonzero(of_U)))
