"""The fidelity gates pass an honest market and fail a wrong one.

Negative controls name the required gate that must say `fail`. The positive control refits the market on bootstraps of
its own log: at most 5 in 100 may miss a required gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crossmix.config import laptop
from crossmix.evaluate.fidelity.impressions import fidelity
from crossmix.evaluate.gates.fidelity import fidelity_gates
from crossmix.market.fit.fit import estimate
from crossmix.market.fit.log import Log
from crossmix.market.model import Market
from crossmix.verdicts import FAIL, NOT_APPLICABLE, PASS, Gate
from tests.support.fidelity_logs import bootstrap, rich_log

CONFIG = laptop()


class Bench:
    """A log, the market fitted on it, and the gates."""

    def __init__(self, folder: Path) -> None:
        self.dataset, self.log = rich_log(folder)
        self.planned, _, _ = self.log.planned(self.dataset)
        self.market = self.fit(self.log)

    def fit(self, log: Log) -> Market:
        return estimate(CONFIG, self.dataset, log, None)

    def gates(self, market: Market) -> dict[str, Gate]:
        """Judged on the log's own held-out users, whatever the market was fitted on."""
        compared = fidelity(market, self.log, self.planned, None)
        return {gate.name: gate for gate in fidelity_gates(CONFIG, compared, plan_from_spend=False)}

    def missed(self, market: Market) -> list[str]:
        """The required gates that do not pass, with their detail."""
        return [
            f"{gate.name}: {gate.verdict}, {gate.detail}"
            for gate in self.gates(market).values()
            if gate.required and gate.verdict not in (PASS, NOT_APPLICABLE)
        ]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("rich"))


def relabelled(market: Market, order: Sequence[int]) -> Market:
    """The market whose platform i has the parameters of platform order[i]; plans and limits stay."""
    index = torch.tensor(order)
    return replace(
        market,
        value={name: table[:, index] for name, table in market.value.items()},
        price=market.price[:, index],
        price_law=market.price_law[:, index],
        path={name: table[..., index] for name, table in market.path.items()},
    )


def fails(gates: dict[str, Gate], *names: str) -> None:
    for name in names:
        assert gates[name].verdict == FAIL, gates[name]


def test_the_market_of_the_log_passes(bench: Bench) -> None:
    assert not bench.missed(bench.market)
    gates = bench.gates(bench.market)
    assert gates["fidelity.divergence.two_sample"].required
    assert "fidelity.divergence.click_probability" not in gates  # nobody predicted one


def test_two_platforms_swapped_fail(bench: Bench) -> None:
    """The two are a fifth of the rows, and the campaign's totals hardly move: the classifier must see it."""
    first, second = (bench.market.platforms.index(name) for name in ("social", "search"))
    order = list(range(len(bench.market.platforms)))
    order[first], order[second] = second, first
    fails(
        bench.gates(relabelled(bench.market, order)),
        "fidelity.divergence.two_sample",
        "fidelity.platform.social.divergence.two_sample",
        "fidelity.platform.search.divergence.two_sample",
        "fidelity.platform.search.cvr",
    )


def test_a_market_fitted_on_other_platforms_rows_fails(bench: Bench) -> None:
    """Every platform is fitted on the rows of the next one."""
    count = len(bench.market.platforms)
    frame = bench.log.frame
    moved = Log(bench.log.meta, frame.assign(p=(frame["p"] - 1) % count))
    gates = bench.gates(bench.fit(moved))
    fails(
        gates,
        "fidelity.divergence.two_sample",
        "fidelity.campaign.spend",
        "fidelity.platform.search.divergence.price",
        "fidelity.platform.ecommerce.divergence.price",
    )


def test_prices_a_fifth_too_high_fail(bench: Bench) -> None:
    dear = replace(bench.market, price=1.2 * bench.market.price, price_law=1.2 * bench.market.price_law)
    fails(bench.gates(dear), "fidelity.divergence.two_sample", "fidelity.campaign.roi")


def test_conversions_shuffled_among_clicks_fail(bench: Bench) -> None:
    """The campaign's CVR stays what it was; every platform's becomes the campaign's."""
    frame = bench.log.frame.copy()
    rows = np.flatnonzero(~frame["holdout"].to_numpy(bool) & frame["clicked"].to_numpy(bool))
    other = np.random.default_rng(0).permutation(rows)
    columns = ["converted", "revenue"]
    frame.loc[rows, columns] = frame.loc[other, columns].to_numpy()
    frame = frame.astype({"converted": bool, "revenue": float})
    gates = bench.gates(bench.fit(Log(bench.log.meta, frame)))
    assert gates["fidelity.campaign.cvr"].verdict == PASS
    fails(gates, "fidelity.divergence.two_sample", "fidelity.platform.blog.cvr", "fidelity.platform.search.roi")


def refits(bench: Bench, seeds: range) -> list[str]:
    """What each refit missed, one line a seed; empty lists are left out."""
    missed = []
    for seed in seeds:
        found = bench.missed(bench.fit(bootstrap(bench.log, seed)))
        if found:
            missed.append(f"seed {seed}: {'; '.join(found)}")
    return missed


@pytest.mark.slow
def test_refits_on_bootstraps_of_the_log_pass(bench: Bench) -> None:
    """One of eight may miss: at a rate of 95 % two or more would in 6 % of draws, and the seeds are fixed."""
    missed = refits(bench, range(8))
    assert len(missed) <= 1, missed


@pytest.mark.soak
def test_a_hundred_refits_on_bootstraps_of_the_log_pass(bench: Bench) -> None:
    missed = refits(bench, range(1_000, 1_100))
    print(f"{100 - len(missed)} of 100 refits pass", *missed, sep="\n")
    assert len(missed) <= 5, missed


def test_the_bootstrap_resamples_fitted_users_only(bench: Bench) -> None:
    drawn = bootstrap(bench.log, 0)
    held, was = (log.frame[log.frame["holdout"]].reset_index(drop=True) for log in (drawn, bench.log))
    assert held.equals(was)
    fitted, origin = (log.frame.loc[~log.frame["holdout"], "user"].nunique() for log in (drawn, bench.log))
    assert abs(fitted / origin - 1) < 0.01
    copies = (drawn.frame.loc[~drawn.frame["holdout"], "user"] > bench.log.frame["user"].max()).mean()
    assert copies == pytest.approx(np.exp(-1), abs=0.01)  # of n draws from n, the share that repeat an earlier one
    assert len(drawn.frame) == pytest.approx(len(bench.log.frame), rel=0.01)
