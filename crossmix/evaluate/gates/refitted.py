"""What is served of a spend history: the judged policy in the market that was fitted on all periods.

The gates judge a market that has not seen the held-out cycles. Once they have, what those tell is not left out of the
answers: the policy's plan is of the whole history, with what alignment moved and what its networks learned on top.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

from crossmix.agents.mpc import BasePolicy
from crossmix.agents.policy import Policy
from crossmix.config import Config
from crossmix.evaluate.gates.publish import PLANNED, planned_market
from crossmix.market.conditions import scaled_market
from crossmix.market.model import Market, save
from crossmix.market.pacing import tables
from crossmix.training.policy_file import TrainedPolicy

MARKET, POLICY = "market", "policy"
"""Folders of the gate step with what is served, where that is not what was judged."""


def refitted(config: Config, judged: Market, whole: Market, actor: Policy) -> tuple[Market, Policy]:
    """The market and the policy to serve.

    A market of several campaigns that no context tells apart has no plan (`crossmix.market.pacing`): its policy stays
    as judged.

    Args:
        judged: the market in which the policy was judged.
        whole: the same campaigns' and platforms', fitted on all periods; `judged` itself where there is no other.
    """
    plan = None if whole is judged or actor.planner is None else tables(whole, config)
    if plan is None:
        return whole, actor
    planned = planned_market(config, judged, actor)
    market = whole
    if planned is not judged:
        factors = {name: planned.value[name] / judged.value[name].clamp(min=1e-12) for name in PLANNED}
        price = [one.price_law.mean(-1) for one in (planned, judged)]
        market = scaled_market(whole, **factors, price_multiplier=price[0] / price[1].clamp(min=1e-12))
        plan = tables(market, config) or plan
    served = copy.deepcopy(actor)
    served.planner = BasePolicy(plan)
    return market, served.eval()


def save_served(market: Market, actor: Policy, policy: Path, out: Path) -> None:
    """Write what is served beside the verdict: `MARKET` and `POLICY`.

    Args:
        policy: folder of the trained policy that was judged.
    """
    for name in (MARKET, POLICY):
        (out / name).mkdir()
    save(market, out / MARKET)
    replace(TrainedPolicy.load(policy), weights=actor.state_dict()).save(out / POLICY)
