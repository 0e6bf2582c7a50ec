"""Regret: what the best split of the market as it is now believed to be is expected to earn over what serves.

Levels are what the residuals' filter has kept (`monitoring.residuals`), the split that serves is the newest one told,
of all arms together. A refit finds what it looks for where levels are unsure, so the figure is above what a
re-adaptation brings: it informs, and raises no alert.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from crossmix.background import sentence
from crossmix.config import STRICT, Fraction, PositiveInt
from crossmix.feedback import Array, Feedback, pooled
from crossmix.ledger import returned
from crossmix.ledger.store import Store
from crossmix.market import levels, model
from crossmix.market.conditions import nominal
from crossmix.market.level_evidence import Usual
from crossmix.market.mechanism import expected
from crossmix.market.model import Market
from crossmix.market.oracle import solve
from monitoring import residuals
from monitoring.followed import Look
from monitoring.monitors import EVERY, MONITORS, Finding, Monitor, Served


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What regret is held against."""

    __pydantic_config__ = STRICT
    gain: Fraction = 0.02
    """Part of revenue from which on the figure is worth a look."""
    settle: PositiveInt = 3
    """As `residuals.settle`."""


def look(store: Store, now: datetime, settings: Settings, served: Served) -> Iterator[Finding]:
    """A finding per campaign, or one that says why nothing is known."""
    expected_ = residuals.expected_of(served)
    followed = residuals.Settings(settle=settings.settle)
    seen = None if isinstance(expected_, str) else residuals.take(store, now, followed, *expected_)
    if seen is None:
        yield _finding(EVERY, None, settings, "unknown: no cycle was followed; residuals say why")
        return
    market = _market(served, seen)
    if isinstance(market, str):
        yield _finding(EVERY, None, settings, f"unknown: {market}")
        return
    nothing = Feedback.none(market.campaigns, market.platforms)
    moved = levels.refit(market, nothing, served.config.levels, seen.after.state).market
    every = returned.read(store, market.platforms, now, campaigns=market.campaigns, newest=1)
    for one in every:
        feedback = pooled(list(one.arms.values()))
        for c, name in enumerate(feedback.campaigns):
            told_P = _told(feedback, c)
            if told_P is not None:
                gain, earned = regret(moved, market.campaigns.index(name), told_P)
                detail = f"best split {gain:+.1%} above the one that serves, which is expected to earn {earned:,.6g}"
                yield _finding(name, gain, settings, f"{detail} a cycle in the market as it is believed to be")


def regret(market: Market, campaign: int, told_P: Array) -> tuple[float, float]:
    """What the best split of the amount told is expected to earn over these amounts, a part of theirs; and theirs.

    In a cycle of average weekday and no drift, within the campaign's limits; currency.
    """
    which = torch.tensor([campaign])
    conditions = nominal(market, which)
    budget_BP = torch.tensor(told_P[None], dtype=torch.float32)
    budget = budget_BP.sum(1)
    best = solve(conditions, budget, market.minimum[which], market.maximum[which])
    earned = float(expected(conditions, budget_BP).revenue.sum())
    return float(best.revenue_B[0]) / max(earned, 1e-12) - 1, earned


def _told(feedback: Feedback, campaign: int) -> Array | None:
    told_P = np.nan_to_num(feedback.told_TCP[-1, campaign]) if len(feedback) else np.zeros(0)
    return told_P if told_P.sum() > 0 else None


def _market(served: Served, seen: Look) -> Market | str:
    """The market that the plan of the bundle that serves came from; or why it is not known."""
    if served.market is None:
        return "the market that the policy was planned in is not at hand: name the folder of a run"
    try:
        market = _loaded(served.market(seen.digest).resolve())
    except (OSError, ValueError) as error:
        return sentence(error)
    if not _as_planned(market, seen.expectation.usual):
        return f"the market of bundle {seen.digest[:12]} is not the one that its thresholds are of; train anew"
    return market


@lru_cache(maxsize=2)
def _loaded(folder: Path) -> Market:
    return model.load(folder)


def _as_planned(market: Market, usual: Usual) -> bool:
    """Whether the levels that were followed are against this market."""
    mine = Usual.of(market)
    return all(torch.allclose(getattr(mine, name), getattr(usual, name), rtol=1e-4) for name in ("cvr", "value"))


def _finding(campaign: str, gain: float | None, settings: Settings, detail: str) -> Finding:
    return Finding(
        monitor="regret",
        campaign_id=campaign,
        arm=EVERY,
        observed=gain,
        limit=settings.gain,
        unit="of revenue",
        alarming=False,
        detail=detail,
        cause="regret",
    )


MONITORS.register(
    Monitor(
        name="regret",
        label="what a refit is expected to earn over what serves; it informs only",
        look=look,
        settings=Settings,
        served=True,
    )
)
