"""The base policy of a market, and a steady market whose states a test changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from crossmix.agents import mpc
from crossmix.agents.mpc import BasePolicy
from crossmix.config import Config
from crossmix.market.environment import MarketEnvironment, episode_campaigns
from crossmix.market.model import Market
from crossmix.market.pacing import tables
from crossmix.state import ALLOCATION
from tests.support.markets import make_market


def base_policy(market: Market, config: Config) -> BasePolicy:
    plan = tables(market, config)
    assert plan is not None
    return BasePolicy(plan)


def column(state_BS: Tensor, name: str) -> Tensor:
    """A field of every slot, (B, 10); write into it."""
    return ALLOCATION.of_platforms(ALLOCATION.statistics(state_BS), name)


class SteadyMarket:
    """A steady market ten times as large as usual, its states to be changed, and what the plan makes of them."""

    def __init__(self, config: Config) -> None:
        market = make_market(seed=8, campaigns=2, drift=0.05)
        still = {"cvr_drift": torch.zeros_like(market.value["cvr_drift"])}
        requests = {"requests": market.value["requests"] * 10}
        self.market = replace(market, value=market.value | still | requests, budget=market.budget * 10)
        world = MarketEnvironment(
            self.market, config, campaign_B=episode_campaigns(market, 8), cycles=3, mechanism="counts", seed=9
        )
        self.plan, self.state = base_policy(self.market, config), world.observe().state_BS
        self.usual_cvr = self.market.value["cvr"][world.campaign_B]

    def platforms(self, name: str) -> Tensor:
        """A field of every platform, (8, 10); write into it."""
        return column(self.state, name)

    def campaign(self, name: str) -> Tensor:
        return ALLOCATION.of_campaign(ALLOCATION.statistics(self.state), name)

    def volume(self, factor: float, slots: slice = slice(3, 4), untold: slice = slice(0)) -> float:
        """Factor on some platforms' requests, the median, where their win rates tell `factor` times the usual ones."""
        read: list[Tensor] = []
        original, win_rate = mpc._volume, self.platforms("win_rate")
        kept = win_rate.clone()

        def told(seen: Mapping[str, Tensor], impressions: Tensor, usual: Tensor, noise: Tensor) -> Tensor:
            seen["win_rate"].copy_(impressions / usual)
            seen["win_rate"][:, slots] /= factor
            seen["win_rate"][:, untold] = 0
            read.append(original(seen, impressions, usual, noise)[:, slots])
            return original(seen, impressions, usual, noise)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mpc, "_volume", told)
            self.plan(self.state)
        win_rate.copy_(kept)
        return float(read[0].median())

    def factors(self, slot: int | None = None) -> tuple[float, float]:
        """On conversion rate and value per conversion, medians over platforms or of one."""
        rates, values = [], []
        predicted, value = mpc._predicted, mpc._value
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mpc, "_predicted", lambda *given: rates.append(predicted(*given)) or rates[-1])
            patch.setattr(mpc, "_value", lambda *given: values.append(value(*given)) or values[-1])
            self.plan(self.state)
        _, conversion = rates
        chosen = slice(None) if slot is None else slot
        return float(conversion[:, chosen].median()), float(values[0][:, chosen].median())
