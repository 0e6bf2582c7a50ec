"""Re-adaptation in a market that has moved: what is tried earns what it should, and the best is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from crossmix.agents import online
from crossmix.agents.policy import Policy
from crossmix.artifacts import ActorSizes
from crossmix.config import Config, load
from crossmix.feedback import Feedback
from crossmix.market.conditions import scaled_market
from crossmix.market.model import Market
from crossmix.market.pacing import tables
from crossmix.training.policy_file import AdaptationStart, TrainedPolicy
from crossmix.training.readapt import Adapted, ratios, readapt, table
from tests.support.markets import make_market
from tests.support.served_market import PARTS, REPORTED, fly

SMALL = ["readapt.updates=2", "readapt.steps=2", "readapt.seeds=6", "train.pathwise.batch=8", "train.cycles=2"]
FACTOR = torch.tensor([0.5, 2.0, 0.5, 2.0]).expand(2, 4)
SIZES = ActorSizes(platforms=4, hidden=(8,), platform_net=4)


@pytest.fixture(scope="module")
def market() -> Market:
    made = make_market(seed=3, platforms=4, campaigns=2, drift=0.1)
    return replace(scaled_market(made, requests=torch.tensor(3.0)), budget=3 * made.budget)


def actor(market: Market, config: Config) -> Policy:
    torch.manual_seed(0)
    return Policy(4, (8,), 4, tables(market, config)).eval()


def trained(policy: Policy) -> TrainedPolicy:
    return TrainedPolicy(policy.state_dict(), torch.full((4,), -2.0), SIZES)


def came(config: Config, world: Market, policy: Policy) -> Feedback:
    """The policy arm's feedback of 30 cycles in a market."""
    flown = fly(config, world, policy, PARTS["policy"], 30, 41_000_003, 0)
    cycle_TC = np.tile(np.arange(30)[:, None], (1, 2))
    return Feedback(
        campaigns=world.campaigns,
        platforms=world.platforms,
        cycle_TC=cycle_TC,
        weekday_TC=(cycle_TC + flown.weekday_C) % 7,
        part_TC=np.full((30, 2), PARTS["policy"]),
        told_TCP=flown.told_TCP,
        **{f"{name}_TCP": flown.report[name] for name in REPORTED},
    )


@pytest.fixture(scope="module")
def moved(market: Market) -> tuple[Config, Adapted, Market]:
    """Conversion rates wrong by a factor of 2, on platforms by turns."""
    config = load("laptop", SMALL)
    world, policy = scaled_market(market, cvr=FACTOR), actor(market, config)
    names = tuple(name for name, _ in policy.named_parameters())
    start = AdaptationStart(policy.state_dict(), torch.full((len(names),), -9.0), names, 5, SIZES)
    return config, readapt(config, market, trained(policy), came(config, world, policy), start=start), world


def test_the_refit_finds_what_moved_and_a_new_plan_earns_it(moved: tuple[Config, Adapted, Market]) -> None:
    config, found, world = moved
    cvr = 3
    off_CP = found.refit.level_CPQ[..., cvr] - FACTOR.log().numpy()
    told_CP = found.refit.moved_CPQ[..., cvr] > 0.5  # not where the policy has spent nothing
    assert told_CP.sum() >= 6
    assert np.abs(off_CP[told_CP]).max() < 0.35
    tried = {one.name: one for one in found.tried}
    assert list(tried) == ["champion", "replanned", "retrained", "meta"]
    mean, low, high = tried["replanned"].lead(found.champion)
    assert 0.002 < low < mean < high
    # By the world itself, which nothing was fitted to, too.
    true_N = {name: ratios(config, world, one.policy) for name, one in tried.items()}
    assert true_N["replanned"].mean() > true_N["champion"].mean() + 0.002
    assert [one.updates for one in found.tried] == [0, 0, 2, 2]


def test_the_best_is_kept_and_the_table_tells_all(moved: tuple[Config, Adapted, Market]) -> None:
    _, found, _ = moved
    best = found.best
    assert best.ratio_N.mean() == max(one.ratio_N.mean() for one in found.tried)
    kept = found.trained.policy().state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in best.policy.state_dict().items())
    rows = {row["name"]: row for row in table(found)}
    assert [name for name, row in rows.items() if row.get("kept")] == [best.name]
    assert rows["champion"]["lead"] == {"mean": 0.0, "ci95": [0.0, 0.0]}
    assert rows["online"] == {
        "name": "online",
        "left_out": "no served cycle has the density of what was explored",
    }


def test_a_lead_is_students_interval_over_the_markets(moved: tuple[Config, Adapted, Market]) -> None:
    _, found, _ = moved
    champion = replace(found.champion, ratio_N=np.array([0.90, 0.92, 0.94]))
    other = replace(found.champion, ratio_N=np.array([0.91, 0.94, 0.97]))
    mean, low, high = other.lead(champion)
    assert mean == pytest.approx(0.02)
    assert (high - mean, mean - low) == pytest.approx((4.302653 * 0.01 / np.sqrt(3),) * 2)


def test_what_cannot_be_tried_is_told_and_in_a_market_that_stands_the_champion_is_as_good(market: Market) -> None:
    config = load("laptop", [*SMALL, "readapt.updates=0", "readapt.steps=0"])
    policy = actor(market, config)
    rows = 6
    other = online.Feedback(
        state_NS=torch.zeros(rows, 640),
        logits_NP=torch.full((rows, 4), 9.0),
        log_density_N=torch.zeros(rows),
        reward_N=torch.arange(rows, dtype=torch.float32),
        group_N=torch.zeros(rows, dtype=torch.long),
    )
    found = readapt(config, market, trained(policy), came(config, market, policy), served=other)
    assert found.left_out["retrained"] == "readapt.updates is 0"
    assert found.left_out["meta"] == "the champion's version holds no meta-trained start"
    assert found.refit.moved_CPQ.max() < 0.5
    (replanned,) = (one for one in found.tried if one.name == "replanned")
    assert abs(replanned.lead(found.champion)[0]) < 0.001
