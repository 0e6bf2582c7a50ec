"""What a judge plays: auctions of a market of impressions, counts of a market of totals, and figures that agree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from crossmix.config import Config, load
from crossmix.evaluate import judge as judging
from crossmix.evaluate import simulate
from crossmix.evaluate.judge import Record, judge_act, mechanism_of, oracle, summarise
from crossmix.history import Outcome
from crossmix.market import environment
from crossmix.market.environment import MarketEnvironment, Observation
from crossmix.market.mechanism import exact
from crossmix.market.model import Market
from tests.support.markets import make_market, of_totals

SEEDS = 6


@pytest.fixture
def config() -> Config:
    tree = load("laptop")
    return replace(tree, evaluate=replace(tree.evaluate, market_seeds=SEEDS, cycles=8, bootstrap=200))


def impressions() -> Market:
    """Small enough for every auction."""
    return make_market(platforms=3, maximum=0.8)


def totals() -> Market:
    return of_totals(impressions())


def uniform(_: MarketEnvironment, seen: Observation) -> Tensor:
    return torch.full_like(seen.low_BP, 1 / seen.low_BP.shape[1])


def played(market: Market, config: Config, mechanism: str, patch: pytest.MonkeyPatch) -> dict[str, Record]:
    patch.setattr(judging, "mechanism_of", lambda _: mechanism)
    acts = {"policy": oracle, "oracle": oracle, "uniform": uniform}
    return {name: judge_act(market, config, act, name) for name, act in acts.items()}


@pytest.mark.parametrize(("market", "drawn"), [(totals(), "counts"), (impressions(), "exact")])
def test_totals_are_judged_by_counts_and_impressions_by_auctions(
    market: Market, drawn: str, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked of a market: a record, or the arms of an experiment. Warm-ups are counts in any market."""
    auctions = 0

    def counting(*given: Any) -> Outcome:
        nonlocal auctions
        auctions += 1
        return exact(*given)

    monkeypatch.setattr(environment, "exact", counting)
    assert mechanism_of(market) == drawn
    judge_act(market, config, uniform, "uniform")
    assert auctions == (8 if drawn == "exact" else 0)
    simulate.play_arm(config, market, simulate.static, 0.5, runs=2, days=2, seed=1, arm=0)
    assert auctions == (10 if drawn == "exact" else 0)


@pytest.mark.parametrize("market", [totals(), impressions()])
def test_judged_figures_are_finite_and_agree_whichever_way_cycles_are_drawn(
    market: Market, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both see the same drift and volume; what is left is the luck of single auctions, told by the seeds' spread."""
    auctions, counted = (played(market, config, name, monkeypatch) for name in ("exact", "counts"))
    for name, record in counted.items():
        for quantity in ("expected_revenue", "spend", "impressions", "clicks", "conversions"):
            a_N, b_N = (one.column(quantity).sum(1) for one in (auctions[name], record))
            assert np.isfinite(b_N).all()
            assert (b_N > 0).all()
            # Luck of counts of so many conversions; half a percent is the mechanisms' own bound.
            luck = 1 / max(float(record.column("conversions").sum()), 1.0) ** 0.5
            bound = 5 * luck if quantity == "conversions" else 5 * float((a_N / b_N).std()) / SEEDS**0.5 + 0.01
            assert a_N.sum() / b_N.sum() == pytest.approx(1, abs=bound), (name, quantity)
    tables = [summarise(records, {}, config, market.platforms) for records in (auctions, counted)]
    ratios = [table["uniform"]["oracle_ratio"]["mean"] for table in tables]
    assert ratios[0] == pytest.approx(ratios[1], abs=0.02)
    assert 0 < ratios[1] < 1
    assert tables[1]["oracle"]["gap_closed"]["mean"] == pytest.approx(1)


def test_a_records_flight_is_of_a_campaign_that_runs(config: Config) -> None:
    """Not the first, where that one has ended: its flight is played too, and counts in the totals."""
    market = make_market(platforms=3, campaigns=3, maximum=0.9)
    market = replace(market, ended=("2025-03-01", None, None))
    split_CP = torch.tensor([[0.6, 0.2, 0.2], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]], dtype=torch.float32)

    def by_campaign(played: MarketEnvironment, seen: Observation) -> Tensor:
        return split_CP.to(seen.low_BP)[played.campaign_B]

    record = judge_act(market, config, by_campaign, "policy")
    assert record.campaign_P == pytest.approx(split_CP[1].tolist(), abs=1e-6)
    assert record.flight_TP == pytest.approx(np.tile(split_CP[1].numpy(), (8, 1)), abs=1e-6)
    assert record.share_NP == pytest.approx(np.tile(split_CP.mean(0).numpy(), (SEEDS, 1)), abs=1e-6)
