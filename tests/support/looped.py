"""A tiny served run with a market of its own, for simulations of a loop."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import torch

from crossmix import bundle
from crossmix.artifacts import RunRecord
from crossmix.market import model
from crossmix.market.model import Market
from tests.support.feature_logs import CAMPAIGNS
from tests.support.markets import make_market
from tests.support.serving_run import BUDGET, NAMES, Run


def market_of(run: Run) -> Market:
    """The market that fits the run's bundle, saved as its step."""
    plans = bundle.load(run.out / "bundle").plans
    made = make_market(seed=3, drift=0.1)
    market = replace(
        made,
        campaigns=CAMPAIGNS,
        platforms=NAMES,
        currency="EUR",
        budget=torch.full((len(CAMPAIGNS),), BUDGET),
        static=torch.tensor([plans[name].share for name in CAMPAIGNS]),
    )
    folder = run.out / "steps" / "market"
    folder.mkdir(parents=True)
    model.save(market, folder)
    record = json.loads((run.out / RunRecord.FILE).read_text())
    steps = record["steps"] | {"market": "steps/market"}
    RunRecord(run_id=record["run_id"], config=asdict(run.config), steps=steps).save(run.out)
    return market
