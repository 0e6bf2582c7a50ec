"""What is served of a history: the judged policy's networks and alignment, in the market of all periods."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from crossmix.agents.mpc import BasePolicy
from crossmix.agents.policy import Policy
from crossmix.artifacts import ActorSizes
from crossmix.config import laptop
from crossmix.evaluate.gates.publish import planned_market
from crossmix.evaluate.gates.refitted import MARKET, POLICY, refitted, save_served
from crossmix.market import model
from crossmix.market.conditions import scaled_market
from crossmix.market.model import Market
from crossmix.market.pacing import tables
from crossmix.training.policy_file import TrainedPolicy, load_policy
from tests.support.markets import make_market
from tests.support.planned_bundles import planned


def both() -> tuple[Market, Market]:
    """As judged, and on all periods: other click rates, and a response that is fitted as a whole."""
    judged = make_market(seed=3, platforms=4)
    whole = scaled_market(judged, ctr=torch.tensor([0.5, 1.0, 1.5, 1.2]))
    fitted = {"usual_share": 0.2, "elasticity": 0.7, "bend": 0.1}
    tables_CP = {name: torch.full_like(judged.static, level) for name, level in fitted.items()}
    return judged, replace(whole, value=whole.value | tables_CP)


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_the_plan_is_of_all_periods_and_the_networks_are_the_judged_ones() -> None:
    judged, whole = both()
    actor = planned(judged, laptop(), moved=0.2)
    market, served = refitted(laptop(), judged, whole, actor)
    assert market is whole
    assert served is not actor
    assert served.planner is not None
    assert same(served.planner, BasePolicy(tables(whole, laptop()) or {}))
    assert same(served.head, actor.head)
    assert planned_market(laptop(), whole, served) is whole
    # The judged one stays as it was.
    assert planned_market(laptop(), judged, actor) is judged


def test_what_alignment_moved_is_moved_in_all_periods_too() -> None:
    judged, whole = both()
    moved = {"cvr": torch.tensor([1.2, 1.0, 0.8, 1.0]), "price_multiplier": torch.tensor([1.0, 1.1, 1.0, 0.9])}
    actor = planned(judged, laptop())
    actor.planner = BasePolicy(tables(scaled_market(judged, **moved), laptop()) or {})
    market, served = refitted(laptop(), judged, whole, actor)
    wanted = scaled_market(whole, **moved)
    torch.testing.assert_close(market.value["cvr"], wanted.value["cvr"])
    torch.testing.assert_close(market.price, wanted.price)
    assert planned_market(laptop(), market, served) is market


def test_a_log_of_impressions_is_served_as_judged() -> None:
    judged, _ = both()
    actor = planned(judged, laptop())
    assert refitted(laptop(), judged, judged, actor) == (judged, actor)


def test_what_is_served_is_written_beside_the_verdict(tmp_path: Path) -> None:
    judged, whole = both()
    actor: Policy = planned(judged, laptop(), moved=0.2)
    sizes = ActorSizes(platforms=4, hidden=(16,), platform_net=8)
    TrainedPolicy(actor.state_dict(), torch.zeros(4), sizes).save(tmp_path)
    market, served = refitted(laptop(), judged, whole, actor)
    out = tmp_path / "gate"
    out.mkdir()
    save_served(market, served, tmp_path, out)
    assert same(load_policy(out / POLICY), served)
    read = model.load_served(out / MARKET)
    torch.testing.assert_close(read.value["elasticity"], whole.value["elasticity"])
    torch.testing.assert_close(read.value["ctr"], whole.value["ctr"])
