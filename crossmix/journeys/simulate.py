"""Algorithm 1 played in a user world: rounds in which whoever is picked sees one ad, and the journeys go on from it.

Every player gets the same users with the same logged journeys, the same budget and the same number of rounds; what it
earns is counted by the world's own probabilities, so that luck with clicks moves what it sees and not its score.

| player               | users of a round                  | channel                                            |
|----------------------|-----------------------------------|----------------------------------------------------|
| log                  | at random, by exposures so far    | drawn from the log's shares                        |
| eq. 17               | at random                         | drawn from P_initial                               |
| repeat last          | at random                         | the user's last                                    |
| MTORL argmax         | top N by predicted reward         | eq. 10                                             |
| MTORL eta-mix        | top N by predicted reward         | drawn from eta P_u + (1 - eta) P_initial           |
| best channel         | at random                         | highest logged revenue per cost                    |
| best, own clicks     | top N by own shrunken click share | the same                                           |
| response             | value - lambda cost above 0       | highest value - lambda cost                        |
| oracle               | the same by the world's own probabilities                                              |

Players that do not pace spend a round's part of the budget; lambda is paced by dual descent (`allocate`).

Shapes: U users, C channels, N logged exposures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from crossmix.journeys import allocate
from crossmix.journeys.allocate import Chosen, Pace
from crossmix.journeys.answer import Answer
from crossmix.journeys.log import NEVER, Events, Floats, Ints
from crossmix.journeys.mtorl import Mtorl
from crossmix.journeys.response import PASS, Response
from crossmix.journeys.table import Table, tabulate
from crossmix.journeys.windows import Windows, tail
from crossmix.journeys.world import DAY, UserWorld

PRIOR_STEPS = 10.0
"""Exposures that a user's own click share is shrunken by."""


@dataclass(frozen=True, slots=True)
class Round:
    """What a player knows when it decides."""

    events: Events
    """Journeys so far."""
    cost_C: Floats
    pace: Pace | None
    """`None` before the first round of a player that paces."""
    budget: float
    """Left, currency."""
    rounds: int
    """Left, this one included."""
    rng: np.random.Generator

    @property
    def target(self) -> float:
        """This round's part of the budget."""
        return self.budget / self.rounds


Decide = Callable[[Round], tuple[Chosen, Pace | None]]


@dataclass(frozen=True, slots=True)
class Player:
    """Who decides, under which name."""

    name: str
    decide: Decide


@dataclass(frozen=True, slots=True)
class Played:
    """What a player did with its budget."""

    name: str
    revenue: float
    """Expected under the world, currency."""
    clicks: float
    """The same."""
    cost: float
    budget: float
    exposures: int
    shadow: float
    """lambda at the end; 0 where the player does not pace."""

    @property
    def per_cost(self) -> float:
        """Revenue per cost."""
        return self.revenue / self.cost if self.cost > 0 else 0.0


def play(
    world: UserWorld,
    log: Events,
    tired_UC: Floats,
    players: Sequence[Player],
    *,
    budget: float,
    rounds: int,
    days: float,
    seed: int,
    oracle: bool = True,
) -> list[Played]:
    """Let every player spend a budget in the same world, one after the other.

    Args:
        log: of the world's users, in their order; where journeys begin.
        tired_UC: the users' fatigue at the log's end (`world.play_log`).
        days: between two rounds.
        oracle: whether the clairvoyant plays too, last.
    """
    everybody: list[Player | None] = [*players, *([None] if oracle else [])]
    return [_play(world, log, tired_UC, player, budget, rounds, days, seed) for player in everybody]


