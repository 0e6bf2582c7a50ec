"""Days, weeks and months that do not go together, and weekdays without a row."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.schema import DataError
from crossmix.sources.history import rhythm
from tests.support.bent_histories import planted
from tests.unit.crossmix.sources.history.test_load import FIGURES, assert_same, taken, written

YEAR = planted(182, seed=40023)
DAY = pd.to_datetime(YEAR["date"])
VIDEO = YEAR["platform"] == "video"


def together(rows: pd.DataFrame, to: str) -> pd.DataFrame:
    """Days added up to weeks (`W`) or months (`M`), at their first day."""
    start = pd.to_datetime(rows["date"]).dt.to_period(to).dt.start_time.dt.strftime("%Y-%m-%d")
    keys = [name for name in ("date", "platform", "campaign") if name in rows]
    return rows.assign(date=start).groupby(keys, as_index=False)[FIGURES].sum().round(2)


def two_campaigns() -> pd.DataFrame:
    first = YEAR.assign(campaign="brand", **{name: YEAR[name] // 3 for name in FIGURES})
    second = YEAR.assign(campaign="rest", **{name: YEAR[name] - first[name] for name in FIGURES})
    return pd.concat([together(first, "W"), second])


LATE = DAY >= "2025-04-07"
MIXED = {
    "months": (lambda: pd.concat([YEAR[~VIDEO], together(YEAR[VIDEO], "M")]), "video has a row a month and display, "),
    "weeks from a day on": (
        lambda: pd.concat([YEAR[~LATE], together(YEAR[LATE], "W")]),
        r"has a row a week from 2025-04-07 to 2025-0\d-\d\d, which spends \d",
    ),
    "weeks of one platform until a day": (
        lambda: pd.concat([YEAR[~VIDEO | LATE], together(YEAR[VIDEO & ~LATE], "W")]),
        "video has a row a week from 2025-01-06 to 2025-03-",
    ),
    "weeks of a campaign": (two_campaigns, "display / brand has a row a week and display / rest a row a day"),
}


@pytest.mark.parametrize("kind", MIXED)
def test_days_beside_longer_times_are_refused(kind: str, tmp_path: Path) -> None:
    table, message = MIXED[kind]
    with pytest.raises(DataError, match=f"date: .*{message}.*say --accept periods"):
        taken(written(tmp_path, table().to_csv(index=False)))


@pytest.mark.parametrize(
    ("weekdays", "message"),
    [([6], "no Sunday has a row"), ([4, 5], "no Friday and no Saturday has a row"), ([5, 6], "no Saturday and no Sun")],
)
def test_weekdays_without_a_row_are_asked(weekdays: list[int], message: str, tmp_path: Path) -> None:
    file = written(tmp_path, YEAR[~DAY.dt.weekday.isin(weekdays)].to_csv(index=False))
    with pytest.raises(DataError, match=f"date: {message}.*--idle-days"):
        taken(file)
    assert len(taken(file, "data.idle_days=true").columns["date"]) >= len(YEAR) - 4 * 2


def test_days_off_here_and_there_are_none(tmp_path: Path) -> None:
    table = YEAR[~YEAR["date"].isin(["2025-02-02", "2025-02-09", "2025-02-16", "2025-03-04"])]
    assert_same(taken(written(tmp_path, table.to_csv(index=False))), table)


@pytest.mark.parametrize("of", ["platform", "campaign"])
def test_what_runs_on_tuesdays_only_is_no_week(of: str, tmp_path: Path) -> None:
    """Days from a Monday on, to a Tuesday: a week's row would be on a Monday."""
    table = YEAR[DAY <= "2025-07-01"]
    if of == "campaign":
        letter = table.assign(campaign="letter", **{name: table[name] // 3 for name in FIGURES})
        rest = table.assign(campaign="rest", **{name: (table[name] - letter[name]).round(2) for name in FIGURES})
        table = pd.concat([letter, rest])
    rows = table["platform"].eq("video") if of == "platform" else table["campaign"].eq("letter")
    tuesdays = table[~rows | pd.to_datetime(table["date"]).dt.weekday.eq(1)]
    assert [pd.Timestamp(table["date"].iloc[at]).day_name() for at in (0, -1)] == ["Monday", "Tuesday"]
    history = taken(written(tmp_path, tuesdays.to_csv(index=False)))
    assert len(history.days) == len(tuesdays)
    assert history.days["spend"].sum() == pytest.approx(tuesdays["spend"].sum())


def test_a_platform_that_ran_on_mondays_alone_for_a_time_has_no_weeks(tmp_path: Path) -> None:
    """Its Mondays spend what its days do: a week's row would spend seven times as much."""
    mondays = VIDEO & DAY.between("2025-03-10", "2025-05-11")
    table = YEAR[~mondays | DAY.dt.weekday.eq(0)]
    assert_same(taken(written(tmp_path, table.to_csv(index=False))), table)


def test_months_are_no_days_without_weekends(tmp_path: Path) -> None:
    months = together(YEAR, "M")
    assert_same(taken(written(tmp_path, months.to_csv(index=False))), months)


def test_many_rows_of_a_day_are_no_rhythm() -> None:
    """Twelve campaigns a day on every platform: eleven of twelve rows come no day after the one before."""
    day = pd.date_range("2025-01-06", periods=60)
    cells = pd.MultiIndex.from_product([day, ["search", "video"], [f"c{c}" for c in range(12)]])
    rows = cells.to_frame(index=False, name=["day", "platform", "campaign"]).assign(spend=10.0, impressions=900.0)
    assert rhythm.periods(rows) is None
    weekly = (rows["platform"] == "video") & (rows["day"].dt.weekday > 0)
    assert str(rhythm.periods(rows[~weekly])).startswith("date: video has a row a week and search a row a day")


def step(days: list[pd.Timestamp]) -> int:
    """`rhythm.DAY` and the others, by their definition."""
    known = sorted(set(days))
    gaps = sorted((later - earlier).days for earlier, later in pairwise(known))
    if len(gaps) < rhythm.LEAST_GAPS:
        return 0
    if sum(gap % 7 == 0 for gap in gaps) > rhythm.REGULAR * len(gaps):
        count = Counter(day.weekday() for day in days)
        return rhythm.WEEK if min(count, key=lambda day: (-count[day], day)) in rhythm.EDGES else 0
    if sum(28 <= gap <= 31 for gap in gaps) > rhythm.REGULAR * len(gaps):
        return rhythm.MONTH
    return rhythm.DAY if gaps[len(gaps) // 2] == 1 else 0


@pytest.mark.parametrize("seed", range(3))
def test_the_steps_of_many_series_are_those_of_each(seed: int) -> None:
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2025-01-06")
    series: dict[str, list[pd.Timestamp]] = {}
    for at in range(60):
        size, since = int(rng.integers(1, 40)), start + pd.Timedelta(days=int(rng.integers(0, 30)))
        days = {
            0: [since + pd.Timedelta(days=day) for day in range(size)],
            1: [since + pd.Timedelta(weeks=week) for week in range(size)],
            2: [since + pd.DateOffset(months=month) for month in range(size)],
            3: [since + pd.Timedelta(days=int(day)) for day in rng.integers(0, 90, size)],
        }[at % 4]
        series[f"campaign {at:02d}"] = days + days[: size // 3]
    rows = pd.DataFrame([(name, day) for name, days in series.items() for day in days], columns=["name", "day"])
    rows = rows.sample(frac=1, random_state=seed)
    found = rhythm._steps(rows["name"].astype("category"), rows["day"], rhythm.EDGES)
    assert found == {name: step(days) for name, days in series.items()}
    assert set(found.values()) == {0, rhythm.DAY, rhythm.WEEK, rhythm.MONTH}
