"""Figures of another measure than their name says, on planted histories; honest ones raise no doubt."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from crossmix.sources.history import measures
from tests.support.bent_histories import planted

FIGURES = ["spend", "impressions", "clicks", "conversions", "revenue"]


def world(days: int = 120, seed: int = 40130, **changes: float) -> pd.DataFrame:
    table = planted(days, seed=seed, **changes)
    return table.assign(day=pd.to_datetime(table["date"]), **{name: table[name].astype(float) for name in FIGURES})


PLAIN = world()
LATE = (PLAIN["day"] >= "2025-03-15") & (PLAIN["platform"] == "social")
MONTH = PLAIN["day"].dt.month


def times(name: str, factor: float, where: pd.Series = LATE) -> pd.DataFrame:
    return PLAIN.assign(**{name: PLAIN[name].where(~where, PLAIN[name] * factor)})


def running(every: int) -> pd.DataFrame:
    """Totals up to each day, which begin anew each so many days."""
    since = (PLAIN["day"] - PLAIN["day"].min()).dt.days // every
    return PLAIN.assign(**PLAIN.groupby(["platform", since])[FIGURES].cumsum())


DOUBTS: dict[str, tuple[Callable[[pd.DataFrame], str | None], Callable[[], pd.DataFrame], str]] = {
    "of all time": (
        measures.cumulative,
        lambda: PLAIN.assign(**PLAIN.groupby("platform")[FIGURES].cumsum()),
        "from each of 120 days to the next; these may be totals up to each day",
    ),
    "of a month": (
        measures.cumulative,
        lambda: PLAIN.assign(**PLAIN.groupby(["platform", MONTH])[FIGURES].cumsum()),
        "but for 4 days that begin anew; these may be totals up to each day",
    ),
    "of spend alone": (
        measures.cumulative,
        lambda: PLAIN.assign(spend=PLAIN.groupby("platform")["spend"].cumsum()),
        "^spend: 'display' has more spend from each of 120 days to the next; spend may be totals up to each day",
    ),
    "of revenue alone": (
        measures.cumulative,
        lambda: PLAIN.assign(revenue=PLAIN.groupby("platform")["revenue"].cumsum()),
        "^revenue: 'display' has more revenue from each of 120 days to the next; revenue may be totals up to each day",
    ),
    "of a week": (
        measures.cumulative,
        lambda: running(7),
        "^spend: 'display' spends more, .* but for 17 days that begin anew; these may be totals up to each day",
    ),
    "an order's value": (
        measures.ratios,
        lambda: PLAIN.assign(revenue=(PLAIN["revenue"] / PLAIN["conversions"].clip(lower=1)).round(2)),
        "the same each day, whatever the conversions are; it may be the average value of an order",
    ),
    "return on spend": (
        measures.ratios,
        lambda: PLAIN.assign(revenue=(PLAIN["revenue"] / PLAIN["spend"]).round(3)),
        r"falls as spend rises, whatever the conversions are; it may be the return on spend \(ROAS\)",
    ),
    "conversion rate": (
        measures.ratios,
        lambda: PLAIN.assign(conversions=(PLAIN["conversions"] / PLAIN["clicks"]).round(4)),
        "above 0 and below 1 on nearly all days; it may be a conversion rate",
    ),
    "another currency": (
        measures.changed,
        lambda: times("spend", 7.5),
        "spend: of 'social' from 2025-03-1[45] on 7.[0-9] times as much as before buys what was bought before",
    ),
    "more actions counted": (
        measures.changed,
        lambda: times("conversions", 6.0),
        "conversions: of 'social' from 2025-03-1[3-7] on [56].[0-9] times as many follow a click, and all",
    ),
    "fewer actions counted": (
        measures.changed,
        lambda: times("conversions", 1 / 6),
        "conversions: of 'social' from 2025-03-1[3-7] on [56].[0-9] times fewer follow a click",
    ),
}


@pytest.mark.parametrize("case", DOUBTS)
def test_another_measure_is_asked(case: str) -> None:
    find, bent, message = DOUBTS[case]
    found = find(bent())
    assert found is not None
    assert pd.Series([found]).str.contains(message).all(), found
    assert find(PLAIN) is None


def test_what_begins_anew_sooner_than_a_week_is_no_total() -> None:
    assert measures.cumulative(running(5)) is None


@pytest.mark.parametrize("seed", range(40131, 40137))
def test_honest_histories_raise_no_doubt(seed: int) -> None:
    """Small and large, growing, in weeks, with budgets that are raised or halved on a day."""
    rng = np.random.default_rng(seed)
    table = world(
        int(rng.choice([60, 120, 300])), seed, scale=float(rng.choice([0.2, 1, 20])), growth=float(rng.choice([1, 8]))
    )
    weeks = table.assign(day=table["day"].dt.to_period("W").dt.start_time).groupby(["platform", "day"], as_index=False)
    stepped = world(200, seed, season=(60, float(rng.choice([0.4, 3.0]))))
    for frame in (table, weeks[FIGURES].sum(), stepped):
        assert [find(frame) for find in (measures.cumulative, measures.ratios, measures.changed)] == [None] * 3
