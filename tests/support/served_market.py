"""A ledger as a server and its feeds would fill it: a policy is served in a market, both arms side by side.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from crossmix.agents.online import explore
from crossmix.agents.policy import Policy
from crossmix.config import Config
from crossmix.constraints import project
from crossmix.exploration import Exploration
from crossmix.ledger import experiments, feedback, served
from crossmix.ledger.campaigns import Campaign, changing
from crossmix.ledger.experiments import Plan
from crossmix.ledger.feedback import Event
from crossmix.ledger.store import Store
from crossmix.market.conditions import scaled_market
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import Market

START = datetime(2026, 1, 5, tzinfo=UTC)
PARTS = {"policy": 0.7, "control": 0.3}
REPORTED = ("spend", "requests", "impressions", "clicks", "conversions", "revenue")
Table = NDArray[np.float64]


@dataclass(frozen=True)
class Flown:
    """What one arm was told and reported."""

    report: dict[str, Table]
    """`REPORTED`, (T, C, P); conversions and revenue in the cycle in which they became known."""
    told_TCP: Table
    state_TCS: NDArray[np.float32]
    logits_TCP: Table
    density_TC: Table
    weekday_C: NDArray[np.int64]
    """Of the first cycle, 0 Monday."""


Poison = Callable[[str, dict[str, Table]], None]
"""Given an arm and its reports, (T, C, P) by name, which it may change."""


def fly(config: Config, market: Market, policy: Policy | None, part: float, cycles: int, seed: int, luck: int) -> Flown:
    """One arm's flight of every campaign; without a policy the plan's own split."""
    campaigns = len(market.campaigns)
    world = MarketEnvironment(
        replace(scaled_market(market, requests=part), budget=market.budget * part),
        config,
        campaign_B=torch.arange(campaigns),
        cycles=cycles,
        mechanism="counts",
        seed=seed,
        whole=True,
    )
    world.luck.manual_seed(7 * seed + luck)
    exploration, generator = Exploration.of(config), torch.Generator().manual_seed(seed)
    report: dict[str, list[Table]] = {name: [] for name in REPORTED}
    told, states, logits, densities = [], [], [], []
    world.pending_DBP.zero_()  # nothing was clicked before the first cycle
    seen, weekday_C = world.observe(), world.weekday_B.numpy().copy()
    for _ in range(cycles):
        states.append(seen.state_BS.numpy().copy())
        if policy is None:
            share = world.static_BP
            logit, density = torch.full_like(share, torch.nan), torch.full((campaigns,), torch.nan)
        else:
            logit, density = explore(policy, exploration, seen.state_BS, generator)
            share = project(torch.softmax(logit, 1), seen.low_BP, seen.high_BP)
        with torch.no_grad():
            step = world.step(share)
        outcome, past = step.outcome, world.history.past(0)
        amounts = (outcome.spend, outcome.requests, outcome.impressions, outcome.clicks, past[2], past[3])
        for name, amount in zip(REPORTED, amounts, strict=True):
            report[name].append(amount.double().numpy().copy())
        told.append(outcome.planned.double().numpy().copy())
        logits.append(logit.double().numpy())
        densities.append(density.double().numpy())
        seen = step.observation
    stacked = {name: np.stack(rows) for name, rows in report.items()}
    return Flown(stacked, np.stack(told), np.stack(states), np.stack(logits), np.stack(densities), weekday_C)


def fill(
    store: Store,
    config: Config,
    market: Market,
    policy: Policy,
    bundle: str,
    *,
    cycles: int,
    seed: int,
    poison: Poison | None = None,
) -> datetime:
    """Serve every campaign of a market for so many cycles; the market time at which all have ended.

    Args:
        store: empty.
        market: as it is, not as the policy believes it.
        bundle: digest under which the policy serves.
        poison: spoils what is reported, not what is earned.
    """
    experiments.begin(store, Plan("first", "salt", PARTS, cycles, 0.05), "tester")
    arms: Mapping[str, Policy | None] = {"policy": policy, "control": None}
    for luck, (arm, who) in enumerate(arms.items()):
        flown = fly(config, market, who, PARTS[arm], cycles, seed, luck)
        if luck == 0:
            _campaigns(store, market, flown.weekday_C, cycles)
        if poison is not None:
            poison(arm, flown.report)
        _serve(store, market, arm, flown, bundle)
    return START + timedelta(days=cycles + 7)


def _campaigns(store: Store, market: Market, weekday_C: NDArray[np.int64], cycles: int) -> None:
    """Each begins on the weekday on which its market's flight does."""
    with changing(store, "tester", "") as table:
        table.add_all(
            [
                Campaign(
                    campaign_id=name,
                    currency=market.currency,
                    cycle_budget=float(market.budget[c]),
                    share=dict(zip(market.platforms, market.static[c].tolist(), strict=True)),
                    limits={},
                    starts=START + timedelta(days=int(weekday_C[c])),
                    cycles=cycles,
                    cycle_hours=24,
                )
                for c, name in enumerate(market.campaigns)
            ]
        )


def _serve(store: Store, market: Market, arm: str, flown: Flown, bundle: str) -> None:
    events, splits = [], []
    for t, c in np.ndindex(flown.told_TCP.shape[:2]):
        name, told_P = market.campaigns[c], flown.told_TCP[t, c]
        begins = START + timedelta(days=int(flown.weekday_C[c]) + t)
        explored = bool(np.isfinite(flown.density_TC[t, c]))
        splits.append(
            {
                "allocation_id": f"{arm}-{name}-{t}",
                "at": begins,
                "campaign_id": name,
                "arm": arm,
                "cycle": t,
                "bundle": bundle,
                "budget": float(told_P.sum()),
                "share": dict(zip(market.platforms, (told_P / told_P.sum()).tolist(), strict=True)),
                "state": flown.state_TCS[t, c].astype("<f4").tobytes() if explored else None,
                "logits": flown.logits_TCP[t, c].tolist() if explored else None,
                "log_density": float(flown.density_TC[t, c]) if explored else None,
                "override": None,
            }
        )
        for p, platform in enumerate(market.platforms):
            amounts: dict[str, Any] = {key: float(table[t, c, p]) for key, table in flown.report.items()}
            events.append(
                Event(
                    event_id=f"{arm}-{name}-{t}-{platform}",
                    campaign_id=name,
                    arm=arm,
                    platform=platform,
                    cycle=t,
                    known=t,
                    user=None,
                    complete=True,
                    **amounts,
                )
            )
    served.record(store, [], splits)
    feedback.insert(store, events, START)
