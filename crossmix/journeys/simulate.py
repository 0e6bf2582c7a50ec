"""Algorithm 1 played in a user world: rounds in which whoever is picked sees one ad, and the journeys go on from it.

Every player gets the same users with the same logged journeys, the same budget and the same number of rounds; what it
earns is counted by the world's own probabilities, so that luck with clicks moves what it sees and not its score.

What is decided by are expected costs; what is paid is told when it is paid, and an exposure dearer than what is left of
the budget is not won. Who plays stands in `players`. Those that do not pace spend a round's part of the budget; lambda
is paced by dual descent (`allocate`).

Shapes: U users, C channels, N logged exposures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from crossmix.journeys import allocate
from crossmix.journeys.allocate import Chosen, Pace
from crossmix.journeys.log import NEVER, Events, Floats, Ints
from crossmix.journeys.world import DAY, UserWorld


@dataclass(frozen=True, slots=True)
class Round:
    """What a player knows when it decides."""

    events: Events
    """Journeys so far."""
    cost_C: Floats
    """Expected of one exposure, currency; what is paid may be another price (`World.prices_C`)."""
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
    choices, draws, sales = (np.random.default_rng([seed, stream]) for stream in (1, 2, 3))
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
            chance_UC = click_UC * conversion_UC + (1 - click_UC) * world.otherwise_C
            chosen, pace = priced(chance_UC * world.value_C, question)
        else:
            chosen, pace = player.decide(question)
        # One draw per user and round, whoever is picked: players meet the same luck.
        luck_U2, price_U = draws.random((world.users, 2)), world.price(chosen.channel_B, sales.random(world.users))
        order = np.argsort(-chosen.margin_B, kind="stable")
        user = np.sort(allocate.paid_for(order[chosen.allocated_B[order]], price_U, left))
        channel, price = chosen.channel_B[user], price_U[user]
        spend = float(price.sum())
        p, q, rest = click_UC[user, channel], conversion_UC[user, channel], world.otherwise_C[channel]
        clicks, revenue = (
            clicks + float(p.sum()),
            revenue + float(((p * q + (1 - p) * rest) * world.value_C[channel]).sum()),
        )
        cost, left, exposures = cost + spend, max(left - spend, 0.0), exposures + len(user)
        clicked = luck_U2[user, 0] < p
        converted = luck_U2[user, 1] < np.where(clicked, q, rest)
        events = _longer(events, user, channel, price, clicked, converted, world, now)
        tired_UC[user, channel] += 1
        pace = None if pace is None else pace.after(spend)
    name = "oracle" if player is None else player.name
    return Played(name, revenue, clicks, cost, budget, exposures, 0.0 if pace is None else pace.shadow)


def _longer(
    events: Events,
    user: Ints,
    channel: Ints,
    price: Floats,
    clicked: np.ndarray,
    converted: np.ndarray,
    world: UserWorld,
    now: float,
) -> Events:
    """The journeys with one more exposure of each of these users, at a time after all others."""
    added = {
        "user_R": user, "channel_R": channel, "clicked_R": clicked, "cost_R": price,
        "seconds_R": np.full(len(user), now), "converted_R": converted, "known_R": np.where(converted, now, NEVER),
        "revenue_R": np.where(converted, world.value_C[channel], 0.0), "row_R": np.full(len(user), -1),
    }  # fmt: skip
    joined = {name: np.concatenate([getattr(events, name), column]) for name, column in added.items()}
    order = np.argsort(joined["user_R"], kind="stable")
    return Events(events.channels, events.users, **{name: column[order] for name, column in joined.items()})


def priced(value_UC: Floats, question: Round) -> tuple[Chosen, Pace]:
    """Channels and users by value less lambda x cost, lambda paced."""
    pace = question.pace or allocate.begin(value_UC, question.cost_C, question.budget, question.rounds)
    return allocate.choose(value_UC, question.cost_C, pace.shadow, budget=pace.cap), pace
