"""The accounts of `benchmarks.late`: days after a history, of which spend moves and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import late

SEED = 40090
NAMES = ("spend", "impressions", "clicks", "conversions", "revenue")


@pytest.fixture(scope="module")
def market() -> Any:
    """What `feedback` asks a market: its names, platforms in an order of their own."""
    return SimpleNamespace(campaigns=("all",), platforms=tuple(sorted(late.account(SEED, 1.0).platforms, reverse=True)))


def test_a_moved_account_is_the_same_one_until_its_spend_moves(market: Any) -> None:
    usual, more = late.account(SEED, 1.0), late.account(SEED, 1.5)
    days = sorted(usual.frame["date"].unique())
    assert len(days) == late.HISTORY + late.WATCHED
    first = days[late.HISTORY + late.BEFORE]
    before = [one.frame[one.frame["date"] < first].reset_index(drop=True) for one in (usual, more)]
    told = ["date", "platform", "spend", "impressions", "clicks"]
    assert before[0][told].equals(before[1][told])
    # Conversions are delayed platform by platform: those of the first come on the same days, so the law is the same.
    of_first = [one.loc[one["platform"] == usual.platforms[0], "conversions"].tolist() for one in before]
    assert of_first[0] == of_first[1]
    spend = [one.frame.loc[one.frame["date"] >= first, "spend"].to_numpy() for one in (usual, more)]
    np.testing.assert_allclose(spend[1], 1.5 * spend[0], atol=0.02)
    # Conversions follow the clicks, and most of them later than in the week.
    seen = [late.feedback(market, one) for one in (usual, more)]
    week, ahead = slice(late.BEFORE, late.BEFORE + 7), slice(late.BEFORE + 30, late.WATCHED)

    def rise(name: str, span: slice) -> float:
        usual, more = (getattr(one, f"{name}_TCP")[span].sum() for one in seen)
        return float(more / usual)

    assert rise("conversions", week) < rise("clicks", week) - 0.05
    assert rise("conversions", ahead) > rise("conversions", week) + 0.05


def test_what_is_looked_at_is_what_came_after_the_history(market: Any) -> None:
    account = late.account(SEED, 1.0)
    seen = late.feedback(market, account)
    days = account.frame[account.frame["date"] > sorted(account.frame["date"].unique())[late.HISTORY - 1]]
    for name in NAMES:
        table = getattr(seen, f"{name}_TCP")
        assert table.shape == (late.WATCHED, 1, len(market.platforms))
        for p, platform in enumerate(market.platforms):
            np.testing.assert_array_equal(table[:, 0, p], days.loc[days["platform"] == platform, name])
    assert np.isnan(seen.requests_TCP).all()
    first = np.datetime64(days["date"].min()).astype("datetime64[D]").astype(int)
    assert seen.weekday_TC[0, 0] == (first + 3) % 7  # 1970-01-01 was a Thursday


def test_alerts_are_counted_over_all_days_and_what_came_is_a_mean() -> None:
    accounts = [
        {name: {"alerts": alerts, "came over expected": came} for name in late.MOVES}
        for alerts, came in ((1, 0.9), (2, 1.0), (0, 1.1))
    ]
    told = late.summary(accounts)["x1.5"]
    assert (told["alerts"], told["days"]) == (3, 270)
    assert told["per 30 days"] == pytest.approx(3 / 9)
    assert told["came over expected"] == pytest.approx(1.0)
