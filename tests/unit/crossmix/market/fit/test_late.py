"""The market of a spend history whose conversions come late: a day is expected to bring what earlier clicks cause."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from components.market.step import told
from crossmix.artifacts import MarketReport
from crossmix.config import load
from crossmix.market.fit.fit import estimate, fit
from crossmix.market.fit.log import read
from crossmix.market.model import Market, load_served
from crossmix.schema import Dataset
from tests.support.histories import ingested
from tests.support.planted import history, late, planted

DAYS = 182
MEAN = 7.0


def made(folder: Path, seed: int, *, lag: float) -> tuple[Dataset, dict[str, np.ndarray]]:
    """The history's dataset, and its totals, (T, 1, P) in the planted order."""
    world = planted()
    frame = history(world, DAYS, seed, wandering=0.4)
    names = ("conversions", "revenue")
    totals = {name: frame[name].to_numpy(float).reshape(DAYS, 1, 4) for name in (*names, "clicks")}
    if lag:
        late(totals, names, np.full(4, lag), 1, seed)
        for name in names:
            frame[name] = totals[name].ravel()
    return ingested(folder, frame), totals


def fitted(folder: Path, seed: int, *, lag: float) -> tuple[Market, dict[str, np.ndarray]]:
    """The market of all days, and the totals that it was fitted to, (T, 1, P) in the market's order."""
    data, totals = made(folder, seed, lag=lag)
    market = estimate(load("laptop"), data, read(data), None, periods="all")
    order = [planted().platforms.index(name) for name in market.platforms]
    return market, {name: table[..., order] for name, table in totals.items()}


def test_a_market_has_the_delay_that_its_history_tells(tmp_path: Path) -> None:
    market, totals = fitted(tmp_path, 5400, lag=MEAN)
    mean = (market.delay[0] * torch.arange(market.delay.shape[2])).sum(1).numpy()
    assert mean.mean() == pytest.approx(MEAN, rel=0.35)
    assert (mean > MEAN / 2).all()
    torch.testing.assert_close(market.delay.sum(2), torch.ones(1, 4))
    # Conversions that lag are no drift of their rate: that was planted as 0.1.
    assert float(market.value["cvr_drift"].max()) < 0.15
    # In a steady state the delay changes nothing: the level is what all conversions are over all clicks.
    cvr = totals["conversions"].sum((0, 1)) / totals["clicks"].sum((0, 1))
    np.testing.assert_allclose(market.value["cvr"][0].numpy() / cvr, 1, atol=0.12)


def test_a_run_tells_how_late_the_conversions_come_that_it_serves_by(tmp_path: Path) -> None:
    data, _ = made(tmp_path, 5400, lag=MEAN)
    (tmp_path / "market").mkdir()
    fit(load("laptop"), data.path, tmp_path / "fusion", tmp_path / "market")
    (line,) = told(tmp_path / "market")
    served = load_served(tmp_path / "market")
    assert line.startswith(f"Conversions on {served.platforms[0]} come ")
    assert line.endswith("; found from totals.")
    means = [float(mean) for mean in re.findall(r"([0-9.]+) days", line)]
    at = torch.arange(served.delay.shape[2])
    assert means == pytest.approx((served.delay[0] * at).sum(1).tolist(), abs=0.051)
    assert np.mean(means) == pytest.approx(MEAN, rel=0.35)
    # Half of a geometric law of that mean have come after 4 or 5 days.
    halves = [int(half) for half in re.findall(r"half within ([0-9]+)", line)]
    assert len(halves) == 4
    assert all(2 <= half <= 7 for half in halves)
    # Where none was found nothing is told.
    replace(MarketReport.load(tmp_path / "market"), late=None).save(tmp_path / "market")
    assert told(tmp_path / "market") == told(tmp_path / "fusion") == ()


def test_what_is_expected_of_days_after_a_step_of_money_is_what_comes(tmp_path: Path) -> None:
    """Twice the clicks from one day on: within a week 60 % more conversions have come, not 100 %."""
    market, _ = fitted(tmp_path, 5401, lag=MEAN)
    came = 2 - (MEAN / (1 + MEAN)) ** np.arange(1, 8)
    clicks = torch.cat([2 * torch.ones(7), torch.ones(60)])
    law_PD = market.delay[0]
    expected = torch.stack([(law_PD * clicks[7 - 1 - day :][: law_PD.shape[1]]).sum(1) for day in range(7)]).mean(1)
    np.testing.assert_allclose(expected.numpy(), came, rtol=0.12)


def test_a_history_whose_conversions_come_at_once_has_no_delay(tmp_path: Path) -> None:
    market, _ = fitted(tmp_path, 5402, lag=0.0)
    assert market.delay.shape == (1, 4, load("laptop").market.max_delay_cycles + 1)
    assert bool((market.delay[..., 0] == 1).all())
