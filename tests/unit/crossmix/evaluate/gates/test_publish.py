"""What a bundle's tables of responses are of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from crossmix.agents.mpc import BasePolicy
from crossmix.bundle import BundleError, save
from crossmix.config import laptop
from crossmix.evaluate.gates.publish import planned_market, publish_bundle
from crossmix.market import usual_file
from crossmix.market.conditions import scaled_market
from crossmix.market.pacing import tables
from crossmix.market.responder import MarketResponder
from tests.support.bundles import Actor
from tests.support.markets import make_market
from tests.support.planned_bundles import planned


def test_an_actor_that_plans_in_the_fitted_market_is_answered_from_it() -> None:
    market = make_market(seed=3, platforms=4)
    assert planned_market(laptop(), market, planned(market, laptop())) is market
    assert planned_market(laptop(), market, Actor(4)) is market


def test_an_actor_that_plans_in_an_aligned_market_is_answered_from_that(tmp_path: Path) -> None:
    """Its beliefs are factors on the aligned market: over the fitted one they would leave the alignment out."""
    market = make_market(seed=3, platforms=4)
    factor = {
        name: torch.tensor([0.8, 1.0, 1.25, 1.5])[order]
        for name, order in (
            ("requests", [0, 1, 2, 3]),
            ("ctr", [3, 2, 1, 0]),
            ("cvr", [1, 3, 0, 2]),
            ("value", [2, 0, 3, 1]),
            ("saturation", [3, 0, 1, 2]),
            ("price_multiplier", [1, 0, 2, 3]),
        )
    }
    aligned = scaled_market(market, **factor)
    actor = planned(market, laptop())
    plan = tables(aligned, laptop())
    assert plan is not None
    actor.planner = BasePolicy(plan)
    bundle = publish_bundle(laptop(), market, actor, tmp_path / "bundle")
    share, budget = torch.full((4,), 0.25).numpy(), float(market.budget[1])
    got, want = bundle.responses["c1"](share, budget), MarketResponder(aligned, "c1")(share, budget)
    assert got.revenue_P == pytest.approx(want.revenue_P, rel=5e-3)
    assert got.marginal_P == pytest.approx(want.marginal_P, rel=2e-2)
    file = bundle.extra("usual.npz")
    assert file is not None
    usual = usual_file.load(file).of_campaigns(["c1"])
    fitted = usual_file.Named.of(market).of_campaigns(["c1"])
    assert (usual.cvr / fitted.cvr)[0].tolist() == pytest.approx([1.0, 1.5, 0.8, 1.25], rel=1e-3)
    assert (usual.value / fitted.value)[0].tolist() == pytest.approx([1.25, 0.8, 1.5, 1.0], rel=1e-3)


def test_a_plan_of_other_campaigns_is_refused(tmp_path: Path) -> None:
    market = make_market(seed=3, platforms=4, campaigns=3)
    bundle = publish_bundle(laptop(), market, planned(market, laptop()), tmp_path / "bundle")
    with pytest.raises(BundleError, match=r"plans\.json: 2 campaigns, the policy's plan has 3; give its own"):
        save(
            tmp_path / "other",
            planned(market, laptop()),
            config=laptop(),
            platforms=bundle.platforms,
            limits=bundle.limits,
            plans={name: bundle.plans[name] for name in ("c0", "c1")},
            contexts=bundle.contexts,
            responses=bundle.responses,
            data_digest="d" * 64,
        )
