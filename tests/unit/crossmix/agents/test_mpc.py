"""The plan that actors start from: its split against the solver, its limits, its export with the policy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from crossmix.agents.mpc import FEW_ROWS
from crossmix.agents.policy import Policy
from crossmix.config import Config, load
from crossmix.market.conditions import nominal
from crossmix.market.environment import MarketEnvironment
from crossmix.market.mechanism import expected
from crossmix.market.model import Market
from crossmix.market.oracle import Solution, solve
from crossmix.market.pacing import tables
from crossmix.response import BELIEF
from crossmix.state import ALLOCATION
from tests.support.base_policies import base_policy, column
from tests.support.markets import make_market, of_totals


@pytest.fixture
def config() -> Config:
    return load("laptop")


def _empty(market: Market, campaign_B: Tensor, weekday_B: Tensor) -> Tensor:
    """States of campaigns that have no history yet."""
    platform = torch.zeros(len(campaign_B), len(market.platforms), 12)
    platform[..., ALLOCATION.platform("max")] = market.maximum[campaign_B]
    platform[..., ALLOCATION.platform("min")] = market.minimum[campaign_B]
    angle = 2 * torch.pi * weekday_B / 7
    zero = torch.zeros(len(campaign_B))
    campaign = torch.stack([zero, zero, zero + 1, angle.sin(), angle.cos(), zero, zero, zero], 1)
    return ALLOCATION.encode(market.context[campaign_B, 0], platform, campaign)


def _planned(config: Config, market: Market, campaign_B: Tensor, weekday_B: Tensor) -> tuple[Tensor, Solution, Tensor]:
    """The plan's split of a cold start, the best one, and revenue of the plan's."""
    share = base_policy(market, config)(_empty(market, campaign_B, weekday_B))
    conditions = nominal(market, campaign_B, weekday_B)
    conditions = replace(conditions, ctr=(conditions.ctr * market.context_rate[campaign_B, 0]).clamp(max=0.95))
    budget_B = market.budget[campaign_B]
    best = solve(conditions, budget_B, torch.zeros_like(share), torch.ones_like(share))
    return share, best, expected(conditions, budget_B[:, None] * share).revenue.sum(1)


def test_without_history_the_plan_is_the_best_split_of_the_fitted_market(config: Config) -> None:
    """A cold start: nothing seen, so the nearest campaign's parameters, solved."""
    market = make_market(seed=3, campaigns=3)
    campaign_B, weekday_B = torch.arange(21) % 3, torch.arange(21) % 7
    share, best, ours = _planned(config, market, campaign_B, weekday_B)
    assert (ours / best.revenue_B).min() > 0.998
    assert (share - best.share_BP).abs().max() < 0.03


