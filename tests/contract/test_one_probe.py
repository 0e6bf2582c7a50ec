"""`limits.probe` is the one share that a platform of which too little is known may have, whoever answers.

The fit bounds cells that nothing can be compared with; bundle, allocate, whatif and the oracle keep the fit's limits;
the decision proves and tries no more of a platform that was never tried. That the server holds a silent platform to it
is shown in `tests/service/test_limits_in_state.py`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from crossmix import allocate
from crossmix.config import Config, load
from crossmix.evaluate.decision.change import changes
from crossmix.evaluate.decision.first_test import first_test
from crossmix.market.conditions import nominal
from crossmix.market.fit.fit import estimate
from crossmix.market.fit.log import read
from crossmix.market.model import Market
from crossmix.market.oracle import solve
from crossmix.state import ALLOCATION
from crossmix.whatif import best_split, make_scene
from tests.support.histories import ingested
from tests.support.planned_bundles import publish, states
from tests.support.planted import history, planted

PROBE = 0.07
"""Not the default."""
LOOSE = 1e-4
"""By which a split may be rounded."""


@pytest.fixture(scope="module")
def config() -> Config:
    return load("laptop", ["data.source=spend", "data.path=history.csv", f"limits.probe={PROBE}"])


@pytest.fixture(scope="module")
def market(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Two campaigns that share no platform: of each nothing can be compared on the other's."""
    world = planted()
    parts = [
        history(world, 90, 5110 + p, campaign=f"only {world.platforms[p]}", spent=np.arange(4) == np.full((90, 1), p))
        for p in (1, 2)
    ]
    dataset = ingested(tmp_path_factory.mktemp("history"), pd.concat(parts))
    fitted = estimate(config, dataset, read(dataset), None)
    assert fitted.untried.tolist() == [[False, True], [True, False]]
    # What the other platform would earn is set so high that whoever may give it more does.
    worth = torch.where(fitted.untried, 50.0, 1.0) * fitted.value["value"]
    return replace(fitted, value=dict(fitted.value) | {"value": worth})


def test_the_fit_leaves_it_and_the_oracle_takes_it(market: Market) -> None:
    torch.testing.assert_close(market.maximum, torch.where(market.untried, PROBE, 1.0))
    found = solve(nominal(market, torch.arange(2)), market.budget.double(), market.minimum, market.maximum).share_BP
    assert found[market.untried].tolist() == pytest.approx([PROBE, PROBE], abs=LOOSE)


def test_the_best_split_of_whatif_has_it(market: Market) -> None:
    for campaign, never in zip(market.campaigns, market.untried.tolist(), strict=True):
        scene = make_scene(market, campaign)
        plans = best_split(scene, scene.budget).best.platforms
        share = {plan.platform: plan.amount.value / scene.budget for plan in plans}
        assert share[market.platforms[never.index(True)]] == pytest.approx(PROBE, abs=LOOSE)


def test_the_bundle_carries_it_and_allocate_keeps_to_it(market: Market, tmp_path: Path) -> None:
    bundle = publish(tmp_path / "bundle", market=market)
    statistics_CX = ALLOCATION.statistics(states(market, 2)).numpy()
    for c, (campaign, never) in enumerate(zip(market.campaigns, market.untried.tolist(), strict=True)):
        slot = never.index(True)
        assert bundle.limits[campaign].maximum_P[slot] == pytest.approx(PROBE)
        answer = allocate.explain(bundle, statistics_CX[c], campaign, bundle.responses[campaign])
        assert answer.platforms[slot].share == pytest.approx(PROBE, abs=LOOSE)


def test_the_decision_proves_and_tries_no_more_where_others_can_be_compared(market: Market, config: Config) -> None:
    free = replace(market, maximum=torch.ones_like(market.maximum))
    for ways in changes(free, ~market.untried.numpy(), probe=config.limits.probe, draws=4):
        tried_P = ways[0].now_P > 0
        assert {one.new for one in ways} == {None, PROBE}, "of one platform that was tried there is nothing to move"
        assert [float(one.best_P[~tried_P].sum()) > PROBE for one in ways if one.part == 1] == [True, False]
        test = first_test(free, ways[0], np.ones((4, 2)), tried_P)
        assert test.low == test.high == pytest.approx(PROBE * ways[0].budget)
