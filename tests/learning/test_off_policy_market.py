"""Off-policy estimates on a market whose truth is known: the log of an exploring policy tells what another earns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from crossmix.agents.online import explore
from crossmix.agents.policy import Policy
from crossmix.config import load
from crossmix.constraints import project
from crossmix.evaluate.stats.off_policy import OffPolicy, estimate
from crossmix.exploration import Exploration
from crossmix.market.environment import MarketEnvironment
from tests.support.markets import make_market

LOGS, FLIGHTS, CYCLES, DRAWS = 30, 40, 8, 8
LAW = Exploration(0.5, math.inf)
"""Uncut, so that the log holds every split that the target would serve."""


@pytest.fixture(scope="module")
def found() -> tuple[list[OffPolicy], float]:
    """Estimates from logs of their own, and what the target earns in the states of them all."""
    config, market = load("laptop"), make_market(seed=3, platforms=3, campaigns=1, drift=0.2)
    torch.manual_seed(0)
    served = Policy(3, (8,), 0).eval()
    torch.manual_seed(0)
    target = Policy(3, (8,), 0).eval()
    best = int((market.value["ctr"] * market.value["cvr"] * market.value["value"]).mean(0).argmax())
    with torch.no_grad():
        target.head.bias[best] += 0.5
    estimates, truths = [], []
    for seed in range(LOGS):
        world = MarketEnvironment(
            market,
            config,
            campaign_B=torch.zeros(FLIGHTS, dtype=torch.long),
            cycles=CYCLES,
            mechanism="counts",
            seed=9_000 + seed,
        )
        generator = torch.Generator().manual_seed(seed)
        columns: dict[str, list[torch.Tensor]] = {
            name: []
            for name in ("log_served_N", "log_target_N", "reward_N", "model_N", "model_target_N", "cluster_N", "truth")
        }
        for _ in range(CYCLES):
            with torch.no_grad():
                seen = world.observe()
                logits, density = explore(served, LAW, seen.state_BS, generator)
                expected = _roi(world, logits)
                draws = [explore(target, LAW, seen.state_BS, generator)[0] for _ in range(DRAWS)]
                theirs = torch.stack([_roi(world, draw) for draw in draws]).mean(0)
                outcome = world.step(torch.softmax(logits, 1)).outcome
            told = {
                "log_served_N": density,
                "log_target_N": LAW.log_density(target.logits(seen.state_BS), logits).detach(),
                "reward_N": outcome.roi_B(),
                # A model that sees the drift, and is a tenth too low.
                "model_N": 0.9 * expected,
                "model_target_N": 0.9 * theirs,
                "cluster_N": torch.arange(FLIGHTS),
                "truth": theirs,
            }
            for name, column in told.items():
                columns[name].append(column)
        joined = {name: torch.cat(parts).double().numpy() for name, parts in columns.items()}
        truths.append(joined.pop("truth").mean())
        estimates.append(estimate(**joined))
    return estimates, float(np.mean(truths))


def _roi(world: MarketEnvironment, logits_BP: torch.Tensor) -> torch.Tensor:
    """What the coming cycle is expected to earn."""
    low, high = world.box()
    return world.expected(project(torch.softmax(logits_BP, 1), low, high)).roi_B()


def test_intervals_hold_what_the_target_earns(found: tuple[list[OffPolicy], float]) -> None:
    estimates, truth = found
    for name in ("ips", "snips", "doubly_robust"):
        inside = sum(getattr(one, name).ci95[0] <= truth <= getattr(one, name).ci95[1] for one in estimates)
        # 28.5 of 30 expected; fewer than 25 would come once in a hundred times.
        assert inside >= 25, (name, inside)
        values = np.array([getattr(one, name).value for one in estimates])
        # The closed form is up to 2 % off where wins are few.
        assert abs(values.mean() - truth) < 3 * values.std(ddof=1) / np.sqrt(LOGS) + 0.02 * truth, name


def test_the_log_alone_would_mislead_and_a_model_helps(found: tuple[list[OffPolicy], float]) -> None:
    estimates, truth = found
    assert all(one.enough for one in estimates)
    assert np.mean([one.logged.value for one in estimates]) < 0.97 * truth
    assert np.mean([one.doubly_robust.error for one in estimates]) < 0.8 * np.mean([one.ips.error for one in estimates])
