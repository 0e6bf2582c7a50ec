"""An advertiser that is watched: its market, a bundle with thresholds, and flights in a ledger."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crossmix import bundle, constraints
from crossmix.config import Config, laptop
from crossmix.evaluate.watch.expectation import Expectation
from crossmix.evaluate.watch.flights import fly, static
from crossmix.evaluate.watch.quiet import Calibrated, calibrate
from crossmix.feedback import Feedback
from crossmix.ledger import experiments, feedback
from crossmix.ledger.campaigns import Campaign, changing
from crossmix.ledger.experiments import Plan
from crossmix.ledger.feedback import Event
from crossmix.ledger.served import record
from crossmix.ledger.store import Store
from crossmix.market.model import Market
from tests.support.bundles import Actor
from tests.support.markets import make_market

START = datetime(2026, 1, 5, tzinfo=UTC)
"""Of every campaign."""
DAY = timedelta(days=1)
ARMS = {"policy": 0.7, "control": 0.3}


def small(flights: int = 8, days: float = 40.0) -> Config:
    """Calibration of a second."""
    config = laptop()
    return replace(config, thresholds=replace(config.thresholds, flights=flights, days=days))


@cache
def market() -> Market:
    """Two campaigns on three platforms; every weekday alike, as each flight begins on one of its own."""
    made = make_market(seed=4, platforms=3)
    return replace(made, volume_week=torch.ones_like(made.volume_week))


@cache
def calibrated() -> Calibrated:
    return calibrate(small(), market(), static)


@cache
def expectation() -> Expectation:
    config = small()
    return Expectation.of(market(), config.levels, config.thresholds.budget, calibrated())


def make_bundle(folder: Path, seed: int = 0, *, watch: bool = True) -> bundle.Bundle:
    """Of that market, with an untrained actor."""
    world = market()
    limits = constraints.Limits.free(3)
    return bundle.save(
        folder,
        Actor(3, seed),
        config=small(),
        platforms=world.platforms,
        limits=dict.fromkeys(world.campaigns, limits),
        plans={
            name: bundle.Plan(float(world.budget[c]), world.currency, tuple(world.static[c].tolist()))
            for c, name in enumerate(world.campaigns)
        },
        contexts={name: world.present_context[c].numpy() for c, name in enumerate(world.campaigns)},
        responses=None,
        data_digest=world.digest,
        extras={"watch.npz": expectation().as_bytes()} if watch else None,
    )


@cache
def flight(cycles: int, seed: int) -> dict[str, Feedback]:
    """What both arms report of one flight in the market."""
    return flown(market(), cycles, seed)


def flown(world: Market, cycles: int, seed: int) -> dict[str, Feedback]:
    """The same in another world."""
    arms = [(static, part) for part in ARMS.values()]
    return dict(zip(ARMS, fly(small(), world, arms, flights=1, cycles=cycles, seed=seed), strict=True))


def begun(url: str, cycles: int = 60) -> Store:
    """A ledger in which the market's campaigns begin, both arms in an experiment."""
    store = Store(url, clock=lambda: START)
    experiments.begin(store, Plan("first", "salt", ARMS, cycles, 0.05), "tester")
    world = market()
    with changing(store, "tester", "") as table:
        table.add_all(
            [
                Campaign(
                    name,
                    world.currency,
                    float(world.budget[c]),
                    dict(zip(world.platforms, world.static[c].tolist(), strict=True)),
                    {},
                    START,
                    cycles,
                    24.0,
                )
                for c, name in enumerate(world.campaigns)
            ]
        )
    return store


def report(store: Store, arms: dict[str, Feedback], first: int, stop: int, *, silent: tuple[str, ...] = ()) -> None:
    """The reports of these cycles, complete, as they end; none of the platforms that are silent."""
    names = market().campaigns
    for t in range(first, stop):
        events = []
        record(store, [], [_split(arm, one, t, c) for arm, one in arms.items() for c in range(len(names))])
        for (arm, one), (c, name), (p, platform) in itertools.product(
            arms.items(), enumerate(names), enumerate(market().platforms)
        ):
            if platform in silent:
                continue
            amounts: dict[str, Any] = {
                what: float(np.asarray(getattr(one, f"{what}_TCP"))[t, c, p])
                for what in ("requests", "impressions", "clicks", "conversions", "revenue", "spend")
            }
            where: dict[str, Any] = {
                "campaign_id": name,
                "arm": arm,
                "platform": platform,
                "cycle": t,
                "known": t,
                "user": None,
            }
            events.append(Event(event_id=f"{name}/{arm}/{platform}/{t}", complete=True, **where, **amounts))
        feedback.insert(store, events, START + (t + 1) * DAY)


def _split(arm: str, one: Feedback, t: int, c: int) -> dict[str, Any]:
    told_P = one.told_TCP[t, c]
    return {
        "allocation_id": f"{c}/{arm}/{t}",
        "at": START + t * DAY,
        "campaign_id": market().campaigns[c],
        "arm": arm,
        "cycle": t,
        "bundle": "b",
        "budget": float(told_P.sum()),
        "share": dict(zip(market().platforms, (told_P / told_P.sum()).tolist(), strict=True)),
    }
