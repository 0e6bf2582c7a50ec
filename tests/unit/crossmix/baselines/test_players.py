"""Competitors with a memory: filters, duals and bandits against closed forms; limits kept, nothing hidden read."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from crossmix.baselines.bandit import BudgetBandit
from crossmix.baselines.mirror_descent import MirrorDescent
from crossmix.baselines.mpc import Mpc
from crossmix.baselines.pid import Pid
from crossmix.baselines.player import Delivery, Task
from crossmix.baselines.registry import BASELINES, report_readers
from crossmix.config import load
from crossmix.evaluate.judge import act_of, judge_act, oracle, summarise, with_memory
from crossmix.market.conditions import nominal
from crossmix.market.environment import MarketEnvironment, episode_campaigns
from crossmix.market.level_evidence import QUANTITIES
from crossmix.market.levels import believed
from crossmix.market.mechanism import expected
from crossmix.market.model import Market
from crossmix.market.oracle import solve
from tests.support.markets import make_market


def _still(market: Market) -> Market:
    """No drift, one context, no volume noise, conversions at once."""
    value = {name: torch.zeros_like(v) if name.endswith("_drift") else v for name, v in market.value.items()}
    delay = torch.zeros_like(market.delay)
    delay[..., 0] = 1
    return replace(market, value=value, delay=delay)


def _task(market: Market, rows: int, **change: Any) -> Task:
    P = len(market.platforms)
    campaign_B = episode_campaigns(market, rows)
    return Task(
        **{
            "budget_B": market.budget[campaign_B],
            "low_BP": torch.zeros(rows, P),
            "high_BP": torch.ones(rows, P),
            "share_BP": torch.full((rows, P), 1 / P),
            "weekday_B": torch.arange(rows) % 7,
            "context_BD": market.context[campaign_B, 3],
            "elapsed_B": torch.zeros(rows),
        }
        | change
    )


def _delivery(rows: int, platforms: int, **change: Any) -> Delivery:
    one = torch.ones(rows, platforms)
    given = dict.fromkeys(("impressions", "clicks", "conversions", "revenue", "spend", "planned"), one)
    return Delivery(**given | {"weekday_B": torch.zeros(rows, dtype=torch.long)} | change)


def _expected_delivery(market: Market, rows: int, weekday_B: torch.Tensor, **change: float) -> Delivery:
    """What the fitted market expects of an even split, conversions at once; some of it times a factor."""
    campaign_B = episode_campaigns(market, rows)
    planned = market.budget[campaign_B][:, None].expand(rows, 10) / 10
    outcome = expected(nominal(market, campaign_B, weekday_B), planned)
    told = {name: getattr(outcome, name) for name in ("impressions", "clicks", "conversions", "revenue", "spend")}
    return Delivery(planned=planned, weekday_B=weekday_B, **{n: t * change.get(n, 1.0) for n, t in told.items()})


def test_mpc_without_drift_is_the_plug_in_while_reports_are_the_fitted_markets() -> None:
    market = _still(make_market())
    player, task = Mpc(market, episode_campaigns(market, 6)), _task(market, 6)
    for day in range(5):
        player.learn(_expected_delivery(market, 6, torch.full((6,), day)))
    conditions = nominal(market, episode_campaigns(market, 6), task.weekday_B)
    best = solve(conditions, task.budget_B, task.low_BP, task.high_BP)
    earned, most = (
        expected(conditions, task.budget_B[:, None] * share).revenue.sum(1)
        for share in (player.act(task), best.share_BP)
    )
    assert float((earned / most).min()) > 0.999
    torch.testing.assert_close(player.act(task), best.share_BP, atol=0.02, rtol=0)


def test_mpc_believes_in_a_move_that_lasts() -> None:
    """Conversions, and the revenue with them, at half of what was fitted, day after day."""
    market = _still(make_market())
    player, task = Mpc(market, episode_campaigns(market, 6)), _task(market, 6)
    for day in range(30):
        player.learn(_expected_delivery(market, 6, torch.full((6,), day % 7), conversions=0.5, revenue=0.5))
    fitted = nominal(market, episode_campaigns(market, 6), task.weekday_B)
    ratio = player.predicted(task).cvr / fitted.cvr
    # All but those with a conversion or two a day.
    assert float((ratio < 0.6).double().mean()) > 0.8
    assert float(ratio.median()) == pytest.approx(0.5, abs=0.03)
    torch.testing.assert_close(player.predicted(task).value / fitted.value, torch.ones(6, 10), atol=0.03, rtol=0)


def test_mpc_finds_the_drift_that_the_market_hides() -> None:
    """After the warm-up its belief follows the true drifts as closely as it claims to: correlation and calibration."""
    market = make_market(drift=0.3)
    environment = MarketEnvironment(
        market, load("laptop"), campaign_B=episode_campaigns(market, 40), cycles=20, mechanism="exact", seed=5
    )
    act = with_memory(lambda m, c: holder.setdefault("player", Mpc(m, c)))
    holder: dict[str, Mpc] = {}
    for _ in range(10):
        environment.step(act(environment, environment.observe()))
    act(environment, environment.observe())
    for name in ("ctr", "price"):
        player, truth, q = holder["player"], environment.drift[name].double(), QUANTITIES.index(name)
        belief = believed(player.state, player.law)
        pair = torch.stack([belief.drift[q].flatten(), truth.flatten()])
        claimed = (1 - belief.drift2[q] / player.usual.sigma2_QCP[q]).mean().sqrt()
        assert claimed > 0.65, name
        assert float(torch.corrcoef(pair)[0, 1]) > float(claimed) - 0.08, name
        z = (truth - belief.drift[q]) / belief.drift2[q].sqrt()
        assert float(z.std()) == pytest.approx(1, abs=0.35), name


@pytest.mark.slow
def test_mpc_beats_the_plug_in_where_the_market_drifts_and_nobody_beats_the_oracle() -> None:
    market, config = make_market(drift=0.3), load("laptop", ["evaluate.market_seeds=8", "evaluate.cycles=15"])
    baselines = [BASELINES.get("uniform"), BASELINES.get("plug_in"), *report_readers()]
    acts = {baseline.name: act_of(baseline, market) for baseline in baselines} | {"oracle": oracle}
    records = {
        ("policy" if name == "mpc" else name): judge_act(market, config, act, name) for name, act in acts.items()
    }
    table = summarise(records, {}, config, market.platforms)
    assert table["plug_in"]["difference"]["ci95"][0] > 0
    for name in ("policy", "pid", "mirror_descent", "ucb", "thompson"):
        assert table["uniform"]["oracle_ratio"]["mean"] < table[name]["oracle_ratio"]["mean"] < 1, name
        assert table[name]["limit_breaks"] == 0, name


@pytest.mark.parametrize("name", [baseline.name for baseline in report_readers()])
def test_players_keep_limits_and_read_nothing_hidden(name: str) -> None:
    market = replace(make_market(maximum=0.3), step=torch.full((2, 10), 0.04))

    class Blind(MarketEnvironment):
        """Conditions and drift may be read by the market itself only."""

        shown = True

        def __getattribute__(self, key: str) -> Any:
            if key in {"conditions", "drift"} and not object.__getattribute__(self, "shown"):
                raise AssertionError(f"a competitor read {key}")
            return super().__getattribute__(key)

    environment = Blind(
        market, load("laptop"), campaign_B=episode_campaigns(market, 4), cycles=6, mechanism="counts", seed=1
    )
    acts = [act_of(BASELINES.get(name), market) for _ in range(2)]
    for _ in range(6):
        seen = environment.observe()
        environment.shown = False
        share, again = (act(environment, seen) for act in acts)
        environment.shown = True
        torch.testing.assert_close(share, again)
        assert ((share >= seen.low_BP - 1e-5) & (share <= seen.high_BP + 1e-5)).all()
        torch.testing.assert_close(share.sum(1), torch.ones(4), atol=1e-4, rtol=0)
        environment.step(share)


def test_mirror_descent_equalises_the_margins_of_its_curves() -> None:
    market = make_market(platforms=4)
    player, task = MirrorDescent(market, episode_campaigns(market, 3)), _task(market, 3)
    spend = task.budget_B[:, None] * torch.tensor([0.4, 0.3, 0.2, 0.1])
    value = torch.tensor([1.0, 2.0, 3.0, 4.0])
    for _ in range(60):
        player.learn(_delivery(3, 4, spend=spend, revenue=value * spend**player.THETA))
        share = player.act(task)
    margin = value * (task.budget_B[:, None] * share) ** (player.THETA - 1)
    # Values are shrunk by a tenth towards their mean, so the margins are even but for that.
    assert float((margin.max(1).values / margin.min(1).values).max()) < 1.25


def test_pid_moves_money_to_the_better_platform() -> None:
    market = make_market(platforms=3)
    player, task = Pid(market, episode_campaigns(market, 2)), _task(market, 2)
    planned = task.budget_B[:, None].expand(2, 3) / 3
    player.learn(_delivery(2, 3, planned=planned, revenue=planned * torch.tensor([2.0, 1.0, 0.5])))
    share = player.act(task)
    assert (share[:, 0] > share[:, 1]).all()
    assert (share[:, 1] > share[:, 2]).all()
    # In balance nothing moves.
    calm = Pid(market, episode_campaigns(market, 2))
    calm.learn(_delivery(2, 3, planned=planned, revenue=planned))
    torch.testing.assert_close(calm.act(task), task.share_BP, atol=1e-5, rtol=0)


def test_the_bandits_posterior_is_gaussian_process_regression() -> None:
    """Against the textbook formula in numpy."""
    market = make_market(platforms=3)
    bandit, rng = BudgetBandit(market, episode_campaigns(market, 1)), np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(3), 12)
    earned = np.array([1.0, 2.0, 0.5]) * shares**0.7 + 0.01 * rng.standard_normal((12, 3))
    for x, y in zip(shares, earned, strict=True):
        tensors = {"planned": torch.tensor(x[None], dtype=torch.float32), "revenue": torch.tensor(y[None]).float()}
        bandit.learn(_delivery(1, 3, **tensors))
    mean, covariance = bandit.posterior()
    slope = earned.sum() / (shares**0.8).sum()
    level = np.array(bandit.LEVELS)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        near = np.exp(-0.5 * ((a[:, None] - b) / bandit.LENGTH) ** 2)
        return (0.5 * slope) ** 2 * (a[:, None] * b) ** 0.8 * near

    for p in range(3):
        x, rest = shares[:, p], earned[:, p] - slope * shares[:, p] ** 0.8
        gram = kernel(x, x) + np.square(np.diff(rest)).mean() / 2 * np.eye(12)
        cross = kernel(level, x)
        np.testing.assert_allclose(
            mean[0, p], slope * level**0.8 + cross @ np.linalg.solve(gram, rest), rtol=1e-3, atol=1e-4
        )
        np.testing.assert_allclose(
            covariance[0, p], kernel(level, level) - cross @ np.linalg.solve(gram, cross.T), atol=1e-4
        )


def test_the_greedy_purchase_is_the_best_for_concave_indices() -> None:
    market = make_market(platforms=3)
    bandit = BudgetBandit(market, episode_campaigns(market, 1))
    bandit.LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)  # type: ignore[misc]
    bandit.level_L = torch.tensor(bandit.LEVELS)
    value = torch.tensor([1.0, 1.7, 0.6])
    index = (value[:, None] * bandit.level_L.sqrt())[None]
    share = bandit._greedy(index)[0]
    best = max(
        (split for split in product(range(5), repeat=3) if sum(split) == 4),
        key=lambda split: sum(float(index[0, p, level]) for p, level in enumerate(split)),
    )
    torch.testing.assert_close(share, bandit.level_L[list(best)])
