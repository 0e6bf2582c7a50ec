"""Regret: nothing where the best split serves, more where it does not; unknown where nobody has the market."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from crossmix.bundle import manifest_of
from crossmix.config import load
from crossmix.market.conditions import nominal, scaled_market
from crossmix.market.mechanism import expected
from crossmix.market.model import save
from crossmix.market.oracle import solve
from crossmix.registry.mlflow_door import RegistryError
from monitoring.monitors import Served
from monitoring.regret import Settings, look, regret
from tests.support import watching
from tests.support.watching import DAY, START


def test_the_best_split_has_none_and_others_what_they_lose() -> None:
    market = watching.market()
    which = torch.tensor([1])
    conditions, budget = nominal(market, which), market.budget[which]
    best = solve(conditions, budget, market.minimum[which], market.maximum[which])
    told_P = (budget[:, None] * best.share_BP)[0].double().numpy()
    assert regret(market, 1, told_P)[0] == pytest.approx(0.0, abs=1e-4)
    poor_P = np.array([float(budget), 0.0, 0.0])
    gain, earned = regret(market, 1, poor_P)
    by_hand = float(expected(conditions, torch.tensor(poor_P[None], dtype=torch.float32)).revenue.sum())
    assert earned == pytest.approx(by_hand)
    assert gain == pytest.approx(float(best.revenue_B[0]) / by_hand - 1, rel=1e-4)


def test_it_tells_each_campaign_and_says_where_it_cannot(database: str, tmp_path: Path) -> None:
    arms = watching.flight(15, 3)
    store = watching.begun(database)
    watching.report(store, arms, 0, 15)
    bundle = watching.make_bundle(tmp_path / "bundle").path
    mine = watching.market()
    for name, market in (("market", mine), ("other", scaled_market(mine, cvr=torch.tensor(1.1)))):
        (tmp_path / name).mkdir()
        save(market, tmp_path / name)
    now, config = START + 15 * DAY, load("laptop", ())
    asked: list[str] = []

    def served(market: str) -> Served:
        def give(digest: str) -> Path:
            asked.append(digest)
            if market == "nobody":
                raise RegistryError("crossmix-policy: no version is of it")
            return tmp_path / market

        return Served(config=config, bundle=bundle, market=give)

    told = list(look(store, now, Settings(), served("market")))
    assert [one.campaign_id for one in told] == ["c0", "c1"]
    assert all(one.observed is not None and one.observed > -1e-6 and not one.alarming for one in told)
    (nobody,) = look(store, now, Settings(), Served(config=config, bundle=bundle))
    assert nobody.detail.startswith("unknown: the market that the policy was planned in is not at hand")
    (none,) = look(store, now, Settings(), served("nobody"))
    assert none.detail == "unknown: crossmix-policy: no version is of it"
    (other,) = look(store, now, Settings(), served("other"))
    assert re.fullmatch(r"unknown: the market of bundle \w{12} is not the one that its thresholds .*", other.detail)
    assert set(asked) == {manifest_of(bundle)["digest"]}
