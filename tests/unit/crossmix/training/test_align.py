"""Alignment: eq. 5 by hand, the next state against the environment's own, gradients, planted biases found."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from crossmix.agents.adversarial import (
    FIELDS,
    Discriminator,
    accuracy,
    delivery,
    discriminator_loss,
    generator_loss,
    of_state,
    straight_through,
)
from crossmix.config import Config, load
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import Market, save
from crossmix.market.model import load as load_market
from crossmix.training.align import (
    QUANTITIES,
    scaled,
)
from tests.support.markets import make_market

PLATFORMS = 4
SMALL = ["align.hidden=[64,64]", "align.batch=64", "train.agent=pathwise", "train.pathwise.updates=60"]
SMALL += ["train.pathwise.batch=64", "train.pathwise.hidden=[32,32]", "train.cycles=20", "align.updates=20"]


def _config(*more: str) -> Config:
    return load("laptop", [*SMALL, *more])


def _world(market: Market, mechanism: str = "expected", rows: int = 6) -> MarketEnvironment:
    campaigns = torch.arange(rows) % len(market.campaigns)
    return MarketEnvironment(market, _config(), campaign_B=campaigns, cycles=20, mechanism=mechanism, seed=3)


def test_the_expected_next_state_is_the_environments_own() -> None:
    world = _world(make_market(platforms=PLATFORMS))
    share = torch.softmax(torch.randn(6, PLATFORMS, generator=torch.Generator().manual_seed(0)), 1)
    for _ in range(3):
        platform, campaign = world.following(share)
        weekday = (world.weekday_B + 1) % 7
        world.step(share)  # the mechanism is `expected`: no luck
        again, campaign_again = world.history.statistics(weekday)
        torch.testing.assert_close(platform, again)
        torch.testing.assert_close(campaign, campaign_again)


def test_the_next_states_gradient_is_that_of_finite_differences() -> None:
    world = _world(make_market(platforms=PLATFORMS))
    share = torch.full((6, PLATFORMS), 1 / PLATFORMS, requires_grad=True)
    weight = torch.randn(6, PLATFORMS * len(FIELDS), generator=torch.Generator().manual_seed(1))
    weight[:, [k for k in range(weight.shape[1]) if FIELDS[k % len(FIELDS)] == "utilisation"]] = 0

    def value(at: torch.Tensor) -> torch.Tensor:
        return (weight * delivery(world.following(at)[0])).sum()

    (gradient,) = torch.autograd.grad(value(share), share)
    direction = torch.tensor([1.0, -1.0, 0.5, -0.5]).expand(6, -1)
    step = 2e-3
    ends = [float(value(share.detach() + sign * step * direction)) for sign in (1, -1)]
    assert float((gradient * direction).sum()) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=0.05)


def test_the_losses_are_eq_5_and_cross_entropy() -> None:
    logged, simulated = torch.randn(50, 6), torch.randn(40, 6) + 1
    d = Discriminator(logged, (16,))
    p_logged, p_simulated = torch.sigmoid(d(logged)), torch.sigmoid(d(simulated))
    wanted = -(p_logged.log().mean() + (1 - p_simulated).log().mean())
    torch.testing.assert_close(discriminator_loss(d, logged, simulated, 0.0), wanted)
    torch.testing.assert_close(generator_loss(d, simulated), -p_simulated.log().mean())
    rows = logged.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(d(rows).sum(), rows)
    norm = (gradient * d.scale).square().sum(1).mean()
    torch.testing.assert_close(discriminator_loss(d, logged, simulated, 3.0), wanted + 1.5 * norm)
    right = [(p_logged > 0.5).float().mean(), (p_simulated <= 0.5).float().mean()]
    assert accuracy(d, logged, simulated) == pytest.approx(float(sum(right)) / 2)


def test_straight_through_has_the_samples_value_and_the_expectations_gradient() -> None:
    at = torch.tensor(2.0, requires_grad=True)
    value = straight_through(torch.tensor(7.0), at.square())
    assert float(value.detach()) == 7.0
    assert float(torch.autograd.grad(value, at)[0]) == 4.0


def test_scaling_a_market_scales_its_conditions_and_survives_the_file(tmp_path: Path) -> None:
    market = make_market(platforms=PLATFORMS)
    theta = torch.linspace(-0.3, 0.3, len(QUANTITIES) * PLATFORMS).reshape(len(QUANTITIES), PLATFORMS)
    other = scaled(market, theta)
    torch.testing.assert_close(other.value["requests"], market.value["requests"] * theta[0].exp())
    torch.testing.assert_close(other.value["ctr"], market.value["ctr"] * theta[2].exp())
    campaigns = torch.arange(2)
    torch.testing.assert_close(
        other.prices(campaigns).mean(), market.prices(campaigns).mean() * theta[1].exp(), rtol=1e-4, atol=0
    )
    save(other, tmp_path)
    torch.testing.assert_close(load_market(tmp_path).value["cvr"], other.value["cvr"], rtol=1e-4, atol=1e-7)


def test_what_d_sees_of_a_state_is_what_it_sees_of_its_fields() -> None:
    world = _world(make_market(platforms=PLATFORMS), "counts")
    platform, _ = world.history.statistics(world.weekday_B)
    torch.testing.assert_close(of_state(world.observe().state_BS, PLATFORMS), delivery(platform))
