"""What `check` says is missing of a history."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd

from crossmix.config import load
from crossmix.ingest import checked
from tests.support.bent_histories import planted

WORLD = planted(60, seed=40025)
DAY = pd.to_datetime(WORLD["date"])
FIGURES = ["spend", "impressions", "clicks", "conversions", "revenue"]


def missing(table: pd.DataFrame, folder: Path) -> list[str]:
    file = folder / "history.csv"
    table.to_csv(file, index=False)
    return checked.missing(checked.check(load("laptop", ["data.source=spend", f"data.path={file}"])))


def test_rows_of_zero_are_no_beginning_and_no_end(tmp_path: Path) -> None:
    before = (WORLD["platform"] == "video") & (DAY < "2025-02-10")
    after = (WORLD["platform"] == "display") & (DAY > "2025-02-09")
    table = WORLD.assign(**{name: WORLD[name].where(~before & ~after, 0) for name in FIGURES})
    told = missing(table, tmp_path)
    assert "video begins on 2025-02-10." in told
    assert "display ends on 2025-02-09." in told


def test_a_platform_that_rests_on_weekends_is_told(tmp_path: Path) -> None:
    table = WORLD[(WORLD["platform"] != "display") | (DAY.dt.weekday < 5)]
    assert "display has no row on any Saturday and Sunday: it counts as paused then." in missing(table, tmp_path)


def test_a_month_that_a_platform_lacks_is_told(tmp_path: Path) -> None:
    table = WORLD[(WORLD["platform"] != "display") | (DAY < "2025-02-01") | (DAY > "2025-02-12")]
    told = missing(table, tmp_path)
    assert any(line.startswith("display has no row on 12 day(s) on which others have, as 2025-02-01") for line in told)


def test_days_yet_to_come_are_told(tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    WORLD.to_csv(file, index=False)
    found = checked.check(load("laptop", ["data.source=spend", f"data.path={file}"]))
    assert any("yet to come" in line for line in checked.missing(found, date(2025, 1, 1)))
    assert not any("yet to come" in line for line in checked.missing(found, DAY.max().date()))


def weekly(weeks: int) -> pd.DataFrame:
    """Rows of weeks, which begin on Mondays, of a planted world by day."""
    days = planted(7 * weeks, seed=40026)
    day = pd.to_datetime(days["date"])
    monday = (day - pd.to_timedelta(day.dt.weekday, unit="D")).dt.strftime("%Y-%m-%d")
    return days.assign(date=monday).groupby(["date", "platform"], as_index=False)[FIGURES].sum()


def test_twenty_weeks_say_what_they_can_answer_and_what_a_proof_lacks(tmp_path: Path) -> None:
    file = tmp_path / "weeks.csv"
    weekly(20).to_csv(file, index=False)
    found = checked.check(load("laptop", ["data.source=spend", f"data.path={file}"]))
    able, unable = checked.answers(found)
    assert found.problem is None
    assert able[0].startswith("How to split a budget among ")
    assert unable[0].startswith(
        "Whether another split is proved to earn more: the history has 20 weeks, and a proof needs 28, 8 weeks more; "
        "until then answers are the fit's"
    )


def test_fewer_weeks_than_can_be_fitted_say_how_many_more(tmp_path: Path) -> None:
    file = tmp_path / "weeks.csv"
    weekly(13).to_csv(file, index=False)
    found = checked.check(load("laptop", ["data.source=spend", f"data.path={file}"]))
    assert found.problem is not None
    assert found.problem.startswith("date: the history has 13 cycle(s) of 7 days, from 2025-01-06 to 2025-03-31; at ")
    assert "at least 14 are needed" in found.problem
    assert found.problem.endswith("1 more than these: pass a longer one; or export by day, of which 28 days are enough")


def test_enough_cycles_say_nothing_of_a_proof(tmp_path: Path) -> None:
    for table in (weekly(28), WORLD):
        file = tmp_path / "history.csv"
        table.to_csv(file, index=False)
        found = checked.check(load("laptop", ["data.source=spend", f"data.path={file}"]))
        assert not any("proof" in line for line in checked.answers(found)[1])
