"""Sale weeks and stock-outs of all platforms: found with their days, and not taken for what money does."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.config import load
from crossmix.market.fit import spend_history
from crossmix.market.fit.promotions import Promotion, cycles, promotions, told
from crossmix.schema import Dataset
from tests.support.histories import ingested

DAYS, WINDOW, ELASTICITY = 240, 14, 0.6
SALES = [(40, 46), (95, 101), (150, 156), (205, 211)]
WEEKDAY = np.arange(DAYS) % 7


def totals(
    paid: float, sold: float, runs: list[tuple[int, int]] = SALES, *, seed: int = 0, only: int = 4, demand: float = 0.0
) -> dict[str, np.ndarray]:
    """A day's totals of four platforms: conversions go as money to the power of `ELASTICITY`.

    Args:
        paid, sold: what money, and conversions per click, are multiplied by in the runs.
        only: platforms that they are of.
        demand: deviation of ln of a demand that wanders from day to day and that budgets follow in proportion.
    """
    rng = np.random.default_rng(seed)
    within = np.zeros(DAYS)
    for first, last in runs:
        within[first : last + 1] = 1.0
    path = np.zeros(DAYS)
    for t in range(1, DAYS):
        path[t] = 0.8 * path[t - 1] + 0.6 * demand * rng.standard_normal()
    own = np.repeat(0.15 * rng.standard_normal((DAYS // 7 + 1, 4)), 7, 0)[:DAYS]
    mine = within[:, None] * (np.arange(4) < only)
    log = own + 0.1 * rng.standard_normal((DAYS, 4)) + path[:, None] + np.log(paid) * mine
    spend = 100 * np.exp(log)
    clicks = rng.poisson(500 * np.exp(ELASTICITY * log) * np.exp(0.05 * rng.standard_normal((DAYS, 1))))
    conversions = rng.poisson(0.04 * clicks * np.exp((1 - ELASTICITY) * path[:, None] + np.log(sold) * mine))
    each = {"spend": spend, "impressions": 50 * clicks, "clicks": clicks, "conversions": conversions}
    return {name: table[:, None].astype(float) for name, table in (each | {"revenue": 60 * conversions}).items()}


def found(table: dict[str, np.ndarray], seen: np.ndarray | None = None) -> list[Promotion]:
    return promotions(table, np.ones(DAYS, bool) if seen is None else seen, WEEKDAY, WINDOW)


def days(some: list[Promotion]) -> list[tuple[int, int]]:
    return [(one.first, one.last) for one in some]


@pytest.mark.parametrize("seed", range(4))
def test_sale_weeks_are_found_with_their_days(seed: int) -> None:
    some = found(totals(1.9, 1.7, seed=seed))
    assert days(some) == SALES
    assert np.mean([one.paid for one in some]) == pytest.approx(1.9, rel=0.12)
    assert np.mean([one.sold for one in some]) == pytest.approx(1.7 * 1.9**ELASTICITY, rel=0.12)
    assert cycles(some, DAYS).sum() == 28


def test_one_black_friday_week_is_found() -> None:
    assert days(found(totals(2.5, 2.0, [(180, 186)]))) == [(180, 186)]


def test_a_stock_out_is_the_same_downward() -> None:
    some = found(totals(0.4, 0.3, [(100, 109)]))
    assert days(some) == [(100, 109)]
    assert some[0].paid == pytest.approx(0.4, rel=0.15)
    assert some[0].sold < some[0].paid


@pytest.mark.parametrize("seed", range(4))
def test_money_that_was_raised_for_a_week_is_no_promotion(seed: int) -> None:
    assert not found(totals(2.0, 1.0, seed=seed))
    assert not found(totals(0.5, 1.0, seed=seed))


@pytest.mark.parametrize("seed", range(8))
def test_budgets_that_follow_a_wandering_demand_are_none(seed: int) -> None:
    assert not found(totals(1.0, 1.0, [], seed=seed, demand=0.2))


def test_one_platforms_push_is_none() -> None:
    assert not found(totals(2.0, 1.8, only=1))


@pytest.mark.parametrize("seed", range(4))
def test_what_two_of_three_platforms_do_is_no_sale_of_all(seed: int) -> None:
    """The third's money is the same on every day, so that the account's middle platform is one of the two."""
    table = {name: values[:, :, :3].copy() for name, values in totals(1.9, 1.7, seed=seed, only=2).items()}
    table["spend"][:, :, 2] = 100.0
    assert not found(table)


def test_sales_that_each_are_unsure_are_sure_together() -> None:
    assert days(found(totals(1.5, 1.3))) == SALES
    assert not found(totals(1.5, 1.3, SALES[:1]))


@pytest.mark.parametrize("seed", range(3))
def test_weekends_are_no_course_that_is_left(seed: int) -> None:
    """Weekends of a third of the money and the sales, which would hide a sale within what is usual."""
    part = np.where(WEEKDAY >= 5, 0.3, 1.0)[:, None, None]
    assert days(found({name: values * part for name, values in totals(1.9, 1.7, seed=seed).items()})) == SALES


def test_platforms_that_ended_have_no_part_in_what_all_do() -> None:
    table = totals(1.9, 1.7, [(180, 186)])
    for values in table.values():
        values[120:, :, 2:] = 0.0
    assert days(found(table)) == [(180, 186)]


@pytest.mark.parametrize("seed", range(3))
def test_two_sales_by_chance_are_no_promotion(seed: int) -> None:
    """Stretches that sold nothing are all alike, so that counting alone says how far two strays."""
    table, sold = totals(2.0, 1.0, [(100, 106)], seed=seed), np.zeros((DAYS, 1, 4))
    sold[[10, 60, 150, 200, 220], 0, 0] = sold[[101, 104], 0, 1] = 1.0
    assert not found(table | {"conversions": sold})


def test_what_began_before_the_history_has_no_course_that_it_left() -> None:
    assert not found(totals(1.9, 1.7, [(0, 6)]))


def test_what_has_not_ended_yet_may_stay() -> None:
    assert not found(totals(2.0, 1.8, [(DAYS - 7, DAYS - 1)]))
    assert not found(totals(2.0, 1.8, [(DAYS - 12, DAYS - 6)]))
    assert days(found(totals(2.0, 1.8, [(DAYS - 14, DAYS - 8)]))) == [(DAYS - 14, DAYS - 8)]


def test_what_lies_longer_than_todays_window_is_a_season() -> None:
    assert days(found(totals(1.9, 1.7, [(100, 99 + WINDOW)]))) == [(100, 99 + WINDOW)]
    assert not found(totals(1.9, 1.7, [(100, 100 + WINDOW)]))


def test_what_was_not_seen_has_told_nothing() -> None:
    seen = np.ones(DAYS, bool)
    seen[95:102] = False
    assert days(found(totals(1.9, 1.7), seen)) == [run for run in SALES if run != (95, 101)]


def test_a_history_too_short_has_no_usual_course() -> None:
    short = {name: table[:50] for name, table in totals(2.0, 1.8, [(20, 26)]).items()}
    assert promotions(short, np.ones(50, bool), WEEKDAY[:50], WINDOW) == []


def test_they_are_told_with_their_days() -> None:
    some = [Promotion(3, 5, 2.14, 1.8), Promotion(20, 20, 0.3, 0.5)]
    up, down = told(some, date(2026, 11, 20), 1)
    assert "2026-11-23 to 2026-11-25 (sold 2.1 times the usual at 1.8 times the money)" in up
    assert "Taken as a promotion" in up
    assert "2026-12-10 (sold 0.3 times the usual at 0.5 times the money)" in down
    assert "Taken as a stock-out" in down
    assert "2026-12-11 to 2026-12-31" in told([Promotion(3, 5, 2.0, 2.0)], date(2026, 11, 20), 7)[0]
    assert told([], date(2026, 11, 20), 1) == []


def test_a_fit_takes_no_promotion_for_what_is_usual() -> None:
    settings, seen = load("laptop", ["data.source=spend", "data.path=history.csv"]).market, np.ones(DAYS, bool)
    one = spend_history.fit(settings, totals(2.0, 2.5), seen, WEEKDAY)
    # With the sale weeks 0.0424 a click, and returns that do not diminish.
    assert one.cvr[0].mean() == pytest.approx(0.04, rel=0.03)
    assert (one.elasticity[0] * one.gain).mean() == pytest.approx(ELASTICITY, abs=0.1)
    assert (one.bend[0] > 0).all()


def test_ingest_tells_them(tmp_path: Path) -> None:
    table = totals(1.9, 1.7, [(150, 156)])
    names = ("search", "social", "video", "display")
    rows = [
        {"date": day, "platform": name} | {key: values[t, 0, p] for key, values in table.items()}
        for t, day in enumerate(pd.date_range("2026-01-05", periods=DAYS))
        for p, name in enumerate(names)
    ]
    dataset = ingested(tmp_path, pd.DataFrame(rows))
    assert isinstance(dataset, Dataset)
    notes = [note for note in dataset.meta.notes if "Taken as a promotion" in note]
    assert len(notes) == 1
    assert "2026-06-04 to 2026-06-10" in notes[0]
