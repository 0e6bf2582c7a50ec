"""Who plays Algorithm 1: the log's policy, the seed's, the simplest, and the response model.

| player               | users of a round                  | channel                                            |
|----------------------|-----------------------------------|----------------------------------------------------|
| log                  | at random, by exposures so far    | drawn from the log's shares                        |
| eq. 17               | at random                         | drawn from P_initial                               |
| repeat last          | at random                         | the user's last                                    |
| MTORL argmax         | top N by predicted reward         | eq. 10                                             |
| MTORL eta-mix        | top N by predicted reward         | drawn from eta P_u + (1 - eta) P_initial           |
| best channel         | at random                         | highest logged worth per cost (`best_channel`)     |
| best, own clicks     | top N by own shrunken click share | the same                                           |
| response             | value - lambda cost above 0       | highest value - lambda cost                        |
| oracle               | the same by the world's own probabilities                                              |


The oracle stands in `simulate`, for nobody else may ask the world.

Shapes: U users, C channels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
import torch

from crossmix.journeys import allocate
from crossmix.journeys.allocate import Chosen, Pace, begin, choose
from crossmix.journeys.answer import Answer, Prices
from crossmix.journeys.gates.played import OWN_CLICKS, RESPONSE
from crossmix.journeys.log import Events, Floats, Ints
from crossmix.journeys.mtorl import Mtorl
from crossmix.journeys.response import PASS, Response
from crossmix.journeys.simulate import Player, Round
from crossmix.journeys.table import Table, tabulate
from crossmix.journeys.windows import Windows, tail

PRIOR_STEPS = 10.0
"""Exposures that a user's own click share is shrunken by."""


def _picked(score_U: Floats, channel_U: Ints, question: Round) -> tuple[Chosen, None]:
    """The best by a score, as far as the round's part of the budget goes."""
    allocated_U = allocate.top(score_U, question.cost_C[channel_U], question.target)
    return Chosen(channel_U, score_U, allocated_U), None


class Answers(Protocol):
    """A response model, or its bundle."""

    def answer(self, events: Events) -> Answer:
        """Of every user, as after its last exposure."""


def by_response(model: Answers, prices: Prices) -> Player:
    """The response model with a shadow price: costs, worths and the first lambda are the served ones of a campaign."""
    cost_C = np.asarray(prices.cost_C)

    def decide(question: Round) -> tuple[Chosen, Pace]:
        value_UC = prices.value(model.answer(question.events))
        pace = question.pace
        if pace is None:
            pace = replace(begin(value_UC, cost_C, question.budget, question.rounds), shadow=prices.shadow)
        return choose(value_UC, cost_C, pace.shadow, budget=pace.cap), pace

    return Player(RESPONSE, decide)


def by_log(share_C: Floats) -> Player:
    """The policy that wrote the log: whoever is active, which journeys so far tell, on any channel."""

    def decide(question: Round) -> tuple[Chosen, None]:
        users = len(question.events.users)
        # Gumbel's trick: a random order in which the next is drawn by activity.
        activity_U = np.log(np.bincount(question.events.user_R, minlength=users) + 1.0)
        score_U = activity_U + question.rng.gumbel(size=users)
        return _picked(score_U, question.rng.choice(len(share_C), users, p=share_C), question)

    return Player("log", decide)


def by_shares(name: str, share_C: Floats) -> Player:
    """A policy that is the same for everybody, users at random: eq. 17, or one channel."""

    def decide(question: Round) -> tuple[Chosen, None]:
        users = len(question.events.users)
        channel_U = allocate.draw(np.broadcast_to(share_C, (users, len(share_C))), question.rng)
        return _picked(question.rng.random(users), channel_U, question)

    return Player(name, decide)


def repeat_last(otherwise: int) -> Player:
    """Each user's last channel; without a journey `otherwise`."""

    def decide(question: Round) -> tuple[Chosen, None]:
        events = question.events
        channel_U = np.full(len(events.users), otherwise)
        channel_U[events.user_R] = events.channel_R  # the last assignment to a place stands
        return _picked(question.rng.random(len(channel_U)), channel_U, question)

    return Player("repeat last", decide)


