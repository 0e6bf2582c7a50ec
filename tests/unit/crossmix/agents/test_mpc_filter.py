"""What the plan that actors start from reads from a state: its filter against a simulated law, levels that moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from crossmix.agents import mpc
from crossmix.config import Config, load
from crossmix.market.conditions import nominal
from crossmix.market.environment import MarketEnvironment, episode_campaigns
from crossmix.market.oracle import solve
from crossmix.market.pacing import _law, _over_window, tables
from tests.support.base_policies import base_policy, column
from tests.support.markets import make_market


@pytest.fixture
def config() -> Config:
    return load("laptop")


def test_contexts_that_say_nothing_give_the_mean_rate(config: Config) -> None:
    market = make_market(seed=9, campaigns=1)
    g = torch.Generator().manual_seed(0)
    rate = torch.exp(0.3 * torch.randn(market.context_rate.shape, generator=g))
    blind = replace(market, context=torch.zeros_like(market.context), context_rate=rate)
    plan = tables(blind, config)
    assert plan is not None
    assert torch.allclose(plan["rate"], rate.mean(1).expand_as(plan["rate"]))
    seeing = tables(replace(market, context_rate=rate), config)
    assert seeing is not None
    assert torch.equal(seeing["rate"], rate[0])


def test_the_plan_follows_drift(config: Config) -> None:
    """In a drifting market it earns most of what the solver does that sees no drift, and much of what that leaves."""
    market = make_market(seed=1, campaigns=2, drift=0.4)
    world = MarketEnvironment(
        market, config, campaign_B=episode_campaigns(market, 64), cycles=8, mechanism="counts", seed=5
    )
    plan, seen, total = base_policy(market, config), world.observe(), torch.zeros(3, dtype=torch.float64)
    for _ in range(8):
        budget_B, still = world.cycle_budget_B(), nominal(market, world.campaign_B, world.weekday_B)
        splits = [
            plan(seen.state_BS),
            solve(still, budget_B, seen.low_BP, seen.high_BP, grid=32, zooms=2, thorough=False).share_BP,
            solve(world.conditions, budget_B, seen.low_BP, seen.high_BP, grid=32, zooms=2, thorough=False).share_BP,
        ]
        total += torch.stack([world.expected(split).revenue.sum() for split in splits]).double()
        seen = world.step(splits[0]).observation
    ours, plug_in, oracle = total.tolist()
    assert (ours - plug_in) / (oracle - plug_in) > 0.6


def test_a_platform_that_sells_better_than_expected_gets_more(config: Config) -> None:
    market = make_market(seed=4, campaigns=1)
    world = MarketEnvironment(
        market, config, campaign_B=torch.zeros(1, dtype=torch.long), cycles=3, mechanism="counts", seed=2
    )
    state, plan = world.observe().state_BS, base_policy(market, config)
    base = plan(state)[0]
    for slot in base.argsort(descending=True)[:3].tolist():
        better = state.clone()
        column(better, "windowed_ctr")[0, slot] *= 1.5
        assert plan(better)[0, slot] > base[slot] + 0.005


def test_the_filter_is_the_best_linear_one() -> None:
    """Second moments of the factor against a simulated AR(1) law; the gain they give is the regression's."""
    sigma, rho, decay = 0.3, 0.9, 0.7
    weight = decay ** torch.arange(6, dtype=torch.float64)
    weight = weight / weight.sum()
    one = torch.ones(1, 1)
    ahead, variance, noise, mixed = _law(sigma * one, rho * one, weight.expand(1, 1, -1), weight, 0.2 * one)[0, 0]
    g = torch.Generator().manual_seed(0)
    x = sigma * torch.randn(400_000, generator=g, dtype=torch.float64)
    path = [x]
    for _ in range(6):
        x = rho * x + sigma * (1 - rho**2) ** 0.5 * torch.randn(400_000, generator=g, dtype=torch.float64)
        path.append(x)
    factor = torch.stack(path[::-1]).sub(0.5 * sigma**2).exp()
    seen = (weight[:, None] * factor[1:]).sum(0)
    both = torch.cov(torch.stack([seen, factor[0]]))
    # Moments of 400,000 draws: standard errors near 0.5 %.
    assert torch.allclose(torch.stack([variance, ahead]).double(), both[0], rtol=0.02)
    assert float(noise) == pytest.approx(float(weight.square().sum()))
    assert float(mixed) == pytest.approx(0.2 * float(noise))