@pytest.mark.parametrize("campaigns", [1, 3])
def test_the_plan_is_the_best_split_where_conversions_fade_as_a_history_says(campaigns: int, config: Config) -> None:
    """Bent as much as a fit lets a response bend, whatever the elasticities are; of several campaigns each its own."""
    market = of_totals(make_market(seed=3, campaigns=campaigns))
    elasticity = torch.linspace(0.35, 0.9, market.static.shape[1]).expand(market.static.shape).clone()
    market = replace(market, value=market.value | {"elasticity": elasticity, "bend": elasticity * (1 - elasticity)})
    days = torch.arange(7 * campaigns)
    share, best, ours = _planned(config, market, days % campaigns, days // campaigns)
    assert (ours / best.revenue_B).min() > 0.999
    assert (share - best.share_BP).abs().max() < 0.03


@pytest.mark.parametrize("usual", [0.02, 0.05, 0.15])
def test_the_plan_is_the_best_split_where_little_of_all_requests_is_bought(config: Config, usual: float) -> None:
    """As of a history, whose requests are those of three times its largest week: the first wins count, too."""
    market = of_totals(make_market(seed=3, platforms=4, campaigns=1))
    elasticity = torch.tensor([[0.4, 0.55, 0.7, 0.85]])
    made = {
        "elasticity": elasticity,
        "bend": 0.8 * elasticity * (1 - elasticity),
        "usual_share": torch.full((1, 4), usual),
    }
    market = replace(market, value=market.value | made)
    supply = nominal(market, torch.zeros(1, dtype=torch.long)).supply_cost().sum(1)
    market = replace(market, budget=usual * supply)
    share, best, ours = _planned(config, market, torch.zeros(7, dtype=torch.long), torch.arange(7))
    assert (ours / best.revenue_B).min() > 0.997
    assert (share - best.share_BP).abs().max() < 0.05


def test_what_the_plan_believes_is_told_over_what_is_usual(config: Config) -> None:
    """Of a flight without history that the coming day is as such days are; of one under way what its state shows."""
    market = make_market(seed=3, campaigns=3)
    campaign_B, weekday_B = torch.arange(21) % 3, torch.arange(21) % 7
    cold = base_policy(market, config).plan(_empty(market, campaign_B, weekday_B))
    assert torch.equal(cold.campaign, campaign_B)
    believed = dict(zip(BELIEF, cold.belief.unbind(1), strict=True))
    assert torch.allclose(believed["click_rate"], market.context_rate[campaign_B, 0], atol=1e-3)
    for name in ("value", "volume", "price"):
        assert torch.allclose(believed[name], torch.ones(21, 10), atol=1e-3), name
    day = market.volume_week[campaign_B].gather(2, weekday_B[:, None, None].expand(-1, 10, 1)).squeeze(2)
    assert torch.allclose(believed["weekday_volume"], day, atol=1e-3)
    assert torch.allclose(believed["supply"], nominal(market, campaign_B, weekday_B).supply_cost(), rtol=2e-2)
    world = MarketEnvironment(
        market, config, campaign_B=torch.zeros(1, dtype=torch.long), cycles=3, mechanism="counts", seed=2
    )
    state, plan = world.observe().state_BS, base_policy(market, config)
    column(state, "windowed_ctr")[0, 4] *= 1.5
    column(state, "log_price")[0, 5] += 0.3
    before, after = plan.plan(world.observe().state_BS).belief[0], plan.plan(state).belief[0]
    assert after[BELIEF.index("click_rate"), 4] > 1.1 * before[BELIEF.index("click_rate"), 4]
    assert after[BELIEF.index("price"), 5] > 1.05 * before[BELIEF.index("price"), 5]
    assert torch.allclose(after[:, :4], before[:, :4], rtol=2e-3)
    assert torch.equal(plan(state), plan.plan(state).share)


def test_the_plan_keeps_minima_and_maxima(config: Config) -> None:
    market = make_market(seed=2, platforms=4, campaigns=2)
    market = replace(market, minimum=torch.full((2, 4), 0.1), maximum=torch.full((2, 4), 0.35))
    world = MarketEnvironment(market, config, campaign_B=torch.arange(16) % 2, cycles=3, mechanism="counts", seed=1)
    share = base_policy(market, config)(world.observe().state_BS)
    assert torch.allclose(share.sum(1), torch.ones(16), atol=1e-5)
    assert share.min() > 0.1 - 1e-4
    assert share.max() < 0.35 + 1e-4


def test_an_actor_starts_exactly_at_its_plan_and_learns_what_to_add(config: Config) -> None:
    market = make_market(seed=5, campaigns=2)
    world = MarketEnvironment(market, config, campaign_B=torch.arange(8) % 2, cycles=3, mechanism="counts", seed=3)
    seen, plan = world.observe(), base_policy(market, config)
    policy = Policy(10, (16,), 8, tables(market, config))
    assert torch.allclose(policy.raw(seen.state_BS), plan(seen.state_BS), atol=2e-3)
    policy.raw(seen.state_BS)[:, 0].sum().backward()
    assert float(policy.head.weight.grad.abs().sum()) > 0
    assert not any(name.startswith("planner") for name, _ in policy.named_parameters())
    with pytest.raises(ValueError, match="no plan"):
        Policy(10, (16,), 8).plan_alone()


def test_the_plan_is_exported_with_the_policy(config: Config, tmp_path: Path) -> None:
    """ONNX answers as torch does, for one state and for many."""
    market = make_market(seed=7, campaigns=2)
    policy = Policy(10, (16,), 8, tables(market, config)).eval()
    campaign_B = torch.arange(6) % 2
    world = MarketEnvironment(market, config, campaign_B=campaign_B, cycles=3, mechanism="counts", seed=4)
    seen = world.observe()
    file = tmp_path / "policy.onnx"
    given = (seen.state_BS, seen.low_BP, seen.high_BP)
    names = ["state", "low", "high"]
    axes = {name: {0: "batch"} for name in [*names, "share"]}
    torch.onnx.export(
        policy,
        given,
        str(file),
        input_names=names,
        output_names=["share"],
        dynamic_axes=axes,
        dynamo=False,
        opset_version=17,
    )
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for rows in (1, 6):
        answer = session.run(None, {name: x[:rows].numpy() for name, x in zip(names, given, strict=True)})[0]
        assert np.abs(answer - policy(*(x[:rows] for x in given)).detach().numpy()).max() < 1e-4


def test_few_rows_and_many_are_solved_alike(config: Config) -> None:
    """32 levels at once for few rows, halving for many: the same grid."""
    market = make_market(seed=3, campaigns=3)
    plan = base_policy(market, config)
    states = _empty(market, torch.arange(3 * FEW_ROWS) % 3, torch.arange(3 * FEW_ROWS) % 7)
    few = torch.cat([plan(part) for part in states.split(FEW_ROWS)])
    assert (plan(states) - few).abs().max() < 1e-4
