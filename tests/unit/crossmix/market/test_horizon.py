"""The horizon bound: no plan is better, the plan keeps every limit, and without coupling it is the oracle's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from crossmix.config import laptop
from crossmix.constraints import Limits, box
from crossmix.market.conditions import Conditions
from crossmix.market.environment import CarryOver, MarketEnvironment, episode_campaigns
from crossmix.market.horizon import Horizon, Start, _play, bound
from crossmix.market.oracle import solve
from tests.support.markets import make_market

B, P, T = 3, 4, 5


def _cycles(seed: int = 1, drift: float = 0.6) -> tuple[list[Conditions], torch.Tensor, torch.Tensor]:
    """Conditions of T cycles of a drifting market, the budget per cycle, and the split in force before."""
    market = make_market(platforms=P, drift=drift)
    environment = MarketEnvironment(
        market, laptop(), campaign_B=episode_campaigns(market, B), cycles=T, mechanism="expected", seed=seed
    )
    cycles = []
    for _ in range(T):
        cycles.append(environment.conditions)
        environment.step(torch.full((B, P), 1 / P))
    return cycles, environment.budget_B, torch.full((B, P), 1 / P)


def _start(budget_B: torch.Tensor, share_BP: torch.Tensor, step: float = 1.0, **settings: object) -> Start:
    limits = replace(Limits.free(P), step_P=torch.full((P,), step))
    base = replace(laptop().market, return_unspent=False)
    return Start(budget_B, share_BP, limits, replace(base, **settings))


COUPLINGS = [
    {"step": 0.05},
    {"return_unspent": True},
    {"fatigue": 0.8},
    {"adstock": 0.7, "adstock_lift": 1.5},
    {"step": 0.1, "return_unspent": True, "fatigue": 0.5, "adstock": 0.5, "adstock_lift": 0.5},
]


def test_without_coupling_it_is_the_oracle_of_every_cycle() -> None:
    cycles, budget_B, share_BP = _cycles()
    found = bound(cycles, _start(budget_B, share_BP))
    low, high = torch.zeros(B, P), torch.ones(B, P)
    each = sum(solve(cycle, budget_B, low, high).revenue_B.double() for cycle in cycles)
    torch.testing.assert_close(found.revenue_B.double(), each, rtol=1e-5, atol=0)
    torch.testing.assert_close(found.myopic_B.double(), each, rtol=1e-5, atol=0)
    assert float(found.gap_B.max()) < 1e-4


@pytest.mark.parametrize("coupling", COUPLINGS)
@pytest.mark.parametrize("scale", [0.3, 1.0, 8.0])
def test_upper_plan_and_myopic_are_in_order(coupling: dict[str, float], scale: float) -> None:
    cycles, budget_B, share_BP = _cycles()
    start = _start(scale * budget_B, share_BP, **coupling)
    found = bound(cycles, start)
    assert (found.upper_B >= found.revenue_B).all()
    assert (found.revenue_B >= found.myopic_B * (1 - 1e-6)).all()
    # Random plans, made feasible: none above the bound.
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        wanted = torch.distributions.Dirichlet(torch.ones(P)).sample((T, B))
        wanted = wanted + 0.1 * torch.rand(wanted.shape, generator=generator)
        revenue, _ = _play(cycles, start, wanted)
        assert (revenue <= found.upper_B * (1 + 1e-6)).all()


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_the_plan_keeps_every_limit_and_earns_what_it_says(coupling: dict[str, float]) -> None:
    cycles, budget_B, share_BP = _cycles()
    start = _start(budget_B, share_BP, **coupling)
    found = bound(cycles, start)
    previous = share_BP
    for share in found.plan_TBP:
        low, high = box(start.limits, previous)
        assert ((share >= low - 1e-5) & (share <= high + 1e-5)).all()
        torch.testing.assert_close(share.sum(1), torch.ones(B), atol=1e-4, rtol=0)
        previous = share
    revenue, _ = _play(cycles, start, found.plan_TBP)
    torch.testing.assert_close(revenue.to(found.revenue_B), found.revenue_B, rtol=1e-4, atol=0)


def test_looking_ahead_pays_where_steps_are_small() -> None:
    """The second platform is worth nothing now and everything later: the plan moves towards it before it pays."""
    cycles, budget_B, share_BP = _cycles(drift=0.0)
    later = torch.tensor([0.0, 1.0, 0.0, 0.0])
    cycles = [
        replace(cycle, value=cycle.value * (0.2 + 0.8 * (1 - later)) if t < 3 else cycle.value * (0.2 + 5 * later))
        for t, cycle in enumerate(cycles)
    ]
    found = bound(cycles, _start(budget_B, share_BP, step=0.1))
    assert (found.revenue_B > 1.01 * found.myopic_B).all()
    myopic_early = bound(cycles[:3], _start(budget_B, share_BP, step=0.1)).plan_TBP[2, :, 1]
    # 0.25 + 3 x 0.1: as fast as the steps allow.
    torch.testing.assert_close(found.plan_TBP[2, :, 1], torch.full((B,), 0.55), atol=1e-3, rtol=0)
    assert (found.plan_TBP[2, :, 1] > myopic_early + 0.03).all()


def test_returned_money_waits_for_the_cycle_that_pays() -> None:
    """Without limits on time the pooled bound exceeds the sum of single cycles where one cycle pays far more."""
    cycles, budget_B, share_BP = _cycles(drift=0.0)
    cycles = [replace(cycle, value=cycle.value * (10 if t == T - 1 else 1)) for t, cycle in enumerate(cycles)]
    apart = bound(cycles, _start(budget_B, share_BP))
    pooled = bound(cycles, _start(budget_B, share_BP, return_unspent=True))
    assert (pooled.upper_B > 1.1 * apart.upper_B).all()


def test_stocks_at_the_start_count() -> None:
    cycles, budget_B, share_BP = _cycles()
    start = _start(budget_B, share_BP, fatigue=0.9)
    fresh = bound(cycles, start)
    tired = bound(cycles, replace(start, carried=CarryOver(torch.ones(B, P), torch.zeros(B, P))))
    assert (tired.revenue_B < 0.9 * fresh.revenue_B).all()
    torch.testing.assert_close(tired.upper_B, fresh.upper_B)


def test_a_horizon_is_a_value() -> None:
    half = torch.tensor([0.5])
    assert float(Horizon(2 * half, half, half, half).gap_B) == pytest.approx(0.5)
