"""Where players meet: test users of a run in a user world, in groups with a budget each.

Of the generated log the world is the planted one and the journeys are the log's own; of another log it is fitted on
test users, which nothing else was fitted on; journeys keep their channels, times and costs, clicks are the world's, and
rounds are the log's median gap apart (semi-synthetic, and said so).

Shapes: U users of a part, K blocks, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from crossmix.config import Config
from crossmix.journeys.bundled import JourneyBundle
from crossmix.journeys.fitted_world import MOST, fitted
from crossmix.journeys.gates.played import Block
from crossmix.journeys.log import Events, Floats, JourneyError
from crossmix.journeys.measured import budget_of, of_users, worth_of_conversions
from crossmix.journeys.mtorl import Mtorl
from crossmix.journeys.players import (
    best_channel,
    best_for_clickers,
    by_log,
    by_mtorl,
    by_response,
    by_shares,
    initial_policy,
    repeat_last,
)
from crossmix.journeys.prepared import Log, Prepared
from crossmix.journeys.response import Response
from crossmix.journeys.simulate import Player, play
from crossmix.journeys.windows import TEST, TRAIN
from crossmix.journeys.world import DAY, FATIGUE, World, planted, redrawn

GENERATED = "demo"


@dataclass(frozen=True, slots=True)
class Ground:
    """One block's world with its users' journeys so far."""

    world: World
    log: Events
    tired_UC: Floats
    days: float
    """Between two rounds."""
    campaign: str
    """Whose prices the response model is served with."""


def grounds(
    config: Config, log: Log, blocks: int, *, fatigue: bool = False, seed: int = 0, spread: float = MOST
) -> list[Ground]:
    """Test users in equal groups; of the generated log its campaigns by turns, of another the one with most exposures.

    Args:
        spread: largest spread of users' log-odds in a fitted world.

    Raises:
        WorldError: another log with too few exposures of test users.
    """
    ready = log.ready
    test = np.flatnonzero(ready.is_of(TEST))
    parts = np.array_split(np.random.default_rng([seed, 31]).permutation(test), blocks)
    if config.data.source == GENERATED:
        return [_planted(config, ready, np.sort(part), number, fatigue) for number, part in enumerate(parts)]
    rng = np.random.default_rng([seed, 32])
    events = of_users(ready.events, test)
    world = fitted(events, worth_of_conversions(events), rng, spread)
    world = world.tiring() if fatigue else world
    found = []
    gap_R = np.diff(events.seconds_R)[events.has_next_R[:-1]]
    days = max(float(np.median(gap_R)) / DAY, 1e-6)
    drawn = redrawn(world, events, rng)
    campaigns, count = np.unique(log.campaign_R.astype(str), return_counts=True)
    most = str(campaigns[count.argmax()])
    for part in np.array_split(rng.permutation(world.users), blocks):
        user = np.sort(part)
        tired_UC = np.zeros((len(user), len(world.channels)))
        found.append(Ground(world.of(user), of_users(drawn, user), tired_UC, days, most))
    return found


def _planted(config: Config, ready: Prepared, part: np.ndarray, number: int, fatigue: bool) -> Ground:
    demo = config.data.demo
    campaign = number % demo.campaigns
    world = planted(demo, campaign=campaign)
    # The log may order and group platforms otherwise than the world.
    for name in ready.events.channels:
        if name not in world.channels:
            raise JourneyError(
                f"data.platform_groups, data.keep_platforms: {name!r} is none of the generated world's channels, of "
                "which alone the oracle is known; keep them apart"
            )
    order = [world.channels.index(name) for name in ready.events.channels]
    user = np.array([int(ready.events.users[one].removeprefix("u")) for one in part])
    world = world.on(order).of(user)
    world = world.tiring(FATIGUE) if fatigue else world
    return Ground(
        world, of_users(ready.events, part), np.zeros((len(part), len(order))), 1.0, f"campaign_{campaign + 1}"
    )


def players(config: Config, ready: Prepared, response: Response, mtorl: Mtorl) -> list[Player]:
    """Everybody but the response model and the oracle, from training users' log."""
    settings = config.journeys.allocation
    training = ready.events.of_users(ready.is_of(TRAIN))
    C = len(training.channels)
    initial_C = initial_policy(mtorl, ready.table, ready.learn, settings.alpha)
    share_C = np.bincount(training.channel_R, minlength=C) / len(training)
    best = best_channel(training, settings.worth_click)
    return [
        by_log(share_C),
        by_shares("eq. 17", initial_C),
        repeat_last(best),
        *by_mtorl(mtorl, response, initial_C, settings.eta),
        by_shares("best channel", np.eye(C)[best]),
        best_for_clickers(best, float(training.clicked_R.mean())),
    ]


def played(
    config: Config, found: list[Ground], everybody: list[Player], bundle: JourneyBundle, seed: int = 0
) -> tuple[Block, ...]:
    """Every block played, by these players and by the bundle at its campaign's prices.

    Raises:
        JourneyError: a campaign that the bundle has no prices of.
    """
    settings = config.journeys.allocation
    for ground in found:
        if ground.campaign not in bundle.prices:
            raise JourneyError(
                f"campaign_id: {ground.campaign} has no training exposure, and so no prices; pass a longer log"
            )
    return tuple(
        Block(
            tuple(
                play(
                    ground.world,
                    ground.log,
                    ground.tired_UC,
                    [*everybody, by_response(bundle, bundle.prices[ground.campaign])],
                    budget=budget_of(settings, ground.world.users, float(ground.world.share_C @ ground.world.cost_C)),
                    rounds=settings.rounds,
                    days=ground.days,
                    seed=seed + number,
                )
            )
        )
        for number, ground in enumerate(tqdm(found, desc="groups of test users", unit="group", mininterval=2.0))
    )
