"""Flights of an advertiser's campaigns in a market, and the feedback that its server would have of them.

Both arms play the same world, each with its part of requests and budget and luck of its own. Every conversion arrives
whole, on a day of its own.

Shapes: F flights, T cycles, C campaigns, B = F C rows (a flight's campaigns on end), P platforms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from crossmix.config import Config
from crossmix.evaluate.play import Act
from crossmix.feedback import Array, Feedback, pooled
from crossmix.market.conditions import scaled_market
from crossmix.market.environment import MarketEnvironment, Observation
from crossmix.market.model import Market
from crossmix.market.uncertain import parameters

REPORTED = ("requests", "impressions", "clicks", "spend")


def static(world: MarketEnvironment, _: Observation) -> Tensor:
    """The plan's own split."""
    return world.static_BP


def fly(
    config: Config,
    market: Market,
    arms: Sequence[tuple[Act, float]],
    *,
    flights: int,
    cycles: int,
    seed: int,
    mechanism: str = "counts",
    uncertain: bool = False,
) -> list[Feedback]:
    """What each arm reports of so many flights of all campaigns.

    Args:
        arms: what plays, and its part of requests and budget; parts of 0 play nothing and are left out.
        seed: of the world that all arms share; each has luck of its own.
        uncertain: every flight is in a market of its own, which the fit leaves possible.

    Returns:
        Per arm: rows as campaigns, named flight/campaign.
    """
    return [
        _arm(config, market, act, part, flights, cycles, seed, mechanism, number, uncertain)
        for number, (act, part) in enumerate(arms)
        if part > 0
    ]


def both(
    config: Config,
    market: Market,
    act: Act,
    *,
    flights: int,
    cycles: int,
    seed: int,
    mechanism: str = "counts",
    uncertain: bool = False,
) -> Feedback:
    """What the policy's arm and the static split's report together, by `thresholds.weight`."""
    weight = config.thresholds.weight
    arms = [(act, weight), (static, 1 - weight)]
    return pooled(
        fly(config, market, arms, flights=flights, cycles=cycles, seed=seed, mechanism=mechanism, uncertain=uncertain)
    )


def _arm(
    config: Config,
    market: Market,
    act: Act,
    part: float,
    flights: int,
    cycles: int,
    seed: int,
    mechanism: str,
    number: int,
    uncertain: bool,
) -> Feedback:
    campaigns = len(market.campaigns)
    drawn = parameters(market, flights, torch.Generator().manual_seed(seed)) if uncertain else {}
    world = MarketEnvironment(
        replace(scaled_market(market, requests=part), budget=market.budget * part),
        config,
        campaign_B=torch.arange(flights * campaigns) % campaigns,
        cycles=cycles,
        mechanism=mechanism,
        seed=seed,
        whole=True,
        value=drawn | {"requests": part * drawn["requests"]} if drawn else None,
    )
    for generator in (world.luck, world.arrival):
        generator.manual_seed(generator.initial_seed() + 1_000_003 * (number + 1))
    if not market.of_totals:
        # A campaign that begins has no clicks behind it.
        world.pending_DBP.zero_()
    told, rows, days = [], [], []
    observation = world.observe()
    for _ in range(cycles):
        days.append(world.weekday_B.numpy().astype(np.int64))
        with torch.no_grad():
            step = world.step(act(world, observation))
        observation = step.observation
        told.append(step.outcome.planned)
        arrived = world.history.ring_WQBP[(world.history.cycles - 1) % world.history.window]
        rows.append(torch.stack([*(getattr(step.outcome, name) for name in REPORTED), arrived[2], arrived[3]]))
    amounts: Array = torch.stack(rows).double().numpy()
    names = (*REPORTED, "conversions", "revenue")
    return Feedback(
        campaigns=tuple(f"{flight}/{name}" for flight in range(flights) for name in market.campaigns),
        platforms=market.platforms,
        cycle_TC=np.repeat(np.arange(cycles)[:, None], world.batch, 1),
        weekday_TC=np.stack(days),
        part_TC=np.full((cycles, world.batch), part),
        told_TCP=torch.stack(told).double().numpy(),
        **{f"{name}_TCP": amounts[:, q] for q, name in enumerate(names)},
    )
