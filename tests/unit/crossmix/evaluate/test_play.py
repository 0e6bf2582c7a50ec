"""The one loop that plays: what it records, whom it tells, and that the judge and the arms are made of it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from crossmix.config import Config, load
from crossmix.evaluate.judge import QUANTITIES, judge_act, summarise
from crossmix.evaluate.play import play
from crossmix.market.environment import MarketEnvironment, Observation, Step, episode_campaigns
from crossmix.market.model import Market
from tests.support.markets import make_market


@pytest.fixture
def market() -> Market:
    return make_market(platforms=4, maximum=0.5)


def _world(market: Market, mechanism: str = "exact", rows: int = 4) -> MarketEnvironment:
    campaign_B = episode_campaigns(market, rows)
    return MarketEnvironment(market, load("laptop"), campaign_B=campaign_B, cycles=5, mechanism=mechanism, seed=3)


def _greedy(world: MarketEnvironment, seen: Observation) -> Tensor:
    """All on the first platform, which its limit forbids."""
    share = torch.zeros_like(seen.low_BP)
    share[:, 0] = 1
    return share


def test_the_record_is_every_cycle_as_it_was_delivered(market: Market) -> None:
    played, again = play(_world(market), _greedy, 5), _world(market)
    for t in range(5):
        seen = again.observe()
        step = again.step(_greedy(again, seen))
        for name in QUANTITIES:
            assert np.array_equal(played.of(name)[t], getattr(step.outcome, name).double().numpy()), name
        assert np.array_equal(played.share_TBP[t], step.share_BP.double().numpy())
        assert np.array_equal(played.high_TBP[t], seen.high_BP.double().numpy())
        assert np.array_equal(played.asked_TBP[t, :, 0], np.ones(4))
    assert float(played.share_TBP[..., 0].max()) == pytest.approx(0.5)


def test_limits_are_recorded_as_they_stood_when_the_act_chose() -> None:
    """As where a share may move by a step: each cycle has other limits than the one after it."""
    outcome = SimpleNamespace(**{name: torch.ones(1, 2) for name in QUANTITIES})
    seen = [
        SimpleNamespace(low_BP=torch.full((1, 2), 0.1 * t), high_BP=torch.full((1, 2), 1 - 0.1 * t)) for t in range(4)
    ]
    world: Any = SimpleNamespace(observe=lambda: seen[0], cycle=0)

    def step(share: Tensor) -> Any:
        world.cycle += 1
        return SimpleNamespace(outcome=outcome, share_BP=share, observation=seen[world.cycle])

    world.step = step
    played = play(world, lambda _, now: (now.low_BP + now.high_BP) / 2, 3)
    np.testing.assert_allclose(played.low_TBP[:, 0, 0], [0.0, 0.1, 0.2], atol=1e-7)
    np.testing.assert_allclose(played.high_TBP[:, 0, 1], [1.0, 0.9, 0.8], atol=1e-7)


def test_where_nothing_is_drawn_there_is_no_expected_revenue(market: Market) -> None:
    played = play(_world(market, "expected"), _greedy, 2)
    assert np.isnan(played.of("expected_revenue")).all()
    assert np.isfinite(played.of("revenue")).all()


def test_a_learning_act_is_told_each_cycle_after_it_and_may_take_gradients(market: Market) -> None:
    class Learner:
        def __init__(self) -> None:
            self.weight = torch.zeros(4, requires_grad=True)
            self.told: list[tuple[Any, Any]] = []

        def __call__(self, world: MarketEnvironment, seen: Observation, /) -> Tensor:
            assert not torch.is_grad_enabled()
            self.last = seen
            return torch.softmax(self.weight, 0).expand(world.batch, -1)

        def learn(self, world: MarketEnvironment, seen: Observation, step: Step, /) -> None:
            assert seen is self.last
            self.told.append((world.cycle, step.outcome))
            torch.softmax(self.weight, 0)[0].backward()
            with torch.no_grad():
                self.weight += self.weight.grad

    learner = Learner()
    played = play(_world(market), learner, 3)
    assert [cycle for cycle, _ in learner.told] == [1, 2, 3]
    for t, (_, outcome) in enumerate(learner.told):
        assert np.array_equal(played.of("revenue")[t], outcome.revenue.double().numpy())
    assert played.asked_TBP[0, 0, 0] < played.asked_TBP[1, 0, 0] < played.asked_TBP[2, 0, 0]


def _config() -> Config:
    return load("laptop", ["evaluate.market_seeds=3", "evaluate.cycles=4"])


def test_the_judge_sums_what_was_played(market: Market) -> None:
    config = _config()
    record = judge_act(market, config, _greedy, "greedy")
    campaigns = len(market.campaigns)
    world = MarketEnvironment(
        market,
        config,
        campaign_B=episode_campaigns(market, 3 * 2 * campaigns),
        cycles=4,
        mechanism="exact",
        seed=config.evaluate.market_seed,
    )
    played = play(world, _greedy, 4)
    for name in QUANTITIES:
        expected = played.of(name).sum(0).reshape(3, 2 * campaigns, 4).sum(1)
        np.testing.assert_allclose(record.column(name), expected, rtol=1e-12)
    # Every cycle of every row asked for more than the limit.
    assert record.breaks == 4 * 3 * 2 * campaigns
    np.testing.assert_allclose(record.flight_TP, played.share_TBP[:, 0])
    np.testing.assert_allclose(record.share_NP.sum(1), 1, rtol=1e-6)


def test_eq_10_is_told_beside_revenue_of_what_was_asked_for(market: Market) -> None:
    config = _config()
    played, again = play(_world(market), _greedy, 3), _world(market)
    wanted = []
    for _ in range(3):
        step = again.step(_greedy(again, again.observe()))
        outcome = step.outcome
        roi = outcome.revenue.sum(1) / outcome.planned.sum(1)
        ctr = outcome.clicks.sum(1) / outcome.impressions.sum(1)
        cvr = outcome.conversions.sum(1) / outcome.clicks.sum(1)
        # All on a platform that may have a half: half too much.
        wanted.append(0.5 * roi + 0.3 * ctr + 0.2 * cvr - 0.1 * 0.5)
    wanted_TB = torch.stack(wanted).double().numpy()
    np.testing.assert_allclose(played.dynamic_reward(config.reward), wanted_TB, rtol=1e-5)
    record = judge_act(market, config, _greedy, "greedy")
    assert record.dynamic_reward_N.shape == (3,)
    better = replace(record, total_NPQ=2 * record.total_NPQ)
    records = {"policy": record, "oracle": better, "uniform": record}
    row = summarise(records, {}, config, market.platforms)["policy"]
    assert row["dynamic_reward"]["mean"] == pytest.approx(record.dynamic_reward_N.mean())