def test_seen_is_weighed_against_the_law_by_how_often_levels_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of levels that rarely move and are counted, the prediction errs less than the law alone and the counts alone."""
    g = torch.Generator().manual_seed(1)
    rows, expected = 200_000, 40.0
    moved = torch.rand(rows, generator=g) < mpc.MOVED
    level = torch.where(moved, torch.randn(rows, generator=g) * mpc.SHIFT**0.5, torch.zeros(rows)).exp()
    ratio = torch.poisson(expected * level, generator=g) / expected
    law = torch.tensor([0.0, 0.0, 1.0, 0.0]).expand(rows, 4)

    def error(predicted: Tensor) -> float:
        return float((predicted.log() - level.log()).square().mean())

    ours = error(mpc._predicted(ratio, law, torch.full((rows,), expected)))
    assert ours < 0.25 * error(ratio.clamp(min=0.02))
    monkeypatch.setattr(mpc, "MOVED", 1e-12)
    assert ours < 0.25 * error(mpc._predicted(ratio, law, torch.full((rows,), expected)))


@pytest.mark.parametrize("ratio", [0.0, 0.25, 4.0, 12.0])
def test_a_move_beyond_the_law_is_believed_when_much_was_seen(ratio: float) -> None:
    law, seen = torch.tensor([0.01, 0.02, 0.4, 0.0]), torch.tensor(ratio)
    many, few = (float(mpc._predicted(seen, law, torch.tensor(events))) for events in (4_000.0, 0.01))
    assert many == pytest.approx(max(ratio, 0.02), rel=0.03)
    assert few == pytest.approx(1, abs=0.3)
    # What the law explains is shrunk as it says: 2 % over the usual rate by its gain, 0.01 / 0.0201.
    usual = float(mpc._predicted(torch.tensor(1.02), law, torch.tensor(4_000.0)))
    assert usual == pytest.approx(1.01, abs=0.002)


@pytest.mark.parametrize("quantity", ["cvr", "value"])
def test_conversions_and_values_that_moved_are_read_from_the_state(
    config: Config, monkeypatch: pytest.MonkeyPatch, quantity: str
) -> None:
    """The law says that they do not move: believing it alone earns much less."""
    market = make_market(seed=8, campaigns=2, drift=0.1)
    still = {name: torch.zeros_like(market.value[name]) for name in ("cvr_drift",)}
    market = replace(market, value=market.value | still)
    factor_P = torch.tensor([2.0 if slot % 2 else 0.5 for slot in range(len(market.platforms))])
    real = replace(market, value=market.value | {quantity: (market.value[quantity] * factor_P)})
    plan = base_policy(market, config)

    def earned() -> float:
        world = MarketEnvironment(
            real, config, campaign_B=episode_campaigns(real, 64), cycles=6, mechanism="counts", seed=9
        )
        seen, total = world.observe(), 0.0
        for _ in range(6):
            share = plan(seen.state_BS)
            total += float(world.expected(share).revenue.sum())
            seen = world.step(share).observation
        return total

    open_minded = earned()
    monkeypatch.setattr(mpc, "MOVED", 1e-12)
    assert open_minded > 1.03 * earned()


def test_volume_that_moved_is_read_from_the_win_rate_or_from_what_impressions_cost(config: Config) -> None:
    """Both are better than knowing the fitted volume only; told win rates give most of what is lost back."""
    market = make_market(seed=8, campaigns=2, drift=0.1)
    factor_P = torch.tensor([2.0 if slot % 2 else 0.5 for slot in range(len(market.platforms))])
    real = replace(market, value=market.value | {"requests": market.value["requests"] * factor_P})
    plan, taken = base_policy(market, config), {}
    for told in (True, False):
        world = MarketEnvironment(
            real, config, campaign_B=episode_campaigns(real, 64), cycles=6, mechanism="counts", seed=9
        )
        seen, earned = world.observe(), torch.zeros(3)
        for _ in range(6):
            if not told:
                column(seen.state_BS, "win_rate").zero_()
            budget_B, still = world.cycle_budget_B(), nominal(market, world.campaign_B, world.weekday_B)
            share = plan(seen.state_BS)
            blind, best = (
                solve(known, budget_B, seen.low_BP, seen.high_BP, grid=32, zooms=2, thorough=False).share_BP
                for known in (still, world.conditions)
            )
            earned += torch.stack([world.expected(split).revenue.sum() for split in (share, blind, best)])
            seen = world.step(share).observation
        ours, plug_in, oracle = earned.tolist()
        taken[told] = (ours - plug_in) / (oracle - plug_in)
    assert taken[False] > 0.15
    assert taken[True] > 0.6


def test_volume_is_compared_with_that_of_the_day_it_was_seen_on(config: Config) -> None:
    """Weekends of a tenth of the volume, bought with the same budget, are no dearer market on Monday."""
    market = make_market(seed=8, campaigns=1, drift=0.05)
    week = torch.tensor([1.0, 1, 1, 1, 1, 0.1, 0.1]).expand_as(market.volume_week).clone()
    market = replace(market, volume_week=week)
    plan = base_policy(market, config)
    world = MarketEnvironment(
        market, config, campaign_B=episode_campaigns(market, 70), cycles=1, mechanism="counts", seed=9
    )
    seen, budget_B = world.observe(), world.cycle_budget_B()
    best = solve(world.conditions, budget_B, seen.low_BP, seen.high_BP, grid=32, zooms=2, thorough=False).share_BP
    earned = [world.expected(split).revenue.sum(1) for split in (plan(seen.state_BS), best)]
    lost = 1 - earned[0] / earned[1]
    monday = world.weekday_B == 0
    assert int(monday.sum()) >= 5
    assert float(lost[monday].mean()) < 0.01


def test_few_conversions_are_no_move() -> None:
    """None where three are expected a cycle happens by luck once in twenty first cycles."""
    law, full = torch.tensor([0.0, 0.0, 0.25, 0.0]), torch.tensor(mpc.FULL)
    for count, mean in ((0, 3), (1, 4), (7, 4)):
        ratio, events = torch.tensor(count / mean), torch.tensor(float(mean))
        assert float(mpc._predicted(ratio, law, events, full)) == pytest.approx(1, abs=0.4)
        # The same in a full window, which holds more, is told.
        ratio, events = torch.tensor(0.1), torch.tensor(8.0)
    assert float(mpc._predicted(ratio, law, events, torch.tensor(1.0))) < 0.4


def test_a_price_that_has_just_moved_is_not_taken_for_a_value(config: Config) -> None:
    """The window's conversions are counted with the last price."""
    market = make_market(seed=8, campaigns=2, drift=0.1)
    # Ten times as large, so that a value that moved would be seen at once.
    requests = market.value["requests"] * 10
    market = replace(market, value=market.value | {"requests": requests}, budget=market.budget * 10)
    world = MarketEnvironment(
        market, config, campaign_B=episode_campaigns(market, 8), cycles=3, mechanism="counts", seed=2
    )
    state, plan = world.observe().state_BS, base_policy(market, config)
    factors = []
    original = mpc._value

    def kept(*arguments: object) -> Tensor:
        factors.append(original(*arguments))  # type: ignore[arg-type]
        return factors[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mpc, "_value", kept)
        plan(state)
        dearer = state.clone()
        column(dearer, "log_price")[:, : len(market.platforms)] += float(np.log(1.8))
        plan(dearer)
    assert (factors[0] - 1).abs().median() < 0.02
    assert (factors[1] - 1).abs().median() < 0.1


def test_the_window_is_counted_back_from_the_coming_weekday() -> None:
    week = torch.arange(7.0).expand(1, 1, 7)
    yesterday = _over_window(week, torch.tensor([1.0, 0.0]))
    assert yesterday[0, 0].tolist() == [6, 0, 1, 2, 3, 4, 5]


def test_volume_that_a_log_without_bids_cannot_tell_may_be_any(config: Config) -> None:
    market = make_market(seed=6, campaigns=2)
    told, untold = (
        tables(replace(market, provenance=market.provenance | {"requests": tag}), config)
        for tag in ("real", "approximated")
    )
    assert told is not None
    assert untold is not None
    assert torch.allclose(told["requests_error"], torch.tensor(0.02**2))
    assert bool((untold["requests_error"] == 1).all())
    seen = {"win_rate": torch.full((1, 10), 0.3), "utilisation": torch.ones(1, 10)}
    impressions = torch.full((1, 10), 300.0)
    impressions[0, 0] = 900.0
    for law, least, most in ((told, 2.5, 3.0), (untold, 1.0, 1.2)):
        factor = mpc._volume(seen, impressions, torch.full((1, 10), 1_000.0), law["requests_error"][:1])
        assert least < float(factor[0, 0]) < most