def best_channel(training: Events, worth_click: float) -> int:
    """Of the log's highest worth per cost: clicks at their worth, and revenue."""
    worth_R, C = worth_click * training.clicked_R + training.revenue_R, len(training.channels)
    worth_C, cost_C = (np.bincount(training.channel_R, of_R, C) for of_R in (worth_R, training.cost_R))
    return int(np.argmax(worth_C / np.maximum(cost_C, 1e-12)))


def best_for_clickers(channel: int, rate: float) -> Player:
    """One channel, users by their own click share shrunken towards the mean rate: the simplest that ranks users."""

    def decide(question: Round) -> tuple[Chosen, None]:
        events = question.events
        users = len(events.users)
        clicks_U = np.bincount(events.user_R, events.clicked_R, users) + PRIOR_STEPS * rate
        steps_U = np.bincount(events.user_R, minlength=users) + PRIOR_STEPS
        score_U = clicks_U / steps_U + 1e-9 * question.rng.random(users)
        return _picked(score_U, np.full(users, channel), question)

    return Player(OWN_CLICKS, decide)


def by_mtorl(model: Mtorl, response: Response, initial_C: Floats, eta: float) -> tuple[Player, Player]:
    """MTORL as the seed allocates: users by its reward head, channels by eq. 10, or mixed by Algorithm 1, line 12.

    Args:
        response: whose layout, scaler and window MTORL was trained with.
    """

    def told(question: Round) -> tuple[Floats, Floats]:
        policy_UC, reward_U = read(model, question.events, response)
        without = np.isin(np.arange(len(reward_U)), question.events.user_R, invert=True)
        policy_UC[without] = initial_C
        return policy_UC, reward_U

    def argmax(question: Round) -> tuple[Chosen, None]:
        policy_UC, reward_U = told(question)
        return _picked(reward_U, policy_UC.argmax(1), question)

    def mixed(question: Round) -> tuple[Chosen, None]:
        policy_UC, reward_U = told(question)
        channel_U = allocate.draw(allocate.mix(policy_UC, initial_C, eta), question.rng)
        return _picked(reward_U, channel_U, question)

    return Player("MTORL argmax", argmax), Player("MTORL eta-mix", mixed)


@torch.no_grad()
def read(model: Mtorl, events: Events, response: Response) -> tuple[Floats, Floats]:
    """MTORL's policy (U, C) and predicted reward (U,) after each user's last exposure; 0 for users without any."""
    windows = tail(events, response.window)
    table = tabulate(events, response.layout, response.layout.features(events), response.scaler)
    policy_UC, reward_U = np.zeros((len(events.users), table.channels)), np.zeros(len(events.users))
    user = np.unique(events.user_R)
    model.eval()
    for first in range(0, len(windows), PASS):
        batch = table.batch(windows, slice(first, first + PASS))
        last = batch.real_BT.sum(1) - 1
        row = torch.arange(len(last))
        log_policy_BTC, reward_BT = model.predict(batch)
        policy_UC[user[first : first + PASS]] = log_policy_BTC[row, last].exp().double().numpy()
        reward_U[user[first : first + PASS]] = reward_BT[row, last].double().numpy()
    return policy_UC, reward_U


def initial_policy(model: Mtorl, table: Table, windows: Windows, alpha: float) -> Floats:
    """Eq. 17 of training users: click rates by channel, mixed with those of exposures whose predicted reward is high.

    tau, which the paper does not give, is such that as many exposures count as were clicked.
    """
    events, rows, channels = table.events, windows.row_S + 1, table.channels
    rewards = []
    model.eval()
    with torch.no_grad():
        for first in range(0, len(windows), PASS):
            batch = table.batch(windows, slice(first, first + PASS))
            rewards.append(model.predict(batch)[1][batch.scored_BT].double().numpy())
    reward_S = np.concatenate(rewards)
    threshold = float(np.quantile(reward_S, 1 - events.clicked_R[rows].mean()))
    explicit_C = allocate.explicit(events.channel_R[rows], events.clicked_R[rows], channels)
    implicit_C = allocate.implicit(events.channel_R[rows], reward_S, threshold, channels)
    return allocate.initial(explicit_C, implicit_C, alpha)
