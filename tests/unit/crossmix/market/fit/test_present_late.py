"""`--present` of accounts whose conversions come late: their rate is that over the clicks that they are due of."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crossmix.config import Levels, load
from crossmix.market.fit import rate_of_due
from crossmix.market.fit.fit import estimate
from crossmix.market.fit.log import read
from crossmix.market.logged_states import statistics
from crossmix.market.model import DUE, Market, save
from crossmix.market.model import load as load_market
from crossmix.market.replay_splits import retrace
from crossmix.schema import Dataset
from crossmix.whatif import make_scene, split_plan
from crossmix.whatif.split import Estimate
from tests.support.histories import ingested
from tests.support.planted import START, Planted, late, planted

SETTINGS = load("laptop", ["data.source=spend", "data.path=history.csv"])
DAYS, WEEK = 182, 7
LAG = np.array([5.0, 6.0, 7.0, 8.0])
"""Mean days from click to conversion, geometric."""


def account(
    seed: int, *, budget: float = 1.0, only: int | None = None, sold: float = 1.0, since: int = 28
) -> tuple[Planted, pd.DataFrame]:
    """An account that spends `budget` times as much in its last week, on all platforms or one, and whose clicks convert
    at `sold` times the rate in its last `since` days."""
    world, rng = planted(), np.random.default_rng(seed)
    spend = world.reference * np.exp(0.3 * rng.standard_normal((DAYS, 4)))
    spend[-WEEK:, slice(None) if only is None else only] *= budget
    shown, clicks, conversions = world.outcome(spend)
    conversions[-since:] *= sold
    totals = {
        "impressions": rng.poisson(shown)[:, None],
        "clicks": rng.poisson(clicks)[:, None],
        "conversions": rng.poisson(3 * conversions)[:, None],
    }
    totals["revenue"] = totals["conversions"] * world.value
    late(totals, ("conversions", "revenue"), LAG, 1, seed)
    return world, pd.DataFrame(
        {
            "date": np.repeat([f"{START + pd.Timedelta(days=day):%Y-%m-%d}" for day in range(DAYS)], 4),
            "platform": np.tile(world.platforms, DAYS),
            "spend": spend.round(2).ravel(),
            **{name: table.ravel() for name, table in totals.items()},
        }
    )


def asked(dataset: Dataset) -> Market:
    return estimate(SETTINGS, dataset, read(dataset), None, "all")


def told(market: Market, world: Planted, *, present: bool, sold: float = 1.0) -> tuple[Estimate, float]:
    """Revenue of today's split and budget, and the planted."""
    scene = make_scene(market, None, present=present)
    order = [market.platforms.index(name) for name in world.platforms]
    amount = (scene.budget * scene.today_P).numpy()[order]
    return split_plan(scene, scene.today_P.tolist(), scene.budget).revenue, 3 * sold * float(
        world.revenue(amount).sum()
    )


def test_clicks_that_doubled_last_week_are_no_drift_of_the_rate(tmp_path: Path) -> None:
    world, table = account(1, budget=2.0)
    market = asked(ingested(tmp_path, table))
    assert float((market.delay[0, :, 1:].sum(1)).min()) > 0.5
    # Over the clicks of the same week they are a tenth fewer, of which nothing is the rate's.
    assert float(market.path["cvr"][-WEEK:].mean()) < 0.94
    np.testing.assert_allclose(market.path[DUE][-WEEK:].mean((0, 1)), 1, atol=0.1)
    revenue, truth = told(market, world, present=True)
    assert revenue.low < truth < revenue.high
    assert revenue.value == pytest.approx(truth, rel=0.1)
    # What is stored is what is asked, and what a week converted is still told by its own clicks.
    (tmp_path / "market").mkdir()
    save(market, tmp_path / "market")
    again, _ = told(load_market(tmp_path / "market"), world, present=True)
    assert again.value == pytest.approx(revenue.value, rel=1e-6)
    slots = [world.platforms.index(name) for name in market.platforms]
    spend_TCP = table["spend"].to_numpy().reshape(DAYS, 1, 4)[..., slots]
    walked = retrace(market, spend_TCP, plan_is_spend=True).conversions.reshape(DAYS, 4)
    came = table["conversions"].to_numpy().reshape(DAYS, 4)
    assert float(walked[-WEEK:].sum()) == pytest.approx(float(came[-WEEK:].sum()), rel=0.1)


