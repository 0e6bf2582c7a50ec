"""`crossmix experiment simulate` and the verdict over kept feedback: the same data give the same figures."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from crossmix.config import load
from crossmix.evaluate import simulate
from crossmix.metrics import ARMS
from serving.experiment.verdict import status
from tests.support.experiments import DAY, START, deliver, event, make_store
from tests.support.markets import make_market

DAYS = 10


def test_the_verdict_tells_what_the_simulation_tells(tmp_path: Path) -> None:
    market = make_market(platforms=4)
    simulated = simulate.simulate(load("laptop"), market, simulate.static, (0.6, 0.4), runs=2, days=DAYS, level=0.05)
    totals = simulated["first_run"]
    store = make_store(
        tmp_path,
        campaigns={"brand": {"cycle_budget": float(market.budget.sum())}},
        weights={"policy": 0.6, "control": 0.4},
        days=DAYS,
        cycle_hours=24.0,
    )
    names = ("spend", "impressions", "clicks", "conversions", "revenue")
    deliver(
        store,
        [event(arm, day, **{name: totals[arm][name][day] for name in names}) for arm in ARMS for day in range(DAYS)],
    )
    found = status(store, "first", START + DAYS * DAY + timedelta(hours=1))
    assert simulated["days_per_figure"] == found["lifts"]["roi"]["cycles_per_figure"] == 1
    for arm in ARMS:
        assert found["arms"][arm]["planned"] == pytest.approx(sum(totals[arm]["planned"]), rel=1e-6)
        assert found["arms"][arm]["revenue"] == pytest.approx(sum(totals[arm]["revenue"]))
    for name in ("always_valid", "paired"):
        told, one = found["lifts"]["roi"][name], simulated["experiment"]["first_run"][name]
        assert told["lift"] == pytest.approx(one["lift"], abs=1e-6)
        assert [told["low"], told["high"]] == pytest.approx(one["ci95"], abs=1e-6)
        assert told["p"] == pytest.approx(one["p"], abs=1e-6)
