"""Simulated experiments: what the arms share, who is found better, and an arm that learns."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from crossmix.agents import online
from crossmix.agents.policy import Policy
from crossmix.config import load
from crossmix.evaluate import simulate as trial
from crossmix.evaluate.simulate_online import OnlineArm
from crossmix.evaluate.stats.sequential import (
    AnalysisError,
)
from crossmix.market.model import Market
from crossmix.market.oracle import solve
from pipelines.cli import experiment as experiment_command
from tests.support.markets import make_market


@pytest.fixture(scope="module")
def market() -> Market:
    return make_market(seed=1, platforms=10, campaigns=2)


def test_arms_share_the_market_and_not_the_luck_nor_the_money(market: Market) -> None:
    config = load("laptop")
    given = {"runs": 20, "days": 4, "seed": 5}
    one = trial.play_arm(config, market, trial.static, 0.5, arm=0, **given)
    other = trial.play_arm(config, market, trial.static, 0.5, arm=1, **given)
    again = trial.play_arm(config, market, trial.static, 0.5, arm=1, **given)
    assert np.array_equal(other.roi(), again.roi())
    assert not np.array_equal(one.roi(), other.roi())
    # Drift, volume and contexts are the market's: days of one run are alike in both arms.
    assert np.corrcoef(np.log(one.total["impressions"]).ravel(), np.log(other.total["impressions"]).ravel())[0, 1] > 0.7
    part = trial.play_arm(config, market, trial.static, 0.3, arm=0, **given)
    assert part.total["planned"].sum() == pytest.approx(0.6 * one.total["planned"].sum(), rel=0.05)


def test_a_campaign_that_is_over_plays_no_part(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    config, over = load("laptop"), replace(market, ended=(None, "2025-08-09"))
    assert (market.running, over.running, replace(market, ended=("2025-01-01",) * 2).running) == ([0, 1], [0], [0, 1])
    given = {"runs": 3, "days": 4, "seed": 5, "arm": 0}
    whole, left = (trial.play_arm(config, one, trial.static, 0.5, **given) for one in (market, over))
    assert whole.total["planned"][0, 0] == pytest.approx(0.5 * float(market.budget.sum()))
    assert left.total["planned"][0, 0] == pytest.approx(0.5 * float(market.budget[0]))
    spend, plan = (left.total[name].sum(1) for name in ("spend", "planned"))
    assert (spend <= 1.02 * plan).all()
    monkeypatch.setattr(experiment_command, "_of_run", lambda out: (config, over))
    monkeypatch.setattr("pipelines.cli.standing.first_tests", lambda out: {})
    planned = experiment_command.plan(Path("none"), 0.1, 0.8, 0.05, 0.7)
    assert planned["daily_budget"] == pytest.approx(float(market.budget[0]) * 24 / market.cycle_hours)
    assert planned["budget"] == pytest.approx(planned["cycles"] * float(market.budget[0]))


@pytest.mark.slow
def test_a_simulated_experiment_finds_the_better_arm_and_nothing_where_there_is_nothing(market: Market) -> None:
    def serve(world, seen):  # type: ignore[no-untyped-def]
        return solve(world.conditions, world.cycle_budget_B(), seen.low_BP, seen.high_BP, grid=32, zooms=2).share_BP

    found = trial.simulate(load("laptop"), market, serve, (0.5, 0.5), runs=30, days=10, level=0.05)
    by_day = found["experiment"]["always_valid_found_by_day"]
    assert by_day[0] == 0
    assert by_day == sorted(by_day)
    assert by_day[-1] > 0.8
    assert found["experiment"]["lift"]["mean"] > 0.05
    low, high = found["a_a"]["lift"]["range95"]
    assert low < 0 < high
    # Level 5 % of 30: six or more have probability 0.2 %.
    assert found["a_a"]["always_valid_found_by_day"][-1] < 6 / 30
    noise, period = trial.deviation(load("laptop"), market, (0.5, 0.5), runs=10, days=5)
    assert noise > 0
    assert period == 1


def _days(*revenue: float) -> trial.Days:
    total = {"revenue": np.array([revenue]), "planned": np.full((1, len(revenue)), 2.0)}
    return trial.Days(total, np.zeros((1, len(revenue))))


def test_days_without_sales_are_put_together_until_every_figure_holds_some() -> None:
    full, gaps = _days(1, 2, 3, 4, 5, 6, 7), _days(4, 0, 0, 2, 6, 0, 9)
    assert trial._period(full) == 1
    assert trial._period(full, gaps) == 2  # days 1-2, 3-4, 5-6; the seventh fills no period
    assert np.array_equal(gaps.roi(2), [[1.0, 0.5, 1.5]])
    assert np.array_equal(full.roi(), np.array([[1, 2, 3, 4, 5, 6, 7]]) / 2)
    with pytest.raises(AnalysisError, match=r"roi: an arm earned nothing in 2 of 7 days on end; .*a larger weight"):
        trial._period(full, _days(1, 1, 0, 0, 1, 1, 1))


def test_a_simulation_of_few_sales_is_judged_by_more_days_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def played(*_: object, days: int, runs: int, arm: int, **__: object) -> trial.Days:
        earned = np.random.default_rng(arm).uniform(1, 2, (runs, days))
        earned[:, 1::2] = 0
        total = dict.fromkeys(trial.QUANTITIES, earned)
        return trial.Days(total | {"planned": np.ones((runs, days))}, np.full((runs, days), 1.0 + arm))

    monkeypatch.setattr(trial, "play_arm", played)
    market = make_market(platforms=2)
    noise, period = trial.deviation(load("laptop"), market, (0.5, 0.5), runs=5, days=8)
    assert period == 2
    assert noise > 0
    found = trial.simulate(load("laptop"), market, trial.static, (0.5, 0.5), runs=5, days=9, level=0.05)
    assert found["days_per_figure"] == 2
    by_day = found["experiment"]["always_valid_found_by_day"]
    assert len(by_day) == 9
    assert by_day[7] == by_day[8]
    assert by_day[:3] == [0.0] * 3
    assert found["experiment"]["dynamic_reward"] == found["a_a"]["dynamic_reward"] == {"policy": 1.0, "control": 2.0}


def _policy(platforms: int) -> Policy:
    torch.manual_seed(0)
    return Policy(platforms, (16,), 8).eval()


def test_an_arm_that_learns_learns_of_its_own_cycles_alone(market: Market) -> None:
    config, policy = load("laptop"), _policy(10)
    given = {"runs": 3, "days": 3, "seed": 5, "arm": 0}
    learning, frozen = (OnlineArm(policy, config, 3, 1, learns=learns) for learns in (True, False))
    one = trial.play_arm(config, market, learning, 0.7, **given)
    other = trial.play_arm(config, market, frozen, 0.7, **given)
    assert one.dynamic_reward_RT.shape == (3, 3)
    # The first day is served alike, by the same draws; then it has learned.
    assert np.array_equal(one.total["revenue"][:, 0], other.total["revenue"][:, 0])
    assert not np.array_equal(one.total["spend"][:, 2], other.total["spend"][:, 2])
    assert frozen.policies == [policy] * 3
    weights = [each.head.weight for each in learning.policies]
    assert not any(torch.equal(weight, policy.head.weight) for weight in weights)
    assert not torch.equal(weights[0], weights[1])
    assert [len(window) for window in learning.window] == [3, 3, 3]
    assert all(len(part) == len(market.campaigns) for part in learning.window[0])
    # What it learned is eq. 12 on that log, and nothing else.
    again = policy
    for day in range(1, 4):
        log = online.Feedback.joined(learning.window[1][:day])
        again = online.update(again, learning.exploration, log, day, config.online, learning.seed + 1).policy
    assert torch.equal(again.head.weight, weights[1])


def test_a_simulation_tells_the_lead_of_an_arm_that_learns(market: Market) -> None:
    config, policy = load("laptop"), _policy(10)

    def serve(world, seen):  # type: ignore[no-untyped-def]
        with torch.no_grad():
            return policy(seen.state_BS, seen.low_BP, seen.high_BP)

    others = {
        "exploring": OnlineArm(policy, config, 6, 1, learns=False),
        "online": OnlineArm(policy, config, 6, 1),
    }
    given = {"runs": 6, "days": 4, "level": 0.05}
    plain = trial.simulate(config, market, serve, (0.7, 0.3), **given)
    found = trial.simulate(config, market, serve, (0.7, 0.3), **given, others=others)
    assert found["experiment"] == plain["experiment"]
    assert "online" not in plain
    assert set(found["online"]["lead"]) == {"over_experiment", "over_exploring"}
    assert set(found["exploring"]["lead"]) == {"over_experiment"}
    low, high = found["online"]["lead"]["over_exploring"]["ci95"]
    assert low < found["online"]["lead"]["over_exploring"]["mean"] < high
    # A few steps of 1e-4 move little.
    assert abs(found["online"]["lead"]["over_exploring"]["mean"]) < 0.05
    table = experiment_command.simulation_table(found | {"sigma": 0.1})
    assert "learning against control" in table
    assert "with the same exploration" in table


def test_a_lead_is_relative_and_paired_by_run() -> None:
    one, other = (
        trial.Days({"expected_revenue": np.array(rows)}, np.zeros((2, 2)))
        for rows in ([[2.0, 2], [6, 6.4]], [[1.0, 3], [6, 4]])
    )
    log = np.log([1.0, 1.24])
    reach = stats.t.ppf(0.975, 1) * log.std(ddof=1) / math.sqrt(2)
    found = trial.lead(one, other)
    assert found["mean"] == pytest.approx(math.expm1(log.mean()))
    assert found["ci95"] == pytest.approx([math.expm1(log.mean() - reach), math.expm1(log.mean() + reach)])