def test_a_rate_that_really_fell_is_told(tmp_path: Path) -> None:
    world, table = account(2, budget=2.0, sold=0.7)
    market = asked(ingested(tmp_path, table))
    revenue, truth = told(market, world, present=True, sold=0.7)
    assert revenue.low < truth < revenue.high
    assert revenue.value == pytest.approx(truth, rel=0.15)


def test_a_policy_sees_no_fall_where_clicks_rose_on_one_platform(tmp_path: Path) -> None:
    """The state's rates, and returns, are as if as many clicks had been due as there were."""
    _, usual = account(3)
    world, table = account(3, budget=2.0, only=1)
    name = world.platforms[1]
    rates = []
    for part, frame in (("usual", usual), ("rose", table)):
        (tmp_path / part).mkdir()
        dataset = ingested(tmp_path / part, frame)
        slot = dataset.meta.platforms.index(name)
        row = statistics(dataset, SETTINGS).iloc[-1]
        rates.append([float(row[f"p{slot}_windowed_{figure}"]) for figure in ("cvr", "roi")])
    (cvr, roi), (rose_cvr, rose_roi) = rates
    assert rose_cvr / cvr == pytest.approx(1, rel=0.12)
    # Twice the money buys 2^(gamma delta) times the clicks.
    assert rose_roi / roi == pytest.approx(2 ** (world.gamma[1] * world.delta[1] - 1), rel=0.15)


def last_week(came: float, error: float, shared: float = 0.0, delay: tuple[float, float] = (0.5, 0.5)) -> float | None:
    """Part of ln(came / 700) that a rate known to a relative error is told to have moved by, where 700 conversions are
    due in the last of 100 weeks and so many come."""
    cycles = 100 * WEEK
    came_TCP = np.full((cycles, 1, 1), 100.0)
    came_TCP[-WEEK:] = came / WEEK
    whole = SimpleNamespace(cvr=(np.full((1, 1), 0.1), np.full((1, 1), 0.1 * error)), shared={"cvr": shared})
    evidence: Any = SimpleNamespace(whole=whole, delay=np.array([[delay]]), slow=lambda _: np.ones((cycles, 1, 1)))
    drift = np.full((1, 1), 1e-3), np.full((1, 1), 0.5)
    path_TCP = rate_of_due.path(came_TCP, np.full((cycles, 1, 1), 1000.0), evidence, drift, 24.0, Levels())
    return None if path_TCP is None else float(np.log(path_TCP[-1, 0, 0] / path_TCP[0, 0, 0]) / np.log(came / 700))


@pytest.mark.parametrize("shared", [0.0, 1.0])
@pytest.mark.parametrize(
    ("came", "error", "part"),
    [(650, 0.005, 0.02), (650, 0.05, 0.05**2 / (0.05**2 + 1 / 700)), (650, 0.5, 1.0), (500, 0.005, 1.0)],
    ids=["known well", "known by half", "hardly known", "moved"],
)
def test_a_week_moves_a_rate_as_far_as_it_is_not_known(came: float, error: float, part: float, shared: float) -> None:
    """By Bayes' rule; where a week is eight deviations off, the rate has moved, however well it was known."""
    assert last_week(came, error, shared) == pytest.approx(part, abs=0.02)


def test_conversions_that_come_at_once_have_their_own_clicks() -> None:
    assert last_week(650, 0.05, delay=(1.0, 0.0)) is None
