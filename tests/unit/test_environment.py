"""The market as an environment: paired worlds, limits, budgets, delays, bounds of the state."""

from dataclasses import replace

import pytest
import torch

from crossmix.config import laptop
from crossmix.market.environment import MarketEnvironment, episode_campaigns
from crossmix.market.model import load, save
from tests.markets import make_market


def _environment(mechanism: str = "counts", seed: int = 1, **change: object) -> MarketEnvironment:
    market = make_market(**{k: v for k, v in change.items() if k in ("maximum", "drift")})  # type: ignore[arg-type]
    if "step" in change:
        market = replace(market, step=torch.full_like(market.step, float(change["step"])))  # type: ignore[arg-type]
    return MarketEnvironment(
        market, laptop(), campaign_B=episode_campaigns(market, 6), cycles=12, mechanism=mechanism, seed=seed
    )


def test_the_same_seed_is_the_same_world_whatever_the_actions() -> None:
    ours, theirs = _environment(), _environment()
    corner = torch.zeros(6, 10)
    corner[:, 0] = 1
    for _ in range(5):
        ours.step(torch.full((6, 10), 0.1))
        theirs.step(corner)
        torch.testing.assert_close(ours.conditions.ctr, theirs.conditions.ctr)
        torch.testing.assert_close(ours.conditions.requests, theirs.conditions.requests)
        torch.testing.assert_close(ours.context_BD, theirs.context_BD)


def test_another_seed_is_another_world() -> None:
    assert not torch.allclose(_environment(seed=1).conditions.ctr, _environment(seed=2).conditions.ctr)


@pytest.mark.parametrize("mechanism", ["exact", "counts", "expected"])
def test_states_are_finite_and_episodes_end(mechanism: str) -> None:
    environment = _environment(mechanism)
    for cycle in range(12):
        step = environment.step(torch.full((6, 10), 0.1))
        assert torch.isfinite(step.observation.state_BS).all()
        assert torch.isfinite(step.reward_B).all()
        assert step.done == (cycle == 11)


def test_actions_are_projected_onto_the_limits_and_steps() -> None:
    environment = _environment(maximum=0.35, step=0.05)
    corner = torch.zeros(6, 10)
    corner[:, 3] = 1
    before = environment.history.share_BP
    step = environment.step(corner)
    assert float((step.share_BP - before).abs().max()) <= 0.05 + 1e-5 or float(before.max()) > 0.35
    assert float(step.share_BP.max()) <= 0.4 + 1e-5
    torch.testing.assert_close(step.share_BP.sum(1), torch.ones(6))


def test_unspent_budget_returns() -> None:
    environment = _environment("expected")
    plan = environment.budget_B.clone()
    torch.testing.assert_close(environment.cycle_budget_B(), plan)
    waste = torch.zeros(6, 10)
    waste[:, 0] = 1  # far more than one platform can spend
    step = environment.step(waste)
    left = plan * 12 - step.outcome.spend.sum(1)
    torch.testing.assert_close(environment.cycle_budget_B(), left / 11)


def test_revenue_arrives_by_the_delays_law() -> None:
    environment = _environment("expected", drift=0.0)
    for _ in range(4):
        step = environment.step(environment.static_BP)
    # In a steady state what arrives in a cycle is what a cycle earns, up to price and volume noise.
    arrived = environment.history.ring_WQBP[(environment.history.seen - 1) % 20, 3].sum()
    assert float(arrived) == pytest.approx(float(step.outcome.revenue.sum()), rel=0.25)


def test_a_market_survives_its_file(tmp_path) -> None:
    market = replace(make_market(), path={"level": torch.rand(3, 2, 10)})
    save(market, tmp_path)
    again = load(tmp_path)
    assert again.platforms == market.platforms
    for name, table in market.value.items():
        torch.testing.assert_close(again.value[name], table, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(again.price, market.price, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(again.path["level"], market.path["level"])


def test_an_unknown_mechanism_is_named() -> None:
    with pytest.raises(ValueError, match="'sampled' is unknown; use one of exact, counts, expected"):
        _environment("sampled")