def _play(
    world: UserWorld,
    log: Events,
    tired_UC: Floats,
    player: Player | None,
    budget: float,
    rounds: int,
    days: float,
    seed: int,
) -> Played:
    everybody = np.arange(world.users)
    conversion_UC = world.conversion(everybody)
    choices, draws = (np.random.default_rng([seed, stream]) for stream in (1, 2))
    events, tired_UC, left, pace = log, tired_UC.copy(), budget, None
    now = float(log.seconds_R.max(initial=0.0))
    revenue = clicks = cost = 0.0
    exposures = 0
    for number in range(rounds):
        now += days * DAY
        tired_UC *= np.exp(-days / world.recovery)
        click_UC = world.click(everybody, tired_UC)
        question = Round(events, world.cost_C, pace, left, rounds - number, choices)
        if player is None:
            chosen, pace = _priced(click_UC * conversion_UC * world.value_C, question)
        else:
            chosen, pace = player.decide(question)
        user = np.flatnonzero(chosen.allocated_B)
        channel = chosen.channel_B[user]
        spend = float(world.cost_C[channel].sum())
        p, q = click_UC[user, channel], conversion_UC[user, channel]
        clicks, revenue = clicks + float(p.sum()), revenue + float((p * q * world.value_C[channel]).sum())
        cost, left, exposures = cost + spend, max(left - spend, 0.0), exposures + len(user)
        # One draw per user and round, whoever is picked: players meet the same luck.
        luck_U2 = draws.random((world.users, 2))
        clicked = luck_U2[user, 0] < p
        events = _longer(events, user, channel, clicked, clicked & (luck_U2[user, 1] < q), world, now)
        tired_UC[user, channel] += 1
        pace = None if pace is None else pace.after(spend)
    name = "oracle" if player is None else player.name
    return Played(name, revenue, clicks, cost, budget, exposures, 0.0 if pace is None else pace.shadow)


def _longer(
    events: Events, user: Ints, channel: Ints, clicked: np.ndarray, converted: np.ndarray, world: UserWorld, now: float
) -> Events:
    """The journeys with one more exposure of each of these users, at a time after all others."""
    added = {
        "user_R": user, "channel_R": channel, "clicked_R": clicked, "cost_R": world.cost_C[channel],
        "seconds_R": np.full(len(user), now), "converted_R": converted, "known_R": np.where(converted, now, NEVER),
        "revenue_R": np.where(converted, world.value_C[channel], 0.0), "row_R": np.full(len(user), -1),
    }  # fmt: skip
    joined = {name: np.concatenate([getattr(events, name), column]) for name, column in added.items()}
    order = np.argsort(joined["user_R"], kind="stable")
    return Events(events.channels, events.users, **{name: column[order] for name, column in joined.items()})


def _priced(value_UC: Floats, question: Round) -> tuple[Chosen, Pace]:
    """By value less lambda x cost, lambda paced."""
    pace = question.pace or allocate.begin(value_UC, question.cost_C, question.budget, question.rounds)
    return allocate.choose(value_UC, question.cost_C, pace.shadow, budget=pace.cap), pace


def _picked(score_U: Floats, channel_U: Ints, question: Round) -> tuple[Chosen, None]:
    """The best by a score, as far as the round's part of the budget goes."""
    allocated_U = allocate.top(score_U, question.cost_C[channel_U], question.target)
    return Chosen(channel_U, score_U, allocated_U), None


class Answers(Protocol):
    """A response model, or its bundle."""

    def answer(self, events: Events) -> Answer:
        """Of every user, as after its last exposure."""


def by_response(model: Answers, worth_click: float, worth_conversion_C: Floats) -> Player:
    """The response model with a shadow price."""

    def decide(question: Round) -> tuple[Chosen, Pace]:
        answer = model.answer(question.events)
        value_UC = allocate.value(answer.click_UC, answer.conversion_UC, worth_click, worth_conversion_C)
        return _priced(value_UC, question)

    return Player("response", decide)


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


def best_for_clickers(channel: int, rate: float) -> Player:
    """One channel, users by their own click share shrunken towards the mean rate: the simplest that ranks users."""

    def decide(question: Round) -> tuple[Chosen, None]:
        events = question.events
        users = len(events.users)
        clicks_U = np.bincount(events.user_R, events.clicked_R, users) + PRIOR_STEPS * rate
        steps_U = np.bincount(events.user_R, minlength=users) + PRIOR_STEPS
        score_U = clicks_U / steps_U + 1e-9 * question.rng.random(users)
        return _picked(score_U, np.full(users, channel), question)

    return Player("best, own clicks", decide)


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
